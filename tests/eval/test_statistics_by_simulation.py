"""Intervals and tests against worlds whose truth is known: do they err as often as they say?

A world is a distribution of scores like concept F1's, with few distinct values and many zeros; each has
another one. A share of m repetitions is compared with what it should be within z standard errors of a
binomial share, z √(p (1 - p) / m). Seeds are fixed, so that a test that passes goes on passing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from rocov2_eval.records import FloatArray, SampleScores
from rocov2_eval.resampling import Bootstrap, interval
from rocov2_eval.significance import PairedTests, PairOptions, paired_tests

VALUES = np.array([0, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 4 / 7, 2 / 3, 3 / 4, 4 / 5, 1])
ALPHA = 0.05


@dataclass(frozen=True)
class World:
    """What scores are drawn from, and how many images there are."""

    chance: np.random.Generator
    shares: FloatArray
    images: int

    @property
    def mean(self) -> float:
        return float(self.shares @ VALUES)

    def scores(self, runs: int = 1) -> FloatArray:
        """Draw scores of runs: they agree on about half of the images, as runs of one task do."""
        shape = self.images, runs
        common = self.chance.choice(VALUES, (self.images, 1), p=self.shares)
        own = self.chance.choice(VALUES, shape, p=self.shares)
        drawn: FloatArray = np.where(self.chance.random(shape) < 0.5, common, own)
        return drawn


def world(seed: int) -> World:
    """Return a world of 300 to 1,000 images, of which 15 to 50 in 100 score nothing."""
    chance = np.random.default_rng(seed)
    nothing = chance.uniform(0.15, 0.5)
    shares = np.concatenate([[nothing], (1 - nothing) * chance.dirichlet(np.ones(len(VALUES) - 1))])
    return World(chance, shares, int(chance.integers(300, 1001)))


def within(expected: float, repetitions: int, z: float = 3.0) -> object:
    """Return what compares equal to shares within z standard errors of the expected one."""
    return pytest.approx(expected, abs=z * math.sqrt(expected * (1 - expected) / repetitions))


def resamples(seed: int, number: int = 1000) -> Bootstrap:
    return Bootstrap(
        resamples=number, seed=1_000_000 + seed
    )  # not the seed of a world: draws are independent


def single_coverage(repetitions: int) -> float:
    """Return how often the interval of a mean holds the mean of its world."""
    covered = 0
    for seed in range(repetitions):
        drawn = world(seed)
        values = drawn.scores()[:, 0]
        found = interval(SampleScores(values=values, scored=np.ones(len(values), np.bool_)), resamples(seed))
        assert found is not None
        covered += found.low <= drawn.mean <= found.high
    return covered / repetitions


def paired_coverage(repetitions: int) -> float:
    """Return how often the paired interval of a difference holds that of the world.

    The second run loses all on a tenth of the images: the true difference is a tenth of the mean.
    """
    covered = 0
    for seed in range(repetitions):
        drawn = world(seed)
        scores = drawn.scores(2)
        scores[drawn.chance.random(drawn.images) < 0.1, 1] = 0
        tests = paired_tests(scores, PairOptions(trials=1, bootstrap=resamples(seed, 500)))
        covered += tests.low[0, 1] <= -0.1 * drawn.mean <= tests.high[0, 1]
    return covered / repetitions


def outcome(seed: int, scores: FloatArray, trials: int = 999) -> PairedTests:
    # With 1000 = B + 1 a p-value may be 0.05 itself, so that 5 of 100 are at most that.
    return paired_tests(scores, PairOptions(trials=trials, bootstrap=resamples(seed, 1)))


def null_p_values(repetitions: int, *, unequal: bool) -> FloatArray:
    """Return p-values of two runs of equal true means.

    Equal in distribution, or, where they are unequal, the second one bold: it turns a score x into 1 with
    chance x and into 0 else, so that the differences have mean 0 but no symmetry.
    """
    found = []
    for seed in range(repetitions):
        drawn = world(seed)
        scores = drawn.scores(2)
        if unequal:
            scores[:, 1] = drawn.chance.random(drawn.images) < scores[:, 1]
        found.append(outcome(seed, scores).p_value[0, 1])
    return np.array(found)


def power(repetitions: int, lost: float) -> float:
    """Return how often a run is told from one that loses all on a share of the images."""
    told = 0
    for seed in range(repetitions):
        drawn = world(seed)
        scores = drawn.scores(2)
        scores[drawn.chance.random(drawn.images) < lost, 1] = 0
        told += outcome(seed, scores).p_value[0, 1] <= ALPHA
    return told / repetitions


def family_errors(repetitions: int, runs: int = 6) -> tuple[float, float]:
    """Return how often any pair of equal runs seems to differ, with Holm's correction and without."""
    any_corrected = any_plain = 0
    for seed in range(repetitions):
        tests = outcome(seed, world(seed).scores(runs), trials=1999)
        any_corrected += bool((tests.p_holm <= ALPHA).any())
        any_plain += bool((tests.p_value <= ALPHA).any())
    return any_corrected / repetitions, any_plain / repetitions


@pytest.mark.slow
def test_the_interval_of_a_mean_covers_it_in_95_of_100_worlds() -> None:
    # 93 to 97 of 100 are two standard errors of 500 repetitions.
    assert pytest.approx(0.95, abs=0.02) == single_coverage(500)


@pytest.mark.slow
def test_the_paired_interval_covers_the_difference_in_95_of_100_worlds() -> None:
    assert pytest.approx(0.95, abs=0.02) == paired_coverage(500)


@pytest.mark.slow
def test_the_intervals_cover_within_a_hundredth_over_thousands_of_worlds() -> None:
    # A hundredth is three standard errors of 4,000 repetitions. Of 12,000 worlds like these the percentile
    # interval covers 94.6 of 100, and 1.96 standard errors either side cover 94.9.
    assert pytest.approx(0.95, abs=0.01) == single_coverage(8000)
    assert pytest.approx(0.95, abs=0.01) == paired_coverage(4000)


@pytest.mark.slow
@pytest.mark.parametrize("unequal", [False, True])
def test_equal_runs_are_told_apart_as_often_as_alpha_says(*, unequal: bool) -> None:
    p_values = null_p_values(500, unequal=unequal)

    for alpha in (0.01, 0.05, 0.1, 0.2, 0.5):
        assert within(alpha, 500) == float((p_values <= alpha).mean())


@pytest.mark.slow
@pytest.mark.parametrize("unequal", [False, True])
def test_over_thousands_of_worlds_the_level_holds_within_a_hundredth(*, unequal: bool) -> None:
    p_values = null_p_values(4000, unequal=unequal)

    for alpha in (0.01, 0.05, 0.1):
        assert within(alpha, 4000) == float((p_values <= alpha).mean())


@pytest.mark.slow
def test_the_power_rises_with_the_effect_from_alpha_to_certainty() -> None:
    found = [power(100, lost) for lost in (0, 0.03, 0.08, 0.25)]

    assert found == sorted(found)
    assert within(ALPHA, 100) == found[0]
    assert found[1] + 0.3 < found[2]
    assert found[3] >= 0.99


@pytest.mark.slow
def test_holm_keeps_the_chance_of_any_error_in_a_family_at_alpha() -> None:
    corrected, plain = family_errors(500)

    # Holm errs on the safe side where tests are dependent, as those of shared runs are: no lower bound but 0.
    # Uncorrected, 15 pairs err far oftener.
    assert 0 < corrected <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 500)
    assert plain > 0.2
