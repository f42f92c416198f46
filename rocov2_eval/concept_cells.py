"""Cells of concepts, `C0040405;C0817096`, as flat arrays: split once, when the file is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count, repeat

import numpy as np

from rocov2_eval.records import IntArray

Cell = str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Ragged:
    """Concepts of n cells as they stand, one after the other.

    Attributes:
        rows: Shape (concepts,): the cell each concept stands in.
        codes: Shape (concepts,): indices into `vocabulary`.
        counts: Shape (n,): number of concepts of each cell.
        vocabulary: The distinct strings.
    """

    rows: IntArray
    codes: IntArray
    counts: IntArray
    vocabulary: list[str]


def ragged(cells: Iterable[Cell]) -> Ragged:
    """Split cells at `;` and give each distinct string a code; None has no concepts."""
    cells = list(cells)
    present = [cell for cell in cells if cell is not None]
    separators = np.fromiter(map(str.count, present, repeat(";")), np.int64, len(present))
    counts = np.zeros(len(cells), np.int64)
    counts[[cell is not None for cell in cells]] = separators + 1
    flat = ";".join(present).split(";") if present else []  # one list instead of one a cell
    vocabulary: defaultdict[str, int] = defaultdict(count().__next__)  # the next number to a new string
    codes = np.fromiter(map(vocabulary.__getitem__, flat), np.int64, len(flat))
    rows = np.repeat(np.arange(len(cells)), counts)
    return Ragged(rows=rows, codes=codes, counts=counts, vocabulary=list(vocabulary))


def renamed(concepts: Ragged, normalise: Callable[[str], str]) -> Ragged:
    """Return the concepts with each string normalised, once a string and not once an occurrence."""
    vocabulary: dict[str, int] = {}
    codes = [vocabulary.setdefault(normalise(text), len(vocabulary)) for text in concepts.vocabulary]
    return replace(concepts, codes=np.array(codes, np.int64)[concepts.codes], vocabulary=list(vocabulary))


def taken(concepts: Ragged, cells: IntArray) -> Ragged:
    """Return the concepts of those cells in that order; a cell of -1 has none."""
    counts = np.where(cells < 0, 0, concepts.counts[cells]) if len(concepts.counts) else np.zeros_like(cells)
    starts = np.concatenate(([0], np.cumsum(concepts.counts)))[cells]
    ends = np.cumsum(counts)
    rows = np.repeat(np.arange(len(cells)), counts)
    where = np.arange(len(rows)) + (starts - (ends - counts))[rows]
    return replace(concepts, rows=rows, codes=concepts.codes[where], counts=counts)
