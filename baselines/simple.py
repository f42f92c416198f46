"""Baselines that no network may fall below: how frequent concepts are, and the nearest pictures by pixels.

Both give probabilities, so that the same decisions apply to them as to a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from baselines.data.decoding import PixelArray
from baselines.decisions import DEFAULT_RULE, Decision, RuleName, decide, fit, sample_f1
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray, FloatArray, IntArray

Distance = Literal["euclidean", "cosine"]
Features = npt.NDArray[np.float32]

NEIGHBOURS = (1, 3, 5, 9, 15, 25, 49)
DISTANCES: tuple[Distance, ...] = ("euclidean", "cosine")
_ROWS = 256  # pictures at a time
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The best way to ask the nearest pictures.

    Attributes:
        k: How many are asked.
        distance: Between pictures.
        decision: From their shares to concepts.
        valid: Sample-averaged F1 on the validation split that chose all this.
    """

    k: int
    distance: Distance
    decision: Decision
    valid: float


def frequencies(truth: BoolArray, n: int) -> FloatArray:
    """Return the frequency of each label among training images as its probability for n other images.

    The decisions make the most frequent set of labels of it, the same for every image.

    Args:
        truth: Of the training split, shape (images, labels).
        n: Number of images to answer.

    Returns:
        Shape (n, labels).
    """
    _refuse_none(truth)
    return np.tile(truth.mean(axis=0), (n, 1))


def thumbnails(images: PixelArray, side: int = 16) -> Features:
    """Return pictures as small grey ones, each level the mean of the pixels under it.

    Args:
        images: Packed, shape (n, height, width, 3); at least `side` pixels high and wide.
        side: Height and width of the small ones.

    Returns:
        Levels from 0 to 1, shape (n, side·side).
    """
    height, width = images.shape[1:3]
    if min(height, width) < side:
        raise ValueError(f"pictures of {height}x{width} pixels, expected {side} or more")
    rows, columns = (np.arange(side) * length // side for length in (height, width))
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width)) * np.float32(255)
    small = np.empty((len(images), side * side), np.float32)
    for i in range(0, len(images), _ROWS):
        grey = images[i : i + _ROWS].astype(np.float32) @ _LUMA
        sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
        small[i : i + _ROWS] = (sums / areas).reshape(len(grey), -1)
    return small


def neighbour_shares(
    known: Features, truth: BoolArray, asked: Features, k: int, distance: Distance
) -> FloatArray:
    """Return the share of the k nearest known pictures that have each label.

    One frequency of the label over all known pictures is added as if it were one more neighbour, so that
    labels which no neighbour has keep their order.

    Args:
        known: Of training pictures, shape (images, features).
        truth: Their labels, shape (images, labels).
        asked: Of other pictures, shape (n, features).
        k: How many neighbours; all of them where there are fewer.
        distance: Between pictures.

    Returns:
        Shape (n, labels).
    """
    _refuse_none(truth)
    return _shares(nearest(known, asked, k, distance), truth)


def nearest(known: Features, asked: Features, k: int, distance: Distance) -> IntArray:
    """Return the rows of the k nearest known pictures, the nearest first, equal ones by row; shape (n, k)."""
    first, second = (_directions(known), _directions(asked)) if distance == "cosine" else (known, asked)
    k = min(k, len(first))
    lengths = (first**2).sum(axis=1)
    rows = np.empty((len(second), k), np.int64)
    for i in range(0, len(second), _ROWS):
        far = lengths - 2 * (second[i : i + _ROWS] @ first.T)  # without what is the same for all of a row
        rows[i : i + _ROWS] = np.argsort(far, axis=1, kind="stable")[:, :k]
    return rows


def fit_neighbours(
    known: tuple[Features, BoolArray],
    valid: tuple[Features, BoolArray],
    *,
    outside: IntArray | None = None,
    rule: RuleName = DEFAULT_RULE,
    numbers: Sequence[int] = NEIGHBOURS,
) -> Neighbours:
    """Choose distance and number of neighbours by F1 on the validation split.

    Args:
        known: Features and labels of the training split.
        valid: Features and labels of the validation split.
        outside: As in `decisions.fit`.
        rule: From shares to concepts.
        numbers: Of neighbours, to choose from.
    """
    _refuse_none(known[1])
    best: Neighbours | None = None
    for distance in DISTANCES:
        rows = nearest(known[0], valid[0], max(numbers), distance)
        for k in numbers:
            shares = _shares(rows[:, :k], known[1])
            decision = fit(shares, valid[1], rule, outside)
            value = float(sample_f1(decide(shares, decision), valid[1], outside).mean())
            if best is None or value > best.valid:
                best = Neighbours(k=k, distance=distance, decision=decision, valid=value)
    assert best is not None, "there are distances and numbers"
    return best


def _shares(rows: IntArray, truth: BoolArray) -> FloatArray:
    votes = np.empty((len(rows), truth.shape[1]))
    for i in range(0, len(rows), _ROWS):
        votes[i : i + _ROWS] = truth[rows[i : i + _ROWS]].sum(axis=1)
    shares: FloatArray = (votes + truth.mean(axis=0)) / (rows.shape[1] + 1)
    return shares


def _directions(features: Features) -> Features:
    """Return features about their mean, of length 1: how light a picture is does not count."""
    centred = features - features.mean(axis=1, keepdims=True)
    directions: Features = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return directions


def _refuse_none(truth: BoolArray) -> None:
    if not len(truth):
        raise RejectedInput("no training image to learn from")
