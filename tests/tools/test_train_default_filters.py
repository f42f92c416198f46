"""The filters that ship: how their rules are fitted, judged by sources left out, and given a threshold."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from filter_cards import Judgement, judgement_tables, wilson
from probes import fitted
from train_default_filters import DRAWN, SPOILED, Examples, judgements, left_out_scores, threshold_of


def examples(n: int = 40, **changes: object) -> Examples:
    """Return scans and others of three sources, told by their first feature."""
    random = np.random.default_rng(0)
    answers = np.tile([1, 0], 3 * n)
    features = random.normal(size=(len(answers), 6))
    features[:, 0] += 6 * answers
    values = {
        "features": features,
        "answers": answers,
        "sources": np.repeat(["one", "two", "three"], 2 * n),
        "kinds": np.where(answers == 1, "CT", "plot"),
        "is_real": np.ones(len(answers), dtype=bool),
        "evidence": np.zeros(len(answers)),
    }
    return Examples(**(values | changes))


def test_a_rule_tells_what_can_be_told() -> None:
    made = examples()
    rule = fitted(made.features, made.answers, np.ones(240), penalty=0.01, colours=False)

    assert ((rule.logits(made.features) > 0) == made.answers).mean() > 0.98


def test_a_picture_without_weight_teaches_nothing() -> None:
    made = examples()
    wrong = np.concatenate([made.answers, 1 - made.answers])
    twice = np.concatenate([made.features, made.features])
    weights = np.concatenate([np.ones(240), np.zeros(240)])
    rule = fitted(twice, wrong, weights, penalty=0.01, colours=False)

    assert ((rule.logits(made.features) > 0) == made.answers).mean() > 0.98


def test_a_source_is_scored_by_a_rule_that_never_saw_it() -> None:
    honest = examples()
    lies = honest.sources == "two"
    liar = examples(answers=np.where(lies, 1 - honest.answers, honest.answers))
    scores = left_out_scores("radiology", liar)

    assert ((scores[lies] > 0) == honest.answers[lies]).mean() > 0.95


def test_drawings_are_never_judged() -> None:
    made = examples()
    drawn = examples(sources=np.where(np.arange(240) < 80, DRAWN, made.sources))
    scores = left_out_scores("radiology", drawn)

    assert np.isnan(scores[:80]).all()
    assert {each.source for each in judgements("radiology", drawn, np.nan_to_num(scores))} == {"two", "three"}


def test_the_threshold_keeps_the_share_that_must_not_be_lost_on_average_over_kinds() -> None:
    made = examples()
    scores = np.where(made.answers == 1, np.linspace(0, 4, 240), -5.0)
    threshold = threshold_of("radiology", made, scores, made.sources != DRAWN)
    cells = [scores[(made.sources == name) & (made.answers == 1)] for name in ("one", "two", "three")]

    assert np.mean([(cell >= threshold).mean() for cell in cells]) >= 0.98
    assert np.mean([(cell >= threshold + 0.2).mean() for cell in cells]) < 0.98


def test_spoiled_pictures_have_no_say_in_the_threshold() -> None:
    made = examples()
    scores = np.where(made.answers == 1, 3.0, -3.0)
    spoiled = (made.sources == "two") & (made.answers == 1)
    scores[spoiled] = -7.0
    kinds = np.where(spoiled, SPOILED, made.kinds)

    assert threshold_of("radiology", examples(kinds=kinds), scores, spoiled | ~spoiled) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("number", "of", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_intervals_are_wilsons(number: int, of: int, low: float, high: float) -> None:
    assert wilson(number, of) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_table_sums_up_the_sources_of_a_kind() -> None:
    rows = [Judgement(source=name, kind="CT", answer=1, right=9, of=10) for name in ("one", "two")]

    assert "| yes | CT | **all** | 18 | 20 | 0.900 | 0.699 to 0.972 |" in judgement_tables(rows)
