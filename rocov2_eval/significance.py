"""Whether one run beats another: paired tests on the scores that several runs get for the same images.

All pairs of k runs share one set of random signs and one set of resamples, so that k runs cost k columns of a
matrix product, not k² tests: the difference of two signed means is the signed mean of the difference.

Sources: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses (randomisation, (c + 1) / (B + 1));
Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation (paired bootstrap); Holm 1979,
A Simple Sequentially Rejective Multiple Test Procedure; Piepho 2004, An Algorithm for a Letter-Based
Representation of All-Pairwise Comparisons; Gramm et al. 2007, Algorithms for Compact Letter Displays (letters
as a clique cover). docs/statistics.md tells what they mean.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.resampling import FEWEST_IMAGES, Bootstrap, resampled_columns

_CHUNK = 1 << 20  # signs held at a time: 8 MB
_EXACT_BITS = 51  # of a sum of scores; a float64 has 53, and one is for twice the sum
_SAME_MEAN = 1e-9  # farther apart than the grid of a million images moves a mean, below what anyone reports
_MOST_TRIALS = 100_000  # unless more are asked for: seconds for a hundred runs
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """How runs are tested against each other.

    Attributes:
        trials: Random exchanges of the two runs' scores.
        bootstrap: Resamples of the images, level of the intervals, seed of both.
        alpha: Bound below which a corrected p-value counts as significant.
    """

    trials: int = 10_000
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}, expected a positive number")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}, expected a number between 0 and 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedTests:
    """All pairs of k runs; entry [a, b] speaks of the mean of b minus the mean of a.

    Attributes:
        difference: Shape (k, k).
        low, high: Shape (k, k), ends of the paired bootstrap interval of the difference; NaN for one image,
            of which nobody knows how far another would be from it.
        p_value: Shape (k, k), two-sided, of the paired randomisation test; 1 on the diagonal.
        p_bootstrap: Shape (k, k), two-sided, of the paired bootstrap, its differences centred on 0.
        p_holm: Shape (k, k), `p_value` after Holm's correction over the k (k - 1) / 2 pairs.
        resampled: Shape (resamples, k), means of the runs in each resample; no resample of one image.
        images: Number of images that have a score in every run.
        trials: Number of trials behind `p_value`; with 0, it and `p_holm` are NaN but for the diagonal.
    """

    difference: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    p_bootstrap: FloatArray
    p_holm: FloatArray
    resampled: FloatArray
    images: int
    trials: int


class PairMemory(Protocol):
    """Keeps how often the trials of a pair were as extreme as its difference, for the next time."""

    def known_pairs(self, names: Sequence[str]) -> tuple[IntArray, IntArray]:
        """Return the number of trials of each pair, 0 where unknown, and how many were extreme; shape (k, k).

        Args:
            names: For each run, a digest of all that decides its part in a trial.
        """
        ...

    def keep_pairs(self, names: Sequence[str], trials: IntArray, extremes: IntArray) -> None:
        """Keep them; entries above the diagonal count."""
        ...


def paired_tests(
    scores: FloatArray, options: PairOptions, memory: PairMemory | None = None, *, has_trials: bool = True
) -> PairedTests:
    """Test every pair of runs.

    Args:
        scores: Shape (n, k): n images, the same for each of k runs, no image unscored.
        options: Numbers of trials and resamples.
        memory: Trials that are known already; the new ones are kept there.
        has_trials: Whether trials are drawn; without them there are no p-values of the randomisation test.

    Raises:
        ValueError: There is no image.
    """
    n, k = scores.shape
    if n == 0:
        raise ValueError("no image has a score in every run")
    means = scores.mean(axis=0)
    difference: FloatArray = means[None, :] - means[:, None]
    exact, step = on_grid(scores)
    slack = 4 * step  # the grid moves either difference by at most a step; the rest covers the divisions
    observed = exact.mean(axis=0)
    extremes = _extremes(exact, observed, step, options, memory) if has_trials else None
    resampled = resampled_columns(exact, options.bootstrap)
    p_value, p_bootstrap = np.ones((k, k)), np.ones((k, k))
    low, high = np.zeros((k, k)), np.zeros((k, k))
    tail = (1 - options.bootstrap.level) / 2
    for a in range(k - 1):
        rest = slice(a + 1, k)
        centre = observed[rest] - observed[a]
        bound = np.abs(centre) - slack
        p_value[a, rest] = np.nan if extremes is None else (extremes[a, rest] + 1) / (options.trials + 1)
        drawn = resampled[:, rest] - resampled[:, [a]]
        p_bootstrap[a, rest] = _share(np.abs(drawn - centre) >= bound)
        low[a, rest], high[a, rest] = np.quantile(drawn, [tail, 1 - tail], axis=0)
        low[rest, a], high[rest, a] = 0.0 - high[a, rest], 0.0 - low[a, rest]  # 0.0, not -0.0
    upper = np.triu_indices(k, 1)
    p_holm = np.ones((k, k))
    p_holm[upper] = np.nan if extremes is None else holm(p_value[upper])
    if n < FEWEST_IMAGES:
        low, high = np.full((2, k, k), np.nan)
        p_bootstrap = np.ones((k, k))
        resampled = resampled[:0]
    for table in (p_value, p_bootstrap, p_holm):
        table.T[upper] = table[upper]
    return PairedTests(
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        p_bootstrap=p_bootstrap,
        p_holm=p_holm,
        resampled=resampled,
        images=len(scores),
        trials=options.trials if has_trials else 0,
    )


def on_grid(scores: FloatArray) -> tuple[FloatArray, float]:
    """Return scores as multiples of a power of two, so that every sum of them is exact, and that step.

    Without it the order in which a library adds up would tell "as large as observed" from "smaller", and with
    it p-values and ranks. The step is 7e-12 for 10,000 images with scores of at most 1.

    Args:
        scores: Shape (n, k), finite.
    """
    largest = float(np.abs(scores).max(initial=0.0)) or 1.0
    step = 2.0 ** (math.ceil(math.log2(len(scores) * largest)) - _EXACT_BITS)
    grid: FloatArray = np.round(scores / step) * step
    return grid, step


def signed_means(scores: FloatArray, trials: int, seed: int) -> FloatArray:
    """Return the means under random signs, shape (trials, k); all runs see the same sign of an image.

    Args:
        scores: Shape (n, k), n at least 1.
        trials: Number of draws.
        seed: Seed of the random generator; equal seeds give equal signs on every machine.
    """
    return np.concatenate([means for _, means in _signed_chunks(scores, trials, seed)])


def holm(p_values: FloatArray) -> FloatArray:
    """Return p-values corrected for their number, in the order given, at most 1."""
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(m, 0, -1))
    corrected: FloatArray = np.empty(m)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def trials_needed(runs: int, alpha: float) -> int:
    """Return how many trials the smallest possible p-value needs to survive Holm's correction."""
    pairs = runs * (runs - 1) // 2
    return math.floor(pairs / alpha)  # (0 + 1) / (trials + 1) * pairs < alpha


def too_few_images(metric: str, shape: tuple[int, ...], alpha: float) -> list[str]:
    """Return a note where no pair can be significant, because each p-value is one of 2 ** n signs.

    Args:
        metric: Name of the score.
        shape: Numbers of images and of runs.
        alpha: Bound below which a corrected p-value counts as significant.
    """
    n, k = shape
    smallest = k * (k - 1) // 2 * 2.0 ** (1 - n)  # both signs of every image count as that large
    if k == 1 or smallest < alpha:
        return []
    return [f"{metric}: too few images: with {n:,} no corrected p-value can be below {min(smallest, 1):.2g}"]


def enough_trials(options: PairOptions, runs: int) -> PairOptions:
    """Return options with at least twice the trials that so many runs need, as far as time allows."""
    enough = min(2 * trials_needed(runs, options.alpha), _MOST_TRIALS)
    return replace(options, trials=max(options.trials, enough))


def letters(is_different: BoolArray) -> list[str]:
    """Return a string of letters for each run: two runs share a letter if and only if they do not differ.

    Each pair that does not differ is put into a group, which grows by the run that covers most further pairs
    until none fits. Insertion and absorption would find every such group: up to 3^(k/3) of them.

    Args:
        is_different: Shape (k, k), symmetric; runs in rank order, so that the best runs get `a`.
    """
    k = len(is_different)
    is_alike = ~is_different | np.eye(k, dtype=np.bool_)
    is_open = is_alike.copy()
    groups: list[list[int]] = []
    for a in range(k):
        for b in range(a, k):
            if is_open[a, b]:
                group = _grown({a, b}, is_alike, is_open)
                is_open[np.ix_(group, group)] = False
                groups.append(group)
    groups.sort()
    return ["".join(letter(i) for i, group in enumerate(groups) if run in group) for run in range(k)]


def letter(index: int) -> str:
    """Return the name of a group: a to z, A to Z, then (53), (54) and so on."""
    return _ALPHABET[index] if index < len(_ALPHABET) else f"({index + 1})"


def competition_ranks(means: FloatArray) -> IntArray:
    """Return the rank of each run in each row, best 1; equal means share the better rank.

    Args:
        means: Shape (rows, k).
    """
    order = np.argsort(-means, axis=1, kind="stable")
    falling = np.take_along_axis(means, order, axis=1)
    is_lower = np.ones(means.shape, np.bool_)
    is_lower[:, 1:] = falling[:, :-1] - falling[:, 1:] > _SAME_MEAN
    places = np.where(is_lower, np.arange(1, means.shape[1] + 1), 0)
    ranks: IntArray = np.empty(means.shape, np.int64)
    np.put_along_axis(ranks, order, np.maximum.accumulate(places, axis=1), axis=1)
    return ranks


def _extremes(
    scores: FloatArray, observed: FloatArray, step: float, options: PairOptions, memory: PairMemory | None
) -> IntArray:
    """Count, for each pair, the trials whose difference is as large as the observed one, shape (k, k).

    Trials are counted as they are drawn: all of them at once would take memory for trials x runs. A pair of
    which some trials are known goes on after them, as every number of trials begins with the same ones.

    Args:
        scores: Shape (n, k), multiples of `step`.
        observed: Shape (k,), their means.
        step: See `on_grid`.
        options: Number of trials and seed.
        memory: Trials that are known already.
    """
    k = scores.shape[1]
    slack = 4 * step  # the grid moves either difference by at most a step; the rest covers the divisions
    bound = np.abs(observed[None, :] - observed[:, None]) - slack
    done: IntArray = np.zeros((k, k), np.int64)
    counts: IntArray = np.zeros((k, k), np.int64)
    names = [_trial_digest(column, step, options.bootstrap.seed) for column in scores.T] if memory else []
    if memory:
        done, counts = memory.known_pairs(names)
        counts[done > options.trials] = done[done > options.trials] = 0  # a larger board drew more of them
    is_open = np.triu(done < options.trials, 1)
    if not is_open.any():
        return counts
    cuts = sorted({int(start) for start in np.unique(done[is_open])})
    for start, means in _signed_chunks(scores, options.trials, options.bootstrap.seed, cuts):
        now = is_open & (done <= start)
        for a in np.flatnonzero(now.any(axis=1)):
            rest = np.flatnonzero(now[a])
            counts[a, rest] += (np.abs(means[:, rest] - means[:, [a]]) >= bound[a, rest]).sum(axis=0)
    if memory:
        memory.keep_pairs(names, np.where(is_open, options.trials, 0), counts)
    return counts


def _trial_digest(column: FloatArray, step: float, seed: int) -> str:
    """Return a digest of all that decides what a run's scores are in each trial."""
    return hashlib.sha256(f"trials 1|{seed}|{step!r}|".encode() + column.tobytes()).hexdigest()


def _signed_chunks(
    scores: FloatArray, trials: int, seed: int, cuts: Sequence[int] = (0,)
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the number of the first trial and the means under random signs, some trials at a time.

    Args:
        scores: Shape (n, k).
        trials: Number of draws.
        seed: Seed of the random generator.
        cuts: Trials at which a chunk begins, ascending; what is before the first one is drawn and left out.
    """
    n = len(scores)
    generator = np.random.default_rng(seed)
    total = scores.sum(axis=0)
    rows = max(_CHUNK // n, 1)
    width = 4 * -(-n // 32)  # in whole words of the generator, so that chunks join without a gap
    starts = sorted({*range(0, trials, rows), *cuts})
    for start, stop in zip(starts, [*starts[1:], trials], strict=True):
        drawn = generator.bytes((stop - start) * width)
        if start < cuts[0]:
            continue
        octets = np.frombuffer(drawn, np.uint8).reshape(-1, width)
        bits = np.unpackbits(octets, axis=1, count=n).astype(np.float64)
        yield start, (2 * (bits @ scores) - total) / n


def _share(is_extreme: BoolArray) -> FloatArray:
    """Return (c + 1) / (B + 1) of each column: the data itself is one of the arrangements."""
    share: FloatArray = (is_extreme.sum(axis=0) + 1) / (len(is_extreme) + 1)
    return share


def _grown(members: set[int], is_alike: BoolArray, is_open: BoolArray) -> list[int]:
    """Return a group around runs that do not differ, so large that no other run fits."""
    group = sorted(members)
    fits: BoolArray = np.logical_and.reduce(is_alike[group])
    fits[group] = False
    while fits.any():
        candidates = np.flatnonzero(fits)
        gain = is_open[candidates][:, group].sum(axis=1)
        chosen = int(candidates[gain.argmax()])  # the better one at equal gain
        group.append(chosen)
        fits &= is_alike[chosen]
        fits[chosen] = False
    return sorted(group)
