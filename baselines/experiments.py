"""The experiments that ROCOv2 proposes: one recipe, trained twice with one thing changed, on the same images.

Every arm is trained by the same recipe and seed and answers the same images; the difference is taken image by
image, with a bootstrap interval. A difference whose interval holds 0 was not found, which is not to say that
there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from baselines.config import recipe_of
from baselines.data.dataset import Need, read_examples
from baselines.predictions import predict_concepts
from baselines.runs import (
    Reporting,
    read_table,
    refuse_other_recipe,
    restricted,
    train_run,
)
from baselines.training.loop import BEST
from baselines.training.runlog import RUN
from baselines.training.runtime import Runtime
from rocov2_eval.align import concept_sets
from rocov2_eval.breakdown import FACETS
from rocov2_eval.editions import MODALITY_CUIS
from rocov2_eval.errors import UsageFault
from rocov2_eval.metrics import concept_f1
from rocov2_eval.records import FloatArray, Interval, SampleScores
from rocov2_eval.resampling import Bootstrap, interval

AUTOMATIC, UNFILTERED = "automatic", "unfiltered"  # tables of concepts that an experiment may ask for


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        name: In the table.
        changes: Value by table and key of the recipe, such as `data.licences`.
        learns_from: The further table of concepts that it learns from; empty for the dataset's own.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    learns_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question with its arms.

    Attributes:
        question: In a sentence.
        arms: The first is what the others are compared with.
        truth: The table that answers are judged by.
        only: CUIs that alone are judged; all if empty.
    """

    question: str
    arms: tuple[Arm, ...]
    truth: Need = "concepts"
    only: tuple[str, ...] = ()


_MODALITIES = tuple(MODALITY_CUIS)
_MANUAL_MODALITY = {"decision.table": "concepts_manual", "data.only": list(_MODALITIES)}

EXPERIMENTS: Mapping[str, Experiment] = {
    "modality": Experiment(
        question="Does a modality classifier learn from automatic concepts what it learns from manual ones?",
        arms=(
            Arm(name="manual concepts", changes=_MANUAL_MODALITY),
            Arm(name="automatic concepts", changes=_MANUAL_MODALITY, learns_from=AUTOMATIC),
        ),
        truth="concepts_manual",
        only=_MODALITIES,
    ),
    "semantic-types": Experiment(
        question="Does the semantic-type filter help concept detection?",
        arms=(
            Arm(name="with the filter"),
            Arm(name="without the filter", learns_from=UNFILTERED),
        ),
    ),
    "licences": Experiment(
        question="What do the images under CC BY-NC add?",
        arms=(Arm(name="all allowed licences"), Arm(name="CC BY only", changes={"data.licences": ["CC BY"]})),
    ),
    "single-concept": Experiment(
        question="Do training images with a single concept help or harm?",
        arms=(
            Arm(name="with single-concept images"),
            Arm(name="without single-concept images", changes={"data.least_concepts": 2}),
        ),
    ),
    "by-modality": Experiment(
        question="How well are the concepts of each modality found, rare ones included?",
        arms=(Arm(name="all images"),),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A mean over images.

    Attributes:
        mean: None where no image is scored.
        interval: 95 %, None for fewer than two images.
        images: How many.
    """

    mean: float | None
    interval: Interval | None
    images: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of an arm.

    Attributes:
        name: Of the arm.
        trained_on: Images.
        f1: On all images that are judged.
        gain: Over the first arm, image by image; None for the first arm itself.
        groups: F1 by modality.
    """

    name: str
    trained_on: int
    f1: Score
    gain: Score | None
    groups: Mapping[str, Score]


def run_experiment(  # noqa: PLR0917  what, on what, where to
    name: str,
    recipe: Mapping[str, Any],
    data: Path,
    split: str,
    out: Path,
    runtime: Runtime,
    packs: Path,
    tables: Mapping[str, Path],
    reporting: Reporting,
) -> tuple[Row, ...]:
    """Train every arm that is not trained yet, and compare their answers.

    Args:
        name: Key of `EXPERIMENTS`.
        recipe: The document of a recipe for concepts.
        data: Dataset folder.
        split: Whose images are answered.
        out: Folder that gets a run for each arm.
        runtime: Where.
        packs: Where packed pictures are kept.
        tables: Further tables of concepts, by `AUTOMATIC` or `UNFILTERED`.
        reporting: Who is told.

    Raises:
        UsageFault: A table that the experiment asks for was not named.
    """
    experiment = EXPERIMENTS[name]
    for arm in experiment.arms:
        if arm.learns_from and arm.learns_from not in tables:
            raise UsageFault(f"{arm.name}: name the table that it learns from with --{arm.learns_from} CSV")
    examples = read_examples(data, split, {experiment.truth, "concepts_manual"})
    truth = getattr(examples, experiment.truth)
    modality_of = FACETS["modality"][1]
    assert examples.concepts_manual is not None, "they were asked for"
    groups = np.array([modality_of(";".join(image)) for image in examples.concepts_manual])
    rows: list[Row] = []
    first: FloatArray | None = None
    for arm in experiment.arms:
        folder = out / arm.name.replace(" ", "-")
        answers = _answers(arm, recipe, data, split, folder, runtime, packs, tables, reporting)
        scores = _f1([answers[image_id] for image_id in examples.ids], truth, experiment.only)
        gain = (
            None
            if first is None
            else _score(SampleScores(values=scores.values - first, scored=scores.scored))
        )
        first = scores.values if first is None else first
        rows.append(
            Row(
                name=arm.name,
                trained_on=_trained_on(folder),
                f1=_score(scores),
                gain=gain,
                groups={
                    str(group): _score(
                        SampleScores(
                            values=scores.values[groups == group], scored=scores.scored[groups == group]
                        )
                    )
                    for group in sorted(set(groups.tolist()))
                },
            )
        )
    return tuple(rows)


def table_text(name: str, rows: Sequence[Row]) -> str:
    """Return the outcome as Markdown."""
    lines = [
        f"## {EXPERIMENTS[name].question}",
        "",
        "| arm | trained on | images | F1 | difference to the first |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        gain = "" if row.gain is None else _shown(row.gain, signed=True)
        lines.append(f"| {row.name} | {row.trained_on:,} | {row.f1.images:,} | {_shown(row.f1)} | {gain} |")
    names = list(rows[0].groups)
    lines += ["", f"| F1 by modality | images | {' | '.join(row.name for row in rows)} |"]
    lines.append("|---|---|" + "---|" * len(rows))
    for group in names:
        cells = " | ".join(_shown(row.groups[group]) for row in rows)
        lines.append(f"| {group} | {rows[0].groups[group].images:,} | {cells} |")
    for row in rows[1:]:
        if row.trained_on == rows[0].trained_on and _only_picks(name, row):
            lines += ["", f"**{row.name} learns from the same images as the first arm: no answer here.**"]
    lines += [
        "",
        "Brackets: 95 % percentile bootstrap over images. One seed: the chance of training is not in them.",
    ]
    return "\n".join(lines) + "\n"


def table_json(name: str, rows: Sequence[Row]) -> str:
    """Return the outcome as JSON."""

    def score(found: Score | None) -> Any:  # noqa: ANN401  JSON
        if found is None:
            return None
        ends = [found.interval.low, found.interval.high] if found.interval else None
        return {"mean": found.mean, "interval": ends, "images": found.images}

    document = {
        "experiment": name,
        "question": EXPERIMENTS[name].question,
        "arms": [
            {
                "name": row.name,
                "trained_on": row.trained_on,
                "f1": score(row.f1),
                "difference": score(row.gain),
                "by_modality": {group: score(found) for group, found in row.groups.items()},
            }
            for row in rows
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def changed(recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a recipe with some of its keys changed."""
    document = {name: dict(table) for name, table in recipe.items()}
    for place, value in changes.items():
        table, _, key = place.partition(".")
        document.setdefault(table, {})[key] = value
    return document


def _answers(  # noqa: PLR0917  what run_experiment has
    arm: Arm,
    recipe: Mapping[str, Any],
    data: Path,
    split: str,
    folder: Path,
    runtime: Runtime,
    packs: Path,
    tables: Mapping[str, Path],
    reporting: Reporting,
) -> dict[str, str]:
    """Return the cell of each image; what is there already is not made again."""
    changes = dict(arm.changes)
    if arm.learns_from:
        changes["data.concepts"] = str(tables[arm.learns_from].resolve())
    chosen = recipe_of(arm.name, changed(recipe, changes), arm.name, Path.cwd())
    answered = folder / f"{split}.csv"
    if (folder / RUN).is_file():
        refuse_other_recipe(folder, chosen)
    if not answered.is_file():
        reporting.note(arm.name)
        train_run(
            chosen, data, folder, runtime, reporting, packs, resume=(folder / "last.safetensors").is_file()
        )
        assert (folder / BEST).is_file(), "the first validation writes it"
        predict_concepts([folder], data, split, answered, packs, runtime.device, reporting)
    return {row["ID"]: row["CUIs"] for row in read_table(answered)}


def _only_picks(name: str, row: Row) -> bool:
    """Tell whether an arm differs from the first in nothing but which images it learns from."""
    arm = next(arm for arm in EXPERIMENTS[name].arms if arm.name == row.name)
    return bool(arm.changes) and not arm.learns_from and all(key.startswith("data.") for key in arm.changes)


def _f1(cells: Sequence[str], truth: Sequence[Sequence[str]], only: Sequence[str]) -> SampleScores:
    given: Sequence[Sequence[str]] = [cell.split(";") if cell else () for cell in cells]
    if only:
        given, truth = restricted(given, only), restricted(truth, only)
    candidates, references = concept_sets(
        [";".join(image) for image in given], [";".join(image) for image in truth]
    )
    return concept_f1.score(candidates, references)["concept_f1"]


def _score(scores: SampleScores) -> Score:
    return Score(mean=scores.mean, interval=interval(scores, Bootstrap()), images=scores.n)


def _shown(score: Score, *, signed: bool = False) -> str:
    if score.mean is None:
        return "no image"
    sign = "+" if signed else ""
    ends = f" [{score.interval.low:{sign}.3f}, {score.interval.high:{sign}.3f}]" if score.interval else ""
    return f"{score.mean:{sign}.3f}{ends}"


def _trained_on(folder: Path) -> int:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return int(record["data"]["train"]["images"])
