"""Tables that people write about figures, by PMCID and file: found however the source spells the file.

Articles and old packages name graphics without the suffix that the service's files have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from dataset_builder.panels import panel_name, split_name
from dataset_builder.records import OWN, Figure, Record
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import counted, shorten

Row = TypeVar("Row")
_NAMED = 10  # rows that a message names
_PICTURE_SUFFIXES = ("jpg", "jpeg", "png", "tif", "tiff", "gif", "webp")


@dataclass(frozen=True, kw_only=True)
class FigureTable(Generic[Row]):
    """One row for each figure of a table.

    Attributes:
        rows: One row a figure, by `key_of_row`.
    """

    rows: Mapping[str, Row]

    def key_of(self, figure: Figure) -> str | None:
        """Return the key of the row of a figure: of its very file, else of the only one with its stem."""
        return figure.key if figure.key in self.rows else self._by_stem.get(_stem(figure.key))

    def of(self, figure: Figure) -> Row | None:
        """Return the row of a figure, None if there is none."""
        key = self.key_of(figure)
        return None if key is None else self.rows[key]

    @cached_property
    def _by_stem(self) -> Mapping[str, str]:
        stems: dict[str, list[str]] = {}
        for key in self.rows:
            stems.setdefault(_stem(key), []).append(key)
        return {stem: keys[0] for stem, keys in stems.items() if len(keys) == 1}


class TableMatch(Record, frozen=True, kw_only=True):
    """How the rows of a table go with the figures that a stage takes.

    Attributes:
        name: What names the table, such as `[concepts] manual = manual.csv`.
        rows: Number of rows, one a figure.
        matched: Number of rows that name a figure.
        strangers: The first rows that name none.
    """

    name: str
    rows: int
    matched: int
    strangers: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was counted, for people."""
        found = f"figures found for {self.matched:,} of {counted(self.rows, 'row')}"
        if not self.strangers:
            return found
        more = self.rows - self.matched - len(self.strangers)
        return f"{found}; none for {_listed(self.strangers)}{f' and {more:,} more' if more else ''}"


def match_table(
    name: str, table: FigureTable[Row], figures: Iterable[Figure], *, articles: frozenset[str] = frozenset()
) -> TableMatch:
    """Return how many rows of a table name a figure.

    Args:
        name: What names the table, for messages.
        table: The table.
        figures: The figures that the table can tell something about.
        articles: Articles that the table tells something about as a whole, whatever figures it names of them.

    Raises:
        RejectedInput: There are figures and rows, and no row names any figure or its article.
    """
    seen: set[str] = set()
    first: list[str] = []
    has_article = False
    for figure in figures:
        has_article = has_article or figure.pmcid in articles
        key = table.key_of(figure)
        if key is not None:
            seen.add(key)
        if len(first) < _NAMED:
            first.append(figure.key)
    strangers = [key for key in table.rows if key not in seen]
    if first and table.rows and not (seen or has_article):
        raise RejectedInput(
            f"{name}: no figure found for its {counted(len(table.rows), 'row')}: it contains "
            f"{_listed(strangers[:_NAMED])}, but the figures are {_listed(first)}; write PMCID and file in "
            f"the same way"
        )
    return TableMatch(name=name, rows=len(table.rows), matched=len(seen), strangers=tuple(strangers[:_NAMED]))


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(shorten(key) for key in keys)


def key_of_row(pmcid: str, file: str) -> str:
    """Return the key of a row, `PMC12/file`; the PMCID may be written as `12` or `pmc12`."""
    if pmcid.strip().startswith(OWN):
        return f"{pmcid.strip()}/{file.strip()}"
    return f"PMC{pmcid.strip().upper().removeprefix('PMC')}/{file.strip()}"


def _stem(key: str) -> str:
    file, box = split_name(key)
    stem, dot, suffix = file.rpartition(".")
    stem = stem if dot and suffix.lower() in _PICTURE_SUFFIXES else file
    return panel_name(stem, box) if box else stem
