"""Files of image vectors: an archive of numpy with one array an image, as the organisers hand them out."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rocov2_eval.batching import Float32Array
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.archives import zip_bytes
from rocov2_eval.shelf.files import file_digest, write_bytes
from rocov2_eval.shelf.words import short_id, shorten

# What numpy raises on a file that is no archive of arrays, or one that would have to be unpickled.
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
)


def read_vectors(path: Path, image_ids: Sequence[str]) -> Float32Array:
    """Return the vectors of images, shape (n, width), each scaled to Euclidean length 1.

    Raises:
        UsageFault: The file is no archive of arrays, lacks an image, or an array is no vector of the width
            of the others. Pickled objects are refused, since loading them could run what is in them.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            _refuse_other_ids(path, archive.files, image_ids)
            rows = [np.squeeze(archive[image_id]) for image_id in image_ids]
    except _DAMAGED as error:  # AttributeError and TypeError: an array alone is no archive
        raise UsageFault(
            f"{path}: not an archive of image vectors ({error}), expected an .npz with one array per "
            "image id, such as `rocov2-eval embed-images DIR -o vectors.npz` writes"
        ) from None
    return _unit_rows(path, image_ids, rows)


def write_vectors(path: Path, vectors: Mapping[str, Float32Array]) -> None:
    """Write the vectors of images by id, in one step; the same vectors make the same bytes."""
    files = {}
    for image_id, vector in vectors.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(vector, np.float32), allow_pickle=False)
        files[f"{image_id}.npy"] = buffer.getvalue()
    write_bytes(path, zip_bytes(files))


def vectors_identity(path: Path) -> str:
    """Return the name of a file of vectors and the first 12 hexadecimal digits of its SHA-256."""
    return f"{path.name}@{file_digest(path)[:12]}"


def _refuse_other_ids(path: Path, known: Sequence[str], image_ids: Sequence[str]) -> None:
    there = set(known)
    lacking = [image_id for image_id in image_ids if image_id not in there]
    if lacking:
        example = f"it contains ids such as {shorten(known[0], 60)}" if known else "it is empty"
        raise UsageFault(
            f"{path}: {len(lacking):,} of {len(image_ids):,} images have no vector, such as "
            f"{shorten(lacking[0], 60)}; {example}: use the file of this split"
        )


def _unit_rows(path: Path, image_ids: Sequence[str], rows: Sequence[np.ndarray]) -> Float32Array:
    """Check the arrays of images, and return them as rows of Euclidean length 1."""
    width = rows[0].shape
    for image_id, row in zip(image_ids, rows, strict=True):
        if row.ndim != 1 or row.shape != width or row.dtype.kind != "f":
            found = f"{row.dtype} of shape {list(row.shape)}"
            raise UsageFault(
                f"{path}: {short_id(image_id)} is {found}, expected {width[0] if width else 1024} floats"
            )
        norm = float(np.linalg.norm(row.astype(np.float64)))
        if not np.isfinite(norm) or norm == 0:
            raise UsageFault(f"{path}: the vector of {short_id(image_id)} is zero or not finite")
    vectors = np.stack(rows).astype(np.float64)
    unit: Float32Array = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
