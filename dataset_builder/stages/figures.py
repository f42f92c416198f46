"""The figures of each article, one record a graphic, with the file that the source has of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from dataset_builder.pmc.jats import STAGE as NAME
from dataset_builder.pmc.jats import Article, read_article
from dataset_builder.pmc.layout import find_media
from dataset_builder.records import Drop, Entry, Figure, LicenceSource, LicenceStatement, Media
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

NOT_THERE = "full text not at the source"
UNREADABLE = "full text cannot be read"
NO_BODY = "no body: a closed article"
WRONG_TYPE = "article type excluded"
NO_FIGURE = "no figure"
NO_FILE = "file not at the source"

# Notices about other articles: their figures are those of the articles, or wrong.
NOTICES = ("addendum", "correction", "erratum", "expression-of-concern", "retraction")


class FigureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an article.

    Attributes:
        leave_out: Article types whose figures are not used.
    """

    leave_out: tuple[str, ...] = NOTICES


def run(entries: Sequence[Entry], context: Context) -> Result:
    """Read every article."""
    options: FigureOptions = context.tables["figures"]
    kept: list[Figure] = []
    drops: list[Drop] = []
    for done, entry in enumerate(entries, start=1):
        if entry.xml is None:  # the source itself knows the figures
            figures, lost = list(entry.figures), list(entry.drops)
        else:
            figures, lost = _figures(entry, entry.xml, context, options)
        kept += figures
        drops += lost
        context.progress(done, len(entries))
    return Result(kept=kept, drops=drops)


def _figures(
    entry: Entry, xml: Media, context: Context, options: FigureOptions
) -> tuple[list[Figure], list[Drop]]:
    try:
        content = context.open_source().read(xml)
        if content is None:
            return [], [_drop(entry, NOT_THERE, xml.key)]
        article = read_article(content, xml.key, pmcid=entry.pmcid, outside=_outside(entry))
    except RejectedInput as error:
        return [], [_drop(entry, UNREADABLE, str(error))]
    if not article.has_body:
        return [], [_drop(entry, NO_BODY)]
    if article.article_type in options.leave_out:
        return [], [_drop(entry, WRONG_TYPE, article.article_type)]
    if not article.figures and not article.drops:
        return [], [_drop(entry, NO_FIGURE)]
    return _with_files(entry, article)


def _outside(entry: Entry) -> tuple[LicenceStatement, ...]:
    """Return what is said about the licence outside the XML."""
    stated: tuple[tuple[LicenceSource, str | None], ...] = (
        ("metadata", entry.licence),
        ("file-list", entry.listed_licence),
    )
    return tuple(LicenceStatement(source=source, text=text) for source, text in stated if text)


def _with_files(entry: Entry, article: Article) -> tuple[list[Figure], list[Drop]]:
    """Look up the file of every figure: under its own name, else under one of its alternatives."""
    kept = []
    drops = list(article.drops)
    for figure in article.figures:
        names = (figure.graphic.name, *figure.graphic.alternatives)
        files = (find_media(entry.media, name.rpartition("/")[2]) for name in names)
        media = next((file for file in files if file is not None), None)
        if media is None:
            drops.append(Drop(stage=NAME, key=figure.key, reason=NO_FILE, detail=shorten(", ".join(names))))
        else:
            facts = replace(figure.article, version=entry.version)
            kept.append(replace(figure, media=media, article=facts))
    return kept, drops


def _drop(entry: Entry, reason: str, detail: str = "") -> Drop:
    return Drop(stage=NAME, key=entry.pmcid, reason=reason, detail=shorten(detail, 200))


STAGE = Stage(
    name=NAME,
    revision=4,
    title="figures with their files",
    own_title="images with their files",
    tables=("source", "figures"),
    takes=Entry,
    gives=Figure,
    run=run,
    libraries=("lxml",),
)
