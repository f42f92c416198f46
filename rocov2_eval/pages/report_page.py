"""The page of one run as one file, pictures included: for whoever has the truth."""

from __future__ import annotations

import base64
from pathlib import Path, PurePosixPath

from rocov2_eval.formats import Table
from rocov2_eval.pages.run_page import run_page
from rocov2_eval.scoring import Report
from rocov2_eval.truth import Truth
from rocov2_eval.worst_images import worst_images

_MOST_PICTURE_BYTES = 1 << 22  # a figure of a few megapixels; larger ones would make the page hard to send
_KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


def report_page(report: Report, run: Table, truth: Truth, *, title: str, images: Path | None = None) -> str:
    """Return the page of a run that needs no other file; it holds the truth.

    Args:
        report: The scores of the run.
        run: The rows of the run.
        truth: What the run was scored against.
        title: Heading of the page.
        images: Folder of the images; None for the folder of the truth.
    """
    folder = images or Path(truth.table.path).parent

    def picture(image_id: str) -> str | None:
        path = find_image(folder, image_id, truth.split)
        return _address(path) if path else None

    worst = worst_images(report, run, truth, next(iter(report.metrics)))
    return run_page(report, title=title, private=True, worst=worst, picture=picture)


def find_image(folder: Path, image_id: str, split: str | None = None) -> Path | None:
    """Return the file of an image in a folder, None where it has none or the id is no file name."""
    if not image_id or PurePosixPath(image_id).name != image_id or image_id.startswith("."):
        return None
    places = [folder / split, folder] if split else [folder]
    candidates = (place / f"{image_id}{suffix}" for place in places for suffix in _KINDS)
    return next((path for path in candidates if path.is_file()), None)


def _address(path: Path) -> str | None:
    """Return a picture as an address that holds it, None for one too large to send around."""
    if path.stat().st_size > _MOST_PICTURE_BYTES:
        return None
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:image/{_KINDS[path.suffix]};base64,{content}"
