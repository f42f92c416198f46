"""The page of one run as one file, pictures included."""

from __future__ import annotations

import base64
from pathlib import Path

from rocov2_eval.formats import Table
from rocov2_eval.leaderboard.site import find_image
from rocov2_eval.pages import run_page
from rocov2_eval.scoring import Report
from rocov2_eval.truth import Truth
from rocov2_eval.worst_images import worst_images

_MOST_PICTURE_BYTES = 1 << 22  # a figure of a few megapixels; larger ones would make the page hard to send
_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


def report_page(
    report: Report, run: Table, truth: Truth, *, title: str, private: bool, images: Path | None
) -> str:
    """Return the page of a run that needs no other file.

    Args:
        report: Its scores.
        run: Its rows.
        truth: What it was scored against.
        title: Heading of the page.
        private: With the truth and the worst images.
        images: Folder of the images; None for the folder of the truth.
    """
    folder = images or Path(truth.table.path).parent
    main = next(iter(report.metrics))

    def picture(image_id: str) -> str | None:
        path = find_image(folder, image_id, truth.split)
        return _inlined(path) if path else None

    return run_page(
        report,
        title=title,
        private=private,
        worst=worst_images(report, run, truth, main) if private else (),
        picture=picture,
    )


def _inlined(path: Path) -> str | None:
    """Return a picture as an address that holds it, None for one too large to send around."""
    if path.stat().st_size > _MOST_PICTURE_BYTES:
        return None
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:image/{_KINDS[path.suffix]};base64,{content}"
