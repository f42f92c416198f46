from __future__ import annotations

import io
import re
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.pictures import PixelArray, Unreadable, read_pixels


def saved(image: Image.Image, style: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, style, **options)
    return buffer.getvalue()


def pixels_of(content: bytes, side: int | None = None) -> PixelArray:
    found = read_pixels(content, side)
    assert not isinstance(found, Unreadable), found.detail
    return found


def noise(width: int = 60, height: int = 50) -> Image.Image:
    levels = np.random.default_rng(4).integers(0, 256, (height, width, 3))
    return Image.fromarray(levels.astype(np.uint8))


def test_a_picture_comes_as_rgb_rows_first() -> None:
    image = noise()
    assert np.array_equal(np.asarray(image), pixels_of(saved(image)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_every_mode_comes_with_three_channels(mode: str) -> None:
    image = noise().convert(mode)
    style = "TIFF" if mode == "CMYK" else "PNG"
    assert np.array_equal(np.asarray(image.convert("RGB")), pixels_of(saved(image, style)))


def test_what_is_transparent_is_white() -> None:
    image = Image.new("RGBA", (4, 3), (200, 0, 0, 0))
    assert pixels_of(saved(image)).tolist() == [[[255] * 3] * 4] * 3


def test_sixteen_bits_are_stretched_and_not_cut_off() -> None:
    levels = np.array([[1000, 1500], [2000, 3000]], np.uint16)
    found = pixels_of(saved(Image.fromarray(levels), "TIFF"))
    assert found[:, :, 0].tolist() == [[0, 63], [127, 255]]


def test_a_jpeg_is_read_small_but_never_below_the_side() -> None:
    content = saved(noise(900, 640), "JPEG")
    assert pixels_of(content, 300).shape == (320, 450, 3)
    assert pixels_of(content, 600).shape == (640, 900, 3)


def test_other_formats_are_read_in_full_whatever_the_side() -> None:
    assert pixels_of(saved(noise(900, 640)), 100).shape == (640, 900, 3)


@pytest.mark.parametrize("style", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("side", [None, 1])
def test_a_truncated_image_is_unreadable(style: str, side: int | None) -> None:
    content = saved(noise(), style)
    assert isinstance(read_pixels(content[: len(content) // 2], side), Unreadable)


@pytest.mark.parametrize("content", [b"", b"no image", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_unreadable(content: bytes) -> None:
    assert Unreadable(detail="no image of a known format") == read_pixels(content)


def test_a_decompression_bomb_is_unreadable_and_never_decoded() -> None:
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    assert Unreadable(detail="10000x10000 is more than 89,478,485 pixels") == read_pixels(content)


def test_without_pillow_the_message_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingResource, match=re.escape(install_command("builder"))):
        read_pixels(b"")
