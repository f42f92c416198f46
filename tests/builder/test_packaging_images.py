from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dataset_builder.packaging import public_jpeg
from rocov2_eval.errors import RejectedInput

from made_contents import picture

SECRET = b"PMC1234567"


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def same_pixels(left: bytes, right: bytes) -> bool:
    one, other = opened(left), opened(right)
    return one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other))


def markers(content: bytes) -> set[int]:
    """Return the application and comment markers up to the first scan, walked by their lengths."""
    found, place = set(), 2
    while content[place + 1] != 0xDA:
        marker = content[place + 1]
        if marker >= 0xE0:
            found.add(marker)
        place += 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
    return found


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body


def telling() -> bytes:
    """Return a JPEG with Exif and thumbnail, XMP, IPTC, an ICC profile, a comment, and data after its end."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = picture(1, mode="RGB", exif=exif, icc_profile=profile, comment=SECRET, progressive=True)
    more = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET) + segment(
        0xED, b"Photoshop 3.0\0" + SECRET
    )
    more += segment(0xE0, b"JFXX\0\x10" + picture(2)) + segment(0xE2, SECRET)
    return plain[:2] + more + plain[2:] + SECRET


def test_metadata_of_every_kind_are_gone() -> None:
    assert markers(public_jpeg(telling())) == {0xE0}


def test_the_coded_data_are_copied_bit_by_bit() -> None:
    content = picture(3, comment=SECRET)
    assert (
        content[content.index(b"\xff\xda") :]
        == public_jpeg(content)[public_jpeg(content).index(b"\xff\xda") :]
    )


def test_what_is_public_already_stays_as_it_is() -> None:
    once = public_jpeg(telling())
    assert once == public_jpeg(once)


@pytest.mark.parametrize("transform", [0, 1])
def test_the_marker_that_decides_colours_is_kept_without_the_rest_of_it(transform: int) -> None:
    plain = public_jpeg(picture(4, mode="RGB", subsampling=0))
    start = 2 + 18  # without the JFIF segment
    adobe = segment(0xEE, b"Adobe\0\x64\x80\0\0\0" + bytes([transform]) + SECRET)
    content = plain[:2] + adobe + plain[start:]
    public = public_jpeg(content)
    assert markers(public) == {0xEE}
    assert SECRET not in public
    assert same_pixels(content, public)


def test_metadata_between_the_scans_of_a_progressive_file_are_gone() -> None:
    plain = public_jpeg(picture(5, mode="RGB", progressive=True))
    second = plain.index(b"\xff\xda", plain.index(b"\xff\xda") + 2)
    huffman = plain.rfind(b"\xff\xc4", 0, second)
    content = plain[:huffman] + segment(0xFE, SECRET) + plain[huffman:]
    assert plain == public_jpeg(content)


def test_a_turned_picture_is_set_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    content = picture(6, exif=exif)
    upright = np.asarray(opened(content)).T[:, ::-1].astype(int)
    assert np.abs(np.asarray(opened(public_jpeg(content))).astype(int) - upright).max() < 12


def test_exif_that_asks_for_nothing_costs_no_quality() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    content = picture(6, exif=exif)
    assert same_pixels(content, public_jpeg(content))


def test_damaged_exif_turns_nothing() -> None:
    plain = picture(6)
    content = plain[:2] + segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff") + plain[2:]
    assert same_pixels(plain, public_jpeg(content))


@pytest.mark.parametrize(
    ("style", "mode", "options", "expected"),
    [
        ("PNG", "RGB", {}, "RGB"),
        ("PNG", "L", {}, "L"),
        ("PNG", "P", {}, "RGB"),
        ("GIF", "P", {"comment": SECRET}, "RGB"),
        ("TIFF", "L", {"description": SECRET.decode()}, "L"),
        ("JPEG", "CMYK", {"comment": SECRET}, "RGB"),
        ("WEBP", "RGB", {}, "RGB"),
    ],
)
def test_other_formats_become_jpeg_without_metadata(
    style: str, mode: str, options: dict[str, Any], expected: str
) -> None:
    public = public_jpeg(picture(7, style, "RGB" if mode == "P" else mode, **options))
    image = opened(public)
    assert (image.format, image.mode, image.size) == ("JPEG", expected, (64, 48))
    assert SECRET not in public
    assert markers(public) <= {0xE0}


def test_a_picture_with_16_bits_keeps_its_range() -> None:
    levels = np.linspace(1000, 3000, 64 * 48).reshape(48, 64).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "TIFF")
    public = np.asarray(opened(public_jpeg(buffer.getvalue())))
    assert (public.min() < 5, public.max() > 250) == (True, True)


def test_what_is_transparent_becomes_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(buffer, "PNG")
    assert np.asarray(opened(public_jpeg(buffer.getvalue()))).min() >= 254


@pytest.mark.parametrize(
    "content", [b"", b"no image", picture(9)[:200], b"\xff\xd8\xff\xd9"], ids=["empty", "text", "cut", "bare"]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(RejectedInput, match="the image cannot be read"):
        public_jpeg(content)


@given(st.integers(2, 400), st.binary(min_size=1, max_size=6))
def test_whatever_is_done_to_a_file_the_answer_is_a_plain_jpeg_or_a_refusal(place: int, junk: bytes) -> None:
    content = picture(10)
    content = content[:place] + junk + content[place + len(junk) :]
    try:
        public = public_jpeg(content)
    except RejectedInput:
        return
    assert (public[:2], public[-2:]) == (b"\xff\xd8", b"\xff\xd9")
    assert markers(public) <= {0xE0, 0xEE}


@given(st.binary(max_size=80), st.sampled_from([0xE1, 0xE2, 0xED, 0xEC, 0xFE]))
def test_no_segment_of_metadata_moves_a_byte(body: bytes, marker: int) -> None:
    plain = public_jpeg(picture(11))
    if not body.startswith(b"Exif"):
        assert plain == public_jpeg(plain[:2] + segment(marker, body) + plain[2:])


def test_real_images_keep_their_pixels_or_are_converted(shared: Path) -> None:
    paths = sorted((shared / "data/images/files").iterdir())[::60]
    assert len(paths) > 20
    for path in paths:
        content = path.read_bytes()
        public = public_jpeg(content)
        assert markers(public) <= {0xE0, 0xEE}
        if path.suffix == ".jpg" and opened(content).mode in ("L", "RGB"):
            assert same_pixels(content, public), path.name
