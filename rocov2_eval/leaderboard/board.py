"""Make a leaderboard: find the submissions, score what is new, rank what is scored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from rocov2_eval.breakdown import facets_of
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, Edition
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.findings import finding
from rocov2_eval.formats import Table, without_images
from rocov2_eval.leaderboard.likeness import too_like, twins
from rocov2_eval.leaderboard.rules import Rules, admitted, over_limit
from rocov2_eval.leaderboard.store import Key, ScoreStore, truth_digest
from rocov2_eval.leaderboard.submissions import Submission, load_run
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import task_of_score
from rocov2_eval.ranking import (
    Board,
    Entry,
    Rejection,
    SetAside,
    TruthName,
    primary_of,
    rank,
    untested_note,
)
from rocov2_eval.records import Finding, Task
from rocov2_eval.scoring import Opener, Report, evaluate, not_computed, outputs_of, plan
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.progress import Progress
from rocov2_eval.shelf.words import counted
from rocov2_eval.significance import PairOptions, enough_trials
from rocov2_eval.truth import Place, Truth, read_truth
from rocov2_eval.truth_files import SPLITS, find_files
from rocov2_eval.validation import read_run

TASKS: tuple[Task, ...] = ("concepts", "captions")
Part = tuple[TruthName, Task]  # what has a ranking of its own


@dataclass(frozen=True, kw_only=True)
class BoardOptions:
    """What a leaderboard is made of.

    Attributes:
        settings: How runs are scored; `metrics` counts for the tasks that have them, `by` is set here.
        split: Split of the truth; None for the only one that the truth has, or that most teams name.
        tasks: Tasks to rank; without truth or models for one of them there is no board.
        hidden: Where a second truth lies, by which the runs are ranked too; None for none.
        hidden_split: Split of the second truth, as `split`.
        shows_hidden: Whether runs are ranked by it; else its images are passed over in each run.
        rules: What the organisers decided of teams and runs.
        rank_by: Output to rank by; None for the primary score of the edition.
        pairs: How runs are tested against each other.
        is_compared: Whether they are, and whether groups of images are scored: a board for everybody shows
            nothing of it.
    """

    settings: Settings
    split: str | None = None
    tasks: tuple[Task, ...] = ()
    hidden: Place | None = None
    hidden_split: str | None = None
    shows_hidden: bool = True
    rules: Rules = field(default_factory=Rules)
    rank_by: str | None = None
    pairs: PairOptions = field(default_factory=PairOptions)
    is_compared: bool = True

    @property
    def open_tasks(self) -> tuple[Task, ...]:
        """The tasks that a submission may be for: those asked for, else both."""
        return self.tasks or TASKS


@dataclass(frozen=True, kw_only=True, eq=False)
class Leaderboard:
    """The rankings of a folder of submissions.

    Attributes:
        edition: The edition by whose rules all runs were scored.
        boards: One ranking for each task and truth that has a scored run.
        rejections: Every submission that is not ranked, ordered by name.
        set_aside: Every submission that is withdrawn or disqualified, ordered by name.
        rules: What the organisers decided.
        truths: The truth of each ranking.
        submissions: Every submission that could be read, by `team/run`.
        scored: Number of runs that were scored this time; a run of two truths counts twice.
        known: Number of runs whose scores the store had already, counted alike.
        notes: What the organisers shall look at.
        misfit: Why no submission is for this board at all: an option may be wrong. Empty where one is.
    """

    edition: Edition
    boards: tuple[Board, ...]
    rejections: tuple[Rejection, ...]
    set_aside: tuple[SetAside, ...]
    rules: Rules
    truths: Mapping[Part, Truth]
    submissions: Mapping[str, Submission]
    scored: int
    known: int
    notes: tuple[str, ...] = ()
    misfit: str = ""


def edition_of(submissions: Sequence[Submission]) -> tuple[Edition, str]:
    """Return the edition that most teams name, the default where there is none, and a note on the choice.

    Returns:
        The edition, and a sentence where not all teams name it; else an empty one.
    """
    votes = _votes(submissions, "edition")
    if not votes:
        return EDITIONS[DEFAULT_EDITION], ""
    # Of two that as many teams name, the later: a board of an earlier year has its --edition.
    name = max(votes, key=lambda name: (votes[name], list(EDITIONS).index(name)))
    note = f"edition {name}, which most teams name ({_tally(votes)}); --edition or board.toml decides"
    return EDITIONS[name], note if len(votes) > 1 else ""


def _votes(submissions: Iterable[Submission], field_name: str) -> Counter[str]:
    """Return how many teams name each value of a field: one team with many runs decides nothing."""
    named = {(item.team, item.metadata.get(field_name)) for item in submissions}
    return Counter(value for _, value in named if value is not None)


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

    A submission that cannot be scored is rejected, and the others are ranked without it.

    Raises:
        UsageFault: The options do not fit the truth.
        MissingResource: The truth or a model is missing for a task that was asked for, or for all tasks.
        RejectedInput: The truth is broken.
    """
    rules, edition = options.rules, options.settings.edition.name
    allowed = admitted(submissions, rejections, rules)
    runs, others = _of_edition(allowed.submissions, options)
    notes = [*allowed.notes, *_passed_over(allowed.submissions, options)]
    rejected = _Rejected([*allowed.rejections, *others])
    with ExitStack() as models:
        judges, lacking = _judges(
            runs, place, store=store, options=options, opener=_shared(opener, models), notes=notes
        )
        shown = [part for part in judges if part[0] != "hidden" or options.shows_hidden]
        entries: dict[Part, list[Entry]] = {part: [] for part in shown}
        scored = known = 0
        for done, run in enumerate(runs):
            progress(done, len(runs))
            task = run.metadata["task"]
            if task in lacking:
                rejected.add(run, (finding("R610", run.metadata_place, None, lacking[task]),))
            for judge in _addressed(run, judges):
                if judge.part not in entries:
                    continue
                outcome, is_new = judge.outcome(run)
                scored += is_new
                known += outcome is not None and not is_new
                if isinstance(outcome, Report):
                    entry = Entry(team=run.team, run=run.run, metadata=run.metadata, report=outcome)
                    entries[judge.part].append(entry)
                elif outcome is not None:
                    rejected.add(run, outcome)
        progress(len(runs), len(runs))
    by_name = {f"{run.team}/{run.run}": run for run in runs}
    entries = {part: _with_score(some, options, rejected) for part, some in entries.items()}
    one_each = {entry.name: entry for some in entries.values() for entry in some}
    beyond = over_limit(list(one_each.values()), allowed.set_aside, rules)
    rejected.extend(beyond.values())
    within = [entry for entry in one_each.values() if (entry.team, entry.run) not in beyond]
    named = {(team, run) for team, rule in rules.teams.items() for run in ("", *rule.runs)}
    alike, more = too_like(within, store.ranked(edition) | named)
    notes += more
    rejected.extend(alike)
    unranked = {*beyond, *((item.team, item.run) for item in alike)}
    truths = {part: judges[part].truth for part in shown}
    boards = []
    for part, some in entries.items():
        notes += twins(
            some,
            lambda entry, truth=truths[part]: _read(by_name[entry.name], options, truth),  # type: ignore[misc]
        )
        ranked = [entry for entry in some if (entry.team, entry.run) not in unranked]
        boards += [_board(ranked, options, part, store)] if ranked else []
    store.keep_ranked(
        edition, [(entry.team, entry.run) for entry in within if (entry.team, entry.run) not in unranked]
    )
    notes += [f"{board.task}: {note}" for board in boards if (note := untested_note(board))]
    notes += [
        f"{place}: what the store had of it was damaged or edited, scored again" for place in store.damaged
    ]
    return Leaderboard(
        edition=options.settings.edition,
        boards=tuple(boards),
        rejections=rejected.in_order(),
        set_aside=allowed.set_aside,
        rules=rules,
        truths=truths,
        submissions=by_name,
        scored=scored,
        known=known,
        notes=tuple(dict.fromkeys(notes)),
        misfit=_misfit(allowed.submissions, runs, options) or ("" if judges else " ".join(lacking.values())),
    )


class _Rejected:
    """The rejections of a board while it is made: one a submission, with all its findings."""

    def __init__(self, known: Iterable[Rejection]) -> None:
        self._items = {(item.team, item.run): item for item in known}

    def add(self, run: Submission, findings: Sequence[Finding]) -> None:
        name = str(run.metadata.get("display_name", ""))
        self.extend(
            [Rejection(team=run.team, run=run.run, findings=tuple(findings), display_name=name)],
        )

    def extend(self, rejections: Iterable[Rejection]) -> None:
        for item in rejections:
            before = self._items.get((item.team, item.run))
            findings = (*(before.findings if before else ()), *item.findings)
            self._items[item.team, item.run] = replace(item, findings=tuple(dict.fromkeys(findings)))

    def in_order(self) -> tuple[Rejection, ...]:
        return tuple(sorted(self._items.values(), key=lambda item: (item.team, item.run)))


def _misfit(submissions: Sequence[Submission], runs: Sequence[Submission], options: BoardOptions) -> str:
    """Return that no submission is for the board, and what they are for; empty where one is."""
    if not submissions or runs:
        return ""
    kinds = Counter(f"{item.metadata['task']} of {item.metadata['edition']}" for item in submissions)
    wanted = f"{' or '.join(options.open_tasks)} of {options.settings.edition.name}"
    return f"no submission is for {wanted}; found {_tally(kinds)}"


def _read(submission: Submission, options: BoardOptions, truth: Truth) -> Table:
    return read_run(load_run(submission, split=truth.split), options.settings.edition, truth.task)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Knows or finds out what the runs of one task score against one truth.

    Attributes:
        part: The ranking that it judges for.
        truth: The truth.
        passed: Images of the other truth alone: a run may answer both.
        settings: How runs are scored.
        key: Of the store, without the run.
        store: Known scores.
        opener: Opens models.
    """

    part: Part
    truth: Truth
    passed: frozenset[str]
    settings: Settings
    key: Key
    store: ScoreStore
    opener: Opener

    def outcome(self, submission: Submission) -> tuple[Report | tuple[Finding, ...] | None, bool]:
        """Return the report of a submission or the findings that reject it, and whether it is new.

        None stands for a run that answers the other truth alone.
        """
        try:
            source = load_run(submission, split=self.truth.split)
            key = replace(self.key, run=source.sha256)
            known = self.store.read(key, place=submission.place, truth=self.truth)
            if known is not None:
                return known, False
            table = read_run(source, self.settings.edition, self.truth.task)
            own = without_images(table, self.passed)
            if table.image_ids and not own.image_ids:
                return None, False
            outcome = self._scored(own)
        except RejectedInput as error:
            return error.findings, False
        self.store.write(key, outcome, place=submission.place)
        return outcome, True

    def _scored(self, table: Table) -> Report | tuple[Finding, ...]:
        try:
            return evaluate(table, self.truth, self.settings, self.opener)
        except RejectedInput as error:
            return error.findings


def _judges(
    runs: Sequence[Submission],
    place: Place,
    *,
    store: ScoreStore,
    options: BoardOptions,
    opener: Opener,
    notes: list[str],
) -> tuple[dict[Part, _Judge], dict[Task, str]]:
    """Return a judge for each task that has runs and each truth of it, and why a task has none.

    A task that nobody asked for does not stop the board: its runs are rejected, and a note says why.

    Raises:
        UsageFault: A truth has several splits and nobody names one.
        MissingResource: A task that was asked for cannot be scored, or none can.
        RejectedInput: A truth is broken.
    """
    wanted: dict[TruthName, tuple[Place, str | None]] = {
        "public" if options.hidden else "": (place, options.split)
    }
    if options.hidden:
        wanted["hidden"] = (options.hidden, options.hidden_split)
    judges: dict[Part, _Judge] = {}
    lacking: dict[Task, str] = {}
    failures = []
    for task, some in _by_task(runs).items():
        try:
            places = {
                name: (where, split or _named_split(task, some, where, notes))
                for name, (where, split) in wanted.items()
            }
            truths = {name: _truth(task, where, split, options) for name, (where, split) in places.items()}
            ids = {name: frozenset(truth.table.image_ids) for name, truth in truths.items()}
            for name, truth in truths.items():
                part, passed = (name, task), _others(ids, name)
                judges[part] = _judge(part, truth, passed, store=store, options=options, opener=opener)
        except MissingResource as error:
            if task in options.tasks:
                raise
            failures.append(error)
            judges = {part: judge for part, judge in judges.items() if part[1] != task}
            lacking[task] = f"the organisers cannot score {task}"
            notes.append(f"{task} are not ranked, and their runs are rejected: {error}")
    if failures and not judges and not _is_of_other_task(place, options, lacking):
        raise failures[0]
    return judges, lacking


def _others(ids: Mapping[TruthName, frozenset[str]], name: TruthName) -> frozenset[str]:
    """Return the images of the other truth alone."""
    return frozenset[str]().union(*ids.values()) - ids[name]


def _is_of_other_task(place: Place, options: BoardOptions, lacking: Collection[Task]) -> bool:
    """Tell whether a place has a truth, and none of the tasks that all runs are of."""
    held = {task for task in options.open_tasks if find_files(place.path, task, None).candidates}
    return bool(held) and held.isdisjoint(lacking)


def _judge(
    part: Part,
    truth: Truth,
    passed: frozenset[str],
    *,
    store: ScoreStore,
    options: BoardOptions,
    opener: Opener,
) -> _Judge:
    settings = _settings(options, truth)
    signature = _signature(settings, truth)
    if passed:
        digest = hashlib.sha256("\n".join(sorted(passed)).encode("utf-8", "surrogatepass")).hexdigest()
        signature += f"\nwithout:{digest}"
    key = Key(run="", truth=truth_digest(truth), edition=settings.edition.name, signature=signature)
    return _Judge(
        part=part, truth=truth, passed=passed, settings=settings, key=key, store=store, opener=opener
    )


def _addressed(run: Submission, judges: Mapping[Part, _Judge]) -> list[_Judge]:
    """Return the judges of a submission's task and split; where none has the split, one that rejects it."""
    task, split = run.metadata["task"], run.metadata.get("split")
    of_task = [judge for (_, judged), judge in judges.items() if judged == task]
    fitting = [judge for judge in of_task if None in (split, judge.truth.split) or split == judge.truth.split]
    return fitting or of_task[:1]


def _with_score(entries: Sequence[Entry], options: BoardOptions, rejected: _Rejected) -> list[Entry]:
    """Return the entries that have a score to rank by; each other one is rejected."""
    kept = []
    for entry in entries:
        primary = primary_of(entry.report, _rank_by(options, entry.report.task))
        result = entry.report.metrics.get(primary)
        if result is not None and result.mean is None:
            fault = finding("R611", entry.report.run[0], None, f"no image of the run has a {primary}")
            name = entry.display_name
            rejected.extend([Rejection(team=entry.team, run=entry.run, findings=(fault,), display_name=name)])
        else:
            kept.append(entry)
    return kept


def _of_edition(
    submissions: Sequence[Submission], options: BoardOptions
) -> tuple[list[Submission], list[Rejection]]:
    """Return the submissions of the board's tasks that are for its edition, and a rejection of each other."""
    edition = options.settings.edition.name
    of_tasks = [item for item in submissions if item.metadata["task"] in options.open_tasks]
    others = []
    for item in of_tasks:
        if item.metadata["edition"] != edition:
            message = f"it is for {item.metadata['edition']}, the board ranks {edition}"
            fault = finding("R606", item.metadata_place, None, message)
            name = str(item.metadata.get("display_name", ""))
            others.append(Rejection(team=item.team, run=item.run, findings=(fault,), display_name=name))
    return [item for item in of_tasks if item.metadata["edition"] == edition], others


def _passed_over(submissions: Sequence[Submission], options: BoardOptions) -> list[str]:
    """Return a note on the runs of a task that is not ranked: nobody shall miss a run without a word."""
    others = [item for item in submissions if item.metadata["task"] not in options.open_tasks]
    if not others:
        return []
    named = ", ".join(f"{item.team}/{item.run}" for item in others[:5]) + (", \u2026" if others[5:] else "")
    tasks = " and ".join(sorted({item.metadata["task"] for item in others}))
    return [f"{counted(len(others), 'run')} for {tasks}, which the board does not rank: {named}"]


def _tally(names: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in names.most_common())


def _by_task(submissions: Sequence[Submission]) -> dict[Task, list[Submission]]:
    groups = {task: [item for item in submissions if item.metadata["task"] == task] for task in TASKS}
    return {task: items for task, items in groups.items() if items}


def _truth(task: Task, place: Place, split: str | None, options: BoardOptions) -> Truth:
    """Read the truth of a task once for all runs, with whatever breakdowns need."""
    return read_truth(place, task, options.settings.edition, split=split, facets=options.is_compared)


def _named_split(task: Task, submissions: Sequence[Submission], place: Place, notes: list[str]) -> str | None:
    """Return the split that most teams name, of several that a truth has; None where most name none."""
    held = {item.split for item in find_files(place.path, task, None).candidates} - {None}
    if len(held) < 2:  # noqa: PLR2004  one split, or none that a name tells
        return None
    votes = _votes(submissions, "split")
    silent = len({item.team for item in submissions if "split" not in item.metadata})
    split = max(
        (name for name in SPLITS if name in held and votes[name]), key=votes.__getitem__, default=None
    )
    if split is None or silent > votes[split]:
        return None
    if len(votes) > 1 or silent:
        notes.append(
            f"{task}: split {split}, which most teams name ({_tally(votes)}); --split or board.toml decides"
        )
    return split


def _settings(options: BoardOptions, truth: Truth) -> Settings:
    """Return how the runs of a task are scored: with every breakdown that its truth allows, or none."""
    metrics = tuple(name for name in options.settings.metrics if task_of_score(name) in (truth.task, None))
    return replace(options.settings, metrics=metrics, by=facets_of(truth) if options.is_compared else ())


def _rank_by(options: BoardOptions, task: Task) -> str | None:
    """Return the output asked for, where the task has it."""
    has_output = options.rank_by and task_of_score(options.rank_by) in (task, None)
    return options.rank_by if has_output else None


def _board(entries: Sequence[Entry], options: BoardOptions, part: Part, store: ScoreStore) -> Board:
    """Rank the runs of a task by one truth, with trials enough."""
    truth, task = part
    made = rank(
        entries,
        enough_trials(options.pairs, len(entries)),
        _rank_by(options, task),
        store,
        is_compared=options.is_compared,
    )
    return replace(made, truth=truth)


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
