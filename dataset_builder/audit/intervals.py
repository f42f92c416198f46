"""Proportions of a stratified sample, with their intervals.

Wilson's interval (1927) for proportions. Of several strata it is taken at the effective sample size, as Korn
and Graubard (1998) do: the size of a simple random sample with the same variance. Strata drawn without
replacement have the variance of a finite population. All intervals are of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054  # the 97.5 % point of the normal distribution
PRIOR = 2  # observations at the overall rate that each stratum is lent for its variance


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: None where it is undefined.
        low: None where the value is, or where too little was judged to tell.
        high: Likewise.
        judged: Items that it rests on.
        why: Why it, or its interval, is undefined; empty where neither is.
    """

    value: float | None
    low: float | None
    high: float | None
    judged: int
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What was judged of one stratum.

    Attributes:
        values: One for each item, 0 or 1.
        population: Things in the stratum, whether drawn or not.
    """

    values: tuple[float, ...]
    population: int


def undefined(why: str, judged: int = 0) -> Estimate:
    """Return an estimate of nothing, with the reason."""
    return Estimate(value=None, low=None, high=None, judged=judged, why=why)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a proportion among `n`, which may be a fraction, or infinite."""
    if math.isinf(n):
        return share, share
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    # At 0 and 1 the bound is exactly that, whatever rounding makes of it.
    return (
        0.0 if share == 0 else max(middle - half, 0.0),
        1.0 if share == 1 else min(middle + half, 1.0),
    )


def simple_proportion(values: Sequence[bool], why: str) -> Estimate:
    """Return a proportion with Wilson's interval; `why` is the reason if there are no values."""
    if not values:
        return undefined(why)
    share = sum(values) / len(values)
    low, high = wilson(share, len(values))
    return Estimate(value=share, low=low, high=high, judged=len(values))


def proportion(strata: Sequence[Judged], why: str) -> Estimate:
    """Return a proportion of the population that the judged strata make up.

    Each stratum counts by its population, whatever number was drawn of it.

    Args:
        strata: Those with nothing judged are passed over.
        why: Reason if nothing was judged at all.
    """
    seen = [stratum for stratum in strata if stratum.values]
    n = sum(len(stratum.values) for stratum in seen)
    if not seen:
        return undefined(why)
    share = _mean(seen)
    low, high = wilson(share, _effective_size(seen, share))
    return Estimate(value=share, low=low, high=high, judged=n)


def open_share(judged: int, population: int) -> float:
    """Return the share of a stratum that was not judged, on which its variance rests."""
    return max(1 - judged / population, 0.0)


def _effective_size(strata: Sequence[Judged], share: float) -> float:
    """Return the size of a simple random sample with the same variance; infinite where all was judged.

    The variance within a stratum is that of its own share, drawn towards the overall one, lest a stratum of
    which a few were judged, all alike, pass for certain.
    """
    weights = _weights(strata)
    if share in (0, 1):
        spread = sum(w**2 * _open(it) / len(it.values) for w, it in zip(weights, strata, strict=True))
        return 1 / spread if spread else math.inf
    variance = 0.0
    for weight, stratum in zip(weights, strata, strict=True):
        n = len(stratum.values)
        own = (sum(stratum.values) + PRIOR * share) / (n + PRIOR)
        variance += weight**2 * _open(stratum) * own * (1 - own) / n
    return share * (1 - share) / variance if variance else math.inf


def _mean(strata: Sequence[Judged]) -> float:
    """Return the weighted mean; exactly 0 or 1 where all values are."""
    values = {value for stratum in strata for value in stratum.values}
    if len(values) == 1:
        return values.pop()
    weights = _weights(strata)
    return sum(
        weight * sum(stratum.values) / len(stratum.values)
        for weight, stratum in zip(weights, strata, strict=True)
    )


def _weights(strata: Sequence[Judged]) -> list[float]:
    total = sum(stratum.population for stratum in strata)
    return [stratum.population / total for stratum in strata]


def _open(stratum: Judged) -> float:
    return open_share(len(stratum.values), stratum.population)
