"""Small DICOM files of our own making: any pixels, any attributes, and a patient who must never get out."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

PATIENT = "Doe^Jane"
_COLOURS = 3


def dicom(pixels: npt.NDArray[Any], *, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """Return a file of pixels, shape (height, width[, 3]), or of several with a leading axis.

    Args:
        pixels: Unsigned or signed whole numbers of 8, 16 or 32 bits; `NumberOfFrames` tells a leading axis.
        syntax: Transfer syntax that the file names; the pixels are written as they are.
        attributes: DICOM attributes by keyword, such as `WindowCenter=40`.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    first = pixels[0] if "NumberOfFrames" in attributes else pixels
    bits = 8 * pixels.dtype.itemsize
    is_colour = first.ndim == _COLOURS
    values = {
        "PatientName": PATIENT,
        "PatientID": "4711",
        "Rows": first.shape[0],
        "Columns": first.shape[1],
        "SamplesPerPixel": _COLOURS if is_colour else 1,
        "PhotometricInterpretation": "RGB" if is_colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if is_colour else {}),
        **attributes,
    }
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    if meta.TransferSyntaxUID.is_encapsulated:
        from pydicom.encaps import encapsulate

        dataset.PixelData = encapsulate([dataset.PixelData])
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
