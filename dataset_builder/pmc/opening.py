"""The source of articles that the options of a build name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from msgspec import structs

from dataset_builder.pmc.client import ClientOptions, FetchFailed, PmcClient
from dataset_builder.pmc.eligibility import RETRACTED, dropped
from dataset_builder.pmc.file_lists import ArticleList, read_article_list
from dataset_builder.pmc.folder_source import FolderSource
from dataset_builder.pmc.layout import BASE_URL
from dataset_builder.pmc.packages import PackageSource
from dataset_builder.pmc.s3_source import S3Source
from dataset_builder.records import Drop, Entry, Media
from dataset_builder.sources import Source
from dataset_builder.store import Store
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.options import ONLY_SPEED
from rocov2_eval.shelf.words import shorten

Kind = Literal["s3", "folder", "packages"]
Unfetchable = Literal["stop", "drop"]

UNFETCHABLE = "could not be fetched"
_ONLY_S3 = ("base_url", "inventory", "per_second", "retries", "backoff", "timeout")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Where articles come from.

    Attributes:
        kind: `s3` is PMC's service, `folder` the same layout on disk, `packages` the tars of before 2026.
        path: The folder of `folder` and `packages`.
        base_url: Where the bucket of `s3` is; another one for a mirror.
        list: Articles to look at; what it says of licences counts where the source itself says nothing.
        inventory: Look at every article of the service.
        per_second: Most requests a second, of all workers together.
        retries: Of one request after the first try.
        backoff: Seconds before the first retry, doubled each time.
        timeout: Seconds without a byte after which a connection is given up.
        manuscripts: Keep author manuscripts.
        unfetchable: Whether a file that cannot be had in spite of every retry stops the build.
    """

    kind: Kind
    path: str = ""
    base_url: str = BASE_URL
    list: Path | None = None
    inventory: bool = False
    per_second: float = field(default=ClientOptions.per_second, metadata=ONLY_SPEED)
    retries: int = field(default=ClientOptions.retries, metadata=ONLY_SPEED)
    backoff: float = field(default=ClientOptions.backoff, metadata=ONLY_SPEED)
    timeout: float = field(default=ClientOptions.timeout, metadata=ONLY_SPEED)
    manuscripts: bool = False
    unfetchable: Unfetchable = "stop"

    def __post_init__(self) -> None:
        _require_one_of("kind", self.kind, get_args(Kind))
        _require_one_of("unfetchable", self.unfetchable, get_args(Unfetchable))
        for name in ("per_second", "backoff", "timeout"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageFault(f"{name}: {value}, expected a number above 0")
        if self.retries < 0:
            raise UsageFault(f"retries: {self.retries}, expected 0 or more")
        _require_http(self.base_url)
        if self.kind == "s3":
            self._check_service()
        else:
            self._check_folder()

    def _check_service(self) -> None:
        if self.path:
            raise UsageFault("path: goes with kind = 'folder' or 'packages', not with 's3'")
        if (self.list is None) == (not self.inventory):
            found = "found neither" if self.list is None else "found both"
            raise UsageFault(f"kind = 's3' takes the articles of list, or with inventory = true all: {found}")

    def _check_folder(self) -> None:
        if not self.path:
            raise UsageFault(f"path: missing, kind = {self.kind!r} needs the folder")
        for item in fields(self):
            if item.name in _ONLY_S3 and getattr(self, item.name) != item.default:
                raise UsageFault(f"{item.name}: goes with kind = 's3', not with {self.kind!r}")
        if self.kind == "packages" and self.manuscripts:
            raise UsageFault("manuscripts: packages do not tell which articles are author manuscripts")


def open_source(
    options: SourceOptions,
    store: Store,
    *,
    workers: int = 1,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> Source:
    """Return the source that options name; the service is not asked yet.

    Args:
        options: Which one.
        store: Of the build: what is fetched is kept below `cache/`.
        workers: Processes that each open it; they share the rate.
        today: The day of the newest inventory that may be there.

    Raises:
        RejectedInput: The list cannot be read.
        UsageFault: The folder is none.
    """
    source = _open(options, store, workers, today)
    if options.unfetchable == "drop":
        source = ForgivingSource(source)
    return source if options.list is None else ListedSource(source, read_article_list(options.list))


class ListedSource:
    """The articles of a list, from a source."""

    def __init__(self, source: Source, articles: ArticleList) -> None:
        self._source = source
        self._articles = articles

    def candidates(self) -> tuple[str, ...]:
        """Return the articles of the list, whether or not the source has them."""
        return self._articles.pmcids()

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the source offers, or that the list says it is retracted."""
        if self._articles.retracted(pmcid):
            return dropped(pmcid, RETRACTED, "says the list")
        found = self._source.entry(pmcid)
        if isinstance(found, Drop) or found.licence is not None:  # the service knows better than an old list
            return found
        return structs.replace(found, licence=self._articles.licence(pmcid))

    def read(self, media: Media) -> bytes | None:
        """Return a file of the source."""
        return self._source.read(media)

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the state of the source: the list itself is part of the configuration."""
        return self._source.state(pmcids)


class ForgivingSource:
    """A source that gives up what cannot be had in spite of every retry, instead of stopping the build."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def candidates(self) -> tuple[str, ...]:
        """Return the articles of the source; a list that cannot be had still stops the build."""
        return self._source.candidates()

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the source offers, or that it could not be asked."""
        try:
            return self._source.entry(pmcid)
        except FetchFailed as error:
            return dropped(pmcid, UNFETCHABLE, str(error))

    def read(self, media: Media) -> bytes | None:
        """Return a file of the source.

        Raises:
            RejectedInput: It could not be had.
        """
        try:
            return self._source.read(media)
        except FetchFailed as error:
            raise RejectedInput(f"{UNFETCHABLE}: {error}") from None

    def state(self, pmcids: Iterable[str]) -> str:
        """Return the state of the source."""
        return self._source.state(pmcids)


def _open(options: SourceOptions, store: Store, workers: int, today: Callable[[], date]) -> Source:
    if options.kind == "s3":
        client = PmcClient(
            ClientOptions(
                base_url=options.base_url.rstrip("/"),
                per_second=options.per_second / workers,
                retries=options.retries,
                backoff=options.backoff,
                timeout=options.timeout,
            )
        )
        return S3Source(client, store, manuscripts=options.manuscripts, today=today)
    folder = Path(options.path)
    if not folder.is_dir():
        raise UsageFault(f"path: {options.path} is no folder")
    if options.kind == "packages":
        return PackageSource(folder)
    return FolderSource(folder, manuscripts=options.manuscripts)


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        listed = ", ".join(repr(word) for word in known)
        raise UsageFault(f"{name}: {shorten(str(value))!r}, expected one of {listed}")


def _require_http(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.query or parts.fragment:
        raise UsageFault(f"base_url: {shorten(base_url)!r}, expected https:// and a host")
