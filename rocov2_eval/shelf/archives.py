"""Zip archives that are the same bytes for the same files, on every machine."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping

# What zipfile raises on archives that are damaged, encrypted, or packed in a way that it does not know.
UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
)
_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format can say
_UNIX = 3
_READABLE = 0o100644 << 16


def add_file(archive: zipfile.ZipFile, name: str, content: bytes, *, compress: bool) -> None:
    """Add a file to an archive that is open for writing, without date and owner."""
    member = zipfile.ZipInfo(name, _NO_DATE)
    member.create_system = _UNIX
    member.external_attr = _READABLE
    member.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    archive.writestr(member, content)


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files by name; what is a wheel, and so compressed already, is stored as it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            add_file(archive, name, content, compress=not name.endswith(".whl"))
    return buffer.getvalue()
