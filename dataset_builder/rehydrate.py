"""Fetch the figures of a list of PMCID and file name: what users of ROCO, PMC-OA or MedICaT need since 2026.

TARGET/<PMCID>/<file name>      the figures
TARGET/rehydrated.csv           what became of each row, written when all are done
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dataset_builder.panels import Box, cut_out, split_name
from dataset_builder.pmc.client import FetchFailed, PmcClient
from dataset_builder.pmc.layout import ArticleMetadata, find_media, normal_pmcid
from dataset_builder.records import Media
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import finding
from rocov2_eval.records import Finding
from rocov2_eval.shelf.csv_files import csv_text, read_rows
from rocov2_eval.shelf.files import write_bytes, write_text
from rocov2_eval.shelf.pictures import Unreadable
from rocov2_eval.shelf.progress import Progress
from rocov2_eval.shelf.words import shorten

REPORT = "rehydrated.csv"
_AT_HAND = ("fetched", "was here")
HEADER = ("pmcid", "file", "outcome", "version", "key")
_MOST_FAULTS = 20  # shown of one file: a file of something else has millions
_MOST_NAME_BYTES = 250  # file systems take 255, and `.part` is put behind the name


@dataclass(frozen=True, kw_only=True)
class FigureName:
    """A figure to fetch.

    Attributes:
        pmcid: PMCID of its article, with the letters.
        file: Name of its file, with or without the suffix; of a panel, with its box, see `panels`.
    """

    pmcid: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """What became of a figure.

    Attributes:
        figure: The figure, as the list names it.
        outcome: `fetched`, `was here`, `no article`, `not open access`, `retracted`, `no such file`, or
            `failed: …`.
        version: Version of the article, None where there is none.
        key: Key of the object at the service, None where there is none.
    """

    figure: FigureName
    outcome: str
    version: int | None = None
    key: str | None = None


def read_list(path: Path, pmcid_column: str, file_column: str) -> list[FigureName]:
    """Return the rows of a list, each once, in its order.

    Raises:
        RejectedInput: It cannot be read, lacks a column, or holds something that is no PMCID or no file name.
    """
    found: list[Finding] = []
    figures: dict[FigureName, None] = {}
    for line, row in read_rows(path, ()):
        lacking = [name for name in (pmcid_column, file_column) if name not in row]
        if lacking:
            held = shorten(", ".join(row), 200)
            raise _rejected(path, 1, f"expected a column {' and '.join(lacking)}, found {held}")
        try:
            name = FigureName(pmcid=normal_pmcid(row[pmcid_column]), file=_file_name(row[file_column]))
            figures[name] = None
        except ValueError as error:
            found.append(finding("R113", str(path), line, str(error)))
        if len(found) == _MOST_FAULTS:
            break
    if found:
        raise RejectedInput(f"{path} is not a list of figures", found)
    if not figures:
        raise _rejected(path, None, "no row, expected at least one figure")
    return list(figures)


def rehydrate(
    figures: Sequence[FigureName], target: Path, client: PmcClient, progress: Progress, *, workers: int = 4
) -> list[Fetch]:
    """Fetch figures; what is there already is not fetched again.

    Args:
        figures: Figures to fetch, in the order of the report.
        target: Folder that gets a folder an article and the report.
        client: Open connection to the service.
        progress: Called with how many of how many articles are done.
        workers: Number of articles fetched at the same time; the client keeps to its rate all the same.

    Raises:
        LayoutChanged: The service answers something that this program does not know.
    """
    articles: dict[str, list[FigureName]] = {}
    for figure in figures:
        articles.setdefault(figure.pmcid, []).append(figure)
    fetches: dict[FigureName, Fetch] = {}
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda items: list(_article(items, target, client)), articles.values())
        for done, some in enumerate(found, start=1):
            fetches |= {fetch.figure: fetch for fetch in some}
            progress(done, len(articles))
    ordered = [fetches[figure] for figure in figures]
    rows = [(each.figure.pmcid, each.figure.file, each.outcome, each.version, each.key) for each in ordered]
    write_text(target / REPORT, csv_text(HEADER, rows))
    return ordered


def _article(figures: Sequence[FigureName], target: Path, client: PmcClient) -> Iterator[Fetch]:
    """Yield what became of the figures of one article; a file under several names is fetched once."""
    lacking = []
    for item in figures:
        if _path(target, item).is_file():
            yield Fetch(figure=item, outcome="was here")
        else:
            lacking.append(item)
    if not lacking:
        return
    try:
        metadata = client.newest(lacking[0].pmcid)
    except FetchFailed as error:
        yield from (Fetch(figure=item, outcome=f"failed: {error}") for item in lacking)
        return
    reason = _refusal(metadata)
    fetched: dict[str, str] = {}
    for item in lacking:
        if metadata is None or reason:
            version = metadata.version if metadata else None
            yield Fetch(figure=item, outcome=reason or "no article", version=version)
            continue
        file, box = split_name(item.file)
        media = find_media(metadata.media, file)
        if media is None:
            yield Fetch(figure=item, outcome="no such file", version=metadata.version)
            continue
        if media.key not in fetched:
            fetched[media.key] = _fetched(media, target / item.pmcid / media.name, client)
        outcome = fetched[media.key]
        if box and outcome in _AT_HAND:
            outcome = _cut(target / item.pmcid / media.name, box, _path(target, item))
        yield Fetch(figure=item, outcome=outcome, version=metadata.version, key=media.key)


def _refusal(metadata: ArticleMetadata | None) -> str | None:
    """Return why nothing of an article may be fetched, None where it may."""
    if metadata is None:
        return "no article"
    if metadata.is_retracted:
        return "retracted"
    return None if metadata.is_open_access else "not open access"


def _fetched(media: Media, path: Path, client: PmcClient) -> str:
    """Return what became of a file, which may be there under another name than it was asked for by."""
    if path.is_file():
        return "was here"
    try:
        return "fetched" if client.fetch(media, path) else "no such file"
    except FetchFailed as error:
        return f"failed: {error}"


def _path(target: Path, item: FigureName) -> Path:
    """Return where a figure lies; a panel is a PNG file beside the picture that it is cut out of."""
    suffix = ".png" if split_name(item.file)[1] else ""
    return target / item.pmcid / f"{item.file}{suffix}"


def _cut(picture: Path, box: Box, path: Path) -> str:
    """Write a panel of a picture; return what became of it."""
    panel = cut_out(picture.read_bytes(), box)
    if isinstance(panel, Unreadable):
        return f"failed: {panel.detail}"
    write_bytes(path, panel)
    return "fetched"


def _file_name(text: str) -> str:
    name = text.strip()
    if not (name and name.isprintable()) or PurePosixPath(name).name != name or name.startswith("."):
        raise ValueError(f"{shorten(text)!r} is no file name, expected one without a folder")
    if len(name.encode()) > _MOST_NAME_BYTES:
        raise ValueError(f"{shorten(text)!r} has more than {_MOST_NAME_BYTES} bytes")
    return name


def _rejected(path: Path, line: int | None, message: str) -> RejectedInput:
    return RejectedInput(f"{path}: {message}", [finding("R009", str(path), line, message)])
