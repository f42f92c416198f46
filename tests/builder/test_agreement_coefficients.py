from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.study.coefficients import (
    cohen_kappa,
    confusion,
    estimate,
    fleiss_kappa,
    krippendorff_alpha,
    patterns_of,
)
from rocov2_eval.records import IntArray

# Fleiss, Statistical Methods for Rates and Proportions (1981), chapter 13: psychotic, neurotic, organic.
DIAGNOSES = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])

# Fleiss (1971), table 1: six psychiatrists, thirty patients, five diagnoses; one row a patient.
PSYCHIATRISTS = np.array(
    [
        [int(digit) for digit in row]
        for line in (
            "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006",
            "10050 11040 03300 10050 02031 00501 30012 51000 02040 10203",
            "00006 01050 02013 20040 10041 05010 40002 02040 10500 00006",
        )
        for row in line.split()
    ]
)

# Krippendorff (2011): four observers, twelve units, five values; a dot where an observer said nothing.
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def codes_of(table: IntArray) -> IntArray:
    """Return the answers of two raters whose table this is."""
    cells = [(i, j) for i, j in np.ndindex(*table.shape) for _ in range(int(table[i, j]))]
    return np.array(cells, dtype=np.int64)


@st.composite
def answers(draw: st.DrawFn, *, raters: int, missing: bool = False) -> IntArray:
    """Return answers of several raters, of at least two classes, two or more to every image."""
    rows = draw(st.integers(1, 12))
    codes = np.array(
        draw(
            st.lists(
                st.lists(st.integers(0, 3), min_size=raters, max_size=raters), min_size=rows, max_size=rows
            )
        )
    )
    codes[0, :2] = 0
    codes = np.concatenate([codes, np.arange(raters)[None, :] % 2, np.ones((1, raters), dtype=np.int64)])
    if missing:
        codes[-1, 2:] = -1
    return np.unique(codes, return_inverse=True)[1].reshape(codes.shape) - int(missing)


def test_kappa_and_its_error_are_those_of_the_worked_example_of_fleiss() -> None:
    kappa, error = cohen_kappa(DIAGNOSES)
    # The error is printed as 0.087, from a kappa rounded to 0.68 on the way.
    assert (round(kappa, 2), error) == (0.68, pytest.approx(0.087, abs=1e-3))


@pytest.mark.parametrize(("c", "kappa"), [(0, 0.69), (1, 0.50), (2, 0.77)])
def test_kappa_of_a_class_is_that_of_the_worked_example_of_fleiss(c: int, kappa: float) -> None:
    found = estimate((codes_of(DIAGNOSES) == c).astype(np.int64)).kappa
    assert found == pytest.approx(kappa, abs=5e-3)


@pytest.mark.parametrize(
    ("table", "kappa"), [([[80, 10], [5, 5]], 0.32), ([[40, 9], [6, 45]], 0.70)], ids=["skewed", "even"]
)
def test_equal_raw_agreement_gives_the_two_kappas_of_feinstein_and_cicchetti(
    table: list[list[int]], kappa: float
) -> None:
    found = estimate(codes_of(np.array(table)))
    assert (found.raw, found.kappa) == (pytest.approx(0.85), pytest.approx(kappa, abs=5e-3))


@pytest.mark.parametrize(
    ("c", "kappa"), [(None, 0.430), (0, 0.245), (1, 0.245), (2, 0.520), (3, 0.471), (4, 0.566)]
)
def test_kappa_is_that_of_the_psychiatrists_of_fleiss(c: int | None, kappa: float) -> None:
    chosen = PSYCHIATRISTS if c is None else np.stack([PSYCHIATRISTS[:, c], 6 - PSYCHIATRISTS[:, c]], 1)
    assert round(fleiss_kappa(chosen), 3) == kappa


def test_alpha_is_that_of_the_worked_example_of_krippendorff() -> None:
    codes = np.array([[int(mark) - 1 if mark != "." else -1 for mark in row] for row in OBSERVERS]).T
    found = estimate(codes[(codes >= 0).sum(1) > 1])
    assert found.coefficient == "Krippendorff's alpha"
    assert found.kappa == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("statistic", [fleiss_kappa, krippendorff_alpha])
def test_coefficients_of_many_raters_are_undefined_if_every_answer_is_the_same(statistic: object) -> None:
    assert callable(statistic)
    assert math.isnan(statistic(np.array([[3, 0]] * 10)))


@pytest.mark.parametrize("raters", [2, 3])
def test_one_class_gives_no_kappa_but_a_reason(raters: int) -> None:
    found = estimate(np.zeros((9, raters), dtype=np.int64))
    assert (found.kappa, found.interval, found.raw) == (None, None, 1.0)
    assert found.reason.startswith("all answers are the same")


def test_images_of_one_rater_alone_give_no_kappa_but_a_reason() -> None:
    assert estimate(np.zeros((0, 0), dtype=np.int64)).reason == "no image has answers of two raters"


def test_a_rater_who_uses_one_class_has_kappa_0_without_an_interval() -> None:
    found = estimate(codes_of(np.array([[30, 30], [0, 0]])))
    assert (found.kappa, found.interval) == (pytest.approx(0), None)
    assert found.reason.startswith("no interval: the answers do not vary")


@pytest.mark.parametrize("raters", [2, 3])
def test_raters_who_never_differ_have_an_interval_that_narrows_with_images(raters: int) -> None:
    few, many = (estimate(np.array([[0] * raters, [1] * raters] * n)).interval for n in (2, 200))
    assert few is not None
    assert many is not None
    # Clopper and Pearson: of 4 of 4, the low end is 0.025 ** (1 / 4) = 0.3976; chance agrees on a half.
    assert (few.low, few.high) == (pytest.approx((0.025**0.25 - 0.5) / 0.5), 1)
    assert many.low > 0.95


def test_a_class_too_rare_for_the_bootstrap_has_no_interval_and_says_so() -> None:
    codes = np.zeros((200, 3), dtype=np.int64)
    codes[0] = (1, 1, 0)
    found = estimate(codes)
    assert found.interval is None
    assert found.reason.startswith("no interval: the coefficient is undefined in ")


def test_equal_seeds_give_equal_intervals() -> None:
    codes = np.random.default_rng(1).integers(0, 2, (40, 3))
    ends = [estimate(codes, seed=seed).interval for seed in (1, 1, 2)]
    assert ends[0] == ends[1] != ends[2]


@given(answers(raters=2))
@settings(deadline=None)
def test_kappa_lies_in_its_interval_and_does_not_change_with_the_order_of_raters(codes: IntArray) -> None:
    one, other = estimate(codes), estimate(codes[:, ::-1])
    assert one.kappa is not None
    assert one.kappa == pytest.approx(other.kappa)
    assert one.interval is None or -1 <= one.interval.low <= one.kappa <= one.interval.high <= 1


@given(answers(raters=3), st.randoms(use_true_random=False))
def test_kappa_does_not_change_with_the_names_of_classes(codes: IntArray, random: object) -> None:
    order = list(range(int(codes.max()) + 1))
    random.shuffle(order)  # type: ignore[attr-defined]
    renamed = np.array(order)[codes]
    assert fleiss_kappa(patterns_of(codes)) == pytest.approx(fleiss_kappa(patterns_of(renamed)))


@given(answers(raters=4))
def test_fleiss_kappa_and_alpha_are_one_but_for_the_size_of_the_sample(codes: IntArray) -> None:
    # Krippendorff (2011): alpha corrects the expected disagreement for the number of answers n.
    patterns = patterns_of(codes)
    n = codes.size
    assert 1 - krippendorff_alpha(patterns) == pytest.approx((1 - fleiss_kappa(patterns)) * (n - 1) / n)


@pytest.mark.parametrize(
    ("raters", "kappa"), [(2, 0.5), (2, 0.8), pytest.param(3, 0.6, marks=pytest.mark.slow)]
)
def test_intervals_cover_the_kappa_that_simulated_raters_were_given(raters: int, kappa: float) -> None:
    generator = np.random.default_rng(7)
    studies = 200
    covered = 0
    for _ in range(studies):
        # One draw is shared by all raters with probability kappa, else each has one of their own.
        own = generator.choice(3, size=(150, raters), p=[0.5, 0.3, 0.2])
        together = generator.random((150, 1)) < kappa
        found = estimate(np.where(together, own[:, :1], own)).interval
        assert found is not None
        covered += found.low <= kappa <= found.high
    assert covered / studies >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / studies)


def test_a_confusion_counts_images_by_both_classes() -> None:
    assert confusion(*codes_of(DIAGNOSES).T).tolist() == DIAGNOSES.tolist()
