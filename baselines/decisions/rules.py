"""The rules: how many labels each answers, and how its parameters are fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from baselines.decisions.calibration import calibrated, fit_to_f1, fit_to_likelihood
from baselines.decisions.expected_f import MOST_EXACT, exact_counts, ratio_counts
from baselines.decisions.ranked import ROWS, Ranked, Reference, f1_curve
from rocov2_eval.records import FloatArray, IntArray

RuleName = Literal["fixed", "threshold", "never-empty", "top-k", "expected-f", "exact-expected-f"]
Parameters = Mapping[str, float]

_HALF = 0.5
_BEYOND = 1e-6  # how far a threshold that nothing reaches, or everything, lies beyond 1 and 0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule.

    Attributes:
        parameters: Names of the parameters that are fitted on the validation split.
        fit: Returns the best parameters for images and what they show.
        counts: Returns the number of labels of each image, shape (n,).
    """

    parameters: tuple[str, ...]
    fit: Callable[[Ranked, Reference], Parameters]
    counts: Callable[[Ranked, Parameters], IntArray]


def _fit_fixed(_ranked: Ranked, _reference: Reference) -> Parameters:
    return {"threshold": _HALF}


def _fit_threshold(ranked: Ranked, reference: Reference) -> Parameters:
    return {"threshold": _best_threshold(ranked.top, f1_curve(ranked, reference))}


def _threshold_counts(ranked: Ranked, parameters: Parameters) -> IntArray:
    counts: IntArray = (ranked.top >= parameters["threshold"]).sum(axis=1, dtype=np.int64)
    return counts


def _fit_never_empty(ranked: Ranked, reference: Reference) -> Parameters:
    # The first label stands whatever the threshold, which is chosen for those after it.
    return {"threshold": _best_threshold(ranked.top[:, 1:], f1_curve(ranked, reference)[:, 1:])}


def _never_empty_counts(ranked: Ranked, parameters: Parameters) -> IntArray:
    return np.maximum(_threshold_counts(ranked, parameters), 1)


def _best_threshold(top: FloatArray, curve: FloatArray) -> float:
    """Return the best of all thresholds: as it falls, labels join one by one, and each changes one F1.

    Args:
        top: Probabilities of the labels that may join, falling, shape (n, m).
        curve: F1 with 0, 1, … m of them, shape (n, m + 1).

    Returns:
        The middle between the last label that joins and the first that does not.
    """
    joining = top.ravel()
    falling = np.argsort(-joining, kind="stable")
    gains = np.concatenate([[0.0], np.diff(curve, axis=1).ravel()[falling].cumsum()])
    edges = np.concatenate([[1 + _BEYOND], joining[falling], [-_BEYOND]])
    apart = edges[1:] < edges[:-1]  # equal probabilities join together
    best = int(np.where(apart, gains, -np.inf).argmax())
    middle = (edges[best] + edges[best + 1]) / 2
    return float(middle if middle > edges[best + 1] else edges[best])  # neighbours have no middle


def _fit_top_k(ranked: Ranked, reference: Reference) -> Parameters:
    means = f1_curve(ranked, reference)[:, 1:].mean(axis=0)
    return {"k": float(means.argmax() + 1)}


def _top_k_counts(ranked: Ranked, parameters: Parameters) -> IntArray:
    return np.full(len(ranked), min(int(parameters["k"]), ranked.top.shape[1]), np.int64)


def _fit_expected_f(ranked: Ranked, reference: Reference) -> Parameters:
    temperature, bias = fit_to_f1(ranked, reference)
    return {"temperature": temperature, "bias": bias}


def _expected_f_counts(ranked: Ranked, parameters: Parameters) -> IntArray:
    totals = np.empty(len(ranked))
    for i in range(0, len(ranked), ROWS):
        totals[i : i + ROWS] = calibrated(ranked.everything[i : i + ROWS], **parameters).sum(axis=1)
    return ratio_counts(calibrated(ranked.top, **parameters), totals)


def _fit_exact_expected_f(ranked: Ranked, reference: Reference) -> Parameters:
    # The rule is exact where the probabilities are true, and true ones make the labels most likely.
    temperature, bias = fit_to_likelihood(ranked, reference)
    return {"temperature": temperature, "bias": bias}


def _exact_expected_f_counts(ranked: Ranked, parameters: Parameters) -> IntArray:
    most = min(MOST_EXACT, ranked.top.shape[1])
    counts = np.empty(len(ranked), np.int64)
    for i in range(0, len(ranked), ROWS):
        part = ranked.rows(slice(i, i + ROWS))
        rest = calibrated(part.everything, **parameters)
        np.put_along_axis(rest, part.order[:, :most], 0, axis=1)  # a label of probability 0 adds nothing
        counts[i : i + ROWS] = exact_counts(calibrated(part.top[:, :most], **parameters), rest)
    return counts


RULES: Mapping[RuleName, Rule] = {
    "fixed": Rule(parameters=("threshold",), fit=_fit_fixed, counts=_threshold_counts),
    "threshold": Rule(parameters=("threshold",), fit=_fit_threshold, counts=_threshold_counts),
    "never-empty": Rule(parameters=("threshold",), fit=_fit_never_empty, counts=_never_empty_counts),
    "top-k": Rule(parameters=("k",), fit=_fit_top_k, counts=_top_k_counts),
    "expected-f": Rule(parameters=("temperature", "bias"), fit=_fit_expected_f, counts=_expected_f_counts),
    "exact-expected-f": Rule(
        parameters=("temperature", "bias"), fit=_fit_exact_expected_f, counts=_exact_expected_f_counts
    ),
}
