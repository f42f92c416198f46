"""Concepts of all captions of some files, in one process or in several.

A worker loads the model pack once and reads the captions of its shards itself: what goes between processes is
the place of a shard, and lines of CSV on the way back. MedCAT's own way with processes sends the whole model
with each batch and gains nothing.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path

from dataset_builder.concepts.extraction import (
    CaptionConcepts,
    ExtractionOptions,
    ExtractionSummary,
    extract_concepts,
    merged,
    open_extractor,
    summarise,
    types_of,
)
from rocov2_eval.concept_extraction import MedcatExtractor
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

SHARD = 1000  # captions
# With two processors a second worker makes the start 1.7 seconds longer and the rest 1.87 times as fast; one
# worker reads 6,000 captions a second. So it pays from some 20,000 captions on.
PAYING = 20_000  # captions that a worker more pays for
MENTION_COLUMNS = ("ID", "start", "end", "text", "cui", "name", "types", "accuracy", "removed")

_ENDING = "_captions.csv"
_HEADER = ("ID", "Caption")

Caption = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """The concepts of captions.

    Attributes:
        concepts: Lines of CSV, an image id and its CUIs joined by `;`, in the order of the captions.
        mentions: Lines of CSV with the columns `MENTION_COLUMNS`.
        summary: Counts.
        identity: Of the model pack.
        types: Semantic types of which the model pack has a concept.
    """

    concepts: str
    mentions: str
    summary: ExtractionSummary
    identity: str
    types: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What every worker is told once."""

    files: tuple[Path, ...]
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
        raise UsageFault(f"{path}: no file *{_ENDING} in this folder, as a dataset folder has")
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
                raise RejectedInput(f"{path}:{line}: {shorten(image_id)} stands twice, expected once")
            captions[image_id] = row["Caption"]
    return list(captions.items())


def extract_files(
    files: Sequence[Path],
    pack: Path,
    options: ExtractionOptions,
    *,
    jobs: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Extracted:
    """Return the concepts of all captions of files; the same for any number of jobs.

    Args:
        files: CSV files with the columns ID and Caption.
        pack: A model pack.
        options: Which mentions are kept.
        jobs: Processes; 1 for this one alone, None for as many as pay.
        progress: Told how many of how many captions are done.

    Raises:
        MissingResource: medcat is not installed, or there is no such pack.
        RejectedInput: A file or the pack is broken.
        UsageFault: There is no caption.
    """
    captions = read_captions(files)
    if not captions:
        raise UsageFault(f"{', '.join(map(str, files))}: no caption")
    job = _Job(files=tuple(files), pack=pack, options=options)
    workers = workers_for(len(captions), os.cpu_count() or 1) if jobs is None else jobs
    starts = range(0, len(captions), SHARD)
    parts = []
    for start, part in zip(starts, _parts(job, starts, captions, workers), strict=True):
        parts.append(part)
        if progress:
            progress(min(start + SHARD, len(captions)), len(captions))
    return Extracted(
        concepts="".join(part.concepts for part in parts),
        mentions="".join(part.mentions for part in parts),
        summary=merged([part.summary for part in parts]),
        identity=parts[0].identity,
        types=parts[0].types,
    )


def workers_for(captions: int, processors: int) -> int:
    """Return how many processes pay: one more for every `PAYING` captions, one a processor at most."""
    return min(processors, 1 + captions // PAYING)


def mentions_csv(images: Iterable[tuple[str, CaptionConcepts]]) -> str:
    """Return the mentions of images as CSV with the columns `MENTION_COLUMNS`."""
    rows = (row for image_id, outcome in images for row in _mention_rows(image_id, outcome))
    return ",".join(MENTION_COLUMNS) + "\n" + _csv(rows)


def _parts(job: _Job, starts: range, captions: Sequence[Caption], jobs: int) -> Iterator[Extracted]:
    if jobs == 1 or len(starts) == 1:
        with open_extractor(job.pack) as extractor:
            for start in starts:
                yield _extracted(captions[start : start + SHARD], extractor, job.options)
        return
    workers = min(jobs, len(starts))
    # A fork of a process with threads may hang; spawn does not. Workers load with their first shard, not as
    # they start: what goes wrong at the start of a worker is lost, what goes wrong in a shard is raised here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as executor:
        yield from executor.map(_shard, repeat(job), starts)


@lru_cache(maxsize=1)
def _loaded(job: _Job) -> tuple[Sequence[Caption], MedcatExtractor]:
    """Return what every shard of a worker uses, loaded once."""
    with open_extractor(job.pack) as extractor:
        return read_captions(job.files), extractor


def _shard(job: _Job, start: int) -> Extracted:
    captions, extractor = _loaded(job)
    return _extracted(captions[start : start + SHARD], extractor, job.options)


def _extracted(
    captions: Sequence[Caption], extractor: MedcatExtractor, options: ExtractionOptions
) -> Extracted:
    outcomes = extract_concepts([text for _, text in captions], extractor, options)
    ids = [image_id for image_id, _ in captions]
    return Extracted(
        concepts=_csv((image_id, ";".join(one.cuis)) for image_id, one in zip(ids, outcomes, strict=True)),
        mentions=_csv(
            row for image_id, one in zip(ids, outcomes, strict=True) for row in _mention_rows(image_id, one)
        ),
        summary=summarise(outcomes),
        identity=extractor.identity,
        types=types_of(extractor),
    )


def _mention_rows(image_id: str, outcome: CaptionConcepts) -> Iterator[Sequence[object]]:
    reasoned = [(mention, "") for mention in outcome.kept]
    reasoned += [(removal.mention, removal.reason) for removal in outcome.removed]
    for mention, reason in reasoned:
        yield (
            image_id,
            mention.start,
            mention.end,
            mention.text,
            mention.cui,
            mention.name,
            ";".join(mention.types),
            f"{mention.accuracy:.4f}",
            reason,
        )


def _csv(rows: Iterator[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
