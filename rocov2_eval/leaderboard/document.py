"""A leaderboard as a document, and as one table of submissions for a spreadsheet.

What may stand in public is decided in `pages/disclosure.py`, for these files as for the pages. Nothing in
them depends on the time or the machine: the same submissions give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rocov2_eval import __version__
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.pages.disclosure import public_findings, public_result, public_value, secret_groups
from rocov2_eval.ranking import Board, Rejection, Standing
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table, Value
from rocov2_eval.scoring import Group
from rocov2_eval.shelf.words import counted, shorten

SCHEMA_VERSION = 1
_MOST_FINDINGS = 100  # of one submission; `validate` lists them all
_LONGEST_NAME = 200
_STANDING = ("task", "status", "rank", "team", "run", "best_of_team", "group", "rank_low", "rank_high")


def board_document(leaderboard: Leaderboard, *, title: str, private: bool) -> Document:
    """Return a table for each ranking, and one of what was rejected; data as in `schema/leaderboard.json`.

    Args:
        leaderboard: What to show.
        title: The first line.
        private: With numbers that are not rounded, and the findings about the truth.
    """
    sections = [_section(board, private=private) for board in leaderboard.boards]
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
            "boards": [_board_data(board, private=private) for board in leaderboard.boards],
            "rejected": [_rejection_data(item, private=private) for item in leaderboard.rejections],
        },
        rows=_submission_table(leaderboard, private=private),
    )


def _submission_table(leaderboard: Leaderboard, *, private: bool) -> Table:
    """Return one row a submission, those of all tasks and the rejected ones in one table."""
    outputs = list(dict.fromkeys(name for board in leaderboard.boards for name in board.outputs))
    scores = [Column(title=name, kind=kind) for name in outputs for kind in ("score", "interval")]
    columns = [*(Column(title=name) for name in _STANDING), *scores, Column(title="findings")]
    rows: list[list[Value]] = []
    for board in leaderboard.boards:
        for standing in board.standings:
            results = _public_results(standing, private=private)
            cells = [cell for name in outputs for cell in _score_cells(results.get(name))]
            best = "yes" if standing.is_best_of_team else "no"
            entry, ends = standing.entry, (standing.low_rank, standing.high_rank)
            row = [board.task, "scored", standing.rank, entry.team, entry.run, best, standing.letters, *ends]
            rows.append([*row, *cells, None])
    for item in leaderboard.rejections:
        team, run, codes = _rejected_cells(item, private=private)
        rows.append([None, "rejected", None, team, run, *[None] * (len(columns) - 6), codes])
    return Table(columns=columns, rows=rows)


def _section(board: Board, *, private: bool) -> Section:
    """Return the table of a ranking, with what a reader of it has to know."""
    split = f", {board.split} split" if board.split else ""
    notes = [Note(text=note, label="NOT OFFICIAL") for note in board.notes]
    if len(board.standings) > 1:
        test = (
            f"paired randomisation test, {board.options.trials:,} trials, Holm, alpha {board.options.alpha:g}"
        )
        notes.append(Note(text=f"Runs that share a letter do not differ significantly ({test})."))
    interval = f"{100 * board.options.bootstrap.level:g} % interval"
    return Section(
        title=f"{board.task.capitalize()}: {board.edition}{split}, {counted(board.images, 'image')}",
        tables=[
            Table(
                columns=[
                    Column(title="rank", kind="count"),
                    Column(title="team"),
                    Column(title="run"),
                    Column(title=board.primary, kind="score"),
                    Column(title=interval, kind="interval", key=board.primary),
                    *(Column(title=name, kind="score") for name in board.outputs[1:]),
                    Column(title="group"),
                    Column(title="ranks"),
                ],
                rows=[_cells(standing, board.outputs, private=private) for standing in board.standings],
                best=True,
            )
        ],
        notes=notes,
    )


def _cells(standing: Standing, outputs: Sequence[str], *, private: bool) -> list[Value]:
    results = _public_results(standing, private=private)
    primary, *others = (results[name] for name in outputs)
    ranks = dict.fromkeys((str(standing.low_rank), str(standing.high_rank)))
    return [
        standing.rank,
        standing.entry.team,
        standing.entry.run,
        *_score_cells(primary),
        *(result.mean for result in others),
        standing.letters,
        " to ".join(ranks),
    ]


def _score_cells(result: MetricResult | None) -> Iterator[Value]:
    yield result.mean if result else None
    yield result.interval if result else None


def _rejected_cells(item: Rejection, *, private: bool) -> list[str]:
    codes = dict.fromkeys(finding.code for finding in _visible(item, private=private))
    return [shorten(item.team, _LONGEST_NAME), shorten(item.run, _LONGEST_NAME), " ".join(codes)]


def _board_data(board: Board, *, private: bool) -> dict[str, Any]:
    report = board.standings[0].entry.report
    return {
        "task": board.task,
        "edition": board.edition,
        "split": board.split,
        "images": board.images,
        "primary": board.primary,
        "notes": list(board.notes),
        "signatures": list(dict.fromkeys(result.signature for result in report.metrics.values())),
        "options": {
            "trials": board.options.trials,
            "alpha": board.options.alpha,
            "resamples": board.options.bootstrap.resamples,
            "level": board.options.bootstrap.level,
            "seed": board.options.bootstrap.seed,
        },
        "standings": [_standing_data(item, board.outputs, private=private) for item in board.standings],
        "pairs": list(_pairs(board, private=private)),
    }


def _pairs(board: Board, *, private: bool) -> Iterator[dict[str, Any]]:
    """Yield the difference of each pair of runs, second minus first."""
    names, tests = [standing.entry.name for standing in board.standings], board.tests
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            values = {"difference": tests.difference, "low": tests.low, "high": tests.high}
            yield {
                "a": names[a],
                "b": names[b],
                **{key: _known(float(table[a, b]), private=private) for key, table in values.items()},
                "p_value": float(f"{tests.p_value[a, b]:.2g}"),
                "p_holm": float(f"{tests.p_holm[a, b]:.2g}"),
            }


def _known(value: float, *, private: bool) -> float | None:
    return None if math.isnan(value) else public_value(value, private=private)


def _standing_data(standing: Standing, outputs: Sequence[str], *, private: bool) -> dict[str, Any]:
    results = _public_results(standing, private=private)
    return {
        "rank": standing.rank,
        "team": standing.entry.team,
        "run": standing.entry.run,
        "best_of_team": standing.is_best_of_team,
        "group": standing.letters,
        "rank_low": standing.low_rank,
        "rank_high": standing.high_rank,
        "rank_shares": standing.shares.tolist(),
        "run_sha256": standing.entry.report.run[1],
        "metrics": {name: _result_data(results[name]) for name in outputs},
        "breakdowns": {
            facet: list(_group_data(groups, outputs, private=private))
            for facet, groups in standing.entry.report.breakdowns.items()
        },
    }


def _group_data(
    groups: Sequence[Group], outputs: Iterable[str], *, private: bool
) -> Iterator[dict[str, Any]]:
    """Yield the scores of groups; a mean that may not be shown is None."""
    secret = {name: secret_groups(groups, name, private=private) for name in outputs}
    for group in groups:
        metrics = {
            name: None
            if group.name in names
            else _result_data(public_result(group.metrics[name], private=private))
            for name, names in secret.items()
        }
        yield {"group": group.name, "images": group.images, "metrics": metrics}


def _public_results(standing: Standing, *, private: bool) -> Mapping[str, MetricResult]:
    metrics = standing.entry.report.metrics
    return {name: public_result(result, private=private) for name, result in metrics.items()}


def _result_data(result: MetricResult) -> dict[str, Any]:
    low, high = (result.interval.low, result.interval.high) if result.interval else (None, None)
    return {"mean": result.mean, "low": low, "high": high, "n": result.n, "unscored": result.unscored}


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
