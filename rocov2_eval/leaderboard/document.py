"""A leaderboard as a document, and as one table of submissions for a spreadsheet.

What may stand in public is decided in `pages/disclosure.py`, for these files as for the pages. Nothing in
them depends on the time or the machine: the same submissions give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rocov2_eval import __version__
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.pages.disclosure import public_board, public_findings
from rocov2_eval.ranking import (
    Board,
    Event,
    RankChange,
    Rejection,
    SetAside,
    Standing,
    history,
    rank_changes,
    time_of,
    untested_note,
)
from rocov2_eval.records import Finding, MetricResult, Task
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table, Value
from rocov2_eval.scoring import Group
from rocov2_eval.shelf.words import counted, shorten
from rocov2_eval.significance import PairedTests

SCHEMA_VERSION = 1
_MOST_FINDINGS = 100  # of one submission; `validate` lists them all
_LONGEST_NAME = 200
_STANDING = ("task", "status", "rank", "team", "run", "best_of_team")
_OF_UPLOAD = ("display_name", "team_rank", "submitted_at", "submission_id")
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
    changes = rank_changes(leaderboard.boards)
    sections += [_changes_section(task, of_task) for task, of_task in changes.items()]
    if not leaderboard.boards:
        sections.append(Section(notes=[Note(text="No run has been scored.")]))
    if leaderboard.rejections:
        rows = [_rejected_cells(item, private=private) for item in leaderboard.rejections]
        columns = [
            Column(title="team", kind="code"),
            Column(title="run", kind="code"),
            Column(title="findings"),
        ]
        sections.append(Section(title="Rejected", tables=[Table(columns=columns, rows=rows)]))
    if leaderboard.set_aside:
        columns = [
            *(Column(title=title, kind="code") for title in ("team", "run")),
            Column(title="status"),
            Column(title="reason", kind="code"),
        ]
        asides: list[list[Value]] = [
            [item.display_name, item.run, item.status, item.reason] for item in leaderboard.set_aside
        ]
        sections.append(
            Section(title="Withdrawn and disqualified", tables=[Table(columns=columns, rows=asides)])
        )
    return Document(
        title=shorten(title, _LONGEST_NAME),
        sections=sections,
        data={
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "rocov2-eval", "version": __version__},
            "title": shorten(title, _LONGEST_NAME),
            "private": private,
            "truth_retired": truth_retired,
            "deadline": _time_text(leaderboard.rules.deadline),
            "most_runs": leaderboard.rules.most_runs,
            "boards": [_board_data(board) for board in leaderboard.boards],
            "rank_changes": [_changes_data(task, of_task) for task, of_task in changes.items()],
            "rejected": [_rejection_data(item, private=private) for item in leaderboard.rejections],
            "set_aside": [_aside_data(item) for item in leaderboard.set_aside],
        },
        rows=_submission_table(leaderboard, private=private),
    )


def _submission_table(leaderboard: Leaderboard, *, private: bool) -> Table:
    """Return one row a submission, those of all tasks and the rejected ones in one table."""
    outputs = list(dict.fromkeys(name for board in leaderboard.boards for name in board.outputs))
    scores = [Column(title=name, kind=kind) for name in outputs for kind in ("score", "interval")]
    of_pairs = _OF_PAIRS if any(board.tests for board in leaderboard.boards) else ()
    of_truth = ("truth",) if any(board.truth for board in leaderboard.boards) else ()
    names = (*_STANDING, *_OF_UPLOAD, *of_truth, *of_pairs)
    columns = [*(Column(title=name) for name in names), *scores, Column(title="findings")]
    rows: list[list[Value]] = []
    for board in leaderboard.boards:
        for standing in board.standings:
            results, entry = standing.entry.report.metrics, standing.entry
            cells = [cell for name in outputs for cell in _score_cells(results.get(name))]
            best = "yes" if standing.is_best_of_team else "no"
            ends = (standing.letters, standing.low_rank, standing.high_rank) if of_pairs else ()
            status = "scored" if entry.status == "ranked" else entry.status
            row: list[Value] = [board.task, status, standing.rank, entry.team, entry.run, best]
            row += _upload_cells(entry.display_name, standing.team_rank, entry.metadata)
            rows.append([*row, *([board.truth] if of_truth else []), *ends, *cells, None])
    width = len(columns)
    for item in leaderboard.rejections:
        codes = _codes(item, private=private)
        row = [None, "rejected", None, shorten(item.team, _LONGEST_NAME), shorten(item.run, _LONGEST_NAME)]
        row += [None, shorten(item.display_name, _LONGEST_NAME) or None]
        rows.append([*row, *[None] * (width - len(row) - 1), codes])
    for aside in leaderboard.set_aside:
        row = [aside.metadata.get("task"), aside.status, None, aside.team, aside.run, None]
        row += _upload_cells(aside.display_name, None, aside.metadata)
        rows.append([*row, *[None] * (width - len(row))])
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
    best = [standing for standing in board.standings if standing.is_best_of_team]
    table = _standings_table(board, board.standings, teams=False)
    tables = [table]
    if len(best) < len(board.standings):
        of_teams = replace(_standings_table(board, best, teams=True), title="Best run of each team")
        tables = [of_teams, replace(table, title="All runs")]
    truth = f", {board.truth} truth" if board.truth else ""
    images = counted(board.images, "image")
    title = f"{board.task.capitalize()}: {board.edition}{split}{truth}, {images}"
    return Section(title=title, tables=tables, notes=notes)


def _standings_table(board: Board, standings: Sequence[Standing], *, teams: bool) -> Table:
    """Return a table of runs with the ranks of the runs or of their teams.

    The interval of a rank is one among runs, so that a table of teams has none.
    """
    metrics = board.standings[0].entry.report.metrics
    decimals = {name: result.decimals for name, result in metrics.items()}
    interval = f"{100 * board.options.bootstrap.level:g} % interval"
    has_others = any(standing.rank is None for standing in standings)
    has_names = any(standing.entry.display_name != standing.entry.team for standing in standings)
    return Table(
        columns=[
            Column(title="rank", kind="count"),
            Column(title="team", kind="code" if has_names else "text"),
            Column(title="run"),
            *([Column(title="status")] if has_others else []),
            Column(title=board.primary, kind="score", decimals=decimals[board.primary]),
            Column(
                title=interval,
                kind="interval",
                key=board.primary,
                decimals=metrics[board.primary].interval_decimals,
            ),
            *(Column(title=name, kind="score", decimals=decimals[name]) for name in board.outputs[1:]),
            *([Column(title="group")] if board.tests else []),
            *([Column(title="ranks")] if board.tests and not teams else []),
        ],
        rows=[_cells(standing, board, has_others=has_others, teams=teams) for standing in standings],
        best=True,
    )


def _cells(standing: Standing, board: Board, *, has_others: bool, teams: bool) -> list[Value]:
    entry = standing.entry
    primary, *others = (entry.report.metrics[name] for name in board.outputs)
    ends = [str(end) for end in (standing.low_rank, standing.high_rank) if end is not None]
    return [
        standing.team_rank if teams else standing.rank,
        entry.display_name,
        entry.run,
        *([entry.status] if has_others else []),
        *_score_cells(primary),
        *(result.mean for result in others),
        *([standing.letters] if board.tests else []),
        *([" to ".join(dict.fromkeys(ends))] if board.tests and not teams else []),
    ]


def _changes_section(task: Task, changes: Sequence[RankChange]) -> Section:
    """Return how the ranks of teams and of runs differ between the public and the hidden truth."""
    tables = []
    titles = {"": ("Teams by their best runs", "team"), "run": ("Runs", "team", "run")}
    for key, (title, *names) in titles.items():
        some = [item for item in changes if bool(item.run) == bool(key)]
        columns = [
            *(Column(title=name, kind="code") for name in names),
            *(Column(title=name, kind="count") for name in ("public rank", "hidden rank", "change")),
        ]
        rows: list[list[Value]] = [
            [
                item.display_name,
                *([item.run] if key else []),
                item.public_rank,
                item.hidden_rank,
                f"{item.change:+d}" if item.change else "0",
            ]
            for item in some
        ]
        tables.append(Table(columns=columns, rows=rows, title=title))
    note = "A positive change is a better rank by the hidden truth."
    return Section(title=f"{task.capitalize()}: change of ranks", tables=tables, notes=[Note(text=note)])


def _score_cells(result: MetricResult | None) -> Iterator[Value]:
    yield result.mean if result else None
    yield result.interval if result else None


def _rejected_cells(item: Rejection, *, private: bool) -> list[str]:
    team = item.display_name or item.team
    codes = _codes(item, private=private)
    return [shorten(team, _LONGEST_NAME), shorten(item.run, _LONGEST_NAME), codes]


def _codes(item: Rejection, *, private: bool) -> str:
    return " ".join(dict.fromkeys(finding.code for finding in _visible(item, private=private)))


def _upload_cells(name: str, team_rank: int | None, metadata: Mapping[str, Any]) -> list[Value]:
    """Return the cells of `_OF_UPLOAD`."""
    return [name, team_rank, _time_text(time_of(metadata)), metadata.get("submission_id")]


def _time_text(time: datetime | None) -> str | None:
    """Return a time as JSON and CSV have it: in UTC, so that texts are in the order of times."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _upload_data(name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "display_name": name,
        "submitted_at": _time_text(time_of(metadata)),
        "submission_id": metadata.get("submission_id"),
    }


def _board_data(board: Board) -> dict[str, Any]:
    """Return a ranking; what is made of pairs or groups is absent where it may not be told."""
    report, options, tests = board.standings[0].entry.report, board.options, board.tests
    intervals = options.bootstrap
    made = {"resamples": intervals.resamples, "level": intervals.level, "seed": intervals.seed}
    data = {
        "task": board.task,
        "truth": board.truth or None,
        "edition": board.edition,
        "split": board.split,
        "images": board.images,
        "primary": board.primary,
        "notes": list(board.notes),
        "signatures": list(dict.fromkeys(result.signature for result in report.metrics.values())),
        "options": made | ({"trials": tests.trials, "alpha": options.alpha} if tests else {}),
        "standings": [_standing_data(item, board) for item in board.standings],
        "history": [_event_data(item) for item in history(board)],
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
        "status": standing.entry.status,
        "team": standing.entry.team,
        "run": standing.entry.run,
        **_upload_data(standing.entry.display_name, standing.entry.metadata),
        "team_rank": standing.team_rank,
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


def _event_data(event: Event) -> dict[str, Any]:
    teams = [{"team": item.team, "rank": item.rank, "best": item.best} for item in event.teams]
    when = _time_text(event.submitted_at)
    return {"submitted_at": when, "team": event.team, "run": event.run, "teams": teams}


def _changes_data(task: Task, changes: Sequence[RankChange]) -> dict[str, Any]:
    rows = [
        {
            "team": item.team,
            **({"run": item.run} if item.run else {}),
            "display_name": item.display_name,
            "public_rank": item.public_rank,
            "hidden_rank": item.hidden_rank,
            "change": item.change,
        }
        for item in changes
    ]
    return {
        "task": task,
        "teams": [row for row in rows if "run" not in row],
        "runs": [row for row in rows if "run" in row],
    }


def _aside_data(item: SetAside) -> dict[str, Any]:
    return {
        "team": shorten(item.team),
        "run": shorten(item.run),
        **_upload_data(item.display_name, item.metadata),
        "task": item.metadata.get("task"),
        "status": item.status,
        "reason": shorten(item.reason, 400),
    }


def _rejection_data(item: Rejection, *, private: bool) -> dict[str, Any]:
    findings = _visible(item, private=private)
    return {
        "team": shorten(item.team),
        "run": shorten(item.run),
        "display_name": shorten(item.display_name or item.team, _LONGEST_NAME),
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
