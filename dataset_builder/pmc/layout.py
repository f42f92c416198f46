"""How PMC lays articles out on S3 since 2026: names of keys, shapes of documents. Opens no connection.

Source: the README.txt of s3://pmc-oa-opendata, and the announcement of 2026-02-12 (NLM Technical Bulletin).
None of it could be checked against the live service where this was written.

    PMC10009416.1/PMC10009416.1.json|.xml|.txt|.pdf     one prefix a version
    PMC10009416.1/<media>                               pictures and supplements under their own names
    metadata/PMC10009416.1.json                         the same JSON, flat
    inventory-reports/pmc-oa-opendata/metadata/<date>T01-00Z/manifest.json     the keys of metadata/, daily
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from dataset_builder.records import Media
from rocov2_eval.errors import MissingResource

BASE_URL = "https://pmc-oa-opendata.s3.amazonaws.com"
BUCKET = "pmc-oa-opendata"
LISTING_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_INVENTORIES = "inventory-reports/pmc-oa-opendata/metadata"  # beside it `hive/` holds the same again
_METADATA_KEY = re.compile(r"metadata/(PMC\d+)\.(\d+)\.json")
_PMCID = re.compile(r"(?:PMC)?(\d+)", re.IGNORECASE)
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class ArticleMetadata:
    """What the service says of one version of an article.

    Attributes:
        pmcid: With its letters, `PMC123`.
        version: From 1.
        is_open_access: Only then may its figures be used at all; being in the bucket does not mean it.
        is_retracted, is_manuscript, is_historical_ocr: As named.
        licence: As the service spells it, None where it says nothing.
        title, doi: None where absent.
        xml: The full text, None where absent.
        media: Pictures and supplements; empty where the licence forbids them.
    """

    pmcid: str
    version: int
    is_open_access: bool
    is_retracted: bool
    is_manuscript: bool
    is_historical_ocr: bool
    licence: str | None
    title: str | None
    doi: str | None
    xml: Media | None
    media: tuple[Media, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What the service says of one inventory, a list of all keys below `metadata/`.

    Attributes:
        files: The parts of the inventory, gzipped CSV without a header.
        n_columns: Of each row.
        key_column: Which of them holds the key, from 0.
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
        raise ValueError(f"{text!r} is no PMCID: expected PMC and digits")
    return f"PMC{int(match[1])}"


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
    document = _document(content, key)
    flags = {name: _flag(document, name, key) for name in _FLAGS}
    xml = _text(document, "xml_url", key)
    return ArticleMetadata(
        pmcid=_pmcid(document, key),
        version=_number(document, "version", key),
        is_open_access=flags["is_pmc_openaccess"],
        is_retracted=flags["is_retracted"],
        is_manuscript=flags["is_manuscript"],
        is_historical_ocr=flags["is_historical_ocr"],
        licence=_text(document, "license_code", key),
        title=_text(document, "title", key),
        doi=_text(document, "doi", key),
        xml=media_of(xml, key) if xml else None,
        media=tuple(media_of(url, key) for url in _texts(document, "media_urls", key)),
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
    document = _document(content, key)
    if document.get("fileFormat") != "CSV":
        raise LayoutChanged(f"{key}: fileFormat is {document.get('fileFormat')!r}, expected 'CSV'")
    columns = [name.strip() for name in str(document.get("fileSchema")).split(",")]
    if columns.count("Key") != 1:
        raise LayoutChanged(f"{key}: fileSchema is {document.get('fileSchema')!r}, expected a column Key")
    files = document.get("files")
    if not isinstance(files, list) or not files:
        raise LayoutChanged(f"{key}: files is {files!r:.60}, expected a list")
    return Manifest(
        files=tuple(_part(item, key) for item in files),
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
    """Return the file of a name: exactly, else by its stem, the largest kind of picture first."""
    media = tuple(media)
    exact = [item for item in media if item.name == name]
    if exact:
        return exact[0]
    # Old names have no suffix and may hold dots: what follows the last dot goes only if it is a suffix.
    for stem in (name, _stem(name)):
        alike = [item for item in media if _rank(item.name) < len(_PICTURES) and _stem(item.name) == stem]
        if alike:
            return min(alike, key=lambda item: (_rank(item.name), item.name))
    return None


def object_path(key: str) -> str:
    """Return the path of an object in an address; names may hold blanks and percent signs."""
    return "/" + quote(key, safe="/")


_FLAGS = ("is_pmc_openaccess", "is_retracted", "is_manuscript", "is_historical_ocr")
_PICTURES = ("jpg", "jpeg", "png", "tif", "tiff", "gif")


def _document(content: bytes, key: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LayoutChanged(f"{key}: not JSON ({error})") from None
    if not isinstance(document, dict):
        raise LayoutChanged(f"{key}: expected an object, found {type(document).__name__}")
    return document


def _part(item: object, key: str) -> Media:
    """Return one part of an inventory; without its sum nobody could tell that it is whole."""
    place = item.get("key") if isinstance(item, dict) else None
    md5 = item.get("MD5checksum") if isinstance(item, dict) else None
    if not isinstance(place, str) or not place.endswith(".csv.gz") or ".." in place.split("/"):
        raise LayoutChanged(f"{key}: files holds {item!r:.80}, expected a key that ends in .csv.gz")
    if not isinstance(md5, str) or not _MD5.fullmatch(md5):
        raise LayoutChanged(f"{key}: the MD5checksum of {place} is {md5!r:.60}")
    return Media(key=place, name=place.rpartition("/")[2], md5=md5)


def _stem(name: str) -> str:
    """Return a name without the suffix of a picture."""
    stem, _, suffix = name.rpartition(".")
    return stem if suffix.lower() in (*_PICTURES, "eps") else name


def _rank(name: str) -> int:
    suffix = name.rpartition(".")[2].lower()
    return _PICTURES.index(suffix) if suffix in _PICTURES else len(_PICTURES)


def _flag(document: Mapping[str, Any], name: str, key: str) -> bool:
    value = document.get(name)
    if not isinstance(value, bool):
        raise LayoutChanged(f"{key}: {name} is {value!r}, expected true or false")
    return value


def _pmcid(document: Mapping[str, Any], key: str) -> str:
    try:
        return normal_pmcid(str(document.get("pmcid")))
    except ValueError as error:
        raise LayoutChanged(f"{key}: {error}") from None


def _number(document: Mapping[str, Any], name: str, key: str) -> int:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise LayoutChanged(f"{key}: {name} is {value!r}, expected a number")
    return value


def _text(document: Mapping[str, Any], name: str, key: str) -> str | None:
    """Return a text, None where it is absent or blank: what is no text may well say something."""
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise LayoutChanged(f"{key}: {name} is {value!r:.60}, expected a text")
    return value if value and value.strip() else None


def _texts(document: Mapping[str, Any], name: str, key: str) -> list[str]:
    """Return a list of texts, empty where it is absent."""
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise LayoutChanged(f"{key}: {name} is {value!r:.60}, expected a list of texts")
    return value
