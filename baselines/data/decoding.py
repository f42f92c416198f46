"""Decode one picture file into a square of uint8 RGB; damaged files and bombs are told, never raised."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rocov2_eval.shelf.words import shorten

PixelArray = npt.NDArray[np.uint8]
Fit = Literal["letterbox", "squash"]

MOST_PIXELS = 89_478_485  # a quarter of a gigabyte as RGB; more is taken for a decompression bomb
_FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")  # none that starts another program, as EPS does
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A picture that cannot be decoded.

    Attributes:
        detail: What is wrong with it.
    """

    detail: str


def decode(content: bytes, side: int, fit: Fit) -> PixelArray | Broken:
    """Return the first frame of a picture file, upright, shape (side, side, 3).

    What is transparent counts as white. Levels of more than 8 bits are stretched to 0 to 255.

    Args:
        content: The file.
        side: In pixels. A JPEG at least twice as large is decoded at a half, a quarter or an eighth of its
            size, which saves most of the time.
        fit: `letterbox` keeps the proportions and the whole picture, centred on black. `squash` fills the
            square.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about sizes that are checked here and about odd metadata
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    return Broken(detail=f"{image.width}x{image.height} is more than {MOST_PIXELS:,} pixels")
                image.draft(None, (side, side))
                image.load()
                picture = _as_rgb(_upright(image))
            return np.asarray(_fitted(picture, side, fit), np.uint8)
        except Image.DecompressionBombError:
            return Broken(detail=f"more than {MOST_PIXELS:,} pixels")
        except _DAMAGED as error:
            # Pillow names the buffer that we made, which says nothing to anybody.
            text = "no picture of a known format" if isinstance(error, UnidentifiedImageError) else str(error)
            return Broken(detail=shorten(text or type(error).__name__, 100))


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture turned as its Exif data asks; data that cannot be read ask for nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # a conversion would cut off what is beyond 8 bits
        return _stretched(image).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    levels = np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0)
    low, high = float(levels.min()), float(levels.max())
    return Image.fromarray(((levels - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def _fitted(picture: Image.Image, side: int, fit: Fit) -> Image.Image:
    """Return the picture as a square.

    Both ways are those of the builder's image filters (`rocov2.resize` of a model file), so that a network
    trained on packed pictures sees there what it saw here.
    """
    if fit == "squash":
        return picture.resize((side, side), Image.Resampling.BILINEAR)
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    canvas = Image.new("RGB", (side, side))
    inner = picture.resize((width, height), Image.Resampling.BILINEAR)
    canvas.paste(inner, ((side - width) // 2, (side - height) // 2))
    return canvas
