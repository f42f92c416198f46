"""The tasks of a competition: which truth, which scores, which command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rocov2_eval.editions import EDITIONS, Dialect, Edition
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.formats import load
from rocov2_eval.metrics import METRICS
from rocov2_eval.models import WEIGHTS
from rocov2_eval.pages.tables import TASK_TITLES, title_of
from rocov2_eval.reading import task_of
from rocov2_eval.records import Task
from rocov2_eval.scoring import available, plan
from rocov2_eval.settings import OFFICIAL_ENCODER, Settings
from rocov2_eval.shelf.progress import Notify
from rocov2_eval.truth import SPLITS, Place, Truth, read_truth

_TASKS: tuple[Task, ...] = ("concepts", "captions")


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What an organiser chooses of a competition; the rest is in its competition.yaml.

    Attributes:
        edition: Key of `EDITIONS`.
        tasks: Tasks of the competition; None for all that truth and edition have.
        split: Split of the truth; None for the only one that the truth has, or for `test`.
        image: Docker image that holds rocov2-eval and, for captions, the weights; None to send wheels along.
        wheels: Folder of wheels to send along; None to fetch them.
        encoder: Text encoder of BERTScore, which there is with an image only.
    """

    edition: str
    tasks: tuple[Task, ...] | None = None
    split: str | None = None
    image: str | None = None
    wheels: Path | None = None
    encoder: str = OFFICIAL_ENCODER


@dataclass(frozen=True, kw_only=True, eq=False)
class CompetitionTask:
    """One task of a competition.

    Attributes:
        truth: Its truth, with what breakdowns need.
        settings: Edition, metrics by name, and encoder; the metric that ranks is the first.
    """

    truth: Truth
    settings: Settings

    @property
    def name(self) -> Task:
        """Concepts or captions."""
        return self.truth.task

    @property
    def title(self) -> str:
        """The name of the task as people write it."""
        return TASK_TITLES[self.name]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.truth.table.image_ids)

    @property
    def dialect(self) -> Dialect:
        """How the edition cuts the runs of the task."""
        return self.settings.edition.rules(self.name).dialect

    @property
    def columns(self) -> tuple[str, ...]:
        """Keys of scores.json and of the leaderboard's columns, the one to rank by first."""
        return tuple(METRICS[name].outputs[0] for name in self.settings.metrics)

    @property
    def missing(self) -> tuple[str, ...]:
        """Scores of the edition that have no column."""
        names = (METRICS[name].outputs[0] for name in available(self.settings.edition, self.name))
        return tuple(name for name in names if name not in self.columns)

    @property
    def encoder(self) -> str | None:
        """The text encoder of BERTScore, None without it."""
        has_model = any(METRICS[name].load is not None for name in self.settings.metrics)
        return self.settings.encoder if has_model else None

    @property
    def ranks_officially(self) -> bool:
        """Tell whether the score that ranks is the edition's first one here, by the official encoder."""
        if self.settings.metrics[0] != available(self.settings.edition, self.name)[0]:
            return False
        row = WEIGHTS.get(self.settings.encoder)
        return self.encoder is None or (row is not None and row.official)

    @property
    def signatures(self) -> tuple[str, ...]:
        """Everything that can move a score, a line a metric."""
        return tuple(step.signature for step in plan(self.settings, self.truth))

    @property
    def arguments(self) -> str:
        """The options of `rocov2-eval score` that stand for this task."""
        words = ["--edition", self.settings.edition.name, "--task", self.name]
        words += ["--split", self.truth.split] if self.truth.split else []
        words += [word for name in self.settings.metrics for word in ("--metric", name)]
        words += ["--encoder", self.encoder] if self.encoder else []
        return shlex.join(words)


def read_tasks(place: Place, options: BundleOptions, notify: Notify) -> tuple[CompetitionTask, ...]:
    """Return the tasks asked for, else all that truth and edition have.

    Args:
        place: A dataset folder, or a truth file.
        options: What the organiser chose.
        notify: Called with a sentence for the organiser where something is left out.

    Raises:
        UsageFault: Task, split and edition do not go together.
        MissingResource: There is no truth of a task.
        RejectedInput: A truth file is broken.
    """
    edition = EDITIONS[options.edition]
    names = _names(place, options.tasks)
    split = options.split or _split(place, names, notify)
    tasks = []
    for name in names:
        try:
            truth = read_truth(place, name, edition, split=split, facets=True)
        except MissingResource as error:
            if options.tasks:
                raise
            notify(f"no task of {name}: {error}")
            continue
        metrics = _metrics(edition, truth, with_model=options.image is not None)
        if len(metrics) < len(available(edition, name)):
            notify(_omission(edition, truth, metrics))
        settings = Settings(edition=edition, metrics=metrics, encoder=options.encoder)
        tasks.append(CompetitionTask(truth=truth, settings=settings))
    if not tasks:
        raise MissingResource(f"{place.path} holds no truth of {' or '.join(names)}")
    return tuple(tasks)


def _names(place: Place, chosen: Sequence[Task] | None) -> tuple[Task, ...]:
    """Return the tasks to look for the truth of, in the order of the leaderboard's columns."""
    if chosen is None:
        names = (task_of(load(place.path)),) if place.path.is_file() else _TASKS
    else:
        names = tuple(name for name in _TASKS if name in chosen)
    if len(names) > 1 and place.path.is_file():
        raise UsageFault(f"{place.path} is a file, which holds one task: name a folder for two")
    return names


def _split(place: Place, names: Sequence[Task], notify: Notify) -> str | None:
    """Return the split of a folder that a competition is about, None where file names tell none."""
    splits = [
        split for split in SPLITS if any((place.path / f"{split}_{name}.csv").is_file() for name in names)
    ]
    if len(splits) > 1 and "test" not in splits:
        raise UsageFault(f"{place.path} has the splits {', '.join(splits)}: name one with --split")
    if len(splits) > 1:
        notify(f"scored on the test split; {place.path} also has {', '.join(splits[1:])}")
    return splits[0] if splits else None


def _metrics(edition: Edition, truth: Truth, *, with_model: bool) -> tuple[str, ...]:
    """Return the metrics of the edition that truth and scoring program allow, the primary one first."""
    return tuple(
        name
        for name in available(edition, truth.task)
        if (with_model or METRICS[name].load is None)
        and (name != "concept_f1_manual" or truth.manual is not None)
    )


def _omission(edition: Edition, truth: Truth, metrics: Sequence[str]) -> str:
    """Return why a score of the edition is left out."""
    if truth.task == "concepts":
        return f"NOTE: no concept_f1_manual: no concepts_manual.csv beside {truth.table.path}"
    ranks = title_of(METRICS[metrics[0]].outputs[0])
    return (
        f"NOTE: captions will be ranked by {ranks} alone, which is not the first score of {edition.name}: "
        "BERTScore needs torch and 3 GB of weights, which no bundle can carry. Name an image that has them "
        "with --image; docs/codabench.md shows how to make one."
    )
