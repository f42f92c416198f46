"""Make a leaderboard: find the submissions, score what is new, rank what is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from rocov2_eval.breakdown import facets_of
from rocov2_eval.editions import EDITIONS, Edition
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.findings import finding
from rocov2_eval.formats import Source
from rocov2_eval.leaderboard.store import Key, ScoreStore, truth_digest
from rocov2_eval.leaderboard.submissions import METADATA, Submission, load_run
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import metric_of
from rocov2_eval.ranking import Board, Entry, Rejection, rank
from rocov2_eval.records import Finding, Task
from rocov2_eval.scoring import Opener, Report, evaluate, plan
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
        split: That of the truth, None where submissions or the truth tell.
        tasks: To rank.
        rank_by: Output to rank by, None for the primary score of the edition.
        pairs: How runs are tested against each other.
    """

    settings: Settings
    split: str | None = None
    tasks: tuple[Task, ...] = TASKS
    rank_by: str | None = None
    pairs: PairOptions = field(default_factory=PairOptions)


@dataclass(frozen=True, kw_only=True, eq=False)
class Leaderboard:
    """The rankings of a folder of submissions.

    Attributes:
        edition: Whose rules.
        boards: One a task that has a scored run.
        rejections: Every submission that was not scored, by name.
        truths: By task.
        submissions: Every one that could be read, by `team/run`.
        scored: How many runs were scored this time.
        known: How many had been before.
    """

    edition: Edition
    boards: tuple[Board, ...]
    rejections: tuple[Rejection, ...]
    truths: Mapping[Task, Truth]
    submissions: Mapping[str, Submission]
    scored: int
    known: int


def edition_of(submissions: Sequence[Submission]) -> Edition:
    """Return the one edition that the submissions name.

    Raises:
        UsageFault: They name several, or there is none.
    """
    named = Counter(submission.metadata["edition"] for submission in submissions)
    if len(named) == 1:
        return EDITIONS[next(iter(named))]
    if not named:
        raise UsageFault("no submission names an edition: name one with --edition")
    held = ", ".join(f"{name} ({count})" for name, count in named.most_common())
    raise UsageFault(f"the submissions are for several editions, {held}: name one with --edition")


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
        submissions: Of all tasks and editions.
        rejections: What could not even be read.
        place: Where the truth lies.
        store: Known scores; what is new is added.
        options: What to make.
        opener: Opens the model of a metric that has one; each is opened once.
        progress: Called with the runs done so far and in all.

    Raises:
        UsageFault: The options do not fit the truth or the submissions.
        MissingResource: The truth or a model is missing.
        RejectedInput: The truth is broken.
    """
    fitting, refused = _of_edition(submissions, options)
    if submissions and not fitting:  # an option is wrong, and must not empty a site
        raise UsageFault(_nothing_fits(submissions, options))
    truths = {task: _truth(task, found, place, options) for task, found in _by_task(fitting).items()}
    entries: dict[Task, list[Entry]] = {task: [] for task in truths}
    scored = 0
    with ExitStack() as held:
        kept_open = _kept_open(opener, held)
        judges = {task: _judge(truth, store, options, kept_open) for task, truth in truths.items()}
        for done, submission in enumerate(fitting):
            progress(done, len(fitting))
            task: Task = submission.metadata["task"]
            outcome, is_new = judges[task].outcome(submission)
            scored += is_new
            if isinstance(outcome, Report):
                entries[task].append(_entry(submission, outcome))
            else:
                refused.append(Rejection(team=submission.team, run=submission.run, findings=outcome))
        progress(len(fitting), len(fitting))
    boards = [_ranked(entries[task], options, task) for task in truths if entries[task]]
    return Leaderboard(
        edition=options.settings.edition,
        boards=tuple(boards),
        rejections=tuple(sorted([*rejections, *refused], key=lambda item: (item.team, item.run))),
        truths=truths,
        submissions={f"{submission.team}/{submission.run}": submission for submission in fitting},
        scored=scored,
        known=len(fitting) - scored,
    )


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
    fitting, refused = [], []
    edition = options.settings.edition.name
    for submission in submissions:
        if submission.metadata["task"] not in options.tasks:
            continue
        said = submission.metadata["edition"]
        if said == edition:
            fitting.append(submission)
            continue
        place = f"{submission.team}/{submission.run}/{METADATA}"
        message = f"it is for {said}, the board ranks {edition}"
        refused.append(
            Rejection(
                team=submission.team, run=submission.run, findings=(finding("R606", place, None, message),)
            )
        )
    return fitting, refused


def _nothing_fits(submissions: Sequence[Submission], options: BoardOptions) -> str:
    held = Counter(f"{item.metadata['task']} of {item.metadata['edition']}" for item in submissions)
    wanted = f"{' or '.join(options.tasks)} of {options.settings.edition.name}"
    found = ", ".join(f"{name} ({count})" for name, count in held.most_common())
    return f"no submission is for {wanted}; found {found}"


def _by_task(submissions: Sequence[Submission]) -> dict[Task, list[Submission]]:
    found = {task: [item for item in submissions if item.metadata["task"] == task] for task in TASKS}
    return {task: items for task, items in found.items() if items}


def _truth(task: Task, submissions: Sequence[Submission], place: Place, options: BoardOptions) -> Truth:
    """Read the truth of a task once for all runs, with whatever breakdowns need."""
    said = {submission.metadata.get("split") for submission in submissions}
    split = options.split or (said.pop() if len(said) == 1 else None)
    return read_truth(place, task, options.settings.edition, split=split, facets=True)


def _settings(options: BoardOptions, truth: Truth) -> Settings:
    """Return how the runs of a task are scored: with every breakdown that its truth allows."""
    wanted = tuple(name for name in options.settings.metrics if _needs(name) in (truth.task, None))
    return replace(options.settings, metrics=wanted, by=facets_of(truth))


def _needs(name: str) -> Task | None:
    """Return the task of a metric or of one of its outputs, None for an unknown name."""
    try:
        return metric_of(name).needs
    except KeyError:
        return None


def _ranked(entries: Sequence[Entry], options: BoardOptions, task: Task) -> Board:
    """Rank the runs of a task, with trials enough for their number."""
    return rank(entries, enough_trials(options.pairs, len(entries)), _rank_by(options, task))


def _rank_by(options: BoardOptions, task: Task) -> str | None:
    """Return the output to rank a task by, where the one asked for belongs to it."""
    return options.rank_by if options.rank_by and _needs(options.rank_by) in (task, None) else None


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
    lines.append(f"by:{'+'.join(settings.by)}")
    lines.append(f"intervals:{settings.bootstrap}")
    return "\n".join(lines)


def _entry(submission: Submission, report: Report) -> Entry:
    return Entry(team=submission.team, run=submission.run, metadata=submission.metadata, report=report)


def _kept_open(opener: Opener, held: ExitStack) -> Opener:
    """Return an opener that loads each model once and leaves it open until the stack is left."""
    opened: dict[Options, Any] = {}

    def open_once(metric: Metric, options: Options) -> AbstractContextManager[Any]:
        if options not in opened:
            opened[options] = held.enter_context(opener(metric, options))
        return nullcontext(opened[options])

    return open_once
