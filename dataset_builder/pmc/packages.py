"""Articles from the packages that PMC distributed until 2026, one gzipped tar an article.

    anywhere/below/PMC13900.tar.gz      holds PMC13900/<one>.nxml and the pictures under their own names

The keys of their files are `08/e0/PMC13900.tar.gz!/PMC13900/a.jpg`. A package tells neither its version nor
its licence apart from the XML; a file list does.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from dataset_builder.pmc.eligibility import NO_FULL_TEXT, NOT_THERE, dropped
from dataset_builder.pmc.package_archive import (
    LIMITS,
    TEXT_SUFFIXES,
    DamagedPackage,
    HostilePackage,
    Limits,
    read_package,
)
from dataset_builder.records import Drop, Entry, Media
from rocov2_eval.errors import RejectedInput

DAMAGED = "package is damaged"
HOSTILE = "package is hostile"
SEVERAL = "several packages"
_PACKAGE = re.compile(r"PMC([1-9]\d{0,11})\.tar\.gz")
_SEPARATOR = ".tar.gz!/"


class PackageSource:
    """A folder of packages; it is listed once, and the package opened last is kept in memory."""

    def __init__(self, folder: Path, *, limits: Limits = LIMITS) -> None:
        self._folder = folder
        self._limits = limits
        self._opened: tuple[str, Mapping[str, bytes]] | None = None

    def candidates(self) -> tuple[str, ...]:
        """Return every article that has a package, ascending by number."""
        return tuple(f"PMC{number}" for number in sorted(self._packages))

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the package of an article offers, or why it is left out."""
        packages = self._packages.get(int(pmcid.removeprefix("PMC")), ())
        if len(packages) != 1:
            return dropped(pmcid, SEVERAL if packages else NOT_THERE, ", ".join(packages))
        (package,) = packages
        try:
            members = self._members(package)
        except DamagedPackage as error:
            return dropped(pmcid, DAMAGED, f"{package}: {error}")
        except HostilePackage as error:
            return dropped(pmcid, HOSTILE, f"{package}: {error}")
        media = tuple(_media(package, name) for name in sorted(members))
        texts = [item for item in media if item.name.lower().endswith(TEXT_SUFFIXES)]
        if len(texts) != 1:
            return dropped(pmcid, NO_FULL_TEXT, f"{package}: {len(texts)} .nxml files, expected one")
        return Entry(pmcid=pmcid, xml=texts[0], media=tuple(item for item in media if item not in texts))

    def read(self, media: Media) -> bytes | None:
        """Return a text or picture of a package, None if it is not there.

        Raises:
            RejectedInput: The package is damaged or hostile.
        """
        package, separator, member = media.key.partition(_SEPARATOR)
        package += separator.removesuffix("!/")
        match = _PACKAGE.fullmatch(package.rpartition("/")[2])
        if match is None or package not in self._packages.get(int(match[1]), ()):
            return None
        try:
            return self._members(package).get(member)
        except (DamagedPackage, HostilePackage) as error:
            raise RejectedInput(f"{self._folder / package}: {error}") from None

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the digest of names, sizes and times of change of the packages of articles."""
        facts = hashlib.sha256()
        for pmcid in sorted(pmcids):
            for package in self._packages.get(int(pmcid.removeprefix("PMC")), ()):
                status = (self._folder / package).lstat()
                facts.update(f"{package}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return facts.hexdigest()

    @cached_property
    def _packages(self) -> Mapping[int, tuple[str, ...]]:
        """The packages below the folder by the number of their PMCID; links to folders are not followed."""
        packages: dict[int, tuple[str, ...]] = {}
        for folder, _, files in os.walk(self._folder, onerror=_raise):
            for file in files:
                match = _PACKAGE.fullmatch(file)
                if match:
                    name = Path(folder, file).relative_to(self._folder).as_posix()
                    number = int(match[1])
                    packages[number] = tuple(sorted((*packages.get(number, ()), name)))
        return packages

    def _members(self, package: str) -> Mapping[str, bytes]:
        """Return what a package holds; its pictures are asked for one after the other."""
        if self._opened is None or self._opened[0] != package:
            self._opened = None  # before the next is read: two together may be a gigabyte
            self._opened = package, self._read(package)
        return self._opened[1]

    def _read(self, package: str) -> Mapping[str, bytes]:
        path = self._folder / package
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise HostilePackage("the package is a link out of the folder")
        try:
            return read_package(path, self._limits)
        except OSError as error:
            raise DamagedPackage(f"it cannot be read: {error.strerror}") from None


def _media(package: str, member: str) -> Media:
    return Media(key=f"{package}!/{member}", name=member.rpartition("/")[2])


def _raise(error: OSError) -> None:
    """Say that a folder cannot be listed, which `os.walk` would pass over."""
    raise RejectedInput(f"{error.filename}: the folder cannot be listed: {error.strerror}")
