"""What the answers to a facet make of a coefficient: its value, its interval, and the same for each class.

Arrays of shape (..., 1 + k) have the facet first, then each of its k classes against all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dataset_builder.agreement import coefficients
from rocov2_eval.records import FloatArray, IntArray, Interval
from rocov2_eval.resampling import Bootstrap

Coefficient = Literal["Cohen's kappa", "Fleiss' kappa", "Krippendorff's alpha"]
Method = Literal["bootstrap", "exact", "none"]

_PAIR = 2
_SAME = 1e-12  # apart at most are kappas of resamples that do not differ
_MOST_UNDEFINED = 0.05  # of the resamples; beyond it their quantiles tell only of the others


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Images by kind, and what a coefficient makes of them.

    Attributes:
        coefficient: Its name.
        counts: Images of each kind, shape (m,).
        kappas: From counts of resamples, shape (resamples, m), to shape (resamples, 1 + k).
        raws: Raw agreement, shape (1 + k,).
        chances: Agreement by chance, likewise.
        greatest: Greatest kappa that could be reached, likewise; NaN for more than two raters.
        errors: Standard errors, likewise; NaN for more than two raters.
        table: As in `FacetAgreement`, shape (k, k).
    """

    coefficient: Coefficient
    counts: IntArray
    kappas: Callable[[IntArray], FloatArray]
    raws: FloatArray
    chances: FloatArray
    greatest: FloatArray
    errors: FloatArray
    table: IntArray

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.counts.sum())


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A coefficient with its interval; None is what cannot be told.

    Attributes:
        kappa: The coefficient.
        raw: Share of pairs of answers that agree.
        greatest: Kappa that could be reached.
        standard_error: Of large samples; None where nothing varies, for it would be 0.
        interval: Of the level that was asked for.
        method: How it was made.
        remark: What is to be said of it; empty for nothing.
    """

    kappa: float | None
    raw: float
    greatest: float | None
    standard_error: float | None
    interval: Interval | None
    method: Method
    remark: str


@dataclass(frozen=True, kw_only=True)
class _Point:
    """One coefficient as it was found, and what it follows from."""

    kappa: float
    raw: float
    chance: float
    images: int

    def kappa_at(self, raw: float) -> float:
        """Return kappa at another raw agreement and the same agreement by chance."""
        return (raw - self.chance) / (1 - self.chance)


def evidence_of(codes: IntArray, k: int) -> Evidence:
    """Return what ratings say: Cohen's kappa of two raters, Fleiss' of more, alpha if answers are missing.

    Args:
        codes: Class of each answer, -1 for none, shape (images, raters); every row has at least two answers.
        k: Number of classes.
    """
    if codes.shape[1] == _PAIR:
        return _of_two(coefficients.contingency(codes[:, 0], codes[:, 1], k))
    patterns = np.stack([(codes == c).sum(1) for c in range(k)], 1)
    return _of_many(*np.unique(patterns, axis=0, return_counts=True))


def estimates(evidence: Evidence, options: Bootstrap) -> Iterator[Estimate]:
    """Yield the coefficient of the facet, then of each class."""
    drawn = coefficients.resampled_counts(evidence.counts, options)
    resampled = np.concatenate([evidence.kappas(counts) for counts in drawn])
    for i, kappa in enumerate(evidence.kappas(evidence.counts[None, :])[0]):
        ends, method, remark = (
            (None, "none", "")
            if np.isnan(kappa)
            else _interval(
                _Point(
                    kappa=float(kappa),
                    raw=float(evidence.raws[i]),
                    chance=float(evidence.chances[i]),
                    images=evidence.images,
                ),
                resampled[:, i],
                options.level,
            )
        )
        varies = _varies(evidence.raws[i], resampled[:, i])
        yield Estimate(
            kappa=unless_nan(kappa),
            raw=float(evidence.raws[i]),
            greatest=unless_nan(evidence.greatest[i]),
            standard_error=unless_nan(evidence.errors[i]) if varies else None,
            interval=ends,
            method=method,
            remark=remark,
        )


def unless_nan(value: float | FloatArray) -> float | None:
    """Return a number, None where there is none."""
    return None if np.isnan(value) else float(value)


def _of_two(table: IntArray) -> Evidence:
    k = len(table)
    each = coefficients.one_against_rest(table)

    def kappas(counts: IntArray) -> FloatArray:
        tables = counts.reshape(-1, k, k)
        of_classes = coefficients.cohen_kappa(coefficients.one_against_rest(tables))
        return np.concatenate([coefficients.cohen_kappa(tables)[:, None], of_classes], 1)

    def of_all(statistic: Callable[[IntArray | FloatArray], FloatArray]) -> FloatArray:
        return np.concatenate([statistic(table)[None], statistic(each)])

    return Evidence(
        coefficient="Cohen's kappa",
        counts=table.ravel(),
        kappas=kappas,
        raws=of_all(coefficients.raw_agreement),
        chances=of_all(coefficients.chance_agreement),
        greatest=of_all(coefficients.greatest_kappa),
        errors=np.array([coefficients.standard_error(one) for one in (table, *each)]),
        table=table,
    )


def _of_many(patterns: IntArray, counts: IntArray) -> Evidence:
    is_complete = len(set(patterns.sum(1).tolist())) == 1
    kappa = coefficients.fleiss_kappa if is_complete else coefficients.krippendorff_alpha
    views = [patterns, *(coefficients.patterns_of_class(patterns, c) for c in range(patterns.shape[1]))]
    shares = [counts @ view / (counts @ view).sum() for view in views]
    unknown = np.full(len(views), np.nan)
    return Evidence(
        coefficient="Fleiss' kappa" if is_complete else "Krippendorff's alpha",
        counts=counts,
        kappas=lambda weights: np.stack([kappa(view, weights) for view in views], -1),
        raws=np.array([coefficients.pattern_agreement(view, counts) for view in views]),
        chances=np.array([share @ share for share in shares]),
        greatest=unknown,
        errors=unknown,
        table=coefficients.pair_table(patterns, counts),
    )


def _interval(point: _Point, resampled: FloatArray, level: float) -> tuple[Interval | None, Method, str]:
    """Return an interval, how it was made, and what is to be said of it."""
    tail = (1 - level) / 2
    if point.kappa == 1:
        # No resample can differ where nobody does. What chance may hide is bounded by the exact interval of
        # raw agreement (Clopper and Pearson 1934), whose low end for n of n is this power.
        low = max(point.kappa_at(tail ** (1 / point.images)), -1.0)
        remark = "the raters never differ: the low end is that of an exact interval of raw agreement"
        return Interval(low=low, high=1.0), "exact", remark
    if _is_fixed(resampled):
        remark = (
            "no interval: kappa is the same in all resamples, as where a rater uses one class only, so that "
            "they do not tell how far off it may be"
        )
        return None, "none", remark
    if point.raw == 0:
        high = point.kappa_at(1 - tail ** (1 / point.images))
        remark = "the raters never agree: the high end is that of an exact interval of raw agreement"
        return Interval(low=point.kappa, high=max(high, point.kappa)), "exact", remark
    is_undefined = np.isnan(resampled)
    if is_undefined.mean() > _MOST_UNDEFINED:
        remark = f"no interval: kappa is undefined in {is_undefined.mean():.0%} of the resamples"
        return None, "none", remark
    low, high = np.quantile(resampled[~is_undefined], [tail, 1 - tail])
    return Interval(low=float(low), high=float(high)), "bootstrap", ""


def _varies(raw: float, resampled: FloatArray) -> bool:
    """Tell whether the answers show how far kappa may be off: they agree at times, and resamples differ."""
    return 0 < raw < 1 and not _is_fixed(resampled)


def _is_fixed(resampled: FloatArray) -> bool:
    """Tell whether kappa is the same in all resamples that have one; without any it is."""
    defined = resampled[~np.isnan(resampled)]
    return not defined.size or float(np.ptp(defined)) < _SAME
