"""Where an earlier edition of a dataset had its images: what it had, never moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dataset_builder.csv_tables import csv_rows
from rocov2_eval.errors import RejectedInput

_HEADER = ("PMCID", "file", "split", "ID")


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """Where an earlier edition had an image.

    Attributes:
        split: Its split.
        image_id: Its id.
    """

    split: str
    image_id: str


@lru_cache(maxsize=1)
def read_earlier(path: Path) -> Mapping[str, Earlier]:
    """Return the assignments of an earlier edition by key of the figure.

    Raises:
        RejectedInput: A column is missing, a cell is empty, a figure stands twice.
    """
    found: dict[str, Earlier] = {}
    for line, row in csv_rows(path, _HEADER):
        if not all(row[name] for name in _HEADER):
            raise RejectedInput(f"{path}:{line}: an empty cell, expected PMCID,file,split,ID")
        key = f"{row['PMCID']}/{row['file']}"
        if key in found:
            raise RejectedInput(f"{path}:{line}: {key} stands twice, expected once")
        found[key] = Earlier(split=row["split"], image_id=row["ID"])
    return found
