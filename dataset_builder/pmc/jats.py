"""Articles in JATS into figures, one record a graphic.

A figure is a `<fig>` anywhere in the article itself: body, back matter, abstract, boxed text, floats-group. A
`<graphic>` with a caption is one as well, where it is part of nothing else.
Those of sub-articles and responses (reviews, translations) are dropped, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec import structs

from dataset_builder.pmc.front import Front, copyright_line, licence_statements, read_front
from dataset_builder.pmc.graphics import CLOSED, Picture, pictures
from dataset_builder.pmc.markup import plain_text
from dataset_builder.pmc.xml_input import Element, parse
from dataset_builder.records import (
    OWN,
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

_NOT_OURS = ("sub-article", "response")
_FIGURES = ("alternatives", "fig", "graphic")
_HOLDERS = ("fig-group", "fig", "boxed-text", "disp-quote", "app", "sec")  # may have permissions of their own
_STATEMENTS = ("permissions", "license", "copyright-statement")
_ENGLISH = "en"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, kw_only=True)
class Article:
    """The figures of one article.

    Attributes:
        article_type: Type of the article, such as `case-report`; empty where the XML does not tell it.
        has_body: False where only the front matter was handed out, as happens with closed articles.
        figures: One record a graphic, in document order.
        drops: Figures and graphics that make no record.
    """

    article_type: str
    has_body: bool
    figures: tuple[Figure, ...]
    drops: tuple[Drop, ...]


def read_article(
    content: bytes, path: str, *, pmcid: str = "", outside: Sequence[LicenceStatement] = ()
) -> Article:
    """Read the article of an XML file.

    Args:
        content: Bytes of the file.
        path: Name of the file, for messages.
        pmcid: PMCID under which the file is distributed; must be the one in the file, where that has one.
        outside: What is said about the licence outside the XML, the strongest source first.

    Raises:
        RejectedInput: The file is no well-formed XML, declares entities, is no article, or is of another
            PMCID.
    """
    article = parse(content, path)
    if article.tag != "article":
        raise RejectedInput(f"{path}: <{shorten(article.tag)}>, expected <article>")
    try:
        common = _common(read_front(article), pmcid, outside)
        figures, drops = _figures(article, common)
    except RejectedInput as error:
        raise RejectedInput(f"{path}: {error}") from error
    return Article(
        article_type=common.article.article_type,
        has_body=article.find("body") is not None,
        figures=tuple(figures),
        drops=tuple(drops),
    )


def _common(front: Front, pmcid: str, outside: Sequence[LicenceStatement]) -> Figure:
    """Return what all figures of an article share, with what the caller knows besides."""
    if pmcid and front.pmcid and not pmcid.startswith(OWN) and pmcid != front.pmcid:
        raise RejectedInput(f"the XML is of {front.pmcid}, expected {pmcid}")
    return Figure(
        pmcid=pmcid or front.pmcid,
        number=0,
        graphic=Graphic(name=""),
        article=front.facts,
        licence=FigureLicence(article=(*outside, *front.licences), copyright=front.copyright),
    )


def _figures(article: Element, common: Figure) -> tuple[list[Figure], list[Drop]]:
    """Return the records of an article, and what makes none; `common` has what all of them share."""
    elements = list(dict.fromkeys(_figure_elements(article)))
    # Replies and translations follow the article as its children; deeper ones lie inside these.
    foreign = {each for part in article.iterchildren(*_NOT_OURS) for each in part.iter(*_FIGURES)}
    figures: list[Figure] = []
    drops: list[Drop] = []
    for number, element in enumerate(elements, start=1):
        key = f"{common.pmcid}/{element.get('id') or f'figure {number}'}"
        if element in foreign:
            drops.append(Drop(stage=STAGE, key=key, reason=IN_SUB_ARTICLE))
            continue
        shown = pictures(element)
        drops += _unusable(element, shown, key)
        usable = [picture for picture in shown if picture.name and not picture.is_thumbnail]
        if usable:
            shared = _shared(element, common, number)
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


def _figure_elements(article: Element) -> Iterator[Element]:
    """Yield every `<fig>`, and every graphic with a caption outside any figure, with its alternatives."""
    for element in article.iter("fig", "graphic"):
        if element.tag == "fig":
            yield element
        elif next(element.iterancestors(*CLOSED), None) is None:
            parent = element.getparent()
            bare = parent if parent.tag == "alternatives" else element
            in_group = bare.getparent().tag == "fig-group"
            if _caption(element) or (in_group and _group_caption(bare)):
                yield bare


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


def _shared(element: Element, common: Figure, number: int) -> Figure:
    """Return what all graphics of a figure have in common."""
    labels = [plain_text(place.find("label")) for place in (element, *_around(element))]
    return structs.replace(
        common,
        number=number,
        text=FigureText(figure_id=element.get("id", ""), label=next(filter(None, labels), "")),
    )


def _around(element: Element) -> list[Element]:
    """Return the groups and figures around a figure, the nearest first."""
    return list(element.iterancestors("fig-group", "fig"))


def _figure(element: Element, shared: Figure, picture: Picture, index: int, n_graphics: int) -> Figure:
    """Return the record of one graphic."""
    # The nearest first: a graphic, its alternatives, the figure, and groups and boxes around it.
    places = [picture.element, *picture.element.iterancestors("alternatives")]
    places = list(dict.fromkeys([*places, element, *element.iterancestors(*_HOLDERS)]))
    of_article = shared.licence.copyright
    attribution = " ".join(filter(None, map(_attribution, dict.fromkeys([element, picture.element]))))
    caption = _caption(element) or _caption(picture.element) or _group_caption(element)
    text = structs.replace(
        shared.text,
        caption=" ".join(filter(None, [caption, _legend(element), attribution])),
        attribution=attribution,
        permissions=_permissions(places, of_article),
    )
    licence = structs.replace(
        shared.licence, own=licence_statements(places), copyright=copyright_line(places) or of_article
    )
    graphic = picture.record(index)
    return structs.replace(shared, graphic=graphic, n_graphics=n_graphics, text=text, licence=licence)


def _attribution(element: Element) -> str:
    """Return the attribution lines of a figure or graphic."""
    return " ".join(filter(None, map(plain_text, element.iterfind("attrib"))))


def _permissions(places: Sequence[Element], of_article: str) -> str:
    """Return what permissions say word for word; nothing where they only repeat the article's copyright."""
    stated = [child for place in places for child in place.iterchildren(*_STATEMENTS)]
    text = " ".join(filter(None, map(plain_text, stated)))
    return "" if text == of_article else text


def _legend(element: Element) -> str:
    """Return the paragraphs beside the caption."""
    return " ".join(filter(None, map(plain_text, element.iterchildren("p", "legend"))))


def _caption(element: Element) -> str:
    """Return the text of the caption that is a direct child, the English one of several."""
    captions = element.findall("caption")
    english = [caption for caption in captions if caption.get(_LANG, "").lower().startswith(_ENGLISH)]
    return plain_text(next(iter(english or captions), None))


def _group_caption(element: Element) -> str:
    """Return the caption of the nearest group that has one, followed by the label of the panel."""
    caption = next(filter(None, map(_caption, _around(element))), "")
    return f"{caption} {plain_text(element.find('label'))}".strip() if caption else ""
