"""Agreement beyond chance: Cohen's and Fleiss' kappa, Krippendorff's alpha, each with its 95 % interval.

Cohen's kappa and its interval, and Fleiss' kappa, are those of statsmodels. The interval of the other two is
a percentile bootstrap over images. Images count as independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from rocov2_eval.records import FloatArray, IntArray, Interval

Coefficient = Literal["Cohen's kappa", "Fleiss' kappa", "Krippendorff's alpha"]

_PAIR = 2
_RESAMPLES = 1000
_TAIL = 0.025  # of a 95 % interval, on each side
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(1 - _TAIL)  # half the width of the interval, in standard errors
_SAME = 1e-9  # differences below it are rounding
_MOST_UNDEFINED = 0.05  # of the resamples; beyond it their quantiles stand for the others alone


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A coefficient of agreement with its interval.

    Attributes:
        coefficient: Which coefficient `kappa` is.
        kappa: Value of the coefficient, at most 1; None where it is undefined.
        interval: 95 % interval of the coefficient; None where it cannot be estimated.
        raw: Share of the pairs of answers to an image that agree, each image counting once; None without one.
        reason: Why the coefficient or its interval is missing; empty where both are there.
    """

    coefficient: Coefficient
    kappa: float | None
    interval: Interval | None
    raw: float | None
    reason: str = ""


def estimate(codes: IntArray, *, seed: int = 0) -> Estimate:
    """Return the agreement of raters: Cohen's kappa of two, Fleiss' of more, alpha if answers are missing.

    Args:
        codes: Class of each answer from 0, -1 for no answer, shape (images, raters); every image has at least
            two answers.
        seed: Seed of the bootstrap.
    """
    coefficient = coefficient_of(codes)
    if not len(codes):
        reason = "no image has answers of two raters"
        return Estimate(coefficient=coefficient, kappa=None, interval=None, raw=None, reason=reason)
    patterns = patterns_of(codes)
    raw = 1 - float(np.mean(_disagreement(patterns) / patterns.sum(1)))
    if np.count_nonzero(patterns.sum(0)) == 1:
        reason = "all answers are the same, so that chance agrees as well"
        return Estimate(coefficient=coefficient, kappa=None, interval=None, raw=raw, reason=reason)
    if not _disagreement(patterns).any():
        ends = _interval_without_disagreement(patterns)
        return Estimate(coefficient=coefficient, kappa=1.0, interval=ends, raw=raw)
    if coefficient == "Cohen's kappa":
        kappa, error = cohen_kappa(confusion(codes[:, 0], codes[:, 1]))
        interval, reason = _large_sample(kappa, error)
    else:
        statistic = fleiss_kappa if coefficient == "Fleiss' kappa" else krippendorff_alpha
        kappa = statistic(patterns)
        interval, reason = _bootstrap(patterns, statistic, seed)
    return Estimate(coefficient=coefficient, kappa=kappa, interval=interval, raw=raw, reason=reason)


def coefficient_of(codes: IntArray) -> Coefficient:
    """Return the coefficient that suits answers of shape (images, raters), -1 for no answer."""
    if codes.shape[1] <= _PAIR:
        return "Cohen's kappa"
    return "Krippendorff's alpha" if (codes < 0).any() else "Fleiss' kappa"


def patterns_of(codes: IntArray) -> IntArray:
    """Return how many raters chose each class of each image, shape (images, classes)."""
    return np.stack([(codes == c).sum(1) for c in range(codes.max() + 1)], 1)


def confusion(first: IntArray, second: IntArray) -> IntArray:
    """Return how many images are of class i to the first rater and of j to the second, shape (k, k)."""
    k = int(max(first.max(), second.max())) + 1
    return np.bincount(first * k + second, minlength=k * k).reshape(k, k).astype(np.int64)


def cohen_kappa(table: IntArray | FloatArray) -> tuple[float, float]:
    """Return Cohen's kappa (1960) and its standard error in large samples (Fleiss, Cohen and Everitt 1969).

    The error is 0 where nothing in the table varies, as where one rater uses a single class; it then says
    nothing.

    Args:
        table: Images by class of both raters, shape (k, k), of at least two classes; fractions are allowed.
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    with np.errstate(all="ignore"):  # its test of kappa = 0 divides by 0 where a rater uses one class
        result = cohens_kappa(table)
    return float(result.kappa), math.sqrt(max(float(result.var_kappa), 0.0))


def fleiss_kappa(patterns: IntArray) -> float:
    """Return Fleiss' kappa (1971); NaN where every answer is the same.

    Args:
        patterns: Answers of each class, shape (images, classes); every image has the same number of answers.
    """
    from statsmodels.stats import inter_rater

    with np.errstate(all="ignore"):
        return float(inter_rater.fleiss_kappa(patterns))


def krippendorff_alpha(patterns: IntArray) -> float:
    """Return Krippendorff's alpha for nominal data (2011); NaN where every answer is the same.

    Args:
        patterns: Answers of each class, shape (images, classes); every image has at least two answers.
    """
    values = patterns.sum(0)
    n = values.sum()
    with np.errstate(all="ignore"):
        return float(1 - (n - 1) * _disagreement(patterns).sum() / (n * n - values @ values))


def _disagreement(patterns: IntArray) -> FloatArray:
    """Return the answers of each image times the share of its pairs that disagree, shape (images,)."""
    answers = patterns.sum(1)
    disagreement: FloatArray = (patterns * (answers[:, None] - patterns)).sum(1) / (answers - 1)
    return disagreement


def _interval_without_disagreement(patterns: IntArray) -> Interval:
    """Return the interval where no rater ever differs, which no resample and no variance can tell.

    The low end is kappa at the low end of the exact interval of raw agreement (Clopper and Pearson 1934).
    """
    from statsmodels.stats.proportion import proportion_confint

    n = len(patterns)
    shares = patterns.sum(0) / patterns.sum()
    chance = float(shares @ shares)
    least = float(proportion_confint(n, n, method="beta")[0])
    return Interval(low=max((least - chance) / (1 - chance), -1.0), high=1.0)


def _large_sample(kappa: float, error: float) -> tuple[Interval | None, str]:
    """Return the interval of a standard error, and the reason where there is none."""
    if error < _SAME:
        return None, "no interval: the answers do not vary, as where a rater uses one class"
    return Interval(low=max(kappa - Z * error, -1.0), high=min(kappa + Z * error, 1.0)), ""


def _bootstrap(
    patterns: IntArray, statistic: Callable[[IntArray], float], seed: int
) -> tuple[Interval | None, str]:
    """Return the percentile interval (Efron 1979) over images, and the reason where there is none."""
    generator = np.random.default_rng(seed)
    n = len(patterns)
    drawn = (patterns[generator.integers(0, n, n)] for _ in range(_RESAMPLES))
    resampled = np.array([statistic(each) for each in drawn])
    is_undefined = np.isnan(resampled)
    if is_undefined.mean() > _MOST_UNDEFINED:
        return (
            None,
            f"no interval: the coefficient is undefined in {is_undefined.mean():.0%} of the resamples",
        )
    if np.ptp(resampled[~is_undefined]) < _SAME:
        return None, "no interval: the coefficient is the same in all resamples"
    low, high = np.quantile(resampled[~is_undefined], [_TAIL, 1 - _TAIL])
    return Interval(low=float(low), high=float(high)), ""
