"""Means of resampled images and their percentile intervals (Efron 1979), seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rocov2_eval.records import BoolArray, FloatArray, IntArray, Interval, SampleScores

DEFAULT_SEED = 20260101
FEWEST_IMAGES = 2  # one image says nothing about spread
_CHUNK = 1 << 22  # indices drawn at a time: 32 MB


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are made.

    Attributes:
        resamples: Number of resampled sets of images.
        level: Share of resampled means inside the interval.
        seed: Seed of the random generator; equal seeds give equal intervals.
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise ValueError(f"resamples is {self.resamples}, expected a positive number")
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}, expected a number between 0 and 1")


def interval(scores: SampleScores, options: Bootstrap, clusters: IntArray | None = None) -> Interval | None:
    """Return the percentile interval of the mean, None for fewer than two scored images or clusters.

    Args:
        scores: Of n images.
        options: How the interval is made.
        clusters: Which images are drawn together, such as those of one article, shape (n,); None where each
            is drawn by itself.
    """
    values = scores.values[scores.scored]
    if clusters is None:
        return ends_of(resampled_means(values, options), options) if len(values) >= FEWEST_IMAGES else None
    clusters = clusters[scores.scored]
    if len(np.unique(clusters)) < FEWEST_IMAGES:
        return None
    everything = np.ones((len(values), 1), np.bool_)
    return ends_of(resampled_parts(values, everything, clusters, options)[:, 0], options)


def ends_of(means: FloatArray, options: Bootstrap) -> Interval:
    """Return the percentile interval of resampled means; a resample without images, NaN, does not count."""
    tail = (1 - options.level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def resampled_means(values: FloatArray, options: Bootstrap) -> FloatArray:
    """Return the mean of each resample, shape (resamples,).

    Concept F1 takes few distinct values: how often each is drawn is multinomial, which gives the same
    distribution as drawing images without touching each of them.
    """
    generator = np.random.default_rng(options.seed)
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    if len(distinct) * 4 < n:
        drawn = generator.multinomial(n, counts / n, size=options.resamples)
        means: FloatArray = drawn @ distinct / n
        return means
    rows = max(_CHUNK // n, 1)
    means = np.empty(options.resamples)
    for start in range(0, options.resamples, rows):
        stop = min(start + rows, options.resamples)
        means[start:stop] = values[generator.integers(0, n, (stop - start, n))].mean(axis=1)
    return means


def resampled_columns(scores: FloatArray, options: Bootstrap) -> FloatArray:
    """Return the mean of each column in each resample of the rows, shape (resamples, k).

    All columns see the same resample: differences of two of them are those of a paired bootstrap.

    Args:
        scores: Shape (n, k), n at least 1.
        options: Number of resamples and seed.
    """
    n, k = scores.shape
    generator = np.random.default_rng(options.seed)
    means = np.empty((options.resamples, k))
    rows = max(_CHUNK // n, 1)
    for start in range(0, options.resamples, rows):
        stop = min(start + rows, options.resamples)
        drawn = generator.integers(0, n, (stop - start, n)) + n * np.arange(stop - start)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n * (stop - start)).reshape(-1, n)
        means[start:stop] = counts.astype(np.float64) @ scores / n
    return means


def resampled_parts(
    values: FloatArray, parts: BoolArray, clusters: IntArray, options: Bootstrap
) -> FloatArray:
    """Return the mean within each part of the images in each resample of clusters, shape (resamples, k).

    All parts see the same resample; a part that has no image in it is NaN there.

    Args:
        values: Shape (n,).
        parts: Which images belong to each part, shape (n, k).
        clusters: Which images are drawn together, shape (n,).
        options: Number of resamples and seed.
    """
    _, place = np.unique(clusters, return_inverse=True)
    columns = np.hstack([values[:, None] * parts, parts])
    totals = np.zeros((int(place.max()) + 1, columns.shape[1]))
    np.add.at(totals, place, columns)
    drawn = resampled_columns(totals, options)
    sums, sizes = np.hsplit(drawn, 2)
    return np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0)
