"""Decisions that a person made about single figures, which hold against any filter.

The file is CSV with the header `PMCID,file,decision[,note]`; further columns are allowed:

    PMCID,file,decision,note
    PMC4608653,cro-0008-0385-g01.jpg,keep,one CT slice with an inset
    PMC4840839,ol-11-05-3298-g02.jpg,drop,histology

The file is named as the article names it; a suffix such as `.jpg` may be absent on either side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.figure_tables import FigureTable
from dataset_builder.records import OWN, Drop, Figure, kept_and_drops
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

DECIDED_BY_HAND = " Decisions by hand overrule it."  # in what a filter says of itself
BY_HAND = "by the overrides"
_HEADER = ("PMCID", "file", "decision")
_KEEPS = {"keep": True, "drop": False}
_PMCID = re.compile(r"PMC[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a filter thinks of a figure.

    Attributes:
        figure: The figure with its score.
        keeps: Whether the filter would keep it.
        score: What the filter decided on; None where it decided on none.
        detail: Why the filter would drop it.
    """

    figure: Figure
    keeps: bool
    score: float | None = None
    detail: str = ""


def read_overrides(path: Path | None) -> Mapping[str, bool]:
    """Return whether each figure is kept, by its key, `PMCID/file`; nothing for no file.

    Raises:
        RejectedInput: The file cannot be read, or a row is not understood; the message tells its line.
    """
    keeps: dict[str, bool] = {}
    for line, row in read_rows(path, _HEADER) if path else ():
        pmcid, file, decision = row["PMCID"].strip(), row["file"].strip(), row["decision"].strip()
        key = f"{pmcid}/{file}"
        if not (_PMCID.fullmatch(pmcid) or pmcid.startswith(OWN)):
            raise RejectedInput(
                f"{path}:{line}: PMCID is {shorten(pmcid)!r}, expected PMC and digits, or {OWN} and a group"
            )
        if not file:
            raise RejectedInput(f"{path}:{line}: the file is empty, expected its name as the article has it")
        if decision not in _KEEPS:
            raise RejectedInput(f"{path}:{line}: decision is {shorten(decision)!r}, expected keep or drop")
        if key in keeps:
            raise RejectedInput(f"{path}:{line}: {shorten(key)} occurs above, expected once")
        keeps[key] = _KEEPS[decision]
    return keeps


def decide(
    opinions: Iterable[Opinion | Drop], overrides: Mapping[str, bool], stage: str, reason: str
) -> tuple[list[Figure], list[Drop]]:
    """Return the figures that stay and a drop for each other one, in order.

    Args:
        opinions: What the filter says of each figure. An override beats an opinion, and cannot undo a drop,
            as of a damaged file.
        overrides: Whether a figure is kept, by its key.
        stage: Name of the filter's stage.
        reason: Reason of the filter's drops, whoever decided them.
    """
    table = FigureTable(rows=overrides)
    return kept_and_drops(_outcome(opinion, table, stage, reason) for opinion in opinions)


def overrides_of(stage: str) -> Callable[[Mapping[str, Any]], Mapping[str, FigureTable[bool]]]:
    """Return what finds the overrides of a filter in the tables of build.toml."""

    def find(tables: Mapping[str, Any]) -> Mapping[str, FigureTable[bool]]:
        path: Path | None = tables[stage].overrides
        return {f"[{stage}] overrides = {path.name}": FigureTable(rows=read_overrides(path))} if path else {}

    return find


def _outcome(opinion: Opinion | Drop, overrides: FigureTable[bool], stage: str, reason: str) -> Figure | Drop:
    if isinstance(opinion, Drop):
        return opinion
    said = overrides.of(opinion.figure)
    if opinion.keeps if said is None else said:
        return opinion.figure
    detail = opinion.detail if said is None else BY_HAND
    return Drop(stage=stage, key=opinion.figure.key, reason=reason, detail=detail, score=opinion.score)
