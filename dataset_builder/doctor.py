"""Check that PMC's service still looks as `pmc/layout.py` expects, on the machine where it can be reached."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from dataset_builder.checks import Check
from dataset_builder.pmc.client import FetchFailed, PmcClient
from dataset_builder.pmc.layout import ArticleMetadata, LayoutChanged

KNOWN_ARTICLE = "PMC10009416"  # the example of the service's own README
KNOWN_LICENCES = {
    *("CC BY", "CC BY-NC", "CC BY-SA", "CC BY-ND", "CC BY-NC-SA", "CC BY-NC-ND", "CC0", "TDM", "NO-CC CODE"),
}


def examine(client: PmcClient, pmcid: str = KNOWN_ARTICLE) -> Iterator[Check]:
    """Yield the checks of one article, from its listing to the sum of a picture, as far as one can go on."""
    try:
        metadata = client.newest(pmcid)
    except (FetchFailed, LayoutChanged) as error:
        yield Check(name="listing and metadata", is_fine=False, found=str(error))
        return
    if metadata is None:
        yield Check(name="listing and metadata", is_fine=False, found=f"{pmcid} has no version")
        return
    yield Check(
        name="listing and metadata", is_fine=True, found=f"{pmcid}, newest version {metadata.version}"
    )
    yield _licence(metadata)
    yield _text(metadata, client)
    yield _picture(metadata, client)


def _licence(metadata: ArticleMetadata) -> Check:
    known = metadata.licence is None or metadata.licence in KNOWN_LICENCES
    return Check(name="licence code", is_fine=known, found=repr(metadata.licence))


def _text(metadata: ArticleMetadata, client: PmcClient) -> Check:
    if metadata.xml is None:
        return Check(name="full text", is_fine=False, found="no xml_url")
    try:
        content = client.read(metadata.xml.key)
    except FetchFailed as error:
        return Check(name="full text", is_fine=False, found=str(error))
    is_article = content is not None and b"<article" in content
    return Check(name="full text", is_fine=is_article, found=f"{len(content or b''):,} bytes")


def _picture(metadata: ArticleMetadata, client: PmcClient) -> Check:
    pictures = [item for item in metadata.media if item.name.lower().endswith((".jpg", ".png", ".gif"))]
    if not pictures:
        return Check(name="picture", is_fine=False, found="media_urls names none")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture")
        try:
            is_there = client.fetch(pictures[0], path)
        except FetchFailed as error:
            return Check(name="picture", is_fine=False, found=str(error))
        size = path.stat().st_size if is_there else 0
    md5 = "its MD5 sum agrees" if pictures[0].md5 else "no MD5 sum is given"
    is_fine = is_there and pictures[0].md5 is not None
    return Check(name="picture", is_fine=is_fine, found=f"{pictures[0].name}, {size:,} bytes, {md5}")
