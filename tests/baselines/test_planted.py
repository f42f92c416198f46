"""Experiments on datasets whose truth is known: a planted effect is found with its size, a null is not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from planted import CONSTANT, EACH, EFFECTS, NULLS, PET, Plant, planted

from baselines.cli import run

NEAREST = ("--recipe", "floor_nearest_pixels")
NETWORK = (
    *("--recipe", "concepts_nano", "--set", "training.epochs=15", "--set", "training.batch=16"),
    *("--set", "data.side=32", "--set", "network.size=32", "--seeds", "3"),
)
FAST = "semantic-types"  # the others are as quick, and together take seconds


def plants(of: Sequence[Plant]) -> list[Any]:
    slow = {True: (), False: pytest.mark.slow}
    return [pytest.param(plant, marks=slow[plant.name == FAST], id=plant.name) for plant in of]


def found(plant: Plant, tmp_path: Path, recipe: tuple[str, ...], **each: int) -> dict[str, Any]:
    data, table = planted(tmp_path, plant, {**EACH, **each})
    folders = ["--data", str(data), "--out", str(tmp_path / "out"), "--set", "data.workers=1", "--quiet"]
    tables = ["--automatic", str(table), "--unfiltered", str(table)]
    assert run(["experiment", plant.name, *recipe, *folders, *tables]) == 0
    document: dict[str, Any] = json.loads((tmp_path / "out/page.json").read_text(encoding="utf-8"))
    return document


def asked(document: dict[str, Any]) -> dict[str, Any]:
    """Return the difference that answers the question; of groups of images, that of MRI."""
    rows = document["differences"]
    difference: dict[str, Any] = next((row for row in rows if row["name"] == "MRI"), rows[0])["difference"]
    return difference


@pytest.mark.parametrize("plant", plants(EFFECTS))
def test_a_planted_effect_is_found_with_its_size(
    plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = found(plant, tmp_path, NEAREST)
    difference = asked(document)

    assert pytest.approx(plant.difference, abs=0.01) == difference["mean"]
    assert difference["interval"][0] < plant.difference < difference["interval"][1] < 0
    assert "lower by 0." in document["answer"]
    assert document["answer"] in capsys.readouterr().out


@pytest.mark.parametrize("plant", plants(NULLS))
def test_a_planted_null_is_not_found(plant: Plant, tmp_path: Path) -> None:
    document = found(plant, tmp_path, NEAREST)
    low, high = asked(document)["interval"]

    assert low <= 0 <= high
    assert pytest.approx(0, abs=0.02) == asked(document)["mean"]
    assert document["answer"].startswith("No difference")


def test_constant_concepts_change_an_arm_on_its_own_truth_alone(tmp_path: Path) -> None:
    document = found(next(plant for plant in NULLS if plant.name == FAST), tmp_path, NEAREST)
    filtered, unfiltered = document["arms"]

    assert document["vocabulary"] == {"with the filter": 6, "without the filter": 8, "common": 6}
    assert filtered["f1"]["mean"] == filtered["own_f1"]["mean"] == unfiltered["f1"]["mean"]
    assert unfiltered["own_f1"]["mean"] > filtered["own_f1"]["mean"]  # what every image has is never missed


def test_an_arm_of_automatic_concepts_never_sees_manual_ones(tmp_path: Path) -> None:
    plant = next(plant for plant in EFFECTS if plant.name == "modality")
    found(plant, tmp_path / "whole", NEAREST)
    data, table = planted(tmp_path / "spoilt", plant)
    for split in ("train", "valid"):
        path = data / f"{split}_concepts_manual.csv"
        path.write_text(re.sub("C[0-9]+", PET, path.read_text(encoding="utf-8")), encoding="utf-8")
    command = ["experiment", "modality", *NEAREST, "--data", str(data), "--automatic", str(table), "--quiet"]
    assert run([*command, "--set", "data.workers=1", "--out", str(tmp_path / "spoilt/out")]) == 0

    for name in ("decision.json", "decisions.csv", "frozen.json", "test.csv"):
        texts = {
            (tmp_path / folder / "out/automatic-concepts/seed-0" / name).read_text(encoding="utf-8")
            for folder in ("whole", "spoilt")
        }
        assert len(texts) == 1, name


def test_a_further_table_needs_the_images_that_an_arm_decides_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, table = planted(tmp_path, NULLS[0])
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(row for row in rows if not row.startswith("valid_")), encoding="utf-8")
    command = ["experiment", "modality", *NEAREST, "--data", str(data), "--automatic", str(table), "--quiet"]

    assert run([*command, "--out", str(tmp_path / "out")]) == 1
    told = "further.csv: no row of valid_0000; expected ID,CUIs of every image of the valid split"
    assert told in capsys.readouterr().err


def test_further_seeds_are_added_to_those_that_are_trained(tmp_path: Path) -> None:
    data, _ = planted(tmp_path, NULLS[-1])
    command = ["experiment", "by-modality", *NEAREST, "--data", str(data), "--out", str(tmp_path / "out")]
    assert run([*command, "--quiet"]) == 0
    first = tmp_path / "out/all-images/seed-0/run.json"
    stamp = first.stat().st_mtime_ns

    assert run([*command, "--quiet", "--seeds", "2"]) == 0
    document = json.loads((tmp_path / "out/page.json").read_text(encoding="utf-8"))
    assert (document["seeds"], len(document["arms"][0]["f1"]["seeds"])) == ([0, 1], 2)
    assert first.stat().st_mtime_ns == stamp


def test_a_table_that_changed_is_not_taken_for_the_one_that_was_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = next(plant for plant in NULLS if plant.name == FAST)
    found(plant, tmp_path, NEAREST)
    table = tmp_path / "further.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(CONSTANT[0], CONSTANT[1]), encoding="utf-8")
    command = ["experiment", FAST, *NEAREST, "--data", str(tmp_path / "data"), "--unfiltered", str(table)]

    assert run([*command, "--set", "data.workers=1", "--quiet", "--out", str(tmp_path / "out")]) == 2
    assert "digest of further.csv was" in capsys.readouterr().err


def test_the_page_has_question_answer_charts_and_limits_and_stands_alone(tmp_path: Path) -> None:
    document = found(next(plant for plant in EFFECTS if plant.name == FAST), tmp_path, NEAREST)
    html, markdown = (
        (tmp_path / f"out/page.{ending}").read_text(encoding="utf-8") for ending in ("html", "md")
    )

    for text in (html, markdown):
        assert all(text.count(document[key]) >= 1 for key in ("question", "answer"))
        assert "What this does not say" in text
        assert "over the 36 articles of the images" in text
    assert html.count('<svg class="chart"') == 4  # two charts, for a wide and a narrow screen
    assert not re.search(r'(src|href)="http|style="', html)
    drawn = re.findall(r"!\[[^]]+\]\(([a-z]+\.svg)\)", markdown)
    assert drawn == ["scores.svg", "differences.svg"]
    for name in drawn:
        root = ET.fromstring((tmp_path / "out" / name).read_text(encoding="utf-8"))  # noqa: S314  our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize(("of", "unlike"), [(NULLS, 0), (EFFECTS, 18)], ids=["alike", "unlike"])
def test_tables_that_differ_in_more_than_the_filter_are_told(
    of: Sequence[Plant], unlike: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = next(plant for plant in of if plant.name == FAST)
    assert (
        found(plant, tmp_path, NEAREST)["unlike"] == unlike
    )  # 12 + 6 of the last kind are taught as the first

    assert ("The tables differ within the common vocabulary" in capsys.readouterr().out) == bool(unlike)


@pytest.mark.slow
def test_networks_of_three_seeds_find_a_planted_effect(tmp_path: Path) -> None:
    plant = next(plant for plant in EFFECTS if plant.name == FAST)
    difference = asked(found(plant, tmp_path, NETWORK, train=24))

    assert difference["interval"][0] < plant.difference < difference["interval"][1] < 0
    assert len(difference["seeds"]) == 3


@pytest.mark.slow
def test_networks_of_three_seeds_find_no_planted_null(tmp_path: Path) -> None:
    low, high = asked(
        found(next(plant for plant in NULLS if plant.name == FAST), tmp_path, NETWORK, train=24)
    )["interval"]

    assert low <= 0 <= high
