"""Locks between processes of any system; the system itself frees those of a process that ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = ".rocov2.lock"  # in a folder that cannot be opened itself, as on Windows
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def locked(place: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a folder or file for this process alone.

    Args:
        place: What to hold. Where folders cannot be opened, a hidden file in it is held in its place, so that
            it can be moved or removed only after the context.
        wait: Wait until another process lets it go.

    Yields:
        True; False where system or file system have no locks, and nothing is held.

    Raises:
        BlockingIOError: Another process holds it, and nobody wants to wait.
        OSError: It cannot be opened.
    """
    with _opened(place) as handle:
        yield _lock(handle, wait=wait)


@contextmanager
def _opened(place: Path) -> Iterator[int]:
    mark = None
    try:
        handle = os.open(place, os.O_RDONLY if place.is_dir() else os.O_RDWR)
    except PermissionError:
        if not place.is_dir():
            raise
        mark = place / _MARK
        handle = os.open(mark, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)
        if mark is not None:
            with suppress(OSError):  # another process has it open already
                mark.unlink()


def _lock(handle: int, *, wait: bool) -> bool:
    from filelock import lock_descriptor

    try:
        if lock_descriptor(handle, blocking=wait, poll_interval=0.01):
            return True
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    raise BlockingIOError(errno.EWOULDBLOCK, "another process uses it")
