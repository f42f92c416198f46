"""The front matter of an article: PMCID, DOI, title, authors, year, and what it says about its licence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dataset_builder.pmc.markup import plain_text
from dataset_builder.pmc.xml_input import Element
from dataset_builder.records import ArticleFacts, LicenceSource, LicenceStatement

HREF = "{http://www.w3.org/1999/xlink}href"

_LICENSE_REF = "{http://www.niso.org/schemas/ali/1.0/}license_ref"
_PMCID = re.compile(r"(?:PMC)?([0-9]{1,12})(?:\.[0-9]+)?", re.IGNORECASE)
_PMCID_TYPES = frozenset({"pmc", "pmcid", "pmcid-ver"})
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?\s*(10\.\S+)", re.IGNORECASE)
_AUTHOR_TYPES = frozenset({None, "author"})


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the front matter of an article says.

    Attributes:
        pmcid: `PMC` and digits; empty where the XML does not tell it.
        facts: What each figure keeps of the article.
        licences: What is said about the licence of the article, the strongest source first.
    """

    pmcid: str
    facts: ArticleFacts
    licences: tuple[LicenceStatement, ...]


def read_front(article: Element) -> Front:
    """Read the front matter; what is absent is empty or None."""
    meta = article.find("front/article-meta")
    if meta is None:
        meta = article.makeelement("article-meta")
    ids = [(element.get("pub-id-type"), plain_text(element)) for element in meta.iterfind("article-id")]
    pmcids = (_PMCID.fullmatch(text) for kind, text in ids if kind in _PMCID_TYPES)
    dois = (_DOI.fullmatch(text) for kind, text in ids if kind == "doi")
    return Front(
        pmcid=next((f"PMC{int(match[1])}" for match in pmcids if match), ""),
        facts=ArticleFacts(
            doi=next((match[1] for match in dois if match), ""),
            title=plain_text(meta.find("title-group/article-title")),
            authors=tuple(_authors(meta)),
            article_type=article.get("article-type", ""),
            year=_year(meta),
        ),
        licences=(*_pmc_license_refs(article), *licence_statements(meta.find("permissions"))),
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
    return min((int(year) for year in years if re.fullmatch(r"[12][0-9]{3}", year)), default=None)


def _pmc_license_refs(article: Element) -> Iterator[LicenceStatement]:
    """Yield the licence that PMC added when it took the article in."""
    for place in article.iterchildren("processing-meta", "front"):
        for element in place.iter("custom-meta"):
            text = plain_text(element.find("meta-value"))
            if plain_text(element.find("meta-name")) == "pmc-license-ref" and text:
                yield LicenceStatement(source="pmc-license-ref", text=text)
