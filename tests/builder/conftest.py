"""What the tests of the builder share: small articles in JATS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dataset_builder.pmc.jats import Article, read_article

NAMESPACES = (
    'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML" '
    'xmlns:ali="http://www.niso.org/schemas/ali/1.0/"'
)


@pytest.fixture
def jats() -> Callable[..., str]:
    """Return a writer of articles: `jats("<fig>…</fig>", meta="<permissions>…</permissions>")`."""

    def write(body: str = "", *, meta: str = "", rest: str = "", prolog: str = "") -> str:
        front = f"<front><article-meta>{meta}</article-meta></front>"
        attributes = f'article-type="case-report" {NAMESPACES}'
        return f"{prolog}<article {attributes}>{front}<body>{body}</body>{rest}</article>"

    return write


@pytest.fixture
def article(jats: Callable[..., str]) -> Callable[..., Article]:
    """Return a reader of articles written like `jats` does, with the options of `read_article`."""

    def read(body: str = "", *, meta: str = "", rest: str = "", prolog: str = "", **options: Any) -> Article:
        text = jats(body, meta=meta, rest=rest, prolog=prolog)
        return read_article(text.encode(), "article.xml", **options)

    return read
