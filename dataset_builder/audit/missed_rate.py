"""The false negative rate of a stratified sample: missed concepts among missed and rightly found ones.

Both numbers are estimated, and from different images: the missed from counts in some images, the right from a
proportion of automatic concepts. Each has limits of its own, and those of the rate follow from them by the
method of variance estimates recovery (Donner and Zou 2012), which takes each limit at its own distance from
the estimate. Neither part passes for certain where all its answers are alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dataset_builder.audit.intervals import PRIOR, Estimate, Judged, Z, open_share, proportion, undefined

_FEWEST = 2  # judged things below which nothing tells how far they spread
_HALVINGS = 60  # of an interval within [0, 1]: to the last bit


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Missed concepts that were counted in the images of one stratum.

    Attributes:
        rows: Of each image judged, a number for each type, None where that is not judged. The types are the
            same in all strata; one of which a stratum knows nothing is no part of what it stands for.
        population: Images in the stratum, whether drawn or not.
    """

    rows: tuple[tuple[int | None, ...], ...]
    population: int

    @property
    def images(self) -> int:
        """Number of images of which something is known."""
        return sum(any(number is not None for number in row) for row in self.rows)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """An estimated number of concepts in the population, with limits."""

    number: float
    low: float
    high: float


def false_negative_rate(missed: Sequence[Counted], right: Sequence[Judged]) -> Estimate:
    """Return missed concepts among missed and right ones, of one population that both sides stand for.

    Args:
        missed: Strata of images; those without a count are passed over.
        right: Whether automatic concepts of these strata and types are right; empty where there are none.
    """
    images = [stratum for stratum in missed if stratum.images]
    judged = sum(stratum.images for stratum in images)
    if not images:
        return undefined("no image was judged for missed ones")
    lacking, found = _missed_concepts(images), _right_concepts(right)
    if not lacking.number + found.number:
        return undefined("no concept of the type is right or missed", judged)
    value = lacking.number / (lacking.number + found.number)
    why = _too_few(images, right)
    if why:
        return Estimate(value=value, low=None, high=None, judged=judged, why=why)
    return Estimate(
        value=value,
        low=1 - _greatest_share(found, lacking),
        high=_greatest_share(lacking, found),
        judged=judged,
    )


def mean_limits(missed: Sequence[Counted]) -> tuple[float, float, float]:
    """Return the missed concepts of an image, on average over judged strata, with limits.

    The score interval of a count whose variance grows with its mean: the analogue of Wilson's. The variance
    is that of the counts, drawn by two observations towards that of a Poisson count, lest counts that are
    all alike pass for certain.
    """
    strata = [stratum for stratum in missed if stratum.images]
    total = sum(stratum.population for stratum in strata)
    weights = [stratum.population / total for stratum in strata]
    means = [sum(_means(stratum).values()) for stratum in strata]
    average = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
    size = _effective_size(strata, weights, means, average)
    if math.isinf(size):
        return average, average, average
    middle = average + Z * Z / (2 * size)
    half = Z * math.sqrt(average / size + Z * Z / (4 * size * size))
    return average, max(middle - half, 0.0), middle + half


def _missed_concepts(images: Sequence[Counted]) -> _Part:
    n = sum(stratum.population for stratum in images)
    average, low, high = mean_limits(images)
    return _Part(number=n * average, low=n * low, high=n * high)


def _right_concepts(right: Sequence[Judged]) -> _Part:
    n = sum(stratum.population for stratum in right if stratum.values)
    share = proportion(right, "")
    if share.value is None or share.low is None or share.high is None:
        return _Part(number=0.0, low=0.0, high=0.0)
    return _Part(number=n * share.value, low=n * share.low, high=n * share.high)


def _effective_size(
    strata: Sequence[Counted], weights: Sequence[float], means: Sequence[float], average: float
) -> float:
    """Return how many Poisson counts would have the same variance; infinite where all images were judged."""
    variance = 0.0
    for weight, stratum, mean in zip(weights, strata, means, strict=True):
        n = min(_answers(stratum).values())
        spread = 1.0  # a Poisson count's, by its mean: all that is known where none was missed
        if average:
            poisson = (n * mean + PRIOR * average) / (n + PRIOR)
            spread = ((n - 1) * n * _variance(stratum) + PRIOR * poisson) / (n - 1 + PRIOR)
        variance += weight**2 * open_share(n, stratum.population) * spread / n
    return (average or 1.0) / variance if variance else math.inf


def _variance(stratum: Counted) -> float:
    """Return the variance of the sum of the means of all types.

    A type that is not judged in an image says nothing about the spread, as if the image lay at the mean;
    types that are judged in the same image vary together.
    """
    means, answers = _means(stratum), _answers(stratum)
    n = stratum.images
    if n < _FEWEST:
        return 0.0
    pulls = [
        sum(
            (number - means[place]) / answers[place] for place, number in enumerate(row) if number is not None
        )
        for row in stratum.rows
    ]
    return sum(pull * pull for pull in pulls) * n / (n - 1)


def _means(stratum: Counted) -> dict[int, float]:
    """Return the mean of each type that was judged, by its place."""
    answers = _answers(stratum)
    return {place: sum(row[place] or 0 for row in stratum.rows) / n for place, n in answers.items()}


def _answers(stratum: Counted) -> dict[int, int]:
    """Return how many images were judged for each type that was, by its place."""
    numbers = {
        place: sum(number is not None for number in column)
        for place, column in enumerate(zip(*stratum.rows, strict=True))
    }
    return {place: n for place, n in numbers.items() if n}


def _too_few(images: Sequence[Counted], right: Sequence[Judged]) -> str:
    """Return why there is no interval; empty where there is one."""
    answers: dict[int, int] = {}
    for stratum in images:
        for place, n in _answers(stratum).items():
            answers[place] = answers.get(place, 0) + n
    if min(answers.values()) < min(_FEWEST, sum(stratum.population for stratum in images)):
        return "a single image was judged for missed ones of a type, which tells no spread"
    concepts = sum(len(stratum.values) for stratum in right)
    if concepts < min(_FEWEST, sum(stratum.population for stratum in right)):
        return "a single automatic concept was judged, which tells no spread"
    return ""


def _greatest_share(part: _Part, rest: _Part) -> float:
    """Return the upper limit of part / (part + rest): the greatest share that the limits of both allow.

    A share p is right where (1 - p) part - p rest is 0. The upper limit of this difference lies above its
    estimate by the distances of the upper limit of the part and the lower limit of the rest, taken together
    as the sides of a right angle.
    """

    def allowed(share: float) -> bool:
        difference = (1 - share) * part.number - share * rest.number
        reach = math.hypot((1 - share) * (part.high - part.number), share * (rest.number - rest.low))
        return difference + reach >= 0

    return _last(allowed, part.number / (part.number + rest.number))


def _last(allowed: Callable[[float], bool], low: float) -> float:
    """Return the last number from `low` to 1 that is allowed, where no number after one that is not is."""
    high = 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if allowed(middle):
            low = middle
        else:
            high = middle
    return low
