"""A leaderboard as a document, and as one table of submissions for a spreadsheet.

What may stand in public is decided in `pages/disclosure.py`, for these files as for the pages. Nothing in
them depends on the time or the machine: the same submissions give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from rocov2_eval import __version__
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.pages.disclosure import public_board, public_findings
from rocov2_eval.ranking import Board, Rejection, Standing, untested_note
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table, Value
from rocov2_eval.scoring import Group
from rocov2_eval.shelf.words import counted, shorten
from rocov2_eval.significance import PairedTests

SCHEMA_VERSION = 1
_MOST_FINDINGS = 100  # of one submission; `validate` lists them all
_LONGEST_NAME = 200
_STANDING = ("task", "status", "rank", "team", "run", "best_of_team")
_OF_PAIRS = ("group", "rank_low", "rank_high")


def board_document(
    leaderboard: Leaderboard, *, title: str, private: bool, truth_retired: bool = False
) -> Document:
    """Return a table for each ranking, and one of what was rejected; data as in `schema/leaderboard.json`.

    Args:
        leaderboard: What to show; see `disclosure.public_board`.
        title: The first line.
        private: For the organisers: with the findings about the truth.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
    """
    if not (private or truth_retired):
        leaderboard = replace(leaderboard, boards=tuple(map(public_board, leaderboard.boards)))
    sections = [_section(board, truth_retired=truth_retired) for board in leaderboard.boards]
    if not sections:
        sections.append(Section(notes=[Note(text="No run has been scored.")]))
    if leaderboard.rejections:
        rows = [_rejected_cells(item, private=private) for item in leaderboard.rejections]
        columns = [
            Column(title="team", kind="code"),
            Column(title="run", kind="code"),
            Column(title="findings"),
        ]
        sections.append(Section(title="Rejected", tables=[Table(columns=columns, rows=rows)]))
    return Document(
        title=shorten(title, _LONGEST_NAME),
        sections=sections,
        data={
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "rocov2-eval", "version": __version__},
            "title": shorten(title, _LONGEST_NAME),
            "private": private,
            "truth_retired": truth_retired,
            "boards": [_board_data(board) for board in leaderboard.boards],
            "rejected": [_rejection_data(item, private=private) for item in leaderboard.rejections],
        },
        rows=_submission_table(leaderboard, private=private),
    )


def _submission_table(leaderboard: Leaderboard, *, private: bool) -> Table:
    """Return one row a submission, those of all tasks and the rejected ones in one table."""
    outputs = list(dict.fromkeys(name for board in leaderboard.boards for name in board.outputs))
    scores = [Column(title=name, kind=kind) for name in outputs for kind in ("score", "interval")]
    of_pairs = _OF_PAIRS if any(board.tests for board in leaderboard.boards) else ()
    columns = [*(Column(title=name) for name in (*_STANDING, *of_pairs)), *scores, Column(title="findings")]
    rows: list[list[Value]] = []
    for board in leaderboard.boards:
        for standing in board.standings:
            results, entry = standing.entry.report.metrics, standing.entry
            cells = [cell for name in outputs for cell in _score_cells(results.get(name))]
            best = "yes" if standing.is_best_of_team else "no"
            ends = (standing.letters, standing.low_rank, standing.high_rank) if of_pairs else ()
            row: list[Value] = [board.task, "scored", standing.rank, entry.team, entry.run, best, *ends]
            rows.append([*row, *cells, None])
    for item in leaderboard.rejections:
        team, run, codes = _rejected_cells(item, private=private)
        rows.append([None, "rejected", None, team, run, *[None] * (len(columns) - 6), codes])
    return Table(columns=columns, rows=rows)


def _section(board: Board, *, truth_retired: bool) -> Section:
    """Return the table of a ranking, with what a reader of it has to know."""
    split = f", {board.split} split" if board.split else ""
    notes = [Note(text=note, label="NOT OFFICIAL") for note in board.notes]
    if truth_retired:
        notes.append(Note(text="The truth is no longer in use."))
    untested = untested_note(board)
    if untested:
        notes.append(Note(text=f"{untested}."))
    elif board.tests and len(board.standings) > 1:
        trials, alpha = board.tests.trials, board.options.alpha
        test = f"paired randomisation test, {trials:,} trials, Holm, alpha {alpha:g}"
        notes.append(Note(text=f"Runs that share a letter do not differ significantly ({test})."))
    metrics = board.standings[0].entry.report.metrics
    decimals = {name: result.decimals for name, result in metrics.items()}
    interval = f"{100 * board.options.bootstrap.level:g} % interval"
    return Section(
        title=f"{board.task.capitalize()}: {board.edition}{split}, {counted(board.images, 'image')}",
        tables=[
            Table(
                columns=[
                    Column(title="rank", kind="count"),
                    Column(title="team"),
                    Column(title="run"),
                    Column(title=board.primary, kind="score", decimals=decimals[board.primary]),
                    Column(
                        title=interval,
                        kind="interval",
                        key=board.primary,
                        decimals=metrics[board.primary].interval_decimals,
                    ),
                    *(
                        Column(title=name, kind="score", decimals=decimals[name])
                        for name in board.outputs[1:]
                    ),
                    *(Column(title=name) for name in ("group", "ranks") if board.tests),
                ],
                rows=[_cells(standing, board) for standing in board.standings],
                best=True,
            )
        ],
        notes=notes,
    )


def _cells(standing: Standing, board: Board) -> list[Value]:
    primary, *others = (standing.entry.report.metrics[name] for name in board.outputs)
    ranks = dict.fromkeys((str(standing.low_rank), str(standing.high_rank)))
    return [
        standing.rank,
        standing.entry.team,
        standing.entry.run,
        *_score_cells(primary),
        *(result.mean for result in others),
        *([standing.letters, " to ".join(ranks)] if board.tests else []),
    ]


def _score_cells(result: MetricResult | None) -> Iterator[Value]:
    yield result.mean if result else None
    yield result.interval if result else None


def _rejected_cells(item: Rejection, *, private: bool) -> list[str]:
    codes = dict.fromkeys(finding.code for finding in _visible(item, private=private))
    return [shorten(item.team, _LONGEST_NAME), shorten(item.run, _LONGEST_NAME), " ".join(codes)]


def _board_data(board: Board) -> dict[str, Any]:
    """Return a ranking; what is made of pairs or groups is absent where it may not be told."""
    report, options, tests = board.standings[0].entry.report, board.options, board.tests
    intervals = options.bootstrap
    made = {"resamples": intervals.resamples, "level": intervals.level, "seed": intervals.seed}
    data = {
        "task": board.task,
        "edition": board.edition,
        "split": board.split,
        "images": board.images,
        "primary": board.primary,
        "notes": list(board.notes),
        "signatures": list(dict.fromkeys(result.signature for result in report.metrics.values())),
        "options": made | ({"trials": tests.trials, "alpha": options.alpha} if tests else {}),
        "standings": [_standing_data(item, board) for item in board.standings],
    }
    # Without tests a pair tells no more than the means, and there are many.
    return data | ({"pairs": list(_pairs(board, tests)) if tests.trials else []} if tests else {})


def _pairs(board: Board, tests: PairedTests) -> Iterator[dict[str, Any]]:
    """Yield the difference of each pair of runs, second minus first."""
    names = [standing.entry.name for standing in board.standings]
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            values = {"difference": tests.difference, "low": tests.low, "high": tests.high}
            yield {
                "a": names[a],
                "b": names[b],
                **{key: _known(float(table[a, b])) for key, table in values.items()},
                "p_value": float(f"{tests.p_value[a, b]:.2g}"),
                "p_holm": float(f"{tests.p_holm[a, b]:.2g}"),
            }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _standing_data(standing: Standing, board: Board) -> dict[str, Any]:
    report, is_whole = standing.entry.report, board.tests is not None
    data = {
        "rank": standing.rank,
        "team": standing.entry.team,
        "run": standing.entry.run,
        "best_of_team": standing.is_best_of_team,
        "run_sha256": report.run[1],
        "metrics": {name: _result_data(report.metrics[name], is_whole=is_whole) for name in board.outputs},
    }
    if not is_whole:
        return data
    return data | {
        "group": standing.letters,
        "rank_low": standing.low_rank,
        "rank_high": standing.high_rank,
        "rank_shares": standing.shares.tolist(),
        "breakdowns": {
            facet: [_group_data(group, board.outputs) for group in groups]
            for facet, groups in report.breakdowns.items()
        },
    }


def _group_data(group: Group, outputs: Iterable[str]) -> dict[str, Any]:
    metrics = {name: _result_data(group.metrics[name], is_whole=True) for name in outputs}
    return {"group": group.name, "images": group.images, "metrics": metrics}


def _result_data(result: MetricResult, *, is_whole: bool) -> dict[str, Any]:
    """Return a score; of how many images it is the mean may tell for which of them the truth is empty."""
    low, high = (result.interval.low, result.interval.high) if result.interval else (None, None)
    counts = {"n": result.n, "unscored": result.unscored} if is_whole else {}
    return {"mean": result.mean, "low": low, "high": high} | counts


def _rejection_data(item: Rejection, *, private: bool) -> dict[str, Any]:
    findings = _visible(item, private=private)
    return {
        "team": shorten(item.team),
        "run": shorten(item.run),
        "findings": [_finding_data(finding) for finding in findings[:_MOST_FINDINGS]],
        "more": max(len(findings) - _MOST_FINDINGS, 0),
    }


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "path": shorten(finding.path, 200),
        "line": finding.line,
        "message": shorten(finding.message, 400),
    }


def _visible(item: Rejection, *, private: bool) -> list[Finding]:
    return list(item.findings) if private else public_findings(item.findings)
