"""Find what crosses the splits of a dataset: articles, near-duplicate images, identical captions."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from dataset_builder.dataset_tables import Dataset, Kind, Role, Row, bare
from dataset_builder.fingerprints import DEFAULT_DISTANCE, clusters, examine
from dataset_builder.pmc.layout import normal_pmcid
from dataset_builder.records import ImageFacts
from rocov2_eval import __version__
from rocov2_eval.errors import UsageFault
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table
from rocov2_eval.shelf.pictures import Unreadable
from rocov2_eval.shelf.processes import run_tasks
from rocov2_eval.shelf.progress import Progress, silent
from rocov2_eval.shelf.words import counted, shorten

_MOST_BYTES = 1 << 28
_NO_WORD = re.compile(r"[\W_]+")
_SCHEMA_VERSION = 1
_SHOWN_IDS = 3
_SHOWN_LEAKS = 5
_THING: Mapping[Kind, str] = {"articles": "article", "images": "readable picture", "captions": "caption"}


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One thing that several splits hold.

    Attributes:
        key: The article, the normalised caption, or split/id of the first image of a cluster.
        images: Ids of the images by split, splits ascending, ids in the order of the dataset.
    """

    key: str
    images: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class LeaksOfKind:
    """What crosses the splits, of one kind of thing.

    Attributes:
        kind: Articles, images or captions.
        looked_at: Number of images that have an article, a readable picture or a caption.
        without: Number of images that have none.
        distinct: Number of different articles, pictures or captions.
        leaks: Things in more than one split, in the order of the dataset.
        unknown_splits: Splits without any image that was looked at, ascending.
        not_checked: Why nothing was compared, None where something was.
    """

    kind: Kind
    looked_at: int
    without: int
    distinct: int
    leaks: tuple[Leak, ...]
    unknown_splits: tuple[str, ...] = ()
    not_checked: str | None = None

    def between(self) -> dict[tuple[str, str], int]:
        """Return how many cross from each split to each other."""
        return dict(
            sorted(Counter(pair for leak in self.leaks for pair in combinations(leak.images, 2)).items())
        )


@dataclass(frozen=True, kw_only=True)
class LeakReport:
    """What crosses the splits of a dataset.

    Attributes:
        dataset: Path of the dataset, as the user wrote it.
        columns: Name of the column for each role, empty for a folder.
        splits: Number of images of each split.
        checks: What crosses of each kind: articles, images, captions, in this order.
    """

    dataset: str
    columns: Mapping[Role, str]
    splits: Mapping[str, int]
    checks: tuple[LeaksOfKind, ...]

    @property
    def has_leaks(self) -> bool:
        """Tell whether anything crosses."""
        return any(check.leaks for check in self.checks)


def find_leaks(
    dataset: Dataset,
    *,
    distance: int = DEFAULT_DISTANCE,
    with_images: bool = True,
    workers: int = 1,
    progress: Progress = silent,
) -> LeakReport:
    """Look for articles, near-duplicate images and identical captions in more than one split.

    Args:
        dataset: Images with their splits, articles and captions.
        distance: Most bits in which the perceptual hashes of near duplicates differ.
        with_images: Whether the images are read, where there are any.
        workers: Number of processes that read images.
        progress: Called with how many of how many images are read.

    Raises:
        UsageFault: The dataset has a single split, or nothing that could be looked at.
    """
    splits = Counter(row.split for row in dataset.rows)
    if len(splits) < 2:  # noqa: PLR2004  something crosses from one to another
        found = ", ".join(splits) or "none"
        raise UsageFault(f"{dataset.path}: expected at least two splits, found {shorten(found)}")
    absent = dict(dataset.absent)
    if not with_images:
        absent["images"] = "not asked for"
    image_keys = _image_keys(dataset.rows, absent, distance, workers, progress)
    checks = (
        _check("articles", dataset.rows, _article_keys(dataset), absent),
        _check("images", dataset.rows, image_keys, absent),
        _check("captions", dataset.rows, [normalised(row.caption) for row in dataset.rows], absent),
    )
    if all(check.not_checked for check in checks):
        reasons = "; ".join(f"{check.kind}: {check.not_checked}" for check in checks)
        raise UsageFault(f"{dataset.path}: nothing to compare ({reasons})")
    return LeakReport(
        dataset=dataset.path,
        columns=dataset.columns,
        splits=dict(sorted(splits.items())),
        checks=checks,
    )


def normalised(caption: str) -> str:
    """Return a caption without what does not make it another: case, punctuation, blanks, Unicode forms."""
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", caption).casefold()).strip()


def _article_keys(dataset: Dataset) -> list[str]:
    """Return the article of each row, PMCIDs in one spelling: `PMC1`, `pmc1` and `1` are the same.

    A folder names PMCIDs; a column does if it is called so, or if any of its cells has the letters.
    """
    keys = [row.article for row in dataset.rows]
    column = dataset.columns.get("article", "pmcid")
    if bare(column) == "pmcid" or any(key[:3].upper() == "PMC" for key in keys):
        return [_one_spelling(key) for key in keys]
    return keys


def _one_spelling(article: str) -> str:
    try:
        return normal_pmcid(article)
    except ValueError:  # no PMCID after all: compared as it is
        return article


def _image_keys(
    rows: Sequence[Row],
    absent: dict[Kind, str],
    distance: int,
    workers: int,
    progress: Progress,
) -> list[str]:
    """Return for each row the first image of its cluster, empty where there is no readable image."""
    keys = [""] * len(rows)
    if "images" in absent:
        return keys
    files = [(i, row.image) for i, row in enumerate(rows) if row.image]
    if not files:
        absent["images"] = "no image file of the dataset exists"
        return keys
    fingerprints: dict[int, ImageFacts] = {}
    for done, (i, result) in enumerate(run_tasks(_fingerprint_of, files, workers), start=1):
        if isinstance(result, ImageFacts):
            fingerprints[i] = result
        progress(done, len(files))
    places = sorted(fingerprints)
    firsts = clusters([fingerprints[i] for i in places], distance).tolist()
    for i, first in zip(places, firsts, strict=True):
        shown = rows[places[first]]
        keys[i] = f"{shown.split}/{shown.image_id}"
    return keys


def _fingerprint_of(place: tuple[int, Path]) -> tuple[int, ImageFacts | Unreadable]:
    """Return the fingerprint of an image file, with the row that it belongs to."""
    row, path = place
    try:
        if path.stat().st_size > _MOST_BYTES:
            return row, Unreadable(detail=f"more than {_MOST_BYTES:,} bytes")
        return row, examine(path.read_bytes())
    except OSError as error:
        return row, Unreadable(detail=error.strerror or str(error))


def _check(kind: Kind, rows: Sequence[Row], keys: Sequence[str], absent: Mapping[Kind, str]) -> LeaksOfKind:
    looked_at = sum(map(bool, keys))
    splits = {row.split for row in rows}
    known = {row.split for row, key in zip(rows, keys, strict=True) if key}
    reason = absent.get(kind) or _incomparable(kind, known)
    if reason:
        return LeaksOfKind(
            kind=kind,
            looked_at=looked_at,
            without=len(rows) - looked_at,
            distinct=0,
            leaks=(),
            unknown_splits=tuple(sorted(splits - known)),
            not_checked=reason,
        )
    holders: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row, key in zip(rows, keys, strict=True):
        if key:
            holders[key][row.split].append(row.image_id)
    return LeaksOfKind(
        kind=kind,
        looked_at=looked_at,
        without=len(rows) - looked_at,
        distinct=len(holders),
        unknown_splits=tuple(sorted(splits - known)),
        leaks=tuple(
            Leak(key=key, images={split: tuple(by_split[split]) for split in sorted(by_split)})
            for key, by_split in holders.items()
            if len(by_split) > 1
        ),
    )


def _incomparable(kind: Kind, known: set[str]) -> str | None:
    """Return why nothing can cross between the splits that something is known of, None where it can."""
    thing = f"{'an' if kind == 'articles' else 'a'} {_THING[kind]}"
    if not known:
        return f"no image has {thing}"
    return f"only images of {shorten(next(iter(known)))} have {thing}" if len(known) == 1 else None


def leaks_document(report: LeakReport) -> Document:
    """Return a report with a few examples of each kind; its data have every leak."""
    splits = ", ".join(f"{shorten(split, 30)} {n:,}" for split, n in report.splits.items())
    columns = ", ".join(f"{role} = {name}" for role, name in report.columns.items())
    return Document(
        title=f"{report.dataset}: {counted(sum(report.splits.values()), 'image')}, {splits}",
        sections=[
            *([Section(notes=[Note(label="columns", text=columns)])] if columns else []),
            *(_section(check) for check in report.checks),
            Section(notes=[Note(text=_verdict(report))]),
        ],
        data=_data(report),
        summary=_verdict(report),
    )


def _section(check: LeaksOfKind) -> Section:
    """Return how many things cross between which splits, and where the first of them are."""
    more = len(check.leaks) - _SHOWN_LEAKS
    columns = (Column(title=_THING[check.kind]), Column(title="where"))
    rows = [(shorten(leak.key), _places(leak)) for leak in check.leaks[:_SHOWN_LEAKS]]
    return Section(
        title=f"{check.kind}: {_sentence(check)}",
        facts=[Fact(name=" and ".join(pair), value=n, kind="count") for pair, n in check.between().items()],
        tables=[Table(columns=columns, rows=rows)] if rows else [],
        notes=[Note(text=f"… and {more:,} more; --format json lists all")] if more > 0 else [],
    )


def _sentence(check: LeaksOfKind) -> str:
    if check.not_checked:
        return f"not checked: {check.not_checked}"
    text = f"{len(check.leaks):,} of {check.distinct:,} in several splits"
    if check.without:
        has = "has" if check.without == 1 else "have"
        text += f"; {counted(check.without, 'image')} {has} no {_THING[check.kind]}"
        if check.unknown_splits:
            text += f", among them all of {_named(check.unknown_splits)}"
    return text


def _places(leak: Leak) -> str:
    return "; ".join(f"{shorten(split, 30)}: {_ids(ids)}" for split, ids in leak.images.items())


def _ids(ids: tuple[str, ...]) -> str:
    shown = ", ".join(shorten(image_id, 40) for image_id in ids[:_SHOWN_IDS])
    return shown if len(ids) <= _SHOWN_IDS else f"{shown} and {len(ids) - _SHOWN_IDS:,} more"


def _verdict(report: LeakReport) -> str:
    unchecked = [check.kind for check in report.checks if check.not_checked]
    limits = [f"{' and '.join(unchecked)} not checked"] if unchecked else []
    limits += [
        f"{check.kind} of {_named(check.unknown_splits)} not known"
        for check in report.checks
        if check.unknown_splits and not check.not_checked
    ]
    verdict = "Leaks found" if report.has_leaks else "No leaks found"
    return f"{verdict} ({'; '.join(limits)})." if limits else f"{verdict}."


def _named(splits: Sequence[str]) -> str:
    return " and ".join(shorten(split, 30) for split in splits)


def _data(report: LeakReport) -> dict[str, Any]:
    """Return a report with every leak, for JSON."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "dataset": report.dataset,
        "columns": dict(report.columns),
        "splits": dict(report.splits),
        "has_leaks": report.has_leaks,
        "checks": {
            check.kind: {
                "not_checked": check.not_checked,
                "unknown_splits": list(check.unknown_splits),
                "looked_at": check.looked_at,
                "without": check.without,
                "distinct": check.distinct,
                "in_several_splits": len(check.leaks),
                "between": [{"splits": list(pair), "count": n} for pair, n in check.between().items()],
                "leaks": [
                    {"key": leak.key, "images": {split: list(ids) for split, ids in leak.images.items()}}
                    for leak in check.leaks
                ],
            }
            for check in report.checks
        },
    }
