"""The page of one run as one file, pictures included: for whoever has the truth."""

from __future__ import annotations

import base64
from pathlib import Path

from rocov2_eval.formats import Table
from rocov2_eval.images import ImageFile, ImageFolder, read_image
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
    folder = ImageFolder(path=images or Path(truth.table.path).parent, split=truth.split)

    def picture(image_id: str) -> str | None:
        file = folder.find(image_id)
        return _address(file) if file else None

    worst = worst_images(report, run, truth, next(iter(report.metrics)))
    return run_page(report, title=title, private=True, worst=worst, names=truth.names, picture=picture)


def _address(file: ImageFile) -> str | None:
    """Return a picture as an address that holds it, None for one too large to send around."""
    content = read_image(file)
    if len(content) > _MOST_PICTURE_BYTES:
        return None
    return f"data:image/{_KINDS[file.suffix]};base64,{base64.b64encode(content).decode()}"
