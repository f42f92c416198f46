"""The front page of a leaderboard: every ranking, and what was rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rocov2_eval.metrics import main_outputs
from rocov2_eval.pages.charts import (
    Range,
    interval_mark,
    interval_plot,
    narrow_interval_plot,
    p_text,
    rank_stability,
    significance_matrix,
    span,
)
from rocov2_eval.pages.disclosure import public_findings
from rocov2_eval.pages.rendering import policy_of, render, resource
from rocov2_eval.pages.tables import (
    FACET_TITLES,
    TASK_TITLES,
    Cell,
    Fault,
    Row,
    Table,
    cells_of,
    faults_of,
    range_of,
    signatures_of,
    title_of,
)
from rocov2_eval.ranking import Board, Rejection
from rocov2_eval.significance import trials_needed

RUNS_IN_MATRIX = 60  # rows and columns that can be told apart, and no page of megabytes
_RUNS_IN_BREAKDOWN = 10  # columns that stand beside each other; the others are on the pages of the runs


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a run stands against the others, in words for those who do not see the picture.

    Attributes:
        label: Team and run.
        better, worse: Runs that it is significantly better and worse than.
        gap: Its lead over the next run, empty for the last.
    """

    label: str
    better: int
    worse: int
    gap: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """What the front page shows of a board."""

    board: Board
    key: str
    title: str
    outputs: tuple[str, ...]
    marks: tuple[Markup, ...]
    pictures: Mapping[str, Markup]
    comparisons: tuple[Comparison, ...]
    breakdowns: tuple[Table, ...]
    signatures: tuple[str, ...]

    @property
    def trials_needed(self) -> int:
        """Return how many trials the smallest possible p-value needs to survive the correction."""
        return trials_needed(len(self.board.standings), self.board.options.alpha)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A submission that was not scored, as the front page shows it."""

    team: str
    run: str
    faults: tuple[Fault, ...]
    kept_back: int


def index_page(boards: Sequence[Board], rejections: Sequence[Rejection], *, title: str, private: bool) -> str:
    """Return the front page of a leaderboard: all rankings, and what was rejected."""
    sections = [_section(board, f"board-{i}", private=private) for i, board in enumerate(boards, start=1)]
    failed = [_failed(item, private=private) for item in rejections]
    script = Markup(resource("page.js"))  # noqa: S704  our own file
    policy = policy_of(script=script)
    return render(
        "index.html",
        title=title,
        private=private,
        script=script,
        policy=policy,
        sections=sections,
        failed=failed,
        runs_in_breakdown=_RUNS_IN_BREAKDOWN,
        runs_in_matrix=RUNS_IN_MATRIX,
    )


def _section(board: Board, key: str, *, private: bool) -> Section:
    ranges = [range_of(standing.entry.name, standing.result) for standing in board.standings]
    ends = span(ranges)
    return Section(
        board=board,
        key=key,
        title=TASK_TITLES[board.task],
        outputs=tuple(
            name for name in main_outputs(board.standings[0].entry.report.metrics) if name != board.primary
        ),
        marks=tuple(interval_mark(item, ends) for item in ranges),
        pictures=_pictures(board, ranges, key),
        comparisons=tuple(_comparisons(board)),
        breakdowns=tuple(_board_breakdowns(board, private=private)),
        signatures=signatures_of(board.standings[0].entry.report),
    )


def _pictures(board: Board, ranges: Sequence[Range], key: str) -> dict[str, Markup]:
    """Return the pictures of a board; those that compare runs need two."""
    labels = [standing.entry.name for standing in board.standings]
    score = title_of(board.primary)
    each = f"{score} of each run"
    pictures = {
        "intervals": interval_plot(ranges, title=each, key=f"{key}-intervals"),
        "narrow": narrow_interval_plot(ranges, title=each, key=f"{key}-narrow"),
    }
    if len(labels) > 1:
        first = board.standings[:RUNS_IN_MATRIX]
        k = len(first)
        pictures["stability"] = rank_stability(
            labels[:k],
            np.array([standing.shares[:k] for standing in first]),
            [(min(standing.low_rank, k), min(standing.high_rank, k)) for standing in first],
            title=f"Share of the resamples in which a run takes a rank by {score}",
            key=f"{key}-stability",
        )
        pictures["significance"] = significance_matrix(
            labels[:k],
            board.tests.difference[:k, :k],
            board.tests.p_holm[:k, :k],
            board.options.alpha,
            title=f"Which run is significantly better than which by {score}",
            key=f"{key}-significance",
        )
    return pictures


def _comparisons(board: Board) -> list[Comparison]:
    tests = board.tests
    is_shown = tests.p_holm < board.options.alpha
    rows = []
    for i, standing in enumerate(board.standings):
        gap = ""
        if i + 1 < len(board.standings):
            lead, low, high = (float(table[i + 1, i]) for table in (tests.difference, tests.low, tests.high))
            gap = f"{lead:+.4f} [{low:+.4f}, {high:+.4f}], {p_text(float(tests.p_holm[i, i + 1]))}"
        better = int((is_shown[i] & (tests.difference[i] < 0)).sum())
        worse = int((is_shown[i] & (tests.difference[i] > 0)).sum())
        rows.append(Comparison(label=standing.entry.name, better=better, worse=worse, gap=gap))
    return rows


def _board_breakdowns(board: Board, *, private: bool) -> list[Table]:
    """Return a table for each facet: groups by the best runs, primary score."""
    reports = [standing.entry.report for standing in board.standings[:_RUNS_IN_BREAKDOWN]]
    header = tuple(standing.entry.name for standing in board.standings[:_RUNS_IN_BREAKDOWN])
    tables = []
    for facet, groups in reports[0].breakdowns.items():
        columns = [cells_of(report.breakdowns.get(facet, ()), board.primary, private) for report in reports]
        nothing = Cell(result=None, is_withheld=False)
        rows = tuple(
            Row(
                name=group.name,
                images=group.images,
                cells=tuple(column.get(group.name, nothing) for column in columns),
            )
            for group in groups
        )
        tables.append(Table(title=FACET_TITLES.get(facet, facet), header=header, rows=rows))
    return tables


def _failed(item: Rejection, *, private: bool) -> Failed:
    found = list(item.findings) if private else public_findings(item.findings)
    return Failed(
        team=item.team,
        run=item.run,
        faults=faults_of(found, private=private),
        kept_back=len(item.findings) - len(found),
    )
