"""DICOM files into pictures: what a viewer would show, and nothing of the header."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_dicom import PATIENT, dicom
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless

from dataset_builder.own_images.dicom import BURNT_IN, frame_as_png, is_dicom, read_facts
from rocov2_eval.errors import RejectedInput

RAMP = np.array([[0, 100], [200, 1000]], np.int16)


def shown(content: bytes, frame: int = 1) -> list[Any]:
    return np.asarray(Image.open(io.BytesIO(frame_as_png(content, frame)))).tolist()


def test_without_a_window_the_whole_range_is_shown() -> None:
    assert shown(dicom(RAMP)) == [[0, 26], [51, 255]]


def test_the_first_window_of_several_decides() -> None:
    content = dicom(RAMP, WindowCenter=[100, 500], WindowWidth=[201, 1000])
    assert shown(content) == [[1, 128], [255, 255]]


@pytest.mark.parametrize(
    ("function", "expected"), [("LINEAR_EXACT", [[0, 128], [255, 255]]), ("SIGMOID", [[30, 128], [225, 255]])]
)
def test_a_window_has_the_function_that_the_file_names(function: str, expected: list[list[int]]) -> None:
    assert shown(dicom(RAMP, WindowCenter=100, WindowWidth=200, VOILUTFunction=function)) == expected


def test_a_window_is_of_rescaled_values() -> None:
    content = dicom(RAMP, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=-800, WindowWidth=401)
    assert shown(content) == [[0, 128], [255, 255]]


def test_a_window_without_width_is_none() -> None:
    assert shown(dicom(RAMP, WindowCenter=100, WindowWidth=0)) == shown(dicom(RAMP))
    assert shown(dicom(RAMP, WindowCenter="", WindowWidth="", RescaleSlope="")) == shown(dicom(RAMP))


def test_a_file_without_preamble_is_read_by_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "old.DCM"
    path.write_bytes(dicom(RAMP)[132:])
    assert is_dicom(path)
    assert shown(path.read_bytes()) == shown(dicom(RAMP))


def test_a_voi_lut_goes_before_a_window() -> None:
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [4, 0, 8])
    lut.add_new("LUTData", "US", [10, 20, 30, 40])
    pixels = np.array([[0, 1], [2, 3]], np.uint16)
    assert shown(dicom(pixels, VOILUTSequence=Sequence([lut]), WindowCenter=1, WindowWidth=1)) == [
        [10, 20],
        [30, 40],
    ]


def test_monochrome1_is_white_where_values_are_low_and_padding_stays_black() -> None:
    pixels = np.array([[0, 100], [200, 999]], np.uint16)
    content = dicom(pixels, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=999)
    assert shown(content) == [[255, 128], [0, 0]]


def test_colours_are_kept_and_yellow_of_ybr_becomes_rgb() -> None:
    pixels = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    assert shown(dicom(pixels)) == pixels.tolist()
    grey = np.array([[[77, 128, 128], [200, 128, 128]]], np.uint8)
    assert shown(dicom(grey, PhotometricInterpretation="YBR_FULL")) == [[[77] * 3, [200] * 3]]


def test_a_palette_gives_the_colours() -> None:
    palette = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, low in (("Red", 0), ("Green", 100), ("Blue", 200))
        for part, value in (
            ("Descriptor", [2, 0, 16]),
            ("Data", np.array([low << 8, (low + 50) << 8], np.uint16).tobytes()),
        )
    }
    pixels = np.array([[0, 1]], np.uint8)
    content = dicom(pixels, PhotometricInterpretation="PALETTE COLOR", **palette)
    assert shown(content) == [[[0, 100, 200], [50, 150, 250]]]


def test_each_frame_can_be_asked_for_and_one_more_is_refused() -> None:
    content = dicom(np.array([[[0, 9]], [[9, 0]]], np.uint8), NumberOfFrames=2)
    assert [shown(content, 1), shown(content, 2)] == [[[0, 255]], [[255, 0]]]
    with pytest.raises(RejectedInput, match="frame 3, the file has 2"):
        frame_as_png(content, 3)


def test_an_enhanced_file_has_a_window_for_each_frame() -> None:
    groups = []
    for centre in (100, 300):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 201
        group.FrameVOILUTSequence = Sequence([window])
        groups.append(group)
    content = dicom(
        np.array([[[100, 300]], [[100, 300]]], np.uint16),
        NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=Sequence(groups),
    )
    assert [shown(content, 1), shown(content, 2)] == [[[128, 255]], [[0, 128]]]


def test_a_missing_decoder_is_told_with_what_to_install() -> None:
    content = dicom(RAMP, syntax=JPEGLSLossless)
    with pytest.raises(RejectedInput, match=r"JPEG-LS .* not installed: pip install pyjpegls"):
        frame_as_png(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no picture in it"),
        (b"\0" * 128 + b"DICM" + b"\xff" * 40, "no "),
        (dicom(RAMP)[:-4], "damaged"),
        (dicom(RAMP, Rows=60000, Columns=60000), "more than 89,478,485 pixels"),
        (dicom(RAMP)[:200], "no "),
    ],
)
def test_a_broken_file_is_told(content: bytes, message: str) -> None:
    with pytest.raises(RejectedInput, match=message):
        frame_as_png(content)


def test_burnt_in_text_and_overlays_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(dicom(RAMP, BurnedInAnnotation="YES"))
    assert is_dicom(path)
    assert read_facts(path).warnings == (BURNT_IN,)


def test_nothing_of_the_header_is_in_the_picture() -> None:
    content = dicom(RAMP)
    assert PATIENT.encode() in content
    with Image.open(io.BytesIO(frame_as_png(content))) as picture:
        assert (picture.info, picture.getexif()) == ({}, {})
    assert PATIENT.encode() not in frame_as_png(content)
