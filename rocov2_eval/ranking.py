"""Rank the runs of one task: by the primary score, with what the order is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import UsageFault
from rocov2_eval.metrics.derived import DERIVED, parts
from rocov2_eval.records import BoolArray, Finding, FloatArray, IntArray, MetricResult, Task
from rocov2_eval.scoring import Report
from rocov2_eval.signature import comparable
from rocov2_eval.significance import (
    PairedTests,
    PairMemory,
    PairOptions,
    competition_ranks,
    letters,
    paired_tests,
    too_few_images,
    trials_needed,
)

# A baseline and a run out of competition are shown in place without a rank; the last two without scores.
Status = Literal["ranked", "baseline", "out-of-competition", "withdrawn", "disqualified"]
TruthName = Literal["", "public", "hidden"]  # which of two truths; empty where there is one


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """A submission that was scored.

    Attributes:
        team: Name of the team, fit for a file name.
        run: Name of the run, fit for a file name.
        metadata: The submission.json of the run, with what the organisers decided in the place of it.
        report: The scores of the run.
    """

    team: str
    run: str
    metadata: Mapping[str, Any]
    report: Report

    @property
    def name(self) -> str:
        """`team/run`."""
        return f"{self.team}/{self.run}"

    @property
    def display_name(self) -> str:
        """How pages call the team: any printable text."""
        return str(self.metadata.get("display_name") or self.team)

    @property
    def label(self) -> str:
        """Display name and run, as pages call the run."""
        return f"{self.display_name} / {self.run}"

    @property
    def status(self) -> Status:
        """What the run is on the board."""
        status: Status = self.metadata.get("status", "ranked")
        return status

    @property
    def submitted_at(self) -> datetime | None:
        """Time of the upload; None where nobody says."""
        return time_of(self.metadata)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A submission that was not scored, and why.

    Attributes:
        team: Name of the team's folder, which may be anything.
        run: Name of the run's folder, which may be anything.
        findings: Findings of the submission, at least one of them an error.
        display_name: How pages call the team; empty where it has no other name than its folder.
    """

    team: str
    run: str
    findings: tuple[Finding, ...]
    display_name: str = ""


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A submission that is withdrawn or disqualified: it has no scores.

    Attributes:
        team: Name of the team's folder.
        run: Name of the run's folder.
        status: `withdrawn` or `disqualified`.
        reason: Why, in the words of the organisers; empty where they give none.
        metadata: The submission.json, as in `Entry`; empty where it could not be read.
        display_name: How pages call the team.
    """

    team: str
    run: str
    status: Status
    reason: str
    metadata: Mapping[str, Any]
    display_name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """The place of one run.

    Attributes:
        entry: The run and its scores.
        rank: Rank by the primary score among the ranked runs, 1 is best; equal scores share a rank. None for
            a baseline and a run out of competition.
        is_best_of_team: No run of the same team stands before it; ranked runs count before others.
        team_rank: Rank of the team by its best ranked run, None for any other run.
        result: Primary score of the run, by which the board ranks.
        letters: Groups of the run; runs that share a letter do not differ significantly. Empty where no
            trials were drawn, and, as `shares` is, where a board tells nothing of pairs of runs.
        low_rank: Best rank of the run in the interval over the resamples; None where it has no rank.
        high_rank: Worst rank of the run in the interval over the resamples; None where it has no rank.
        shares: Shape (k,) for k ranked runs, share of the resamples in which the run has rank 1, 2, …, k;
            0 without resamples, empty for a run without a rank.
    """

    entry: Entry
    rank: int | None
    is_best_of_team: bool
    team_rank: int | None
    result: MetricResult
    letters: str
    low_rank: int | None
    high_rank: int | None
    shares: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """The ranking of one task.

    Attributes:
        edition: Name of the edition by whose rules the runs were scored.
        task: Concepts or captions.
        split: Split of the truth; None where unknown.
        images: Number of images in the truth.
        primary: Output by which the runs are ranked.
        outputs: All outputs of the runs, the primary one first.
        notes: What a reader must know of the ranking as a whole.
        standings: The places of the runs, ordered by score; at least one.
        tests: Tests of all pairs, rows and columns in the order of `standings`; None where nothing may be
            told of pairs of runs.
        options: How the pairs were tested.
        omitted: Number of images that tests leave out, because not every run is scored on them.
        truth: Which of two truths the runs are scored against; empty where there is one.
    """

    edition: str
    task: Task
    split: str | None
    images: int
    primary: str
    outputs: tuple[str, ...]
    notes: tuple[str, ...]
    standings: tuple[Standing, ...]
    tests: PairedTests | None
    options: PairOptions
    omitted: int
    truth: TruthName = ""


@dataclass(frozen=True, kw_only=True)
class TeamPlace:
    """Where a team stood at some time.

    Attributes:
        team: Name of the team's folder.
        rank: Rank among the teams.
        best: Primary score of the best run that the team had then.
    """

    team: str
    rank: int
    best: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """An upload that changed the order of teams or the best score of one.

    Attributes:
        submitted_at: Time of the upload.
        team: Name of the team's folder.
        run: Name of the run's folder.
        teams: All teams that had a run then, best first.
    """

    submitted_at: datetime
    team: str
    run: str
    teams: tuple[TeamPlace, ...]


@dataclass(frozen=True, kw_only=True)
class RankChange:
    """Where a run, or a team by its best run, stands by the public and by the hidden truth.

    Attributes:
        team: Name of the team's folder.
        run: Name of the run's folder; empty for the team.
        display_name: How pages call the team.
        public_rank: Rank by the public truth.
        hidden_rank: Rank by the hidden truth.
    """

    team: str
    run: str
    display_name: str
    public_rank: int
    hidden_rank: int

    @property
    def change(self) -> int:
        """Ranks gained by the hidden truth; negative for ranks lost."""
        return self.public_rank - self.hidden_rank


def rank(
    entries: Sequence[Entry],
    options: PairOptions,
    rank_by: str | None = None,
    memory: PairMemory | None = None,
    *,
    is_compared: bool = True,
) -> Board:
    """Rank the runs of one task, scored against the same truth.

    Trials are drawn only if there are enough of them to show any difference after the correction.

    Args:
        entries: The runs, at least one.
        options: How intervals and tests are made.
        rank_by: Output to rank by; None for the primary one of the edition.
        memory: Trials that are known already.
        is_compared: Whether the board tells of pairs of runs.

    Raises:
        UsageFault: The runs were scored differently, or not by that output.
    """
    first = entries[0].report
    primary = primary_of(first, rank_by)
    if primary not in first.metrics:
        offered = ", ".join(first.metrics)
        raise UsageFault(f"--rank-by {primary}: the {first.task} runs were scored by {offered}")
    for entry in entries[1:]:
        require_same_truth(first, entry.report)
    places = placed(entries, [_mean(entry, primary) for entry in entries])
    ordered = [place.entry for place in places]
    tests, omitted = None, 0
    reports = [entry.report for entry in ordered]
    notes = _notes(reports, primary)
    if is_compared and not _common(reports, primary).any():
        notes.append(nothing_common(primary))
    elif is_compared:
        scores, is_omitted = common_scores(reports, primary)
        omitted = int(is_omitted.sum())
        notes += [omitted_note(omitted)] if omitted else []
        has_trials = options.trials >= trials_needed(len(entries), options.alpha)
        tests = paired_tests(scores, options, memory, has_trials=has_trials)
    return Board(
        edition=first.edition,
        task=first.task,
        split=first.split,
        images=len(first.image_ids),
        primary=primary,
        outputs=(primary, *(name for name in first.metrics if name != primary)),
        notes=tuple(notes),
        standings=tuple(_standings(places, primary, tests, options)),
        tests=tests,
        options=options,
        omitted=omitted,
    )


def omitted_note(images: int) -> str:
    """Return what a board says of images that tests leave out."""
    return f"tests leave out {images:,} images that not every run is scored on"


def nothing_common(output: str) -> str:
    """Return what a board reports where no two runs can be tested against each other."""
    return f"no image has a {output} in every run: runs are not tested against each other"


def untested_note(board: Board) -> str | None:
    """Return why no two runs can differ significantly; None where they can, or nothing is told of pairs."""
    if board.tests is None:
        return None
    runs = len(board.standings)
    if board.tests.trials:
        tested = board.tests.images, runs
        return next(iter(too_few_images(board.primary, tested, board.options.alpha)), None)
    needed = trials_needed(runs, board.options.alpha)
    return (
        f"No trials were drawn: of {runs:,} runs no two can differ significantly after Holm's correction "
        f"with {board.options.trials:,} trials; {needed:,} are needed"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """A run in the order of a board; the fields are those of `Standing`."""

    entry: Entry
    rank: int | None
    is_best_of_team: bool
    team_rank: int | None


def placed(entries: Sequence[Entry], means: Sequence[float]) -> list[Placed]:
    """Return runs ordered by score, those of equal score by name, with their ranks among the ranked ones.

    Args:
        entries: The runs.
        means: The score of each.
    """
    overall = _ranks(means)
    order = sorted(
        range(len(entries)), key=lambda i: (overall[i], entries[i].name.casefold(), entries[i].name)
    )
    ranked = [i for i in order if entries[i].status == "ranked"]
    ranks = dict(zip(ranked, _ranks([means[i] for i in ranked]), strict=True))
    best: dict[str, int] = {}
    for i in (*ranked, *order):
        best.setdefault(entries[i].team, i)
    firsts = [i for i in ranked if best[entries[i].team] == i]
    team_ranks = dict(zip(firsts, _ranks([means[i] for i in firsts]), strict=True))
    return [
        Placed(
            entry=entries[i],
            rank=ranks.get(i),
            is_best_of_team=best[entries[i].team] == i,
            team_rank=team_ranks.get(i),
        )
        for i in order
    ]


def time_of(metadata: Mapping[str, Any]) -> datetime | None:
    """Return the time of the upload that a submission.json names; None where it names none."""
    written = metadata.get("submitted_at")
    return None if written is None else datetime.fromisoformat(written)


def history(board: Board) -> list[Event]:
    """Return how the teams stood after each upload that changed it, by the scores that a board shows.

    Runs that nobody knows the time of are left out, and so are those without a rank.
    """
    known = [(item, time) for item in board.standings if (time := item.entry.submitted_at) is not None]
    ranked = [(item, time) for item, time in known if item.rank is not None and item.result.mean is not None]
    best: dict[str, float] = {}
    events = []
    for item, time in sorted(ranked, key=lambda pair: (pair[1], pair[0].entry.name)):
        team, mean = item.entry.team, item.result.mean
        assert mean is not None, "left out above"
        if mean <= best.get(team, -np.inf):
            continue
        best[team] = mean
        ranks = dict(zip(best, _ranks(list(best.values())), strict=True))
        places = [TeamPlace(team=name, rank=ranks[name], best=best[name]) for name in best]
        places.sort(key=lambda place: (place.rank, place.team.casefold(), place.team))
        events.append(Event(submitted_at=time, team=team, run=item.entry.run, teams=tuple(places)))
    return events


def rank_changes(boards: Sequence[Board]) -> dict[Task, tuple[RankChange, ...]]:
    """Return for each task with two truths where teams and runs stand by both, teams before runs.

    Only what has a rank by both truths is compared.
    """
    changes = {}
    for public in boards:
        for hidden in boards:
            if (public.truth, hidden.truth, public.task) == ("public", "hidden", hidden.task):
                changes[public.task] = (
                    *_changes(_team_places(public), _team_places(hidden)),
                    *_changes(_run_places(public), _run_places(hidden)),
                )
    return changes


def common_scores(reports: Sequence[Report], output: str) -> tuple[FloatArray, BoolArray]:
    """Return the scores of the images that every run is scored on, shape (n, k), and a mask of the others.

    Raises:
        UsageFault: There is no such image.
    """
    scored = _common(reports, output)
    if not scored.any():
        raise UsageFault(f"no image has a {output} in every run: there is nothing to compare")
    columns = [report.samples[output].values[scored] for report in reports]
    omitted: BoolArray = np.logical_or.reduce([report.samples[output].scored for report in reports]) & ~scored
    return np.column_stack(columns), omitted


def require_same_truth(first: Report, second: Report) -> None:
    """Refuse two reports that do not belong into one table.

    Raises:
        UsageFault: They differ in task, edition, truth or signature.
    """
    names = f"{first.run[0]} and {second.run[0]}"
    if (first.task, first.edition) != (second.task, second.edition):
        kinds = " and ".join(f"{report.task} of {report.edition}" for report in (first, second))
        raise UsageFault(f"{names} cannot be compared: {kinds}")
    if [sha256 for _, sha256 in first.truth] != [sha256 for _, sha256 in second.truth]:
        raise UsageFault(f"{names} cannot be compared: they were scored against different truths")
    for name in {**first.metrics, **second.metrics}:
        pair = [
            report.metrics[name].signature if name in report.metrics else "" for report in (first, second)
        ]
        if not all(pair) or not comparable(*pair):
            raise UsageFault(
                f"{names} cannot be compared: {name} was computed differently\n  {pair[0]}\n  {pair[1]}"
            )


def primary_of(report: Report, rank_by: str | None = None) -> str:
    """Return the score to rank by: the one asked for, else that of the edition, the first one without it."""
    if rank_by:
        return rank_by
    official = EDITIONS[report.edition].primary(report.task)
    is_lacking = official in DERIVED and official not in report.metrics
    return next(iter(report.metrics)) if is_lacking else official


def _mean(entry: Entry, output: str) -> float:
    mean = entry.report.metrics[output].mean
    if mean is None:
        raise UsageFault(f"{entry.name}: no image has a {output}; rank by another score with --rank-by")
    return mean


def _ranks(means: Sequence[float]) -> list[int]:
    """Return the rank of each of some scores."""
    return [int(rank) for rank in competition_ranks(np.array([means], np.float64))[0]] if means else []


def _common(reports: Sequence[Report], output: str) -> BoolArray:
    """Return which images every run is scored on, shape (n,)."""
    common: BoolArray = np.logical_and.reduce([report.samples[output].scored for report in reports])
    return common


def _team_places(board: Board) -> dict[tuple[str, str], tuple[int, str]]:
    """Return rank and shown name of each team that has a rank."""
    return {
        (item.entry.team, ""): (item.team_rank, item.entry.display_name)
        for item in board.standings
        if item.team_rank is not None
    }


def _run_places(board: Board) -> dict[tuple[str, str], tuple[int, str]]:
    """Return rank and shown name of each run that has a rank."""
    return {
        (item.entry.team, item.entry.run): (item.rank, item.entry.display_name)
        for item in board.standings
        if item.rank is not None
    }


def _changes(
    public: Mapping[tuple[str, str], tuple[int, str]], hidden: Mapping[tuple[str, str], tuple[int, str]]
) -> list[RankChange]:
    """Return the change of whatever has a rank by both truths, in the order of the hidden one."""
    return [
        RankChange(
            team=team, run=run, display_name=name, public_rank=public[team, run][0], hidden_rank=hidden_rank
        )
        for (team, run), (hidden_rank, name) in hidden.items()
        if (team, run) in public
    ]


def _standings(
    places: Sequence[Placed], primary: str, tests: PairedTests | None, options: PairOptions
) -> list[Standing]:
    """Return the standings of runs in the order of a board."""
    names = [""] * len(places)
    ranked = [i for i, place in enumerate(places) if place.rank is not None]
    ranks, k = [places[i].rank for i in ranked], len(ranked)
    ends, drawn = np.array([ranks, ranks]), None
    if tests is not None:
        names = letters(tests.p_holm < options.alpha) if tests.trials else names
        drawn = competition_ranks(tests.resampled[:, ranked])
        tail = (1 - options.bootstrap.level) / 2
        if len(drawn):
            ends = np.quantile(drawn, [tail, 1 - tail], axis=0, method="inverted_cdf")
        else:  # of one image: another might turn the order around
            ends = np.array([[1] * k, [k] * k])
    standings = [
        Standing(
            entry=place.entry,
            rank=place.rank,
            is_best_of_team=place.is_best_of_team,
            team_rank=place.team_rank,
            result=place.entry.report.metrics[primary],
            letters=name,
            low_rank=None,
            high_rank=None,
            shares=np.zeros(0),
        )
        for place, name in zip(places, names, strict=True)
    ]
    for column, i in enumerate(ranked):
        standings[i] = replace(
            standings[i],
            low_rank=int(ends[0, column]),
            high_rank=int(ends[1, column]),
            shares=np.zeros(0) if drawn is None else _shares(drawn[:, column], k),
        )
    return standings


def _shares(ranks: IntArray, k: int) -> FloatArray:
    """Return the share of the resamples in which a run has each rank, 0 where there is none."""
    shares: FloatArray = np.bincount(ranks - 1, minlength=k) / max(len(ranks), 1)
    return shares


def _notes(reports: Sequence[Report], primary: str) -> list[str]:
    notes = list(dict.fromkeys(note for report in reports for note in report.notes))
    report = reports[0]
    official = EDITIONS[report.edition].primary(report.task)
    if primary != official:
        # Names alone: the reasons, which may name folders of the organisers, stand in each report.
        members = parts(official) if official in DERIVED else ()
        missing = [member for member in members if member not in {*DERIVED, *report.metrics}]
        why = f": it needs {', '.join(missing)}, not computed here" if missing else ""
        notes.append(f"ranked by {primary}, not by {official} as the edition does{why}")
    return notes
