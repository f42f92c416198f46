"""Concepts of all captions of some files, in one process or in several.

A worker loads the model pack once; captions go to it a shard at a time, and lines of CSV come back. MedCAT's
own way with processes sends the whole model with each batch and gains nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add
from pathlib import Path

from dataset_builder.concepts.extraction import (
    CaptionConcepts,
    ExtractionOptions,
    ExtractionSummary,
    extract_concepts,
    open_extractor,
    summarise,
)
from rocov2_eval.concept_extraction import MedcatExtractor
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import csv_text, read_rows
from rocov2_eval.shelf.processes import run_tasks
from rocov2_eval.shelf.progress import Progress
from rocov2_eval.shelf.words import shorten

SHARD = 1000  # captions
# With two processors a second worker makes the start 1.7 seconds longer and the rest 1.87 times as fast; one
# worker reads 6,000 captions a second. So it pays from some 20,000 captions on.
PAYING = 20_000  # captions that a worker more pays for
CONCEPT_COLUMNS = ("ID", "CUIs")
MENTION_COLUMNS = ("ID", "start", "end", "text", "cui", "name", "types", "accuracy", "removed")

_ENDING = "_captions.csv"
_HEADER = ("ID", "Caption")

Caption = tuple[str, str]  # image id and text


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """The concepts of captions.

    Attributes:
        concepts: Image id of each caption and its CUIs joined by `;`, as the columns `CONCEPT_COLUMNS`.
        mentions: Cells of each mention, as the columns `MENTION_COLUMNS`.
        summary: Counts over all captions.
        identity: Name of the model pack with its digest, or of the build.
    """

    concepts: tuple[tuple[str, str], ...]
    mentions: tuple[tuple[object, ...], ...]
    summary: ExtractionSummary
    identity: str

    def concepts_csv(self) -> str:
        """Return the concepts as a CSV file."""
        return csv_text(CONCEPT_COLUMNS, self.concepts)

    def mentions_csv(self) -> str:
        """Return the mentions as a CSV file."""
        return csv_text(MENTION_COLUMNS, self.mentions)


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """What a worker is told."""

    number: int
    captions: Sequence[Caption]
    pack: Path
    options: ExtractionOptions


def caption_files(path: Path) -> tuple[Path, ...]:
    """Return the captions that a path stands for: a file, or `*_captions.csv` of a dataset folder.

    Raises:
        UsageFault: There is none in the folder.
    """
    if not path.is_dir():
        return (path,)
    files = tuple(sorted(path.glob(f"*{_ENDING}")))
    if not files:
        raise UsageFault(f"{path}: no file *{_ENDING} in this folder, expected a dataset folder")
    return files


def read_captions(files: Sequence[Path]) -> list[Caption]:
    """Return image ids and captions.

    Raises:
        RejectedInput: A file cannot be read, has no column ID or Caption, or an id stands twice or is empty.
    """
    captions: dict[str, str] = {}
    for path in files:
        for line, row in read_rows(path, _HEADER):
            image_id = row["ID"].strip()
            if not image_id:
                raise RejectedInput(f"{path}:{line}: a row without an ID")
            if image_id in captions:
                raise RejectedInput(f"{path}:{line}: {shorten(image_id)} occurs twice, expected once")
            captions[image_id] = row["Caption"]
    return list(captions.items())


def extract_files(
    files: Sequence[Path],
    pack: Path,
    options: ExtractionOptions,
    *,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> Extracted:
    """Return the concepts of all captions of files; the same for any number of workers.

    Args:
        files: CSV files with the columns ID and Caption.
        pack: Path of a model pack.
        options: Which mentions are kept.
        workers: Number of processes; 1 for this one alone, None for as many as pay.
        progress: Called with the number of captions that are done and of all.

    Raises:
        MissingResource: medcat is not installed, or there is no such pack.
        RejectedInput: A file or the pack is broken.
        UsageFault: There is no caption.
    """
    captions = read_captions(files)
    if not captions:
        raise UsageFault(f"{', '.join(map(str, files))}: no caption")
    shards = [
        _Shard(number=number, captions=captions[start : start + SHARD], pack=pack, options=options)
        for number, start in enumerate(range(0, len(captions), SHARD))
    ]
    n_workers = workers_for(len(captions), os.cpu_count() or 1) if workers is None else workers
    parts: dict[int, Extracted] = {}
    n_done = 0
    try:
        for number, part in run_tasks(_extract_shard, shards, n_workers):
            parts[number] = part
            n_done += part.summary.captions
            if progress:
                progress(n_done, len(captions))
    finally:
        _extractor.cache_clear()  # the pack may be another one at the next call
    ordered = [parts[shard.number] for shard in shards]
    return Extracted(
        concepts=tuple(row for part in ordered for row in part.concepts),
        mentions=tuple(row for part in ordered for row in part.mentions),
        summary=reduce(add, (part.summary for part in ordered)),
        identity=ordered[0].identity,
    )


def extracted(images: Iterable[tuple[str, CaptionConcepts]], identity: str) -> Extracted:
    """Return the concepts of captions by image id as rows and counts."""
    images = list(images)
    return Extracted(
        concepts=tuple((image_id, ";".join(found.cuis)) for image_id, found in images),
        mentions=tuple(row for image_id, found in images for row in _mention_rows(image_id, found)),
        summary=summarise(found for _, found in images),
        identity=identity,
    )


def workers_for(captions: int, processors: int) -> int:
    """Return how many processes pay: one more for every `PAYING` captions, one a processor at most."""
    return min(processors, 1 + captions // PAYING)


def _extract_shard(shard: _Shard) -> tuple[int, Extracted]:
    extractor = _extractor(shard.pack)
    outcomes = extract_concepts([text for _, text in shard.captions], extractor, shard.options)
    ids = [image_id for image_id, _ in shard.captions]
    return shard.number, extracted(zip(ids, outcomes, strict=True), extractor.identity)


@lru_cache(maxsize=1)
def _extractor(pack: Path) -> MedcatExtractor:
    """Return the extractor of a model pack, loaded once a process."""
    with open_extractor(pack) as extractor:  # it outlives the context, which only unpacks
        return extractor


def _mention_rows(image_id: str, outcome: CaptionConcepts) -> Iterator[tuple[object, ...]]:
    reasoned = [(mention, "") for mention in outcome.kept]
    reasoned += [(removal.mention, removal.reason) for removal in outcome.removed]
    for one, reason in reasoned:
        types, accuracy = ";".join(one.types), f"{one.accuracy:.4f}"
        yield image_id, one.start, one.end, one.text, one.cui, one.name, types, accuracy, reason
