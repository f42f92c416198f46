"""A small article, its picture, and the tables of a build that takes them."""

from __future__ import annotations

import struct
import zlib

PICTURE_NAME = "a.png"
TABLES = """
[images]
min_side = 8
[radiology]
filter = "off"
[concepts]
table = "concepts.csv"
names = "cui_names.csv"
min_images = 1
[split]
shares = { train = "rest" }
[package]
held_out = ""
parquet = false
"""


def png(width: int = 96, height: int = 80, seed: int = 0) -> bytes:
    """Return a picture with something to see in it."""
    rows = b"".join(
        b"\0" + bytes((x * (seed + 3) + y * (2 * seed + 1)) % 251 for x in range(width))
        for y in range(height)
    )
    return _png(width, height, zlib.compress(rows))


def bomb() -> bytes:
    """Return a picture of few bytes that would be 3.6 gigapixels."""
    return _png(60000, 60000, zlib.compress(b"\0" * 60001))


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def article(
    prolog: str = "",
    caption: str = "Axial image of the chest of an adult patient.",
    *,
    meta: str = "",
    beside: str = "",
) -> bytes:
    """Return an article of one figure; `meta` stands in its article-meta, `beside` after its graphic."""
    return (
        f'{prolog}<article article-type="case-report" xmlns:xlink="http://www.w3.org/1999/xlink"'
        ' xmlns:ali="http://www.niso.org/schemas/ali/1.0/">'
        f"<front><article-meta>{meta}</article-meta></front>"
        f'<body><fig id="f"><caption><p>{caption}</p></caption>'
        f'<graphic xlink:href="{PICTURE_NAME}"/>{beside}</fig></body></article>'
    ).encode()
