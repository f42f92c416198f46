"""Find what crosses the splits of a dataset: articles, near-duplicate images, identical captions."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dataset_builder.dataset_tables import Dataset, Kind, Row, bare
from dataset_builder.fingerprints import DEFAULT_DISTANCE, clusters, examine
from dataset_builder.pmc.layout import normal_pmcid
from dataset_builder.records import ImageFacts
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.pictures import Unreadable
from rocov2_eval.shelf.words import shorten

_MOST_BYTES = 1 << 28
_NO_WORD = re.compile(r"[\W_]+")
_THING: Mapping[Kind, str] = {
    "articles": "an article",
    "images": "a readable picture",
    "captions": "a caption",
}


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One thing that several splits hold.

    Attributes:
        key: The article, the normalised caption, or split/id of the first image of a cluster.
        images: Image ids by split, splits ascending, ids in the order of the dataset.
    """

    key: str
    images: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found of one kind.

    Attributes:
        kind: Articles, images or captions.
        looked_at: Images that have an article, a readable picture or a caption.
        without: Images that have none.
        distinct: How many different articles, pictures or captions there are.
        leaks: Those in more than one split, in the order of the dataset.
        unknown_splits: Those without any image that was looked at, ascending.
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
        dataset: Its path.
        columns: Which column holds what, empty for a folder.
        splits: Images by split.
        checks: Articles, images, captions, in this order.
    """

    dataset: str
    columns: Mapping[str, str]
    splits: Mapping[str, int]
    checks: tuple[Check, ...]

    @property
    def has_leaks(self) -> bool:
        """Tell whether anything crosses."""
        return any(check.leaks for check in self.checks)


def find_leaks(
    dataset: Dataset,
    *,
    distance: int = DEFAULT_DISTANCE,
    with_images: bool = True,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> LeakReport:
    """Look for articles, near-duplicate images and identical captions in more than one split.

    Args:
        dataset: The rows.
        distance: Most bits in which the perceptual hashes of near duplicates differ.
        with_images: Read the images, where there are any.
        jobs: Processes that read images.
        progress: Told how many of how many images are read.

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
    checks = (
        _check("articles", dataset.rows, _article_keys(dataset), absent),
        _check("images", dataset.rows, _image_keys(dataset.rows, absent, distance, jobs, progress), absent),
        _check("captions", dataset.rows, [normalised(row.caption) for row in dataset.rows], absent),
    )
    if all(check.not_checked for check in checks):
        reasons = "; ".join(f"{check.kind}: {check.not_checked}" for check in checks)
        raise UsageFault(f"{dataset.path}: there is nothing to look at ({reasons})")
    return LeakReport(
        dataset=dataset.path, columns=dataset.columns, splits=dict(sorted(splits.items())), checks=checks
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
    jobs: int,
    progress: Callable[[int, int], None] | None,
) -> list[str]:
    """Return for each row the first image of its cluster, empty where there is no readable image."""
    keys = [""] * len(rows)
    if "images" in absent:
        return keys
    held = [(i, row.image) for i, row in enumerate(rows) if row.image]
    if not held:
        absent["images"] = "none of the files that the dataset names is there"
        return keys
    found: list[tuple[int, ImageFacts]] = []
    results = _fingerprints([path for _, path in held], jobs)
    for done, ((i, _), result) in enumerate(zip(held, results, strict=True), start=1):
        if isinstance(result, ImageFacts):
            found.append((i, result))
        if progress:
            progress(done, len(held))
    firsts = clusters([each for _, each in found], distance).tolist()
    for (i, _), first in zip(found, firsts, strict=True):
        shown = rows[found[first][0]]
        keys[i] = f"{shown.split}/{shown.image_id}"
    return keys


def _fingerprints(paths: Sequence[Path], jobs: int) -> Iterable[ImageFacts | Unreadable]:
    if jobs == 1:
        yield from map(_fingerprint_of, paths)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_fingerprint_of, paths, chunksize=32)


def _fingerprint_of(path: Path) -> ImageFacts | Unreadable:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return Unreadable(detail=f"more than {_MOST_BYTES:,} bytes")
        return examine(path.read_bytes())
    except OSError as error:
        return Unreadable(detail=error.strerror or str(error))


def _check(kind: Kind, rows: Sequence[Row], keys: Sequence[str], absent: Mapping[Kind, str]) -> Check:
    looked_at = sum(map(bool, keys))
    splits = {row.split for row in rows}
    known = {row.split for row, key in zip(rows, keys, strict=True) if key}
    reason = absent.get(kind) or _incomparable(kind, known)
    if reason:
        return Check(
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
    return Check(
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
    if not known:
        return f"no image has {_THING[kind]}"
    return f"only images of {shorten(next(iter(known)))} have {_THING[kind]}" if len(known) == 1 else None
