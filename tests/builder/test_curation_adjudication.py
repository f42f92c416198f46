from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.facets import UNSURE, read_manual
from dataset_builder.study.adjudication import (
    Open,
    adjudicate,
    write_manual,
    write_open,
)
from dataset_builder.study.annotations import Annotation
from dataset_builder.study.formats import read
from rocov2_eval.errors import RejectedInput

CT, XRAY, PET, CHEST, PELVIS = "C0040405", "C1306645", "C0032743", "C0817096", "C0030797"


def votes(*values: str, facet: str = "modality", image: str = "a") -> list[Annotation]:
    return [
        Annotation(image=image, facet=facet, cui=value, rater=f"rater-{number}")
        for number, value in enumerate(values, start=1)
    ]


def outcome(annotations: list[Annotation], **options: Any) -> str:
    """Return the one settled value, or why there is none."""
    result = adjudicate(annotations, **options)
    (only,) = (*result.settled.values(), *(each.reason for each in result.open))
    return only


@pytest.mark.parametrize(
    ("values", "options", "found"),
    [
        ((CT, CT, PET), {"policy": "majority"}, CT),
        ((CT, PET), {"policy": "majority"}, "no majority"),
        ((CT, CT, PET, XRAY), {"policy": "majority"}, "no majority"),
        ((CT, UNSURE, UNSURE), {"policy": "majority"}, CT),
        ((UNSURE, UNSURE), {"policy": "majority"}, "all raters are unsure"),
        ((CT, CT), {"policy": "unanimous"}, CT),
        ((CT, CT, PET), {"policy": "unanimous"}, "raters disagree"),
        ((CT, UNSURE), {"policy": "unanimous"}, CT),
        ((CT, CT), {"decisions": votes(XRAY)}, XRAY),
        ((CT, CT), {"decisions": votes(CT, PET)}, "adjudicators disagree"),
        ((CT,), {"least": 2}, "too few raters"),
        ((CT, UNSURE), {"least": 2}, CT),
        (("combined", "combined", CT), {}, "combined"),
    ],
)
def test_the_policy_settles_an_answer(values: tuple[str, ...], options: dict[str, Any], found: str) -> None:
    assert found == outcome(votes(*values), **options)


_VOTES = st.lists(st.sampled_from([CT, XRAY, PET, "none", UNSURE]), min_size=1, max_size=7)


@given(_VOTES, st.randoms(use_true_random=False))
def test_the_order_and_the_names_of_raters_do_not_matter_under_majority(
    values: list[str], chance: random.Random
) -> None:
    shuffled = votes(*chance.sample(values, len(values)))
    assert outcome(chance.sample(shuffled, len(shuffled))) == outcome(votes(*values))


@given(_VOTES)
def test_what_is_unanimous_is_the_majority_too(values: list[str]) -> None:
    result = adjudicate(votes(*values), policy="unanimous")
    if result.settled:
        assert adjudicate(votes(*values)).settled == result.settled
    assert UNSURE not in result.settled.values()


def test_a_region_of_what_is_no_x_ray_is_open() -> None:
    result = adjudicate([*votes(CT), *votes(CHEST, facet="region")])
    assert list(result.settled) == [("a", "modality")]
    assert result.open == (
        Open(
            image="a",
            facet="region",
            reason="only for X-ray, but the modality is CT",
            answers=(("rater-1", CHEST),),
        ),
    )


def test_raters_need_not_agree_on_the_region_of_what_is_no_x_ray() -> None:
    words = adjudicate([*votes(CT, CT), *votes("none", UNSURE, facet="region")])
    assert (words.open, words.pointless) == ((), 1)
    cuis = adjudicate([*votes(CT, CT), *votes("none", CHEST, facet="region")])
    assert [each.reason for each in cuis.open] == ["only for X-ray, but the modality is CT"]


def test_an_adjudicator_can_take_a_region_back() -> None:
    decision = Annotation(image="a", facet="region", cui="none", rater="rater-9")
    result = adjudicate([*votes(CT), *votes(CHEST, facet="region")], decisions=[decision])
    assert (result.open, result.pointless) == ((), 1)


def test_a_rater_with_two_answers_is_refused() -> None:
    with pytest.raises(RejectedInput, match="rater-1 answers modality in different ways"):
        adjudicate([*votes(CT), *votes(PET)])


def test_what_is_settled_comes_back_by_image_and_facet(tmp_path: Path) -> None:
    annotations = [*votes(XRAY), *votes(PELVIS, facet="region"), *votes("combined", image="PMC7/b.jpg")]
    write_manual(tmp_path / "manual.csv", adjudicate(annotations).settled)
    assert read_manual(tmp_path / "manual.csv") == {
        "a": {"modality": XRAY, "region": PELVIS},
        "PMC7/b.jpg": {"modality": "combined"},
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,modality,CT\na,modality,CT\n", "manual.csv:3: modality of a occurs twice"),
        ("a,modality,\n", "manual.csv:2: '' is no modality"),
        ("a,colour,CT\n", "manual.csv:2: the facet is 'colour'"),
        (",modality,CT\n", "manual.csv:2: the image is empty"),
    ],
)
def test_a_broken_manual_table_is_refused(rows: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "manual.csv"
    path.write_text(f"image,facet,CUI\n{rows}")
    with pytest.raises(RejectedInput, match=message):
        read_manual(path)


def test_disagreements_filled_in_are_decisions(tmp_path: Path) -> None:
    annotations = [*votes(CT, PET), *votes(CT, XRAY, image="b")]
    path = tmp_path / "disagreements.csv"
    write_open(path, adjudicate(annotations).open)
    text = path.read_text()
    assert "rater-1: CT; rater-2: PET" in text
    path.write_text(text.replace("a,modality,,", "a,modality,PET,"))
    result = adjudicate(annotations, decisions=read(path, rater="adjudicator"))
    assert result.settled == {("a", "modality"): PET}
    assert [each.image for each in result.open] == ["b"]


def test_no_open_question_is_written_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    answers = (("=cmd()", CT), ("rater-2", PET))
    question = Open(image="a", facet="modality", reason="no majority", answers=answers)
    with pytest.raises(RejectedInput, match=r"the rater '=cmd\(\)' begins with"):
        write_open(tmp_path / "open.csv", [question])
