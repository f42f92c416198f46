"""What raters are asked: tasks of a dataset or a folder of pictures, a sample, a share for each rater."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dataset_builder.dataset_tables import PICTURE_SUFFIXES, read_dataset
from dataset_builder.study.annotations import RatingTask, named_image
from rocov2_eval.errors import UsageFault

_TABLES = ("_captions.csv", "_concepts.csv")  # a folder with such a table is a dataset


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is a dataset in the ROCOv2 layout."""
    return any(next(folder.glob(f"*{ending}"), None) for ending in _TABLES)


def tasks_of(
    folder: Path, facets: Sequence[str], *, captions: bool = False, keys: Mapping[str, str] | None = None
) -> list[RatingTask]:
    """Return a task for each picture of a dataset in the ROCOv2 layout, or of any other folder.

    Args:
        folder: Folder of the pictures. The key of an image is its id in a dataset, else its path.
        facets: Names of the facets that are asked.
        captions: Whether raters see the caption beside the picture; only a dataset has captions.
        keys: Other keys of images of a dataset, by id.

    Raises:
        UsageFault: There is no picture, or captions are asked of a folder of pictures.
        RejectedInput: A table cannot be read, or the name of a picture is no text.
    """
    keys = keys or {}
    if is_dataset(folder):
        tasks = [
            RatingTask(
                image=keys.get(row.image_id, row.image_id),
                picture=row.image,
                facets=tuple(facets),
                text=row.caption if captions else "",
            )
            for row in read_dataset(folder).rows
            if row.image is not None
        ]
    elif captions:
        raise UsageFault(f"{folder}: a folder of pictures has no captions; leave --captions out")
    else:
        tasks = [
            RatingTask(
                image=named_image(path.relative_to(folder).as_posix(), str(folder)),
                picture=path,
                facets=tuple(facets),
            )
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
        ]
    if not tasks:
        raise UsageFault(f"{folder}: no picture in it; of a dataset, unpack the archives of images first")
    return tasks


def sample(tasks: Sequence[RatingTask], size: int, seed: int) -> list[RatingTask]:
    """Draw tasks, in the order in which they came.

    A task is drawn by its key and the seed alone, so that a larger sample holds the smaller.

    Args:
        tasks: Tasks to draw from.
        size: Number of tasks to draw; all are drawn if there are no more.
        seed: Seed of the draw.
    """
    drawn = {task.image for task in sorted(tasks, key=lambda task: _lot(seed, task.image))[:size]}
    return [task for task in tasks if task.image in drawn]


def deal(tasks: Sequence[RatingTask], raters: int, overlap: float, seed: int) -> dict[str, list[RatingTask]]:
    """Return the tasks of each rater: a share that all of them see, and the rest dealt out one by one.

    Args:
        tasks: Tasks to deal.
        raters: Number of raters; their names are `rater-1`, `rater-2` and so on.
        overlap: Share in [0, 1] of the tasks that every rater sees, rounded to whole tasks.
        seed: Seed that decides which rater gets which task.
    """
    order = sorted(tasks, key=lambda task: _lot(seed + 1, task.image))  # not the order of the sample
    shared = round(overlap * len(tasks))
    seen: list[set[str]] = [{task.image for task in order[:shared]} for _ in range(raters)]
    for place, task in enumerate(order[shared:]):
        seen[place % raters].add(task.image)
    return {
        f"rater-{number}": [task for task in tasks if task.image in mine]
        for number, mine in enumerate(seen, start=1)
    }


def _lot(seed: int, image: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{image}".encode()).digest()
