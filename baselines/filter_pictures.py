"""The pictures that an image filter learns from: a folder with one folder for each class.

folder/
  radiology/          one of the classes is the answer yes, all others are no
    a.jpg
    patient-7/b.jpg   a folder in a class is a group: it is never divided between training and validation,
  other/…             nor is a group of the same name in another class
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baselines.data.picture_files import SUFFIXES
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.pictures import PixelArray

VALID = 0.15  # share of the groups that the best epoch is chosen by


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassedPictures:
    """Pictures with the answer that a filter should give.

    Attributes:
        pixels: Decoded pictures, uint8 of shape (n, side, side, 3).
        answers: 1 for yes and 0 for no, shape (n,).
        groups: The group of each picture; a group is never divided.
        weights: How often each picture is drawn, among those of its answer, shape (n,).
    """

    pixels: PixelArray
    answers: IntArray
    groups: tuple[str, ...]
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, chosen: IntArray) -> ClassedPictures:
        """Return some of them, by index."""
        return ClassedPictures(
            pixels=self.pixels[chosen],
            answers=self.answers[chosen],
            groups=tuple(self.groups[index] for index in chosen),
            weights=self.weights[chosen],
        )


def class_files(folder: Path, positive: str) -> list[tuple[str, Path]]:
    """Return place and path of each picture of a folder of classes; a place begins with the class.

    Raises:
        UsageFault: The class of the answer yes, all others or the pictures of a class are missing.
    """
    classes = {path.name: _pictures_under(path) for path in sorted(folder.glob("*/"))}
    if positive not in classes or len(classes) < 2:  # noqa: PLR2004  yes and no
        found = ", ".join(classes) or "none"
        raise UsageFault(f"{folder}: found the classes {found}, expected {positive!r} and at least one other")
    for name, paths in classes.items():
        if not paths:
            raise UsageFault(f"{folder / name}: no picture, expected files that end in {' '.join(SUFFIXES)}")
    return [(path.relative_to(folder).as_posix(), path) for paths in classes.values() for path in paths]


def classed(places: Sequence[str], pixels: PixelArray, positive: str) -> ClassedPictures:
    """Return pictures with their answers; every class is drawn equally often.

    Args:
        places: Place of each picture, as `class_files` gives it.
        pixels: Decoded pictures, shape (n, side, side, 3).
        positive: The class that is the answer yes.
    """
    names = [place.partition("/")[0] for place in places]
    sizes = {name: names.count(name) for name in set(names)}
    return ClassedPictures(
        pixels=pixels,
        answers=np.array([int(name == positive) for name in names]),
        groups=tuple(map(_group, places)),
        weights=np.array([1 / sizes[name] for name in names]),
    )


def divide(groups: Sequence[str], share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return what to train on and what to keep aside, as indices; no group is in both.

    Args:
        groups: Group of each picture. On which side it falls depends on its name and the seed alone.
        share: About which part of the groups is kept aside.
        seed: Seed of the division.
    """
    aside = np.array([_number(group, seed) < share for group in groups], dtype=bool)
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def balanced(pictures: ClassedPictures, n: int, seed: int) -> IntArray:
    """Return n indices, half of them of the answer yes, each picture as often as its weight asks.

    Systematic sampling: a picture that is due 2.3 times comes twice or three times, never not at all.

    Raises:
        UsageFault: One of the answers is missing.
    """
    sides = [np.flatnonzero(pictures.answers == answer) for answer in (1, 0)]
    if not all(map(len, sides)):
        raise UsageFault(f"{len(sides[0])} pictures of the class and {len(sides[1])} others, expected both")
    draw = np.random.default_rng(seed)
    drawn = []
    for side, count in zip(sides, (n // 2, n - n // 2), strict=True):
        shuffled = draw.permutation(side)
        due = np.cumsum(pictures.weights[shuffled])
        drawn.append(
            shuffled[np.searchsorted(due, (np.arange(count) + draw.random()) / count * due[-1], "right")]
        )
    return np.concatenate(drawn)


def _pictures_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _group(place: str) -> str:
    """Return the folder of a picture inside its class, or the picture itself where there is none."""
    return Path(place).parent.as_posix().partition("/")[2] or place


def _number(group: str, seed: int) -> float:
    """Return a number in [0, 1) that follows from the name of a group and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{group}".encode()).digest()[:8]) / 2**64
