"""Articles in JATS into figures, one record a graphic.

A figure is a `<fig>` anywhere in the article itself: body, back matter, abstract, boxed text, floats-group.
Those of sub-articles and responses (reviews, translations) are dropped, with the reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from msgspec import structs

from dataset_builder.pmc.front import Front, licence_statements, read_front
from dataset_builder.pmc.graphics import Picture, pictures
from dataset_builder.pmc.markup import citing_passages, plain_text
from dataset_builder.pmc.xml_input import Element, parse
from dataset_builder.records import (
    Article,
    ArticleFacts,
    Drop,
    Figure,
    FigureLicence,
    FigureText,
    Graphic,
    LicenceStatement,
)
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

STAGE = "figures"
IN_SUB_ARTICLE = "in a sub-article"
NO_GRAPHIC = "no graphic"
NO_NAME = "graphic without a file name"
ONLY_A_THUMBNAIL = "only a thumbnail"
SAME_FILE = "same file as an earlier graphic"

References = Literal["none", "sentences", "paragraphs"]

_NOT_OURS = ("sub-article", "response")
_ENGLISH = "en"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_article(
    content: bytes,
    path: str,
    *,
    pmcid: str = "",
    licence_code: str | None = None,
    references: References = "none",
) -> Article:
    """Read the one article of an XML file.

    Args:
        content: Bytes of the file.
        path: Name of the file, for messages.
        pmcid: PMCID under which the file is distributed; must be the one in the file, where that has one.
        licence_code: What PMC's metadata say about the licence.
        references: Whether to keep the sentences or paragraphs that cite each figure.

    Raises:
        RejectedInput: The file is no well-formed XML, declares entities, does not hold exactly one article,
            or is of another PMCID.
    """
    articles = _articles(content, path)
    if len(articles) != 1:
        raise RejectedInput(f"{path}: {len(articles)} articles, expected one")
    return _read(articles[0], path, pmcid, licence_code, references)


def _articles(content: bytes, path: str) -> list[Element]:
    """Return the articles, whatever they are wrapped in."""
    root = parse(content, path)
    articles = [root] if root.tag == "article" else list(root.iter("article"))
    if not articles:
        refusal = next((reply.get("error") for reply in root.iter("Reply") if reply.get("error")), None)
        found = f"the answer {shorten(refusal)!r}" if refusal else f"<{shorten(root.tag)}>"
        raise RejectedInput(f"{path}: {found}, expected <article> or <pmc-articleset>")
    return articles


def _read(
    article: Element, path: str, pmcid: str, licence_code: str | None, references: References
) -> Article:
    """Return an article with its figures."""
    try:
        front = _completed(read_front(article), pmcid, licence_code)
        figures, drops = _figures(article, front, references)
    except RejectedInput as error:
        raise RejectedInput(f"{path}: {error}") from error
    return Article(
        path=path,
        pmcid=front.pmcid,
        version=front.version,
        pmid=front.pmid,
        doi=front.doi,
        title=front.title,
        authors=front.authors,
        article_type=article.get("article-type", ""),
        year=front.year,
        copyright=front.copyright,
        licences=front.licences,
        has_body=article.find("body") is not None,
        figures=tuple(figures),
        drops=tuple(drops),
    )


def _completed(front: Front, pmcid: str, licence_code: str | None) -> Front:
    """Return the front matter with what the caller knows besides."""
    if pmcid and front.pmcid and pmcid != front.pmcid:
        raise RejectedInput(f"the XML is of {front.pmcid}, expected {pmcid}")
    metadata = (LicenceStatement(source="metadata", text=licence_code),) if licence_code else ()
    return replace(front, pmcid=pmcid or front.pmcid, licences=(*metadata, *front.licences))


def _figures(article: Element, front: Front, references: References) -> tuple[list[Figure], list[Drop]]:
    """Return the records of an article, and what makes none."""
    elements = list(article.iter("fig"))
    # Replies and translations follow the article as its children; deeper ones lie inside these.
    foreign = {fig for part in article.iterchildren(*_NOT_OURS) for fig in part.iter("fig")}
    cited = {} if references == "none" else _citations(article, sentences=references == "sentences")
    figures: list[Figure] = []
    drops: list[Drop] = []
    for number, element in enumerate(elements, start=1):
        key = f"{front.pmcid}/{element.get('id') or f'figure {number}'}"
        if element in foreign:
            drops.append(Drop(stage=STAGE, key=key, reason=IN_SUB_ARTICLE))
            continue
        shown = pictures(element)
        drops += _unusable(element, shown, key)
        usable = [picture for picture in shown if picture.name and not picture.is_thumbnail]
        if usable:
            shared = _shared(element, article, front, number, cited)
            figures += [
                _figure(element, shared, picture, index, len(usable))
                for index, picture in enumerate(usable, start=1)
            ]
    kept = {figure.key: figure for figure in reversed(figures)}
    drops += [
        Drop(stage=STAGE, key=figure.key, reason=SAME_FILE, detail=figure.text.figure_id)
        for figure in figures
        if kept[figure.key] is not figure
    ]
    return [figure for figure in figures if kept[figure.key] is figure], drops


def _citations(article: Element, *, sentences: bool) -> Mapping[str, Sequence[str]]:
    """Return the passages that cite each figure or group, by its id, in document order."""
    paragraphs: dict[Element, None] = {}  # a set that keeps the order
    for xref in article.iter("xref"):
        if xref.get("ref-type") != "fig":
            continue
        around = list(xref.iterancestors())
        paragraph = next((element for element in around if element.tag == "p"), None)
        if paragraph is not None and not any(element.tag in {"fig", *_NOT_OURS} for element in around):
            paragraphs[paragraph] = None
    cited: dict[str, list[str]] = defaultdict(list)
    for paragraph in paragraphs:
        for passage, ids in citing_passages(paragraph, sentences=sentences):
            for figure_id in ids:
                cited[figure_id].append(passage)
    return cited


def _unusable(element: Element, shown: Sequence[Picture], key: str) -> Iterator[Drop]:
    """Yield the drops of a figure: it shows nothing, or nothing under a name, or only a thumbnail."""
    if not shown:
        instead = sorted({child.tag for child in element.iter("fig", "media", "table-wrap")} - {"fig"})
        inner = "fig" if element.find(".//fig") is not None else ""
        detail = " ".join([*instead, inner]).strip()
        yield Drop(stage=STAGE, key=key, reason=NO_GRAPHIC, detail=detail)
    for picture in shown:
        if not picture.name:
            yield Drop(stage=STAGE, key=key, reason=NO_NAME)
        elif picture.is_thumbnail:
            yield Drop(stage=STAGE, key=key, reason=ONLY_A_THUMBNAIL, detail=shorten(picture.name, 200))


def _shared(
    element: Element, article: Element, front: Front, number: int, cited: Mapping[str, Sequence[str]]
) -> Figure:
    """Return what all graphics of a figure have in common."""
    around = _around(element)
    ids = [element.get("id", ""), *(outer.get("id", "") for outer in around)]
    labels = [plain_text(place.find("label")) for place in (element, *around)]
    permissions = element.find("permissions")
    return Figure(
        pmcid=front.pmcid,
        number=number,
        graphic=Graphic(name=""),
        text=FigureText(
            figure_id=ids[0],
            label=next(filter(None, labels), ""),
            references=tuple(passage for name in ids if name for passage in cited.get(name, ())),
            attribution=_attribution(element),
            permissions=plain_text(permissions),
        ),
        article=ArticleFacts(
            doi=front.doi,
            title=front.title,
            authors=front.authors,
            article_type=article.get("article-type", ""),
            year=front.year,
        ),
        licence=FigureLicence(own=licence_statements(permissions), article=front.licences),
    )


def _around(element: Element) -> list[Element]:
    """Return the groups and figures around a figure, the nearest first."""
    return list(element.iterancestors("fig-group", "fig"))


def _attribution(element: Element) -> str:
    """Return the attribution lines of a figure or graphic."""
    return " ".join(filter(None, map(plain_text, element.iterfind("attrib"))))


def _figure(element: Element, shared: Figure, picture: Picture, index: int, n_graphics: int) -> Figure:
    """Return the record of one graphic."""
    own = _attribution(picture.element)
    attribution = " ".join(filter(None, [shared.text.attribution, own]))
    caption = _caption(element) or _caption(picture.element) or _group_caption(element)
    text = structs.replace(
        shared.text, caption=" ".join(filter(None, [caption, attribution])), attribution=attribution
    )
    return structs.replace(shared, graphic=picture.record(index), n_graphics=n_graphics, text=text)


def _caption(element: Element) -> str:
    """Return the text of the caption that is a direct child, the English one of several."""
    captions = element.findall("caption")
    english = [caption for caption in captions if caption.get(_LANG, "").lower().startswith(_ENGLISH)]
    return plain_text(next(iter(english or captions), None))


def _group_caption(element: Element) -> str:
    """Return the caption of the nearest group that has one, followed by the label of the panel."""
    caption = next(filter(None, map(_caption, _around(element))), "")
    return f"{caption} {plain_text(element.find('label'))}".strip() if caption else ""
