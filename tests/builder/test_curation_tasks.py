from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dataset_builder.study.annotations import RatingTask
from dataset_builder.study.tasks import deal, sample, tasks_of
from rocov2_eval.errors import UsageFault

TASKS = [RatingTask(image=f"{number:03}", picture=None, facets=("modality",)) for number in range(200)]


def test_a_sample_depends_on_keys_and_seed_alone() -> None:
    drawn = sample(TASKS, 20, 0)
    assert len(drawn) == 20
    assert sample(TASKS[::-1], 20, 0)[::-1] == drawn != sample(TASKS, 20, 1)
    assert set(drawn) < set(sample(TASKS, 50, 0))
    assert sample(TASKS, 500, 0) == TASKS


@pytest.mark.parametrize(("overlap", "each", "shared"), [(1.0, 200, 200), (0.0, 50, 0), (0.5, 125, 100)])
def test_raters_share_as_many_images_as_asked(overlap: float, each: int, shared: int) -> None:
    shares = deal(TASKS, 4, overlap, 0)
    seen = Counter(task.image for share in shares.values() for task in share)
    assert [len(share) for share in shares.values()] == [each] * 4
    assert sum(times == 4 for times in seen.values()) == shared
    assert len(seen) == 200


def test_a_dataset_gives_ids_and_captions(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "i1.jpg").write_bytes(b"")
    (tmp_path / "train_captions.csv").write_text("ID,Caption\ni1,A chest.\ni2,No picture.\n")
    (tmp_path / "train_concepts.csv").write_text("ID,CUIs\ni1,C0040405;C0000001\ni2,C0040405;C0032743\n")
    (task,) = tasks_of(tmp_path, ("modality",), captions=True)
    assert (task.image, task.text) == ("i1", "A chest.")


def test_a_folder_gives_paths(tmp_path: Path) -> None:
    (tmp_path / "PMC7").mkdir()
    for name in ("PMC7/b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [task.image for task in tasks_of(tmp_path, ("modality",))] == ["PMC7/b.PNG", "a.jpg"]


@pytest.mark.parametrize(("captions", "message"), [(False, "no picture in it"), (True, "has no captions")])
def test_a_folder_that_has_not_what_is_asked_is_refused(
    captions: bool,  # noqa: FBT001  a parameter of the test
    message: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageFault, match=message):
        tasks_of(tmp_path, ("modality",), captions=captions)
