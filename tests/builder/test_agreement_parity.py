"""Coefficients of agreement against scikit-learn, statsmodels and krippendorff, on simulated raters."""

from __future__ import annotations

from collections.abc import Iterator

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from dataset_builder.study.coefficients import (
    Z,
    cohen_kappa,
    confusion,
    estimate,
    fleiss_kappa,
    krippendorff_alpha,
    patterns_of,
)
from rocov2_eval.records import IntArray

pytestmark = pytest.mark.parity

_STUDIES = 40


def studies(raters: int) -> Iterator[IntArray]:
    """Yield answers, shape (images, raters): skewed, of low and high agreement, no rater of one class."""
    generator = np.random.default_rng(raters)
    for _ in range(_STUDIES):
        k, n = int(generator.integers(2, 8)), int(generator.integers(5, 200))
        shares = generator.dirichlet(np.full(k, 0.7))
        truth = generator.choice(k, size=n, p=shares)[:, None]
        guesses = generator.choice(k, size=(n, raters), p=shares)
        answers = np.where(generator.random((n, raters)) < generator.random(), truth, guesses)
        if (answers != answers[0]).any(0).all():
            yield np.unique(answers, return_inverse=True)[1].reshape(answers.shape)


def test_kappa_is_that_of_scikit_learn_for_the_facet_and_for_each_class() -> None:
    for answers in studies(2):
        theirs = cohen_kappa_score(answers[:, 0], answers[:, 1])
        assert estimate(answers).kappa == pytest.approx(theirs, abs=1e-12)
        for c in np.unique(answers):
            one = (answers == c).astype(np.int64)
            theirs = cohen_kappa_score(one[:, 0], one[:, 1])
            assert estimate(one).kappa == pytest.approx(theirs, abs=1e-12)


def test_the_interval_of_two_raters_is_that_of_statsmodels() -> None:
    for answers in studies(2):
        table = confusion(answers[:, 0], answers[:, 1])
        theirs = inter_rater.cohens_kappa(table)
        kappa, error = cohen_kappa(table)
        ends = (kappa - Z * error, kappa + Z * error)
        assert ends == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=1e-6)


@pytest.mark.parametrize("raters", [3, 6])
def test_fleiss_kappa_is_that_of_statsmodels(raters: int) -> None:
    for answers in studies(raters):
        theirs = inter_rater.fleiss_kappa(inter_rater.aggregate_raters(answers)[0])
        assert fleiss_kappa(patterns_of(answers)) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("raters", [3, 6])
def test_alpha_with_answers_missing_is_that_of_krippendorff(raters: int) -> None:
    generator = np.random.default_rng(8)
    for answers in studies(raters):
        codes = np.where(generator.random(answers.shape) < 0.3, -1, answers)
        kept = codes[(codes >= 0).sum(1) > 1]
        if len(np.unique(kept[kept >= 0])) < 2 or not (kept < 0).any():
            continue
        theirs = krippendorff.alpha(
            reliability_data=np.where(codes < 0, np.nan, codes).T, level_of_measurement="nominal"
        )
        assert krippendorff_alpha(patterns_of(kept)) == pytest.approx(theirs, abs=1e-9)
