"""Write a leaderboard to a folder: pages, JSON, CSV, Markdown, LaTeX."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from rocov2_eval.errors import UsageFault
from rocov2_eval.images import ImageFolder, read_image
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.leaderboard.document import board_document
from rocov2_eval.leaderboard.submissions import load_run
from rocov2_eval.pages import index_page, run_page, team_page
from rocov2_eval.pages.disclosure import public_board
from rocov2_eval.pages.tables import run_page_path, team_page_path
from rocov2_eval.ranking import Board, Standing
from rocov2_eval.rendering.render import to_csv, to_json, to_latex, to_markdown
from rocov2_eval.shelf.files import write_bytes, write_text
from rocov2_eval.shelf.folders import publishing, settle
from rocov2_eval.shelf.parsing import Malformed, json_of, read_plain
from rocov2_eval.validation import read_run
from rocov2_eval.worst_images import WorstImage, worst_images

MARK = "leaderboard.json"  # by this file a folder is known to be a site of ours
_IMAGES = "images"
_OURS = re.compile(
    r"index\.html|leaderboard\.(json|csv|md|tex)|teams/[^/]+\.html|(runs|hidden)/[^/]+/[^/]+\.html"
    r"|images/[^/]+\.(jpe?g|png)",
    re.IGNORECASE,
)
_UP = "../.."  # from the page of a run to the front page


def require_site_folder(site: Path, submissions: Path) -> None:
    """Finish what a killed process left of a site, and refuse a folder in which writing one could do harm.

    Raises:
        UsageFault: It lies among the submissions, or holds files that are not a site of ours.
    """
    inside = site.resolve()
    if inside == submissions.resolve() or submissions.resolve() in inside.parents:
        raise UsageFault(f"--out {site} lies among the submissions: name a folder outside {submissions}")
    settle(site)
    seen = [path.name for path in site.iterdir()] if site.is_dir() else []
    if MARK not in seen and any(not name.startswith(".") for name in seen):  # hidden ones, as .git, may stay
        raise UsageFault(f"--out {site} is not empty and holds no {MARK} of an earlier board")


def holds_ranking(site: Path) -> bool:
    """Tell whether a folder is a site that shows a ranking."""
    try:
        document = json_of(read_plain(site / MARK))
    except (OSError, Malformed):
        return False
    return isinstance(document, dict) and bool(document.get("boards"))


def write_site(
    leaderboard: Leaderboard,
    site: Path,
    *,
    title: str,
    private: bool,
    truth_retired: bool = False,
    images: Path | None = None,
) -> None:
    """Write every file of a site; it takes the place of an earlier one when all of it is there.

    Args:
        leaderboard: What to show.
        site: Folder; see `require_site_folder`. What is not of a site stays in it.
        title: Heading of the front page.
        private: For the organisers: with everything that is known.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
        images: Folder of the images, for a private site.

    Raises:
        UsageFault: Another process is writing the site.
    """
    if not (private or truth_retired):
        leaderboard = replace(leaderboard, boards=tuple(map(public_board, leaderboard.boards)))
    with publishing(site, lambda name: _OURS.fullmatch(name) is not None) as folder:
        _write_pages(
            leaderboard, folder, title=title, private=private, truth_retired=truth_retired, images=images
        )


def _write_pages(
    leaderboard: Leaderboard,
    site: Path,
    *,
    title: str,
    private: bool,
    truth_retired: bool,
    images: Path | None,
) -> None:
    is_whole = private or truth_retired
    document = board_document(leaderboard, title=title, private=private, truth_retired=truth_retired)
    files = {MARK: to_json, "leaderboard.csv": to_csv, "leaderboard.md": to_markdown}
    files["leaderboard.tex"] = to_latex
    for name, written in files.items():
        write_text(site / name, written(document))
    for board in leaderboard.boards:
        for standing in board.standings:
            worst = _worst(leaderboard, board, standing) if is_whole else ()
            pictures = _copied_pictures(worst, board.split, images, site / _IMAGES) if images else {}
            page = run_page(
                standing.entry.report,
                title=standing.entry.label,
                private=private,
                truth_retired=truth_retired,
                board=board,
                standing=standing,
                worst=worst,
                names=leaderboard.truths[board.truth, board.task].names,
                picture={image_id: f"{_UP}/{_IMAGES}/{path.name}" for image_id, path in pictures.items()}.get,
                site=_UP,
            )
            write_text(site / run_page_path(standing, board.truth), page)
    listed = (leaderboard.boards, leaderboard.rejections, leaderboard.set_aside)
    for team in sorted({item.entry.team for board in leaderboard.boards for item in board.standings}):
        page = team_page(team, *listed, private=private, truth_retired=truth_retired)
        write_text(site / team_page_path(team), page)
    front = index_page(
        *listed,
        title=title,
        private=private,
        truth_retired=truth_retired,
        deadline=leaderboard.rules.deadline,
        most_runs=leaderboard.rules.most_runs,
        files=tuple(files),
    )
    write_text(site / "index.html", front)


def _worst(leaderboard: Leaderboard, board: Board, standing: Standing) -> tuple[WorstImage, ...]:
    source = load_run(leaderboard.submissions[standing.entry.name], split=board.split)
    table = read_run(source, leaderboard.edition, board.task)
    truth = leaderboard.truths[board.truth, board.task]
    return worst_images(standing.entry.report, table, truth, board.primary)


def _copied_pictures(
    worst: tuple[WorstImage, ...], split: str | None, images: Path, target: Path
) -> dict[str, Path]:
    """Copy the pictures that a page shows, those that are there; return the copies by image id."""
    copies = {}
    folder = ImageFolder(path=images, split=split)
    for item in worst:
        source = folder.find(item.image_id)
        if source is not None:
            copies[item.image_id] = target / source.name
            write_bytes(copies[item.image_id], read_image(source))
    return copies
