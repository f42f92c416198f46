"""Bring a run into the order of the truth, and concepts of both into sets over one vocabulary.

The only place where a run and a truth meet, so that lengths and order agree everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rocov2_eval.concept_cells import Cell, Ragged, ragged, renamed
from rocov2_eval.records import BoolArray, ConceptSets, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """The rows of a run in the order of the truth.

    Attributes:
        rows: Shape (images,): row of the run for each image of the truth, -1 where it has none.
        cells: The cell of that row; None where there is no row, or an id alone.
    """

    rows: IntArray
    cells: list[Cell]

    @property
    def present(self) -> BoolArray:
        """Shape (images,): whether the run has a row for the image."""
        return self.rows >= 0


def align(image_ids: Sequence[str], cells: Sequence[Cell], truth_ids: Sequence[str]) -> Aligned:
    """Return the rows in the order of the truth; of an id that stands twice, the first row counts."""
    if len(image_ids) != len(cells):
        raise ValueError(f"{len(image_ids)} ids, but {len(cells)} cells")
    n = len(truth_ids)
    if list(image_ids) == list(truth_ids):
        return Aligned(rows=np.arange(n), cells=list(cells))
    row_of = dict(zip(reversed(image_ids), range(len(image_ids) - 1, -1, -1), strict=True))
    rows = np.fromiter((row_of.get(image_id, -1) for image_id in truth_ids), np.int64, n)
    return Aligned(rows=rows, cells=[cells[row] if row >= 0 else None for row in rows.tolist()])


def concept_sets(*columns: Sequence[Cell], strip: bool = True) -> tuple[ConceptSets, ...]:
    """Return columns of cells as sets; see `joint_sets`."""
    return joint_sets(*map(ragged, columns), strip=strip)


def joint_sets(*columns: Ragged, strip: bool = True) -> tuple[ConceptSets, ...]:
    """Return each column of concepts as upper-cased sets over one common vocabulary.

    Args:
        columns: Concepts of the run, of the truth and of others, in columns of equal length.
        strip: Blanks around a concept are removed, as in every edition but 2018.

    Raises:
        ValueError: The columns differ in length.
    """
    n = len(columns[0].counts)
    if any(len(column.counts) != n for column in columns):
        raise ValueError(
            f"columns with different numbers of cells: {[len(column.counts) for column in columns]}"
        )
    normal = [renamed(column, _upper_stripped if strip else str.upper) for column in columns]
    joint = {text: code for code, text in enumerate(dict.fromkeys(t for c in normal for t in c.vocabulary))}
    return tuple(_sets(column, n, joint) for column in normal)


def select(sets: ConceptSets, concepts: Iterable[str]) -> ConceptSets:
    """Return the sets with only those concepts."""
    allowed = set(concepts)
    kept = np.array([name in allowed for name in sets.vocabulary], np.bool_)[sets.codes]
    before = np.concatenate(([0], np.cumsum(kept)))
    return ConceptSets(
        offsets=before[sets.offsets].astype(np.int64), codes=sets.codes[kept], vocabulary=sets.vocabulary
    )


def common_concepts(first: ConceptSets, second: ConceptSets) -> tuple[IntArray, IntArray]:
    """Return image and code of every concept that both sets of an image hold.

    Raises:
        ValueError: The two differ in length or vocabulary.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} candidates, but {len(second)} references")
    if first.vocabulary != second.vocabulary:
        raise ValueError("candidates and references use different vocabularies")
    width = max(len(first.vocabulary), 1)
    keys = np.intersect1d(_keys(first, width), _keys(second, width), assume_unique=True)
    images, codes = np.divmod(keys, width)
    return images, codes


def _keys(sets: ConceptSets, width: int) -> IntArray:
    images: IntArray = np.repeat(np.arange(len(sets)), np.diff(sets.offsets))
    return images * width + sets.codes


def _sets(column: Ragged, n: int, joint: dict[str, int]) -> ConceptSets:
    joint_code = np.array([joint[text] for text in column.vocabulary], np.int64)
    width = max(len(joint), 1)
    rows, codes = np.divmod(_distinct(column.rows * width + joint_code[column.codes]), width)
    offsets = np.searchsorted(rows, np.arange(n + 1)).astype(np.int64)
    return ConceptSets(offsets=offsets, codes=codes, vocabulary=tuple(joint))


def _upper_stripped(concept: str) -> str:
    return concept.strip().upper()


def _distinct(keys: IntArray) -> IntArray:
    """Return the sorted distinct keys; radix-friendly stable sort, since they come almost in order."""
    ordered = np.sort(keys, kind="stable")
    if not len(ordered):
        return ordered
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    return ordered[first]
