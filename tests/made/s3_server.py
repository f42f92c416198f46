"""A server that speaks PMC's layout on loopback, and fails as the real one may: by a list of faults."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "pmc-oa-opendata"


class Bucket:
    """Objects by key, and faults by key, each used up once.

    A fault is a status, bytes in place of the object, `cut` (half of it and the end), `stall` (half of it and
    then silence) or `silent` (not even a status).
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.page = 1000
        self.url = ""
        self.left = threading.Event()

    def add_article(
        self,
        pmcid: str,
        version: int,
        media: dict[str, bytes],
        *,
        xml: bytes | None = None,
        **fields: Any,
    ) -> None:
        """Add a version of an article with its files."""
        prefix = f"{pmcid}.{version}"
        urls = [self._add(f"{prefix}/{name}", content) for name, content in media.items()]
        if xml is not None:
            fields = {"xml_url": self._add(f"{prefix}/{prefix}.xml", xml)} | fields
        document = {
            "pmcid": pmcid,
            "version": version,
            "is_pmc_openaccess": True,
            "is_manuscript": False,
            "is_historical_ocr": False,
            "is_retracted": False,
            "license_code": "CC BY",
            "title": "An article",
            "media_urls": urls,
        } | fields
        self.objects[f"metadata/{prefix}.json"] = json.dumps(document).encode()

    def write(self, folder: Path) -> None:
        """Write all objects as files of a folder in the same layout."""
        for key, content in self.objects.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def add_inventory(self, day: date, *parts: list[str], **fields: Any) -> str:
        """Add an inventory with the keys of each part, and return the key of its manifest."""
        folder = f"inventory-reports/{BUCKET}/metadata"
        files = []
        for number, keys in enumerate(parts):
            rows = [f'"{BUCKET}","{key}","2026-09-01T00:00:00.000Z","{"0" * 32}"\n' for key in keys]
            part = f"{folder}/data/{day.isoformat()}-{number}.csv.gz"
            self.objects[part] = gzip.compress("".join(rows).encode(), mtime=0)
            files.append(
                {"key": part, "size": len(self.objects[part]), "MD5checksum": _md5(self.objects[part])}
            )
        document = {
            "sourceBucket": BUCKET,
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, LastModifiedDate, ETag",
            "files": files,
        } | fields
        key = f"{folder}/{day.isoformat()}T01-00Z/manifest.json"
        self.objects[key] = json.dumps(document).encode()
        return key

    def _add(self, key: str, content: bytes) -> str:
        self.objects[key] = content
        return f"s3://{BUCKET}/{key}?md5={_md5(content)}"


@contextmanager
def serving(bucket: Bucket) -> Iterator[Bucket]:
    """Serve a bucket until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            key = unquote(parts.path.lstrip("/"))
            what = key or f"list:{parse_qs(parts.query)['prefix'][0]}"
            bucket.requests.append((what, self.headers.get("Range")))
            fault = bucket.faults[what].pop(0) if bucket.faults[what] else None
            if fault == "silent":
                bucket.left.wait(10)
                self.close_connection = True
                return
            if isinstance(fault, int):
                self.answer(fault, b"", {"Retry-After": "3"} if fault == 429 else {})
                return
            content = _listing(bucket, parts.query) if not key else bucket.objects.get(key)
            if isinstance(fault, bytes):
                content = fault
            status, content, headers = _part(content, self.headers.get("Range"))
            self.answer(status, content, headers, cut=fault in {"cut", "stall"}, stall=fault == "stall")

        def answer(
            self,
            status: int,
            content: bytes,
            headers: dict[str, str],
            *,
            cut: bool = False,
            stall: bool = False,
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = self.close_connection or cut
            if stall:
                self.wfile.flush()
                bucket.left.wait(10)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bucket
    finally:
        bucket.left.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _part(content: bytes | None, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers for an object and the range that is asked for."""
    if content is None:
        return 404, b"", {}
    if wanted is None:
        return 200, content, {}
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(content):
        return 416, b"", {}
    return 206, content[start:], {"Content-Range": f"bytes {start}-"}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _listing(bucket: Bucket, query: str) -> bytes:
    words = parse_qs(query)
    keys = sorted(key for key in bucket.objects if key.startswith(words["prefix"][0]))
    start = int(words.get("continuation-token", ["0"])[0])
    shown = keys[start : start + bucket.page]
    more = start + bucket.page < len(keys)
    token = f"<NextContinuationToken>{start + bucket.page}</NextContinuationToken>" if more else ""
    items = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in shown)
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<ListBucketResult xmlns="{namespace}">{items}{token}</ListBucketResult>'.encode()
