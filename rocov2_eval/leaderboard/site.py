"""Write a leaderboard to a folder: pages, JSON, CSV, Markdown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from rocov2_eval.errors import UsageFault
from rocov2_eval.leaderboard.board import Leaderboard
from rocov2_eval.leaderboard.documents import board_csv, board_document, board_markdown
from rocov2_eval.leaderboard.submissions import load_run
from rocov2_eval.pages import index_page, run_page
from rocov2_eval.ranking import Board, Standing
from rocov2_eval.rendering.render import json_text
from rocov2_eval.shelf.files import write_text
from rocov2_eval.validation import read_run
from rocov2_eval.worst_images import WorstImage, worst_images

MARK = "leaderboard.json"  # by this file a folder is known to be a site of ours
_IMAGES = "images"
_SUFFIXES = (".jpg", ".jpeg", ".png")
_UP = PurePosixPath("../..")  # from the page of a run to the front page


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
    leaderboard: Leaderboard, site: Path, *, title: str, private: bool, images: Path | None = None
) -> None:
    """Write every file of a site, and remove the pages of runs that are no more.

    Args:
        leaderboard: What to show.
        site: Folder; see `require_site_folder`.
        title: Heading of the front page.
        private: With the truth, the worst images and the findings about the truth.
        images: Folder of the images, `<ID>.jpg` or `<split>/<ID>.jpg`, for a private site.
    """
    site.mkdir(parents=True, exist_ok=True)
    # First, so that a site of which half was written is known again by the next try.
    document = board_document(leaderboard, title=title, private=private)
    write_text(site / MARK, json_text(document))
    write_text(site / "leaderboard.csv", board_csv(leaderboard, private=private))
    write_text(site / "leaderboard.md", board_markdown(leaderboard, title=title, private=private))
    pictures = _Pictures(site, images) if private and images else None
    find = pictures.find if pictures else None
    written = set()
    for board in leaderboard.boards:
        for standing in board.standings:
            path = site / "runs" / standing.entry.team / f"{standing.entry.run}.html"
            write_text(path, _page(leaderboard, board, standing, private=private, picture=find))
            written.add(path)
    _remove_others(site / "runs", written)
    if pictures is None:
        shutil.rmtree(site / _IMAGES, ignore_errors=True)  # an earlier site may have been private
    else:
        pictures.remove_others()
    front = index_page(leaderboard.boards, leaderboard.rejections, title=title, private=private)
    write_text(site / "index.html", front)


def find_image(folder: Path, image_id: str, split: str | None = None) -> Path | None:
    """Return the file of an image in a folder, None where it has none or the id is no file name."""
    if not image_id or PurePosixPath(image_id).name != image_id or image_id.startswith("."):
        return None
    places = [folder / split, folder] if split else [folder]
    candidates = (place / f"{image_id}{suffix}" for place in places for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


class _Pictures:
    """Copies of the images that private pages show, each once."""

    def __init__(self, site: Path, images: Path) -> None:
        self._folder = site / _IMAGES
        self._images = images
        self._kept: set[Path] = set()

    def find(self, image_id: str, split: str | None) -> str | None:
        """Return the address of an image from the page of a run."""
        source = find_image(self._images, image_id, split)
        if source is None:
            return None
        target = self._folder / source.name
        if target not in self._kept:
            self._folder.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
            self._kept.add(target)
        return str(_UP / _IMAGES / target.name)

    def remove_others(self) -> None:
        """Remove the pictures of an earlier site that no page shows any more."""
        for path in self._folder.glob("*"):
            if path not in self._kept:
                path.unlink()


def _page(
    leaderboard: Leaderboard,
    board: Board,
    standing: Standing,
    *,
    private: bool,
    picture: Callable[[str, str | None], str | None] | None,
) -> str:
    entry = standing.entry
    return run_page(
        entry.report,
        title=entry.name,
        private=private,
        board=board,
        standing=standing,
        worst=_worst(leaderboard, board, standing) if private else (),
        picture=(lambda image_id: picture(image_id, board.split)) if picture else None,
        home=str(_UP / "index.html"),
    )


def _worst(leaderboard: Leaderboard, board: Board, standing: Standing) -> tuple[WorstImage, ...]:
    truth = leaderboard.truths[board.task]
    source = load_run(leaderboard.submissions[standing.entry.name], split=board.split)
    table = read_run(source, leaderboard.edition, board.task)
    return worst_images(standing.entry.report, table, truth, board.primary)


def _remove_others(folder: Path, written: set[Path]) -> None:
    """Remove pages that were not written this time, and folders that are empty then."""
    for path in sorted(_below(folder), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.suffix == ".html" and path not in written:
            path.unlink()


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *names))
