"""Experiments on datasets whose truth is known: a planted effect is found with its size, a null is not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from planted import CONSTANT, EACH, EFFECTS, NULLS, PET, SHARE, Plant, planted

from baselines.cli import run

NEAREST = ("--recipe", "floor_nearest_pixels", "--set", "decision.rule=threshold")
NETWORK = (
    *("--recipe", "concepts_nano", "--set", "training.epochs=15", "--set", "training.batch=16"),
    *("--set", "data.side=32", "--set", "network.size=32", "--seeds", "3"),
)
FAST = "semantic-types"  # the others are as quick, and together take seconds


def plant_of(plants: Sequence[Plant], name: str = FAST) -> Plant:
    return next(plant for plant in plants if plant.name == name)


def others(plants: Sequence[Plant]) -> list[Any]:
    return [pytest.param(plant, id=plant.name) for plant in plants if plant.name != FAST]


def found(plant: Plant, folder: Path, recipe: tuple[str, ...], **each: int) -> dict[str, Any]:
    planted(folder, plant, {**EACH, **each})
    assert asked_again(plant, folder, *recipe) == 0
    document: dict[str, Any] = json.loads((folder / "out/page.json").read_text(encoding="utf-8"))
    return document


def asked_again(plant: Plant, folder: Path, *options: str) -> int:
    table = str(folder / "further.csv")
    folders = ["--data", str(folder / "data"), "--out", str(folder / "out"), "--set", "data.workers=1"]
    tables = ["--automatic", table, "--unfiltered", table]
    return run(["experiment", plant.name, *folders, *tables, "--quiet", *options])


@pytest.fixture(scope="module")
def effect(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the folder of an experiment with a planted effect, and what its page says."""
    folder = tmp_path_factory.mktemp("effect")
    return folder, found(plant_of(EFFECTS), folder, NEAREST)


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the same with nothing planted but concepts that every image has."""
    folder = tmp_path_factory.mktemp("null")
    return folder, found(plant_of(NULLS), folder, NEAREST)


def asked(document: dict[str, Any]) -> dict[str, Any]:
    """Return the difference that answers the question; of groups of images, that of MRI."""
    rows = document["differences"]
    difference: dict[str, Any] = next((row for row in rows if row["name"] == "MRI"), rows[0])["difference"]
    return difference


def is_found_with_its_size(document: dict[str, Any], plant: Plant) -> bool:
    low, high = asked(document)["interval"]
    is_near = abs(asked(document)["mean"] - plant.difference) < 0.01
    return is_near and low < plant.difference < high < 0 and "lower by 0." in document["answer"]


def is_not_found(document: dict[str, Any]) -> bool:
    low, high = asked(document)["interval"]
    return low <= 0 <= high and document["answer"].startswith("No difference")


def test_a_planted_effect_is_found_with_its_size(effect: tuple[Path, dict[str, Any]]) -> None:
    assert is_found_with_its_size(effect[1], plant_of(EFFECTS))


def test_a_planted_null_is_not_found(null: tuple[Path, dict[str, Any]]) -> None:
    assert is_not_found(null[1])


@pytest.mark.slow
@pytest.mark.parametrize("plant", others(EFFECTS))
def test_the_effect_planted_for_each_other_question_is_found(plant: Plant, tmp_path: Path) -> None:
    assert is_found_with_its_size(found(plant, tmp_path, NEAREST), plant)


@pytest.mark.slow
@pytest.mark.parametrize("plant", others(NULLS))
def test_the_null_planted_for_each_other_question_is_not(plant: Plant, tmp_path: Path) -> None:
    assert is_not_found(found(plant, tmp_path, NEAREST))


@pytest.mark.slow
def test_networks_of_three_seeds_find_a_planted_effect(tmp_path: Path) -> None:
    difference = asked(found(plant_of(EFFECTS), tmp_path, NETWORK, train=24))

    assert difference["interval"][0] < -SHARE < difference["interval"][1] < 0
    assert len(difference["seeds"]) == 3


@pytest.mark.slow
def test_networks_of_three_seeds_find_no_planted_null(tmp_path: Path) -> None:
    assert is_not_found(found(plant_of(NULLS), tmp_path, NETWORK, train=24))


def test_constant_concepts_change_an_arm_on_its_own_truth_alone(null: tuple[Path, dict[str, Any]]) -> None:
    document = null[1]
    filtered, unfiltered = document["arms"]

    assert document["vocabulary"] == {"with the filter": 6, "without the filter": 8, "common": 6}
    assert filtered["f1"]["mean"] == filtered["own_f1"]["mean"] == unfiltered["f1"]["mean"]
    assert unfiltered["own_f1"]["mean"] > filtered["own_f1"]["mean"]  # what every image has is never missed


def test_an_arm_of_automatic_concepts_never_sees_manual_ones(tmp_path: Path) -> None:
    plant = plant_of(EFFECTS, "modality")
    found(plant, tmp_path / "whole", NEAREST)
    data, _ = planted(tmp_path / "spoilt", plant)
    for split in ("train", "valid"):
        path = data / f"{split}_concepts_manual.csv"
        path.write_text(re.sub("C[0-9]+", PET, path.read_text(encoding="utf-8")), encoding="utf-8")
    assert asked_again(plant, tmp_path / "spoilt", *NEAREST) == 0

    for name in ("decision.json", "decisions.csv", "frozen.json", "test.csv"):
        texts = {
            (tmp_path / folder / "out/automatic-concepts/seed-0" / name).read_text(encoding="utf-8")
            for folder in ("whole", "spoilt")
        }
        assert len(texts) == 1, name


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_further_table_needs_the_images_of_every_split_that_it_serves(
    split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, table = planted(tmp_path, plant_of(NULLS), dict.fromkeys(EACH, 2))
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(row for row in rows if not row.startswith(split)), encoding="utf-8")

    assert asked_again(plant_of(NULLS), tmp_path, *NEAREST) == 1
    told = f"further.csv: no row of {split}_0000; expected ID,CUIs of every image of the {split} split"
    assert told in capsys.readouterr().err


def test_further_seeds_are_added_to_those_that_are_trained(tmp_path: Path) -> None:
    plant = plant_of(NULLS, "by-modality")
    found(plant, tmp_path, NEAREST)
    first = tmp_path / "out/all-images/seed-0/run.json"
    stamp = first.stat().st_mtime_ns

    assert asked_again(plant, tmp_path, *NEAREST, "--seeds", "2") == 0
    document = json.loads((tmp_path / "out/page.json").read_text(encoding="utf-8"))
    assert (document["seeds"], len(document["arms"][0]["f1"]["seeds"])) == ([0, 1], 2)
    assert first.stat().st_mtime_ns == stamp


def test_a_table_that_changed_is_not_taken_for_the_one_that_was_learnt(
    null: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(null[0], tmp_path / "copy"))
    table = folder / "further.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(CONSTANT[0], CONSTANT[1]), encoding="utf-8")

    assert asked_again(plant_of(NULLS), folder, *NEAREST) == 2
    assert "digest of further.csv is" in capsys.readouterr().err


def test_the_page_has_question_answer_charts_and_limits_and_stands_alone(
    effect: tuple[Path, dict[str, Any]],
) -> None:
    folder, document = effect
    html, markdown = (
        (folder / f"out/page.{ending}").read_text(encoding="utf-8") for ending in ("html", "md")
    )

    for text in (html, markdown):
        assert all(text.count(document[key]) >= 1 for key in ("question", "answer"))
        assert "Limits of this experiment" in text
        assert "over the 36 articles of the images" in text
    assert html.count('<svg class="chart"') == 4  # two charts, for a wide and a narrow screen
    assert not re.search(r'(src|href)="http|style="', html)
    drawn = re.findall(r"!\[[^]]+\]\(([a-z]+\.svg)\)", markdown)
    assert drawn == ["scores.svg", "differences.svg"]
    for name in drawn:
        root = ET.fromstring((folder / "out" / name).read_text(encoding="utf-8"))  # noqa: S314  our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_tables_that_differ_in_more_than_the_filter_are_told(
    effect: tuple[Path, dict[str, Any]], null: tuple[Path, dict[str, Any]]
) -> None:
    # 8 + 4 images of the last kind are taught as the first.
    assert (effect[1]["unlike"], null[1]["unlike"]) == (12, 0)
    pages = [(folder / "out/page.md").read_text(encoding="utf-8") for folder, _ in (effect, null)]
    assert ["The tables also differ within the common vocabulary" in page for page in pages] == [True, False]
