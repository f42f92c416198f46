from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.agreement import coefficients
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.resampling import Bootstrap

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


@st.composite
def tables(draw: st.DrawFn) -> IntArray:
    """Return a table of two raters who use at least two classes between them."""
    k = draw(st.integers(2, 5))
    cells = draw(st.lists(st.integers(0, 40), min_size=k * k, max_size=k * k))
    table = np.array(cells).reshape(k, k)
    table[0, 0] += 1
    table[1, 1] += 1
    return table


@st.composite
def pattern_sets(draw: st.DrawFn, *, complete: bool) -> IntArray:
    """Return answers by class, one row an image, of two to five answers each, of at least two classes."""
    k = draw(st.integers(2, 4))
    fixed = draw(st.integers(2, 5))
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        r = fixed if complete else draw(st.integers(2, 5))
        answers = draw(st.lists(st.integers(0, k - 1), min_size=r, max_size=r))
        rows.append(np.bincount(answers, minlength=k))
    ends = np.zeros((2, k), dtype=np.int64)
    ends[[0, 1], [0, 1]] = fixed
    return np.concatenate([np.array(rows), ends])


def each_once(patterns: IntArray) -> IntArray:
    return np.ones(len(patterns), dtype=np.int64)


def model_table(kappa: float, shares: FloatArray) -> FloatArray:
    return (1 - kappa) * np.outer(shares, shares) + kappa * np.diag(shares)


def test_kappa_of_fleiss_worked_example() -> None:
    assert round(float(coefficients.cohen_kappa(DIAGNOSES)), 2) == 0.68


def test_standard_error_of_fleiss_worked_example() -> None:
    # Printed as 0.087, from a kappa rounded to 0.68 on the way.
    assert coefficients.standard_error(DIAGNOSES) == pytest.approx(0.087, abs=1e-3)


def test_kappa_of_each_class_of_fleiss_worked_example() -> None:
    each = coefficients.cohen_kappa(coefficients.one_against_rest(DIAGNOSES))
    assert [round(float(kappa), 2) for kappa in each] == [0.69, 0.50, 0.77]


@pytest.mark.parametrize(
    ("table", "kappa"), [([[80, 10], [5, 5]], 0.32), ([[40, 9], [6, 45]], 0.70)], ids=["skewed", "even"]
)
def test_equal_raw_agreement_gives_the_two_kappas_of_feinstein_and_cicchetti(
    table: list[list[int]], kappa: float
) -> None:
    counts = np.array(table)
    assert (0.85, kappa) == (
        float(coefficients.raw_agreement(counts)),
        round(float(coefficients.cohen_kappa(counts)), 2),
    )


def test_kappa_adjusted_for_prevalence_and_bias_depends_on_raw_agreement_alone() -> None:
    assert pytest.approx([coefficients.adjusted_kappa(0.85, k) for k in (2, 3)]) == [0.7, 0.775]


def test_greatest_kappa_is_reached_when_all_that_can_agree_does() -> None:
    table = np.array([[40, 20], [0, 40]])
    assert float(coefficients.greatest_kappa(np.array([[30, 30], [10, 30]]))) == pytest.approx(
        float(coefficients.cohen_kappa(table))
    )


def test_kappa_of_fleiss_psychiatrists() -> None:
    assert round(float(coefficients.fleiss_kappa(PSYCHIATRISTS, each_once(PSYCHIATRISTS))), 3) == 0.430


def test_kappa_of_each_diagnosis_of_fleiss_psychiatrists() -> None:
    kappas = [
        coefficients.fleiss_kappa(coefficients.patterns_of_class(PSYCHIATRISTS, c), each_once(PSYCHIATRISTS))
        for c in range(5)
    ]
    assert [round(float(kappa), 3) for kappa in kappas] == [0.245, 0.245, 0.520, 0.471, 0.566]


def test_alpha_of_krippendorffs_worked_example() -> None:
    answers = np.array([[int(mark) if mark != "." else 0 for mark in row] for row in OBSERVERS])
    patterns = np.stack([(answers == value).sum(0) for value in range(1, 6)], 1)
    patterns = patterns[patterns.sum(1) > 1]
    assert round(float(coefficients.krippendorff_alpha(patterns, each_once(patterns))), 3) == 0.743


def test_fleiss_kappa_refuses_images_with_different_numbers_of_answers() -> None:
    with pytest.raises(ValueError, match="different numbers of answers"):
        coefficients.fleiss_kappa(np.array([[2, 0], [1, 2]]), np.array([1, 1]))


@pytest.mark.parametrize("statistic", [coefficients.fleiss_kappa, coefficients.krippendorff_alpha])
def test_coefficients_of_many_raters_are_undefined_if_every_answer_is_the_same(statistic: object) -> None:
    assert callable(statistic)
    assert math.isnan(float(statistic(np.array([[3, 0]]), np.array([10]))))


def test_kappa_is_undefined_if_both_raters_use_one_class() -> None:
    assert math.isnan(float(coefficients.cohen_kappa(np.array([[9, 0], [0, 0]]))))


def test_kappa_is_zero_if_one_rater_uses_one_class() -> None:
    assert float(coefficients.cohen_kappa(np.array([[9, 5], [0, 0]]))) == 0


@given(tables())
def test_kappa_lies_between_its_bounds(table: IntArray) -> None:
    kappa, greatest = float(coefficients.cohen_kappa(table)), float(coefficients.greatest_kappa(table))
    assert -1 <= kappa <= greatest <= 1


@given(tables(), st.randoms(use_true_random=False))
def test_kappa_does_not_change_with_the_names_of_classes(table: IntArray, random: object) -> None:
    order = np.arange(len(table))
    random.shuffle(order)  # type: ignore[attr-defined]
    renamed = table[np.ix_(order, order)]
    assert float(coefficients.cohen_kappa(table)) == pytest.approx(float(coefficients.cohen_kappa(renamed)))


@given(tables())
def test_kappa_and_its_error_do_not_change_with_the_order_of_raters(table: IntArray) -> None:
    both = [
        (float(coefficients.cohen_kappa(each)), coefficients.standard_error(each))
        for each in (table, table.T)
    ]
    assert both[0] == pytest.approx(both[1])


@given(tables())
def test_raters_who_never_differ_have_kappa_1_without_error(table: IntArray) -> None:
    agreed = np.diag(table.diagonal())
    assert float(coefficients.cohen_kappa(agreed)) == 1
    assert coefficients.standard_error(agreed) == pytest.approx(0, abs=1e-7)


@given(tables())
def test_kappa_of_many_tables_is_that_of_each(table: IntArray) -> None:
    stacked = coefficients.cohen_kappa(np.stack([table, table * 2, table.T]))
    assert [float(coefficients.cohen_kappa(each)) for each in (table, table * 2, table.T)] == list(stacked)


@given(pattern_sets(complete=True))
def test_fleiss_kappa_and_alpha_are_one_but_for_the_size_of_the_sample(patterns: IntArray) -> None:
    # Krippendorff (2011): alpha corrects the expected disagreement for the number of answers n.
    n = patterns.sum()
    fleiss = float(coefficients.fleiss_kappa(patterns, each_once(patterns)))
    alpha = float(coefficients.krippendorff_alpha(patterns, each_once(patterns)))
    assert 1 - alpha == pytest.approx((1 - fleiss) * (n - 1) / n)


@given(pattern_sets(complete=False))
def test_alpha_lies_between_its_bounds_and_weights_count_images(patterns: IntArray) -> None:
    once = float(
        coefficients.krippendorff_alpha(np.repeat(patterns, 2, axis=0), each_once(patterns).repeat(2))
    )
    assert -1 <= once <= 1
    assert once == pytest.approx(float(coefficients.krippendorff_alpha(patterns, 2 * each_once(patterns))))


@given(pattern_sets(complete=False))
def test_every_pair_of_answers_is_in_the_table_of_pairs(patterns: IntArray) -> None:
    table = coefficients.pair_table(patterns, each_once(patterns))
    answers = patterns.sum(1)
    assert int((answers * (answers - 1) // 2).sum()) == int(np.triu(table).sum())


@pytest.mark.parametrize("kappa", [0.0, 0.35, 0.6, 0.9])
def test_simulated_raters_recover_the_kappa_that_they_were_given(kappa: float) -> None:
    shares = np.array([0.4, 0.27, 0.2, 0.1, 0.03])
    cells = np.random.default_rng(3).multinomial(40_000, model_table(kappa, shares).ravel()).reshape(5, 5)
    error = coefficients.standard_error(cells)
    assert abs(float(coefficients.cohen_kappa(cells)) - kappa) < 4 * error < 0.05


def test_simulated_raters_with_a_confusion_of_their_own_recover_its_kappa() -> None:
    # The truth is of three classes; each rater has a table of what is said to each.
    truth = np.array([0.5, 0.3, 0.2])
    first = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])
    second = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]])
    joint = np.einsum("t,ti,tj->ij", truth, first, second)
    expected = (np.trace(joint) - joint.sum(1) @ joint.sum(0)) / (1 - joint.sum(1) @ joint.sum(0))
    generator = np.random.default_rng(4)
    shown = generator.choice(3, size=30_000, p=truth)
    answers = [
        (generator.random((30_000, 1)) > rater[shown].cumsum(1)[:, :-1]).sum(1) for rater in (first, second)
    ]
    measured = coefficients.cohen_kappa(coefficients.contingency(answers[0], answers[1], 3))
    assert float(measured) == pytest.approx(float(expected), abs=0.02)


def test_large_sample_error_is_the_spread_of_simulated_studies() -> None:
    table = model_table(0.6, np.array([0.6, 0.3, 0.1]))
    studies = np.random.default_rng(5).multinomial(400, table.ravel(), size=20_000).reshape(-1, 3, 3)
    spread = float(coefficients.cohen_kappa(studies).std())
    assert math.sqrt(coefficients.kappa_variance(table) / 400) == pytest.approx(spread, rel=0.02)


def test_resamples_have_as_many_images_as_the_study_and_are_drawn_alike_by_seed() -> None:
    counts = np.array([5, 0, 15])
    first, again = (
        np.concatenate(list(coefficients.resampled_counts(counts, Bootstrap(resamples=50, seed=9))))
        for _ in range(2)
    )
    assert first.shape == (50, 3)
    assert {20} == set(first.sum(1).tolist())
    assert (first == again).all()


@pytest.mark.parametrize(
    ("kappa", "word"),
    [
        (-0.01, "poor"),
        (0.0, "slight"),
        (0.2, "slight"),
        (0.21, "fair"),
        (0.557, "moderate"),
        (0.61, "substantial"),
        (0.886, "almost perfect"),
        (1.0, "almost perfect"),
    ],
)
def test_kappas_have_the_words_of_landis_and_koch(kappa: float, word: str) -> None:
    assert word == coefficients.landis_koch(kappa)
