"""Tables that people write about figures, by PMCID and file: found however the source spells the file.

Articles and old packages name graphics without the suffix that the service's files have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from dataset_builder.records import OWN, Figure

Row = TypeVar("Row")
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


def key_of_row(pmcid: str, file: str) -> str:
    """Return the key of a row, `PMC12/file`; the PMCID may be written as `12` or `pmc12`."""
    if pmcid.strip().startswith(OWN):
        return f"{pmcid.strip()}/{file.strip()}"
    return f"PMC{pmcid.strip().upper().removeprefix('PMC')}/{file.strip()}"


def _stem(key: str) -> str:
    stem, dot, suffix = key.rpartition(".")
    return stem if dot and suffix.lower() in _PICTURE_SUFFIXES else key
