"""Decisions that a person made about single figures, which hold against any filter.

The file is CSV with the header `PMCID,file,decision[,note]`; further columns are allowed:

    PMCID,file,decision,note
    PMC4608653,cro-0008-0385-g01.jpg,keep,one CT slice with an inset
    PMC4840839,ol-11-05-3298-g02.jpg,drop,histology

The file is named exactly as the article names it, which in old packages is without extension.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset_builder.records import Drop, Figure
from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import load
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.words import shorten

Decision = Literal["keep", "drop"]

BY_HAND = "by the overrides"
HEADER = ("PMCID", "file", "decision")
_DECISIONS: Mapping[str, Decision] = {"keep": "keep", "drop": "drop"}
_PMCID = re.compile(r"PMC\d+")


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a filter thinks of a figure.

    Attributes:
        figure: With its score.
        keeps: Whether the filter would keep it.
        score: What the filter decided on; None where it decided on none.
        detail: Why the filter would drop it.
    """

    figure: Figure
    keeps: bool
    score: float | None = None
    detail: str = ""


def read_overrides(path: Path | None) -> Mapping[str, Decision]:
    """Return the decision on each figure by its key, `PMCID/file`; none for no file.

    Raises:
        RejectedInput: The file cannot be read, or a row is not understood; the message tells its line.
    """
    if path is None:
        return {}
    text = load(path).text.removeprefix(BYTE_ORDER_MARK)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    decisions: dict[str, Decision] = {}
    lines: dict[str, int] = {}
    try:
        places = _places(path, next(reader, []))
        for record in reader:
            if not record:
                continue
            key, decision = _row(f"{path}:{reader.line_num}", record, places)
            if key in lines:
                found = f"{shorten(key)} stands in line {lines[key]} already"
                raise RejectedInput(f"{path}:{reader.line_num}: {found}, expected once")
            decisions[key] = decision
            lines[key] = reader.line_num
    except csv.Error as error:
        raise RejectedInput(f"{path}:{reader.line_num}: {error}, expected CSV") from None
    return decisions


def divide(
    outcomes: Iterable[Opinion | Drop], overrides: Mapping[str, Decision], stage: str, reason: str
) -> tuple[list[Figure], list[Drop]]:
    """Return the figures that stay and a drop for each other one, in order.

    Args:
        outcomes: One a figure. An override beats an opinion, and cannot undo a drop, as of a damaged file.
        overrides: Decisions by the key of the figure.
        stage: The filter.
        reason: Of its drops, whoever decided them.
    """
    kept: list[Figure] = []
    drops: list[Drop] = []
    for outcome in outcomes:
        if isinstance(outcome, Drop):
            drops.append(outcome)
            continue
        key = outcome.figure.key
        decision = overrides.get(key)
        if decision == "keep" or (decision is None and outcome.keeps):
            kept.append(outcome.figure)
            continue
        detail = BY_HAND if decision else outcome.detail
        drops.append(Drop(stage=stage, key=key, reason=reason, detail=detail, score=outcome.score))
    return kept, drops


def _places(path: Path, record: Sequence[str]) -> tuple[int, int, int]:
    """Return where the header has the three columns."""
    header = [name.strip() for name in record]
    for name in HEADER:
        if header.count(name) != 1:
            found = shorten(",".join(header), 80) or "nothing"
            raise RejectedInput(f"{path}:1: the header is {found}, expected {','.join(HEADER)}[,note]")
    return header.index("PMCID"), header.index("file"), header.index("decision")


def _row(place: str, record: Sequence[str], places: tuple[int, int, int]) -> tuple[str, Decision]:
    """Return key and decision of a row."""
    if len(record) <= max(places):
        raise RejectedInput(f"{place}: {len(record)} cells, expected {','.join(HEADER)}[,note]")
    pmcid, file, decision = (record[i] for i in places)
    if not _PMCID.fullmatch(pmcid.strip()):
        raise RejectedInput(f"{place}: PMCID is {shorten(pmcid)!r}, expected PMC and digits")
    if not file:
        raise RejectedInput(f"{place}: the file is empty, expected its name as the article has it")
    if decision.strip() not in _DECISIONS:
        raise RejectedInput(f"{place}: decision is {shorten(decision)!r}, expected keep or drop")
    return f"{pmcid.strip()}/{file}", _DECISIONS[decision.strip()]
