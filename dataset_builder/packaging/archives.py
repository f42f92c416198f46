"""Write the zip archives of a dataset: the same bytes for the same files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rocov2_eval.shelf.archives import add_file


class Archive:
    """A zip archive in the making. Nothing is compressed: JPEG does not shrink, and zlibs differ."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def add(self, name: str, content: bytes) -> None:
        """Add a file."""
        add_file(self._file, name, content, compress=False)


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
