from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.records import Drop, Figure
from dataset_builder.stages.overrides import BY_HAND, Opinion, decide, read_overrides
from rocov2_eval.errors import RejectedInput

from made_figures import made_figure


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "overrides.csv"


def figure(name: str) -> Figure:
    return made_figure(name=name)


def test_decisions_are_keyed_like_figures(path: Path) -> None:
    path.write_text("PMCID,file,decision\nPMC7,a b%.jpg,keep\nPMC8,g02,drop\n")
    assert read_overrides(path) == {figure("a b%.jpg").key: True, "PMC8/g02": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"\.csv:1: no column PMCID, file, decision"),
        ("PMCID,file\n", r"\.csv:1: no column decision among PMCID, file"),
        ("PMCID,file,decision\nPMC7,a.jpg\n", r"\.csv:2: expected 3 cells"),
        (
            "PMCID,file,decision\nPMC7,a.jpg,perhaps\n",
            r"\.csv:2: decision is 'perhaps', expected keep or drop",
        ),
        ("PMCID,file,decision\n7,a.jpg,keep\n", r"\.csv:2: PMCID is '7', expected PMC and digits"),
        ("PMCID,file,decision\nPMC7,,keep\n", r"\.csv:2: the file is empty"),
        (
            "PMCID,file,decision\nPMC7,a.jpg,keep\nPMC7,a.jpg,drop\n",
            r"\.csv:3: PMC7/a.jpg occurs above, expected once",
        ),
        ('PMCID,file,decision\nPMC7,"a.jpg,keep\n', r"\.csv:2: expected 3 cells"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(RejectedInput, match=message):
        read_overrides(path)


def test_an_override_beats_the_opinion_either_way_and_says_so() -> None:
    opinions = [
        Opinion(figure=figure("a"), keeps=True, score=0.1, detail="never told"),
        Opinion(figure=figure("b"), keeps=False, score=0.9, detail="never told"),
    ]
    kept, drops = decide(opinions, {"PMC7/a": False, "PMC7/b": True}, "compound", "compound figure")
    assert [figure("b")] == kept
    expected = Drop(stage="compound", key="PMC7/a", reason="compound figure", detail=BY_HAND, score=0.1)
    assert [expected] == drops


def test_without_override_the_opinion_holds_and_the_order_stays() -> None:
    opinions = [
        Opinion(figure=figure(name), keeps=name in "bd", score=0.5, detail=f"why {name}") for name in "abcd"
    ]
    kept, drops = decide(opinions, {}, "compound", "compound figure")
    assert [one.graphic.name for one in kept] == ["b", "d"]
    assert [drop.detail for drop in drops] == ["why a", "why c"]


def test_a_drop_is_not_undone_by_an_override() -> None:
    drop = Drop(stage="compound", key="PMC7/a", reason="image cannot be read")
    assert ([], [drop]) == decide([drop], {"PMC7/a": True}, "compound", "compound figure")
