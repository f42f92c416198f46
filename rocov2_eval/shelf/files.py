"""Files that are seen whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.streams import READABLE


def write_text(path: Path, text: str) -> None:
    """Write a text file under its final name in one step, so that a half-written file is never seen.

    What no UTF-8 can hold, such as a byte of a file name, is written as its escape.
    """
    write_bytes(path, text.encode("utf-8", READABLE))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under its final name in one step; a device or pipe, such as /dev/stdout, is written to."""
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.write(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(
                path
            )  # a write that fails does not say of which file, and the user knows this one
        raise


def short_path(path: str) -> str:
    """Return a path for readers on other machines; see `short_paths`."""
    return short_paths([path])[0]


def short_paths(paths: Sequence[str]) -> list[str]:
    """Return paths for readers on other machines: without the folders that only this machine has.

    A relative path, or no path, stays as it is. One in the working directory becomes relative to it. Any
    other becomes its last part, with as many folders before it as tell different paths apart.
    """
    most = max((len(Path(path).parts) for path in paths), default=1)
    tails = ([_tail(path, parts) for path in paths] for parts in range(1, most + 1))
    return next((names for names in tails if len(set(names)) == len(set(paths))), list(paths))


def _tail(path: str, parts: int) -> str:
    place, here = Path(path), Path.cwd()
    if not place.is_absolute():
        return path
    return "/".join(place.relative_to(here).parts if place.is_relative_to(here) else place.parts[-parts:])


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        MissingResource: It cannot be read.
    """
    try:
        facts = path.stat()
        return _digest(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise MissingResource(f"{path}: {error.strerror}") from None


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    """Return the SHA-256 of a file as it was when it had this time and size."""
    del changed, size
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
