"""Zip archives, the same bytes for the same files on every machine; and files that are no table, by name."""

from __future__ import annotations

import io
import zipfile
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Mapping

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
_CLUTTER = {".ds_store", "thumbs.db", "desktop.ini"}  # what file managers leave behind
_SAVE = "save the sheet as 'CSV UTF-8' and use that file"
_UNPACK = "unpack it and use the file in it"
# How files begin that people hand in for tables, and what to do with each.
_BEGINNINGS: Mapping[bytes, str] = {
    b"\xd0\xcf\x11\xe0": f"an Excel workbook (.xls) or another file of Office: {_SAVE}",
    b"PAR1": "a Parquet file: rename it to .parquet",
    b"ARROW1": "an Arrow or Feather file: rename it to .arrow or .feather",
    b"\x1f\x8b": f"a gzip archive: {_UNPACK}",
    b"BZh": f"a bzip2 archive: {_UNPACK}",
    b"\xfd7zXZ\x00": f"an xz archive: {_UNPACK}",
    b"\x28\xb5\x2f\xfd": f"a zstd archive: {_UNPACK}",
    b"7z\xbc\xaf": f"a 7-Zip archive: {_UNPACK}",
    b"Rar!": f"a RAR archive: {_UNPACK}",
    b"\x80": "a Python pickle: write the table with to_csv",
    b"\x93NUMPY": "a NumPy array: write ids and answers as CSV",
    b"\x89HDF": "an HDF5 file: write the table as CSV",
    b"SQLite format 3\x00": "an SQLite database: write the table as CSV",
    b"RDX": "an R data file: write the table with write.csv(…, row.names = FALSE)",
    b"X\n\x00": "an R data file: write the table with write.csv(…, row.names = FALSE)",
    b"%PDF": "a PDF document: write its table as CSV",
    b"\x89PNG": "a PNG image, expected a table of ids and answers",
    b"\xff\xd8\xff": "a JPEG image, expected a table of ids and answers",
}
_SHOWN = 1 << 16
_MOST_CONTROLS = 100  # of so many bytes of a text may one be a control character


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


def is_clutter(name: str) -> bool:
    """Tell whether a file manager left a file behind, by its name within an archive or a folder."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1].lower() in _CLUTTER


def office_kind(names: Iterable[str]) -> str | None:
    """Return what an archive of these files is where a program of an office wrote it, and what to do."""
    held = set(names)
    if any(name.startswith("xl/") for name in held):
        return f"an Excel workbook (.xlsx): {_SAVE}"
    if any(name.startswith("word/") for name in held):
        return "a Word document (.docx): write its table as CSV"
    if {"mimetype", "content.xml"} <= held:
        return f"a LibreOffice sheet or text (.ods, .odt): {_SAVE}"
    if any(name.startswith("Index/") and name.endswith(".iwa") for name in held):
        return f"a Numbers sheet: {_SAVE}"
    if held and all(name.endswith(".npy") for name in held):
        return "NumPy arrays (.npz): write ids and answers as CSV"
    return None


def is_tar(content: bytes) -> bool:
    """Tell whether bytes begin as those of a tar archive, or as a text with five letters in their place."""
    return content[257:262] == b"ustar"


def foreign_kind(content: bytes) -> str | None:
    """Return what bytes are that are no text, and what to do; None where they may be text."""
    for beginning, kind in _BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    if is_tar(content):
        return f"a tar archive: {_UNPACK}"
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return None
    shown = content[:_SHOWN]
    controls = sum(map(shown.count, map(bytes, ([code] for code in (*range(9), *range(14, 27))))))
    if controls * _MOST_CONTROLS > len(shown):
        return "a binary file: write ids and answers as CSV"
    return None
