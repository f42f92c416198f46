from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.record_lines import from_lines, to_lines
from dataset_builder.records import (
    ArticleFacts,
    Drop,
    Entry,
    Figure,
    FigureConcepts,
    FigureLicence,
    FigureText,
    Graphic,
    ImageFacts,
    LicenceStatement,
    Media,
)
from rocov2_eval.errors import RejectedInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MEDIA = st.builds(Media, key=TEXT, name=TEXT, md5=st.none() | TEXT)
IMAGES = st.builds(
    ImageFacts,
    sha256=TEXT,
    pixels=TEXT,
    perceptual=st.none() | st.integers(0, 2**64 - 1),
    width=st.integers(1, 2**60),
    height=st.integers(1, 2**60),
)
FIGURES = st.builds(
    Figure,
    pmcid=TEXT,
    number=st.integers(1, 2**60),
    graphic=st.builds(Graphic, name=TEXT, alternatives=st.tuples(TEXT, TEXT)),
    text=st.builds(FigureText, caption=TEXT, english=st.none() | st.floats(0, 1)),
    licence=st.builds(
        FigureLicence, article=st.tuples(st.builds(LicenceStatement, source=st.just("metadata"), text=TEXT))
    ),
    article=st.builds(ArticleFacts, year=st.none() | st.integers(1900, 2100)),
    media=st.none() | MEDIA,
    image=st.none() | IMAGES,
    concepts=st.builds(FigureConcepts, automatic=st.tuples(TEXT)),
)


@given(st.lists(FIGURES, max_size=3))
def test_figures_come_back_from_lines_as_they_were(figures: list[Figure]) -> None:
    assert figures == from_lines(to_lines(figures), Figure, "a.jsonl")


def test_a_field_at_its_default_is_left_away() -> None:
    assert to_lines([Drop(stage="a", key="b", reason="c")]) == b'{"stage":"a","key":"b","reason":"c"}\n'


def test_a_nested_tuple_of_records_comes_back() -> None:
    entry = Entry(pmcid="PMC1", xml=Media(key="a", name="a"), media=(Media(key="b", name="b", md5="0"),))

    assert [entry] == from_lines(to_lines([entry]), Entry, "a.jsonl")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "truncated"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"stage":"a","key":"b"}', "missing required field `reason`"),
        (b'{"stage":"a","key":"b","reason":"c","colour":"d"}', "unknown field `colour`"),
        (b'{"stage":"a","key":"b","reason":7}', r"Expected `str`, got `int` - at `\$.reason`"),
    ],
)
def test_a_line_that_is_no_record_is_told_with_its_number(line: bytes, told: str) -> None:
    good = to_lines([Drop(stage="a", key="b", reason="c")])

    with pytest.raises(RejectedInput, match=rf"a\.jsonl:2: .*{told}"):
        from_lines(good + line + b"\n", Drop, "a.jsonl")
