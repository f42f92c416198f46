"""The front matter of an article: ids, title, authors, year, and everything it says about its licence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dataset_builder.pmc.markup import plain_text
from dataset_builder.pmc.xml_input import Element
from dataset_builder.records import LicenceSource, LicenceStatement

HREF = "{http://www.w3.org/1999/xlink}href"

_LICENSE_REF = "{http://www.niso.org/schemas/ali/1.0/}license_ref"
_PMCID = re.compile(r"(?:PMC)?(\d+)(?:\.(\d+))?", re.IGNORECASE)
_PMCID_TYPES = frozenset({"pmc", "pmcid", "pmcid-ver"})
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?\s*(10\.\S+)", re.IGNORECASE)
_AUTHOR_TYPES = frozenset({None, "author"})


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the front matter of an article says; the fields mean what they mean in `records.Article`."""

    pmcid: str
    version: int | None
    pmid: str
    doi: str
    title: str
    authors: tuple[str, ...]
    year: int | None
    copyright: str
    licences: tuple[LicenceStatement, ...]


def read_front(article: Element) -> Front:
    """Read the front matter; what is absent is empty or None."""
    meta = article.find("front/article-meta")
    if meta is None:
        meta = article.makeelement("article-meta")
    ids = [(element.get("pub-id-type"), plain_text(element)) for element in meta.iterfind("article-id")]
    pmcid, version = _pmcid(ids)
    permissions = meta.find("permissions")
    return Front(
        pmcid=pmcid,
        version=version,
        pmid=next((text for kind, text in ids if kind == "pmid" and text.isdecimal()), ""),
        doi=next((match[1] for kind, text in ids if kind == "doi" and (match := _DOI.fullmatch(text))), ""),
        title=plain_text(meta.find("title-group/article-title")),
        authors=tuple(_authors(meta)),
        year=_year(meta),
        copyright="" if permissions is None else plain_text(permissions.find("copyright-statement")),
        licences=(*_pmc_license_refs(article), *licence_statements(permissions)),
    )


def licence_statements(permissions: Element | None) -> tuple[LicenceStatement, ...]:
    """Return what permissions say about a licence, the strongest source first.

    The attribute `license-type` is passed over: publishers write `open-access` for every licence there is.
    """
    if permissions is None:
        return ()
    licences = permissions.findall("license")
    found: list[tuple[LicenceSource, str]] = []
    found += [("license_ref", plain_text(element)) for element in permissions.iter(_LICENSE_REF)]
    found += [("license-href", licence.get(HREF, "").strip()) for licence in licences]
    found += [
        ("license-link", (link.get(HREF) or plain_text(link)).strip())
        for licence in licences
        for link in licence.iter("ext-link", "uri")
    ]
    found += [("license-text", plain_text(licence)) for licence in licences]
    return tuple(LicenceStatement(source=source, text=text) for source, text in found if text)


def _pmcid(ids: list[tuple[str | None, str]]) -> tuple[str, int | None]:
    """Return PMCID and version from whichever spelling is there: PMC123, 123 or PMC123.1."""
    pmcid, version = "", None
    for kind, text in ids:
        match = _PMCID.fullmatch(text) if kind in _PMCID_TYPES else None
        if match:
            pmcid = pmcid or f"PMC{int(match[1])}"
            version = int(match[2]) if match[2] else version
    return pmcid, version


def _authors(meta: Element) -> Iterator[str]:
    """Yield the authors; editors and reviewers are contributors too, and passed over."""
    for contributor in meta.iterfind("contrib-group/contrib"):
        if contributor.get("contrib-type") in _AUTHOR_TYPES:
            name = _name(contributor)
            if name:
                yield name


def _name(contributor: Element) -> str:
    """Return the first spelling of a name."""
    for element in contributor.iter("name", "string-name", "collab"):
        if element.tag == "collab":  # its members may follow inside it
            return " ".join((element.text or "").split()) or plain_text(element.find("institution"))
        parts = [plain_text(element.find(tag)) for tag in ("surname", "given-names")]
        return ", ".join(part for part in parts if part) or plain_text(element)
    return ""


def _year(meta: Element) -> int | None:
    """Return the year of the earliest publication date."""
    years = [plain_text(element) for element in meta.iterfind("pub-date/year")]
    return min((int(year) for year in years if re.fullmatch(r"[12]\d{3}", year)), default=None)


def _pmc_license_refs(article: Element) -> Iterator[LicenceStatement]:
    """Yield the licence that PMC added when it took the article in."""
    for place in article.iterchildren("processing-meta", "front"):
        for element in place.iter("custom-meta"):
            text = plain_text(element.find("meta-value"))
            if plain_text(element.find("meta-name")) == "pmc-license-ref" and text:
                yield LicenceStatement(source="pmc-license-ref", text=text)
