from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.audit.intervals import (
    Estimate,
    Judged,
    proportion,
    wilson,
)
from dataset_builder.audit.missed_concepts import Gap
from dataset_builder.audit.questions import CONCEPT, YES
from dataset_builder.audit.sampling import Item, Kind, Sample, SampleOptions, draw_sample
from dataset_builder.audit.score_reporters import REPORTERS, audit_document
from dataset_builder.audit.scoring import AuditReport, majority, refuse_strangers, score_audit
from dataset_builder.facets import UNSURE
from dataset_builder.study.annotations import Annotation
from rocov2_eval.errors import RejectedInput

sys.path.insert(0, str(Path(__file__).parent))
from made_audit import TYPES, answers, population, truth_of

IMAGES, CONCEPTS = population()
TRUTH = truth_of(IMAGES, CONCEPTS)
OPTIONS = SampleOptions(concepts=300, least=30, images=150, seed=4)
SAMPLE = draw_sample(IMAGES, CONCEPTS, OPTIONS)
BOTH: tuple[Kind, ...] = ("automatic", "missed")


def key_of(sample: Sample) -> dict[str, Item]:
    return {item.item or f"unseen-{number}": item for number, item in enumerate(sample.items)}


def scored(sample: Sample = SAMPLE, **errors: float) -> AuditReport:
    return score_audit(key_of(sample), answers(list(sample.items), TRUTH, **errors))  # type: ignore[arg-type]


def holds(estimate: Estimate, value: float) -> bool:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= value <= estimate.high


@pytest.mark.parametrize(
    ("yes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_that_of_the_examples_of_newcombe_1998(yes: int, n: int, low: float, high: float) -> None:
    assert wilson(yes / n, n) == pytest.approx((low, high), abs=5e-5)


def test_strata_count_by_their_population_and_not_by_what_was_drawn() -> None:
    strata = [
        Judged(values=(1.0,) * 10, population=900),
        Judged(values=(0.0,) * 40, population=100),
    ]
    assert proportion(strata, "").value == pytest.approx(0.9)


def test_a_stratum_that_was_judged_whole_is_certain() -> None:
    assert proportion([Judged(values=(1.0, 0.0), population=2)], "") == Estimate(
        value=0.5, low=0.5, high=0.5, judged=2
    )


def test_few_judgements_that_are_all_alike_are_not_certain() -> None:
    seen = proportion([Judged(values=(1.0,), population=500), Judged(values=(0.0,), population=500)], "")
    assert seen.low is not None
    assert seen.low < 0.2


@given(
    st.lists(st.tuples(st.lists(st.sampled_from([0.0, 1.0]), max_size=30), st.integers(30, 1000)), max_size=6)
)
@settings(max_examples=100, deadline=None)
def test_a_proportion_lies_within_its_interval_and_the_interval_within_0_and_1(
    strata: list[tuple[list[float], int]],
) -> None:
    seen = proportion([Judged(values=tuple(values), population=n) for values, n in strata], "none")
    if not any(values for values, _ in strata):
        assert seen == Estimate(value=None, low=None, high=None, judged=0, why="none")
        return
    assert seen.value is not None
    assert seen.low is not None
    assert seen.high is not None
    assert 0 <= seen.low <= seen.value + 1e-12
    assert seen.value - 1e-12 <= seen.high <= 1


def test_raters_without_error_recover_the_truth_within_the_intervals() -> None:
    report = scored()
    assert holds(report.overall.precision, TRUTH.precision(*TYPES))
    assert holds(report.overall.false_positives, 1 - TRUTH.precision(*TYPES))
    assert holds(report.overall.false_negatives, TRUTH.false_negatives(*TYPES))
    assert [holds(score.precision, TRUTH.precision(score.type)) for score in report.types] == [True] * 4
    assert [holds(score.false_negatives, TRUTH.false_negatives(score.type)) for score in report.types] == [
        True
    ] * 4


def test_a_sample_of_everything_recovers_the_precision_exactly() -> None:
    everything = draw_sample(IMAGES, CONCEPTS, SampleOptions(concepts=10**6, images=0))
    precision = scored(everything).overall.precision
    assert precision.value == pytest.approx(TRUTH.precision(*TYPES))
    assert (precision.low, precision.high) == (precision.value, precision.value)


def test_types_come_by_number_of_automatic_concepts() -> None:
    report = scored()
    sizes = [score.automatic for score in report.types]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == report.overall.automatic == len(TRUTH.right)


def test_a_rater_who_says_yes_to_everything_is_flagged_and_can_be_left_out() -> None:
    items = list(SAMPLE.items)
    given_ = [*answers(items, TRUTH), *answers(items, TRUTH, "rater-2", yes=1.0)]
    report = score_audit(key_of(SAMPLE), given_, without_flagged=True)
    assert [(rater.rater, rater.is_flagged) for rater in report.raters] == [
        ("rater-1", False),
        ("rater-2", True),
    ]
    assert report.raters[1].false_alarms.value == 1.0
    assert report.left_out == ("rater-2",)
    assert report.overall == scored().overall


def test_decoys_never_count_as_automatic_concepts() -> None:
    report = scored()
    n_decoys = len(SAMPLE.of_kind("decoy"))
    assert report.raters[0].false_alarms.judged == n_decoys
    assert report.overall.precision.judged == len(SAMPLE.of_kind("automatic"))


def test_two_of_three_raters_outvote_the_third() -> None:
    items = list(SAMPLE.items)
    given_ = [
        *answers(items, TRUTH),
        *answers(items, TRUTH, "rater-2"),
        *answers(items, TRUTH, "rater-3", error=0.4),
    ]
    report = score_audit(key_of(SAMPLE), given_)
    assert report.overall == scored().overall
    assert report.agreement["concepts"].value == pytest.approx((1 + 0.6 + 0.6) / 3, abs=0.05)
    assert report.agreement["missed"].value == 1.0


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
    assert majority(values) == expected
    assert majority(reversed(values)) == expected


def test_what_is_not_judged_is_told_with_its_reason() -> None:
    given_ = answers(list(SAMPLE.items), TRUTH)
    items = [item.item for item in SAMPLE.of_kind("automatic")[:3]]
    kept = [each for each in given_ if each.image != items[0]]
    kept = [replace(each, cui=UNSURE) if each.image == items[1] else each for each in kept]
    other = next(each for each in given_ if each.image == items[2])
    kept.append(replace(other, rater="rater-2", cui="no" if other.cui == "yes" else "yes"))
    report = score_audit(key_of(SAMPLE), kept)
    assert report.open == {"cannot be told": 1, "not answered": 1, "raters are divided": 1}
    assert report.overall.precision.judged == len(SAMPLE.of_kind("automatic")) - 3


def test_a_type_of_which_nothing_was_judged_is_undefined_with_its_reason() -> None:
    other = [item for item in SAMPLE.items if item.types[0] != "T074" or item.kind == "missed"]
    report = score_audit(key_of(SAMPLE), answers(other, TRUTH))
    (score,) = [score for score in report.types if score.type == "T074"]
    assert score.precision == Estimate(value=None, low=None, high=None, judged=0, why="none was judged")
    assert score.false_negatives.why == "no automatic concept was judged"
    assert report.uncovered == {"T074": score.automatic}


def test_without_images_for_missed_ones_there_are_no_false_negatives() -> None:
    report = scored(draw_sample(IMAGES, CONCEPTS, replace(OPTIONS, images=0)))
    assert report.overall.false_negatives.why == "nobody was asked for missed ones"


def test_the_later_answer_of_a_rater_counts() -> None:
    item = SAMPLE.of_kind("automatic")[0]
    early = Annotation(image=item.item, facet="concept", cui="no", rater="r", time="2026-01-01T10:00:00Z")
    late = replace(early, cui="yes", time="2026-01-01T11:00:00Z")
    report = score_audit(key_of(SAMPLE), [late, early])
    assert (report.overall.precision.value, report.superseded) == (1.0, 1)


def test_of_answers_whose_order_is_not_known_none_counts_and_it_is_told() -> None:
    first, second = SAMPLE.of_kind("automatic")[:2]
    once = Annotation(image=first.item, facet="concept", cui="yes", rater="r")
    twice = [replace(once, image=second.item, cui=cui) for cui in ("no", "yes", "yes")]
    for order in (twice, twice[::-1]):
        report = score_audit(key_of(SAMPLE), [once, *order])
        assert (report.overall.precision.judged, report.undecided, report.superseded) == (1, 1, 0)
        assert report.open["answered in different ways by one rater"] == 1
        assert "1 questions were answered in different ways by one rater" in REPORTERS["text"](report)


def key_of_two_modalities() -> dict[str, Item]:
    """Return 20 concepts and 20 images each of 100 images of CT and 900 of MRI, all with one concept."""
    items = [
        Item(
            item=f"{kind}-{modality}-{number}",
            kind=kind,
            image="",
            cui="",
            types=("T047",),
            modality=modality,
            population=size,
        )
        for modality, size in {"CT": 100, "MRI": 900}.items()
        for kind in BOTH
        for number in range(20)
    ]
    return {item.item: item for item in items}


def right_or_one(item: Item) -> Annotation:
    """Return the answer that a concept is right, or that an image lacks one."""
    is_image = item.kind == "missed"
    facet, value = ("missed_T047", "1") if is_image else ("concept", "yes")
    return Annotation(image=item.item, facet=facet, cui=value, rater="r")


def in_two_modalities(*, asked_in: Sequence[str]) -> AuditReport:
    """Return the score where the images of some modalities were answered; the truth of both is one half."""
    key = key_of_two_modalities()
    return score_audit(key, [right_or_one(it) for it in key.values() if is_asked(it, asked_in)])


def is_asked(item: Item, modalities: Sequence[str]) -> bool:
    return item.kind == "automatic" or item.modality in modalities


@pytest.mark.parametrize("asked_in", [["CT"], ["MRI"], ["CT", "MRI"]])
def test_false_negatives_set_missed_and_right_concepts_of_the_same_images_side_by_side(
    asked_in: list[str],
) -> None:
    rate = in_two_modalities(asked_in=asked_in).overall.false_negatives
    assert rate.value == pytest.approx(0.5)
    assert holds(rate, 0.5)


def test_images_of_which_none_was_judged_are_told() -> None:
    report = in_two_modalities(asked_in=["CT"])
    assert (report.uncovered, report.uncovered_images) == ({}, {"MRI": 900})
    assert report.overall.gaps == (
        Gap(
            type="T047", modality="MRI", automatic=900, images=900, why="no image was judged for missed ones"
        ),
    )
    text = REPORTERS["text"](report)
    assert "false negatives do not cover T047 of MRI (900 automatic concepts and 900 images)" in text
    assert "images of MRI 900" in text
    assert audit_document(report)["uncovered_images"] == {"MRI": 900}


def test_a_modality_without_automatic_concepts_of_a_type_needs_no_answer_about_them() -> None:
    key = {
        name: item
        for name, item in key_of_two_modalities().items()
        if not (item.kind == "automatic" and item.modality == "MRI")
    }
    given_ = [right_or_one(item) for item in key.values()]
    rate = score_audit(key, given_).overall
    assert rate.gaps == ()
    assert rate.false_negatives.value == pytest.approx(1000 / 1100)


def test_where_no_stratum_has_both_answers_the_rate_is_undefined() -> None:
    key = key_of_two_modalities()
    given_ = [right_or_one(it) for it in key.values() if (it.kind == "missed") == (it.modality == "CT")]
    found = score_audit(key, given_).overall.false_negatives
    assert (found.value, found.why) == (None, "of no stratum were both images and automatic concepts judged")


def test_without_concepts_images_are_scored_and_the_rate_is_undefined() -> None:
    report = scored(draw_sample(IMAGES, CONCEPTS, replace(OPTIONS, concepts=0)))
    assert report.overall.images_missing.judged == 150
    assert report.overall.false_negatives.why == "no automatic concept was judged"
    assert sum(report.uncovered.values()) == len(TRUTH.right)


def test_answers_of_another_audit_are_rejected_with_their_file() -> None:
    refuse_strangers(key_of(SAMPLE), answers(list(SAMPLE.items), TRUTH), "mine.json")
    stranger = Annotation(image="q000000000000", facet=CONCEPT.name, cui=YES, rater="r")
    with pytest.raises(RejectedInput, match=r"^other\.json: r answers concept of q0+, which the key"):
        refuse_strangers(key_of(SAMPLE), [stranger], "other.json")


def test_no_answer_at_all_is_rejected() -> None:
    with pytest.raises(RejectedInput, match="no answer was handed in"):
        score_audit(key_of(SAMPLE), [])


def test_json_has_null_and_a_reason_where_a_figure_is_undefined() -> None:
    document = audit_document(scored(draw_sample(IMAGES, CONCEPTS, replace(OPTIONS, images=0))))
    assert document["overall"]["false_negative_rate"] == {
        "value": None,
        "low": None,
        "high": None,
        "judged": 0,
        "why_undefined": "nobody was asked for missed ones",
        "why_no_interval": None,
    }
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_reports_name_types_raters_and_definitions(style: str) -> None:
    text = REPORTERS[style](scored(yes=0.5))
    for expected in ("T047 Disease or Syndrome", "rater-1", "flagged", "automatic concepts that the image"):
        assert expected in text.replace("FLAGGED", "flagged")


def test_names_of_raters_cannot_break_a_table() -> None:
    hostile = answers(list(SAMPLE.items), TRUTH, "a|b\n<b>")
    text = REPORTERS["markdown"](score_audit(key_of(SAMPLE), hostile))
    assert "| a\\|b\\\\n&lt;b> |" in text


@pytest.mark.slow
@pytest.mark.parametrize("by_modality", [False, True])
def test_intervals_hold_the_truth_about_95_times_in_100(*, by_modality: bool) -> None:
    repeats = 400
    held = {"precision": 0, "false negatives": 0, "precision of T037": 0, "false negatives of T047": 0}
    total = 0.0
    for seed in range(repeats):
        how = SampleOptions(concepts=200, least=15, images=80, seed=seed, by_modality=by_modality)
        report = scored(draw_sample(IMAGES, CONCEPTS, how))
        of = {score.type: score for score in report.types}
        held["precision"] += holds(report.overall.precision, TRUTH.precision(*TYPES))
        held["false negatives"] += holds(report.overall.false_negatives, TRUTH.false_negatives(*TYPES))
        held["precision of T037"] += holds(of["T037"].precision, TRUTH.precision("T037"))
        held["false negatives of T047"] += holds(of["T047"].false_negatives, TRUTH.false_negatives("T047"))
        total += report.overall.precision.value or 0.0
    assert abs(total / repeats - TRUTH.precision(*TYPES)) < 0.005
    assert all(0.925 <= number / repeats <= 0.99 for number in held.values()), held
