"""Articles from a folder in the layout of PMC's service.

    PMC12.10/PMC12.10.json|.xml, <media>     a version of an article
    metadata/PMC12.10.json                   read where the article's own JSON is absent

Without any JSON nothing is known of the licence, and the files beside the XML are the media.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from dataset_builder.pmc.eligibility import NO_FULL_TEXT, NOT_THERE, dropped, entry_of
from dataset_builder.pmc.layout import ArticleMetadata, LayoutChanged, metadata_key, read_metadata
from dataset_builder.records import Drop, Entry, Media
from rocov2_eval.errors import RejectedInput

OUTSIDE = "leads out of the folder"
DAMAGED_METADATA = "metadata are damaged"
VERSION_FOLDER = re.compile(r"PMC([1-9][0-9]{0,11})\.([0-9]{1,9})")
_NO_MEDIA = (".xml", ".json", ".txt", ".pdf")  # of the article itself, under the name of its folder


class FolderSource:
    """A folder; it is listed once, when it is first asked."""

    def __init__(self, folder: Path, *, manuscripts: bool = False) -> None:
        self._folder = folder
        self._manuscripts = manuscripts

    def candidates(self) -> tuple[str, ...]:
        """Return every article that has a folder, ascending by number."""
        return tuple(f"PMC{number}" for number in sorted(self._newest))

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the newest version of an article offers, or why it is left out."""
        version = self._newest.get(int(pmcid.removeprefix("PMC")))
        if version is None:
            return dropped(pmcid, NOT_THERE)
        name = f"{pmcid}.{version}"
        xml = f"{name}/{name}.xml"
        try:
            metadata = self._metadata(pmcid, version)
            has_text = self._path(xml).is_file()
        except LayoutChanged as error:
            return dropped(pmcid, DAMAGED_METADATA, str(error))
        except RejectedInput as error:
            return dropped(pmcid, OUTSIDE, str(error))
        found = entry_of(metadata, manuscripts=self._manuscripts) if metadata else None
        if isinstance(found, Drop):
            return found
        if not has_text:
            return dropped(pmcid, NO_FULL_TEXT, f"no file {xml}")
        return found or Entry(
            pmcid=pmcid, xml=Media(key=xml, name=f"{name}.xml"), media=self._beside(name), version=version
        )

    def read(self, media: Media) -> bytes | None:
        """Return a file of an article, None if it is not there.

        Raises:
            RejectedInput: It lies outside the folder, or its sum does not agree.
        """
        content = self._content(media.key)
        if content is not None and media.md5:
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if md5 != media.md5:
                message = f"its MD5 sum is {md5}, expected {media.md5}; fetch it again"
                raise RejectedInput(f"{self._folder / media.key}: {message}")
        return content

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the digest of names, sizes and times of change of all files that articles have."""
        facts = hashlib.sha256()
        for pmcid in sorted(pmcids):
            version = self._newest.get(int(pmcid.removeprefix("PMC")))
            if version is not None:
                keys = (f"{pmcid}.{version}", metadata_key(pmcid, version))
                for line in (line for key in keys for line in _files(self._folder / key)):
                    facts.update(line.encode("utf-8", "surrogateescape"))
        return facts.hexdigest()

    @cached_property
    def _newest(self) -> Mapping[int, int]:
        """The newest version by the number of its PMCID: newest by number, 10 comes after 2."""
        newest: dict[int, int] = {}
        with os.scandir(self._folder) as found:
            for item in found:
                match = VERSION_FOLDER.fullmatch(item.name)
                if match and item.is_dir():
                    number = int(match[1])
                    newest[number] = max(newest.get(number, 0), int(match[2]))
        return newest

    @cached_property
    def _root(self) -> Path:
        """The folder itself; the user may well name a link to it."""
        return self._folder.resolve()

    def _metadata(self, pmcid: str, version: int) -> ArticleMetadata | None:
        name = f"{pmcid}.{version}"
        for key in (f"{name}/{name}.json", metadata_key(pmcid, version)):
            content = self._content(key)
            if content is not None:
                metadata = read_metadata(content, key)
                if (metadata.pmcid, metadata.version) != (pmcid, version):
                    raise LayoutChanged(f"{key}: of {metadata.pmcid}.{metadata.version}")
                return metadata
        return None

    def _beside(self, name: str) -> tuple[Media, ...]:
        """Return the files of an article but for its own text; an XML cannot name one that is not UTF-8."""
        own = {f"{name}{suffix}" for suffix in _NO_MEDIA}
        with os.scandir(self._path(name)) as found:
            names = sorted(item.name for item in found if item.name not in own and item.is_file())
        return tuple(Media(key=f"{name}/{file}", name=file) for file in names if _is_text(file))

    def _content(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            return path.read_bytes() if path.is_file() else None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # there is no such file
                return None
            raise RejectedInput(f"{self._folder / key}: {error.strerror}") from None

    def _path(self, key: str) -> Path:
        """Return where a file is or would be, whatever links lead there.

        Raises:
            RejectedInput: That is outside the folder.
        """
        if "\0" in key:
            raise RejectedInput(f"{key!r} is no name of a file")
        path = Path(os.path.realpath(self._root / key))  # which takes links that go round in circles
        if not path.is_relative_to(self._root):
            raise RejectedInput(f"{self._folder / key} {OUTSIDE}")
        return path


def _files(path: Path) -> Iterator[str]:
    """Yield name, size and time of change of a file, or of every file of a folder."""
    try:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            status = file.stat()
            yield f"{file.name}\0{status.st_size}\0{status.st_mtime_ns}\n"
    except OSError as error:  # what cannot be looked at is a drop of its own, told when it is read
        yield f"{path.name}\0{error.errno}\n"


def _is_text(name: str) -> bool:
    """Tell whether the name of a file is UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
