from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rocov2_eval.comparison import (
    Comparison,
    ComparisonOptions,
    Pair,
    compare,
    distinct_names,
    groups_of,
    require_one_truth,
)
from rocov2_eval.comparison_document import comparison_data, comparison_document
from rocov2_eval.errors import UsageFault
from rocov2_eval.formats import Table
from rocov2_eval.ranking import common_scores
from rocov2_eval.records import MetricResult, SampleScores
from rocov2_eval.rendering.render import to_markdown, to_text
from rocov2_eval.resampling import Bootstrap, interval
from rocov2_eval.schemas import schema
from rocov2_eval.scoring import Report
from rocov2_eval.significance import PairOptions, paired_tests
from rocov2_eval.truth import Truth

Read = Callable[..., tuple[Table, Truth]]
Values = Sequence[float | None]

OPTIONS = ComparisonOptions(pairs=PairOptions(trials=200, bootstrap=Bootstrap(resamples=100)))
FEW = settings(max_examples=30, deadline=None)
SCORES = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 1.0])
COLUMNS = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.lists(SCORES, min_size=n, max_size=n) for _ in range(2)])
)
GROUPS = ("CT", "X-ray", "MRI")


def report(name: str, **outputs: Values) -> Report:
    """Return a report of a run whose images have these scores; None for an unscored one."""
    samples = {
        output: SampleScores(
            values=np.array([value or 0.0 for value in values], np.float64),
            scored=np.array([value is not None for value in values], np.bool_),
        )
        for output, values in outputs.items()
    }
    metrics = {
        output: MetricResult(
            mean=scores.mean,
            interval=interval(scores, OPTIONS.pairs.bootstrap),
            n=scores.n,
            unscored=len(scores) - scores.n,
            signature=f"{output}|rev:1|v:0.1.0",
        )
        for output, scores in samples.items()
    }
    return Report(
        edition="rocov2",
        task="concepts",
        split="valid",
        notes=(),
        run=(name, "0" * 64),
        truth=(("truth/valid_concepts.csv", "1" * 64),),
        metrics=metrics,
        samples=samples,
        image_ids=[f"image_{i}" for i in range(len(next(iter(outputs.values()))))],
        not_computed={},
        concept_errors=None,
        breakdowns={},
        findings=(),
    )


def compared(
    *columns: Values, groups: Mapping[str, Sequence[str]] | None = None, **changes: Any
) -> Comparison:
    """Compare runs a, b, c … by concept_f1."""
    reports = [report(name, concept_f1=values) for name, values in zip("abcdefgh", columns, strict=False)]
    return compare(reports, groups or {}, replace(OPTIONS, **changes))


def text_of(comparison: Comparison) -> str:
    return to_text(comparison_document(comparison))


def markdown_of(comparison: Comparison) -> str:
    return to_markdown(comparison_document(comparison))


def only_pair(comparison: Comparison) -> Pair:
    (pair,) = comparison.pairs
    return pair


def ends(pair: Pair) -> tuple[float, float]:
    assert pair.interval is not None
    return pair.interval.low, pair.interval.high


# ---- pairs


def test_a_difference_is_the_second_run_minus_the_first() -> None:
    pair = only_pair(compared([0.0, 0.5], [1.0, 0.5]))

    assert (pair.a, pair.b, pair.difference) == (0, 1, 0.5)


def test_every_two_runs_are_a_pair_in_the_order_of_the_runs() -> None:
    comparison = compared([0, 1], [1, 0], [1, 1], [0, 0])

    expected = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert expected == [(pair.a, pair.b) for pair in comparison.pairs]


def test_a_pair_has_the_values_of_the_paired_tests() -> None:
    columns = np.random.default_rng(1).random((40, 3))
    comparison = compared(*columns.T.tolist())

    tests = paired_tests(columns, OPTIONS.pairs)
    for pair in comparison.pairs:
        place = (pair.a, pair.b)
        expected = [
            tests.difference[place],
            tests.low[place],
            tests.high[place],
            tests.p_value[place],
            tests.p_holm[place],
            tests.p_bootstrap[place],
        ]
        found = [pair.difference, *ends(pair), pair.p_value, pair.p_holm, pair.p_bootstrap]
        assert [float(value) for value in expected] == found


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0.2, 0.8, "b"), (0.8, 0.2, "a"), (0.5, 0.5, None)], ids=["up", "down", "equal"]
)
def test_the_better_run_is_the_one_with_the_higher_mean(a: float, b: float, expected: str | None) -> None:
    assert expected == only_pair(compared([a] * 30, [b] * 30)).better


def test_a_difference_that_may_be_chance_makes_no_run_better() -> None:
    pair = only_pair(compared([0.0, 1.0, 0.0, 1.0], [1.0, 0.5, 0.0, 1.0]))

    assert (pair.better, pair.p_holm > 0.05) == (None, True)


def test_the_verdict_goes_by_the_corrected_p_value() -> None:
    """A shift that passes the test of one pair does not survive the correction for 28."""
    values = np.random.default_rng(3).random((30, 8))
    values[:, 7] += 0.15
    comparison = compared(*values.T.tolist(), pairs=replace(OPTIONS.pairs, trials=2000))

    by_chance = [pair for pair in comparison.pairs if pair.p_value < 0.05 <= pair.p_holm]
    assert by_chance
    assert {pair.better for pair in by_chance} == {None}


def test_a_single_image_has_a_difference_and_no_interval() -> None:
    pair = only_pair(compared([0.25], [1.0]))

    assert (pair.difference, pair.interval, pair.p_value) == (0.75, None, 1.0)


@FEW
@given(columns=COLUMNS)
def test_a_run_against_itself_has_no_difference_and_p_1(columns: tuple[list[float], list[float]]) -> None:
    pair = only_pair(compared(columns[0], columns[0], groups={"modality": ["CT"] * len(columns[0])}))

    assert (pair.difference, pair.p_value, pair.p_holm, pair.p_bootstrap) == (0.0, 1.0, 1.0, 1.0)
    assert (pair.better, pair.images) == (None, ())
    (effect,) = pair.effects["modality"]
    assert {0.0} == {effect.difference, *(ends(pair) if effect.interval else ())}


@FEW
@given(columns=COLUMNS, data=st.data())
def test_swapping_the_runs_turns_every_sign(
    columns: tuple[list[float], list[float]], data: st.DataObject
) -> None:
    n = len(columns[0])
    groups = {"modality": data.draw(st.lists(st.sampled_from(GROUPS), min_size=n, max_size=n))}
    pair = only_pair(compared(*columns, groups=groups))
    turned = only_pair(compared(*columns[::-1], groups=groups))

    assert pytest.approx(-pair.difference, abs=1e-12) == turned.difference
    assert (pair.p_value, pair.p_holm, pair.p_bootstrap) == (
        turned.p_value,
        turned.p_holm,
        turned.p_bootstrap,
    )
    assert {"a": "b", "b": "a", None: None}[pair.better] == turned.better
    if pair.interval:
        low, high = ends(pair)
        assert pytest.approx((-high, -low), abs=1e-12) == ends(turned)
    assert [(image.image_id, image.b, image.a) for image in pair.images] == [
        (image.image_id, image.a, image.b) for image in turned.images
    ]
    for effect, other in zip(pair.effects["modality"], turned.effects["modality"], strict=True):
        assert (effect.group, effect.images) == (other.group, other.images)
        assert pytest.approx(-effect.difference, abs=1e-12) == other.difference
        if effect.interval and other.interval:
            assert pytest.approx(-effect.interval.high, abs=1e-12) == other.interval.low


@FEW
@given(columns=COLUMNS, data=st.data())
def test_the_order_of_the_images_moves_no_difference(
    columns: tuple[list[float], list[float]], data: st.DataObject
) -> None:
    n = len(columns[0])
    of_image = data.draw(st.lists(st.sampled_from(GROUPS), min_size=n, max_size=n))
    order = data.draw(st.permutations(range(n)))

    pair = only_pair(compared(*columns, groups={"modality": of_image}, images=n))
    moved = [[values[i] for i in order] for values in columns]
    other = only_pair(compared(*moved, groups={"modality": [of_image[i] for i in order]}, images=n))

    assert pytest.approx(pair.difference, abs=1e-12) == other.difference
    assert [
        (e.group, e.images, pytest.approx(e.difference, abs=1e-12)) for e in pair.effects["modality"]
    ] == [(e.group, e.images, e.difference) for e in other.effects["modality"]]
    assert sorted((image.a, image.b) for image in pair.images) == sorted(
        (image.a, image.b) for image in other.images
    )


def test_one_seed_gives_one_answer() -> None:
    columns = np.random.default_rng(2).random((20, 3)).T.tolist()

    assert compared(*columns).pairs == compared(*columns).pairs


# ---- scores


def test_without_a_choice_the_main_score_of_each_metric_is_compared() -> None:
    outputs = {"concept_f1": [0, 1], "concept_precision": [0, 1], "concept_f1_manual": [0, 1]}
    comparison = compare([report(name, **outputs) for name in "ab"], {}, OPTIONS)

    assert comparison.metrics == ("concept_f1", "concept_f1_manual")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("rouge",), ("rouge1",)),
        (("rouge2",), ("rouge2",)),
        (("rouge1", "rouge2"), ("rouge1", "rouge2")),
        (("rouge2", "rouge", "rouge2"), ("rouge2", "rouge1")),
    ],
    ids="+".join,
)
def test_a_metric_stands_for_its_main_score_and_a_score_for_itself(
    asked: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    reports = [report(name, rouge1=[0, 1], rouge2=[1, 0], rougeL=[0, 0]) for name in "ab"]

    assert expected == compare(reports, {}, replace(OPTIONS, metrics=asked)).metrics


def test_a_score_that_was_not_computed_is_refused_with_those_that_were() -> None:
    with pytest.raises(UsageFault, match="--metric rouge2: not a score of these runs, expected concept_f1"):
        compared([0, 1], [1, 0], metrics=("rouge2",))


def test_holm_corrects_for_the_pairs_of_one_score_alone() -> None:
    values = np.random.default_rng(5).random((4, 25)).tolist()
    reports = [
        report("a", concept_f1=values[0], concept_f1_manual=values[1]),
        report("b", concept_f1=values[2], concept_f1_manual=values[3]),
    ]
    comparison = compare(reports, {}, OPTIONS)

    expected = [pair.p_value for pair in comparison.pairs]
    assert expected == [pair.p_holm for pair in comparison.pairs]


def test_images_that_a_run_is_not_scored_on_are_left_out_and_counted() -> None:
    groups = {"modality": ["CT", "CT", "X-ray", "MRI"]}
    comparison = compared([None, 0.0, 0.5, None], [1.0, 1.0, 0.5, None], groups=groups)
    pair = only_pair(comparison)

    assert (pair.n, pair.difference) == (2, 0.5)
    assert [(e.group, e.images) for e in pair.effects["modality"]] == [("CT", 1), ("X-ray", 1)]
    assert [image.image_id for image in pair.images] == ["image_1"]
    assert comparison.notes[0] == "concept_f1: 1 image without a score in every run, left out"


def test_a_score_that_no_image_has_is_told_and_the_others_are_compared() -> None:
    reports = [report(name, concept_f1=[0, 1], concept_f1_manual=[None, None]) for name in "ab"]
    comparison = compare(reports, {"modality": ["CT", "CT"]}, OPTIONS)

    assert comparison.metrics == ("concept_f1",)
    assert (
        comparison.notes[0] == "no image has a concept_f1_manual in every run, so runs are not compared by it"
    )


def test_runs_without_a_common_image_are_refused() -> None:
    with pytest.raises(UsageFault, match="no image has a concept_f1 in every run"):
        compared([None, 0.5], [0.5, None])


def test_runs_that_were_scored_differently_are_refused() -> None:
    first, second = (report(name, concept_f1=[0, 1]) for name in "ab")
    result = replace(second.metrics["concept_f1"], signature="concept_f1|rev:2|v:0.1.0")

    with pytest.raises(UsageFault, match="a and b cannot be compared: concept_f1 was computed differently"):
        compare([first, replace(second, metrics={"concept_f1": result})], {}, OPTIONS)


@pytest.mark.parametrize(("trials", "is_told"), [(59, True), (60, False)])
def test_too_few_trials_for_the_correction_are_told(trials: int, is_told: bool) -> None:  # noqa: FBT001
    """Three pairs at 0.05: 3 / (trials + 1) must be below."""
    options = PairOptions(trials=trials, bootstrap=OPTIONS.pairs.bootstrap)
    comparison = compared([0] * 30, [0.5] * 30, [1] * 30, groups={"modality": ["CT"] * 30}, pairs=options)

    note = "too few trials: with 59 trials no corrected p-value can be below 0.05; compare fewer runs"
    assert ((note,) if is_told else ()) == comparison.notes
    assert is_told is all(pair.better is None for pair in comparison.pairs)


# ---- groups and images


@FEW
@given(columns=COLUMNS, data=st.data())
def test_effects_weighted_with_their_images_average_to_the_difference(
    columns: tuple[list[float], list[float]], data: st.DataObject
) -> None:
    n = len(columns[0])
    of_image = data.draw(st.lists(st.sampled_from(GROUPS), min_size=n, max_size=n))

    pair = only_pair(compared(*columns, groups={"modality": of_image}))

    effects = pair.effects["modality"]
    assert n == sum(effect.images for effect in effects)
    average = sum(effect.images * effect.difference for effect in effects) / n
    assert pytest.approx(pair.difference, abs=1e-12) == average


def test_a_group_that_holds_every_image_has_the_interval_of_the_pair() -> None:
    columns = np.random.default_rng(4).random((3, 30)).tolist()
    comparison = compared(*columns, groups={"modality": ["CT"] * 30})

    assert [pair.interval for pair in comparison.pairs] == [
        pair.effects["modality"][0].interval for pair in comparison.pairs
    ]


def test_the_effect_of_a_group_is_that_of_its_images_compared_alone() -> None:
    columns = np.random.default_rng(6).random((2, 40)).tolist()
    of_image = ["CT" if i % 3 else "MRI" for i in range(40)]

    effect = only_pair(compared(*columns, groups={"modality": of_image})).effects["modality"][0]
    alone = only_pair(compared(*[[v for i, v in enumerate(values) if i % 3] for values in columns]))

    assert effect.group == "CT"
    assert (alone.n, alone.difference, alone.interval) == (effect.images, effect.difference, effect.interval)


def test_a_group_of_one_image_has_no_interval() -> None:
    pair = only_pair(compared([0, 0, 0], [1, 0, 1], groups={"modality": ["CT", "MRI", "CT"]}))

    assert [(effect.group, effect.interval is not None) for effect in pair.effects["modality"]] == [
        ("CT", True),
        ("MRI", False),
    ]


def test_groups_come_in_the_order_of_the_facet() -> None:
    groups = {"modality": ["MRI", "CT", "X-ray"], "region": ["not annotated", "chest", "not annotated"]}
    pair = only_pair(compared([0, 0, 0], [1, 0, 1], groups=groups))

    assert {facet: [effect.group for effect in effects] for facet, effects in pair.effects.items()} == {
        "modality": ["CT", "X-ray", "MRI"],
        "region": ["chest", "not annotated"],
    }


def test_images_come_by_the_size_of_their_difference_ties_in_truth_order() -> None:
    pair = only_pair(compared([0.5, 1.0, 0.0, 0.5, 0.2], [0.25, 0.5, 0.5, 0.5, 1.0]))

    expected = [("image_4", 0.8), ("image_1", -0.5), ("image_2", 0.5), ("image_0", -0.25)]
    assert expected == [(image.image_id, pytest.approx(image.difference)) for image in pair.images]


def test_many_equal_differences_come_in_truth_order() -> None:
    pair = only_pair(compared([0.0] * 100, [1.0, 0.5] * 50, images=100))

    expected = [*range(0, 100, 2), *range(1, 100, 2)]
    assert expected == [int(image.image_id.removeprefix("image_")) for image in pair.images]


def test_differences_that_only_rounding_tells_apart_are_ties() -> None:
    assert 1 - 2 / 3 > 1 / 3
    pair = only_pair(compared([0.0, 2 / 3], [1 / 3, 1.0]))

    expected = ["image_0", "image_1"]
    assert expected == [image.image_id for image in pair.images]


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_no_more_images_are_named_than_asked_for(most: int) -> None:
    pair = only_pair(compared([0.0, 0.5, 1.0], [1.0, 0.5, 0.0], images=most))

    assert min(most, 2) == len(pair.images)


def test_groups_are_those_of_modality_and_region_unless_asked(read: Read, sample: Path) -> None:
    truth = read((sample / "valid_concepts.csv").read_bytes(), sample)[1]

    assert list(groups_of(truth, ())) == ["modality", "region"]
    assert list(groups_of(truth, ("concepts", "direction", "concepts"))) == ["concepts", "direction"]


def test_a_truth_without_manual_concepts_has_no_groups_unless_asked(
    read: Read, dataset: Callable[..., Path]
) -> None:
    truth = read("a,C1\n", dataset(concepts=[("a", "C1")]))[1]

    assert groups_of(truth, ()) == {}
    with pytest.raises(UsageFault, match=r"--by region requires the file concepts_manual\.csv"):
        groups_of(truth, ("region",))


def test_the_want_of_groups_is_told() -> None:
    note = "images are not grouped: there is no concepts_manual.csv beside truth/valid_concepts.csv"

    assert note == compared([0, 1], [1, 0]).notes[0]


@pytest.mark.parametrize("images", [5, 6])
def test_too_few_images_for_a_significant_difference_are_told(images: int) -> None:
    notes = compared([0] * images, [1] * images).notes

    expected = ["concept_f1: too few images: with 5 no corrected p-value can be below 0.062"] * (images == 5)
    assert expected == [note for note in notes if "too few images" in note]


# ---- names and truths


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a", "b"], ("a", "b")),
        (["a", "a", "b", "a"], ("a", "a #2", "b", "a #3")),
        (["a", "a", "a #2"], ("a", "a #3", "a #2")),
        (["a #2", "a", "a"], ("a #2", "a", "a #3")),
        (["a #2", "a #2", "a", "a"], ("a #2", "a #2 #2", "a", "a #3")),
    ],
    ids=" ".join,
)
def test_a_path_that_is_given_again_gets_a_number(paths: list[str], expected: tuple[str, ...]) -> None:
    assert expected == distinct_names(paths)


@FEW
@given(paths=st.lists(st.sampled_from(["a", "a #2", "a #3", "a #2 #2", "b"]), max_size=8))
def test_names_are_all_different_and_the_first_of_a_path_is_the_path(paths: list[str]) -> None:
    names = distinct_names(paths)

    assert len(paths) == len(set(names))
    assert all(names[paths.index(path)] == path for path in paths)


def test_runs_of_two_tasks_are_refused_before_they_are_scored(
    read: Read, dataset: Callable[..., Path]
) -> None:
    folder = dataset(concepts=[("a", "C1")], captions=[("a", "x")])
    truths = [read("a,C1\n", folder)[1], read("a,x\n", folder, "captions")[1]]

    with pytest.raises(UsageFault, match=r"a\.csv contains concepts, but b\.csv contains captions"):
        require_one_truth(["a.csv", "b.csv"], truths)


def test_runs_of_two_truths_are_refused_before_they_are_scored(
    read: Read, dataset: Callable[..., Path]
) -> None:
    dataset("valid_", concepts=[("a", "C1")])
    folder = dataset("test_", concepts=[("b", "C1")])
    truths = [read(f"{image},C1\n", folder)[1] for image in "ab"]

    with pytest.raises(
        UsageFault, match=r"belongs to .*valid_concepts\.csv, but b\.csv belongs to .*test_concepts"
    ):
        require_one_truth(["a.csv", "b.csv"], truths)
    require_one_truth(["a.csv", "b.csv"], truths[:1] * 2)


# ---- how it is shown


def test_the_document_follows_its_schema() -> None:
    comparison = compared([0.0, None, 0.5], [1.0, 0.5, 0.5], groups={"modality": ["CT", "CT", "MRI"]})

    assert list(Draft202012Validator(schema("comparison")).iter_errors(comparison_data(comparison))) == []


def test_the_document_of_a_single_image_has_no_ends() -> None:
    document = comparison_data(compared([0.25], [1.0], groups={"modality": ["CT"]}))

    (pair,) = document["pairs"]
    held = [pair, *pair["effects"]["modality"], *(run["metrics"]["concept_f1"] for run in document["runs"])]
    assert {(None, None)} == {(item["low"], item["high"]) for item in held}
    assert list(Draft202012Validator(schema("comparison")).iter_errors(document)) == []


def test_a_note_against_one_run_is_one_against_the_comparison() -> None:
    reports = [report(name, concept_f1=[0, 1]) for name in "abc"]
    reports[1:] = [replace(item, notes=("not official",)) for item in reports[1:]]
    comparison = compare(reports, {"modality": ["CT", "CT"]}, OPTIONS)

    official = comparison_data(comparison)["official"]
    assert (official["comparable"], official["published"], official["notes"]) == (
        False,
        False,
        ["not official"],
    )
    assert "\nNOT OFFICIAL: not official\n" in text_of(comparison)
    assert "\n**Not official**: not official\n" in markdown_of(comparison)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(3, {"B - A", "C - A", "C - B"}), (4, {"D - B"})],
)
def test_of_more_than_three_runs_the_two_best_are_shown_in_detail(number: int, expected: set[str]) -> None:
    columns = [[0.1] * 30, [0.9] * 30, [0.3] * 30, [0.7] * 30][:number]
    text = text_of(compared(*columns, groups={"modality": ["CT"] * 30}))

    titles = [line for line in text.splitlines() if line.endswith(" by modality")]
    assert expected == {title.removeprefix("concept_f1, ").removesuffix(" by modality") for title in titles}
    assert (number > 3) is ("of the two best runs by each score" in text)


def test_a_p_value_below_four_decimals_is_not_shown_as_0() -> None:
    options = PairOptions(trials=20_000, bootstrap=OPTIONS.pairs.bootstrap)
    text = text_of(compared([0.0] * 40, [1.0] * 40, pairs=options))

    (row,) = [line for line in text.splitlines() if line.endswith("B better")]
    assert row.split()[-4:-2] == ["<0.0001", "<0.0001"]


def test_the_27th_run_is_named_as_the_27th_column_of_a_spreadsheet() -> None:
    reports = [report(f"{i}.csv", concept_f1=[0.0, i / 30]) for i in range(28)]
    text = text_of(compare(reports, {}, OPTIONS))

    assert "\n  AB - AA  " in text


def test_a_hostile_name_stays_in_its_line_and_cell() -> None:
    reports = [report(name, concept_f1=[0, 1]) for name in ("a\n|b<script>", "c")]
    comparison = compare(reports, {}, OPTIONS)

    assert "\n  A  a\\n|b<script>  " in text_of(comparison)
    assert "| A | a\\\\n\\|b&lt;script> |" in markdown_of(comparison)


def test_common_scores_are_what_a_pair_is_made_of() -> None:
    reports = [report("a", concept_f1=[0, None, 1]), report("b", concept_f1=[1, 1, 1])]
    scores, _ = common_scores(reports, "concept_f1")

    expected = float(scores[:, 1].mean() - scores[:, 0].mean())
    assert expected == only_pair(compare(reports, {}, OPTIONS)).difference
