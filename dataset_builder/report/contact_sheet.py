"""A page of the figures that a filter was least sure of, for a person to look at.

It shows figures that were dropped and held-out ones too: it stays with the build and goes into no dataset.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataset_builder.gates import share_text
from rocov2_eval.rendering import html
from rocov2_eval.shelf.pictures import Unreadable, look, opaque

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_PACKAGE = "dataset_builder.report"
_SIDE = 180  # pixels of the longer side of a picture on the page


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A figure on the sheet.

    Attributes:
        pmcid: PMCID of its article.
        file: Name of its file, as the overrides name it.
        score: What the filter gave it.
        detail: Why it was dropped; empty for a figure that was kept.
        content: Bytes of its file.
    """

    pmcid: str
    file: str
    score: float
    detail: str
    content: bytes

    def line(self, decision: str) -> str:
        """Return a row of the overrides."""
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow((self.pmcid, self.file, decision))
        return row.getvalue()


def contact_sheet(
    stage: str, who: str, dropped: Sequence[Shown], kept: Sequence[Shown], *, n_dropped: int, taken: int
) -> str:
    """Return the sheet as one page of HTML that needs nothing but itself.

    Args:
        stage: Name of the filter's stage, which is its table in build.toml too.
        who: Who decided, in words.
        dropped: Figures that were dropped, the nearest to the threshold first.
        kept: Figures that were kept, the nearest to the threshold first.
        n_dropped: Number of all figures that the stage dropped.
        taken: Number of all figures that it took.
    """
    return html.page(
        html.environment(_PACKAGE),
        "contact_sheet.html",
        title=f"Figures nearest to the threshold of the {stage} filter",
        private=True,
        style=html.resource(_PACKAGE, "contact_sheet.css"),
        picture_sources="data:",
        stage=stage,
        who=who,
        sides=[
            (
                "Dropped",
                "keep",
                [(figure, figure.line("keep"), thumbnail(figure.content)) for figure in dropped],
            ),
            (
                "Kept",
                "drop",
                [(figure, figure.line("drop"), thumbnail(figure.content)) for figure in kept],
            ),
        ],
        n_dropped=n_dropped,
        taken=taken,
        share=share_text(n_dropped / taken) if taken else "",
    )


def thumbnail(content: bytes) -> str:
    """Return a small copy of a picture as the address of an `img`; empty where it cannot be read."""

    def small(image: Picture) -> bytes:
        picture = opaque(image).convert("RGB")
        picture.thumbnail((_SIDE, _SIDE))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=80)
        return file.getvalue()

    jpeg = look(content, small, _SIDE)
    return "" if isinstance(jpeg, Unreadable) else f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
