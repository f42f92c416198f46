"""The front matter of an article: PMCID, DOI, title, authors, year, and what it says about its licence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataset_builder.pmc.markup import plain_text
from dataset_builder.pmc.xml_input import Element
from dataset_builder.records import ArticleFacts, LicenceSource, LicenceStatement

HREF = "{http://www.w3.org/1999/xlink}href"

_IS_LICENCE = re.compile(r"licen[sc]e|creativecommons", re.IGNORECASE)
_COPYRIGHT = ("copyright-year", "copyright-holder")
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
        copyright: The copyright line of the article; empty where it has none.
    """

    pmcid: str
    facts: ArticleFacts
    licences: tuple[LicenceStatement, ...]
    copyright: str


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
        licences=(*_custom_metas(article), *licence_statements([meta])),
        copyright=copyright_line([meta]),
    )


def licence_statements(places: Sequence[Element]) -> tuple[LicenceStatement, ...]:
    """Return what elements say about a licence, the strongest source first.

    Since NLM 3.0 statements stand in `<permissions>`, in NLM 2.x directly in the element that they are about.

    Args:
        places: Elements that may have either as children: an `<article-meta>`, a `<fig>`, a `<graphic>`.
    """
    around = [element for place in places for element in (place, *place.iterchildren("permissions"))]
    licences = [licence for element in around for licence in element.iterchildren("license")]
    refs = [ref for element in around for ref in element.iterchildren("{*}license_ref", "{*}license-ref")]
    refs += [ref for licence in licences for ref in licence.iter("{*}license_ref", "{*}license-ref")]
    found: list[tuple[LicenceSource, str]] = []
    found += [("license_ref", text) for ref in refs for text in (plain_text(ref), ref.get(HREF, ""))]
    found += [("license-href", licence.get(HREF, "")) for licence in licences]
    found += [("license-link", _target(link)) for licence in licences for link in _links(licence)]
    found += [("license-text", plain_text(licence)) for licence in licences]
    found += [("license-type", element.get("license-type", "")) for element in licences]
    found += [("license-type", element.get("content-type", "")) for element in refs]
    for statement in _copyright_statements(around):
        found += [
            ("copyright-statement", text)
            for text in (plain_text(statement), *map(_target, _links(statement)))
        ]
    uris = (uri for place in places for uri in place.iterchildren("self-uri"))
    found += [("self-uri", _target(uri)) for uri in uris if _IS_LICENCE.search(_target(uri))]
    stated = dict.fromkeys((source, text.strip()) for source, text in found)
    return tuple(LicenceStatement(source=source, text=text) for source, text in stated if text)


def copyright_line(places: Sequence[Element]) -> str:
    """Return the first copyright statement, else year and holder; empty where there is neither."""
    around = [element for place in places for element in (place, *place.iterchildren("permissions"))]
    for statement in _copyright_statements(around):
        line = plain_text(statement)
        if line:
            return line
    parts = [
        plain_text(part) for tag in _COPYRIGHT for element in around for part in element.iterchildren(tag)
    ]
    return f"© {' '.join(parts)}" if any(parts) else ""


def _copyright_statements(around: Sequence[Element]) -> Iterator[Element]:
    for element in around:
        yield from element.iterchildren("copyright-statement")


def _links(element: Element) -> Iterator[Element]:
    """Yield what links elsewhere, but for the files of logos."""
    for link in element.iterdescendants("*"):
        is_logo = link.tag in {"graphic", "inline-graphic"}
        if link.tag == "uri" or (link.get(HREF) and not is_logo):
            yield link


def _target(link: Element) -> str:
    return (link.get(HREF) or plain_text(link)).strip()


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


def _custom_metas(article: Element) -> Iterator[LicenceStatement]:
    """Yield the licence that PMC or a publisher added beside the front matter."""
    for place in article.iterchildren("processing-meta", "front"):
        for element in place.iter("custom-meta"):
            text = plain_text(element.find("meta-value"))
            if _IS_LICENCE.search(plain_text(element.find("meta-name"))) and text:
                yield LicenceStatement(source="custom-meta", text=text)
