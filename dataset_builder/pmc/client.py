"""Fetch from PMC's open data on S3: plain unsigned HTTPS, politely, checked, and on from where it stopped.

The only module of the builder that opens connections.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dataset_builder.pmc.layout import (
    BASE_URL,
    LISTING_NAMESPACE,
    ArticleMetadata,
    LayoutChanged,
    metadata_key,
    newest_version,
    object_path,
    read_metadata,
    versions_query,
)
from dataset_builder.records import Media
from rocov2_eval.errors import MissingResource

_SECONDS = re.compile(r"[0-9]{1,4}")  # a date is allowed too, and is not waited for
_RETRIED = (429, 500, 502, 503, 504)
_MOST_BYTES = 1 << 30  # of one object; a figure has some 60 kB
_BLOCK = 1 << 14  # what is kept of an answer that breaks off is whole blocks
_OK, _PARTIAL, _NOT_FOUND, _BEYOND = 200, 206, 404, 416

_File = io.BufferedRandom | io.BytesIO


class FetchFailed(MissingResource):
    """An object could not be had in spite of every retry; the message says what was tried."""


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How the service is asked.

    Attributes:
        base_url: Address of the bucket; another one for a mirror.
        per_second: Most requests a second.
        retries: Number of tries of one request after the first one.
        backoff: Seconds before the first retry, doubled each time.
        timeout: Seconds without a byte after which a connection is given up.
    """

    base_url: str = BASE_URL
    per_second: float = 5.0
    retries: int = 6
    backoff: float = 1.0
    timeout: float = 60.0


class PmcClient:
    """An open connection pool, a context manager; safe to use from several threads."""

    def __init__(
        self, options: ClientOptions | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        import urllib3

        self._options = options or ClientOptions()
        self._sleep = sleep
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=self._options.timeout, read=self._options.timeout),
            retries=False,  # ours below also cover bodies that break off and sums that do not agree
            headers={"User-Agent": "rocov2-build"},
        )
        self._lock = threading.Lock()
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()

    def newest(self, pmcid: str) -> ArticleMetadata | None:
        """Return the metadata of the newest version of an article, None if PMC does not have it.

        Raises:
            FetchFailed: The service does not answer as it should.
            LayoutChanged: It answers something that this program does not know.
        """
        found = self.newest_document(pmcid)
        return None if found is None else read_metadata(found[1], found[0])

    def newest_document(self, pmcid: str) -> tuple[str, bytes] | None:
        """Return key and content of the metadata of the newest version, None without an article.

        Raises:
            FetchFailed: The service does not answer as it should.
            LayoutChanged: It answers something that this program does not know.
        """
        version = newest_version(self._keys(pmcid), pmcid)
        if version is None:
            return None
        key = metadata_key(pmcid, version)
        content = self.read(key)
        if content is None:
            raise FetchFailed(f"{key} is listed, but cannot be fetched")
        return key, content

    def read(self, key: str, md5: str | None = None) -> bytes | None:
        """Return an object, None if there is none; with its sum, one that broke off goes on from there.

        Args:
            key: Key of the object, without the address of the bucket.
            md5: MD5 sum of the object in hexadecimal; without it only the length is sure.

        Raises:
            FetchFailed: The service does not answer as it should, or the sum never agrees.
        """
        arrived = io.BytesIO()
        found = self._with_retries(key, lambda: self._receive(object_path(key), arrived, md5))
        return arrived.getvalue() if found else None

    def fetch(self, media: Media, target: Path) -> bool:
        """Write an object to a file and check its sum; return False if there is none.

        A refusal (403) is no absence, here and in `read`: it may well be all that the service has to say to
        this machine, and then nothing that exists could be had.

        What has arrived is kept beside the target as `<name>.part`, and the next try goes on from there. The
        target appears only when it is whole.

        Raises:
            FetchFailed: The service does not answer as it should, or the sum never agrees.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        path = object_path(media.key)
        try:
            with part.open("ab+") as file:
                found = self._with_retries(media.key, lambda: self._receive(path, file, media.md5))
        finally:
            if not part.stat().st_size:
                part.unlink()
        if found:
            part.replace(target)
        return found

    def _keys(self, pmcid: str) -> Iterator[str]:
        from lxml import etree

        token: str | None = None
        while True:
            query = versions_query(pmcid, token)
            content = io.BytesIO()
            if not self._with_retries(query, partial(self._receive, query, content, None)):
                raise FetchFailed(f"{self._options.base_url} has no listing of {pmcid}")
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            try:
                root = etree.fromstring(content.getvalue(), parser)
            except etree.XMLSyntaxError as error:
                raise LayoutChanged(f"the listing of {pmcid} is no XML ({error})") from None
            if root.tag != f"{LISTING_NAMESPACE}ListBucketResult":
                raise LayoutChanged(f"the listing of {pmcid} is a {root.tag}")
            yield from (element.text or "" for element in root.iter(f"{LISTING_NAMESPACE}Key"))
            token = root.findtext(f"{LISTING_NAMESPACE}NextContinuationToken")
            if not token:
                return

    def _with_retries(self, what: str, attempt: Callable[[], bool]) -> bool:
        """Return what an attempt returns; wait and try again where it met something that may pass."""
        wait = self._options.backoff
        for left in range(self._options.retries, -1, -1):
            try:
                return attempt()
            except _Passing as fault:
                if not left:
                    raise FetchFailed(f"{what}: {fault}, after {self._options.retries} retries") from None
                self._sleep(max(wait, fault.wait))
                wait *= 2
        raise AssertionError("unreachable")

    def _receive(self, path: str, file: _File, md5: str | None) -> bool:
        """Add what is lacking of an object; raise `_Passing` if it is not whole or not sound then."""
        if md5 is None:  # two halves of which nobody can tell whether they belong together
            file.truncate(0)
        have = file.seek(0, io.SEEK_END)
        with self._answer(path, {"Range": f"bytes={have}-"} if have else {}) as answer:
            if answer.status == _NOT_FOUND:
                return False
            if answer.status == _BEYOND and have:  # all was there, and something more or something else
                file.truncate(0)
                raise _Passing("the object has become shorter")
            _require(answer, _OK, _PARTIAL)
            if answer.status == _OK:
                file.truncate(0)
                file.seek(0)
            file.writelines(_blocks(answer))
        if md5 and _md5(file) != md5:
            file.truncate(0)
            raise _Passing(f"its MD5 sum is not {md5}")
        return True

    @contextmanager
    def _answer(self, path: str, headers: dict[str, str]) -> Iterator[Any]:
        """Send one request when its turn has come, and give its connection back to the pool at the end."""
        import urllib3

        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + 1 / self._options.per_second
        if start > now:
            self._sleep(start - now)
        try:
            response = self._pool.request(
                "GET", self._options.base_url + path, headers=headers, preload_content=False, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise _Passing(str(error)) from None
        try:
            yield response
        except BaseException:
            response.close()
            raise
        response.release_conn()


class _Passing(Exception):
    """Something that may be gone at the next try."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


def _require(response: Any, *statuses: int) -> None:  # noqa: ANN401  of an untyped library
    """Refuse an answer of another status."""
    if response.status in statuses:
        return
    if response.status in _RETRIED:
        wait = _SECONDS.fullmatch(response.headers.get("Retry-After", ""))
        raise _Passing(f"status {response.status}", wait=float(wait[0]) if wait else 0.0)
    raise FetchFailed(f"status {response.status}")


def _blocks(response: Any) -> Iterator[bytes]:  # noqa: ANN401  of an untyped library
    """Yield the body of an answer; a body that breaks off is a passing fault."""
    import urllib3

    total = 0
    try:
        for block in response.stream(_BLOCK):
            total += len(block)
            if total > _MOST_BYTES:
                raise FetchFailed(f"more than {_MOST_BYTES:,} bytes")
            yield block
    except urllib3.exceptions.HTTPError as error:
        raise _Passing(f"the answer ended early ({error})") from None


def _md5(file: _File) -> str:
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
