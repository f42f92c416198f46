"""The logo of a competition: a slice with a bright spot, and the lines of a caption beneath it."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_SIZE = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS = 8
_GREY = 0  # PNG colour type: one channel
_BLACK, _LUNG, _BODY, _LIGHT, _WHITE = 20, 40, 90, 190, 235
# Ellipses as (x, y, half width, half height, grey), one over the other.
_SLICE = (
    (128, 96, 84, 64, _LIGHT),
    (128, 96, 78, 59, _BODY),
    (92, 96, 26, 40, _LUNG),
    (164, 96, 26, 40, _LUNG),
    (172, 84, 8, 8, _WHITE),
)
# Bars as (top, bottom, left, right).
_CAPTION = ((188, 196, 48, 208), (208, 216, 48, 176))


def logo() -> bytes:
    """Return the logo as a PNG picture, 256 pixels square and grey."""
    y, x = np.mgrid[:_SIZE, :_SIZE]
    picture = np.full((_SIZE, _SIZE), _BLACK, np.uint8)
    for centre_x, centre_y, half_width, half_height, grey in _SLICE:
        picture[np.hypot((x - centre_x) / half_width, (y - centre_y) / half_height) < 1] = grey
    for top, bottom, left, right in _CAPTION:
        picture[top:bottom, left:right] = _LIGHT
    header = struct.pack(">IIBBBBB", _SIZE, _SIZE, _BITS, _GREY, 0, 0, 0)
    rows = np.hstack([np.zeros((_SIZE, 1), np.uint8), picture])  # each row starts with its filter: none
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
