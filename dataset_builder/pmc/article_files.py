"""Articles as people have them on disk: JATS files with their pictures beside or below them.

    articles/a.xml, articles/fig1.jpg                one folder for all
    articles/a.xml, articles/a/fig1.jpg              pictures in a folder of the article's name
    articles/PMC13900/b.nxml, .../fig1.jpg           a folder an article, as PMC's old packages have
    articles/x/c.xml, articles/x/media/fig1.jpg      pictures in a folder of any name

Of the files that could belong to an article its media are those that its text names.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from dataset_builder.pmc.eligibility import NO_FULL_TEXT, NOT_THERE, dropped
from dataset_builder.pmc.folder_source import FolderSource
from dataset_builder.pmc.layout import PICTURES
from dataset_builder.records import Drop, Entry, Media, own_key
from rocov2_eval.errors import RejectedInput

SUFFIXES = (".xml", ".nxml")
_READ = (*SUFFIXES, *(f".{suffix}" for suffix in PICTURES))
_OURS = (".lock", "SHA256SUMS")  # of a work folder, of a finished dataset
_PMCID = re.compile(r"PMC0*([1-9]\d{0,11})", re.IGNORECASE)
_HREF = re.compile(rb"""href\s*=\s*["']([^"'<>]{1,1000})["']""")


class ArticleFiles:
    """A folder of articles; it is listed once, when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = FolderSource(folder)

    def candidates(self) -> tuple[str, ...]:
        """Return the key of every XML file: its PMCID where it is named so, else by its path."""
        return tuple(sorted(self._articles, key=lambda key: (len(key), key)))

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return an article with the files that its text names."""
        path = self._articles.get(pmcid)
        if path is None:
            return dropped(pmcid, NOT_THERE)
        xml = Media(key=path.as_posix(), name=path.name)
        try:
            content = self._files.read(xml)
        except RejectedInput as error:
            return dropped(pmcid, NO_FULL_TEXT, str(error))
        if content is None:
            return dropped(pmcid, NO_FULL_TEXT, f"no file {xml.key}")
        names = {_name(href) for href in _HREF.findall(content)}
        named = names | set(map(_stem, names))
        media = (
            Media(key=(folder / name).as_posix(), name=name)
            for folder in self._around(path)
            for name in self._names[folder]
            if not named.isdisjoint((name.casefold(), _stem(name))) and not name.lower().endswith(SUFFIXES)
        )
        return Entry(pmcid=pmcid, xml=xml, media=tuple(media))

    def read(self, media: Media) -> bytes | None:
        """Return a file of an article, None if it is not there.

        Raises:
            RejectedInput: It lies outside the folder.
        """
        return self._files.read(media)

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the digest of names, sizes and times of change of the files around articles."""
        facts = hashlib.sha256()
        for pmcid in sorted(pmcids):
            path = self._articles.get(pmcid)
            for folder in self._around(path) if path else ():
                facts.update(f"{path}\0{self._states[folder]}\n".encode("utf-8", "surrogateescape"))
        return facts.hexdigest()

    @cached_property
    def _names(self) -> Mapping[PurePosixPath, Sequence[str]]:
        """The texts and pictures of each folder, by its path below this one; hidden ones are passed over."""
        names: dict[PurePosixPath, list[str]] = {}
        for here, folders, files in os.walk(self._folder):
            if any(name in files for name in _OURS):  # a build in the folder of its articles
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if _is_seen(name))
            names[PurePosixPath(Path(here).relative_to(self._folder).as_posix())] = sorted(
                name for name in files if _is_seen(name) and name.lower().endswith(_READ)
            )
        return names

    @cached_property
    def _states(self) -> Mapping[PurePosixPath, str]:
        return {folder: _state(self._folder / folder, names) for folder, names in self._names.items()}

    @cached_property
    def _articles(self) -> Mapping[str, PurePosixPath]:
        articles: dict[str, PurePosixPath] = {}
        for folder, names in self._names.items():
            for path in (folder / name for name in names if name.lower().endswith(SUFFIXES)):
                key = _key(path)
                articles[own_key(path.as_posix()) if key in articles else key] = path
        return articles

    @cached_property
    def _shared(self) -> Mapping[PurePosixPath, Sequence[PurePosixPath]]:
        """By folder with articles, the folders below it that belong to none of them alone."""
        owned = {path.parent / path.stem for path in self._articles.values()}
        with_articles = {path.parent for path in self._articles.values()}
        shared: dict[PurePosixPath, list[PurePosixPath]] = {folder: [] for folder in with_articles}
        for folder in self._names:
            for above in (folder, *folder.parents):
                if above in owned or above in with_articles:
                    if above in with_articles and above != folder:
                        shared[above].append(folder)
                    break
        return shared

    def _around(self, path: PurePosixPath) -> Iterator[PurePosixPath]:
        """Yield the folders that may hold files of an article, the most its own first."""
        own = path.parent / path.stem
        yield from (folder for folder in self._owned.get(own, ()))
        yield path.parent
        yield from self._shared[path.parent]

    @cached_property
    def _owned(self) -> Mapping[PurePosixPath, Sequence[PurePosixPath]]:
        """By folder of the name of an article, it and the folders below it that hold no other article."""
        owned: dict[PurePosixPath, list[PurePosixPath]] = {}
        roots = {path.parent / path.stem for path in self._articles.values()}
        with_articles = {path.parent for path in self._articles.values()}
        for folder in self._names:
            for above in (folder, *folder.parents):
                if above in with_articles:
                    break
                if above in roots:
                    owned.setdefault(above, []).append(folder)
                    break
        return owned


def _key(path: PurePosixPath) -> str:
    """Return the PMCID that a file or its folder is named by, else what stands for one."""
    for name in (path.stem, path.parent.name):
        if match := _PMCID.fullmatch(name):
            return f"PMC{int(match[1])}"
    return own_key(path.with_suffix("").as_posix())


def _name(href: bytes) -> str:
    return html.unescape(href.decode("utf-8", "replace")).replace("\\", "/").rpartition("/")[2].casefold()


def _stem(name: str) -> str:
    """Return a name without what may be its suffix, in small letters; old articles leave suffixes away."""
    return name.casefold().rpartition(".")[0] or name.casefold()


def _is_seen(name: str) -> bool:
    """Tell whether the name of a file is UTF-8 and not one that systems keep for themselves."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not name.startswith((".", "__MACOSX"))


def _state(folder: Path, names: Sequence[str]) -> str:
    facts = hashlib.sha256()
    for name in names:
        try:
            status = (folder / name).stat()
            facts.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        except OSError as error:  # told when it is read
            facts.update(f"{name}\0{error.errno}\n".encode())
    return facts.hexdigest()
