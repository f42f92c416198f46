"""Articles in the packages of PMC's FTP site of before 2026: `oa_package/08/e0/PMC13900.tar.gz`.

A package holds `PMC13900/<name>.nxml` and the media. It is read where it lies and never unpacked to disk.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

from dataset_builder.pmc.eligibility import NO_FULL_TEXT, NOT_THERE, dropped
from dataset_builder.records import Drop, Entry, Media
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

NAME = re.compile(r"PMC([1-9]\d{0,11})\.(?:tar\.gz|tgz)", re.IGNORECASE)
DAMAGED = "package is damaged"
_INSIDE = "!/"  # between the package and the file in it
_TEXTS = (".nxml", ".xml")
_READ = (*_TEXTS, ".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff")  # supplements and PDFs are passed over
_MOST_BYTES = 1 << 30  # of one package, unpacked


class Packages:
    """A folder of packages, however deep they lie; it is listed once, when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def candidates(self) -> tuple[str, ...]:
        """Return the PMCID of every package, ascending by number."""
        return tuple(sorted(self._packages, key=lambda pmcid: int(pmcid.removeprefix("PMC"))))

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the package of an article holds."""
        package = self._packages.get(pmcid)
        if package is None:
            return dropped(pmcid, NOT_THERE)
        try:
            names = list(self._members(package))
        except RejectedInput as error:
            return dropped(pmcid, DAMAGED, str(error))
        media = {name: Media(key=f"{package}{_INSIDE}{name}", name=name.rpartition("/")[2]) for name in names}
        texts = [name for name in names if name.lower().endswith(_TEXTS)]
        if not texts:
            return dropped(pmcid, NO_FULL_TEXT, f"no .nxml in {package}")
        text = min(texts, key=lambda name: (not name.lower().endswith(".nxml"), name.count("/"), name))
        return Entry(
            pmcid=pmcid, xml=media[text], media=tuple(media[name] for name in names if name not in texts)
        )

    def read(self, media: Media) -> bytes | None:
        """Return a file of a package, None if it is not there.

        Raises:
            RejectedInput: The package is damaged.
        """
        package, _, name = media.key.partition(_INSIDE)
        return self._members(package).get(name)

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the digest of sizes and times of change of packages."""
        facts = hashlib.sha256()
        for package in (self._packages.get(pmcid) for pmcid in sorted(pmcids)):
            if package is not None:
                status = (self._folder / package).stat()
                facts.update(f"{package}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return facts.hexdigest()

    @cached_property
    def _packages(self) -> Mapping[str, str]:
        found = {}
        for here, folders, files in os.walk(self._folder):
            folders.sort()
            for name in sorted(files):
                if match := NAME.fullmatch(name):
                    found[f"PMC{match[1]}"] = (Path(here) / name).relative_to(self._folder).as_posix()
        return found

    def _members(self, package: str) -> Mapping[str, bytes]:
        path = self._folder / package
        try:
            status = path.stat()
        except OSError as error:
            raise RejectedInput(f"{path}: {error.strerror}") from None
        return _contents(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)  # the files of an article are asked for one after the other
def _contents(path: Path, _size: int, _changed: int) -> Mapping[str, bytes]:
    """Return the files of a package that a build reads, by name; size and time tell it from another."""
    contents: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if not member.isfile() or not member.name.lower().endswith(_READ):
                    continue
                total += member.size
                if total > _MOST_BYTES:
                    raise RejectedInput(f"{path}: more than {_MOST_BYTES:,} bytes")
                file = archive.extractfile(member)
                assert file is not None, "it is a file"
                contents.setdefault(member.name, file.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise RejectedInput(f"{path}: {shorten(str(error), 100)}") from None
    return contents
