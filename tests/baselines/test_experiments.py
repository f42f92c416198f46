from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from baselines.cli import run
from baselines.cli.experiment import _NAMES
from baselines.experiments import EXPERIMENTS

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
        writer.writerows([row["ID"], row["CUIs"]] for row in rows)
    return own_dataset


def arms(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    document = json.loads(capsys.readouterr().out)
    found: list[dict[str, object]] = document["arms"]
    return found


def test_the_command_knows_every_experiment() -> None:
    assert tuple(EXPERIMENTS) == _NAMES


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
    first, second = arms(capsys)

    assert [(first["name"], first["trained_on"]), (second["name"], second["trained_on"])] == [
        ("all allowed licences", 36),
        ("CC BY only", 24),
    ]
    assert (first["difference"], second["difference"] is not None) == (None, True)


def test_a_second_call_trains_nothing(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["experiment", "by-modality", "--data", str(experiment), "--recipe", "concepts_nano", *QUICK]
    assert run(command) == 0
    told = capsys.readouterr().out
    stamp = Path("runs/experiment-by-modality/all-images/run.json").stat().st_mtime_ns

    assert (run(command), capsys.readouterr().out) == (0, told)
    assert Path("runs/experiment-by-modality/all-images/run.json").stat().st_mtime_ns == stamp
    assert "MRI" in told


@pytest.mark.parametrize("name", ["modality", "semantic-types", "single-concept"])
def test_every_experiment_runs(name: str, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = ["--automatic", "other.csv", "--unfiltered", "other.csv"]
    command = ["experiment", name, "--data", str(experiment), "--recipe", "concepts_nano", *tables, *QUICK]
    assert run([*command, "--format", "json"]) == 0
    assert len(arms(capsys)) == 2


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
    assert (run(command), run([*command, "--set", "run.seed=7"])) == (0, 2)
    assert "run.seed was 0 in this run, and is 7 now" in capsys.readouterr().err


def test_arms_that_learn_from_the_same_images_are_told(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["experiment", "single-concept", "--data", str(experiment), "--recipe", "concepts_nano", *QUICK]
    assert run(command) == 0
    assert "learns from the same images as the first arm" in capsys.readouterr().out


def test_a_recipe_of_captions_is_refused(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["experiment", "licences", "--data", str(experiment), "--recipe", "captions_nano"]) == 2
    assert "expected one of concepts" in capsys.readouterr().err
