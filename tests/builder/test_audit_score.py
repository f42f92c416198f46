from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.facets import UNSURE
from dataset_builder.study.annotations import Annotation
from dataset_builder.study.audit_sample import Key, draw
from dataset_builder.study.audit_score import majority, rate, refuse_strangers, score_document
from dataset_builder.study.audit_tasks import CONCEPT, YES
from rocov2_eval.errors import RejectedInput
from rocov2_eval.rendering.render import render

from made_audit import TUIS, answers, population, truth_of

IMAGES, TYPES = population()
TRUTH = truth_of(IMAGES, TYPES)
KEY = draw(IMAGES, TYPES, n=300, missed=150, seed=4)
GIVEN = answers(KEY, TRUTH)


def scored(given: list[Annotation] = GIVEN, key: Key = KEY) -> dict[str, Any]:
    return dict(score_document(key, given).data)


def holds(found: Mapping[str, Any], value: float) -> bool:
    return bool(found["low"] <= value <= found["high"])


@pytest.mark.parametrize(
    ("yes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_examples_of_newcombe_1998(
    yes: int, n: int, low: float, high: float
) -> None:
    found = rate(yes, n, judged=n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(st.floats(0, 1), st.floats(0.01, 1000))
@settings(max_examples=60, deadline=None)
def test_a_rate_lies_within_its_interval_and_the_interval_within_0_and_1(share: float, of: float) -> None:
    found = rate(share * of, of, judged=1)
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_raters_without_error_recover_the_truth_within_the_intervals() -> None:
    data = scored()
    assert holds(data["overall"]["false_positive_rate"], TRUTH.false_positives(*TUIS))
    assert holds(data["overall"]["false_negative_rate"], TRUTH.false_negatives(*TUIS))
    for each in data["types"]:
        assert holds(each["false_positive_rate"], TRUTH.false_positives(each["type"])), each
        assert holds(each["false_negative_rate"], TRUTH.false_negatives(each["type"])), each


def test_a_sample_of_everything_has_the_true_false_positive_rate() -> None:
    key = draw(IMAGES, TYPES, n=10**6, missed=0, seed=0)
    found = scored(answers(key, TRUTH), key)["overall"]["false_positive_rate"]
    assert found["value"] == pytest.approx(TRUTH.false_positives(*TUIS))


def test_a_rater_who_says_yes_to_everything_is_flagged() -> None:
    data = scored([*GIVEN, *answers(KEY, TRUTH, "rater-2", yes=1.0)])
    assert [(each["rater"], each["is_flagged"]) for each in data["raters"]] == [
        ("rater-1", False),
        ("rater-2", True),
    ]
    assert data["raters"][1]["false_alarms"]["value"] == 1.0


def test_decoys_never_count_as_automatic_concepts() -> None:
    data = scored()
    assert data["raters"][0]["false_alarms"]["judged"] == len(KEY.of_kind("decoy"))
    assert data["overall"]["false_positive_rate"]["judged"] == len(KEY.of_kind("automatic"))


def test_two_of_three_raters_outvote_the_third() -> None:
    data = scored([*GIVEN, *answers(KEY, TRUTH, "rater-2"), *answers(KEY, TRUTH, "rater-3", error=0.4)])
    assert data["overall"] == scored()["overall"]
    assert data["agreement"]["concept"]["raw"] == pytest.approx((1 + 0.6 + 0.6) / 3, abs=0.05)
    assert data["agreement"]["missed_T047"]["kappa"] == 1.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["yes"], "yes"),
        (["yes", "no"], None),
        (["yes", "no", "no"], "no"),
        (["yes", UNSURE, UNSURE], "yes"),
        ([UNSURE], None),
        (["1", "1", "2", "2"], None),
    ],
)
def test_the_majority_counts_and_the_unsure_do_not(values: list[str], expected: str | None) -> None:
    assert majority(values) == majority(reversed(values)) == expected


def test_what_is_not_judged_is_reported_with_its_reason() -> None:
    items = [item.item for item in KEY.of_kind("automatic")[:3]]
    given_ = [each for each in GIVEN if each.image != items[0]]
    given_ = [replace(each, cui=UNSURE) if each.image == items[1] else each for each in given_]
    other = next(each for each in GIVEN if each.image == items[2])
    given_.append(replace(other, rater="rater-2", cui="no" if other.cui == "yes" else "yes"))
    data = scored(given_)
    assert data["open"] == {"raters are unsure": 1, "not answered": 1, "no majority": 1}
    assert data["overall"]["false_positive_rate"]["judged"] == len(KEY.of_kind("automatic")) - 3


def test_a_type_of_which_nothing_was_judged_is_undefined_and_named() -> None:
    document = score_document(KEY, answers(KEY, TRUTH, items=[it for it in KEY.items if it.type != "T074"]))
    (score,) = [each for each in document.data["types"] if each["type"] == "T074"]
    assert score["false_positive_rate"]["why_undefined"] == "none was judged"
    assert score["false_negative_rate"]["why_undefined"] == "no automatic concept of it was judged"
    assert "interval: 95 %, Wilson. It takes the raters as right" in render(document, "text")
    expected = (
        f"not covered, because no automatic concept of the type was judged: T074 ({score['automatic']:,})"
    )
    assert expected in render(document, "text")


@pytest.mark.parametrize("step", [1, -1])
def test_of_answers_whose_order_is_not_known_none_counts_and_they_are_reported(step: int) -> None:
    first, second = KEY.of_kind("automatic")[:2]
    once = Annotation(image=first.item, facet="concept", cui="yes", rater="r")
    twice = [replace(once, image=second.item, cui=cui) for cui in ("no", "yes", "yes")]
    data = scored([once, *twice[::step]])
    assert data["overall"]["false_positive_rate"]["judged"] == 1
    assert data["open"]["different answers of a rater, without times"] == 1


def test_answers_of_another_audit_are_rejected_with_their_file() -> None:
    refuse_strangers(KEY, GIVEN, "mine.json")
    stranger = Annotation(image="q000000000000", facet=CONCEPT.name, cui=YES, rater="r")
    with pytest.raises(
        RejectedInput, match=r"^other\.json: r answers concept of q0+, which is not in the key"
    ):
        refuse_strangers(KEY, [stranger], "other.json")


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    repeats = 60
    held = np.zeros(4)
    for seed in range(repeats):
        key = draw(IMAGES, TYPES, n=200, missed=80, seed=seed)
        data = scored(answers(key, TRUTH), key)
        of = {each["type"]: each for each in data["types"]}
        held += [
            holds(data["overall"]["false_positive_rate"], TRUTH.false_positives(*TUIS)),
            holds(data["overall"]["false_negative_rate"], TRUTH.false_negatives(*TUIS)),
            holds(of["T037"]["false_positive_rate"], TRUTH.false_positives("T037")),
            holds(of["T047"]["false_negative_rate"], TRUTH.false_negatives("T047")),
        ]
    assert (held / repeats >= 0.85).all(), held
