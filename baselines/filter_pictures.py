"""The pictures that an image filter learns from: a folder of classes, or figures made of single pictures.

folder/
  radiology/          one folder a class; one of them is the answer yes, all others are no
    a.jpg
    patient-7/b.jpg   what lies deeper is a group: it is never divided between training and validation
  other/…
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from baselines.compounds import LARGEST, made_figures
from baselines.data.decoding import Broken, Fit, PixelArray, decode
from baselines.data.pack import pack_images
from rocov2_eval.command import silent
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import FloatArray, IntArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp")

ASIDE = 0.15  # share of the groups that the best epoch is chosen by
MADE = "compound"  # the class that can be made

_FAULTS_SHOWN = 5

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Pictures with the answer.

    Attributes:
        pixels: uint8, shape (n, side, side, 3).
        answers: 1 for yes, 0 for no; shape (n,).
        groups: Pictures of one group stay together; n of them.
        weights: How often each is drawn, among those of its answer; shape (n,).
    """

    pixels: PixelArray
    answers: IntArray
    groups: tuple[str, ...]
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, chosen: IntArray) -> Examples:
        """Return some of them, by index."""
        return Examples(
            pixels=self.pixels[chosen],
            answers=self.answers[chosen],
            groups=tuple(self.groups[index] for index in chosen),
            weights=self.weights[chosen],
        )


def read_examples(
    folder: Path,
    positive: str,
    cache: Path,
    *,
    side: int,
    fit: Fit,
    figures: int,
    seed: int,
    progress: Progress = silent,
) -> tuple[Examples, Examples]:
    """Return what to train on and what to keep aside, about one group in seven.

    Args:
        folder: Of classes, one of them named as `positive`; or, for compound figures, of single pictures.
        positive: The class that is the answer yes.
        cache: Folder for the packed pictures.
        side: Of the squares, in pixels.
        fit: How a picture comes to a square, see `decode`.
        figures: How many are made to train on, where they are made.
        seed: Of the division and of made figures.
        progress: Called with the number of pictures done and of all.

    Raises:
        UsageFault: The folder has not the shape.
        RejectedInput: Pictures are broken.
    """
    if (folder / positive).is_dir() or positive != MADE:
        examples = read_classes(folder, positive, cache, side=side, fit=fit, progress=progress)
        train, aside = divide(examples.groups, ASIDE, seed)
        return examples.take(train), examples.take(aside)
    singles = read_singles(folder)
    parts = divide([group for group, _ in singles], ASIDE, seed)
    made = [
        make_compounds(
            [singles[index][1] for index in part], n, side=side, fit=fit, seed=seed + at, progress=progress
        )
        for at, (part, n) in enumerate(zip(parts, (figures, max(2, figures // 8)), strict=True))
    ]
    return made[0], made[1]


def read_classes(
    folder: Path, positive: str, cache: Path, *, side: int, fit: Fit, progress: Progress = silent
) -> Examples:
    """Return the pictures of a folder of classes; every class is drawn equally often.

    Args:
        folder: See the head of the module.
        positive: The class that is the answer yes.
        cache: Folder for the packed pictures.
        side: Of the packed squares, in pixels.
        fit: How a picture comes to a square, see `decode`.
        progress: Called with the number of pictures packed and of all.

    Raises:
        UsageFault: The folder has not the shape.
        RejectedInput: Pictures are broken.
    """
    files = (
        {path.name: _pictures_under(path) for path in sorted(folder.glob("*/"))} if folder.is_dir() else {}
    )
    if positive not in files or len(files) < 2:  # noqa: PLR2004  yes and no
        found = ", ".join(files) or "none"
        raise UsageFault(f"{folder}: found the classes {found}, expected {positive!r} and at least one other")
    for name, paths in files.items():
        if not paths:
            raise UsageFault(f"{folder / name}: no picture, expected files that end in {' '.join(SUFFIXES)}")
    listed = [(path.relative_to(folder), name) for name, paths in files.items() for path in paths]
    packed = pack_images(
        [(place.as_posix(), folder / place) for place, _ in listed], cache, side, fit=fit, progress=progress
    )
    return Examples(
        pixels=packed.images,
        answers=np.array([int(name == positive) for _, name in listed]),
        groups=tuple(_group(place) for place, _ in listed),
        weights=np.array([1 / len(files[name]) for _, name in listed]),
    )


def read_singles(folder: Path) -> list[tuple[str, Image.Image]]:
    """Return the single pictures of a folder with their groups; RGB, no larger than a made figure.

    Raises:
        UsageFault: There are none.
        RejectedInput: Some are broken; the first are named.
    """
    paths = _pictures_under(folder)
    if not paths:
        raise UsageFault(f"{folder}: no picture, expected files that end in {' '.join(SUFFIXES)}")
    pictures, faults = [], []
    for path in paths:
        try:
            with Image.open(path) as image:
                image.draft("RGB", (LARGEST, LARGEST))
                picture = image.convert("RGB")
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
            faults.append(f"{path}: {error}")
            continue
        picture.thumbnail((LARGEST, LARGEST))
        pictures.append((_group(Path(folder.name) / path.relative_to(folder)), picture))
    if faults:
        shown = "\n".join(faults[:_FAULTS_SHOWN])
        raise RejectedInput(f"{len(faults)} of {len(paths)} pictures cannot be read:\n{shown}")
    return pictures


def make_compounds(
    pictures: Sequence[Image.Image], n: int, *, side: int, fit: Fit, seed: int, progress: Progress = silent
) -> Examples:
    """Return n made figures; every second is compound. See `made_figures`.

    Args:
        pictures: Single ones, RGB.
        n: How many figures.
        side: Of the squares, in pixels.
        fit: How a figure comes to a square, see `decode`.
        seed: Of everything.
        progress: Called with the number of figures made and of all.

    Raises:
        UsageFault: There is no picture.
    """
    if not pictures:
        raise UsageFault("no single picture to make figures of; expected some in two groups or more")
    pixels = np.empty((n, side, side, 3), np.uint8)
    answers = np.empty(n, np.int64)
    for number, (content, is_compound) in enumerate(made_figures(pictures, n, seed)):
        square = decode(content, side, fit)
        assert not isinstance(square, Broken)
        pixels[number], answers[number] = square, is_compound
        progress(number + 1, n)
    return Examples(
        pixels=pixels,
        answers=answers,
        groups=tuple(f"{seed}/{number}" for number in range(n)),
        weights=np.ones(n),
    )


def divide(groups: Sequence[str], share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return what to train on and what to keep aside, as indices; no group is in both.

    Args:
        groups: Of each example. On which side it falls depends on its name and the seed alone.
        share: About which part of the groups is kept aside.
        seed: Of the division.
    """
    aside = np.array([_place(group, seed) < share for group in groups], dtype=bool)
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def balanced(examples: Examples, n: int, seed: int) -> IntArray:
    """Return n indices, half of them of the answer yes, each example as often as its weight asks.

    Systematic sampling: an example that is due 2.3 times comes twice or three times, never not at all.

    Raises:
        UsageFault: One of the answers is missing.
    """
    sides = [np.flatnonzero(examples.answers == answer) for answer in (1, 0)]
    if not all(map(len, sides)):
        raise UsageFault(f"{len(sides[0])} pictures of the class and {len(sides[1])} others, expected both")
    draw = np.random.default_rng(seed)
    drawn = []
    for side, count in zip(sides, (n // 2, n - n // 2), strict=True):
        shuffled = draw.permutation(side)
        due = np.cumsum(examples.weights[shuffled])
        drawn.append(
            shuffled[np.searchsorted(due, (np.arange(count) + draw.random()) / count * due[-1], "right")]
        )
    return np.concatenate(drawn)


def _pictures_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _group(place: Path) -> str:
    """Return the folder of a picture inside its class, or the picture where there is none."""
    is_grouped = len(place.parts) > 2  # noqa: PLR2004  class, group, picture
    return place.parent.as_posix() if is_grouped else place.as_posix()


def _place(group: str, seed: int) -> float:
    """Return a number in [0, 1) that a group has by its name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{group}".encode()).digest()[:8]) / 2**64
