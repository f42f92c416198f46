"""Fetch the figures of a list of PMCID and file name: what users of ROCO, PMC-OA or MedICaT need since 2026.

TARGET/<PMCID>/<file name>      the figures
TARGET/rehydrated.csv           what became of each row, written when all are done
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dataset_builder.pmc.client import FetchFailed, PmcClient
from dataset_builder.pmc.layout import ArticleMetadata, find_media, normal_pmcid
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import finding
from rocov2_eval.formats import load, write_text

REPORT = "rehydrated.csv"
HEADER = ("pmcid", "file", "outcome", "version", "key")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A figure to fetch."""

    pmcid: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a figure.

    Attributes:
        wanted: The figure.
        outcome: `fetched`, `was here`, `no article`, `not open access`, `retracted`, `no such file`, or
            `failed: …`.
        version: Of the article, None where there is none.
        key: Of the object, None where there is none.
    """

    wanted: Wanted
    outcome: str
    version: int | None = None
    key: str | None = None


def read_list(path: Path, pmcid_column: str, file_column: str) -> list[Wanted]:
    """Return the rows of a list, each once, in its order.

    Raises:
        RejectedInput: It cannot be read, lacks a column, or holds something that is no PMCID or no file name.
    """
    source = load(path)
    rows = csv.DictReader(io.StringIO(source.text))
    lacking = [name for name in (pmcid_column, file_column) if name not in (rows.fieldnames or ())]
    if lacking:
        held = ", ".join(rows.fieldnames or ()) or "nothing"
        message = f"expected a column {' and '.join(lacking)}, found {held}"
        raise RejectedInput(message, [finding("R102", source.path, 1, message)])
    found = []
    wanted: dict[Wanted, None] = {}
    for row in rows:
        pmcid, file = row[pmcid_column] or "", row[file_column] or ""
        try:
            wanted[Wanted(pmcid=normal_pmcid(pmcid), file=_file_name(file))] = None
        except ValueError as error:
            found.append(finding("R102", source.path, rows.line_num, str(error)))
    if found:
        raise RejectedInput(f"{path} is not a list of figures", found)
    return list(wanted)


def rehydrate(
    wanted: Sequence[Wanted], target: Path, client: PmcClient, progress: Progress, *, workers: int = 4
) -> list[Outcome]:
    """Fetch figures; what is there already is not fetched again.

    Args:
        wanted: The figures.
        target: Folder; gets a folder an article and the report.
        client: Open connection.
        progress: Called with the articles done so far and in all.
        workers: Articles fetched at the same time; the client keeps to its rate all the same.

    Raises:
        LayoutChanged: The service answers something that this program does not know.
    """
    articles: dict[str, list[Wanted]] = {}
    for item in wanted:
        articles.setdefault(item.pmcid, []).append(item)
    outcomes: dict[Wanted, Outcome] = {}
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda items: list(_article(items, target, client)), articles.values())
        for done, some in enumerate(found, start=1):
            outcomes |= {outcome.wanted: outcome for outcome in some}
            progress(done, len(articles))
    ordered = [outcomes[item] for item in wanted]
    write_text(target / REPORT, report_csv(ordered))
    return ordered


def report_csv(outcomes: Iterable[Outcome]) -> str:
    """Return one row a figure."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    for item in outcomes:
        version = "" if item.version is None else item.version
        writer.writerow([item.wanted.pmcid, item.wanted.file, item.outcome, version, item.key or ""])
    return buffer.getvalue()


def _article(wanted: Sequence[Wanted], target: Path, client: PmcClient) -> Iterator[Outcome]:
    """Yield what became of the figures of one article."""
    lacking = []
    for item in wanted:
        if (target / item.pmcid / item.file).is_file():
            yield Outcome(wanted=item, outcome="was here")
        else:
            lacking.append(item)
    if not lacking:
        return
    try:
        metadata = client.newest(lacking[0].pmcid)
    except FetchFailed as error:
        yield from (Outcome(wanted=item, outcome=f"failed: {error}") for item in lacking)
        return
    reason = _refusal(metadata)
    for item in lacking:
        if metadata is None or reason:
            version = metadata.version if metadata else None
            yield Outcome(wanted=item, outcome=reason or "no article", version=version)
        else:
            yield _figure(item, metadata, target, client)


def _refusal(metadata: ArticleMetadata | None) -> str | None:
    """Return why nothing of an article may be fetched, None where it may."""
    if metadata is None:
        return "no article"
    if metadata.is_retracted:
        return "retracted"
    return None if metadata.is_open_access else "not open access"


def _figure(wanted: Wanted, metadata: ArticleMetadata, target: Path, client: PmcClient) -> Outcome:
    media = find_media(metadata.media, wanted.file)
    if media is None:
        return Outcome(wanted=wanted, outcome="no such file", version=metadata.version)
    try:
        is_there = client.fetch(media, target / wanted.pmcid / media.name)
    except FetchFailed as error:
        return Outcome(wanted=wanted, outcome=f"failed: {error}", version=metadata.version, key=media.key)
    outcome = "fetched" if is_there else "no such file"
    return Outcome(wanted=wanted, outcome=outcome, version=metadata.version, key=media.key)


def _file_name(text: str) -> str:
    name = text.strip()
    if not name or PurePosixPath(name).name != name or name.startswith("."):
        raise ValueError(f"{text!r} is no file name")
    return name
