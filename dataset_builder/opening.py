"""The source that the options of a build name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, structs

from dataset_builder.own_images.source import TableSource
from dataset_builder.own_images.table import read_image_table
from dataset_builder.pmc.article_files import SUFFIXES as TEXTS
from dataset_builder.pmc.article_files import ArticleFiles
from dataset_builder.pmc.client import ClientOptions, FetchFailed, PmcClient
from dataset_builder.pmc.eligibility import RETRACTED, dropped
from dataset_builder.pmc.file_lists import ArticleList, read_article_list
from dataset_builder.pmc.folder_source import VERSION_FOLDER, FolderSource
from dataset_builder.pmc.layout import BASE_URL
from dataset_builder.pmc.packages import NAME as PACKAGE_NAME
from dataset_builder.pmc.packages import Packages
from dataset_builder.pmc.s3_source import S3Source
from dataset_builder.records import Drop, Entry, Media
from dataset_builder.sources import Source
from dataset_builder.store import Store
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.options import ONLY_SPEED
from rocov2_eval.shelf.words import shorten

UNFETCHABLE = "could not be fetched"
_ONLY_S3 = {"base_url": BASE_URL, "inventory": False, "per_second": ClientOptions.per_second}  # defaults


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where articles come from.

    Attributes:
        kind: `s3` is PMC's service; `folder` articles on disk, in any layout that `layout_of` knows; `table`
            images of the user's own.
        path: The folder of kind `folder`, the file of kind `table`.
        base_url: Address of the bucket of kind `s3`; another one for a mirror.
        list: Articles to look at; what it says of a licence must not contradict the source.
        inventory: Whether to look at every article of the service.
        per_second: Most requests a second, of all workers together.
        manuscripts: Whether author manuscripts are kept.
        unfetchable: Whether a file that cannot be had in spite of every retry stops the build.
    """

    kind: Literal["s3", "folder", "table"]
    path: Annotated[str, ONLY_SPEED] = ""  # what lies there is the source's to say: see Source.state
    base_url: str = BASE_URL
    list: Path | None = None
    inventory: bool = False
    per_second: Annotated[float, ONLY_SPEED, Meta(gt=0)] = ClientOptions.per_second
    manuscripts: bool = False
    unfetchable: Literal["stop", "drop"] = "stop"

    def __post_init__(self) -> None:
        _require_http(self.base_url)
        if self.kind == "s3":
            if self.path:
                raise UsageFault("path: not allowed with kind = 's3', only with 'folder' or 'table'")
            if (self.list is None) == (not self.inventory):
                found = "neither" if self.list is None else "both"
                raise UsageFault(f"kind = 's3' needs either list or inventory = true: found {found}")
            return
        if not self.path:
            needed = "the folder of articles" if self.kind == "folder" else "the table of images"
            raise UsageFault(f"path: missing, kind = {self.kind!r} needs {needed}")
        if self.kind == "table" and self.list is not None:
            raise UsageFault("list: not allowed with kind = 'table', whose table names the images")
        for name, default in _ONLY_S3.items():
            if getattr(self, name) != default:
                raise UsageFault(f"{name}: not allowed with kind = {self.kind!r}, only with 's3'")


def open_source(
    options: SourceOptions,
    store: Store,
    *,
    workers: int = 1,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> Source:
    """Return the source that options name; the service is not asked yet.

    Args:
        options: What the table [source] of build.toml asks for.
        store: Files of the build: what is fetched is kept below `cache/`.
        workers: Number of processes that each open the source; they share the rate.
        today: Returns the day of the newest inventory that may be there.

    Raises:
        RejectedInput: The list cannot be read.
        UsageFault: The folder is none.
    """
    return ChosenSource(
        _open(options, store, workers, today),
        None if options.list is None else read_article_list(options.list),
        gives_up=options.unfetchable == "drop",
    )


class ChosenSource:
    """A source with what the options add: which articles, and what becomes of files that cannot be had."""

    def __init__(self, source: Source, articles: ArticleList | None, *, gives_up: bool) -> None:
        self._source = source
        self._articles = articles
        self._gives_up = gives_up

    def candidates(self) -> Iterable[str]:
        """Return the articles of the list, whether or not the source has them; without a list, all."""
        return self._source.candidates() if self._articles is None else self._articles.pmcids()

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the source offers, or that the list says it is retracted, or that nobody could ask."""
        if self._articles and self._articles.retracted(pmcid):
            return dropped(pmcid, RETRACTED, "in the list")
        try:
            found = self._source.entry(pmcid)
        except FetchFailed as error:
            if not self._gives_up:
                raise
            return dropped(pmcid, UNFETCHABLE, str(error))
        if self._articles is None or isinstance(found, Drop):
            return found
        return structs.replace(found, listed_licence=self._articles.licence(pmcid))

    def read(self, media: Media) -> bytes | None:
        """Return a file of the source.

        Raises:
            RejectedInput: It could not be had, and the options say to give it up.
        """
        try:
            return self._source.read(media)
        except FetchFailed as error:
            if not self._gives_up:
                raise
            raise RejectedInput(f"{UNFETCHABLE}: {error}") from None

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the state of the source: the list itself is part of the configuration."""
        return self._source.state(pmcids)


def _open(options: SourceOptions, store: Store, workers: int, today: Callable[[], date]) -> Source:
    if options.kind == "table":
        read_image_table(Path(options.path))  # a table that cannot be read is told before anything runs
        return TableSource(Path(options.path))
    if options.kind == "folder":
        folder = Path(options.path)
        if not folder.is_dir():
            raise UsageFault(f"path: {options.path} is no folder")
        layout = layout_of(folder)
        if layout == "packages":
            return Packages(folder)
        if layout == "files":
            return ArticleFiles(folder)
        return FolderSource(folder, manuscripts=options.manuscripts)
    base_url = options.base_url.rstrip("/")
    client = PmcClient(ClientOptions(base_url=base_url, per_second=options.per_second / workers))
    return S3Source(client, store, manuscripts=options.manuscripts, today=today)


def layout_of(folder: Path) -> Literal["service", "packages", "files"] | None:
    """Return how the articles of a folder lie there, None where there are none.

    `service`: `PMC12.1/PMC12.1.xml`, as PMC's service has them; `packages`: `PMC12.tar.gz`, however deep;
    `files`: XML files, however deep. The first that is found counts.
    """
    has_files = False
    for here, folders, files in os.walk(folder):
        if Path(here) == folder and any(map(VERSION_FOLDER.fullmatch, folders)):
            return "service"
        if any(map(PACKAGE_NAME.fullmatch, files)):
            return "packages"
        has_files = has_files or any(name.lower().endswith(TEXTS) for name in files)
    return "files" if has_files else None


def _require_http(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.query or parts.fragment:
        raise UsageFault(f"base_url: {shorten(base_url)!r}, expected https:// and a host")
