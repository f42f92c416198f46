"""Make compound figures of single pictures: a folder of classes for the recipe `filter_compound`.

    OUT/
        compound/pool-03/0007.jpg   several pictures in one figure
        single/pool-03/0006.jpg     one picture, with frames, letters or marks

Usage: python tools/make_compounds.py PICTURES OUT [--figures N] [--seed N]
       rocov2-baselines train filter_compound --data OUT

PICTURES holds single pictures; a folder inside it is a group, such as a patient or an article. All figures of
a pool are made of the same groups, and the training never divides a pool, so that no picture is in both its
training and its validation part.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from baselines.data.decoding import Fit, decode
from baselines.data.picture_files import SUFFIXES
from baselines.filter_pictures import ClassedPictures
from rocov2_eval.shelf.pictures import DAMAGED, Unreadable

from compounds import LARGEST, made_figures

POOLS = 40  # about six of them are what the best epoch is chosen by


def main() -> int:
    """Read, make, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder of single pictures")
    parser.add_argument("out", type=Path, help="folder of classes, to be made")
    parser.add_argument("--figures", type=int, default=4096, help="how many; every second is compound")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pools = read_pools(arguments.pictures)
    for number, pool in enumerate(pools):
        n = arguments.figures // len(pools)
        for index, (content, is_compound) in enumerate(made_figures(pool, n, arguments.seed + number)):
            folder = arguments.out / ("compound" if is_compound else "single") / f"pool-{number:02}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{index:04}.jpg").write_bytes(content)
    return 0


def read_pools(folder: Path) -> list[list[Image.Image]]:
    """Return the pictures of a folder in pools of whole groups; RGB, no larger than a made figure."""
    groups: dict[str, list[Image.Image]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            place = path.relative_to(folder)
            group = place.parent.as_posix() if len(place.parts) > 1 else place.name
            groups.setdefault(group, []).append(read_picture(path))
    if len(groups) < POOLS:
        raise SystemExit(f"{folder}: {len(groups)} pictures or groups of pictures, expected {POOLS} or more")
    pools: list[list[Image.Image]] = [[] for _ in range(POOLS)]
    for number, pictures in enumerate(groups.values()):
        pools[number % POOLS] += pictures
    return pools


def read_picture(path: Path) -> Image.Image:
    """Return a single picture; a broken one ends the program."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (LARGEST, LARGEST))
            picture = image.convert("RGB")
    except DAMAGED as error:
        raise SystemExit(f"{path}: cannot be read: {error}") from None
    picture.thumbnail((LARGEST, LARGEST))
    return picture


def figure_pictures(
    pictures: Sequence[Image.Image], n: int, *, side: int, fit: Fit, seed: int
) -> ClassedPictures:
    """Return n made figures as a filter sees them; every second is compound.

    Args:
        pictures: Single pictures, RGB.
        n: Number of figures.
        side: Height and width of the squares in pixels.
        fit: How a figure comes to a square, see `decode`.
        seed: Seed of everything random.
    """
    pixels = np.empty((n, side, side, 3), np.uint8)
    answers = np.empty(n, np.int64)
    for number, (content, is_compound) in enumerate(made_figures(pictures, n, seed)):
        square = decode(content, side, fit)
        assert not isinstance(square, Unreadable)
        pixels[number], answers[number] = square, is_compound
    groups = tuple(f"{seed}/{number}" for number in range(n))
    return ClassedPictures(pixels=pixels, answers=answers, groups=groups, weights=np.ones(n))


if __name__ == "__main__":
    raise SystemExit(main())
