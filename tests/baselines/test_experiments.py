from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from baselines.cli import run
from baselines.experiments.questions import EXPERIMENTS

pytestmark = pytest.mark.slow  # networks are trained

QUICK = ("--set", "training.epochs=1", "--set", "training.batch=12", "--set", "data.workers=1", "--quiet")


@pytest.fixture
def experiment(own_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with the tiny dataset, a table of its licences, and one of other concepts."""
    monkeypatch.chdir(tmp_path)
    with (own_dataset / "train_concepts.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    licences = [(row["ID"], "CC BY" if i % 3 else "CC BY-NC") for i, row in enumerate(rows)]
    with (own_dataset / "license_information.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "PMCID", "Attribution", "Link"])
        writer.writerows(
            [image_id, "PMC1", f"{licence} [Nobody (2020)]", ""] for image_id, licence in licences
        )
    with (tmp_path / "other.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "CUIs"])
        for split in ("train", "valid", "test"):
            with (own_dataset / f"{split}_concepts.csv").open(encoding="utf-8", newline="") as table:
                writer.writerows([row["ID"], f"{row['CUIs']};C1"] for row in csv.DictReader(table))
    return own_dataset


def arms(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    document = json.loads(capsys.readouterr().out)
    found: list[dict[str, object]] = document["arms"]
    return found


def test_an_experiment_trains_each_arm_on_its_images_and_compares_them(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "experiment",
        "licences",
        "--data",
        str(experiment),
        "--recipe",
        "concepts_nano",
        "--format",
        "json",
    ]
    assert run([*command, *QUICK]) == 0
    assert [(arm["name"], arm["trained_on"], arm["steps"]) for arm in arms(capsys)] == [
        ("all allowed licences", 36, 3),
        ("CC BY only", 24, 2),
        ("all, as few as CC BY", 24, 2),
    ]


def test_a_second_call_trains_nothing(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["experiment", "by-modality", "--data", str(experiment), "--recipe", "concepts_nano", *QUICK]
    assert run(command) == 0
    told = capsys.readouterr().out
    stamp = Path("runs/experiment-by-modality/all-images/seed-0/run.json").stat().st_mtime_ns

    assert (run(command), capsys.readouterr().out) == (0, told)
    assert Path("runs/experiment-by-modality/all-images/seed-0/run.json").stat().st_mtime_ns == stamp
    assert "MRI" in told


@pytest.mark.parametrize("name", ["modality", "semantic-types", "single-concept"])
def test_every_experiment_runs(name: str, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = ["--automatic", "other.csv", "--unfiltered", "other.csv"]
    command = ["experiment", name, "--data", str(experiment), "--recipe", "concepts_nano", *tables, *QUICK]
    assert run([*command, "--format", "json"]) == 0
    assert [arm["name"] for arm in arms(capsys)] == [arm.name for arm in EXPERIMENTS[name].arms]


def test_a_table_that_was_not_named_is_asked_for(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["experiment", "modality", "--data", str(experiment), "--recipe", "concepts_nano", *QUICK]
    assert run(command) == 2
    assert "with --automatic CSV" in capsys.readouterr().err
    assert not Path("runs/experiment-modality").exists()  # before anything is trained


def test_an_experiment_of_other_settings_is_not_taken_for_this_one(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["experiment", "by-modality", "--data", str(experiment), "--recipe", "concepts_nano", *QUICK]
    assert (run(command), run([*command, "--set", "training.rate=0.5"])) == (0, 2)
    assert "training.rate is 0.5, but this run began with 0.002" in capsys.readouterr().err


def test_arms_that_learn_from_the_same_images_are_told(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["experiment", "single-concept", "--data", str(experiment), "--recipe", "concepts_nano", *QUICK]
    assert run(command) == 0
    told = capsys.readouterr().out
    assert "ANSWER: This dataset cannot show what changes without training images of a single concept" in told


def test_a_recipe_of_captions_is_refused(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["experiment", "licences", "--data", str(experiment), "--recipe", "captions_nano"]) == 2
    assert "expected a recipe of concepts" in capsys.readouterr().err
