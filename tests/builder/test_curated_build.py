"""From real articles to a dataset with concepts from captions and from (simulated) raters, and to a score."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataset_builder.cli import run
from rocov2_eval.cli import invoke as evaluate

from real_build import fill_bucket, radiology_articles, real_articles, write_inputs
from s3_server import Bucket

BUILD = """
[source]
kind = "folder"
path = "pmc"
[radiology]
model = "radiology.onnx"
[concepts]
model = "pack.zip"
manual = "manual.csv"
min_images = 2
[split]
shares = { train = "rest", valid = 0.2, test = 0.2 }
[gates]
agreement = "agreement.json"
"""
SLIPS = 0.05  # share of the questions that a simulated rater answers wrongly


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    """Return the folder of a build, and in it a table of what its images show."""
    articles, truth = radiology_articles(shared, 40)
    bucket = Bucket()
    fill_bucket(bucket, [*real_articles(shared), *articles])
    bucket.write(tmp_path / "pmc")
    write_inputs(tmp_path, truth)
    (tmp_path / "build.toml").write_text(BUILD)
    return tmp_path


@pytest.mark.slow
def test_captions_and_raters_make_a_dataset_that_is_scored(
    folder: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = str(folder / "build.toml")
    names = shared / "data/concepts/cui_names_open_ontologies.csv"
    steps = [
        ["concepts", "model", str(names), "--out", str(folder / "pack.zip")],
        ["run", build, "--until", "radiology", "--quiet"],
        *(
            [
                *("curate", "export", build, "--for", "label-studio", "--raters", "2"),
                "--out",
                str(folder / "tasks"),
            ],
        ),
    ]
    assert [run(step) for step in steps] == [0] * len(steps)
    exports = [answered(folder, rater, seed) for seed, rater in enumerate(("rater-1", "rater-2"))]
    annotations, manual, waiting = (
        str(folder / name) for name in ("annotations.csv", "manual.csv", "open.csv")
    )
    steps = [
        ["curate", "import", *map(str, exports), "--out", annotations],
        ["curate", "adjudicate", annotations, "--policy", "majority", "--out", manual, "--open", waiting],
        ["agreement", annotations, "--format", "json", "--out", str(folder / "agreement.json")],
        ["run", build, "--workers", "1", "--quiet"],
        ["verify", str(folder / "dataset")],
    ]
    assert [run(step) for step in steps] == [0] * len(steps)

    shutil.unpack_archive(folder / "dataset-truth.zip", folder / "truth")
    concepts = rows(folder / "truth/test_concepts.csv")
    manual_concepts = rows(folder / "truth/test_concepts_manual.csv")
    with (folder / "run.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(row.values() for row in concepts)
    capsys.readouterr()
    assert evaluate(["score", str(folder / "run.csv"), "--truth", str(folder / "truth")]) == 0
    assert "concept_f1         1.0000" in capsys.readouterr().out
    # What two raters agree on is nearly always right, and the rest is left to a second round.
    assert all(
        row["CUIs"].startswith(given["CUIs"]) for row, given in zip(concepts, manual_concepts, strict=True)
    )
    shown = sum(row["CUIs"].startswith("C1306645") for row in manual_concepts)
    assert shown >= 0.75 * len(manual_concepts)
    # Two directions are about as frequent as each other, whereas nearly every image is a chest X-ray: there
    # kappa is low however often raters agree.
    outcomes = {gate["name"]: gate["outcome"] for gate in gates(folder)}
    assert (outcomes["kappa: direction"], outcomes["kappa: region"]) == ("pass", "warn"), outcomes


def answered(folder: Path, rater: str, seed: int) -> Path:
    """Return an export of Label Studio as a rater would leave it who slips now and then."""
    generator = np.random.default_rng(seed)
    truth = {
        f"{row['PMCID']}/{row['file']}": row["concepts_manual"].split(";")
        for row in rows(folder / "concepts.csv")
    }
    (tasks,) = (folder / "tasks" / f"rater-{seed + 1}").glob("*.json")
    document = json.loads(tasks.read_text(encoding="utf-8"))
    labels = {
        "C1306645": "X-ray",
        "C0817096": "chest",
        "C1999039": "anterior-posterior",
        "C1996865": "postero-anterior",
    }
    wrong = {"modality": "CT", "region": "abdomen", "direction": "sagittal"}
    for number, task in enumerate(document, start=1):
        known = truth.get(task["data"]["key"], [])
        said = {
            "modality": [cui for cui in known if cui == "C1306645"],
            "region": [cui for cui in known if cui == "C0817096"],
            "direction": [cui for cui in known if cui in ("C1999039", "C1996865")],
        }
        results = []
        for facet, cuis in said.items():
            label = labels[cuis[0]] if cuis else "none of these"
            label = wrong[facet] if generator.random() < SLIPS else label
            results.append(
                {"from_name": facet, "to_name": "image", "type": "choices", "value": {"choices": [label]}}
            )
        task["id"] = number
        task["annotations"] = [
            {
                "id": number,
                "completed_by": {"id": seed + 1, "email": f"{rater}@example.org"},
                "was_cancelled": False,
                "created_at": "2026-11-24T10:00:00Z",
                "result": results,
            }
        ]
    path = folder / f"{rater}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def gates(folder: Path) -> list[dict[str, str]]:
    return [
        json.loads(line) for line in (folder / "work/gates.jsonl").read_text(encoding="utf-8").splitlines()
    ]
