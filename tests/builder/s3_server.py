"""A server that speaks PMC's layout on loopback, and fails as the real one may: by a list of faults."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "pmc-oa-opendata"


class Bucket:
    """Objects by key, and faults by key, each used up once: a status, `cut`, or bytes in its place."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.page = 1000
        self.url = ""

    def add_article(self, pmcid: str, version: int, media: dict[str, bytes], **fields: Any) -> None:
        """Add a version of an article with its files."""
        prefix = f"{pmcid}.{version}"
        urls = []
        for name, content in media.items():
            self.objects[f"{prefix}/{name}"] = content
            urls.append(
                f"s3://{BUCKET}/{prefix}/{name}?md5={hashlib.md5(content, usedforsecurity=False).hexdigest()}"
            )
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
            if isinstance(fault, int):
                self.answer(fault, b"", {"Retry-After": "3"} if fault == 429 else {})
                return
            content = _listing(bucket, parts.query) if not key else bucket.objects.get(key)
            if isinstance(fault, bytes):
                content = fault
            if content is None:
                self.answer(404, b"", {})
                return
            status, headers = 200, {}
            if wanted := self.headers.get("Range"):
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.answer(416, b"", {})
                    return
                status, content = 206, content[start:]
                headers["Content-Range"] = f"bytes {start}-"
            self.answer(status, content, headers, cut=fault == "cut")

        def answer(self, status: int, content: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = self.close_connection or cut

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
