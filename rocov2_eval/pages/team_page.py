"""The page of one team: its runs, its best run, and its ranks over time and by two truths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rocov2_eval.pages.disclosure import public_board
from rocov2_eval.pages.front_page import Section, changes_of, history_pictures, section_of
from rocov2_eval.pages.run_page import web_links
from rocov2_eval.pages.tables import faults_of, page
from rocov2_eval.ranking import Board, Rejection, SetAside, Standing, history
from rocov2_eval.rendering import html

_UP = "../"  # from the page of a team to the front page


@dataclass(frozen=True, kw_only=True)
class Step:
    """A change of the rank or of the best score of a team.

    Attributes:
        submitted_at: Time of the upload that changed it.
        run: Run of the team that was uploaded; empty for an upload of another team.
        rank: Rank among the teams since then.
        best: Best primary score of the team since then.
    """

    submitted_at: datetime
    run: str
    rank: int
    best: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What the page shows of a board.

    Attributes:
        section: The board.
        best: The best run of the team.
        standings: The runs of the team, ordered by score.
        n_ranked_teams: Number of teams with a rank.
        history: Every change of the rank or best score of the team.
    """

    section: Section
    best: Standing
    standings: tuple[Standing, ...]
    n_ranked_teams: int
    history: tuple[Step, ...]


def team_page(
    team: str,
    boards: Sequence[Board],
    rejections: Sequence[Rejection],
    set_aside: Sequence[SetAside],
    *,
    private: bool,
    truth_retired: bool = False,
) -> str:
    """Return the page of one team.

    Args:
        team: Name of the team's folder; a board has a run of it.
        boards: The rankings; see `disclosure.public_board` for what is shown of them.
        rejections: The submissions of all teams that were not scored.
        set_aside: The submissions of all teams that are withdrawn or disqualified.
        private: For the organisers.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
    """
    is_whole = private or truth_retired
    shown = boards if is_whole else [public_board(board) for board in boards]
    keyed = {f"board-{i}": board for i, board in enumerate(shown, start=1)}
    parts = [part for key, board in keyed.items() if (part := _part(team, board, key))]
    changes = [
        replace(
            change,
            teams=tuple(item for item in change.teams if item.team == team),
            runs=tuple(item for item in change.runs if item.team == team),
        )
        for change in changes_of(shown)
    ]
    found: dict[str, str] = {}
    for part in parts:
        for standing in (part.best, *part.standings):
            found = web_links(standing.entry.metadata) | found
    return page(
        "team.html",
        title=parts[0].best.entry.display_name,
        private=private,
        truth_retired=truth_retired,
        is_whole=is_whole,
        script=html.resource("rocov2_eval.pages", "page.js"),
        home=f"{_UP}index.html",
        up=_UP,
        team=team,
        links=tuple(found.items()),
        parts=parts,
        changes=[change for change in changes if change.teams],
        rejections=[
            (item, faults_of(item.findings, private=private)) for item in rejections if item.team == team
        ],
        set_aside=[item for item in set_aside if item.team == team],
    )


def _part(team: str, board: Board, key: str) -> Part | None:
    """Return what the page shows of a board; None where the team has no run on it."""
    standings = tuple(item for item in board.standings if item.entry.team == team)
    if not standings:
        return None
    steps = tuple(_steps(team, board))
    return Part(
        section=section_of(board, key, history_pictures(board, key, team) if steps else {}),
        best=next(item for item in standings if item.is_best_of_team),
        standings=standings,
        n_ranked_teams=sum(item.team_rank is not None for item in board.standings),
        history=steps,
    )


def _steps(team: str, board: Board) -> list[Step]:
    steps: list[Step] = []
    for event in history(board):
        place = next((place for place in event.teams if place.team == team), None)
        last = steps[-1] if steps else None
        if place and (last is None or (last.rank, last.best) != (place.rank, place.best)):
            run = event.run if event.team == team else ""
            time = event.submitted_at
            steps.append(Step(submitted_at=time, run=run, rank=place.rank, best=place.best))
    return steps
