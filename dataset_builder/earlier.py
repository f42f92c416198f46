"""Where an earlier edition of a dataset had its images: what it had, never moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dataset_builder.figure_tables import FigureTable, key_of_row
from dataset_builder.records import Assignment
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.files import file_digest

_HEADER = ("PMCID", "file", "split", "ID", "linked")


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """All that an earlier edition had; nothing for a first edition.

    Attributes:
        images: Split and image id of each figure.
        splits: By PMCID, the splits that images of an article are in, its near duplicates in other articles
            included: new images of the article must not go elsewhere, even where no earlier one is left.
    """

    images: FigureTable[Assignment] = field(default_factory=lambda: FigureTable(rows={}))
    splits: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_earlier(path: Path) -> Earlier:
    """Return the assignments of an earlier edition, read once a process while the file stays.

    Raises:
        RejectedInput: A column is missing, a cell is empty, a figure stands twice.
    """
    return _read(path, file_digest(path))


@lru_cache(maxsize=1)
def _read(path: Path, digest: str) -> Earlier:
    del digest
    images: dict[str, Assignment] = {}
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for line, row in read_rows(path, _HEADER):
        if not all(row[name] for name in _HEADER if name != "linked"):
            raise RejectedInput(f"{path}:{line}: an empty cell, expected PMCID,file,split,ID")
        key = key_of_row(row["PMCID"], row["file"])
        if key in images:
            raise RejectedInput(f"{path}:{line}: {key} occurs twice, expected once")
        images[key] = Assignment(split=row["split"], image_id=row["ID"])
        for pmcid in (key.partition("/")[0], *filter(None, row["linked"].split(";"))):
            splits[pmcid].add(row["split"])
    return Earlier(
        images=FigureTable(rows=images), splits={pmcid: frozenset(names) for pmcid, names in splits.items()}
    )
