"""A recipe and a dataset into what is trained, with what identifies the data."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines import captions, selfcritical
from baselines.classifiers import side_seen
from baselines.concepts import (
    Cells,
    ConceptDetection,
    DecisionOptions,
    Labelled,
    Unlearnt,
    frequent_labels,
    refuse_small,
    unlearnt,
)
from baselines.config import DataOptions, Recipe, RecipeTask
from baselines.data.cache import PictureCache, open_cache
from baselines.data.dataset import Examples, Need, read_articles, read_attributions, read_examples
from baselines.filter_pictures import VALID, class_files, classed, divide
from baselines.filters import FilterOptions, FilterTraining
from baselines.frozen.captions import Told, fit_captions, save_captions
from baselines.frozen.concepts import fit_frozen, save_frozen
from baselines.frozen.features import Sight, open_sight
from baselines.session import Session, cached_split
from baselines.training.loop import BEST
from baselines.training.objective import Objective
from rocov2_eval.encoders import TextEncoder
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.progress import silent
from rocov2_eval.shelf.words import shorten


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """What a recipe trains.

    Attributes:
        objective: What the loop trains; None for what is fitted in one go.
        fit: Fits what no loop trains and writes its files into a run folder; None for what the loop trains.
        data: What identifies the data: folder, digests of tables, and of each split images and pixels.
        licences: Licences of the weights of others that are in it or that it needs, by their name; None where
            the recipe alone names them.
        unlearnt: Concepts of the validation split that cannot be learnt; None without any, and for captions.
    """

    objective: Objective | None = None
    fit: Callable[[Path], None] | None = None
    data: Mapping[str, Any]
    licences: Mapping[str, str] | None = None
    unlearnt: Unlearnt | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """The two splits of a recipe.

    Attributes:
        train: The training split, with what is known of it.
        valid: Images to decide by, with what is known of them.
        chosen: Rows of `train` to learn from.
        train_pictures: Decoded pictures of `train`, those of `chosen` chosen.
        valid_pictures: Decoded pictures of `valid`.
        tables: Path and SHA-256 of every table read.
    """

    train: Examples
    valid: Examples
    chosen: IntArray
    train_pictures: PictureCache
    valid_pictures: PictureCache
    tables: Mapping[str, str]

    def identity(self) -> dict[str, Any]:
        """Return what identifies the data, for the record of a run."""
        return {
            "folder": str(self.train.folder.resolve()),
            "tables": dict(self.tables),
            "train": {"images": len(self.chosen), "pixels_sha256": self.train_pictures.digest},
            "valid": {"images": len(self.valid), "pixels_sha256": self.valid_pictures.digest},
            "broken": {**self.train_pictures.broken, **self.valid_pictures.broken},
        }


def prepare(recipe: Recipe, session: Session, stack: ExitStack) -> Prepared:
    """Return what a recipe trains; what it keeps open is closed with the stack.

    Raises:
        RocoError: The data or recipe cannot work.
    """
    return _PREPARATIONS[recipe.run.task](recipe, session, stack)


def restricted(cells: Cells, only: Collection[str]) -> Cells:
    """Return the concepts of images that are among some; all of them where `only` is empty."""
    return [tuple(cui for cui in image if cui in only) for image in cells] if only else cells


def licence_of(attribution: str) -> str:
    """Return the licence of an attribution, such as `CC BY` of `CC BY 4.0 [Surname et al. (2020)]`."""
    return re.sub(r"\s+\d+(\.\d+)?\Z", "", attribution.partition(" [")[0].strip())


def _concepts(recipe: Recipe, session: Session, _stack: ExitStack) -> Prepared:
    network, options = recipe.tables["network"], recipe.tables["data"]
    refuse_small(options.side, side_seen(network.spec, network.init, network.size))
    material = _material(recipe, session, recipe.tables["decision"].table)
    torch.manual_seed(recipe.run.seed)  # of the first weights
    train, valid = _labelled(recipe, material)
    objective = ConceptDetection(
        network,
        recipe.tables["loss"],
        recipe.tables["augment"],
        recipe.tables["decision"],
        train,
        valid,
        _names(material.train.folder),
    )
    start = network.init or network.spec
    licences = {start: objective.look.licence} if network.starts_from_weights else None
    return Prepared(
        objective=objective,
        data=material.identity(),
        licences=licences,
        unlearnt=_unlearnt(recipe, session, train, valid),
    )


def _frozen_concepts(recipe: Recipe, session: Session, _stack: ExitStack) -> Prepared:
    options: DecisionOptions = recipe.tables["decision"]
    sight = _sight(recipe)
    material = _material(recipe, session, options.table)
    train, valid = _labelled(recipe, material)

    def fit(folder: Path) -> None:
        with session.runtime.autocast():
            detector, choice = fit_frozen(
                sight,
                recipe.tables["answer"],
                options,
                train,
                valid,
                seed=recipe.run.seed,
                device=session.runtime.device,
                progress=session.display.steps,
            )
        save_frozen(folder, detector, choice, _names(material.train.folder))

    return Prepared(
        fit=fit,
        data=material.identity(),
        licences=sight.licences,
        unlearnt=_unlearnt(recipe, session, train, valid),
    )


def _frozen_captions(recipe: Recipe, session: Session, _stack: ExitStack) -> Prepared:
    sight = _sight(recipe)
    material = _material(recipe, session, "captions")
    assert material.train.captions is not None, "they were asked for"
    assert material.valid.captions is not None, "they were asked for"
    splits = (
        Told(pictures=material.train_pictures, captions=material.train.captions),
        Told(
            pictures=material.valid_pictures,
            captions=material.valid.captions,
            manual=material.valid.concepts_manual,
        ),
    )

    def fit(folder: Path) -> None:
        with session.runtime.autocast():
            captioner, scores = fit_captions(
                sight, *splits, device=session.runtime.device, progress=session.display.steps
            )
        save_captions(folder, captioner, scores)

    return Prepared(fit=fit, data=material.identity(), licences=sight.licences)


def _sight(recipe: Recipe) -> Sight:
    """Return what sees the pictures, opened before they are decoded: what lacks is said at once."""
    sight = open_sight(recipe.tables["features"])
    if sight.network is not None:
        refuse_small(recipe.tables["data"].side, sight.options.size)
    return sight


def _captions(recipe: Recipe, session: Session, _stack: ExitStack) -> Prepared:
    material = _material(recipe, session, "captions")
    assert material.train.captions is not None, "they were asked for"
    torch.manual_seed(recipe.run.seed)  # of the first weights
    said = [material.train.captions[row] for row in material.chosen.tolist()]
    ready = captions.begin(recipe.tables["captioner"], recipe.tables["generation"], said)
    objective = _caption_objective(recipe, material, ready)
    return Prepared(objective=objective, data=material.identity(), licences=ready.licences)


def _self_critical(recipe: Recipe, session: Session, stack: ExitStack) -> Prepared:
    material = _material(recipe, session, "captions")
    start = recipe.tables["start"]
    ready = captions.open_ready(Path(start.run), Path(start.run) / BEST)
    encoder: TextEncoder | None = None
    if start.reward == "bertscore":
        from rocov2_eval.encoders import open_encoder
        from rocov2_eval.models import locate

        weights = locate("encoder", start.encoder)
        if weights is None:
            raise MissingResource(
                f"start.encoder: the weights of {start.encoder} are not on this machine; download them "
                f"with `rocov2-eval models fetch {start.encoder}`, or set start.reward = 'cider'"
            )
        encoder = stack.enter_context(open_encoder(weights, notify=silent))
    first = _caption_objective(recipe, material, ready, encoder)
    if encoder is None:
        reward = selfcritical.cider_reward(first.train.captions)
    else:
        first.main = "bertscore_f1"  # what is learnt decides what is kept
        reward = selfcritical.bertscore_reward(encoder)
    objective = selfcritical.SelfCriticalObjective(first, reward, recipe.tables["selfcritical"])
    return Prepared(objective=objective, data=material.identity(), licences=ready.licences)


def _filter(recipe: Recipe, session: Session, _stack: ExitStack) -> Prepared:
    options: FilterOptions = recipe.tables["filter"]
    files = class_files(session.data, options.task)
    name = f"{session.data.resolve().name}-{options.task}-{options.side}-{options.fit}"
    cache = open_cache(
        files, session.cache / name, options.side, fit=options.fit, progress=session.display.pictures
    )
    pictures = classed(cache.ids, cache.images, options.task)
    train, valid = map(pictures.take, divide(pictures.groups, VALID, recipe.run.seed))
    data = {
        "folder": str(session.data.resolve()),
        "train": {"images": len(train), "pixels_sha256": cache.digest},
        "valid": {"images": len(valid), "pixels_sha256": cache.digest},
    }
    return Prepared(objective=FilterTraining(options, train, valid, recipe.run.seed), data=data)


_PREPARATIONS: Mapping[RecipeTask, Callable[[Recipe, Session, ExitStack], Prepared]] = {
    "concepts": _concepts,
    "frozen-concepts": _frozen_concepts,
    "frozen-captions": _frozen_captions,
    "captions": _captions,
    "self-critical": _self_critical,
    "filter": _filter,
}


def chosen_rows(examples: Examples, options: DataOptions, seed: int) -> IntArray:
    """Return the rows of the training images that a recipe wants, rising.

    Raises:
        RejectedInput: None is left.
    """
    rows = np.arange(len(examples))
    if options.licences:
        attributions = read_attributions(examples.folder)
        licences = [licence_of(attributions.get(image_id, "")) for image_id in examples.ids]
        rows = rows[[licences[row] in options.licences for row in rows]]
    if options.least_concepts:
        assert examples.concepts is not None, "they were asked for"
        rows = rows[[len(examples.concepts[row]) >= options.least_concepts for row in rows]]
    if not len(rows):
        raise RejectedInput(f"{examples.folder}: licences and least_concepts leave no training image")
    if 0 < options.most < len(rows):
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[: options.most])
    return rows


def concepts_of(examples: Examples, table: str, options: DataOptions) -> Cells:
    """Return the concepts of each image that a recipe learns from and is validated by.

    Args:
        examples: A split, with the dataset's own table of concepts.
        table: The dataset's own table, `concepts` or `concepts_manual`.
        options: What is trained on: another table in its place, and which concepts alone.

    Raises:
        RejectedInput: The other table lacks an image.
    """
    cells: Cells = getattr(examples, table)
    if options.concepts:
        cells = read_concepts(options.concepts, examples.ids, examples.split)
    return restricted(cells, options.only)


def read_concepts(path: Path, ids: Sequence[str], split: str) -> Cells:
    """Return the concepts of the images of a split by a table `ID,CUIs` of one's own.

    Raises:
        RejectedInput: It lacks an image.
    """
    cells = {row["ID"]: row["CUIs"] for _, row in read_rows(path, ("ID", "CUIs"))}
    absent = next((image_id for image_id in ids if image_id not in cells), None)
    if absent is not None:
        raise RejectedInput(
            f"{path}: no row of {shorten(absent)}; expected ID,CUIs of every image of the {split} split"
        )
    return [
        tuple(dict.fromkeys(cui.strip().upper() for cui in cells[image_id].split(";") if cui.strip()))
        for image_id in ids
    ]


def training_splits(recipe: Recipe, data: Path, need: Need) -> tuple[Examples, Examples, dict[str, str]]:
    """Return the training and validation split of a recipe, and the SHA-256 of every table by its path."""
    options: DataOptions = recipe.tables["data"]
    further: set[Need] = {"concepts"} if options.least_concepts else set()
    manual = data / f"{options.valid}_concepts_manual.csv"
    judged: set[Need] = {"concepts_manual"} if need == "captions" and manual.is_file() else set()
    train = read_examples(data, options.train, {need, *further})
    valid = read_examples(data, options.valid, {need, *judged})
    tables = dict((*train.inputs, *valid.inputs))
    if options.concepts:
        tables[str(options.concepts)] = file_digest(options.concepts)
    return train, valid, tables


def _material(recipe: Recipe, session: Session, need: Need) -> Material:
    """Read the two splits of a recipe, and decode their pictures, be they chosen or not.

    So recipes that choose other images of a split share one cache.
    """
    options: DataOptions = recipe.tables["data"]
    train, valid, tables = training_splits(recipe, session.data, need)
    chosen = chosen_rows(train, options, recipe.run.seed)
    then = {
        train.split: "Training ignores them.",
        valid.split: "Validation ignores them."
        if need == "captions"
        else "Validation uses black pictures instead.",
    }
    pictures = [
        cached_split(session, examples, options, allow_broken=options.allow_broken, then=then[examples.split])
        for examples in (train, valid)
    ]
    return Material(
        train=train,
        valid=valid,
        chosen=chosen,
        train_pictures=pictures[0].choosing(chosen),
        valid_pictures=pictures[1],
        tables=tables,
    )


def _labelled(recipe: Recipe, material: Material) -> tuple[Labelled, Labelled]:
    """Return the pictures of both splits with the concepts to learn, and to validate."""
    table, options = recipe.tables["decision"].table, recipe.tables["data"]
    return (
        Labelled(pictures=material.train_pictures, concepts=concepts_of(material.train, table, options)),
        Labelled(
            pictures=material.valid_pictures,
            concepts=concepts_of(material.valid, table, options),
            articles=read_articles(material.valid.folder, material.valid.ids),
        ),
    )


def _unlearnt(recipe: Recipe, session: Session, train: Labelled, valid: Labelled) -> Unlearnt | None:
    """Return what the validation split has and training cannot teach; the session is warned of it."""
    fewest = recipe.tables["decision"].fewest
    found = unlearnt(valid.concepts, frequent_labels(train.learnable, fewest))
    if found:
        split = recipe.tables["data"].valid
        session.display.warn(f"of the {split} split, {found.told()}")
    return found


def _names(folder: Path) -> dict[str, str]:
    """Return the canonical name of each concept of a dataset, none where it has no such table."""
    path = folder / "cui_mapping.csv"
    columns = ("CUI", "Canonical name")
    return {row[columns[0]]: row[columns[1]] for _, row in read_rows(path, columns)} if path.is_file() else {}


def _caption_objective(
    recipe: Recipe, material: Material, ready: captions.Ready, encoder: TextEncoder | None = None
) -> captions.CaptionObjective:
    return captions.CaptionObjective(
        ready,
        captions.captioned(material.train, material.train_pictures),
        captions.captioned(material.valid, material.valid_pictures),
        options=recipe.tables["captions"],
        augmentation=recipe.tables["augment"],
        encoder=encoder,
    )
