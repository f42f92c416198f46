"""A leaderboard as JSON, CSV and Markdown, for machines and for a repository's own pages.

What may be told in public is decided in `pages/disclosure.py`, for these files as for the pages. Nothing in
them depends on the time or the machine: the same submissions give the same bytes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rocov2_eval import __version__
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.pages.disclosure import public_findings, public_value, secret_groups
from rocov2_eval.ranking import Board, Rejection, Standing
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.scoring import Group
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_MOST_FINDINGS = 100  # of one submission; `validate` lists them all
_FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
_CSV_HEADER = ("task", "status", "rank", "team", "run", "best_of_team", "group", "rank_low", "rank_high")


def board_document(leaderboard: Leaderboard, *, title: str, private: bool) -> dict[str, Any]:
    """Return a leaderboard as the object that `schema/leaderboard.json` describes; rounded for the public."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-eval", "version": __version__},
        "title": shorten(title, 200),
        "private": private,
        "boards": [_board(board, private=private) for board in leaderboard.boards],
        "rejected": [_rejection(item, private=private) for item in leaderboard.rejections],
    }


def board_csv(leaderboard: Leaderboard, *, private: bool) -> str:
    """Return one row a submission; a spreadsheet takes no cell of it for a formula."""
    outputs = list(dict.fromkeys(name for board in leaderboard.boards for name in board.outputs))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_CSV_HEADER, *_score_columns(outputs), "findings"])
    for board in leaderboard.boards:
        for standing in board.standings:
            writer.writerow(
                [*_standing_cells(board, standing), *_scores(standing, outputs, private=private), ""]
            )
    for item in leaderboard.rejections:
        codes = " ".join(dict.fromkeys(found.code for found in _shown(item, private=private)))
        names = [_harmless(item.team), _harmless(item.run)]
        blanks = [""] * (len(_CSV_HEADER) - 5 + len(_score_columns(outputs)))
        writer.writerow(["", "rejected", "", *names, *blanks, codes])
    return buffer.getvalue()


def board_markdown(leaderboard: Leaderboard, *, title: str, private: bool) -> str:
    """Return a table for each ranking and one of what was rejected."""
    parts = [f"# {_plain(title)}"]
    for board in leaderboard.boards:
        split = f", {board.split} split" if board.split else ""
        parts.append(f"## {board.task.capitalize()}: {board.edition}{split}, {board.images:,} images")
        parts += [f"**Not official**: {_plain(note)}." for note in board.notes]
        parts.append(_markdown(_markdown_rows(board)))
        if len(board.standings) > 1:
            parts.append(
                "Runs that share a letter do not differ significantly "
                f"(paired randomisation test, {board.options.trials:,} trials, Holm, "
                f"alpha {board.options.alpha:g})."
            )
    if not leaderboard.boards:
        parts.append("No run has been scored.")
    if leaderboard.rejections:
        rows = [["team", "run", "findings"]]
        for item in leaderboard.rejections:
            found = dict.fromkeys(found.code for found in _shown(item, private=private))
            rows.append([_code(item.team), _code(item.run) or "-", " ".join(found)])
        parts += ["## Rejected", _markdown(rows)]
    return "\n\n".join(parts) + "\n"


def _board(board: Board, *, private: bool) -> dict[str, Any]:
    names = [standing.entry.name for standing in board.standings]
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
        "standings": [_standing(standing, board.outputs, private=private) for standing in board.standings],
        "pairs": [
            {
                "a": names[a],
                "b": names[b],
                **{
                    name: public_value(float(table[a, b]), private=private)
                    for name, table in (
                        ("difference", board.tests.difference),
                        ("low", board.tests.low),
                        ("high", board.tests.high),
                    )
                },
                "p_value": float(f"{board.tests.p_value[a, b]:.2g}"),
                "p_holm": float(f"{board.tests.p_holm[a, b]:.2g}"),
            }
            for a in range(len(names))
            for b in range(a + 1, len(names))
        ],
    }


def _standing(standing: Standing, outputs: Sequence[str], *, private: bool) -> dict[str, Any]:
    report = standing.entry.report
    return {
        "rank": standing.rank,
        "team": standing.entry.team,
        "run": standing.entry.run,
        "best_of_team": standing.is_best_of_team,
        "group": standing.letters,
        "rank_low": standing.low_rank,
        "rank_high": standing.high_rank,
        "rank_shares": standing.shares.tolist(),
        "run_sha256": report.run[1],
        "metrics": {name: _metric(report.metrics[name], private=private) for name in outputs},
        "breakdowns": {
            facet: _groups(groups, outputs, private=private) for facet, groups in report.breakdowns.items()
        },
    }


def _groups(groups: Sequence[Group], outputs: Sequence[str], *, private: bool) -> list[dict[str, Any]]:
    hidden = {name: secret_groups(groups, name, private=private) for name in outputs}
    return [
        {
            "group": group.name,
            "images": group.images,
            "metrics": {
                name: None if group.name in hidden[name] else _metric(group.metrics[name], private=private)
                for name in outputs
            },
        }
        for group in groups
    ]


def _metric(result: MetricResult, *, private: bool) -> dict[str, Any]:
    low, high = (result.interval.low, result.interval.high) if result.interval else (None, None)
    values = {"mean": result.mean, "low": low, "high": high}
    shown = {key: public_value(value, private=private) for key, value in values.items()}
    return {**shown, "n": result.n, "unscored": result.unscored}


def _rejection(item: Rejection, *, private: bool) -> dict[str, Any]:
    found = _shown(item, private=private)
    return {
        "team": shorten(item.team),
        "run": shorten(item.run),
        "findings": [_finding(one) for one in found[:_MOST_FINDINGS]],
        "more": max(len(found) - _MOST_FINDINGS, 0),
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "path": shorten(found.path, 200),
        "line": found.line,
        "message": shorten(found.message, 400),
    }


def _shown(item: Rejection, *, private: bool) -> list[Finding]:
    return list(item.findings) if private else public_findings(item.findings)


def _score_columns(outputs: Iterable[str]) -> list[str]:
    return [f"{name}{suffix}" for name in outputs for suffix in ("", "_low", "_high")]


def _standing_cells(board: Board, standing: Standing) -> list[str]:
    best = "yes" if standing.is_best_of_team else "no"
    names = [_harmless(standing.entry.team), _harmless(standing.entry.run)]
    ranks = [str(standing.low_rank), str(standing.high_rank)]
    return [board.task, "scored", str(standing.rank), *names, best, standing.letters, *ranks]


def _scores(standing: Standing, outputs: Iterable[str], *, private: bool) -> Iterator[str]:
    for name in outputs:
        result = standing.entry.report.metrics.get(name)
        entry = _metric(result, private=private) if result else {}
        for key in ("mean", "low", "high"):
            value = entry.get(key)
            yield "" if value is None else repr(value)


def _harmless(text: str) -> str:
    """Return text that a spreadsheet shows instead of running it."""
    safe = shorten(text, 200)
    return f"'{safe}" if safe.lstrip().startswith(_FORMULA_STARTS) else safe


def _markdown_rows(board: Board) -> list[list[str]]:
    interval = f"{100 * board.options.bootstrap.level:g} % interval"
    rows = [["rank", "team", "run", board.primary, interval, *board.outputs[1:], "group", "ranks"]]
    for standing in board.standings:
        results = [standing.entry.report.metrics[name] for name in board.outputs]
        ends = results[0].interval
        between = f"[{ends.low:.4f}, {ends.high:.4f}]" if ends else ""
        means = ["" if result.mean is None else f"{result.mean:.4f}" for result in results]
        ranks = dict.fromkeys((str(standing.low_rank), str(standing.high_rank)))
        names = [_plain(standing.entry.team), _plain(standing.entry.run)]
        row = [
            str(standing.rank),
            *names,
            means[0],
            between,
            *means[1:],
            standing.letters,
            " to ".join(ranks),
        ]
        rows.append(row)
    return rows


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Return text in which Markdown finds nothing to render."""
    return re.sub(r"([\\`*_{}\[\]<>|#~!@])", r"\\\1", shorten(text, 400))


def _code(text: str) -> str:
    """Return a name that nobody checked, where no mention or link can come alive."""
    safe = re.sub(r"[`|<>]", "?", shorten(text))
    return f"`{safe}`" if safe else ""
