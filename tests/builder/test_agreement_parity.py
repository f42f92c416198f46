"""Coefficients of agreement against scikit-learn, statsmodels and krippendorff, on simulated raters."""

from __future__ import annotations

from collections.abc import Iterator

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from dataset_builder.agreement import coefficients
from rocov2_eval.records import IntArray

pytestmark = pytest.mark.parity

_STUDIES = 60


def studies(raters: int) -> Iterator[tuple[IntArray, int]]:
    """Yield answers, shape (images, raters), and the number of classes: skewed, of low and high agreement."""
    generator = np.random.default_rng(raters)
    for _ in range(_STUDIES):
        k, n = int(generator.integers(2, 8)), int(generator.integers(5, 400))
        shares = generator.dirichlet(np.full(k, 0.7))
        truth = generator.choice(k, size=n, p=shares)[:, None]
        guesses = generator.choice(k, size=(n, raters), p=shares)
        answers = np.where(generator.random((n, raters)) < generator.random(), truth, guesses)
        if (answers != answers[0]).any(0).all():  # statsmodels divides by zero where a rater uses one class
            yield answers, k


def patterns_of(answers: IntArray, k: int) -> IntArray:
    return np.stack([(answers == c).sum(1) for c in range(k)], 1)


def test_kappa_is_that_of_scikit_learn() -> None:
    compared = [
        (
            float(coefficients.cohen_kappa(coefficients.contingency(answers[:, 0], answers[:, 1], k))),
            cohen_kappa_score(answers[:, 0], answers[:, 1]),
        )
        for answers, k in studies(2)
    ]
    assert len(compared) > _STUDIES / 2
    assert [ours for ours, _ in compared] == pytest.approx([theirs for _, theirs in compared], abs=1e-12)


def test_kappa_its_error_and_its_greatest_value_are_those_of_statsmodels() -> None:
    for answers, k in studies(2):
        table = coefficients.contingency(answers[:, 0], answers[:, 1], k)
        theirs = inter_rater.cohens_kappa(table)
        ours = (
            coefficients.cohen_kappa(table),
            coefficients.standard_error(table),
            coefficients.greatest_kappa(table),
        )
        assert [float(value) for value in ours] == pytest.approx(
            [theirs.kappa, theirs.std_kappa, theirs.kappa_max], abs=1e-9
        )


def test_kappa_of_a_class_is_that_of_scikit_learn_against_the_rest() -> None:
    for answers, k in studies(2):
        table = coefficients.contingency(answers[:, 0], answers[:, 1], k)
        each = coefficients.cohen_kappa(coefficients.one_against_rest(table))
        for c in np.unique(answers):
            theirs = cohen_kappa_score(answers[:, 0] == c, answers[:, 1] == c)
            assert float(each[c]) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("raters", [2, 3, 6])
def test_fleiss_kappa_is_that_of_statsmodels(raters: int) -> None:
    for answers, k in studies(raters):
        patterns, counts = np.unique(patterns_of(answers, k), axis=0, return_counts=True)
        theirs = inter_rater.fleiss_kappa(patterns_of(answers, k))
        assert float(coefficients.fleiss_kappa(patterns, counts)) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("raters", [2, 3, 6])
def test_alpha_with_answers_missing_is_that_of_krippendorff(raters: int) -> None:
    generator = np.random.default_rng(8)
    for answers, k in studies(raters):
        missing = generator.random(answers.shape) < 0.3
        patterns = patterns_of(np.where(missing, -1, answers), k)
        patterns = patterns[patterns.sum(1) > 1]
        if np.count_nonzero(patterns.sum(0)) < 2:
            continue
        theirs = krippendorff.alpha(
            reliability_data=np.where(missing, np.nan, answers).T, level_of_measurement="nominal"
        )
        kinds, counts = np.unique(patterns, axis=0, return_counts=True)
        assert float(coefficients.krippendorff_alpha(kinds, counts)) == pytest.approx(theirs, abs=1e-9)
