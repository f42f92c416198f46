"""Lists of articles: PMCIDs in a text or CSV file.

    PMC13900                                                      plain, one a line
    any.csv                 …,pmcid,…                             also PMC-ids.csv and tables of figures
    oa_file_list.csv        File,Article Citation,Accession ID,…,PMID,License[,Retracted]

The longest has six million lines, so each is read line by line into three flat arrays.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
import numpy.typing as npt

from dataset_builder.pmc.layout import pmcids_of
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import finding
from rocov2_eval.records import Finding, IntArray
from rocov2_eval.shelf.words import shorten

Role = Literal["pmcid", "licence", "retracted"]

# The names of columns, whatever their case, blanks and underscores; the first that is there wins.
COLUMNS: Mapping[Role, tuple[str, ...]] = {
    "pmcid": ("pmcid", "accessionid", "pmc", "articleid", "article"),
    "licence": ("license", "licence", "licensecode", "licencecode"),
    "retracted": ("retracted", "isretracted"),
}
_MOST_FAULTS = 20  # shown of one file: a file of something else has millions
_PMCID = re.compile(r"\s*(?:PMC)?([0-9]{1,12})\s*", re.IGNORECASE)
_RETRACTED: Mapping[str, bool] = {"": False, "no": False, "false": False, "yes": True, "true": True}


@dataclass(frozen=True, kw_only=True)
class ArticleList:
    """Articles, ascending by number, each once.

    Attributes:
        numbers: Numbers of the PMCIDs, shape (n,).
        licence_of: Index into `licences` for each article, shape (n,).
        licences: Licences as the list spells them; the empty text where it says nothing.
        is_retracted: Whether the list says that the article is retracted, shape (n,).
    """

    numbers: IntArray
    licence_of: npt.NDArray[np.int32]
    licences: tuple[str, ...]
    is_retracted: npt.NDArray[np.bool_]

    def pmcids(self) -> Iterator[str]:
        """Return the PMCIDs, ascending by number."""
        return pmcids_of(self.numbers)

    def licence(self, pmcid: str) -> str | None:
        """Return what the list says about the licence of an article, None where it says nothing."""
        row = self._row(pmcid)
        return None if row is None else self.licences[self.licence_of[row]] or None

    def retracted(self, pmcid: str) -> bool:
        """Tell whether the list says that an article is retracted."""
        row = self._row(pmcid)
        return row is not None and bool(self.is_retracted[row])

    def _row(self, pmcid: str) -> int | None:
        number = int(pmcid.removeprefix("PMC"))
        row = int(np.searchsorted(self.numbers, number))
        return row if row < len(self.numbers) and self.numbers[row] == number else None


def read_article_list(path: Path) -> ArticleList:
    """Read a list, once a process as long as it stays as it is; the last row of an article counts.

    Raises:
        RejectedInput: It cannot be read, or a line holds no PMCID; the first faults are its findings.
    """
    with _readable(path):
        status = path.stat()
    return _read_list(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _read_list(path: Path, _size: int, _changed: int) -> ArticleList:
    """Read a file; size and time only tell it from what it was before."""
    rows, found, line = _Rows(), list[Finding](), 1
    with _readable(path), path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            columns, n_cells, lines = _layout(file, path)
            for line, cells in lines:
                try:
                    rows.add(*_article(cells, columns, n_cells))
                except ValueError as fault:
                    found.append(finding("R113", str(path), line, str(fault)))
                if len(found) == _MOST_FAULTS:
                    break
        except csv.Error as error:
            message = f"{error}, expected CSV; is a quote left open here?"
            found.append(finding("R005", str(path), line + 1, message))
    if not found and not rows.numbers:
        found.append(finding("R009", str(path), None, "no row, expected at least one PMCID"))
    if found:
        raise _rejected(found)
    return rows.article_list()


@dataclass(kw_only=True)
class _Rows:
    """Rows as they are read: six million of them as objects would not fit."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    licence_of: array[int] = field(default_factory=lambda: array("i"))
    is_retracted: bytearray = field(default_factory=bytearray)
    licences: dict[str, int] = field(default_factory=lambda: {"": 0})

    def add(self, number: int, licence: str, is_retracted: bool) -> None:  # noqa: FBT001  a row
        """Add a row."""
        self.numbers.append(number)
        self.licence_of.append(self.licences.setdefault(licence, len(self.licences)))
        self.is_retracted.append(is_retracted)

    def article_list(self) -> ArticleList:
        """Return the last row of each article, ascending by number."""
        backwards = np.array(self.numbers, np.int64)[::-1]
        numbers, places = np.unique(backwards, return_index=True)
        rows = len(backwards) - 1 - places
        return ArticleList(
            numbers=numbers,
            licence_of=np.array(self.licence_of, np.int32)[rows],
            licences=tuple(self.licences),
            is_retracted=np.array(self.is_retracted, np.uint8)[rows].astype(np.bool_),
        )


def _layout(file: TextIO, path: Path) -> tuple[dict[Role, int], int, Iterator[tuple[int, list[str]]]]:
    """Return the column of each role, the cells of each row, and the rows with their lines.

    Raises:
        RejectedInput: The first line is no PMCID and names no column of them.
    """
    first = next((line for line in file if line.strip() and not line.startswith("#")), "")
    file.seek(0)
    if _PMCID.fullmatch(first) or not first:
        plain = ((n, [text.strip()]) for n, text in enumerate(file, 1) if text.strip() and text[0] != "#")
        return {"pmcid": 0}, 1, plain
    if "\t" in first and "," not in first:  # such lists know no quotes
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(file)
    rows = ((reader.line_num, cells) for cells in reader if cells)
    line, header = next(rows)
    names = [re.sub(r"[^a-z]", "", name.lower()) for name in header]
    columns = {
        role: names.index(next(guess for guess in guesses if guess in names))
        for role, guesses in COLUMNS.items()
        if not set(guesses).isdisjoint(names)
    }
    if "pmcid" not in columns:
        expected = "expected a PMCID, or a header with a column pmcid or 'Accession ID'"
        message = f"found {shorten(', '.join(header), 100)!r}, {expected}"
        raise _rejected([finding("R009", str(path), line, message)])
    return columns, len(header), rows


def _article(cells: list[str], columns: Mapping[Role, int], n_cells: int) -> tuple[int, str, bool]:
    """Return number, licence and retraction of a row.

    Raises:
        ValueError: What is wrong with it.
    """
    if len(cells) != n_cells:
        raise ValueError(f"{len(cells)} cells, expected {n_cells}")
    text = cells[columns["pmcid"]]
    match = _PMCID.fullmatch(text)
    if match is None:
        raise ValueError(f"{shorten(text)!r} is no PMCID, expected PMC and digits")
    licence = cells[columns["licence"]].strip() if "licence" in columns else ""
    word = cells[columns["retracted"]].strip() if "retracted" in columns else ""
    is_retracted = _RETRACTED.get(word.lower())
    if is_retracted is None:
        raise ValueError(f"retracted is {shorten(word)!r}, expected yes or no")
    return int(match[1]), licence, is_retracted


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Reject a file that the system does not hand out."""
    try:
        yield
    except OSError as error:
        raise _rejected([finding("R001", str(path), None, error.strerror or str(error))]) from None


def _rejected(found: list[Finding]) -> RejectedInput:
    first = found[0]
    place = first.path if first.line is None else f"{first.path}:{first.line}"
    return RejectedInput(f"{place}: {first.message}", found)
