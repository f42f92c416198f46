"""Figures for tests, from the few facts that a test is about."""

from __future__ import annotations

from typing import Any

from dataset_builder.records import (
    ArticleFacts,
    Assignment,
    Figure,
    FigureConcepts,
    FigureLicence,
    FigureText,
    Graphic,
    Scores,
)

_PARTS = {
    "text": FigureText,
    "article": ArticleFacts,
    "scores": Scores,
    "concepts": FigureConcepts,
    "assignment": Assignment,
}


def made_figure(pmcid: str = "PMC7", name: str = "a.jpg", **values: Any) -> Figure:
    """Return a figure; each value goes to the part of the record that has a field of its name.

    Of the licence, the names are `licence`, `own_licences` and `article_licences`.
    """
    licence = FigureLicence(
        code=values.pop("licence", ""),
        own=values.pop("own_licences", ()),
        article=values.pop("article_licences", ()),
    )
    parts = {
        part: kind(**{field: values.pop(field) for field in kind.__struct_fields__ if field in values})
        for part, kind in _PARTS.items()
    }
    number = values.pop("number", 1)
    return Figure(pmcid=pmcid, number=number, graphic=Graphic(name=name), licence=licence, **parts, **values)
