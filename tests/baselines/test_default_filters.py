"""The two models that ship with the builder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args

import pytest

pytest.importorskip("onnxruntime")

from dataset_builder.stages.image_classifier import MODELS, find_model, open_classifier
from rocov2_eval.shelf.onnx_contract import Task

pytestmark = pytest.mark.slow  # networks are trained

TASKS = get_args(Task)


@pytest.mark.parametrize("task", TASKS)
def test_a_model_ships_that_keeps_to_the_contract_of_the_builder(task: Task) -> None:
    assert open_classifier(find_model(task, None), task).contract.positive == task


@pytest.mark.parametrize("task", TASKS)
def test_a_shipped_model_is_small(task: Task) -> None:
    assert find_model(task, None).stat().st_size <= 5_000_000


@pytest.mark.parametrize("task", TASKS)
def test_a_card_comes_with_each_model_and_names_its_licence(task: Task) -> None:
    onnx = pytest.importorskip("onnx")
    stated = {entry.key: entry.value for entry in onnx.load(find_model(task, None)).metadata_props}

    assert f"Licence of the weights: {stated['rocov2.licence']}" in (MODELS / f"{task}.md").read_text(
        encoding="utf-8"
    )


def pictures(shared: Path, **wanted: str) -> list[bytes]:
    with (shared / "data/images/images.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if wanted.items() <= row.items()]
    return [(shared / "data/images/files" / row["file"]).read_bytes() for row in rows[:60]]


@pytest.mark.parametrize(
    ("source", "is_radiology"), [("hannover", True), ("mednist", True), ("bccd", False), ("jose", False)]
)
def test_the_radiology_model_knows_the_kinds_it_was_trained_on(
    shared: Path,
    source: str,
    is_radiology: bool,  # noqa: FBT001  a column of the table
) -> None:
    classifier = open_classifier(find_model("radiology", None), "radiology")
    scores = classifier.scores(pictures(shared, source=source))

    assert ((scores >= classifier.threshold) == is_radiology).mean() >= 0.9


def test_the_compound_model_tells_made_figures_from_single_ones(shared: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    import io

    from compounds import made_figures

    singles = [
        image.open(io.BytesIO(content)).convert("RGB") for content in pictures(shared, source="hannover")
    ]
    figures = list(made_figures(singles, 60, seed=99))
    classifier = open_classifier(find_model("compound", None), "compound")
    scores = classifier.scores([content for content, _ in figures])

    assert ((scores >= classifier.threshold) == [is_compound for _, is_compound in figures]).mean() >= 0.85
