"""Coefficients of agreement as functions of counts, and over as many resamples as are handed in at once.

Two raters have a square table: `tables[..., i, j]` images are i to the first and j to the second. More raters
have patterns: `patterns[m, c]` raters chose c in images of kind m, of which there are `weights[..., m]`. NaN
is what cannot be told because chance alone is sure to agree; who reports it says why instead.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.resampling import Bootstrap

_CHUNK = 1 << 22  # counts drawn at a time: 32 MB

# Landis and Koch (1977): the greatest kappa that is called so.
LANDIS_KOCH: tuple[tuple[float, str], ...] = (
    (0.20, "slight"),
    (0.40, "fair"),
    (0.60, "moderate"),
    (0.80, "substantial"),
    (1.00, "almost perfect"),
)


def landis_koch(kappa: float) -> str:
    """Return the word of Landis and Koch (1977) for a kappa; they are conventions, not findings."""
    if kappa < 0:
        return "poor"
    return next(word for most, word in LANDIS_KOCH if kappa <= most)


def contingency(first: IntArray, second: IntArray, k: int) -> IntArray:
    """Return the table of two raters, shape (k, k).

    Args:
        first: Class of each image to the first rater, from 0; shape (n,).
        second: Likewise to the second.
        k: Number of classes.
    """
    if first.shape != second.shape:
        raise ValueError(f"first {first.shape} and second {second.shape} differ")
    return np.bincount(first * k + second, minlength=k * k).reshape(k, k).astype(np.int64)


def raw_agreement(tables: IntArray | FloatArray) -> FloatArray:
    """Return the share of images on which two raters agree, shape (...)."""
    counts = np.asarray(tables, dtype=np.float64)
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-2, -1)))


def chance_agreement(tables: IntArray | FloatArray) -> FloatArray:
    """Return the share on which two raters would agree by chance, each with the classes as often as now."""
    counts = np.asarray(tables, dtype=np.float64)
    return _ratio(_expected(counts), counts.sum((-2, -1)) ** 2)


def cohen_kappa(tables: IntArray | FloatArray) -> FloatArray:
    """Return Cohen's kappa (1960), unweighted, shape (...); NaN where all answers are the same."""
    counts = np.asarray(tables, dtype=np.float64)
    n, expected = counts.sum((-2, -1)), _expected(counts)
    return _ratio(n * np.trace(counts, axis1=-2, axis2=-1) - expected, n * n - expected)


def greatest_kappa(tables: IntArray | FloatArray) -> FloatArray:
    """Return the greatest kappa that two raters could reach who use the classes as often as they do."""
    counts = np.asarray(tables, dtype=np.float64)
    n, expected = counts.sum((-2, -1)), _expected(counts)
    shared = np.minimum(counts.sum(-1), counts.sum(-2)).sum(-1)
    return _ratio(n * shared - expected, n * n - expected)


def adjusted_kappa(raw: FloatArray | float, k: int) -> FloatArray:
    """Return the kappa of a raw agreement if all k classes were equally frequent, k at least 2.

    For two classes this is PABAK, kappa adjusted for prevalence and bias (Byrt, Bishop and Carlin 1993).
    """
    return (k * np.asarray(raw, dtype=np.float64) - 1) / (k - 1)


def one_against_rest(tables: IntArray | FloatArray) -> FloatArray:
    """Return the table of each class against all others, shape (..., k, 2, 2); the class comes first."""
    counts = np.asarray(tables, dtype=np.float64)
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    first, second = counts.sum(-1) - both, counts.sum(-2) - both
    neither = counts.sum((-2, -1))[..., None] - both - first - second
    return np.stack([np.stack([both, first], -1), np.stack([second, neither], -1)], -2)


def kappa_variance(table: IntArray | FloatArray) -> float:
    """Return the variance of Cohen's kappa times the number of images; NaN where kappa is undefined.

    Of large samples, whatever kappa is (Fleiss, Cohen and Everitt 1969).

    Args:
        table: Counts or shares, shape (k, k).
    """
    shares = np.asarray(table, dtype=np.float64)
    shares = shares / shares.sum()
    kappa, chance = float(cohen_kappa(shares)), float(chance_agreement(shares))
    if np.isnan(kappa):
        return np.nan
    rows, columns = shares.sum(1), shares.sum(0)
    missed = 1 - kappa
    agreed = np.diagonal(shares)
    on = agreed @ (1 - (rows + columns) * missed) ** 2
    crossed = shares * (columns[:, None] + rows[None, :]) ** 2
    off = missed**2 * (crossed.sum() - np.trace(crossed))
    variance = (on + off - (kappa - chance * missed) ** 2) / (1 - chance) ** 2
    return max(float(variance), 0.0)


def standard_error(table: IntArray) -> float:
    """Return the standard error of Cohen's kappa of large samples; NaN where kappa is undefined."""
    return float(np.sqrt(kappa_variance(table) / table.sum()))


def pattern_agreement(patterns: IntArray, weights: IntArray | FloatArray) -> FloatArray:
    """Return the share of pairs of answers to an image that agree, each image counting once, shape (...).

    Args:
        patterns: Answers of each class, shape (m, k); every row has at least two answers.
        weights: Images of each pattern, shape (..., m).
    """
    answers = patterns.sum(1)
    agreed = (patterns * (patterns - 1)).sum(1) / (answers * (answers - 1))
    return _ratio(weights @ agreed, weights.sum(-1))


def fleiss_kappa(patterns: IntArray, weights: IntArray | FloatArray) -> FloatArray:
    """Return Fleiss' kappa (1971), shape (...); NaN where every answer is the same.

    Args:
        patterns: Answers of each class, shape (m, k); every row has the same number of answers, at least two.
        weights: Images of each pattern, shape (..., m).
    """
    answers = patterns.sum(1)
    if len(set(answers.tolist())) > 1:
        raise ValueError("images have different numbers of answers: Fleiss' kappa is undefined")
    r = float(answers[0])
    n = weights.sum(-1)
    agreed = weights @ (patterns * (patterns - 1)).sum(1) / (r * (r - 1))
    expected = ((weights @ patterns / r) ** 2).sum(-1)
    return _ratio(n * agreed - expected, n * n - expected)


def krippendorff_alpha(patterns: IntArray, weights: IntArray | FloatArray) -> FloatArray:
    """Return Krippendorff's alpha for nominal data (2011), shape (...); NaN where every answer is the same.

    Args:
        patterns: Answers of each class, shape (m, k); every row has at least two answers, not all as many.
        weights: Images of each pattern, shape (..., m).
    """
    agreed = weights @ ((patterns * (patterns - 1)).sum(1) / (patterns.sum(1) - 1))
    values = np.asarray(weights @ patterns, dtype=np.float64)
    n = values.sum(-1)
    disagreed = np.where(agreed > n - 1e-9 * n, 0.0, n - agreed)  # thirds do not add up to a whole
    return 1 - _ratio((n - 1) * disagreed, n * n - (values**2).sum(-1))


def patterns_of_class(patterns: IntArray, c: int) -> IntArray:
    """Return patterns of class c against all others, shape (m, 2)."""
    chosen = patterns[:, c]
    return np.stack([chosen, patterns.sum(1) - chosen], 1)


def pair_table(patterns: IntArray, weights: IntArray) -> IntArray:
    """Return how many pairs of answers to the same image are of classes c and d, shape (k, k), symmetric."""
    weighted = patterns * weights[:, None]
    table = patterns.T @ weighted
    own = (table.diagonal() - weighted.sum(0)) // 2
    np.fill_diagonal(table, own)
    return table


def resampled_counts(counts: IntArray, options: Bootstrap) -> Iterator[IntArray]:
    """Yield how often each kind of image is drawn when images are drawn with replacement.

    Images of a kind are alike to every coefficient: how often the kind is drawn is multinomial, the same
    distribution as drawing images without touching each of them.

    Args:
        counts: Images of each kind, shape (m,).
        options: Number of resamples and seed.

    Yields:
        Some of the resamples, shape (at most resamples, m).
    """
    generator = np.random.default_rng(options.seed)
    n = int(counts.sum())
    rows = max(_CHUNK // len(counts), 1)
    for start in range(0, options.resamples, rows):
        yield generator.multinomial(n, counts / n, size=min(rows, options.resamples - start))


def _expected(counts: FloatArray) -> FloatArray:
    """Return the agreement by chance, times the square of the number of images."""
    expected: FloatArray = (counts.sum(-1) * counts.sum(-2)).sum(-1)
    return expected


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    empty = np.full(numerator.shape, np.nan)
    return np.asarray(np.divide(numerator, denominator, out=empty, where=denominator > 0))
