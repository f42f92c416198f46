"""Write a leaderboard to a folder: pages, JSON, CSV, Markdown, LaTeX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rocov2_eval.errors import UsageFault
from rocov2_eval.images import ImageFolder, read_image
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.leaderboard.document import board_document
from rocov2_eval.leaderboard.submissions import load_run
from rocov2_eval.pages import index_page, run_page
from rocov2_eval.pages.disclosure import public_board
from rocov2_eval.ranking import Board, Standing
from rocov2_eval.rendering.render import to_csv, to_json, to_latex, to_markdown
from rocov2_eval.shelf.files import write_bytes, write_text
from rocov2_eval.validation import read_run
from rocov2_eval.worst_images import WorstImage, worst_images

MARK = "leaderboard.json"  # by this file a folder is known to be a site of ours
_IMAGES = "images"
_UP = "../.."  # from the page of a run to the front page


def require_site_folder(site: Path, submissions: Path) -> None:
    """Refuse a folder in which writing a site could do harm.

    Raises:
        UsageFault: It lies among the submissions, or holds files that are not a site of ours.
    """
    inside = site.resolve()
    if inside == submissions.resolve() or submissions.resolve() in inside.parents:
        raise UsageFault(f"--out {site} lies among the submissions: name a folder outside {submissions}")
    if site.exists() and not site.is_dir():
        raise UsageFault(f"--out {site} is a file: name a folder")
    if site.is_dir() and any(site.iterdir()) and not (site / MARK).is_file():
        raise UsageFault(f"--out {site} is not empty and holds no {MARK} of an earlier board")


def write_site(
    leaderboard: Leaderboard,
    site: Path,
    *,
    title: str,
    private: bool,
    truth_retired: bool = False,
    images: Path | None = None,
) -> None:
    """Write every file of a site, and remove the pages of runs that are no more.

    Args:
        leaderboard: What to show.
        site: Folder; see `require_site_folder`.
        title: Heading of the front page.
        private: For the organisers: with everything that is known.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
        images: Folder of the images, for a private site.
    """
    site.mkdir(parents=True, exist_ok=True)
    is_whole = private or truth_retired
    if not is_whole:
        leaderboard = replace(leaderboard, boards=tuple(map(public_board, leaderboard.boards)))
    document = board_document(leaderboard, title=title, private=private, truth_retired=truth_retired)
    # First, so that a site of which half was written is known again by the next try.
    write_text(site / MARK, to_json(document))
    write_text(site / "leaderboard.csv", to_csv(document))
    write_text(site / "leaderboard.md", to_markdown(document))
    write_text(site / "leaderboard.tex", to_latex(document))
    keep = set()
    for board in leaderboard.boards:
        for standing in board.standings:
            worst = _worst(leaderboard, board, standing) if is_whole else ()
            pictures = _copied_pictures(worst, board.split, images, site / _IMAGES) if images else {}
            page = run_page(
                standing.entry.report,
                title=standing.entry.name,
                private=private,
                truth_retired=truth_retired,
                board=board,
                standing=standing,
                worst=worst,
                picture={image_id: f"{_UP}/{_IMAGES}/{path.name}" for image_id, path in pictures.items()}.get,
                home=f"{_UP}/index.html",
            )
            path = site / "runs" / standing.entry.team / f"{standing.entry.run}.html"
            write_text(path, page)
            keep |= {path, *pictures.values()}
    _remove_others(site / "runs", keep)
    _remove_others(site / _IMAGES, keep)  # an earlier site may have been private
    front = index_page(
        leaderboard.boards,
        leaderboard.rejections,
        title=title,
        private=private,
        truth_retired=truth_retired,
    )
    write_text(site / "index.html", front)


def _worst(leaderboard: Leaderboard, board: Board, standing: Standing) -> tuple[WorstImage, ...]:
    source = load_run(leaderboard.submissions[standing.entry.name], split=board.split)
    table = read_run(source, leaderboard.edition, board.task)
    return worst_images(standing.entry.report, table, leaderboard.truths[board.task], board.primary)


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


def _remove_others(folder: Path, keep: set[Path]) -> None:
    """Remove pages and pictures that were not written this time, and folders that are empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            _remove_empty(path)
        elif path not in keep and path.suffix in {".html", ".jpg", ".jpeg", ".png"}:
            path.unlink()
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
