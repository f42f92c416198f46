"""Read picture files from folders and from zip archives.

A path may go through an archive, `train_images.zip/train/a.jpg`, so that both are named in the same way.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.words import shorten

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp")
_MOST_BYTES = 1 << 28  # of a picture file


def read_picture(path: Path) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        RejectedInput: The file cannot be read, or is larger than 256 MiB.
    """
    archive = _archive_of(path)
    try:
        with path.open("rb") if archive is None else _opened(archive).open(_member(path, archive)) as file:
            content = file.read(_MOST_BYTES + 1)
    except UNREADABLE as error:
        raise RejectedInput(f"{path}: cannot be read: {error}") from None
    if len(content) > _MOST_BYTES:
        raise RejectedInput(f"{path}: more than {_MOST_BYTES:,} bytes")
    return content


def stamp(path: Path) -> str:
    """Return what tells a changed picture file without reading it: size and time, in an archive size and CRC.

    Raises:
        RejectedInput: There is no such file.
    """
    archive = _archive_of(path)
    if archive is not None:
        member = _member(path, archive)
        return f"{member.file_size}-{member.CRC:08x}"
    try:
        facts = path.stat()
    except OSError as error:
        raise RejectedInput(f"{path}: cannot be read: {error.strerror}") from None
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def close_archives() -> None:
    """Close the archives that were opened on the way; a replaced one is then opened anew."""
    _opened.cache_clear()


def _archive_of(path: Path) -> Path | None:
    """Return the archive that a path goes through, None for a file of its own."""
    if ".zip" not in path.as_posix():  # spares a look at every parent of every picture
        return None
    return next((parent for parent in path.parents if parent.suffix == ".zip" and parent.is_file()), None)


def _member(path: Path, archive: Path) -> zipfile.ZipInfo:
    name = path.relative_to(archive).as_posix()
    try:
        return _opened(archive).getinfo(name)
    except KeyError:
        raise RejectedInput(f"{archive}: no member {shorten(name)}") from None


@lru_cache(maxsize=4)
def _opened(archive: Path) -> zipfile.ZipFile:
    """Return an archive, opened once for all its pictures."""
    try:
        return zipfile.ZipFile(archive)
    except UNREADABLE as error:
        raise RejectedInput(f"{archive}: cannot be opened: {error}; download it again") from None
