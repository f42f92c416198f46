"""How PMC lays articles out on S3 since 2026: names of keys, shapes of documents. Opens no connection.

Source: the README.txt of s3://pmc-oa-opendata, and the announcement of 2026-02-12 (NLM Technical Bulletin).
None of it could be checked against the live service where this was written.

    PMC10009416.1/PMC10009416.1.json|.xml|.txt|.pdf     one prefix a version
    PMC10009416.1/<media>                               pictures and supplements under their own names
    metadata/PMC10009416.1.json                         the same JSON, flat
    inventory-reports/pmc-oa-opendata/metadata/<date>T01-00Z/manifest.json     the keys of metadata/, daily
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from msgspec import Meta

from dataset_builder.records import Media
from rocov2_eval.errors import MissingResource
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.parsing import Malformed, json_as
from rocov2_eval.shelf.words import shorten

BASE_URL = "https://pmc-oa-opendata.s3.amazonaws.com"
BUCKET = "pmc-oa-opendata"
LISTING_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_INVENTORIES = "inventory-reports/pmc-oa-opendata/metadata"  # beside it `hive/` holds the same again
_METADATA_KEY = re.compile(r"metadata/(PMC[0-9]{1,12})\.([0-9]{1,9})\.json")
_PMCID = re.compile(r"(?:PMC)?([0-9]{1,12})", re.IGNORECASE)
_AT_ONCE = 1 << 12
_MD5 = re.compile(r"[0-9a-f]{32}")

_Shape = TypeVar("_Shape")


@dataclass(frozen=True, kw_only=True)
class ArticleMetadata:
    """What the service says of one version of an article.

    Attributes:
        pmcid: PMCID with its letters, `PMC123`.
        version: Number of the version, from 1.
        is_open_access: Whether its figures may be used at all; being in the bucket does not mean it.
        is_retracted: Whether the article was retracted.
        is_manuscript: Whether it is an author manuscript.
        is_historical_ocr: Whether its text was read from scanned pages.
        licence: Licence as the service spells it, None where it says nothing.
        xml: File of the full text, None where absent.
        media: Pictures and supplements; empty where the licence forbids them.
    """

    pmcid: str
    version: int
    is_open_access: bool
    is_retracted: bool
    is_manuscript: bool
    is_historical_ocr: bool
    licence: str | None
    xml: Media | None
    media: tuple[Media, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What the service says of one inventory, a list of all keys below `metadata/`.

    Attributes:
        files: Parts of the inventory, gzipped CSV without a header.
        n_columns: Number of columns of each row.
        key_column: Index of the column that holds the key, from 0.
    """

    files: tuple[Media, ...]
    n_columns: int
    key_column: int


class LayoutChanged(MissingResource):
    """A document of the service is not what this module knows."""


def normal_pmcid(text: str) -> str:
    """Return `PMC123` for `PMC123`, `pmc123` or `123`.

    Raises:
        ValueError: It is none of these.
    """
    match = _PMCID.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{shorten(text)!r} is no PMCID, expected PMC and digits")
    return f"PMC{int(match[1])}"


def pmcids_of(numbers: IntArray) -> Iterator[str]:
    """Yield the PMCIDs of numbers, shape (n,), a few at a time: eight million at once are half a GB."""
    for start in range(0, len(numbers), _AT_ONCE):
        yield from (f"PMC{number}" for number in numbers[start : start + _AT_ONCE].tolist())


def versions_query(pmcid: str, token: str | None = None) -> str:
    """Return the query that lists the versions of an article; the dot keeps PMC123 from PMC1234."""
    more = f"&continuation-token={quote(token, safe='')}" if token else ""
    return f"/?list-type=2&prefix=metadata/{pmcid}.&delimiter=/{more}"


def newest_version(keys: Iterable[str], pmcid: str) -> int | None:
    """Return the largest version among keys of metadata, by number (10 is newer than 2), None without one."""
    matches = (_METADATA_KEY.fullmatch(key) for key in keys)
    versions = [int(match[2]) for match in matches if match and match[1] == pmcid]
    return max(versions, default=None)


def metadata_key(pmcid: str, version: int) -> str:
    """Return the key of the metadata of a version."""
    return f"metadata/{pmcid}.{version}.json"


def read_metadata(content: bytes, key: str) -> ArticleMetadata:
    """Return the metadata of an article.

    Raises:
        LayoutChanged: A field that decides whether a figure may be used is missing, or a field is of another
            type.
    """
    document = _decoded(content, _MetadataDocument, key)
    try:
        pmcid = normal_pmcid(document.pmcid)
    except ValueError as error:
        raise LayoutChanged(f"{key}: {error}") from None
    return ArticleMetadata(
        pmcid=pmcid,
        version=document.version,
        is_open_access=document.is_pmc_openaccess,
        is_retracted=document.is_retracted,
        is_manuscript=document.is_manuscript,
        is_historical_ocr=document.is_historical_ocr,
        licence=_text(document.license_code),
        xml=media_of(document.xml_url, key) if document.xml_url else None,
        media=tuple(media_of(url, key) for url in document.media_urls or ()),
    )


def article_and_version(key: str) -> tuple[int, int] | None:
    """Return the number of the PMCID and the version whose metadata a key holds, None for another key."""
    match = _METADATA_KEY.fullmatch(key)
    return (int(match[1][3:]), int(match[2])) if match else None


def manifest_key(day: date) -> str:
    """Return the key of the manifest of the inventory of a day."""
    return f"{_INVENTORIES}/{day.isoformat()}T01-00Z/manifest.json"


def read_manifest(content: bytes, key: str) -> Manifest:
    """Return where the parts of an inventory are, and how their rows are to be read.

    Raises:
        LayoutChanged: It is no manifest, or its rows have no key.
    """
    document = _decoded(content, _ManifestDocument, key)
    columns = [name.strip() for name in document.schema.split(",")]
    if columns.count("Key") != 1:
        raise LayoutChanged(f"{key}: fileSchema is {document.schema!r}, expected a column Key")
    return Manifest(
        files=tuple(_part(item, key) for item in document.files),
        n_columns=len(columns),
        key_column=columns.index("Key"),
    )


def media_of(url: str, key: str) -> Media:
    """Return what an address of the service, `s3://pmc-oa-opendata/PMC1.1/a.jpg?md5=…`, stands for.

    Raises:
        LayoutChanged: It leads elsewhere.
    """
    parts = urlsplit(url)
    is_ours = (parts.scheme == "s3" and parts.netloc == BUCKET) or (
        parts.scheme == "https" and parts.netloc.startswith(f"{BUCKET}.s3")
    )
    path = parts.path.lstrip("/")
    if not is_ours or not path or ".." in path.split("/") or "\0" in path:
        raise LayoutChanged(f"{key}: {url!r} is no address in the bucket {BUCKET}")
    (md5, *_) = [*parse_qs(parts.query).get("md5", []), None]
    if md5 is not None and not _MD5.fullmatch(md5):
        raise LayoutChanged(f"{key}: {md5!r} is no MD5 sum")
    return Media(key=path, name=path.rpartition("/")[2], md5=md5)


def find_media(media: Iterable[Media], name: str) -> Media | None:
    """Return the file of a name: exactly, else by its stem, the largest kind of picture first.

    Capitals count, unless without them there is only one file or stem that it can be.
    """
    media = tuple(media)
    exact = [item for item in media if item.name == name]
    if exact:
        return exact[0]
    return _by_stem(media, name) or _whatever_its_capitals(media, name)


def _by_stem(media: Sequence[Media], name: str) -> Media | None:
    # Old names have no suffix and may hold dots: what follows the last dot goes only if it is a suffix.
    for stem in (name, _stem(name)):
        alike = [item for item in media if _rank(item.name) < len(PICTURES) and _stem(item.name) == stem]
        if alike:
            return min(alike, key=lambda item: (_rank(item.name), item.name))
    return None


def _whatever_its_capitals(media: Sequence[Media], name: str) -> Media | None:
    alike = [item for item in media if item.name.casefold() == name.casefold()]
    if alike:
        return alike[0] if len(alike) == 1 else None
    for stem in (name, _stem(name)):
        pictures = [item for item in media if _rank(item.name) < len(PICTURES)]
        stems = {_stem(item.name) for item in pictures if _stem(item.name).casefold() == stem.casefold()}
        if stems:
            return _by_stem(pictures, stems.pop()) if len(stems) == 1 else None
    return None


def object_path(key: str) -> str:
    """Return the path of an object in an address; names may hold blanks and percent signs."""
    return "/" + quote(key, safe="/")


PICTURES = ("jpg", "jpeg", "png", "tif", "tiff", "gif")


class _MetadataDocument(msgspec.Struct):
    """The JSON of one version of an article, as far as it is read or another type would be odd."""

    pmcid: str
    version: int
    is_pmc_openaccess: bool
    is_retracted: bool
    is_manuscript: bool
    is_historical_ocr: bool
    license_code: str | None = None
    title: str | None = None
    doi: str | None = None
    xml_url: str | None = None
    media_urls: list[str] | None = None


class _PartDocument(msgspec.Struct):
    """One part of an inventory; without its sum nobody could tell that it is whole."""

    key: Annotated[str, Meta(pattern=r"\.csv\.gz\Z")]
    md5: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")] = msgspec.field(name="MD5checksum")


class _ManifestDocument(msgspec.Struct):
    """The JSON of one inventory, as far as it is read."""

    format: Literal["CSV"] = msgspec.field(name="fileFormat")
    schema: str = msgspec.field(name="fileSchema")
    files: Annotated[list[_PartDocument], Meta(min_length=1)]


def _decoded(content: bytes, kind: type[_Shape], key: str) -> _Shape:
    try:
        return json_as(content, kind)
    except Malformed as error:
        raise LayoutChanged(f"{key}: {error}") from None


def _part(item: _PartDocument, key: str) -> Media:
    if ".." in item.key.split("/"):
        raise LayoutChanged(f"{key}: files contains {item.key!r}, expected a key below the bucket")
    return Media(key=item.key, name=item.key.rpartition("/")[2], md5=item.md5)


def _stem(name: str) -> str:
    """Return a name without the suffix of a picture."""
    stem, _, suffix = name.rpartition(".")
    return stem if suffix.lower() in (*PICTURES, "eps") else name


def _rank(name: str) -> int:
    suffix = name.rpartition(".")[2].lower()
    return PICTURES.index(suffix) if suffix in PICTURES else len(PICTURES)


def _text(text: str | None) -> str | None:
    """Return a text, None where it is blank."""
    return text if text and text.strip() else None
