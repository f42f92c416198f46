"""The tasks of a competition: which truth, which scores, which command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rocov2_eval.editions import EDITIONS, Dialect, Edition
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.formats import load
from rocov2_eval.intake import task_of
from rocov2_eval.metric import Metric
from rocov2_eval.metrics import METRICS, main_output, metric_of
from rocov2_eval.metrics.derived import DERIVED, parts
from rocov2_eval.models import WEIGHTS
from rocov2_eval.pages.tables import TASK_TITLES, title_of
from rocov2_eval.records import Task
from rocov2_eval.scoring import plan
from rocov2_eval.settings import OFFICIAL_ENCODER, Settings
from rocov2_eval.shelf.progress import Notify
from rocov2_eval.truth import Place, Truth, read_truth
from rocov2_eval.truth_files import SPLITS

IMAGE_VECTORS = "image_vectors.npz"  # its name among the reference data
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
        concept_model: Path of the model pack of `umls_f1` in the image, None to leave that score out.
        image_vectors: File of image vectors to send along for Similarity, None to leave that score out.
        decimals: Decimals of every score; None for those that hide single images.
    """

    edition: str
    tasks: tuple[Task, ...] | None = None
    split: str | None = None
    image: str | None = None
    wheels: Path | None = None
    encoder: str = OFFICIAL_ENCODER
    concept_model: str | None = None
    image_vectors: Path | None = None
    decimals: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class CompetitionTask:
    """One task of a competition.

    Attributes:
        truth: Truth of the task.
        settings: Edition, metrics by name, and encoder; the metric that ranks is the first.
        decimals: Decimals of every score that the organiser named, if any.
    """

    truth: Truth
    settings: Settings
    decimals: int | None

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
        """Scores of the leaderboard, the one to rank by first."""
        return tuple(map(main_output, self.settings.metrics))

    @property
    def missing(self) -> tuple[str, ...]:
        """Published names of the scores of the edition that have no column."""
        published = self.settings.edition.columns(self.name)
        return tuple(name for name, output in published.items() if output not in self.columns)

    @property
    def primary(self) -> str:
        """The score by which the edition ranks."""
        return self.settings.edition.primary(self.name)

    @property
    def encoder(self) -> str | None:
        """The text encoder of BERTScore, None without it."""
        return self.settings.encoder if "bertscore" in self.settings.metrics else None

    @property
    def models(self) -> int:
        """Number of scores that need a model."""
        return sum(name in METRICS and METRICS[name].load is not None for name in self.settings.metrics)

    @property
    def has_stand_in(self) -> bool:
        """Tell whether BERTScore is computed with another encoder than the official one."""
        row = WEIGHTS.get(self.settings.encoder)
        return self.encoder is not None and (row is None or not row.official)

    @property
    def ranks_officially(self) -> bool:
        """Tell whether the score that ranks is that of the edition, by the official encoder."""
        return self.columns[0] == self.primary and not self.has_stand_in

    @property
    def signatures(self) -> tuple[str, ...]:
        """Everything that can move a score, a line a metric."""
        return tuple(step.signature for step in plan(self.settings, self.truth))

    @property
    def arguments(self) -> str:
        """The options of `rocov2-eval score` that stand for this task, but for the decimals that it shows."""
        words = ["--edition", self.settings.edition.name, "--task", self.name]
        words += ["--split", self.truth.split] if self.truth.split else []
        words += [word for name in self.settings.metrics for word in ("--metric", name)]
        words += ["--encoder", self.encoder] if self.encoder else []
        words += ["--concept-model", self.settings.concept_model] if self.settings.concept_model else []
        words += ["--image-vectors", f"/app/input/ref/{IMAGE_VECTORS}"] if self.settings.image_vectors else []
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
            truth = read_truth(place, name, edition, split=split)
        except MissingResource as error:
            if options.tasks:
                raise
            notify(f"no task with {name}: {error}")
            continue
        settings = _settings(edition, truth, options)
        if note := _omission(settings, truth, options):
            notify(note)
        tasks.append(CompetitionTask(truth=truth, settings=settings, decimals=options.decimals))
    if not tasks:
        raise MissingResource(f"{place.path} contains no truth of {' or '.join(names)}")
    return tuple(tasks)


def _names(place: Place, chosen: Sequence[Task] | None) -> tuple[Task, ...]:
    """Return the tasks to look for the truth of, in the order of the leaderboard's columns."""
    if chosen is None:
        names = (task_of(load(place.path)),) if place.path.is_file() else _TASKS
    else:
        names = tuple(name for name in _TASKS if name in chosen)
    if len(names) > 1 and place.path.is_file():
        raise UsageFault(f"{place.path} is a file with one task: name a folder for two tasks")
    return names


def _split(place: Place, names: Sequence[Task], notify: Notify) -> str | None:
    """Return the split of a folder that a competition is about, None where file names tell none."""
    splits = [
        split for split in SPLITS if any((place.path / f"{split}_{name}.csv").is_file() for name in names)
    ]
    if len(splits) > 1 and "test" not in splits:
        raise UsageFault(f"{place.path} has the splits {', '.join(splits)}: select one with --split")
    if len(splits) > 1:
        notify(f"the test split is scored; {place.path} also contains {', '.join(splits[1:])}")
    return splits[0] if splits else None


def _settings(edition: Edition, truth: Truth, options: BundleOptions) -> Settings:
    """Return the scores of the edition that truth and scoring program allow, in the order of the edition."""
    is_caption = truth.task == "captions"
    settings = Settings(
        edition=edition,
        encoder=options.encoder,
        concept_model=options.concept_model if is_caption else None,
        image_vectors=options.image_vectors if is_caption else None,
    )
    outputs = [
        output
        for output in edition.columns(truth.task).values()
        if output not in edition.captions.extras.values()
    ]
    if settings.image_vectors and "similarity" not in outputs:
        raise UsageFault(f"--image-vectors: {edition.name} has no similarity")
    metrics = {metric_of(output).name: metric_of(output) for output in outputs if output not in DERIVED}
    columns = {name for name, metric in metrics.items() if _can_run(metric, settings, truth, options)}
    there = {output for name in columns for output in METRICS[name].outputs}
    for name, score in DERIVED.items():
        if there.issuperset(score.members):
            there.add(name)
    names = (output if output in DERIVED else metric_of(output).name for output in outputs if output in there)
    return replace(settings, metrics=tuple(names))


def _can_run(metric: Metric, settings: Settings, truth: Truth, options: BundleOptions) -> bool:
    """Tell whether the scoring program can compute a metric: an image holds weights, nobody looks into it."""
    if metric.load is None:
        return metric.lacks(settings, truth) is None
    request = "image_vectors" if metric.name == "similarity" else metric.request
    return options.image is not None and (not request or getattr(settings, request) is not None)


def _omission(settings: Settings, truth: Truth, options: BundleOptions) -> str | None:
    """Return why a score of the edition is left out, None where none that matters is."""
    edition, outputs = settings.edition, tuple(map(main_output, settings.metrics))
    if truth.task == "concepts":
        has_all = len(outputs) == len(edition.columns("concepts"))
        return (
            None
            if has_all
            else (
                "NOTE: concept_f1_manual is not computed: there is no concepts_manual.csv beside "
                f"{truth.table.path}"
            )
        )
    primary = edition.primary("captions")
    if outputs[0] == primary:
        return None
    missing = [title_of(part) for part in parts(primary) if part not in {*outputs, *DERIVED}]
    remedy = (
        "Name the model pack of the image with --concept-model and the vectors of the images with "
        "--image-vectors."
        if options.image
        else "Models and their weights are too large for an archive. Name a Docker image that contains "
        "them with --image; docs/codabench.md explains how to make one."
    )
    return (
        f"NOTE: captions are ranked by {title_of(outputs[0])}, not by the first score of "
        f"{edition.name}: {title_of(primary)} needs {', '.join(missing)}. {remedy}"
    )
