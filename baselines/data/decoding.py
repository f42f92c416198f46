"""Decode a picture file into a square of uint8 RGB, as the image filters of the builder see it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from rocov2_eval.shelf.pictures import DAMAGED, PixelArray, Unreadable, look, opaque

Fit = Literal["letterbox", "squash"]


def decode(content: bytes, side: int, fit: Fit) -> PixelArray | Unreadable:
    """Return the first frame of a picture file, upright, shape (side, side, 3).

    Args:
        content: The bytes of the file.
        side: Height and width of the square in pixels. A JPEG at least twice as large is decoded at a half, a
            quarter or an eighth of its size, which saves most of the time.
        fit: `letterbox` keeps the proportions and the whole picture, centred on black. `squash` fills the
            square.
    """

    def square(image: Image.Image) -> PixelArray:
        return np.asarray(_fitted(opaque(_upright(image)).convert("RGB"), side, fit), np.uint8)

    return look(content, square, side)


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture turned as its Exif data asks; data that cannot be read ask for nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED:
        return image


def _fitted(picture: Image.Image, side: int, fit: Fit) -> Image.Image:
    """Return the picture as a square.

    Both ways are those of the builder's image filters (`rocov2.resize` of a model file), so that a network
    sees the same pixels in training and there.
    """
    if fit == "squash":
        return picture.resize((side, side), Image.Resampling.BILINEAR)
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    canvas = Image.new("RGB", (side, side))
    inner = picture.resize((width, height), Image.Resampling.BILINEAR)
    canvas.paste(inner, ((side - width) // 2, (side - height) // 2))
    return canvas
