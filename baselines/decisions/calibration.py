"""One temperature and one bias for all labels: sigmoid(temperature · logit + bias) for the probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from baselines.decisions.expected_f import ratio_counts
from baselines.decisions.ranked import ROWS, Probabilities, Ranked, Reference, f1_at, f1_curve
from rocov2_eval.records import BoolArray, FloatArray

_NEAR = 1e-7  # probabilities are kept this far from 0 and 1, where logits end
_LOWEST = -700.0  # below it the exponential overflows
_BINS = 256
_GRID = (-2.0, -1.0, 0.0, 1.0, 2.0)  # of the log2 of the temperature, and of the bias
_FINEST = 1 / 32  # step at which the search ends
_FARTHEST = 6.0  # of both: labels that are told apart without a fault would send them to infinity

Point = tuple[float, float]


def calibrated(probabilities: Probabilities, temperature: float, bias: float) -> FloatArray:
    """Return sigmoid(temperature · logit + bias) of each probability."""
    return sigmoid(temperature * logit(np.asarray(probabilities, np.float64)) + bias)


def fit_to_f1(ranked: Ranked, reference: Reference) -> tuple[float, float]:
    """Return the temperature and bias under which the ratio rule has the largest sample-averaged F1."""
    curve = f1_curve(ranked, reference)
    logits = logit(ranked.top)
    centres, numbers = logit_histogram(ranked.everything, _unranked(ranked))

    def mean_f1(temperature: float, bias: float) -> float:
        top = sigmoid(temperature * logits + bias)
        totals: FloatArray = top.sum(axis=1) + numbers @ sigmoid(temperature * centres + bias)
        return float(f1_at(curve, ratio_counts(top, totals)).mean())

    return _search(mean_f1)


def fit_to_likelihood(ranked: Ranked, reference: Reference) -> tuple[float, float]:
    """Return the temperature and bias under which the labels are likeliest (Platt 1999, all labels alike)."""
    centres, numbers = logit_histogram(ranked.everything)
    _, present = logit_histogram(ranked.everything, reference.truth)
    positives = present.sum(axis=0)
    negatives = numbers.sum(axis=0) - positives

    def likelihood(temperature: float, bias: float) -> float:
        logits = temperature * centres + bias
        return -float(positives @ np.logaddexp(0, -logits) + negatives @ np.logaddexp(0, logits))

    return _search(likelihood)


def logit_histogram(
    probabilities: Probabilities, counted: BoolArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the centres of bins of logits, and how many labels of each image fall into each.

    Sums under one temperature and bias after the other are read off this instead of off thousands of labels
    an image. A bin is 1/8 of a logit wide: where the most probable labels are counted one by one, as
    `fit_to_f1` does, the sum of all is right to one percent.

    Args:
        probabilities: Probability of each label, shape (n, labels).
        counted: Which labels to count; None for all.

    Returns:
        Shapes (bins,) and (n, bins).
    """
    end = math.log(1 - _NEAR) - math.log(_NEAR)
    width = 2 * end / _BINS
    numbers = np.zeros((len(probabilities), _BINS))
    for i in range(0, len(probabilities), ROWS):
        part = probabilities[i : i + ROWS]
        bins = np.clip((logit(part) + end) / width, 0, _BINS - 1).astype(np.int64)
        bins += _BINS * np.arange(len(part))[:, None]
        flat = bins.ravel() if counted is None else bins[counted[i : i + ROWS]]
        numbers[i : i + ROWS] = np.bincount(flat, minlength=_BINS * len(part)).reshape(-1, _BINS)
    return np.linspace(width / 2 - end, end - width / 2, _BINS, dtype=np.float64), numbers


def logit(probabilities: npt.NDArray[Any]) -> FloatArray:
    """Return log(p / (1 - p)), finite everywhere; as precise as what comes in."""
    inside = np.clip(probabilities, _NEAR, 1 - _NEAR)
    logits: FloatArray = np.log(inside) - np.log1p(-inside)
    return logits


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-logit))."""
    values: FloatArray = 1 / (1 + np.exp(-np.maximum(logits, _LOWEST)))
    return values


def _unranked(ranked: Ranked) -> BoolArray:
    """Return which labels are not among the ranked ones, shape (n, labels)."""
    unranked = np.ones(ranked.everything.shape, np.bool_)
    np.put_along_axis(unranked, ranked.order, values=False, axis=1)
    return unranked


def _search(objective: Callable[[float, float], float]) -> tuple[float, float]:
    """Return the temperature and bias with the largest objective: a grid, then ever smaller steps.

    The search begins with the probabilities as they are, and of equal points the first one stays.
    """
    place = (0.0, 0.0)  # log2 of the temperature, bias
    best = objective(1.0, 0.0)

    def look_at(points: Iterator[Point]) -> None:
        nonlocal place, best
        for point in points:
            if max(map(abs, point)) <= _FARTHEST and (value := objective(2.0 ** point[0], point[1])) > best:
                place, best = point, value

    look_at((scale, bias) for scale in _GRID for bias in _GRID)
    step = 1.0
    while step >= _FINEST:
        middle = place
        look_at(_around(middle, step))
        if place == middle:
            step /= 2
    return 2.0 ** place[0], place[1]


def _around(middle: Point, step: float) -> Iterator[Point]:
    for scale in (-step, 0.0, step):
        for bias in (-step, 0.0, step):
            if scale or bias:
                yield middle[0] + scale, middle[1] + bias
