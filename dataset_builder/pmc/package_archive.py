"""One legacy package of PMC, a gzipped tar, into memory: bounded, in one pass, and never onto the disk.

Whatever a package declares and whatever it really holds, reading it takes neither more memory nor more time
than the limits below allow. The archive is read forwards only, so that no header can send the reader round
in circles.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rocov2_eval.shelf.words import shorten

TEXT_SUFFIXES = (".nxml",)
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".eps")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a package may hold; the largest of PMC, with their videos, stay below.

    Attributes:
        members: Files and folders.
        member_bytes: Of one text or picture.
        kept_bytes: Of all texts and pictures together.
        unpacked_bytes: Of the archive, supplements included.
    """

    members: int = 20_000
    member_bytes: int = 1 << 28
    kept_bytes: int = 1 << 29
    unpacked_bytes: int = 1 << 33


LIMITS = Limits()
_BLOCK = 512  # of a tar
_MOST_AT_ONCE = 1 << 20  # what is asked for at once; extension headers are read whole
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class DamagedPackage(Exception):
    """It cannot be read to its end."""


class HostilePackage(Exception):
    """It holds what no package of an article holds."""


def read_package(path: Path, limits: Limits = LIMITS) -> Mapping[str, bytes]:
    """Return the texts and pictures of a package by the name of the member; supplements are passed over.

    Raises:
        DamagedPackage: It is no gzipped tar, or breaks off.
        HostilePackage: A name leads out of it, it holds a link or a device, or it exceeds a limit.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _members(_Forwards(unpacked, limits.unpacked_bytes), limits)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedPackage(f"gzip: {error}") from None
        except RecursionError:
            raise HostilePackage("extension headers without end") from None
        except (tarfile.TarError, ValueError, OverflowError, IndexError, KeyError) as error:
            raise DamagedPackage(f"tar: {shorten(str(error), 100)}") from None


def _members(stream: _Forwards, limits: Limits) -> Mapping[str, bytes]:
    """Return what is kept of an archive, and read it to its end, where gzip has its sum."""
    found: dict[str, bytes] = {}
    n_members = kept_bytes = 0
    archive: Any = tarfile.TarFile(fileobj=stream, mode="r", encoding="utf-8", errors="replace")  # type: ignore[arg-type]
    for member in _each(archive):
        n_members += 1
        if n_members > limits.members:
            raise HostilePackage(f"more than {limits.members:,} members")
        _refuse_trickery(member)
        if not member.isreg() or not member.name.lower().endswith(TEXT_SUFFIXES + PICTURE_SUFFIXES):
            continue
        kept_bytes += member.size
        if member.size > limits.member_bytes or kept_bytes > limits.kept_bytes:
            declared = f"{shorten(member.name)!r} declares {member.size:,} bytes"
            raise HostilePackage(f"{declared}, after {kept_bytes - member.size:,} of others")
        found[member.name] = stream.take(member.size)
    # tarfile takes whatever is no header for the end of the archive.
    if stream.latest != bytes(_BLOCK):
        raise DamagedPackage("tar: a header is broken, or the end is missing")
    while stream.read(_MOST_AT_ONCE):
        pass
    return found


def _each(archive: Any) -> Iterator[tarfile.TarInfo]:  # noqa: ANN401  its list of members is not typed
    """Yield the members without keeping them."""
    while (member := archive.next()) is not None:
        archive.members.clear()
        yield member


def _refuse_trickery(member: tarfile.TarInfo) -> None:
    """Refuse whatever an archive of plain files and folders does not hold."""
    name = shorten(member.name)
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or "\0" in member.name or not parts:
        raise HostilePackage(f"the name {name!r} leads out of it")
    if not member.isdir() and (member.type not in _REGULAR or member.issparse()):
        kind = "a file with holes" if member.issparse() else _KINDS.get(member.type, f"type {member.type!r}")
        raise HostilePackage(f"{name!r} is {kind}")
    if member.size < 0:
        raise HostilePackage(f"{name!r} declares {member.size:,} bytes")


class _Forwards:
    """An unpacked stream that is read once, up to a limit; what `tarfile` needs of a file.

    Attributes:
        latest: What was read last, by `read`.
    """

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream = stream
        self._most = most
        self._at = 0
        self.latest = b""

    def tell(self) -> int:
        """Return how much has been read."""
        return self._at

    def seek(self, target: int) -> None:
        """Go on to a place further on."""
        if target < self._at:
            raise HostilePackage("a header leads back")
        self._allow(target - self._at)
        while self._at < target:
            if not self.read(min(target - self._at, _MOST_AT_ONCE)):
                raise DamagedPackage("tar: it breaks off")

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        if not 0 <= size <= _MOST_AT_ONCE:
            raise HostilePackage(f"an extension header of {size:,} bytes")
        self.latest = self._stream.read(size)
        self._at += len(self.latest)
        self._allow(0)
        return self.latest

    def take(self, size: int) -> bytes:
        """Return all bytes of a member."""
        self._allow(size)
        content = bytearray()
        while len(content) < size:
            block = self.read(min(size - len(content), _MOST_AT_ONCE))
            if not block:
                raise DamagedPackage("tar: it breaks off")
            content += block
        return bytes(content)

    def _allow(self, size: int) -> None:
        if self._at + size > self._most:
            raise HostilePackage(f"more than {self._most:,} bytes unpacked")
