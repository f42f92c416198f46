"""Where a build keeps its shards and what it has fetched: a folder, or any storage that fsspec knows.

Names are relative, with `/` between the parts. A file appears whole or not at all: in a folder by way of a
temporary file, on object storage because the services promise it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.files import write_bytes

_URL = re.compile(r"[a-z][a-z0-9+.-]+://")


class Store(Protocol):
    """Files by name."""

    def read(self, name: str) -> bytes | None:
        """Return a file, None if there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in one step; one of this name is replaced."""
        ...

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of all files below a folder, ascending."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


class FolderStore:
    """Files below a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """Return a file, None if there is none."""
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in one step; one of this name is replaced."""
        write_bytes(self.path(name), content)

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of all files below a folder, ascending; no temporary file of a killed run."""
        found = (path for path in self.path(folder).rglob("*") if path.is_file())
        yield from sorted(
            path.relative_to(self.folder).as_posix() for path in found if not path.name.startswith(".")
        )

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Return where a file is or would be.

        Raises:
            ValueError: The name leads out of the folder.
        """
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise ValueError(f"{name!r} leads out of the store")
        return self.folder.joinpath(*parts)


class RemoteStore:
    """Files below an address that fsspec knows, such as `s3://bucket/folder`."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise MissingResource(
                f"{url} needs fsspec and the package of the storage: {install_command('cluster')}"
            ) from None
        try:
            self._files: Any
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageFault(f"{url}: {error}") from None

    def read(self, name: str) -> bytes | None:
        """Return a file, None if there is none."""
        try:
            content: bytes = self._files.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in one step; one of this name is replaced."""
        path = self._path(name)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, content)

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of all files below a folder, ascending."""
        self._files.invalidate_cache()
        root = self._path("").rstrip("/") + "/"
        yield from sorted(path.removeprefix(root) for path in self._files.find(self._path(folder)))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self._files.exists(self._path(name)):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def open_store(place: str) -> Store:
    """Return the store at a folder's path or at an address.

    Raises:
        MissingResource: fsspec is not installed.
        UsageFault: fsspec does not know the address.
    """
    if place.startswith("file://"):
        return FolderStore(Path(place.removeprefix("file://")))
    return RemoteStore(place) if _URL.match(place) else FolderStore(Path(place))
