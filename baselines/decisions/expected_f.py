"""How many of the most probable labels to answer, so that the expected F1 is largest.

For labels that are independent given the image, the best answer of every size holds the most probable labels
(Dembczyński et al., NeurIPS 2011; Waegeman et al., JMLR 2014): only the number of labels is left to choose.
"""

from __future__ import annotations

import math

import numpy as np

from rocov2_eval.records import FloatArray, IntArray

MOST_EXACT = 25  # labels that an exact answer may have
_ROWS = 256  # images at a time: what they need stays in the cache of a core
_TAIL = 12.0  # standard deviations beyond which a count of labels is not told apart


def ratio_counts(ranked: FloatArray, totals: FloatArray) -> IntArray:
    """Return the number of labels by the ratio of expectations, 2·Σ top k / (k + Σ all), at least 1.

    Args:
        ranked: Probabilities of the most probable labels, falling, shape (n, most).
        totals: Sum of the probabilities of all labels, shape (n,).

    Returns:
        Shape (n,).
    """
    sizes = np.arange(1, ranked.shape[1] + 1)
    ratios = 2 * np.cumsum(ranked, axis=1) / (sizes + totals[:, None])
    counts: IntArray = ratios.argmax(axis=1).astype(np.int64) + 1
    return counts


def exact_counts(ranked: FloatArray, rest: FloatArray) -> IntArray:
    """Return the number of labels with the largest expected F1 of independent labels, at least 1.

    Args:
        ranked: Probabilities of the most probable labels, falling, shape (n, most); at most `MOST_EXACT`.
        rest: Probabilities of all other labels, in any order, shape (n, others).

    Returns:
        Shape (n,).
    """
    counts: IntArray = expected_f1(ranked, rest).argmax(axis=1).astype(np.int64) + 1
    return counts


def expected_f1(ranked: FloatArray, rest: FloatArray) -> FloatArray:
    """Return the expected F1 of answering the first 1, 2, … most labels; arguments as in `exact_counts`.

    With a hits among the k labels answered and b concepts beyond them, F1 = 2a / (k + a + b). Both are sums
    of independent labels, whose distributions are built up label by label.

    Returns:
        Shape (n, most).
    """
    most = ranked.shape[1]
    if most > MOST_EXACT:
        raise ValueError(f"{most} labels, expected at most {MOST_EXACT}")
    parts = range(0, len(ranked), _ROWS)
    chunks = [_expected_f1(ranked[i : i + _ROWS], rest[i : i + _ROWS]) for i in parts]
    return np.concatenate(chunks) if chunks else np.zeros((0, most))


def _expected_f1(ranked: FloatArray, rest: FloatArray) -> FloatArray:
    n, most = ranked.shape
    beyond = _nothing(n, _most_counted(rest, most))
    for column in np.ascontiguousarray(rest.T):
        _add_label(beyond, column)
    hits = [_nothing(n, most + 1)]
    for k in range(most):
        hits.append(hits[-1].copy())
        _add_label(hits[-1], ranked[:, k])
    expected = np.empty((n, most))
    for k in range(most, 0, -1):
        a, b = np.arange(k + 1)[:, None], np.arange(beyond.shape[1])
        expected[:, k - 1] = np.einsum(
            "na,ab,nb->n", hits[k][:, : k + 1], 2 * a / (k + a + b), beyond, optimize=True
        )
        _add_label(beyond, ranked[:, k - 1])  # the k-th label is beyond an answer of k - 1
    return expected


def _most_counted(rest: FloatArray, most: int) -> int:
    """Return how many counts of labels beyond the answer to tell apart; the last stands for all above it."""
    if not rest.size:
        return most + 1
    mean, variance = float(rest.sum(axis=1).max()), float((rest * (1 - rest)).sum(axis=1).max())
    return int(min(rest.shape[1], math.ceil(mean + _TAIL * math.sqrt(variance)) + 1)) + most + 1


def _nothing(n: int, counts: int) -> FloatArray:
    """Return the distribution of the sum of no labels: 0 for sure."""
    distribution = np.zeros((n, counts))
    distribution[:, 0] = 1
    return distribution


def _add_label(distribution: FloatArray, probability: FloatArray) -> None:
    """Add one label to the distribution of a sum, in place; shapes (n, counts) and (n,)."""
    moved = distribution * probability[:, None]
    distribution -= moved
    distribution[:, 1:] += moved[:, :-1]
    distribution[:, -1] += moved[:, -1]
