"""Recognise images that show the same picture.

Three degrees: the same bytes, the same pixels, and a perceptual hash that differs in few bits. The hash is
made with integers alone, so that every machine gives the same one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dataset_builder.records import ImageFacts
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.pictures import Unreadable, is_deep, look, opaque

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

HashArray = npt.NDArray[np.uint64]

BITS = 64
# Half the size and JPEG quality 40 moves the hash of a chest X-ray by 4 bits at most, and other chest X-rays
# come as near as 6; a crop moves it further and is not found. benchmarks/bench_split.py measures it.
DEFAULT_DISTANCE = 4
MOST_DISTANCE = 12  # beyond it most hashes share a band with most others
_SIDE = 32
_FREQUENCIES = 8  # each way: 64 together
_SCALE = 1 << 12
_FLATTEST = 8  # grey levels between the darkest and the brightest of the 32x32 picture


def examine(content: bytes) -> ImageFacts | Unreadable:
    """Return what is seen of an image file.

    Truncated files, files that are no image and images of more than `MOST_PIXELS` are unreadable.

    Raises:
        MissingResource: Pillow is not installed.
    """
    return look(content, lambda image: _facts(hashlib.sha256(content).hexdigest(), image))


def clusters(images: Sequence[ImageFacts], distance: int = DEFAULT_DISTANCE) -> IntArray:
    """Return for each image the index of the first image of its cluster, shape (n,).

    Images with the same bytes, the same pixels or hashes at most `distance` bits apart are neighbours; a
    cluster is all that neighbours lead to.
    """
    hashed = np.array([i for i, image in enumerate(images) if image.perceptual is not None], np.int64)
    hashes = np.array([images[i].perceptual for i in hashed], np.uint64)
    pairs = [
        _equal_pairs([image.sha256 for image in images]),
        _equal_pairs([image.pixels for image in images]),
        hashed[near_pairs(hashes, distance)],
    ]
    return first_of_each(len(images), np.concatenate(pairs))


def near_pairs(hashes: HashArray, distance: int) -> IntArray:
    """Return pairs of indices whose hashes differ in at most `distance` bits: shape (pairs, 2), ascending.

    Equal hashes are paired with their first alone, and only that first with others: the pairs lead to the
    same clusters as all of them would.

    Two hashes at most d bits apart are equal in at least one of d + 1 bands of bits, so only hashes that
    share a band are compared.
    """
    if not 0 <= distance <= MOST_DISTANCE:
        raise UsageFault(f"distance: {distance}, expected 0 to {MOST_DISTANCE} bits of {BITS}")
    distinct, firsts, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(firsts[inverse] != np.arange(len(hashes)))
    pairs = [np.stack([firsts[inverse[repeated]], repeated], axis=1)]
    edges = np.linspace(0, BITS, distance + 2).round().astype(np.uint64)
    for low, high in pairwise(edges):
        if distance == 0:
            break
        band = (distinct >> low) & np.uint64((1 << int(high - low)) - 1)
        for left, right in _pairs_of_equal(band):
            near = np.bitwise_count(distinct[left] ^ distinct[right]) <= distance
            pairs.append(np.sort(np.stack([firsts[left[near]], firsts[right[near]]], axis=1), axis=1))
    return np.unique(np.concatenate(pairs), axis=0).astype(np.int64)


def first_of_each(n: int, pairs: IntArray) -> IntArray:
    """Return for each of n things the smallest index that pairs connect it with, shape (n,).

    Args:
        n: How many things there are.
        pairs: Shape (pairs, 2), indices of things that belong together.
    """
    firsts = np.arange(n)
    left, right = pairs[:, 0], pairs[:, 1]
    while True:
        ends = np.sort(np.stack([firsts[left], firsts[right]]), axis=0)
        apart = ends[0] < ends[1]
        if not apart.any():
            return firsts
        np.minimum.at(firsts, ends[1, apart], ends[0, apart])
        while not np.array_equal(firsts, firsts[firsts]):
            firsts = firsts[firsts]


def _facts(sha256: str, image: Picture) -> ImageFacts:
    grey = _grey(image)
    is_flat = int(grey.max()) - int(grey.min()) < _FLATTEST
    return ImageFacts(
        sha256=sha256,
        pixels=_pixel_digest(image),
        perceptual=None if is_flat else _perceptual_hash(grey),
        width=image.width,
        height=image.height,
    )


def _pixel_digest(image: Picture) -> str:
    """Return the SHA-256 of size and colours: grey, palette and RGB files of one picture give the same."""
    if is_deep(image):
        colours, mode = image, image.mode
    else:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        colours = image.convert(mode)
    digest = hashlib.sha256(f"{mode} {image.width}x{image.height} ".encode())
    digest.update(colours.tobytes())
    return digest.hexdigest()


def _grey(image: Picture) -> IntArray:
    """Return the picture as grey levels 0 to 255, shape (32, 32); what is transparent counts as white."""
    from PIL.Image import Resampling

    small = opaque(image).convert("L").resize((_SIDE, _SIDE), Resampling.BOX)
    return np.asarray(small, np.int64)


def _perceptual_hash(grey: IntArray) -> int:
    """Return one bit for each of the 8 x 8 lowest frequencies: above their median or not."""
    cosines = _cosines()
    spectrum = (cosines @ grey @ cosines.T).ravel()
    twice_median = np.sort(spectrum)[BITS // 2 - 1 : BITS // 2 + 1].sum()
    return int.from_bytes(np.packbits(2 * spectrum > twice_median).tobytes())


@lru_cache(maxsize=1)
def _cosines() -> IntArray:
    """Return the cosines of the transform as integers, shape (frequencies, 32)."""
    return np.array(
        [
            [round(_SCALE * math.cos(math.pi * u * (2 * x + 1) / (2 * _SIDE))) for x in range(_SIDE)]
            for u in range(_FREQUENCIES)
        ],
        np.int64,
    )


def _equal_pairs(keys: Sequence[str]) -> IntArray:
    first: dict[str, int] = {}
    pairs = [(first.setdefault(key, i), i) for i, key in enumerate(keys)]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], np.int64).reshape(-1, 2)


def _pairs_of_equal(band: HashArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield all pairs of indices with equal values, at most n pairs at a time."""
    order = np.argsort(band, kind="stable")
    ordered = band[order]
    starts = np.arange(len(band))
    for step in range(1, len(band)):
        starts = starts[: np.searchsorted(starts, len(band) - step)]
        starts = starts[ordered[starts] == ordered[starts + step]]
        if not len(starts):
            return
        yield order[starts], order[starts + step]
