from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.audit.intervals import Estimate, Judged
from dataset_builder.audit.missed_rate import Counted, false_negative_rate, mean_limits

IMAGES, CONCEPTS = 1_000_000, 3_000_000


def counted(counts: Sequence[int], population: int = IMAGES) -> Counted:
    return Counted(rows=tuple((count,) for count in counts), population=population)


def judged(right: int, of: int, population: int = CONCEPTS) -> Judged:
    return Judged(values=(1.0,) * right + (0.0,) * (of - right), population=population)


def width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def test_the_rate_is_that_of_the_populations_and_not_of_what_was_drawn() -> None:
    found = false_negative_rate([counted([1, 0, 0, 0], population=4000)], [judged(1, 2, population=6000)])
    assert found.value == pytest.approx(1000 / (1000 + 3000))


@pytest.mark.parametrize(
    ("counts", "right", "of"), [([1] * 50, 50, 50), ([0] * 50, 50, 50), ([1] * 50, 0, 50), ([2] * 3, 3, 3)]
)
def test_answers_that_are_all_alike_are_not_certain(counts: list[int], right: int, of: int) -> None:
    assert width(false_negative_rate([counted(counts)], [judged(right, of)])) > 0.02


def test_concepts_that_are_all_right_widen_the_interval_the_fewer_they_are() -> None:
    counts = [0] * 400 + [1] * 100
    few, many = (width(false_negative_rate([counted(counts)], [judged(n, n)])) for n in (5, 500))
    assert few > 1.5 * many


def test_where_none_was_missed_the_bound_does_not_take_right_concepts_for_certain() -> None:
    few, many = (false_negative_rate([counted([0] * 50)], [judged(n, n)]).high for n in (2, 5000))
    assert few is not None
    assert many is not None
    assert few > 1.3 * many > 0.03


@pytest.mark.parametrize(
    ("counts", "of", "why"),
    [
        ([1], 50, "a single image was judged for missed ones of a type, which tells no spread"),
        ([1, 0], 1, "a single automatic concept was judged, which tells no spread"),
    ],
)
def test_one_judgement_gives_a_rate_but_no_interval(counts: list[int], of: int, why: str) -> None:
    found = false_negative_rate([counted(counts)], [judged(of, of)])
    assert found.value is not None
    assert (found.low, found.high, found.why) == (None, None, why)


def test_a_population_that_was_judged_whole_is_certain() -> None:
    found = false_negative_rate([counted([1, 0, 2], population=3)], [judged(3, 4, population=4)])
    assert (found.low, found.value, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_what_was_not_judged_adds_nothing_to_the_precision() -> None:
    known = Counted(rows=((1, 0), (0, 1), (1, 1), (0, 0)) * 5, population=IMAGES)
    unknown = Counted(rows=(*known.rows, *((None, 0), (None, 1)) * 200), population=IMAGES)
    first = [width(false_negative_rate([each], [judged(40, 50)])) for each in (known, unknown)]
    # The second type is known far better, the first as badly as before.
    only_second = Counted(rows=tuple((row[1],) for row in known.rows), population=IMAGES)
    second = width(false_negative_rate([only_second], [judged(40, 50)]))
    assert first[0] > first[1] > second * 0.6
    assert mean_limits([unknown])[2] - mean_limits([unknown])[1] > 0.9 * (
        mean_limits([only_second])[2] - mean_limits([only_second])[1]
    )


def test_what_was_not_judged_is_taken_from_its_own_stratum() -> None:
    # Of the second stratum nobody lacks a concept: its unknown images are none of the first.
    strata = [
        Counted(rows=((2, 2),) * 10, population=1000),
        Counted(rows=(*((0, 0),) * 10, *((None, 0),) * 90), population=9000),
    ]
    assert mean_limits(strata)[0] == pytest.approx(0.1 * 4)


COUNTS = st.lists(st.integers(0, 3), min_size=2, max_size=20)


@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(0, 20), st.integers(2, 20))
@settings(max_examples=150, deadline=None)
def test_the_rate_lies_within_its_interval_and_the_interval_within_0_and_1(
    strata: list[list[int]], right: int, of: int
) -> None:
    found = false_negative_rate([counted(each, 500) for each in strata], [judged(min(right, of), of, 900)])
    if found.value is None:
        assert found.why == "no concept of the type is right or missed"
        return
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 5, 10, 30, 80, 200])
@pytest.mark.parametrize(("lacking", "most"), [(0.02, 1), (0.05, 2), (0.3, 2), (0.95, 1), (0.5, 3)])
@pytest.mark.parametrize("precision", [0.5, 0.98])
def test_intervals_hold_the_truth_at_small_numbers_and_extreme_rates(
    n: int, lacking: float, most: int, precision: float
) -> None:
    generator = np.random.default_rng(n)
    n_missed = IMAGES * lacking * (1 + most) / 2
    truth = n_missed / (n_missed + CONCEPTS * precision)
    held = told = 0
    for _ in range(500):
        counts = (generator.random(n) < lacking) * generator.integers(1, most + 1, n)
        right = int(generator.binomial(max(n, 5), precision))
        found = false_negative_rate([counted(counts.tolist())], [judged(right, max(n, 5))])
        if found.low is not None and found.high is not None:
            told += 1
            held += found.low <= truth <= found.high
    assert held / told >= (0.9 if n >= 30 else 0.84)
