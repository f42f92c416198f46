"""The front page of a leaderboard: every ranking, and what was rejected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rocov2_eval.metrics import main_outputs
from rocov2_eval.pages.charts import (
    interval_mark,
    interval_plot,
    narrow_interval_plot,
    p_text,
    rank_stability,
    significance_matrix,
    span,
)
from rocov2_eval.pages.disclosure import public_board
from rocov2_eval.pages.tables import (
    TASK_TITLES,
    Breakdown,
    breakdown,
    faults_of,
    page,
    signatures_of,
    title_of,
)
from rocov2_eval.ranking import Board, Rejection, SetAside, untested_note
from rocov2_eval.rendering import html
from rocov2_eval.significance import PairedTests

RUNS_IN_MATRIX = 60  # rows and columns that can be told apart, and no page of megabytes
_RUNS_IN_BREAKDOWN = 10  # columns that stand beside each other; the others are on the pages of the runs


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a run stands against the others, in words for those who do not see the picture.

    Attributes:
        label: Team and run, as the table shows them.
        better: Number of runs that it is significantly better than.
        worse: Number of runs that it is significantly worse than.
        gap: Lead of the run over the next one with interval and p-value; empty for the last run.
    """

    label: str
    better: int
    worse: int
    gap: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """What the front page shows of a board.

    Attributes:
        board: The ranking.
        key: Part of the ids in the HTML that makes them unique within the page.
        title: Name of the task.
        outputs: Scores beside the one that ranks.
        marks: Picture of the interval of each standing.
        pictures: By name in the template; those that compare runs are absent from a board of one run, and
            from one that tells nothing of pairs.
        comparisons: For each standing, in order of rank, how it stands against the others, in words; none
            where the board tells nothing of pairs, or no trials were drawn.
        breakdowns: For each facet, a table of the scores within its groups.
        signatures: Everything that can move a score.
        untested: Why runs are not tested against each other; None where they are.
    """

    board: Board
    key: str
    title: str
    outputs: tuple[str, ...]
    marks: tuple[Markup, ...]
    pictures: Mapping[str, Markup]
    comparisons: tuple[Comparison, ...]
    breakdowns: tuple[Breakdown, ...]
    signatures: tuple[str, ...]
    untested: str | None


def index_page(
    boards: Sequence[Board],
    rejections: Sequence[Rejection],
    set_aside: Sequence[SetAside] = (),
    *,
    title: str,
    private: bool,
    truth_retired: bool = False,
) -> str:
    """Return the front page of a leaderboard: all rankings, and what was rejected.

    Args:
        boards: The rankings; see `disclosure.public_board` for what is shown of them.
        rejections: The submissions that were not scored.
        set_aside: The submissions that are withdrawn or disqualified.
        title: Heading of the page.
        private: For the organisers.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
    """
    shown = boards if private or truth_retired else [public_board(board) for board in boards]
    return page(
        "index.html",
        title=title,
        private=private,
        truth_retired=truth_retired,
        script=html.resource("rocov2_eval.pages", "page.js"),
        sections=[_section(board, f"board-{i}") for i, board in enumerate(shown, start=1)],
        rejections=[(item, faults_of(item.findings, private=private)) for item in rejections],
        set_aside=set_aside,
        runs_in_breakdown=_RUNS_IN_BREAKDOWN,
        runs_in_matrix=RUNS_IN_MATRIX,
    )


def _section(board: Board, key: str) -> Section:
    report = board.standings[0].entry.report
    ends = span(standing.result for standing in board.standings)
    return Section(
        board=board,
        key=key,
        title=TASK_TITLES[board.task],
        outputs=tuple(name for name in main_outputs(report.metrics) if name != board.primary),
        marks=tuple(interval_mark(standing.result, ends) for standing in board.standings),
        pictures=_pictures(board, key),
        comparisons=tuple(_comparisons(board, board.tests) if board.tests and board.tests.trials else ()),
        breakdowns=tuple(_breakdown(board, facet) for facet in report.breakdowns),
        signatures=signatures_of(report),
        untested=untested_note(board),
    )


def _pictures(board: Board, key: str) -> dict[str, Markup]:
    """Return the pictures of a board; those that compare runs need two."""
    results = {standing.entry.name: standing.result for standing in board.standings}
    score = title_of(board.primary)
    title = f"{score} of each run"
    pictures = {
        "intervals": interval_plot(results, title=title, key=f"{key}-intervals"),
        "narrow": narrow_interval_plot(results, title=title, key=f"{key}-narrow"),
    }
    tests = board.tests
    if tests and len(results) > 1:
        k = min(len(results), RUNS_IN_MATRIX)
        labels = list(results)[:k]
        pictures |= _stability(board, f"Share of the resamples in which a run takes a rank by {score}", key)
        if tests.trials:
            pictures["significance"] = significance_matrix(
                labels,
                tests.difference[:k, :k],
                tests.p_holm[:k, :k],
                board.options.alpha,
                title=f"Which run is significantly better than which by {score}",
                key=f"{key}-significance",
            )
    return pictures


def _stability(board: Board, title: str, key: str) -> dict[str, Markup]:
    """Return the picture of how stable the ranks of the first ranked runs are; none where there is one."""
    ranked = [
        (standing, standing.low_rank, standing.high_rank)
        for standing in board.standings
        if standing.low_rank is not None and standing.high_rank is not None
    ][:RUNS_IN_MATRIX]
    k = len(ranked)
    if k < 2:  # noqa: PLR2004  one run has one rank
        return {}
    labels = [standing.entry.name for standing, _, _ in ranked]
    shares = np.array([standing.shares[:k] for standing, _, _ in ranked])
    ends = [(min(low, k), min(high, k)) for _, low, high in ranked]
    return {"stability": rank_stability(labels, shares, ends, title=title, key=f"{key}-stability")}


def _comparisons(board: Board, tests: PairedTests) -> list[Comparison]:
    is_significant = tests.p_holm < board.options.alpha
    rows = []
    for i, standing in enumerate(board.standings):
        gap = ""
        if i + 1 < len(board.standings):
            lead, low, high = (float(table[i + 1, i]) for table in (tests.difference, tests.low, tests.high))
            ends = "" if math.isnan(low) else f" [{low:+.4f}, {high:+.4f}]"
            gap = f"{lead:+.4f}{ends}, {p_text(float(tests.p_holm[i, i + 1]))}"
        better = int((is_significant[i] & (tests.difference[i] < 0)).sum())
        worse = int((is_significant[i] & (tests.difference[i] > 0)).sum())
        rows.append(Comparison(label=standing.entry.name, better=better, worse=worse, gap=gap))
    return rows


def _breakdown(board: Board, facet: str) -> Breakdown:
    """Return groups by the best runs, primary score."""
    entries = [standing.entry for standing in board.standings[:_RUNS_IN_BREAKDOWN]]
    columns = {entry.name: entry.report.breakdowns.get(facet, ()) for entry in entries}
    return breakdown(facet, columns, [board.primary] * len(columns), marks=False)
