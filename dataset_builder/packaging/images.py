"""Make the public file of an image: a JPEG that shows the picture and tells nothing else.

A plain JPEG loses its metadata and keeps its picture bit by bit; anything else is decoded and saved anew.
Metadata are what gives an article away: file names, captions and PMCIDs stand in them, and thumbnails show
what was cropped.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.pictures import Unreadable, is_deep, look, opaque

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

QUALITY = 95
_START = b"\xff\xd8"
_END = b"\xff\xd9"
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"  # 1.01, square pixels, no thumbnail
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"  # version 100, no flags; the transform follows
_SMALLEST_JFIF, _SMALLEST_ADOBE = 14, 12  # bytes that a decoder takes for these markers
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)  # in a scan: no stuffed byte, no restart
_QUANTISATION, _HUFFMAN, _RESTART_INTERVAL, _SCAN, _COMMENT = 0xDB, 0xC4, 0xDD, 0xDA, 0xFE
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive, all of them with Huffman codes
_APP0, _EXIF, _ADOBE_APP, _LAST_APP = 0xE0, 0xE1, 0xEE, 0xEF
_ORIENTATION = 0x0112
_COLOURS = 3
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


@dataclass(frozen=True, kw_only=True)
class _Segment:
    """A marker of a JPEG file with what follows it.

    Attributes:
        marker: The second byte of the marker.
        body: What the length counts, without the length itself.
        scan: The coded data after a start of scan, empty for other markers.
    """

    marker: int
    body: bytes
    scan: bytes = b""


def public_jpeg(content: bytes) -> bytes:
    """Return an image file as a JPEG without metadata.

    The picture of a JPEG in grey or three colours that stands upright is not touched. Anything else is
    decoded, turned upright, laid on white where it is transparent, spread over 8 bits where it has more, and
    saved at quality 95; of an animation, the first picture.

    Raises:
        RejectedInput: It is no image of a known format, is damaged, or has too many pixels.
        MissingResource: Pillow is not installed.
    """
    plain = _without_metadata(content)
    if plain is not None:
        return plain
    saved = look(content, _saved_anew)
    if isinstance(saved, Unreadable):
        raise RejectedInput(f"the image cannot be read: {saved.detail}")
    public = _without_metadata(saved)
    assert public is not None, "what was saved is a plain JPEG"
    return public


def _without_metadata(content: bytes) -> bytes | None:
    """Return a JPEG with the segments that its picture needs; None for one that must be decoded."""
    segments = _segments(content)
    if segments is None:
        return None
    frames = [segment.body for segment in segments if segment.marker in _FRAMES]
    if len(frames) != 1 or not any(segment.marker == _SCAN for segment in segments):
        return None
    depth, height, components = frames[0][0], frames[0][1:3], frames[0][5]
    if depth != 8 or height == b"\0\0" or components not in (1, _COLOURS) or _is_turned(segments):  # noqa: PLR2004
        return None
    tables = (_QUANTISATION, _HUFFMAN, _RESTART_INTERVAL, _SCAN, *_FRAMES)
    parts = [_START, *_colour_markers(segments, components)]
    parts += [_bytes(segment) for segment in segments if segment.marker in tables]
    return b"".join([*parts, _END])


def _segments(content: bytes) -> list[_Segment] | None:
    """Return the segments up to the end of the image; None for what is no JPEG of a usual build."""
    if not content.startswith(_START):
        return None
    usual = (_QUANTISATION, _HUFFMAN, _RESTART_INTERVAL, _SCAN, _COMMENT, *_FRAMES)
    segments: list[_Segment] = []
    place = len(_START)
    while match := _MARKER.match(content, place):
        marker, place = match[1][0], match.end()
        if marker == _END[1]:
            return segments
        length = int.from_bytes(content[place : place + 2])
        body = content[place + 2 : place + length]
        is_short = len(body) != length - 2 or (marker in _FRAMES and len(body) < 6)  # noqa: PLR2004
        if is_short or not (marker in usual or _APP0 <= marker <= _LAST_APP):
            return None
        place += length
        scan = b""
        if marker == _SCAN:
            after = _MARKER.search(content, place)
            if after is None:
                return None
            scan, place = content[place : after.start()], after.start()
        segments.append(_Segment(marker=marker, body=body, scan=scan))
    return None


def _is_turned(segments: list[_Segment]) -> bool:
    """Tell whether Exif asks for the picture to be turned or mirrored."""
    from PIL import Image

    for segment in segments:
        if segment.marker == _EXIF and segment.body.startswith(b"Exif\0\0"):
            exif = Image.Exif()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about Exif that is damaged, which turns nothing
                try:
                    exif.load(segment.body)
                    turn = exif.get(_ORIENTATION, 1)
                except _DAMAGED:
                    continue
            if turn in range(2, 9):
                return True
    return False


def _colour_markers(segments: list[_Segment], components: int) -> list[bytes]:
    """Return the markers that tell a decoder how three components are colours, without anything else."""
    markers = []
    if any(
        segment.marker == _APP0 and segment.body.startswith(b"JFIF\0") and len(segment.body) >= _SMALLEST_JFIF
        for segment in segments
    ):
        markers.append(_JFIF)
    transforms = [
        segment.body[11:12]
        for segment in segments
        if segment.marker == _ADOBE_APP
        and segment.body.startswith(b"Adobe")
        and len(segment.body) >= _SMALLEST_ADOBE
    ]
    if transforms and components == _COLOURS:
        markers.append(_ADOBE + transforms[-1])
    return markers


def _bytes(segment: _Segment) -> bytes:
    length = (len(segment.body) + 2).to_bytes(2)
    return b"\xff" + bytes([segment.marker]) + length + segment.body + segment.scan


def _saved_anew(image: Picture) -> bytes:
    """Return a decoded picture as a JPEG, upright."""
    from PIL import ImageOps

    grey = image.mode in ("1", "L", "LA", "La") or is_deep(image)
    picture = opaque(ImageOps.exif_transpose(image)).convert("L" if grey else "RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue()
