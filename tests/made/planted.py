"""Datasets in which the answer of an experiment is known: what is taught and asked is chosen.

Six kinds of pictures, each with a bright square at a place of its own, can be told apart by anything that
sees. So an arm that is taught a kind answers it right, and one that is not answers it wrong. The difference
of two arms follows from the share of the images of that kind, 1/6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from rocov2_eval.shelf.csv_files import write_csv

CT, XRAY, MRI, PET = "C0040405", "C1306645", "C0024485", "C0032743"
CHEST, ABDOMEN, HEART, UNSEEN = "C0817096", "C0000726", "C0018787", "C9999999"
CONSTANT = ("C1111111", "C2222222")  # concepts of every image: without information
KINDS = ((CT, CHEST), (CT, ABDOMEN), (XRAY, CHEST), (XRAY, ABDOMEN), (MRI, CHEST), (MRI, ABDOMEN))
SHARE = 1 / len(KINDS)
LAST = len(KINDS) - 1
EACH: Mapping[str, int] = {"train": 8, "valid": 4, "test": 12}  # images of each kind

Cells = dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An image: its kind, what the tables say of it, and its licence."""

    split: str
    kind: int
    number: int
    concepts: tuple[str, ...]
    licence: str = "CC BY"

    @property
    def image_id(self) -> str:
        return f"{self.split}_{self.number:04d}"


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is planted: how images are changed, the further table, and the difference that follows."""

    name: str
    difference: float
    change: Callable[[Shown], Shown | None] = lambda shown: shown
    table: Callable[[Shown], tuple[str, ...]] | None = None


def _only_other_licence(shown: Shown) -> Shown:
    """Let the last kind be taught under CC BY-NC alone, and have concepts of its own."""
    if shown.kind != LAST:
        return shown
    return replace(shown, concepts=(PET, HEART), licence="CC BY-NC")


def _any_licence(shown: Shown) -> Shown:
    return replace(_noisy(shown), licence="CC BY-NC" if shown.number // len(KINDS) % 3 == 0 else "CC BY")


def _single(shown: Shown) -> Shown:
    """Let the last kind have a single concept that no other has."""
    return replace(shown, concepts=(PET,)) if shown.kind == LAST else shown


def _single_of_no_use(shown: Shown) -> Shown | None:
    """Let the last kind, of a single concept, be taught and never asked."""
    if shown.kind == LAST and shown.split != "train":
        return None
    return _noisy(_single(shown))


def _unseen_region_of_mri(shown: Shown) -> Shown:
    """Let half of the test images of MRI have a region that nobody could know: F1 is 1/2 there."""
    is_asked = shown.split == "test" and MRI in shown.concepts and shown.number // len(KINDS) % 2 == 0
    return _unseen(shown) if is_asked else shown


def _noisy(shown: Shown) -> Shown:
    """Let one test image in four have a region that nobody could know, whatever its modality."""
    return _unseen(shown) if shown.split == "test" and shown.number // len(KINDS) % 4 == 0 else shown


def _unseen(shown: Shown) -> Shown:
    return replace(shown, concepts=(shown.concepts[0], UNSEEN))


def _taught_as_first(shown: Shown) -> tuple[str, ...]:
    """Say of the last kind what is true of the first."""
    return KINDS[0] if shown.kind == LAST else shown.concepts


def _seldom_wrong(shown: Shown) -> tuple[str, ...]:
    return (KINDS[0][0],) if shown.number % 29 == 0 else shown.concepts


EFFECTS: Sequence[Plant] = (
    Plant(name="licences", difference=-SHARE, change=_only_other_licence),
    Plant(name="single-concept", difference=-SHARE, change=_single),
    Plant(name="modality", difference=-SHARE, table=_taught_as_first),
    Plant(
        name="semantic-types", difference=-SHARE, table=lambda shown: (*_taught_as_first(shown), *CONSTANT)
    ),
    Plant(name="by-modality", difference=-1 / 4, change=_unseen_region_of_mri),
)
NULLS: Sequence[Plant] = (
    Plant(name="licences", difference=0, change=_any_licence),
    Plant(name="single-concept", difference=0, change=_single_of_no_use),
    Plant(name="modality", difference=0, change=_noisy, table=_seldom_wrong),
    Plant(
        name="semantic-types",
        difference=0,
        change=_noisy,
        table=lambda shown: (*shown.concepts, *CONSTANT),
    ),
    Plant(name="by-modality", difference=0, change=_noisy),
)


def planted(folder: Path, plant: Plant, each: Mapping[str, int] = EACH) -> tuple[Path, Path]:
    """Write a dataset, and beside it the further table of its concepts; return both paths.

    folder/data/        the dataset; two images in a row are of one article
    folder/further.csv  ID,CUIs of all images
    """
    data, rows = folder / "data", []
    for split, size in each.items():
        wanted = [
            Shown(split=split, kind=i % len(KINDS), number=i, concepts=KINDS[i % len(KINDS)])
            for i in range(size * len(KINDS))
        ]
        images = [shown for each_one in wanted if (shown := plant.change(each_one))]
        (data / split).mkdir(parents=True)
        for shown in images:
            Image.fromarray(_picture(shown)).save(data / split / f"{shown.image_id}.png")
        write_csv(
            data / f"{split}_concepts.csv",
            ("ID", "CUIs"),
            [(shown.image_id, ";".join(shown.concepts)) for shown in images],
        )
        write_csv(
            data / f"{split}_concepts_manual.csv",
            ("ID", "CUIs"),
            [(shown.image_id, shown.concepts[0]) for shown in images],
        )
        rows += images
    write_csv(
        data / "license_information.csv",
        ("ID", "PMCID", "Attribution", "Link"),
        [
            (shown.image_id, f"PMC{shown.split}{shown.number // 2}", f"{shown.licence} [Nobody (2020)]", "")
            for shown in rows
        ],
    )
    table = plant.table or (lambda shown: shown.concepts)
    write_csv(folder / "further.csv", ("ID", "CUIs"), [(row.image_id, ";".join(table(row))) for row in rows])
    return data, folder / "further.csv"


def _picture(shown: Shown) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return a grey picture with noise and a square, shape (32, 32)."""
    generator = np.random.default_rng([shown.number, len(shown.split)])
    levels = generator.normal(60, 15, (32, 32))
    down, right = divmod(shown.kind, 3)
    levels[4 + 14 * down :, 1 + 10 * right :][:10, :9] += 120
    return np.clip(levels, 0, 255).astype(np.uint8)
