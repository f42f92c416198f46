"""DICOM files into pictures: the pixels of one frame as PNG, and nothing of the header.

In the order of the standard (PS3.3 C.11, C.7.6.3): modality LUT or rescale, VOI LUT or window, then the
photometric interpretation. Overlays are not drawn. Without a window the whole range of the pixels is shown.
"""

from __future__ import annotations

import importlib.metadata
import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.records import BoolArray, FloatArray
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.pictures import MOST_PIXELS, PixelArray
from rocov2_eval.shelf.words import shorten

if TYPE_CHECKING:
    from pydicom import Dataset

BURNT_IN = "text may be burnt into the picture"
SUFFIXES = (".dcm", ".dicom", ".ima")
_PREAMBLE = 128
_MAGIC = b"DICM"
_OVERLAYS = range(0x6000, 0x6020, 2)
_OVERLAY_DATA = 0x3000
_COLOURS = 3
# Where the attributes of one frame of an enhanced file stand: per frame, else shared by all.
_FRAME_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_DECODERS = {
    "JPEG 2000": "pip install pylibjpeg pylibjpeg-openjpeg",
    "JPEG-LS": "pip install pyjpegls",
    "JPEG": "pip install python-gdcm (or pylibjpeg pylibjpeg-libjpeg, which is under the GPL)",
}


@dataclass(frozen=True, kw_only=True)
class DicomFacts:
    """What the header of a file says, as far as a build asks.

    Attributes:
        frames: Number of pictures in the file.
        warnings: What a person should look at before the picture is published.
        patient: What the file calls the patient, else the study; it must never leave this machine.
        modality: Code of the modality, such as `CT`.
    """

    frames: int
    warnings: tuple[str, ...]
    patient: str
    modality: str


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, by its first bytes; by its suffix where these are absent, as of old.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_PREAMBLE + len(_MAGIC))
    return head[_PREAMBLE:] == _MAGIC or path.suffix.lower() in SUFFIXES


def read_facts(path: Path) -> DicomFacts:
    """Return what the header of a file says.

    Raises:
        MissingResource: pydicom is not installed.
        RejectedInput: It is no DICOM file, or has no picture.
    """
    with _quiet():
        dataset = _read(path.read_bytes())
        return DicomFacts(
            frames=_frames(dataset),
            warnings=tuple(_warnings(dataset)),
            modality=str(dataset.get("Modality") or ""),
            patient=str(dataset.get("PatientID") or dataset.get("StudyInstanceUID") or ""),
        )


def frame_as_png(content: bytes, frame: int = 1) -> bytes:
    """Return one picture of a DICOM file as PNG: 8 bits, grey or RGB, without metadata.

    Args:
        content: Bytes of the file.
        frame: Number of the picture, from 1.

    Raises:
        MissingResource: pydicom is not installed.
        RejectedInput: The file is damaged, has no such picture, or is compressed in a way that no decoder of
            this machine knows; the message says which to install.
    """
    from PIL import Image

    with _quiet():
        dataset = _read(content)
        if not 1 <= frame <= _frames(dataset):
            raise RejectedInput(f"frame {frame}, the file has {_frames(dataset)}")
        pixels = _decoded(dataset, frame)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _decoded(dataset: Dataset, frame: int) -> PixelArray:
    """Return one frame as it is shown, whatever is wrong with it as a message."""
    try:
        return _shown(dataset, frame)
    except (
        ValueError,
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        OSError,
        NotImplementedError,
    ) as error:
        raise RejectedInput(f"the picture is damaged: {shorten(str(error), 100)}") from None
    except RuntimeError as error:
        reason = shorten(" ".join(str(error).split()), 160)
        raise RejectedInput(f"the picture cannot be decoded: {reason}; {_advice(dataset)}") from None


@cache
def decoders() -> str:
    """Return what decides how files are decoded on this machine: pydicom and the decoders beside it."""
    names = ("pydicom", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-libjpeg", "pyjpegls", "python-gdcm")
    return " ".join(f"{name}={_version(name)}" for name in names)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def _read(content: bytes) -> Dataset:
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError:
        message = f"DICOM cannot be read without pydicom: {install_command('builder')}"
        raise MissingResource(message) from None
    faults = (InvalidDicomError, ValueError, EOFError, OSError, KeyError, AttributeError, TypeError,
              NotImplementedError, RecursionError)  # fmt: skip
    try:
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        has_pixels = "PixelData" in dataset and "Rows" in dataset and "Columns" in dataset
        size = (int(dataset.Columns), int(dataset.Rows), _frames(dataset)) if has_pixels else (0, 0, 0)
    except faults as error:
        raise RejectedInput(f"no DICOM file: {shorten(str(error), 100)}") from None
    if not has_pixels:
        kind = getattr(dataset.get("SOPClassUID", None), "name", "") or "no DICOM file"
        raise RejectedInput(f"no picture in it ({kind}), expected pixel data")
    if size[0] * size[1] > MOST_PIXELS:
        raise RejectedInput(f"{size[0]}x{size[1]} is more than {MOST_PIXELS:,} pixels")
    return dataset


def _frames(dataset: Dataset) -> int:
    return int(dataset.get("NumberOfFrames") or 1)


def _warnings(dataset: Dataset) -> Iterator[str]:
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        yield BURNT_IN
    if any((group, _OVERLAY_DATA) in dataset for group in _OVERLAYS):
        yield "an overlay, which is not drawn"


def _shown(dataset: Dataset, frame: int) -> PixelArray:
    """Return one frame as it is shown: shape (height, width) or (height, width, 3)."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    _require_decoder(dataset)
    pixels = pixel_array(dataset, index=frame - 1)
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip().upper()
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        return (pixels >> (8 * (pixels.dtype.itemsize - 1))).astype(np.uint8)
    if pixels.ndim == _COLOURS:
        stored = int(dataset.get("BitsStored", 8))
        return (pixels >> max(stored - 8, 0)).astype(np.uint8)
    levels = _levels(pixels, _of_frame(dataset, frame), is_inverted=photometric == "MONOCHROME1")
    return np.rint(levels * 255).astype(np.uint8)


def _require_decoder(dataset: Dataset) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    if syntax is None:
        if meta is None:
            from pydicom.dataset import FileMetaDataset

            meta = dataset.file_meta = FileMetaDataset()
        meta.TransferSyntaxUID = "1.2.840.10008.1.2"  # the default of the standard, of files without preamble
        return
    try:
        decoder = get_decoder(syntax) if syntax.is_encapsulated else None
    except (NotImplementedError, ValueError):
        raise RejectedInput(f"compressed as {syntax.name}, which pydicom does not decode") from None
    if decoder is not None and not decoder.is_available:
        message = f"compressed as {syntax.name}, and its decoder is not installed: {_advice(dataset)}"
        raise RejectedInput(message)


def _advice(dataset: Dataset) -> str:
    """Return which command brings a decoder that can read a file; the more special names come first."""
    name = dataset.file_meta.TransferSyntaxUID.name
    return next((command for kind, command in _DECODERS.items() if kind in name), "see the guide of pydicom")


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of values that keep to no standard, of which pydicom warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _of_frame(dataset: Dataset, frame: int) -> Dataset:
    """Return the attributes that say how a frame is shown; of an enhanced file its own go first."""
    from pydicom import Dataset

    found = Dataset()
    for name in ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter",
                 "WindowWidth", "VOILUTFunction", "PixelPaddingValue", "PixelRepresentation"):  # fmt: skip
        if name in dataset and not dataset[name].is_empty:
            found[name] = dataset[name]
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    groups = [*(dataset.get("SharedFunctionalGroupsSequence") or [])[:1], *per_frame[frame - 1 : frame]]
    for group in groups:
        for name in _FRAME_GROUPS:
            for item in (group.get(name) or [])[:1]:
                found.update(item)
    return found


def _levels(pixels: npt.NDArray[Any], how: Dataset, *, is_inverted: bool) -> FloatArray:
    """Return grey levels in [0, 1], shape (height, width); padding is black."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    padding = how.get("PixelPaddingValue")
    is_padding = pixels == padding if isinstance(padding, int) else np.zeros(pixels.shape, np.bool_)
    values = apply_modality_lut(pixels, how)
    if how.get("VOILUTSequence"):
        most = 2 ** int(how.VOILUTSequence[0].LUTDescriptor[2]) - 1
        levels = apply_voi(values.astype(np.int64), how) / most
    else:
        levels = _windowed(np.asarray(values, np.float64), how, ~is_padding)
    levels = np.clip(np.asarray(levels, np.float64), 0, 1)
    if is_inverted:
        levels = 1 - levels
    levels[is_padding] = 0
    return levels


def _windowed(values: FloatArray, how: Dataset, is_seen: BoolArray) -> FloatArray:
    """Return values through the first window (PS3.3 C.11.2.1.2), without one from least to most."""
    centre, width = _first(how.get("WindowCenter")), _first(how.get("WindowWidth"))
    if centre is None or width is None or width <= 0:
        seen = values[is_seen] if is_seen.any() else values
        low, high = float(seen.min()), float(seen.max())
        return (values - low) / max(high - low, 1e-9)
    function = str(how.get("VOILUTFunction", "LINEAR")).upper()
    if function == "SIGMOID":
        return 0.5 * (1 + np.tanh(2 * (values - centre) / width))
    if function == "LINEAR_EXACT" or width <= 1:
        return (values - centre) / width + 0.5
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def _first(value: object) -> float | None:
    """Return the first of several values."""
    if value is None or value == "":
        return None
    first = next(iter(value), None) if isinstance(value, Iterable) and not isinstance(value, str) else value
    number = float(first) if isinstance(first, str | int | float) else None
    return number if number is not None and np.isfinite(number) else None
