"""The nearest of many vectors, exactly, and what their labels say."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.shelf.progress import Progress, silent

Features = npt.NDArray[np.float32]

_AT_ONCE = 256  # vectors asked for
_HALF_STEP = 2.0**-24  # largest relative error of one rounding in float32
_SHORTEST = 1e-12  # length below which a vector has no direction


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """Which training pictures are asked, and how much each counts.

    Attributes:
        k: Number of the nearest pictures; 0 for the frequency of labels alone.
        sharpness: How much nearer ones count: a picture whose cosine is larger by d has exp(sharpness · d)
            times the weight; 0 for equal weights.
    """

    k: int = 0
    sharpness: float = 0.0


def nearest(
    known: Features,
    asked: Features,
    k: int,
    device: Any = "cpu",  # noqa: ANN401  torch is Any
    progress: Progress = silent,
) -> tuple[IntArray, FloatArray]:
    """Return the known vectors with the largest cosines, exactly: as float64 has them, equal ones by row.

    Cosines are those of directions from the mean of the known vectors: what all pictures have in common, as
    most networks see it, would hide what differs.

    One product of matrices in float32 tells all cosines but for rounding. Those that could be among the
    largest, by the bound of that rounding, are computed again in float64.

    Args:
        known: Vectors, shape (m, width).
        asked: Other vectors, shape (n, width).
        k: How many are wanted; all of them where there are fewer.
        device: Where the product is computed.
        progress: Called with the number of vectors done and of all.

    Returns:
        Rows in `known` and cosines, the largest first, both of shape (n, k).
    """
    k = min(k, len(known))
    rows, cosines = np.empty((len(asked), k), np.int64), np.empty((len(asked), k))
    if not k:
        return rows, cosines
    mean = known.mean(axis=0, dtype=np.float64)
    known, asked = directions(known, mean), directions(asked, mean)
    slack = 2 * (known.shape[1] + 1) * _HALF_STEP  # both the limit and the cosine below it are rounded
    with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
        matrix = torch.from_numpy(known).to(device).T
        for i in range(0, len(asked), _AT_ONCE):
            part = asked[i : i + _AT_ONCE]
            rounded = torch.from_numpy(part).to(device) @ matrix
            limits = torch.topk(rounded, k, dim=1).values[:, -1:] - slack
            owners, near = (each.cpu().numpy() for each in (rounded >= limits).nonzero(as_tuple=True))
            ends = np.searchsorted(owners, np.arange(len(part) + 1))
            for row, vector in enumerate(part):
                found = near[ends[row] : ends[row + 1]]
                exact = (known[found].astype(np.float64) * vector).sum(axis=1)
                best = np.argsort(-exact, kind="stable")[:k]
                rows[i + row], cosines[i + row] = found[best], exact[best]
            progress(i + len(part), len(asked))
    return rows, cosines


def vote(rows: IntArray, cosines: FloatArray, truth: BoolArray, neighbours: Neighbours) -> FloatArray:
    """Return the share of the nearest pictures that have each label.

    One frequency of the label over all known pictures is added as if it were one more neighbour, so that
    labels which no neighbour has keep their order.

    Args:
        rows: The nearest known pictures, the nearest first, `neighbours.k` or more; shape (n, any).
        cosines: Their cosines, of the same shape.
        truth: Which known picture has which label, shape (m, labels).
        neighbours: How many of them are asked, and how much each counts.

    Returns:
        Shares, shape (n, labels).

    Raises:
        RejectedInput: There is no known picture.
    """
    if not len(truth):
        raise RejectedInput("no training image to learn from")
    rows, cosines = rows[:, : neighbours.k], cosines[:, : neighbours.k]
    k = rows.shape[1]
    weights = k * weights_of(cosines, neighbours.sharpness)
    frequencies = truth.mean(axis=0)
    shares = np.empty((len(rows), truth.shape[1]))
    for i in range(0, len(rows), _AT_ONCE):  # what a block needs stays in the cache of a core
        votes = np.tile(frequencies, (len(rows[i : i + _AT_ONCE]), 1))
        for place in range(k):
            votes += weights[i : i + _AT_ONCE, place, None] * truth[rows[i : i + _AT_ONCE, place]]
        shares[i : i + _AT_ONCE] = votes / (k + 1)
    return np.minimum(shares, 1.0)  # rounding may exceed it


def weights_of(cosines: FloatArray, sharpness: float) -> FloatArray:
    """Return how much each neighbour counts, one in all; cosines and weights have shape (n, k).

    Args:
        cosines: Cosines of the neighbours.
        sharpness: See `Neighbours`.
    """
    weights = np.exp(sharpness * (cosines - cosines.max(axis=1, initial=-1.0, keepdims=True)))
    shares: FloatArray = weights / np.maximum(weights.sum(axis=1, keepdims=True), _SHORTEST)
    return shares


def directions(vectors: Features, mean: FloatArray) -> Features:
    """Return the directions of vectors from a mean, of length 1; a vector at the mean has none and is 0."""
    found = np.empty_like(vectors)
    for i in range(0, len(vectors), _AT_ONCE):  # in float64 all of them would take much memory
        apart = vectors[i : i + _AT_ONCE] - mean
        lengths = np.linalg.norm(apart, axis=1, keepdims=True)
        found[i : i + _AT_ONCE] = np.where(lengths > _SHORTEST, apart / np.maximum(lengths, _SHORTEST), 0)
    return found
