"""Rank the runs of one task: by the primary score, with what the order is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """A submission that was scored.

    Attributes:
        team: Name of the team, fit for a file name.
        run: Name of the run, fit for a file name.
        metadata: The submission.json of the run.
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


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A submission that was not scored, and why.

    Attributes:
        team: Name of the team's folder, which may be anything.
        run: Name of the run's folder, which may be anything.
        findings: Findings of the submission, at least one of them an error.
    """

    team: str
    run: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """The place of one run.

    Attributes:
        entry: The run and its scores.
        rank: Rank by the primary score, 1 is best; equal scores share a rank.
        is_best_of_team: No run of the same team stands before it.
        result: Primary score of the run, by which the board ranks.
        letters: Groups of the run; runs that share a letter do not differ significantly. Empty where no
            trials were drawn, and, as `shares` is, where a board tells nothing of pairs of runs.
        low_rank: Best rank of the run in the interval over the resamples.
        high_rank: Worst rank of the run in the interval over the resamples.
        shares: Shape (k,), share of the resamples in which the run has rank 1, 2, …, k; 0 without resamples.
    """

    entry: Entry
    rank: int
    is_best_of_team: bool
    result: MetricResult
    letters: str
    low_rank: int
    high_rank: int
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
        standings: The places of the runs, ordered by rank; at least one.
        tests: Tests of all pairs, rows and columns in the order of `standings`; None where nothing may be
            told of pairs of runs.
        options: How the pairs were tested.
        omitted: Number of images that tests leave out, because not every run is scored on them.
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
    primary = rank_by or _computed_primary(first)
    if primary not in first.metrics:
        offered = ", ".join(first.metrics)
        raise UsageFault(f"--rank-by {primary}: the {first.task} runs were scored by {offered}")
    for entry in entries[1:]:
        require_same_truth(first, entry.report)
    ranks = competition_ranks(np.array([[_mean(entry, primary) for entry in entries]]))[0]
    order = sorted(range(len(entries)), key=lambda i: (ranks[i], entries[i].name.casefold(), entries[i].name))
    ordered = [entries[i] for i in order]
    tests, omitted = None, 0
    if is_compared:
        scores, is_omitted = common_scores([entry.report for entry in ordered], primary)
        omitted = int(is_omitted.sum())
        has_trials = options.trials >= trials_needed(len(entries), options.alpha)
        tests = paired_tests(scores, options, memory, has_trials=has_trials)
    return Board(
        edition=first.edition,
        task=first.task,
        split=first.split,
        images=len(first.image_ids),
        primary=primary,
        outputs=(primary, *(name for name in first.metrics if name != primary)),
        notes=tuple(_notes([entry.report for entry in ordered], primary, omitted)),
        standings=tuple(_standings(ordered, ranks[order], primary, tests, options)),
        tests=tests,
        options=options,
        omitted=omitted,
    )


def omitted_note(images: int) -> str:
    """Return what a board says of images that tests leave out."""
    return f"tests leave out {images:,} images that not every run is scored on"


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


def first_of_teams(entries: Sequence[Entry]) -> frozenset[int]:
    """Return the places, counted from 0, of the first run of each team."""
    return frozenset({entry.team: i for i, entry in reversed(list(enumerate(entries)))}.values())


def common_scores(reports: Sequence[Report], output: str) -> tuple[FloatArray, BoolArray]:
    """Return the scores of the images that every run is scored on, shape (n, k), and a mask of the others.

    Raises:
        UsageFault: There is no such image.
    """
    scored = np.logical_and.reduce([report.samples[output].scored for report in reports])
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


def _computed_primary(report: Report) -> str:
    """Return the score by which an edition ranks, the first one where a member of it is missing."""
    official = EDITIONS[report.edition].primary(report.task)
    is_lacking = official in DERIVED and official not in report.metrics
    return next(iter(report.metrics)) if is_lacking else official


def _mean(entry: Entry, output: str) -> float:
    mean = entry.report.metrics[output].mean
    if mean is None:
        raise UsageFault(f"{entry.name}: no image has a {output}; rank by another score with --rank-by")
    return mean


def _standings(
    entries: Sequence[Entry], ranks: IntArray, primary: str, tests: PairedTests | None, options: PairOptions
) -> list[Standing]:
    """Return the standings of entries in rank order."""
    k = len(entries)
    names, ends, drawn = [""] * k, np.array([ranks, ranks]), None
    if tests is not None:
        names = letters(tests.p_holm < options.alpha) if tests.trials else names
        drawn = competition_ranks(tests.resampled)
        tail = (1 - options.bootstrap.level) / 2
        if len(drawn):
            ends = np.quantile(drawn, [tail, 1 - tail], axis=0, method="inverted_cdf")
        else:  # of one image: another might turn the order around
            ends = np.array([[1] * k, [k] * k])
    first = first_of_teams(entries)
    return [
        Standing(
            entry=entry,
            rank=int(ranks[i]),
            is_best_of_team=i in first,
            result=entry.report.metrics[primary],
            letters=names[i],
            low_rank=int(ends[0, i]),
            high_rank=int(ends[1, i]),
            shares=np.zeros(0) if drawn is None else _shares(drawn[:, i], k),
        )
        for i, entry in enumerate(entries)
    ]


def _shares(ranks: IntArray, k: int) -> FloatArray:
    """Return the share of the resamples in which a run has each rank, 0 where there is none."""
    shares: FloatArray = np.bincount(ranks - 1, minlength=k) / max(len(ranks), 1)
    return shares


def _notes(reports: Sequence[Report], primary: str, omitted: int) -> list[str]:
    notes = list(dict.fromkeys(note for report in reports for note in report.notes))
    report = reports[0]
    official = EDITIONS[report.edition].primary(report.task)
    if primary != official:
        # Names alone: the reasons, which may name folders of the organisers, stand in each report.
        members = parts(official) if official in DERIVED else ()
        missing = [member for member in members if member not in {*DERIVED, *report.metrics}]
        why = f": it needs {', '.join(missing)}, not computed here" if missing else ""
        notes.append(f"ranked by {primary}, not by {official} as the edition does{why}")
    return [*notes, omitted_note(omitted)] if omitted else notes
