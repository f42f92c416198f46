"""The tasks of a competition: which truth, which scores, which command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rocov2_eval.codabench.options import BundleOptions
from rocov2_eval.editions import EDITIONS, Edition, caption_rules
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.formats import load
from rocov2_eval.metrics import METRICS
from rocov2_eval.models import ENCODERS
from rocov2_eval.pages.tables import TASK_TITLES, title_of
from rocov2_eval.reading import task_of
from rocov2_eval.records import Task
from rocov2_eval.scoring import available
from rocov2_eval.settings import Settings
from rocov2_eval.truth import SPLITS, Place, Truth, read_truth

Notify = Callable[[str], None]
_TASKS: tuple[Task, ...] = ("concepts", "captions")


@dataclass(frozen=True, kw_only=True, eq=False)
class CompetitionTask:
    """One task of a competition.

    Attributes:
        truth: Its truth, with what breakdowns need.
        settings: Edition, metrics by name, and encoder; the one that ranks first.
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
    def columns(self) -> tuple[str, ...]:
        """Keys of scores.json and of the leaderboard's columns, the one to rank by first."""
        return tuple(METRICS[name].outputs[0] for name in self.settings.metrics)

    @property
    def has_model(self) -> bool:
        """Tell whether a score needs a text encoder."""
        return any(METRICS[name].load is not None for name in self.settings.metrics)

    @property
    def ranks_officially(self) -> bool:
        """Tell whether the score that ranks is the edition's first one here, by the official encoder."""
        if self.settings.metrics[0] != available(self.settings.edition, self.name)[0]:
            return False
        encoder = ENCODERS.get(self.settings.encoder)
        return not self.has_model or (encoder is not None and encoder.official)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options of `rocov2-eval score` that stand for this task."""
        split = ("--split", self.truth.split) if self.truth.split else ()
        encoder = ("--encoder", self.settings.encoder) if self.has_model else ()
        metrics = (word for name in self.settings.metrics for word in ("--metric", name))
        return ("--edition", self.settings.edition.name, "--task", self.name, *split, *metrics, *encoder)


def read_tasks(place: Place, options: BundleOptions, notify: Notify) -> tuple[CompetitionTask, ...]:
    """Return the tasks asked for, else all that truth and edition have.

    Args:
        place: A dataset folder, or a truth file.
        options: What the competition is like.
        notify: Called with a sentence for the organiser where something is left out.

    Raises:
        UsageFault: Task, split and edition do not go together.
        MissingResource: There is no truth of a task.
        RejectedInput: A truth file is broken.
    """
    edition = EDITIONS[options.edition]
    wanted = _wanted(place, edition, options.tasks)
    if edition.captions is None and options.tasks is None:
        notify(f"no task of captions: {edition.name} scores them by BLEU, which is not computed here")
    split = options.split or _split(place, wanted, notify)
    tasks = []
    for task in wanted:
        try:
            truth = read_truth(place, task, edition, split=split, facets=True)
        except MissingResource as error:
            if options.tasks:
                raise
            notify(f"no task of {task}: {error}")
            continue
        metrics = _metrics(edition, truth, with_model=options.image is not None)
        if len(metrics) < len(available(edition, task)):
            notify(_left_out(edition, truth, metrics))
        settings = Settings(edition=edition, metrics=metrics, encoder=options.encoder)
        tasks.append(CompetitionTask(truth=truth, settings=settings))
    if not tasks:
        raise MissingResource(f"{place.path} holds no truth of {' or '.join(wanted)}")
    return tuple(tasks)


def _wanted(place: Place, edition: Edition, asked: Sequence[Task] | None) -> tuple[Task, ...]:
    """Return the tasks to look for the truth of, in the order of the leaderboard's columns."""
    if asked is None:
        all_tasks: tuple[Task, ...] = _TASKS if edition.captions else ("concepts",)
        wanted = (task_of(load(place.path)),) if place.path.is_file() else all_tasks
    else:
        wanted = tuple(task for task in _TASKS if task in asked)
    if "captions" in wanted:
        caption_rules(edition)  # refuses an edition that scores captions by BLEU
    if len(wanted) > 1 and place.path.is_file():
        raise UsageFault(f"{place.path} is a file, which holds one task: name a folder for two")
    return wanted


def _split(place: Place, tasks: Sequence[Task], notify: Notify) -> str | None:
    """Return the split of a folder that a competition is about, None where file names tell none."""
    found = [name for name in SPLITS if any(_has(place.path, name, task) for task in tasks)]
    if len(found) > 1 and "test" not in found:
        raise UsageFault(f"{place.path} has the splits {', '.join(found)}: name one with --split")
    if len(found) > 1:
        notify(f"scored on the test split; {place.path} also has {', '.join(found[1:])}")
    return found[0] if found else None


def _has(folder: Path, split: str, task: Task) -> bool:
    return (folder / f"{split}_{task}.csv").is_file()


def _metrics(edition: Edition, truth: Truth, *, with_model: bool) -> tuple[str, ...]:
    """Return the metrics of the edition that truth and scoring program allow, the primary one first."""
    return tuple(
        name
        for name in available(edition, truth.task)
        if (with_model or METRICS[name].load is None)
        and (name != "concept_f1_manual" or truth.manual is not None)
    )


def _left_out(edition: Edition, truth: Truth, metrics: Sequence[str]) -> str:
    if truth.task == "concepts":
        return f"NOTE: no concept_f1_manual: no concepts_manual.csv beside {truth.table.path}"
    ranks = title_of(METRICS[metrics[0]].outputs[0])
    return (
        f"NOTE: captions will be ranked by {ranks} alone, which is not the first score of {edition.name}: "
        "BERTScore needs torch and 3 GB of weights, which no bundle can carry. Name an image that has them "
        "with --image; docs/codabench.md shows how to make one."
    )
