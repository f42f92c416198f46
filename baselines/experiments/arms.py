"""The arms of an experiment, trained and judged on the same images.

Each arm is trained by the same recipe and seeds. It learns, chooses its epoch and fits its rule by labels of
one table; what it is judged by is the same for all arms.

folder/
  <arm>/seed-<N>/              run folder
  <arm>/seed-<N>/<split>.csv   its answers; <split>-within-<digest>.csv: within some concepts alone
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baselines.concepts import Cells
from baselines.config import Recipe, recipe_of
from baselines.data.dataset import Examples, read_articles, read_examples
from baselines.experiments.judging import (
    DIFFERENCES,
    Classified,
    Mean,
    against_others,
    classified,
    f1_scores,
    first_answers,
    mean_of,
    single_classes,
)
from baselines.experiments.questions import EXPERIMENTS, Arm, Experiment
from baselines.frozen.features import FROZEN
from baselines.predictions import predict
from baselines.preparation import chosen_rows, concepts_of, restricted, training_splits
from baselines.runs import refuse_other_recipe, train_run
from baselines.session import Session
from baselines.training.loop import LAST
from baselines.training.runlog import RUN, read_run
from rocov2_eval.breakdown import FACETS, NOT_ANNOTATED, SEVERAL_MODALITIES, order_of
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.csv_files import read_rows

Answers = Sequence[Sequence[str]]  # by seed, the cell of each image


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """How well an arm answers.

    Attributes:
        arm: The way to train.
        images: Number of training images.
        steps: Number of optimiser steps.
        f1: F1 over all images that are judged.
        own_f1: F1 by the table that it learns from, where that is judged too.
        groups: F1 within each group of images, by facet.
        modality: What it makes of the modality, where that alone is asked.
    """

    arm: Arm
    images: int
    steps: int
    f1: Mean
    own_f1: Mean | None
    groups: Mapping[str, Mapping[str, Mean]]
    modality: Classified | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two arms, or of a group of images to all others.

    Attributes:
        name: What is taken from what, or which group.
        says: What the change is, in words; empty for a group.
        score: Name of the score.
        mean: The difference; None where both arms learn from the same images and labels.
    """

    name: str
    says: str = ""
    score: str
    mean: Mean | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an experiment found.

    Attributes:
        name: Key of `EXPERIMENTS`.
        has_articles: Whether intervals are over articles; over single images where no table tells them.
        units: Number of articles or images that are judged.
        seeds: Seeds of the trainings.
        vocabulary: Number of concepts that the table of each arm has, and of those that all have; empty where
            every arm is judged by the same table alone.
        unlike: Number of images to learn from whose common concepts differ between the tables of the arms.
        arms: How well each arm answers.
        differences: That of each contrast, the answer first; without contrasts, of each group of images.
    """

    name: str
    has_articles: bool
    units: int
    seeds: tuple[int, ...]
    vocabulary: Mapping[str, int]
    unlike: int
    arms: tuple[ArmResult, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What an arm is to be.

    Attributes:
        recipe: The recipe with what the arm changes.
        images: Number of training images.
        learnt: The training images and the images to decide by, each with its concepts.
        vocabulary: The concepts that its table has in any split.
        own: Concepts of each judged image by its own table, where that judges too.
        tables: SHA-256 of every table that it learns from, by path.
    """

    recipe: Recipe
    images: int
    learnt: frozenset[tuple[str, frozenset[str]]]
    vocabulary: frozenset[str]
    own: Cells
    tables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judge:
    """What answers are judged by.

    Attributes:
        truth: Concepts of each image.
        within: Concepts that alone are judged; all if empty.
        articles: Number of the article of each image; None where no table tells it.
        groups: Group of each image, by facet.
        classes: Modality of each image by its place in `within`, where that alone is judged.
    """

    truth: Cells
    within: Sequence[str]
    articles: IntArray | None
    groups: Mapping[str, Sequence[str]]
    classes: IntArray | None


def run_experiment(  # noqa: PLR0917  what, how, where
    name: str,
    recipe: Recipe,
    session: Session,
    split: str,
    out: Path,
    tables: Mapping[str, Path],
    *,
    seeds: int = 1,
) -> Outcome:
    """Train every arm that is not trained yet, and compare their answers.

    Args:
        name: Key of `EXPERIMENTS`.
        recipe: A recipe that answers with concepts.
        session: The data, the device, and what is shown.
        split: The split whose images are answered.
        out: Folder that gets a folder for each arm.
        tables: Paths of further tables of concepts, by `AUTOMATIC` or `UNFILTERED`.
        seeds: How often each arm is trained: with the seed of the recipe, and the next ones.

    Raises:
        UsageFault: A table that the experiment asks for was not named, or an arm was trained otherwise.
        RejectedInput: A table lacks an image, or the tables have no concept in common.
    """
    experiment = EXPERIMENTS[name]
    for arm in experiment.arms:
        if arm.learns_from and arm.learns_from not in tables:
            raise UsageFault(f"{arm.name}: name the table of its labels with --{arm.learns_from} CSV")
    examples = read_examples(session.data, split, {"concepts", "concepts_manual"})
    plans = _plans(experiment, recipe, session.data, examples, tables)
    within = _within(experiment, plans)
    judge = _judge(experiment, examples, within)
    numbers = tuple(range(recipe.run.seed, recipe.run.seed + seeds))
    results, answers = [], {}
    for arm in experiment.arms:
        plan = plans[arm.name]
        folders = [
            _trained(plan, seed, session, out / arm.name.replace(" ", "-").replace(",", ""))
            for seed in numbers
        ]
        own = [_answers(folder, session, examples, ()) for folder in folders]
        answers[arm.name] = (
            [_answers(folder, session, examples, within) for folder in folders] if experiment.commons else own
        )
        results.append(
            ArmResult(
                arm=arm,
                images=plan.images,
                steps=read_run(folders[0])["steps"],
                f1=mean_of(*_f1(answers[arm.name], judge)),
                own_f1=mean_of(f1_scores(own, plan.own, ()), judge.articles) if experiment.commons else None,
                groups=_by_group(answers[arm.name], judge),
                modality=_classified(answers[arm.name], judge),
            )
        )
    return Outcome(
        name=name,
        has_articles=judge.articles is not None,
        units=len(examples) if judge.articles is None else len(set(judge.articles.tolist())),
        seeds=numbers,
        vocabulary=_vocabulary(plans, within) if experiment.commons else {},
        unlike=_unlike(plans, frozenset(within)) if experiment.commons else 0,
        arms=tuple(results),
        differences=tuple(_differences(experiment, plans, answers, judge)),
    )


def modality_of(manual: Sequence[str], concepts: Sequence[str]) -> str:
    """Return the modality of an image by its manual concepts; where these have none, by all its concepts.

    ROCOv2 leaves the manual modality of an image with several ones, such as PET/CT, empty, as it does where
    there is none. All concepts of an image with several modalities name each of them.
    """
    group = FACETS["modality"][1]
    found = group(";".join(manual))
    has_several = found == NOT_ANNOTATED and group(";".join(concepts)) == SEVERAL_MODALITIES
    return SEVERAL_MODALITIES if has_several else found


def _plans(
    experiment: Experiment, recipe: Recipe, data: Path, judged: Examples, tables: Mapping[str, Path]
) -> dict[str, _Plan]:
    """Return what each arm is to be; whatever is wrong with a table is found before anything is trained."""
    plans: dict[str, _Plan] = {}
    for arm in experiment.arms:
        changes = dict(arm.changes)
        if arm.learns_from:
            changes["data.concepts"] = str(tables[arm.learns_from].resolve())
        if arm.as_few_as:
            changes["data.most"] = plans[arm.as_few_as].images
        own_recipe = _changed(recipe, changes, arm.name)
        table, options = own_recipe.tables["decision"].table, own_recipe.tables["data"]
        train, valid, digests = training_splits(own_recipe, data, table)
        rows = chosen_rows(train, options, recipe.run.seed)
        splits = (train, valid, judged) if experiment.commons else (train, valid)
        known = [concepts_of(examples, table, options) for examples in splits]
        learnt = [(train.ids[row], known[0][row]) for row in rows.tolist()]
        learnt += zip(valid.ids, known[1], strict=True)
        plans[arm.name] = _Plan(
            recipe=own_recipe,
            images=len(rows),
            learnt=frozenset((image_id, frozenset(cuis)) for image_id, cuis in learnt),
            vocabulary=frozenset(cui for cells in known for image in cells for cui in image),
            own=known[-1],
            tables=digests,
        )
    return plans


def _changed(recipe: Recipe, changes: Mapping[str, Any], name: str) -> Recipe:
    """Return a recipe with some values changed, by table and key."""
    document = recipe.document()
    for place, value in changes.items():
        table, _, key = place.partition(".")
        document[table][key] = value
    return recipe_of(name, document, name, Path.cwd())


def _within(experiment: Experiment, plans: Mapping[str, _Plan]) -> tuple[str, ...]:
    """Return the concepts that alone are judged; all if empty."""
    if not experiment.commons:
        return experiment.only
    common = frozenset.intersection(*(plan.vocabulary for plan in plans.values()))
    if not common:
        raise RejectedInput("the tables of the arms have no concept in common: they cannot be compared")
    return tuple(sorted(common))


def _judge(experiment: Experiment, examples: Examples, within: tuple[str, ...]) -> _Judge:
    concepts, manual = examples.concepts, examples.concepts_manual
    assert concepts is not None, "they were asked for"
    assert manual is not None, "they were asked for"
    truth = restricted(getattr(examples, experiment.truth), within)
    classes = single_classes(truth, within) if experiment.only else None
    known = {
        "modality": [modality_of(*image) for image in zip(manual, concepts, strict=True)],
        "concepts": [FACETS["concepts"][1](";".join(image)) for image in concepts],
    }
    return _Judge(
        truth=truth,
        within=within,
        articles=read_articles(examples.folder, examples.ids),
        groups={facet: known[facet] for facet in experiment.facets},
        classes=None if classes is None or not (classes >= 0).any() else classes,
    )


def _trained(plan: _Plan, seed: int, session: Session, arm: Path) -> Path:
    """Return the run folder of a seed, trained now unless it is."""
    folder = arm / f"seed-{seed}"
    recipe = _changed(plan.recipe, {"run.seed": seed}, plan.recipe.name)
    begun = (folder / RUN).is_file()
    if begun:
        refuse_other_recipe(folder, recipe, plan.tables)
    if not begun or "seconds" not in read_run(folder):
        session.display.note(f"{recipe.name}, seed {seed}")
        resume = any((folder / name).exists() for name in (LAST, FROZEN))
        train_run(recipe, session, folder, resume=resume)
    return folder


def _answers(folder: Path, session: Session, examples: Examples, within: Sequence[str]) -> list[str]:
    """Return the answer to each image; what is there already is not made again."""
    digest = hashlib.sha256(";".join(within).encode()).hexdigest()[:12]
    run_file = folder / (f"{examples.split}-within-{digest}.csv" if within else f"{examples.split}.csv")
    if not run_file.is_file():
        predict([folder], session, examples.split, run_file, within=within)
    cells = {row["ID"]: row["CUIs"] for _, row in read_rows(run_file)}
    return [cells[image_id] for image_id in examples.ids]


def _f1(cells: Answers, judge: _Judge) -> tuple[FloatArray, IntArray | None]:
    """Return the F1 of each image, with the article of each."""
    return f1_scores(cells, judge.truth, judge.within), judge.articles


def _hits(cells: Answers, judge: _Judge) -> tuple[FloatArray, IntArray | None]:
    """Return whether the modality is answered, of each image that has exactly one, with its article."""
    assert judge.classes is not None, "the modality is asked"
    judged = judge.classes >= 0
    answers = first_answers(cells, judge.within)[:, judged]
    hits: FloatArray = (answers == judge.classes[judged]).astype(np.float64)
    return hits, None if judge.articles is None else judge.articles[judged]


def _by_group(cells: Answers, judge: _Judge) -> dict[str, dict[str, Mean]]:
    scores, articles = _f1(cells, judge)
    found: dict[str, dict[str, Mean]] = {}
    for facet, groups in judge.groups.items():
        found[facet] = {}
        for name in order_of(facet, groups):
            inside = np.array([group == name for group in groups])
            found[facet][name] = mean_of(scores[:, inside], None if articles is None else articles[inside])
    return found


def _classified(cells: Answers, judge: _Judge) -> Classified | None:
    if judge.classes is None:
        return None
    judged = judge.classes >= 0
    hits, articles = _hits(cells, judge)
    answers = first_answers(cells, judge.within)[:, judged]
    return classified(answers, judge.classes[judged], judge.within, mean_of(hits, articles))


def _differences(
    experiment: Experiment, plans: Mapping[str, _Plan], answers: Mapping[str, Answers], judge: _Judge
) -> Iterator[Difference]:
    """Yield the difference of each contrast; without contrasts, of each group of images to all others."""
    scorers = {"F1": _f1} if judge.classes is None else {"F1": _f1, "accuracy": _hits}
    for contrast in experiment.contrasts:
        is_same = plans[contrast.arm].learnt == plans[contrast.against].learnt
        for score, scorer in scorers.items():
            with_change, articles = scorer(answers[contrast.arm], judge)
            without, _ = scorer(answers[contrast.against], judge)
            mean = None if is_same else mean_of(with_change - without, articles, DIFFERENCES)
            yield Difference(name=contrast.name, says=contrast.says, score=score, mean=mean)
    if not experiment.contrasts:
        (cells,) = answers.values()
        scores, articles = _f1(cells, judge)
        found = against_others(scores, judge.groups["modality"], articles)
        for name in order_of("modality", judge.groups["modality"]):
            if name in found:
                yield Difference(name=name, score="F1", mean=found[name])


def _vocabulary(plans: Mapping[str, _Plan], within: Sequence[str]) -> dict[str, int]:
    return {**{name: len(plan.vocabulary) for name, plan in plans.items()}, "common": len(within)}


def _unlike(plans: Mapping[str, _Plan], common: frozenset[str]) -> int:
    """Return of how many images, to learn from or to decide by, the tables do not say the same in common."""
    said = {(image_id, cuis & common) for plan in plans.values() for image_id, cuis in plan.learnt}
    return sum(count > 1 for count in Counter(image_id for image_id, _ in said).values())
