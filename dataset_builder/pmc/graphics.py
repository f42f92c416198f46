"""The pictures of a `<fig>`: which files show the same one, and which of them a reader would want."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dataset_builder.pmc.front import HREF
from dataset_builder.pmc.xml_input import Element
from dataset_builder.records import Graphic

# Pictures below these are no pictures of the figure: formulas, tables, files to download, licence logos.
CLOSED = frozenset(
    ["disp-formula", "fig", "inline-formula", "media", "permissions", "supplementary-material", "table-wrap"]
)
_EXTENSION = re.compile(r"\.(?:bmp|eps|gif|jpe?g|pdf|png|ps|svg|tiff?|webp)\Z", re.IGNORECASE)
_PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_NOT_RENDERED = (".tif", ".tiff", ".eps", ".ps", ".pdf", ".svg")
_PREVIEW = re.compile(r"\d+x\d+")  # SciELO names its previews by their size


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of a figure.

    Attributes:
        element: The `<graphic>` of the best file.
        name: Name of the best file; empty where the XML names none.
        alternatives: Names of the other files of the same picture.
        is_thumbnail: Whether even the best file is a thumbnail.
    """

    element: Element
    name: str
    alternatives: tuple[str, ...]
    is_thumbnail: bool

    def record(self, index: int) -> Graphic:
        """Return the picture without its XML, as number `index` of its figure."""
        return Graphic(name=self.name, index=index, alternatives=self.alternatives)


def pictures(figure: Element) -> list[Picture]:
    """Return the pictures of a figure in document order, each with its alternatives."""
    return [_picture(group) for group in _grouped(list(_own_graphics(figure)))]


def _own_graphics(element: Element) -> Iterator[Element]:
    """Yield the graphics of a figure, and of no figure, table or formula inside it."""
    waiting = [element]  # a stack, because a stranger's file may be nested as deep as it likes
    while waiting:
        child = waiting.pop()
        if child.tag == "graphic":
            yield child
        elif child is element or child.tag not in CLOSED:
            waiting += reversed(list(child.iterchildren("*")))


def _grouped(graphics: list[Element]) -> list[list[Element]]:
    """Put the files of one picture together: alternatives, one name with several extensions, thumbnails."""
    groups: dict[object, list[Element]] = {}
    group_of_stem: dict[str, list[Element]] = {}
    leading: list[Element] = []
    for graphic in graphics:
        stem = _EXTENSION.sub("", _name(graphic))
        parent = graphic.getparent()
        if parent.tag == "alternatives":
            group = groups.setdefault(parent, [])
        elif stem and stem in group_of_stem:
            group = group_of_stem[stem]
        elif not _is_thumbnail(graphic):
            group = groups.setdefault(graphic, [])
        elif groups:  # a thumbnail under another name: it follows the picture that it shows
            group = next(reversed(groups.values()))
        else:
            group = leading
        group.append(graphic)
        group_of_stem.setdefault(stem, group)
    return _with_leading(leading, list(groups.values()))


def _with_leading(leading: list[Element], groups: list[list[Element]]) -> list[list[Element]]:
    """Give the thumbnails that come before any picture to the first one, or leave them by themselves."""
    if not groups:
        return [[thumbnail] for thumbnail in leading]
    return [leading + groups[0], *groups[1:]]


def _picture(group: list[Element]) -> Picture:
    """Return the picture that a group of files shows."""
    best = min(group, key=_rank)
    others = (_name(graphic) for graphic in group if graphic is not best)
    return Picture(
        element=best,
        name=_name(best),
        alternatives=tuple(filter(None, others)),
        is_thumbnail=_is_thumbnail(best),
    )


def _rank(graphic: Element) -> tuple[bool, bool, bool, int, bool]:
    """Return a key that is smallest for the file a reader would want."""
    name = _name(graphic).lower()
    kind = 0 if name.endswith(_PHOTOGRAPHS) else 2 if name.endswith(_NOT_RENDERED) else 1
    is_preview = _PREVIEW.search(graphic.get("content-type", "")) is not None
    return not name, _is_thumbnail(graphic), is_preview, kind, graphic.get("specific-use") != "web"


def _name(graphic: Element) -> str:
    """Return the file of a graphic, wherever the link stands among its attributes."""
    return str(graphic.get(HREF, "")).strip()


def _is_thumbnail(graphic: Element) -> bool:
    """Tell whether a graphic calls itself a thumbnail."""
    words = f"{graphic.get('content-type', '')} {graphic.get('specific-use', '')}"
    return "thumb" in words.lower()
