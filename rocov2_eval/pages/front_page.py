"""The front page of a leaderboard: every ranking, and what was rejected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from markupsafe import Markup

from rocov2_eval.metrics import main_outputs
from rocov2_eval.pages.charts import (
    history_chart,
    interval_mark,
    interval_plot,
    narrow_interval_plot,
    p_text,
    rank_change_chart,
    rank_stability,
    significance_matrix,
    span,
)
from rocov2_eval.pages.disclosure import public_board
from rocov2_eval.pages.tables import (
    TASK_TITLES,
    Breakdown,
    board_title,
    breakdown,
    faults_of,
    page,
    signatures_of,
    title_of,
)
from rocov2_eval.ranking import (
    Board,
    RankChange,
    Rejection,
    SetAside,
    Standing,
    history,
    rank_changes,
    untested_note,
)
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
        best: The best run of each team; empty where no team has several runs.
        n_teams: Number of teams.
        last_upload: Time of the last upload; None where no time is known.
        marks: Picture of the interval of each run, by `team/run`.
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
    best: tuple[Standing, ...]
    n_teams: int
    last_upload: datetime | None
    marks: Mapping[str, Markup]
    pictures: Mapping[str, Markup]
    comparisons: tuple[Comparison, ...]
    breakdowns: tuple[Breakdown, ...]
    signatures: tuple[str, ...]
    untested: str | None

    @property
    def has_unranked(self) -> bool:
        """Whether the board shows runs without a rank."""
        return any(standing.rank is None for standing in self.board.standings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """The ranks of one task by two truths.

    Attributes:
        key: Part of the ids in the HTML.
        title: What is shown.
        teams: Ranks of teams.
        runs: Ranks of runs.
        picture: Ranks of teams side by side.
    """

    key: str
    title: str
    teams: tuple[RankChange, ...]
    runs: tuple[RankChange, ...]
    picture: Markup


def index_page(
    boards: Sequence[Board],
    rejections: Sequence[Rejection],
    set_aside: Sequence[SetAside] = (),
    *,
    title: str,
    private: bool,
    truth_retired: bool = False,
    deadline: datetime | None = None,
    most_runs: int | None = None,
    files: Sequence[str] = (),
) -> str:
    """Return the front page of a leaderboard: all rankings, and what was rejected.

    Args:
        boards: The rankings; see `disclosure.public_board` for what is shown of them.
        rejections: The submissions that were not scored.
        set_aside: The submissions that are withdrawn or disqualified.
        title: Heading of the page.
        private: For the organisers.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
        deadline: Last time of an upload that counts; None for no deadline.
        most_runs: Runs of a team that count in each task; None for any number.
        files: Names of the files beside the page.
    """
    shown = boards if private or truth_retired else [public_board(board) for board in boards]
    return page(
        "index.html",
        title=title,
        private=private,
        truth_retired=truth_retired,
        script=html.resource("rocov2_eval.pages", "page.js"),
        deadline=deadline,
        most_runs=most_runs,
        files=files,
        sections=[
            section_of(board, f"board-{i}", pictures_of(board, f"board-{i}"))
            for i, board in enumerate(shown, start=1)
        ],
        changes=changes_of(shown),
        rejections=[(item, faults_of(item.findings, private=private)) for item in rejections],
        set_aside=set_aside,
        runs_in_breakdown=_RUNS_IN_BREAKDOWN,
        runs_in_matrix=RUNS_IN_MATRIX,
    )


def section_of(board: Board, key: str, pictures: Mapping[str, Markup]) -> Section:
    """Return what pages show of a board; `pictures` are those of `pictures_of`, or none."""
    report = board.standings[0].entry.report
    ends = span(standing.result for standing in board.standings)
    best = tuple(standing for standing in board.standings if standing.is_best_of_team)
    times = (standing.entry.submitted_at for standing in board.standings)
    return Section(
        board=board,
        key=key,
        title=board_title(board),
        best=best if len(best) < len(board.standings) else (),
        n_teams=len(best),
        last_upload=max((time for time in times if time is not None), default=None),
        outputs=tuple(name for name in main_outputs(report.metrics) if name != board.primary),
        marks={standing.entry.name: interval_mark(standing.result, ends) for standing in board.standings},
        pictures=pictures,
        comparisons=tuple(_comparisons(board, board.tests) if board.tests and board.tests.trials else ()),
        breakdowns=tuple(_breakdown(board, facet) for facet in report.breakdowns),
        signatures=signatures_of(report),
        untested=untested_note(board),
    )


def changes_of(boards: Sequence[Board]) -> list[Changes]:
    """Return the change of ranks of each task that two truths rank."""
    found = []
    for task, items in rank_changes(boards).items():
        teams = tuple(item for item in items if not item.run)
        if teams:
            title = f"{TASK_TITLES[task]}: ranks by two truths"
            key = f"changes-{task}"
            picture = rank_change_chart(teams, title=title, key=f"{key}-picture")
            runs = tuple(item for item in items if item.run)
            found.append(Changes(key=key, title=title, teams=teams, runs=runs, picture=picture))
    return found


def history_pictures(board: Board, key: str, team: str = "") -> dict[str, Markup]:
    """Return the places of the teams over time for both screens, that of one team apart.

    There is no picture where no time of an upload is known.
    """
    events = history(board)
    if not events:
        return {}
    names = {standing.entry.team: standing.entry.display_name for standing in board.standings}
    title = f"Places of the teams by {title_of(board.primary)}, by the time of upload"
    return {
        f"history{end}": history_chart(
            events, names, title=title, key=f"{key}-history{end}", team=team, is_narrow=bool(end)
        )
        for end in ("", "_narrow")
    }


def pictures_of(board: Board, key: str) -> dict[str, Markup]:
    """Return the pictures of a board; those that compare runs need two."""
    results = {standing.entry.label: standing.result for standing in board.standings}
    score = title_of(board.primary)
    title = f"{score} of each run"
    pictures = {
        "intervals": interval_plot(results, title=title, key=f"{key}-intervals"),
        "narrow": narrow_interval_plot(results, title=title, key=f"{key}-narrow"),
    }
    pictures |= history_pictures(board, key)
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
    labels = [standing.entry.label for standing, _, _ in ranked]
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
        rows.append(Comparison(label=standing.entry.label, better=better, worse=worse, gap=gap))
    return rows


def _breakdown(board: Board, facet: str) -> Breakdown:
    """Return groups by the best runs, primary score."""
    entries = [standing.entry for standing in board.standings[:_RUNS_IN_BREAKDOWN]]
    columns = {entry.label: entry.report.breakdowns.get(facet, ()) for entry in entries}
    return breakdown(facet, columns, [board.primary] * len(columns), marks=False)
