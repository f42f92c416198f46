"""Recipes: TOML files that say everything about a run, one for each published number.

A recipe has a table for each part; every key has a default, unknown ones are refused.
`--set training.epochs=3` overrules one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from baselines.bounds import AtLeastOne, Count, Side
from baselines.captions import CaptionOptions
from baselines.concepts import DecisionOptions, LossOptions, NetworkOptions
from baselines.data.augment import AugmentOptions
from baselines.filters import FilterOptions
from baselines.frozen.concepts import AnswerOptions
from baselines.frozen.features import FeatureOptions
from baselines.generation import GenerationOptions
from baselines.models.captioner import CaptionerOptions
from baselines.selfcritical import SelfCriticalOptions
from baselines.training.loop import TrainingOptions
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.options import read_options
from rocov2_eval.shelf.parsing import Malformed, json_bytes, json_of, read_plain, toml_of
from rocov2_eval.shelf.words import shorten, suggestion

RecipeTask = Literal["concepts", "frozen-concepts", "captions", "self-critical", "frozen-captions", "filter"]
_SUFFIX = ".toml"


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is.

    Attributes:
        task: What is trained.
        about: What the recipe is for, in a sentence.
        seed: Seed of everything random.
    """

    task: RecipeTask
    about: str = ""
    seed: Count = 0


class DataOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained on.

    Attributes:
        train: Split to learn from.
        valid: Split to decide by; never the one that is reported.
        side: Height and width in pixels of the decoded squares, at least what the network sees.
        fit: `letterbox` keeps proportions and fills up with black; `squash` does not.
        allow_broken: Leave out training pictures that cannot be decoded, in the place of an error.
        licences: Only training images under these, such as `CC BY`, of any version; all if empty.
        least_concepts: Only training images with so many concepts or more.
        most: Only so many training images, drawn at random by the seed; 0 for all.
        concepts: A table `ID,CUIs` to learn from and to validate by in the place of the dataset's own.
        only: CUIs that alone are learnt and validated; all if empty.
        workers: Number of processes that decode pictures.
    """

    train: str = "train"
    valid: str = "valid"
    side: Side = 256
    fit: Literal["letterbox", "squash"] = "letterbox"
    allow_broken: bool = False
    licences: tuple[str, ...] = ()
    least_concepts: Count = 0
    most: Count = 0
    concepts: Path | None = None
    only: tuple[str, ...] = ()
    workers: AtLeastOne = 2

    def __post_init__(self) -> None:
        if self.train == self.valid:
            raise UsageFault(
                f"train and valid are both {self.train!r}, expected two splits: decisions need images that "
                "were not trained on"
            )


class StartOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the self-critical phase goes on from.

    Attributes:
        run: Folder of a finished run of captions.
        reward: The score that captions are trained on: CIDEr-D, or our BERTScore.
        encoder: The encoder of BERTScore: a name or folder as `rocov2-eval score --encoder` takes it.
    """

    run: str = "runs/captions"
    reward: Literal["cider", "bertscore"] = "cider"
    encoder: str = "deberta-xlarge-mnli"


# What each table of a recipe may hold, by task.
TABLES: Mapping[RecipeTask, Mapping[str, type]] = {
    "concepts": {
        "run": RunOptions,
        "data": DataOptions,
        "augment": AugmentOptions,
        "network": NetworkOptions,
        "loss": LossOptions,
        "training": TrainingOptions,
        "decision": DecisionOptions,
    },
    "frozen-concepts": {
        "run": RunOptions,
        "data": DataOptions,
        "features": FeatureOptions,
        "answer": AnswerOptions,
        "decision": DecisionOptions,
    },
    "frozen-captions": {"run": RunOptions, "data": DataOptions, "features": FeatureOptions},
    "captions": {
        "run": RunOptions,
        "data": DataOptions,
        "augment": AugmentOptions,
        "captioner": CaptionerOptions,
        "captions": CaptionOptions,
        "training": TrainingOptions,
        "generation": GenerationOptions,
    },
    "self-critical": {
        "run": RunOptions,
        "data": DataOptions,
        "augment": AugmentOptions,
        "start": StartOptions,
        "captions": CaptionOptions,
        "selfcritical": SelfCriticalOptions,
        "training": TrainingOptions,
    },
    "filter": {"run": RunOptions, "filter": FilterOptions, "training": TrainingOptions},
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe with all its defaults.

    Attributes:
        name: Name of the file, or of a recipe that comes with the program.
        tables: Options by the name of their table.
    """

    name: str
    tables: Mapping[str, Any]

    @property
    def run(self) -> RunOptions:
        """What the run is."""
        options: RunOptions = self.tables["run"]
        return options

    def document(self) -> dict[str, Any]:
        """Return the recipe as JSON holds it, every default spelt out; what is not set is left away."""
        tables = json_of(json_bytes(self.tables))  # a path as its text
        return {
            name: {key: value for key, value in table.items() if value is not None}
            for name, table in tables.items()
        }


def recipe_names() -> tuple[str, ...]:
    """Return the recipes that come with the program."""
    folder = resources.files("baselines") / "recipes"
    return tuple(
        sorted(item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX))
    )


def read_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Return a recipe.

    Args:
        name: Path of a TOML file, or the name of one that comes with the program.
        overrides: Keys to overrule, such as `training.epochs=3`; the value as TOML has it, quotes may lack.

    Raises:
        MissingResource: There is none.
        RejectedInput: It is no TOML.
        UsageFault: A table or key is unknown, or a value is wrong.
    """
    path = Path(name)
    if path.suffix != _SUFFIX and name in recipe_names():
        text, folder = _bundled(name), Path.cwd()
    else:
        try:
            text, folder = read_plain(path), path.resolve().parent
        except OSError as error:
            meant = suggestion(name, recipe_names())
            raise MissingResource(
                f"{name}: {error.strerror}; neither a TOML file nor a recipe of `rocov2-baselines recipes`; "
                f"{meant}"
            ) from None
    try:
        document = toml_of(text)
    except Malformed as error:
        raise RejectedInput(f"{name}: not TOML ({error})") from None
    for override in overrides:
        _overrule(document, override)
    return recipe_of(path.stem, document, name, folder)


def recipe_of(name: str, document: Mapping[str, Any], where: str, folder: Path) -> Recipe:
    """Return the recipe of a document.

    Raises:
        UsageFault: A table or key is unknown, or a value is wrong.
    """
    value = document["run"].get("task") if isinstance(document.get("run"), dict) else None
    task = next((known for known in get_args(RecipeTask) if known == value), None)
    if task is None:
        raise UsageFault(
            f"{where} [run] task: {shorten(repr(value))}, expected {' or '.join(get_args(RecipeTask))}"
        )
    kinds: Mapping[str, Any] = TABLES[task]
    for table, value in document.items():
        if table not in kinds or not isinstance(value, dict):
            known = ", ".join(f"[{kind}]" for kind in kinds)
            raise UsageFault(f"{where}: {shorten(table)!r} is not a table of {task}, expected {known}")
    tables = {
        table: read_options(kind, document.get(table, {}), f"{where} [{table}]", folder)
        for table, kind in kinds.items()
    }
    return Recipe(name=name, tables=tables)


def _bundled(name: str) -> bytes:
    return (resources.files("baselines") / "recipes" / f"{name}{_SUFFIX}").read_bytes()


def _overrule(document: dict[str, Any], override: str) -> None:
    place, equals, text = override.partition("=")
    table, dot, key = place.strip().partition(".")
    if not (equals and dot and table and key):
        raise UsageFault(f"--set {shorten(override)}: expected TABLE.KEY=VALUE, such as training.epochs=3")
    try:
        value = toml_of(f"value = {text.strip()}")["value"]
    except Malformed:
        value = text.strip()
    document.setdefault(table, {})
    if not isinstance(document[table], dict):
        raise UsageFault(f"--set {shorten(override)}: {table} is not a table of the recipe")
    document[table][key] = value
