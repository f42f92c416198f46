"""Panels of a figure: where they are in its picture, what they are called, and how they are cut out.

A panel is named as its file with the fragment of a region, `g01.jpg#xywh=0,0,320,240` (W3C Media Fragments
1.0): whoever has the file can cut the panel out again, and no list of boxes is needed beside the name.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np

from rocov2_eval.shelf.pictures import PixelArray, Unreadable, look, opaque

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Box = tuple[int, int, int, int]  # left, top, width and height in pixels of the upright picture

_FRAGMENT = re.compile(r"#xywh=(\d{1,6}),(\d{1,6}),([1-9]\d{0,5}),([1-9]\d{0,5})")


def panel_name(file: str, box: Box) -> str:
    """Return the name of a panel of a file."""
    return f"{file}#xywh={','.join(map(str, box))}"


def split_name(name: str) -> tuple[str, Box | None]:
    """Return the file and the box that a name stands for; no box for a whole file."""
    file, mark, _ = name.rpartition("#")
    match = _FRAGMENT.fullmatch(name, len(file)) if mark else None
    if match is None:
        return name, None
    left, top, width, height = map(int, match.groups())
    return file, (left, top, width, height)


def upright_pixels(content: bytes) -> PixelArray | Unreadable:
    """Return a picture as RGB, turned as its Exif data ask: what the boxes of panels are measured in."""
    return look(content, lambda image: np.asarray(_upright(image).convert("RGB"), np.uint8))


def cut_out(content: bytes, box: Box) -> bytes | Unreadable:
    """Return a panel as a PNG file, which loses nothing.

    Args:
        content: Bytes of the picture of the figure.
        box: Where the panel is.

    Returns:
        The file, or why there is none: the picture cannot be read, or the box is not within it.
    """

    def cut(image: Picture) -> bytes | Unreadable:
        left, top, width, height = box
        picture = _upright(image)
        if left + width > picture.width or top + height > picture.height:
            return Unreadable(
                detail=f"{picture.width}x{picture.height} pixels, expected the panel {box} within"
            )
        grey = picture.mode in ("1", "L", "LA", "La")
        file = io.BytesIO()
        picture.convert("L" if grey else "RGB").crop((left, top, left + width, top + height)).save(
            file, "PNG", compress_level=1
        )
        return file.getvalue()

    return look(content, cut)


def _upright(image: Picture) -> Picture:
    from PIL import ImageOps

    return opaque(ImageOps.exif_transpose(image))
