from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.study.annotations import Annotation, Export
from dataset_builder.study.collecting import Change, collect, read_names
from rocov2_eval.errors import RejectedInput

CT, PET = "C0040405", "C0032743"
EARLY, LATE = "2026-01-31T12:00:00.000000Z", "2026-01-31T12:00:00.000001Z"


def answer(cui: str = CT, rater: str = "7", time: str = EARLY, image: str = "a") -> Annotation:
    return Annotation(image=image, facet="modality", cui=cui, rater=rater, time=time)


def export(*annotations: Annotation, **left_out: int) -> Export:
    return Export(annotations=annotations, left_out=left_out)


def test_the_same_answer_twice_counts_once() -> None:
    collected = collect([export(answer()), export(answer(time=LATE), answer())])
    assert (collected.annotations, collected.repeated, collected.changes) == ((answer(time=LATE),), 2, ())


def test_of_two_answers_the_later_counts_and_is_told() -> None:
    collected = collect([export(answer(PET, time=LATE)), export(answer(CT))])
    assert collected.annotations == (answer(PET, time=LATE),)
    assert collected.changes == (
        Change(image="a", facet="modality", rater="7", answers=((EARLY, CT), (LATE, PET)), counts=PET),
    )


@pytest.mark.parametrize("times", [(EARLY, EARLY), ("", ""), ("", LATE)])
def test_of_two_answers_none_counts_where_times_do_not_tell_the_later(times: tuple[str, str]) -> None:
    collected = collect([export(answer(CT, time=times[0]), answer(PET, time=times[1]))])
    assert collected.annotations == ()
    assert [change.counts for change in collected.changes] == [""]


def test_the_order_of_the_files_does_not_matter() -> None:
    exports = [export(answer(PET, time=LATE), drafts=1), export(answer(CT), answer(image="b"), drafts=2)]
    assert collect(exports) == collect(exports[::-1])
    assert collect(exports).left_out == {"drafts": 3}


def test_two_names_of_one_rater_become_one() -> None:
    collected = collect(
        [export(answer(rater="7")), export(answer(rater="a@example.org"))],
        {"7": "rater-1", "a@example.org": "rater-1"},
    )
    assert collected.annotations == (answer(rater="rater-1"),)


def test_a_rater_without_a_new_name_is_refused() -> None:
    with pytest.raises(RejectedInput, match="no name in the map of raters for 8; add a row"):
        collect([export(answer(rater="7"), answer(rater="8"))], {"7": "rater-1"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("7,\n", "map.csv:2: a row without name"),
        ("7,rater-1\n7,rater-2\n", "map.csv:3: 7 occurs above with another name"),
    ],
)
def test_a_broken_map_of_raters_is_refused(rows: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(f"rater,name\n{rows}")
    with pytest.raises(RejectedInput, match=message):
        read_names(path)
