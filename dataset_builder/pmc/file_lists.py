"""Lists of articles: PMCIDs in a text or CSV file, and the file lists that PMC distributed until 2026.

    PMC13900                                                      plain, one a line
    any.csv                 …,pmcid,…                             also PMC-ids.csv and tables of figures
    oa_file_list.csv        File,Article Citation,Accession ID,…,PMID,License[,Retracted]
    oa_file_list.txt        a time, then TAB-separated path, citation, PMCID, PMID, licence
    oa_comm_xml.PMC010xxxxxx.{baseline,incr}.YYYY-MM-DD.filelist.csv       one of them, or a folder

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
_PMCID = re.compile(r"\s*(?:PMC)?(\d{1,12})\s*", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?\s*")
_TIMED_COLUMNS: Mapping[Role, int] = {"pmcid": 2, "licence": 4}
_N_TIMED_COLUMNS = 5
_DATED = re.compile(r"\.(baseline|incr)\.(\d{4}-\d\d-\d\d)\.filelist\.csv")
_FILE_LIST = ".filelist.csv"
_RETRACTED: Mapping[str, bool] = {"": False, "no": False, "false": False, "yes": True, "true": True}


@dataclass(frozen=True, kw_only=True)
class ArticleList:
    """Articles, ascending by number, each once.

    Attributes:
        numbers: Of the PMCIDs, shape (n,).
        licence_of: Index into `licences`, shape (n,).
        licences: As the list spells them; the empty text where it says nothing.
        is_retracted: Shape (n,).
    """

    numbers: IntArray
    licence_of: npt.NDArray[np.int32]
    licences: tuple[str, ...]
    is_retracted: npt.NDArray[np.bool_]

    def pmcids(self) -> tuple[str, ...]:
        """Return the PMCIDs, ascending by number."""
        return tuple(f"PMC{number}" for number in self.numbers.tolist())

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
    """Read a list, or all `*.filelist.csv` of a folder in the order of their dates.

    The last row of an article counts, so that an increment overrules the baseline. A process reads a list
    once as long as it does not change.

    Raises:
        RejectedInput: It cannot be read, or a line holds no PMCID; the first faults are its findings.
    """
    paths = _paths(path)
    stamps = []
    for each in paths:
        with _readable(each):
            status = each.stat()
        stamps.append((status.st_size, status.st_mtime_ns))
    return _read_lists(paths, tuple(stamps))


def _paths(path: Path) -> tuple[Path, ...]:
    """Return the files of a list, in the order in which they were distributed."""
    if not path.is_dir():
        return (path,)
    paths = sorted(path.glob(f"*{_FILE_LIST}"), key=_age)
    if not paths:
        raise _rejected(
            "R009", path, None, f"a folder without {_FILE_LIST} files; give a file, or such a folder"
        )
    return tuple(paths)


def _age(path: Path) -> tuple[str, bool, str]:
    """Return what file lists are sorted by: date, baseline before increment, name."""
    match = _DATED.search(path.name)
    return (match[2], match[1] == "incr", path.name) if match else ("", False, path.name)


@lru_cache(maxsize=1)
def _read_lists(paths: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> ArticleList:
    """Read files one after the other; the stamps only tell a file from what it was before."""
    rows = _Rows()
    for path in paths:
        with _readable(path), path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            _add(rows, file, path)
    return rows.article_list()


@dataclass(kw_only=True)
class _Rows:
    """Rows as they are read: six million of them as objects would not fit."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    licence_of: array[int] = field(default_factory=lambda: array("i"))
    is_retracted: bytearray = field(default_factory=bytearray)
    licences: dict[str, int] = field(default_factory=lambda: {"": 0})

    def add(self, number: int, licence: str, *, is_retracted: bool) -> None:
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


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the rows of a file are read.

    Attributes:
        columns: Where a row holds what, from 0.
        n_cells: Of each row.
        rows: Physical line and cells; blank lines are left out.
    """

    columns: Mapping[Role, int]
    n_cells: int
    rows: Iterator[tuple[int, list[str]]]


def _add(rows: _Rows, file: TextIO, path: Path) -> None:
    """Add the rows of a file.

    Raises:
        RejectedInput: With the first faults; a row that is not understood may be an article that is lost.
    """
    found: list[Finding] = []
    line, n_before = 1, len(rows.numbers)
    try:
        layout = _layout(file, path)
        for line, cells in layout.rows:
            fault = _add_row(rows, cells, layout)
            if fault:
                found.append(finding("R113", str(path), line, fault))
            if len(found) == _MOST_FAULTS:
                break
    except csv.Error as error:
        found.append(
            finding("R005", str(path), line + 1, f"{error}, expected CSV; is a quote left open here?")
        )
    if not found and len(rows.numbers) == n_before:
        found.append(finding("R009", str(path), None, "no row, expected at least one PMCID"))
    if found:
        first = found[0]
        place = str(path) if first.line is None else f"{path}:{first.line}"
        raise RejectedInput(f"{place}: {first.message}", found)


def _layout(file: TextIO, path: Path) -> _Layout:
    """Return how to read a file, by its first line.

    Raises:
        RejectedInput: It names no column of PMCIDs.
    """
    first = next((line for line in file if line.strip() and not line.startswith("#")), "")
    file.seek(0)
    if _PMCID.fullmatch(first) or not first:
        return _Layout(columns={"pmcid": 0}, n_cells=1, rows=_plain_rows(file))
    if _TIME.fullmatch(first):
        next(file)
        return _Layout(columns=_TIMED_COLUMNS, n_cells=_N_TIMED_COLUMNS, rows=_csv_rows(file, "\t", 1))
    delimiter = "\t" if "\t" in first and "," not in first else ","
    rows = _csv_rows(file, delimiter, 0)
    line, header = next(rows)
    names = [re.sub(r"[^a-z]", "", name.lower()) for name in header]
    columns: dict[Role, int] = {}
    for role, guesses in COLUMNS.items():
        place = next((names.index(guess) for guess in guesses if guess in names), None)
        if place is not None:
            columns[role] = place
    if "pmcid" not in columns:
        expected = "expected a PMCID, or a header with a column pmcid or 'Accession ID'"
        raise _rejected("R009", path, line, f"found {shorten(', '.join(header), 100)!r}, {expected}")
    return _Layout(columns=columns, n_cells=len(header), rows=rows)


def _plain_rows(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(file, start=1):
        if text.strip() and not text.startswith("#"):
            yield line, [text.strip()]


def _csv_rows(file: TextIO, delimiter: str, n_before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the physical line they end on; the tab-separated lists know no quotes."""
    if delimiter == "\t":
        reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(file, delimiter=delimiter)
    for cells in reader:
        if cells:
            yield n_before + reader.line_num, cells


def _add_row(rows: _Rows, cells: list[str], layout: _Layout) -> str | None:
    """Add a row; return what is wrong with it, None where nothing is."""
    if len(cells) != layout.n_cells:
        return f"{len(cells)} cells, expected {layout.n_cells}"
    text = cells[layout.columns["pmcid"]]
    match = _PMCID.fullmatch(text)
    if match is None:
        return f"{shorten(text)!r} is no PMCID, expected PMC and digits"
    licence = cells[layout.columns["licence"]].strip() if "licence" in layout.columns else ""
    word = cells[layout.columns["retracted"]].strip() if "retracted" in layout.columns else ""
    is_retracted = _RETRACTED.get(word.lower())
    if is_retracted is None:
        return f"retracted is {shorten(word)!r}, expected yes or no"
    rows.add(int(match[1]), licence, is_retracted=is_retracted)
    return None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Reject a file that the system does not hand out."""
    try:
        yield
    except OSError as error:
        raise _rejected("R001", path, None, error.strerror or str(error)) from None


def _rejected(code: str, path: Path, line: int | None, message: str) -> RejectedInput:
    place = str(path) if line is None else f"{path}:{line}"
    return RejectedInput(f"{place}: {message}", [finding(code, str(path), line, message)])
