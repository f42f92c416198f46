"""Paired randomisation tests against a loop over the trials and scipy, at p-values equal but for chance."""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from measure import machine, paired, seconds, table
from scipy.stats import permutation_test

from rocov2_eval.resampling import Bootstrap
from rocov2_eval.significance import PairOptions, on_grid, paired_tests, signed_means

FloatArray = npt.NDArray[np.float64]
RUNS = 50
REPEATS = 5
FEW = Bootstrap(resamples=1)  # the peers make no intervals


def main() -> None:
    """Print the ratios and the share of the physical limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=10_000)
    arguments = parser.parse_args()
    images, trials = arguments.images, arguments.trials
    scores = drawn_scores(images, RUNS)
    print(machine())
    print(table(["one pair", "time", "ratio", "p-value"], one_pair(scores[:, :2], trials)))
    print(table(["runs", "all pairs", "time", "with 1,000 resamples"], all_pairs(scores, trials)))
    print(table(["runs", "signs and sums", "limit", "share of the limit"], limits(scores, trials)))


def drawn_scores(images: int, runs: int) -> FloatArray:
    """Return scores like concept F1's; the first two runs differ by about two standard errors."""
    chance = np.random.default_rng(0)
    values = np.array([0, 0.25, 1 / 3, 0.4, 0.5, 2 / 3, 0.8, 1])
    scores: FloatArray = values[chance.integers(0, len(values), (images, runs))]
    lost = chance.random(images) < 1.9 / math.sqrt(images)
    scores[:, 1] = np.where(lost, 0, chance.permuted(scores[:, 0]))
    return scores


def one_pair(scores: FloatArray, trials: int) -> list[list[str]]:
    """Return a row for each peer, timed in turn with ours.

    Raises:
        RuntimeError: The p-values of two sides differ by more than four standard errors.
    """
    p_value = ours(scores, trials)
    rows = []
    sides = {
        "a loop over the trials, exchanging with numpy": looped,
        "scipy.stats.permutation_test, vectorised, batches of 100": scipys,
    }
    for name, side in sides.items():
        other = side(scores, trials)
        error = math.sqrt(2 * p_value * (1 - p_value) / trials)
        if abs(other - p_value) > 4 * error:
            raise RuntimeError(f"{name}: p = {other:.4f}, ours {p_value:.4f}, standard error {error:.4f}")
        timed = paired(lambda: ours(scores, trials), lambda side=side: side(scores, trials), REPEATS)
        rows.append([name, f"{timed.theirs:.2f} s", f"{timed.ratio:.0f}x", f"{other:.4f}"])
    alone = median(lambda: ours(scores, trials))
    return [["rocov2-eval", f"{alone:.3f} s", "", f"{p_value:.4f}"], *rows]


def all_pairs(scores: FloatArray, trials: int) -> list[list[str]]:
    """Return the time of all pairs at once, tests alone and with the intervals of a bootstrap."""
    options = PairOptions(trials=trials, bootstrap=FEW)
    plain = median(lambda: paired_tests(scores, options))
    both = median(lambda: paired_tests(scores, PairOptions(trials=trials)))
    return [[f"{RUNS}", f"{RUNS * (RUNS - 1) // 2:,}", f"{plain:.2f} s", f"{both:.2f} s"]]


def limits(scores: FloatArray, trials: int) -> list[list[str]]:
    """Return the time of the signed sums against what this machine needs at least.

    That is drawing the random bits, one for an image and trial, and the arithmetic of the matrix product at
    the rate of a square one.
    """
    rows = []
    exact, _ = on_grid(scores)
    rate = 2 * 2000**3 / square_product(2000)
    bits = median(lambda: np.random.default_rng(0).bytes(trials * len(scores) // 8))
    for runs in (2, RUNS):
        some = np.ascontiguousarray(exact[:, :runs])
        mine = median(lambda some=some: signed_means(some, trials, 0))
        limit = bits + 2 * trials * len(scores) * runs / rate
        rows.append([f"{runs}", f"{mine:.3f} s", f"{limit:.3f} s", f"{limit / mine:.0%}"])
    return rows


def ours(scores: FloatArray, trials: int) -> float:
    """Return the p-value of two runs."""
    return float(paired_tests(scores, PairOptions(trials=trials, bootstrap=FEW)).p_value[0, 1])


def looped(scores: FloatArray, trials: int) -> float:
    """Return the p-value by exchanging the scores of a random half of the images, trial by trial."""
    chance = np.random.default_rng(1)
    a, b = scores[:, 0].copy(), scores[:, 1].copy()
    observed = abs(a.mean() - b.mean())
    extreme = 0
    for _ in range(trials):
        exchanged = chance.random(len(a)) < 0.5
        extreme += (
            abs(np.where(exchanged, b, a).mean() - np.where(exchanged, a, b).mean()) >= observed - 1e-12
        )
    return (extreme + 1) / (trials + 1)


def scipys(scores: FloatArray, trials: int) -> float:
    """Return the p-value of scipy, which adds one to both counts too."""
    result = permutation_test(
        (scores[:, 0], scores[:, 1]),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=trials,
        batch=100,
        rng=np.random.default_rng(2),
    )
    return float(result.pvalue)


def square_product(size: int) -> float:
    """Return the seconds of a product of two square matrices, the best of some."""
    square = np.random.default_rng(0).random((size, size))
    return min(seconds(lambda: square @ square) for _ in range(REPEATS))


def median(call: Callable[[], object]) -> float:
    """Return the median wall time of some calls."""
    return statistics.median(seconds(call) for _ in range(REPEATS))


if __name__ == "__main__":
    main()
