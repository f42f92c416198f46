"""Concept F1 against scikit-learn, image by image as the official evaluators call it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from rocov2_eval.align import concept_sets
from rocov2_eval.editions import SCORED_MANUAL_CUIS
from rocov2_eval.metrics import concept_f1, concept_f1_manual

pytestmark = pytest.mark.parity

CUIS = [*SCORED_MANUAL_CUIS[:5], "C1", "C2", "C3", "C4"]
Sets = list[set[str]]
Measure = Callable[[set[str], set[str]], float]


def cells(seed: int, images: int = 150) -> list[str]:
    """Return cells of up to six concepts, some of them empty, in mixed case and with blanks."""
    generator = random.Random(seed)
    spell = (str, str.lower, lambda cui: f" {cui} ")
    return [
        ";".join(generator.choice(spell)(cui) for cui in generator.sample(CUIS, generator.randint(0, 6)))
        for _ in range(images)
    ]


def sets_of(column: list[str]) -> Sets:
    return [{concept.strip().upper() for concept in cell.split(";")} for cell in column]


@pytest.fixture(scope="module")
def measures() -> dict[str, Measure]:
    """Return scikit-learn's measures of a set against a set, over the union of both."""
    from sklearn.metrics import f1_score, precision_score, recall_score

    def over_the_union(function: Callable[..., float]) -> Measure:
        def measure(candidate: set[str], reference: set[str]) -> float:
            union = sorted(candidate | reference)
            columns = ([int(concept in side) for concept in union] for side in (reference, candidate))
            return float(function(*columns, average="binary", zero_division=0)) if union else 0.0

        return measure

    return {
        "concept_f1": over_the_union(f1_score),
        "concept_precision": over_the_union(precision_score),
        "concept_recall": over_the_union(recall_score),
    }


@pytest.mark.parametrize("name", concept_f1.METRIC.outputs)
def test_the_score_of_each_image_is_bit_equal(measures: dict[str, Measure], name: str) -> None:
    run, truth = cells(1), cells(2)

    expected = list(map(measures[name], sets_of(run), sets_of(truth)))
    assert expected == concept_f1.score(*concept_sets(run, truth))[name].values.tolist()


def test_the_secondary_score_of_each_image_is_bit_equal(measures: dict[str, Measure]) -> None:
    run, truth = cells(3), cells(4)
    allowed = set(SCORED_MANUAL_CUIS)

    scores = concept_f1_manual.score(*concept_sets(run, truth))["concept_f1_manual"]

    expected = [
        measures["concept_f1"](candidate & allowed, reference & allowed) if reference & allowed else None
        for candidate, reference in zip(sets_of(run), sets_of(truth), strict=True)
    ]
    found = zip(scores.values.tolist(), scores.scored, strict=True)
    assert expected == [value if scored else None for value, scored in found]
