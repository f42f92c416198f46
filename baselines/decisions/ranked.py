"""Labels ranked by probability, and the F1 of every number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray, FloatArray, IntArray

Probabilities = npt.NDArray[np.floating[Any]]
Rows = slice | BoolArray

MOST = EDITIONS[DEFAULT_EDITION].concepts.most  # concepts that a run may name for an image
ROWS = 256  # images at a time, wherever all labels are looked at: they stay in the cache of a core


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """Probabilities of n images, the most probable labels ranked.

    Attributes:
        everything: Probability of each label, shape (n, labels).
        order: The most probable labels, falling, equal ones by place; shape (n, most).
        top: Probabilities of the labels in `order`, shape (n, most).
    """

    everything: Probabilities
    order: IntArray
    top: FloatArray

    def __len__(self) -> int:
        return len(self.top)

    def rows(self, rows: Rows) -> Self:
        """Return some of the images."""
        return type(self)(everything=self.everything[rows], order=self.order[rows], top=self.top[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """What n images show.

    Attributes:
        truth: Which image has which label, shape (n, labels).
        sizes: Number of concepts of each image, those that are no label included.
    """

    truth: BoolArray
    sizes: IntArray

    def rows(self, rows: Rows) -> Self:
        """Return some of the images."""
        return type(self)(truth=self.truth[rows], sizes=self.sizes[rows])


def rank(probabilities: Probabilities) -> Ranked:
    """Rank the labels of each image.

    Raises:
        ValueError: There are no labels.
        RejectedInput: A probability is not a number from 0 to 1.
    """
    if probabilities.ndim != 2 or not probabilities.shape[1]:  # noqa: PLR2004  images and labels
        raise ValueError(f"probabilities of shape {probabilities.shape}, expected images and labels")
    sound = np.logical_and(probabilities >= 0, probabilities <= 1).all(axis=1)
    if not sound.all():
        raise RejectedInput(
            f"the probabilities of {(~sound).sum():,} of {len(probabilities):,} images are not numbers "
            "from 0 to 1: the training diverged; train with a lower learning rate"
        )
    most = min(MOST, probabilities.shape[1])
    order = np.empty((len(probabilities), most), np.int64)
    for i in range(0, len(probabilities), ROWS):
        order[i : i + ROWS] = _order(probabilities[i : i + ROWS], most)
    top = np.take_along_axis(probabilities, order, axis=1).astype(np.float64)
    return Ranked(everything=probabilities, order=order, top=top)


def refer(truth: BoolArray, outside: IntArray | None) -> Reference:
    """Return what images show; `outside` counts the concepts of each that are no label, None for none."""
    sizes = truth.sum(axis=1, dtype=np.int64)
    return Reference(truth=truth, sizes=sizes if outside is None else sizes + outside)


def f1(shared: IntArray, first: IntArray, second: IntArray) -> FloatArray:
    """Return 2·shared / (first + second), 1 where both sizes are 0."""
    sizes = first + second
    values: FloatArray = np.where(sizes == 0, 1.0, 2 * shared / np.maximum(sizes, 1))
    return values


def f1_curve(ranked: Ranked, reference: Reference) -> FloatArray:
    """Return the F1 of each image for each number of labels, from 0 to most; shape (n, most + 1).

    Raises:
        ValueError: Shapes differ.
    """
    if reference.truth.shape != ranked.everything.shape:
        raise ValueError(f"truth of shape {reference.truth.shape}, probabilities {ranked.everything.shape}")
    hits = np.zeros((len(ranked), ranked.order.shape[1] + 1), np.int64)
    np.take_along_axis(reference.truth, ranked.order, axis=1).cumsum(axis=1, out=hits[:, 1:])
    return f1(hits, np.arange(hits.shape[1]), reference.sizes[:, None])


def f1_at(curve: FloatArray, counts: IntArray) -> FloatArray:
    """Return the F1 of each image for its number of labels, shape (n,)."""
    values: FloatArray = np.take_along_axis(curve, counts[:, None], axis=1)[:, 0]
    return values


def _order(probabilities: Probabilities, most: int) -> IntArray:
    """Return the most probable labels, falling; shape (n, most)."""
    order = np.argpartition(-probabilities, most - 1, axis=1)[:, :most]
    order.sort(axis=1)  # so that the stable sort leaves equal ones by place
    falling = np.argsort(-np.take_along_axis(probabilities, order, axis=1), axis=1, kind="stable")
    ranked: IntArray = np.take_along_axis(order, falling, axis=1)
    return ranked
