"""Write zip archives that are the same bytes for the same files, on every machine."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format can say
_UNIX = 3
_READABLE = 0o100644 << 16


class Archive:
    """A zip archive in the making. Nothing is compressed: JPEG does not shrink, and zlibs differ."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def add(self, name: str, content: bytes) -> None:
        """Add a file."""
        member = zipfile.ZipInfo(name, _NO_DATE)
        member.create_system = _UNIX
        member.external_attr = _READABLE
        member.compress_type = zipfile.ZIP_STORED
        self._file.writestr(member, content)


@contextmanager
def new_archive(path: Path) -> Iterator[Archive]:
    """Open an archive for writing; it is complete when the context ends."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        yield Archive(file)


def zip_folder(folder: Path, path: Path) -> None:
    """Write the files of a folder into an archive, sorted by name."""
    with new_archive(path) as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file.name, file.read_bytes())
