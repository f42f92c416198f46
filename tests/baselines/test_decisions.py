"""Decisions: against brute force, against the scorer, and on simulated probabilities."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.decisions import (
    MOST,
    RULES,
    Decision,
    RuleName,
    choose,
    concept_cells,
    decide,
    fit,
    halves,
    sample_f1,
    table,
)
from baselines.decisions.calibration import _unranked, calibrated, fit_to_likelihood, logit_histogram, sigmoid
from baselines.decisions.expected_f import exact_counts, expected_f1, ratio_counts
from baselines.decisions.files import DECISION, read_decision
from baselines.decisions.ranked import rank, refer
from baselines.documents import write_document
from rocov2_eval.align import concept_sets
from rocov2_eval.errors import RejectedInput
from rocov2_eval.metrics import concept_f1
from rocov2_eval.records import IntArray

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PROBABILITIES = arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 7)), elements=st.floats(0, 1))
EVERY_RULE = pytest.mark.parametrize("rule", get_args(RuleName))
FEW = settings(max_examples=20, deadline=None)


@pytest.mark.parametrize("labels", [1, 2, 5, 8])
def test_expected_f1_is_that_of_all_possible_truths(labels: int) -> None:
    probabilities = -np.sort(-np.random.default_rng(labels).uniform(0, 1, (3, labels)), axis=1)
    most = min(labels, 4)
    found = expected_f1(probabilities[:, :most], probabilities[:, most:])
    np.testing.assert_allclose(found, [[_expected(p, k) for k in range(1, most + 1)] for p in probabilities])


def test_the_exact_rule_beats_every_set_of_labels() -> None:
    for probabilities in np.random.default_rng(0).beta(0.5, 1, (8, 5)):
        falling = -np.sort(-probabilities)
        count = int(exact_counts(falling[None], np.zeros((1, 0)))[0])
        sets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
        best = max(_expected_of(falling, chosen) for chosen in sets)
        assert _expected(falling, count) == pytest.approx(best)


def test_many_improbable_labels_are_counted_exactly() -> None:
    rest = np.full((1, 2000), 0.002)
    pooled = np.random.default_rng(0).binomial(2000, 0.002, 400_000)
    hit = 0.9 * np.mean(2 / (1 + 1 + pooled))
    np.testing.assert_allclose(expected_f1(np.array([[0.9]]), rest), [[hit]], rtol=3e-3)


def test_the_ratio_rule_is_its_formula() -> None:
    ranked = np.array([[0.9, 0.6, 0.2]])
    # 2·0.9/(1+2) = 0.600, 2·1.5/(2+2) = 0.750, 2·1.7/(3+2) = 0.680
    assert ratio_counts(ranked, np.array([2.0])).tolist() == [2]


@FEW
@given(PROBABILITIES, st.randoms(use_true_random=False))
def test_sample_f1_is_that_of_the_scorer(probabilities: Floats, random: object) -> None:
    del random
    truth = probabilities > 0.4
    chosen = decide(probabilities[:, ::-1], Decision(rule="fixed", parameters={"threshold": 0.6}))
    outside = np.arange(len(truth)) % 2
    labels = [f"C{i}" for i in range(truth.shape[1])]
    references = [
        ";".join([labels[i] for i in np.flatnonzero(row)] + ["C99"] * int(more))
        for row, more in zip(truth, outside, strict=True)
    ]
    sets = concept_sets(concept_cells(chosen, labels), references)
    expected = concept_f1.score(*sets)["concept_f1"].values
    np.testing.assert_allclose(sample_f1(chosen, truth, outside), expected)


@EVERY_RULE
@FEW
@given(PROBABILITIES)
def test_every_rule_answers_the_most_probable_labels(rule: RuleName, probabilities: Floats) -> None:
    decision = fit(probabilities, probabilities > 0.5, rule)
    for row, chosen in zip(probabilities, decide(probabilities, decision), strict=True):
        assert len(set(chosen)) == len(chosen)
        assert [row[i] for i in chosen] == sorted(row, reverse=True)[: len(chosen)]


@pytest.mark.parametrize("rule", ["never-empty", "top-k", "expected-f", "exact-expected-f"])
@FEW
@given(PROBABILITIES)
def test_these_rules_never_leave_an_image_without_a_concept(rule: RuleName, probabilities: Floats) -> None:
    decision = fit(probabilities, probabilities > 0.9, rule)
    assert min(map(len, decide(probabilities, decision))) >= 1


@FEW
@given(PROBABILITIES, st.integers(0, 3))
def test_no_threshold_is_better_than_the_tuned_one(probabilities: Floats, seed: int) -> None:
    truth = np.random.default_rng(seed).random(probabilities.shape) < 0.5
    tuned = _mean(probabilities, truth, fit(probabilities, truth, "threshold"))
    for threshold in [*np.unique(probabilities), 0.5, 1.0]:
        other = Decision(rule="threshold", parameters={"threshold": float(threshold)})
        assert tuned >= _mean(probabilities, truth, other) - 1e-12


def test_no_number_of_labels_is_better_than_the_tuned_one() -> None:
    probabilities, truth = _world(200, 12)
    decision = fit(probabilities, truth, "top-k")
    means = [_mean(probabilities, truth, Decision(rule="top-k", parameters={"k": k})) for k in range(1, 13)]
    assert decision.parameters["k"] == int(np.argmax(means)) + 1


def test_concepts_that_are_no_label_make_a_rule_answer_more() -> None:
    probabilities, truth = _world(400, 12)
    alone = fit(probabilities, truth, "threshold")
    among = fit(probabilities, truth, "threshold", np.full(400, 6))
    assert among.parameters["threshold"] < alone.parameters["threshold"]


def test_the_temperature_of_cooled_probabilities_is_found() -> None:
    probabilities, truth = _world(2000, 40)
    cooled = calibrated(probabilities, 0.5, 0.5)
    # 2·(0.5·logit + 0.5) - 1 = logit
    temperature, bias = fit_to_likelihood(rank(cooled), refer(truth, None))
    assert (temperature, bias) == (pytest.approx(2, rel=0.1), pytest.approx(-1, abs=0.2))


def test_expected_f_mends_probabilities_that_are_too_cautious() -> None:
    probabilities, truth = _world(1000, 40)
    cautious = calibrated(probabilities, 0.5, 0.0)
    raw = Decision(rule="expected-f", parameters={"temperature": 1.0, "bias": 0.0})
    assert _mean(cautious, truth, fit(cautious, truth)) > _mean(cautious, truth, raw) + 0.02


@pytest.mark.parametrize(("temperature", "bias"), [(1.0, 0.0), (0.5, -1.0), (2.0, 1.0)])
def test_the_sum_of_all_labels_is_read_off_a_histogram(temperature: float, bias: float) -> None:
    ranked = rank(np.random.default_rng(0).beta(0.5, 50, (50, 2000)))
    centres, numbers = logit_histogram(ranked.everything, _unranked(ranked))
    top = calibrated(ranked.top, temperature, bias).sum(axis=1)
    exact = calibrated(ranked.everything, temperature, bias).sum(axis=1)
    np.testing.assert_allclose(top + numbers @ sigmoid(temperature * centres + bias), exact, rtol=0.01)


@EVERY_RULE
def test_a_decision_returns_from_its_file_as_it_was(rule: RuleName, tmp_path: Path) -> None:
    decision = fit(*_world(60, 8), rule)
    write_document(tmp_path / DECISION, decision)
    assert read_decision(tmp_path) == decision


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Expected `object`, got `array`"),
        ({"rule": "fixed"}, "missing required field `parameters`"),
        ({"rule": "best", "parameters": {}}, "Invalid enum value 'best'"),
        ({"rule": "fixed", "parameters": {"k": 3}}, "parameters of fixed: k, expected threshold"),
        ({"rule": "top-k", "parameters": {"k": "many"}}, "Expected `float`, got `str`"),
    ],
)
def test_what_is_no_decision_is_refused(document: object, message: str, tmp_path: Path) -> None:
    write_document(tmp_path / DECISION, document)
    with pytest.raises(RejectedInput, match=message):
        read_decision(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_a_diverged_model_is_told(value: float) -> None:
    probabilities = np.full((3, 4), 0.5)
    probabilities[1, 2] = value
    with pytest.raises(
        RejectedInput, match="1 of 3 images are not numbers from 0 to 1: the training diverged"
    ):
        decide(probabilities, Decision(rule="fixed", parameters={"threshold": 0.5}))


def test_a_decision_cannot_be_fitted_on_nothing() -> None:
    with pytest.raises(RejectedInput, match="no validation image"):
        fit(np.zeros((0, 3)), np.zeros((0, 3), np.bool_))


def test_truth_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="truth of shape"):
        fit(np.full((3, 4), 0.5), np.zeros((3, 5), np.bool_))


def test_no_image_gets_more_concepts_than_a_run_may_name() -> None:
    chosen = decide(np.full((1, 300), 0.9), Decision(rule="fixed", parameters={"threshold": 0.5}))
    assert [len(image) for image in chosen] == [MOST]


def test_equal_probabilities_are_answered_by_place() -> None:
    assert decide(np.full((1, 6), 0.9), Decision(rule="top-k", parameters={"k": 3.0})) == [(0, 1, 2)]


def test_single_precision_decides_as_double_precision() -> None:
    probabilities, truth = _world(200, 30)
    single = probabilities.astype(np.float32)
    decision = fit(probabilities, truth)
    assert decide(single, decision) == decide(single.astype(np.float64), decision)


def test_the_table_has_every_rule_with_its_gain_over_a_half() -> None:
    rows = table(*_world(300, 20))
    assert [row.decision.rule for row in rows] == list(RULES)
    assert [row.gain for row in rows] == [pytest.approx(row.valid - rows[0].valid) for row in rows]


def test_the_validation_score_of_a_rule_is_not_that_of_its_own_tuning() -> None:
    generator = np.random.default_rng(0)
    noise, truth = generator.random((40, 30)), generator.random((40, 30)) < 0.2
    row = table(noise, truth)[1]
    assert row.valid < _mean(noise, truth, row.decision)


def test_no_article_is_divided_between_the_halves_and_they_are_about_equal() -> None:
    articles = np.array([5, 5, 5, 1, 2, 2, 5, 3, 4, 4])
    half = halves(articles)

    sides: dict[int, set[bool]] = {}
    for article, side in zip(articles.tolist(), half.tolist(), strict=True):
        sides.setdefault(article, set()).add(side)
    assert all(len(known) == 1 for known in sides.values())
    assert half.sum() == 6


@pytest.mark.parametrize("articles", [np.arange(5), np.zeros(5, np.int64)])
def test_images_without_articles_and_those_of_a_single_one_are_dealt_in_turn(articles: IntArray) -> None:
    assert halves(articles).tolist() == [True, False, True, False, True]


def test_images_of_one_article_do_not_teach_the_rule_that_decides_them() -> None:
    # Two articles of two images each: in the one the first label is true, in the other both are.
    likely = np.array([[0.9, 0.4], [0.9, 0.4], [0.9, 0.4], [0.9, 0.4]])
    truth = np.array([[1, 0], [1, 0], [1, 1], [1, 1]], np.bool_)

    by_image = choose(likely, truth, "top-k").scores["f1"]
    by_article = choose(likely, truth, "top-k", articles=np.array([0, 0, 1, 1])).scores["f1"]
    assert by_article == pytest.approx(2 / 3)  # each is decided by what the other taught, and that is wrong
    assert by_image > by_article


def test_a_table_needs_two_images() -> None:
    with pytest.raises(RejectedInput, match="1 validation images, expected 2 or more"):
        table(np.full((1, 3), 0.5), np.zeros((1, 3), np.bool_))


@pytest.mark.slow
def test_on_calibrated_probabilities_the_rules_rank_as_theory_says() -> None:
    probabilities, truth = _world(4000, 300, 2.0, never_none=True)
    rules = {row.decision.rule: row.decision for row in table(probabilities[:2000], truth[:2000])}
    test = {rule: _mean(probabilities[2000:], truth[2000:], decision) for rule, decision in rules.items()}
    assert test["fixed"] + 0.01 < test["threshold"]
    assert test["threshold"] + 0.005 < test["never-empty"]
    assert test["never-empty"] < test["expected-f"] < test["exact-expected-f"] + 0.003
    assert test["top-k"] < test["expected-f"]


@pytest.mark.slow
def test_on_too_cautious_probabilities_only_the_fitted_rule_holds() -> None:
    probabilities, truth = _world(4000, 300, difficulty=2.0)
    cautious = calibrated(probabilities, 0.6, 0.0)
    raw = Decision(rule="expected-f", parameters={"temperature": 1.0, "bias": 0.0})
    fitted = fit(cautious[:2000], truth[:2000])
    good = _mean(probabilities[2000:], truth[2000:], raw)
    assert _mean(cautious[2000:], truth[2000:], raw) < good - 0.05
    assert _mean(cautious[2000:], truth[2000:], fitted) > good - 0.005


def _expected(falling: Floats, count: int) -> float:
    return _expected_of(falling, tuple(range(count)))


def _expected_of(probabilities: Floats, chosen: tuple[int, ...]) -> float:
    """Return the expected F1 of an answer by going through every possible truth."""
    value = 0.0
    for truth in itertools.product((0, 1), repeat=len(probabilities)):
        likelihood = np.prod([p if shown else 1 - p for p, shown in zip(probabilities, truth, strict=True)])
        hits = sum(truth[i] for i in chosen)
        value += likelihood * 2 * hits / (len(chosen) + sum(truth))
    return float(value)


def _world(n: int, labels: int, difficulty: float = 1.0, *, never_none: bool = False) -> tuple[Floats, Bools]:
    """Return probabilities of n images and truths drawn from them; labels have Zipfian frequencies.

    With `never_none` an image without a label gets its most probable one: in ROCOv2 none is without.
    """
    generator = np.random.default_rng(n + labels)
    frequencies = np.log(0.6 / np.arange(1, labels + 1))
    hardness = generator.uniform(0.5, 1.5, (n, 1)) * difficulty
    probabilities = sigmoid(1.5 * frequencies + hardness * generator.normal(0, 1.5, (n, labels)))
    truth = generator.random((n, labels)) < probabilities
    if never_none:
        empty = np.flatnonzero(~truth.any(axis=1))
        truth[empty, probabilities[empty].argmax(axis=1)] = True
    return probabilities, truth


def _mean(probabilities: Floats, truth: Bools, decision: Decision) -> float:
    return float(sample_f1(decide(probabilities, decision), truth).mean())
