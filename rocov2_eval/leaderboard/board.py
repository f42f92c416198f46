"""Make a leaderboard: find the submissions, score what is new, rank what is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from rocov2_eval.breakdown import facets_of
from rocov2_eval.editions import EDITIONS, Edition
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.findings import finding
from rocov2_eval.formats import Source, Table
from rocov2_eval.leaderboard.likeness import too_like, twins
from rocov2_eval.leaderboard.store import Key, ScoreStore, truth_digest
from rocov2_eval.leaderboard.submissions import METADATA, Submission, load_run
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import task_of_score
from rocov2_eval.ranking import Board, Entry, Rejection, rank, untested_note
from rocov2_eval.records import Finding, Task
from rocov2_eval.scoring import Opener, Report, evaluate, not_computed, outputs_of, plan
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.progress import Progress
from rocov2_eval.significance import PairOptions, enough_trials
from rocov2_eval.truth import Place, Truth, read_truth
from rocov2_eval.validation import read_run

TASKS: tuple[Task, ...] = ("concepts", "captions")


@dataclass(frozen=True, kw_only=True)
class BoardOptions:
    """What a leaderboard is made of.

    Attributes:
        settings: How runs are scored; `metrics` counts for the tasks that have them, `by` is set here.
        split: Split of the truth; None where submissions or the truth tell.
        tasks: Tasks to rank.
        rank_by: Output to rank by; None for the primary score of the edition.
        pairs: How runs are tested against each other.
        is_compared: Whether they are, and whether groups of images are scored: a board for everybody shows
            nothing of it.
    """

    settings: Settings
    split: str | None = None
    tasks: tuple[Task, ...] = TASKS
    rank_by: str | None = None
    pairs: PairOptions = field(default_factory=PairOptions)
    is_compared: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Leaderboard:
    """The rankings of a folder of submissions.

    Attributes:
        edition: The edition by whose rules all runs were scored.
        boards: One ranking for each task that has a scored run.
        rejections: Every submission that is not ranked, ordered by name.
        truths: The truth of each task.
        submissions: Every submission that could be read, by `team/run`.
        scored: Number of runs that were scored this time.
        known: Number of runs whose scores the store had already.
        notes: What the organisers shall look at.
    """

    edition: Edition
    boards: tuple[Board, ...]
    rejections: tuple[Rejection, ...]
    truths: Mapping[Task, Truth]
    submissions: Mapping[str, Submission]
    scored: int
    known: int
    notes: tuple[str, ...] = ()


def edition_of(submissions: Sequence[Submission]) -> Edition:
    """Return the one edition that the submissions name.

    Raises:
        UsageFault: They name several, or there is none.
    """
    names = [submission.metadata["edition"] for submission in submissions]
    if not names:
        raise UsageFault("no submission names an edition: name one with --edition")
    if len(set(names)) > 1:
        raise UsageFault(
            f"the submissions are for several editions, {_tally(names)}: name one with --edition"
        )
    return EDITIONS[names[0]]


def make_leaderboard(
    submissions: Sequence[Submission],
    rejections: Sequence[Rejection],
    *,
    place: Place,
    store: ScoreStore,
    options: BoardOptions,
    opener: Opener,
    progress: Progress,
) -> Leaderboard:
    """Score what is new and rank everything.

    Args:
        submissions: Submissions of all tasks and editions.
        rejections: Submissions that could not even be read.
        place: Where the truth lies.
        store: Known scores; what is new is added.
        options: What to make.
        opener: Opens the model of a metric that has one; each is opened once.
        progress: Called with the number of runs that are done and that of all.

    Raises:
        UsageFault: The options do not fit the truth or the submissions.
        MissingResource: The truth or a model is missing.
        RejectedInput: The truth is broken.
    """
    runs, others = _of_edition(submissions, options)
    if submissions and not runs:  # an option is wrong, and must not empty a site
        kinds = [f"{item.metadata['task']} of {item.metadata['edition']}" for item in submissions]
        kind = f"{' or '.join(options.tasks)} of {options.settings.edition.name}"
        raise UsageFault(f"no submission is for {kind}; found {_tally(kinds)}")
    truths = {task: _truth(task, some, place, options) for task, some in _by_task(runs).items()}
    entries: list[Entry] = []
    rejected = [*rejections, *others]
    scored = 0
    with ExitStack() as models:
        shared = _shared(opener, models)
        judges = {task: _judge(truth, store, options, shared) for task, truth in truths.items()}
        for done, run in enumerate(runs):
            progress(done, len(runs))
            outcome, is_new = judges[run.metadata["task"]].outcome(run)
            scored += is_new
            if isinstance(outcome, Report):
                entries.append(Entry(team=run.team, run=run.run, metadata=run.metadata, report=outcome))
            else:
                rejected.append(Rejection(team=run.team, run=run.run, findings=outcome))
        progress(len(runs), len(runs))
    by_name = {f"{run.team}/{run.run}": run for run in runs}
    alike, notes = too_like(entries, store.ranked(options.settings.edition.name))
    unranked = {(item.team, item.run) for item in alike}
    ranked = [entry for entry in entries if (entry.team, entry.run) not in unranked]
    boards = []
    for task, truth in truths.items():
        notes += twins(
            (entry for entry in entries if entry.report.task == task),
            lambda entry, truth=truth: _read(by_name[entry.name], options, truth),  # type: ignore[misc]
        )
        some = [entry for entry in ranked if entry.report.task == task]
        boards += [_board(some, options, task, store)] if some else []
    store.keep_ranked(options.settings.edition.name, [(entry.team, entry.run) for entry in ranked])
    notes += [f"{board.task}: {note}" for board in boards if (note := untested_note(board))]
    notes += [
        f"{place}: what the store had of it was damaged or edited, scored again" for place in store.damaged
    ]
    return Leaderboard(
        edition=options.settings.edition,
        boards=tuple(boards),
        rejections=tuple(sorted([*rejected, *alike], key=lambda item: (item.team, item.run))),
        truths=truths,
        submissions=by_name,
        scored=scored,
        known=len(runs) - scored,
        notes=tuple(notes),
    )


def _read(submission: Submission, options: BoardOptions, truth: Truth) -> Table:
    return read_run(load_run(submission, split=truth.split), options.settings.edition, truth.task)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Knows or finds out what the runs of one task score."""

    truth: Truth
    settings: Settings
    key: Key
    store: ScoreStore
    opener: Opener

    def outcome(self, submission: Submission) -> tuple[Report | tuple[Finding, ...], bool]:
        """Return the report of a submission or the findings that reject it, and whether it is new."""
        try:
            source = load_run(submission, split=self.truth.split)
        except RejectedInput as error:
            return error.findings, False
        key = replace(self.key, run=source.sha256)
        known = self.store.read(key, place=submission.place, truth=self.truth)
        if known is not None:
            return known, False
        outcome = self._scored(source)
        self.store.write(key, outcome, place=submission.place)
        return outcome, True

    def _scored(self, source: Source) -> Report | tuple[Finding, ...]:
        table = read_run(source, self.settings.edition, self.truth.task)
        try:
            return evaluate(table, self.truth, self.settings, self.opener)
        except RejectedInput as error:
            return error.findings


def _judge(truth: Truth, store: ScoreStore, options: BoardOptions, opener: Opener) -> _Judge:
    settings = _settings(options, truth)
    key = Key(
        run="",
        truth=truth_digest(truth),
        edition=settings.edition.name,
        signature=_signature(settings, truth),
    )
    return _Judge(truth=truth, settings=settings, key=key, store=store, opener=opener)


def _of_edition(
    submissions: Sequence[Submission], options: BoardOptions
) -> tuple[list[Submission], list[Rejection]]:
    """Return the submissions of the board's tasks that are for its edition, and a rejection of each other."""
    edition = options.settings.edition.name
    of_tasks = [item for item in submissions if item.metadata["task"] in options.tasks]
    others = []
    for item in of_tasks:
        if item.metadata["edition"] != edition:
            place = f"{item.team}/{item.run}/{METADATA}"
            message = f"it is for {item.metadata['edition']}, the board ranks {edition}"
            fault = finding("R606", place, None, message)
            others.append(Rejection(team=item.team, run=item.run, findings=(fault,)))
    return [item for item in of_tasks if item.metadata["edition"] == edition], others


def _tally(names: Iterable[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in Counter(names).most_common())


def _by_task(submissions: Sequence[Submission]) -> dict[Task, list[Submission]]:
    groups = {task: [item for item in submissions if item.metadata["task"] == task] for task in TASKS}
    return {task: items for task, items in groups.items() if items}


def _truth(task: Task, submissions: Sequence[Submission], place: Place, options: BoardOptions) -> Truth:
    """Read the truth of a task once for all runs, with whatever breakdowns need."""
    splits = {submission.metadata.get("split") for submission in submissions}
    split = options.split or (splits.pop() if len(splits) == 1 else None)
    return read_truth(place, task, options.settings.edition, split=split, facets=options.is_compared)


def _settings(options: BoardOptions, truth: Truth) -> Settings:
    """Return how the runs of a task are scored: with every breakdown that its truth allows, or none."""
    metrics = tuple(name for name in options.settings.metrics if task_of_score(name) in (truth.task, None))
    return replace(options.settings, metrics=metrics, by=facets_of(truth) if options.is_compared else ())


def _board(entries: Sequence[Entry], options: BoardOptions, task: Task, store: ScoreStore) -> Board:
    """Rank the runs of a task: by the output asked for where the task has it, with trials enough."""
    has_output = options.rank_by and task_of_score(options.rank_by) in (task, None)
    return rank(
        entries,
        enough_trials(options.pairs, len(entries)),
        options.rank_by if has_output else None,
        store,
        is_compared=options.is_compared,
    )


def _signature(settings: Settings, truth: Truth) -> str:
    """Return one text for everything but the files that can move what is kept of a run."""
    steps = plan(settings, truth)
    lines = [step.signature for step in steps]
    try:
        lines += [step.metric.digest(step.options) for step in steps if step.metric.digest]
    except MissingResource as error:
        raise MissingResource(
            f"{error}\nWithout it: --task concepts, or --metric rouge --rank-by rouge1 for captions."
        ) from None
    lines += not_computed(settings, truth, outputs_of(steps, settings, truth)).values()
    lines.append(f"by:{'+'.join(settings.by)}")
    lines.append(f"intervals:{settings.bootstrap}")
    return "\n".join(lines)


def _shared(opener: Opener, models: ExitStack) -> Opener:
    """Return an opener that loads each model once and leaves it open until the stack is left."""
    loaded: dict[Options, Any] = {}

    def open_once(metric: Metric, options: Options) -> AbstractContextManager[Any]:
        if options not in loaded:
            loaded[options] = models.enter_context(opener(metric, options))
        return nullcontext(loaded[options])

    return open_once
