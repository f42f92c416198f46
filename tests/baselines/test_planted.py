"""Experiments on datasets whose truth is known: a planted effect is found with its size, a null is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from planted import EACH, EFFECTS, NULLS, Plant, planted

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
    difference: dict[str, Any] = next((row for row in rows if row["says"] == "MRI"), rows[0])["difference"]
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
