from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.gates import (
    USUAL_DROP_RATES,
    Gate,
    GateOptions,
    in_usual_order,
    judge,
    modality_of,
    share_text,
)
from dataset_builder.kappa_table import read_kappas
from dataset_builder.records import OTHER_LANGUAGE, Figure, StageCount
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.options import read_options

from made_figures import made_figure

CT, XRAY, CHEST = "C0040405", "C1306645", "C0817096"


def figures(n: int, split: str = "train", **values: Any) -> list[Figure]:
    values = {"manual": (CT,), "automatic": (CHEST,), "english": 1.0, **values}
    return [made_figure(f"PMC{i}", split=split, **values) for i in range(n)]


def count(
    stage: str, taken: int, *dropped: tuple[str, int], unit: str = "figures", title: str = ""
) -> StageCount:
    kept = taken - sum(number for _, number in dropped)
    return StageCount(stage=stage, title=title, unit=unit, taken=taken, kept=kept, dropped=dropped)


def gate(name: str, of: Sequence[Figure] = (), counts: Sequence[StageCount] = (), **options: Any) -> Gate:
    (found,) = [gate for gate in judge(of, counts, GateOptions(**options)) if gate.name == name]
    return found


def test_the_share_of_kept_captions_that_are_more_likely_not_english_warns() -> None:
    of = [*figures(94), *figures(6, english=0.49)]
    found = gate("non-English captions kept", of)
    assert (found.value, found.outcome) == (0.06, "warn")
    assert found.message == ("6 of 100 kept captions (6.0 %); expected at most 5 %")


def test_a_share_at_its_limit_passes() -> None:
    of = [*figures(95), *figures(5, english=0.1)]
    assert gate("non-English captions kept", of).outcome == "pass"


def test_the_share_of_captions_dropped_as_not_english_is_of_those_the_stage_took() -> None:
    counts = [count("captions", 200, (OTHER_LANGUAGE, 30), ("caption is empty", 50))]
    found = gate("non-English captions dropped", counts=counts)
    assert (found.value, found.outcome) == (0.15, "warn")


def test_the_largest_difference_of_a_share_names_modality_and_split() -> None:
    of = [
        *figures(60, "train"),
        *figures(40, "train", manual=(XRAY,)),
        *figures(70, "test"),
        *figures(30, "test", manual=(XRAY,)),
    ]
    found = gate("modality skew", of)
    assert found.value == pytest.approx(0.05)
    assert found.outcome == "warn"
    assert found.message == (
        "CT makes up 60.0 % of train and 65.0 % of all images; "
        "expected a difference of at most 2 percentage points"
    )


def test_images_said_to_have_no_modality_of_the_six_count_as_a_modality() -> None:
    of = [*figures(100, "train"), *figures(90, "test"), *figures(10, "test", manual=(), is_annotated=True)]
    found = gate("modality skew", of)
    assert found.value == pytest.approx(0.05)


def test_images_that_nobody_was_asked_about_have_no_say_in_the_skew() -> None:
    of = [*figures(100, "train"), *figures(90, "test"), *figures(60, "test", manual=())]
    assert gate("modality skew", of).value == 0.0


def test_a_split_too_small_is_left_out_of_the_skew_and_one_alone_is_not_measured() -> None:
    of = [*figures(100, "train"), *figures(49, "test", manual=(XRAY,))]
    found = gate("modality skew", of)
    assert (found.value, found.outcome) == (None, "not measured")
    assert found.message == "fewer than two splits have 50 images"


def test_single_concept_images_are_a_share_of_those_with_concepts() -> None:
    of = [*figures(40), *figures(10, automatic=()), *figures(50, manual=(), automatic=())]
    found = gate("single-concept images", of)
    assert (found.value, found.outcome) == (0.2, "warn")


@pytest.mark.parametrize(
    ("sizes", "value", "message"),
    [
        ({"train": 200, "valid": 150, "test": 99}, 99, "test has 99 images; expected at least 100"),
        ({"train": 200, "test": 100}, 0, "valid has 0 images; expected at least 100"),
    ],
)
def test_the_smallest_split_is_named_even_if_it_is_empty(
    sizes: dict[str, int], value: int, message: str
) -> None:
    found = gate("smallest split", [each for split, n in sizes.items() for each in figures(n, split)])
    assert (found.value, found.outcome, found.message) == (value, "warn", message)


def test_a_gate_beyond_its_limit_fails_where_that_is_asked_for() -> None:
    found = gate("smallest split", figures(99), splits=("train",), on_failure="fail")
    assert found.outcome == "fail"


def test_each_facet_has_a_gate_of_its_own(tmp_path: Path) -> None:
    table = tmp_path / "agreement.csv"
    table.write_text("facet,raw,kappa\nbody region,0.9,0.886\ndirection,0.7,0.557\nmodality,1.0,\n", "utf-8")
    found = judge([], [], GateOptions(agreement=table, on_failure="fail"))
    assert {each.name: (each.value, each.outcome) for each in found if each.unit == "kappa"} == {
        "kappa: body region": (0.886, "pass"),
        "kappa: direction": (0.557, "fail"),
        "kappa: modality": (None, "not measured"),
    }


def test_agreement_may_be_json(tmp_path: Path) -> None:
    table = tmp_path / "agreement.json"
    table.write_text('{"facets": {"region": {"kappa": 0.886, "n": 3}, "modality": {"kappa": null}}}', "utf-8")
    assert read_kappas(table) == {"region": 0.886, "modality": None}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "facet,kappa\nregion,1.5\n", ":2: kappa 1.5, expected a number from -1 to 1"),
        ("a.csv", "facet,kappa\nregion,nan\n", ":2: kappa nan, expected a number from -1 to 1"),
        ("a.csv", "facet,kappa\nregion,high\n", ":2: kappa high, expected a number from -1 to 1"),
        (
            "a.csv",
            "facet,kappa\nregion,1\nregion,0\n",
            ":3: facet 'region', expected a name, once",
        ),
        ("a.csv", "facet,kappa\nregion\n", ":2: expected 2 cells as in the header"),
        ("a.csv", "facet,score\nregion,1\n", ":1: no column kappa among facet, score"),
        ("a.csv", "facet,kappa\n", ": no facet, expected at least one with its kappa"),
        ("a.csv", "", ":1: no column facet, kappa among"),
        ("a.json", '{"facets": {"a": {"kappa": true}}}', ": Expected `float | null`, got `bool`"),
        ("a.json", '{"facets": {"a": {"kappa": 2}}}', ": Expected `float` <= 1.0"),
        ("a.json", '{"facets": {"a": 1}}', ": Expected `object`, got `int`"),
        ("a.json", "[0.5]", ": Expected `object`, got `array`"),
        ("a.json", '{"facets": ', ": Input data was truncated"),
        ("a.json", '{"a":' * 100_000, ": "),
    ],
)
def test_a_broken_table_of_agreement_is_rejected_with_its_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(RejectedInput) as caught:
        read_kappas(path)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(("dropped", "outcome"), [(4, "warn"), (5, "pass"), (70, "pass"), (71, "warn")])
def test_a_stage_outside_of_its_usual_range_warns(dropped: int, outcome: str) -> None:
    counts = [count("licence", 100, ("licence not allowed", dropped))]
    assert gate("drop rate: licence", counts=counts).outcome == outcome


def test_of_images_of_ones_own_nothing_need_be_dropped() -> None:
    assert gate("drop rate: licence", counts=[count("licence", 100, unit="images")]).outcome == "pass"
    counts = [count("licence", 100, ("licence not allowed", 71), unit="images")]
    assert gate("drop rate: licence", counts=counts).outcome == "warn"


def test_a_stage_that_the_build_has_not_is_not_measured() -> None:
    found = gate("drop rate: radiology")
    assert (found.outcome, found.message) == ("not measured", "the build has no such stage")


def test_few_figures_tell_nothing_of_a_drop_rate() -> None:
    found = gate("drop rate: licence", counts=[count("licence", 49, ("licence not allowed", 49))])
    assert (found.outcome, found.message) == (
        "not measured",
        "a share of 49; a measurement needs 50",
    )


def test_a_range_of_ones_own_replaces_that_of_one_stage_alone() -> None:
    counts = [count("licence", 100), count("concepts", 100, ("no concept", 90))]
    options = {"drop_rates": {"licence": (0.0, 0.0), "concepts": (0.0, 0.5)}, "counts": counts}
    assert gate("drop rate: licence", **options).outcome == "pass"
    assert gate("drop rate: concepts", **options).outcome == "warn"
    assert gate("drop rate: compound", **options).limit == USUAL_DROP_RATES["compound"]


def test_a_stage_that_counts_articles_and_figures_has_a_gate_for_each() -> None:
    counts = [count("figures", 100, unit="articles"), count("figures", 300)]
    found = judge([], counts, GateOptions(drop_rates={"figures": (0.1, 0.5)}))
    assert [each.name for each in found if "rate: figures" in each.name] == [
        "drop rate: figures, articles",
        "drop rate: figures, figures",
    ]


def test_a_dataset_of_nothing_is_judged_without_a_pass_of_any_measure() -> None:
    found = judge([], [], GateOptions())
    assert {each.outcome for each in found} == {"warn", "not measured"}
    assert [each.name for each in found if each.outcome == "warn"] == ["smallest split"]


def test_gates_over_figures_say_so_because_held_out_ones_are_among_them() -> None:
    found = judge(figures(100), [count("licence", 100)], GateOptions())
    assert {each.name for each in found if each.tells_figures} == {
        "non-English captions kept",
        "modality skew",
        "single-concept images",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"non_english": 1.5}, "non_english: 1.5, expected a number <= 1.0"),
        ({"kappa_floor": -2.0}, "kappa_floor: -2.0, expected a number >= -1.0"),
        ({"drop_rates": {"licence": [0.5]}}, "drop_rates: {'licence': [0.5]}, expected a list of length 2"),
        ({"drop_rates": {"licence": [0.5, 0.2]}}, "drop_rates: licence = [0.5, 0.2], expected [lowest"),
        ({"splits": ["a", "a"]}, "splits: expected names, each once, found 'a', 'a'"),
        ({"on_failure": "stop"}, "on_failure: 'stop', expected 'warn' or 'fail'"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageFault) as caught:
        read_options(GateOptions, options, "build.toml [gates]", Path())
    assert message in str(caught.value)


def test_modalities_have_the_names_and_the_order_of_the_scorers_breakdowns() -> None:
    said = figures(1, manual=(), is_annotated=True)
    of = [*figures(1, manual=()), *said, *figures(1, manual=(XRAY, CHEST)), *figures(1)]
    names = in_usual_order([modality_of(figure) for figure in of])
    assert names == ["CT", "X-ray", "combined or none", "not annotated"]


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, "0 %"), (0.0004, "< 0.1 %"), (0.123, "12.3 %"), (0.9997, "> 99.9 %"), (1, "100 %")],
)
def test_a_share_that_is_not_nothing_is_not_called_nothing(share: float, expected: str) -> None:
    assert expected == share_text(share)
