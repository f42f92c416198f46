"""The experiments that ROCOv2 proposes: one recipe, trained twice with one thing changed, on the same images.

Every arm is trained by the same recipe and seed and answers the same images; the difference is taken image by
image, with a bootstrap interval. A difference whose interval holds 0 was not found, which is not to say that
there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from baselines.config import Recipe, recipe_of
from baselines.data.dataset import Need, read_examples
from baselines.predictions import predict
from baselines.preparation import restricted
from baselines.runs import refuse_other_recipe, train_run
from baselines.session import Session
from baselines.training.loop import LAST
from baselines.training.runlog import RUN, read_run
from rocov2_eval.align import concept_sets
from rocov2_eval.breakdown import FACETS
from rocov2_eval.editions import MODALITY_CUIS
from rocov2_eval.errors import UsageFault
from rocov2_eval.metrics import concept_f1
from rocov2_eval.records import Interval, SampleScores
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.resampling import Bootstrap, interval
from rocov2_eval.shelf.csv_files import read_rows

AUTOMATIC, UNFILTERED = "automatic", "unfiltered"  # tables of concepts that an experiment may ask for


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        name: Name of the arm in the table.
        changes: Values of the recipe that it changes, by table and key, such as `data.licences`.
        learns_from: The further table of concepts that it learns from; empty for the dataset's own.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    learns_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question with its arms.

    Attributes:
        question: The question in a sentence.
        arms: Ways to train; the first is what the others are compared with.
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
class Mean:
    """A mean over images.

    Attributes:
        mean: The mean; None where no image is scored.
        interval: 95 % interval of the mean; None for fewer than two images.
        images: Number of images.
    """

    mean: float | None
    interval: Interval | None
    images: int

    def data(self) -> dict[str, Any]:
        """Return the mean as JSON has it."""
        ends = [self.interval.low, self.interval.high] if self.interval else None
        return {"mean": self.mean, "interval": ends, "images": self.images}


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """How well an arm answers.

    Attributes:
        arm: The way to train.
        trained_on: Number of training images.
        f1: F1 over all images that are judged.
        difference: F1 minus that of the first arm, image by image; None for the first arm itself.
        by_modality: F1 within the images of each modality.
    """

    arm: Arm
    trained_on: int
    f1: Mean
    difference: Mean | None
    by_modality: Mapping[str, Mean]


def run_experiment(
    name: str, recipe: Recipe, session: Session, *, split: str, out: Path, tables: Mapping[str, Path]
) -> tuple[ArmResult, ...]:
    """Train every arm that is not trained yet, and compare their answers.

    Args:
        name: Key of `EXPERIMENTS`.
        recipe: A recipe for concepts.
        session: The data, the device, and what is shown.
        split: The split whose images are answered.
        out: Folder that gets a run folder for each arm.
        tables: Paths of further tables of concepts, by `AUTOMATIC` or `UNFILTERED`.

    Raises:
        UsageFault: A table that the experiment asks for was not named.
    """
    experiment = EXPERIMENTS[name]
    for arm in experiment.arms:
        if arm.learns_from and arm.learns_from not in tables:
            raise UsageFault(f"{arm.name}: name the table that it learns from with --{arm.learns_from} CSV")
    examples = read_examples(session.data, split, {experiment.truth, "concepts_manual"})
    truth = restricted(getattr(examples, experiment.truth), experiment.only)
    modality_of = FACETS["modality"][1]
    assert examples.concepts_manual is not None, "they were asked for"
    modalities = np.array([modality_of(";".join(image)) for image in examples.concepts_manual])
    results: list[ArmResult] = []
    first: SampleScores | None = None
    for arm in experiment.arms:
        folder = out / arm.name.replace(" ", "-")
        cells = _answers(_recipe_of_arm(arm, recipe, tables), session, split, folder)
        scores = _f1([cells[image_id] for image_id in examples.ids], truth, experiment.only)
        first = first or scores
        difference = SampleScores(values=scores.values - first.values, scored=scores.scored)
        results.append(
            ArmResult(
                arm=arm,
                trained_on=read_run(folder)["data"]["train"]["images"],
                f1=_mean(scores),
                difference=_mean(difference) if results else None,
                by_modality={
                    name: _mean(_part(scores, modalities == name))
                    for name in sorted(set(modalities.tolist()))
                },
            )
        )
    return tuple(results)


def experiment_document(name: str, results: Sequence[ArmResult]) -> Document:
    """Return what an experiment found."""
    first = results[0]
    arms = Table(
        columns=(
            Column(title="arm"),
            Column(title="trained on", kind="count"),
            Column(title="images", kind="count"),
            Column(title="F1", kind="score"),
            Column(title="95 %", kind="interval", key="f1"),
            Column(title="difference to the first", kind="difference"),
            Column(title="95 %", kind="difference_interval", key="difference"),
        ),
        rows=[
            (row.arm.name, row.trained_on, row.f1.images, *_ends(row.f1), *_ends(row.difference))
            for row in results
        ],
    )
    pairs = [
        (Column(title=row.arm.name, kind="score"), Column(title="95 %", kind="interval", key=row.arm.name))
        for row in results
    ]
    by_modality = Table(
        title="F1 by modality",
        columns=(
            Column(title="modality"),
            Column(title="images", kind="count"),
            *(column for pair in pairs for column in pair),
        ),
        rows=[
            (modality, mean.images, *(end for row in results for end in _ends(row.by_modality[modality])))
            for modality, mean in first.by_modality.items()
        ],
    )
    notes = [
        Note(
            text=f"{row.arm.name} learns from the same images as the first arm: no answer here",
            label="NO ANSWER",
        )
        for row in results[1:]
        if row.trained_on == first.trained_on and _only_picks(row.arm)
    ]
    notes.append(
        Note(text="95 % percentile bootstrap over images. One seed: the chance of training is not in it.")
    )
    data = {
        "experiment": name,
        "question": EXPERIMENTS[name].question,
        "arms": [
            {
                "name": row.arm.name,
                "trained_on": row.trained_on,
                "f1": row.f1.data(),
                "difference": row.difference.data() if row.difference else None,
                "by_modality": {modality: mean.data() for modality, mean in row.by_modality.items()},
            }
            for row in results
        ],
    }
    sections = (Section(tables=(arms,)), Section(tables=(by_modality,), notes=notes))
    return Document(title=EXPERIMENTS[name].question, sections=sections, data=data)


def _answers(recipe: Recipe, session: Session, split: str, folder: Path) -> dict[str, str]:
    """Return the cell of each image; what is there already is not made again."""
    run_file = folder / f"{split}.csv"
    if (folder / RUN).is_file():
        refuse_other_recipe(folder, recipe)
    if not run_file.is_file():
        session.display.note(recipe.name)
        train_run(recipe, session, folder, resume=(folder / LAST).is_file())
        predict([folder], session, split, run_file)
    return {row["ID"]: row["CUIs"] for _, row in read_rows(run_file)}


def _recipe_of_arm(arm: Arm, recipe: Recipe, tables: Mapping[str, Path]) -> Recipe:
    """Return a recipe with what an arm changes."""
    changes = dict(arm.changes)
    if arm.learns_from:
        changes["data.concepts"] = str(tables[arm.learns_from].resolve())
    document = recipe.document()
    for place, value in changes.items():
        table, _, key = place.partition(".")
        document[table][key] = value
    return recipe_of(arm.name, document, arm.name, Path.cwd())


def _only_picks(arm: Arm) -> bool:
    """Tell whether an arm differs from the first in nothing but which images it learns from."""
    return bool(arm.changes) and not arm.learns_from and all(key.startswith("data.") for key in arm.changes)


def _f1(cells: Sequence[str], truth: Sequence[Sequence[str]], only: Sequence[str]) -> SampleScores:
    candidates = restricted([cell.split(";") if cell else () for cell in cells], only)
    ours, theirs = concept_sets(
        [";".join(image) for image in candidates], [";".join(image) for image in truth]
    )
    return concept_f1.score(ours, theirs)["concept_f1"]


def _part(scores: SampleScores, chosen: Any) -> SampleScores:  # noqa: ANN401  an array of booleans
    return SampleScores(values=scores.values[chosen], scored=scores.scored[chosen])


def _mean(scores: SampleScores) -> Mean:
    return Mean(mean=scores.mean, interval=interval(scores, Bootstrap()), images=scores.n)


def _ends(mean: Mean | None) -> tuple[float | None, Interval | None]:
    return (mean.mean, mean.interval) if mean else (None, None)
