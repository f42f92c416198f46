"""Decode the files of figures safely: damaged files and bombs are told, never raised."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.words import shorten

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PixelArray = npt.NDArray[np.uint8]

UNREADABLE = "image cannot be read"
MOST_PIXELS = 89_478_485  # a quarter of a gigabyte as RGB; more is taken for a decompression bomb
FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")  # none that starts another program, as EPS does
# What Pillow raises on damaged files.
DAMAGED = (
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

_Seen = TypeVar("_Seen")


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """An image that cannot be decoded.

    Attributes:
        detail: What is wrong with the picture, in words.
    """

    detail: str


def look(content: bytes, see: Callable[[Picture], _Seen], side: int | None = None) -> _Seen | Unreadable:
    """Return what `see` makes of the decoded first frame of an image file.

    Truncated files, files that are no image and images of more than `MOST_PIXELS` are unreadable.

    Args:
        content: Bytes of the picture file.
        see: Called while the file is open; what it raises on damaged pixels makes the image unreadable.
        side: A JPEG may be decoded at a half, a quarter or an eighth of its size, as long as no side falls
            below this many pixels; None for the full size. It saves most of the time.

    Raises:
        MissingResource: Pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        message = f"images need Pillow: {install_command('builder')}"
        raise MissingResource(message) from None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about sizes that are checked here and about odd metadata
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    return Unreadable(
                        detail=f"{image.width}x{image.height} is more than {MOST_PIXELS:,} pixels"
                    )
                if side is not None:
                    image.draft(None, (side, side))
                image.load()
                return see(image)
        except Image.DecompressionBombError:
            return Unreadable(detail=f"more than {MOST_PIXELS:,} pixels")
        except DAMAGED as error:
            # Pillow names the buffer that we made, which says nothing to anybody.
            text = "no image of a known format" if isinstance(error, UnidentifiedImageError) else str(error)
            return Unreadable(detail=shorten(text or type(error).__name__, 100))


def read_pixels(content: bytes, side: int | None = None) -> PixelArray | Unreadable:
    """Return an image file as RGB, shape (height, width, 3).

    What is transparent counts as white, and levels of more than 8 bits are stretched to 0 to 255.

    Args:
        content: Bytes of the picture file.
        side: Size in pixels below which no side of a JPEG falls, as in `look`.
    """
    return look(content, _as_rgb, side)


def opaque(image: Picture) -> Picture:
    """Return the picture with at most 8 bits a channel and without transparency."""
    from PIL import Image

    if is_deep(image):
        levels = np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0)
        low, high = float(levels.min()), float(levels.max())
        return Image.fromarray(((levels - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    return image


def is_deep(image: Picture) -> bool:
    """Tell whether the pixels have more than 8 bits, which a conversion to RGB would cut off."""
    return image.mode.startswith(("I", "F"))


def _as_rgb(image: Picture) -> PixelArray:
    return np.asarray(opaque(image).convert("RGB"), np.uint8)
