"""Read a table of images: one row an image, as CSV, JSON lines or Parquet.

    image,caption,group,licence[,modality,region,direction,concepts,attribution,frame]

A CSV file may have commas, semicolons or tabs between its cells. A row that is not understood is kept with
what is wrong with it: it becomes a drop that is counted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.csv_files import read_text
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.parsing import Malformed, json_of
from rocov2_eval.shelf.words import shorten

REQUIRED = ("image", "caption", "group", "licence")
OPTIONAL = ("modality", "region", "direction", "concepts", "attribution", "frame")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_SPELLINGS = {"license": "licence"}
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: JSON may hold one, no file can
_DELIMITERS = ",;\t"


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One row of a table.

    Attributes:
        place: File and line of the row, for messages; the row from 1 of a Parquet file.
        line: The line, or the row of a Parquet file.
        cells: Text of each column of `REQUIRED` and `OPTIONAL` without blanks around it; empty where absent.
        fault: What is wrong with the row as a whole; empty where it is well-formed.
    """

    place: str
    line: int
    cells: Mapping[str, str]
    fault: str = ""


def read_image_table(path: Path) -> tuple[ImageRow, ...]:
    """Return the rows of a table, read once a process as long as it stays as it is.

    Raises:
        RejectedInput: It cannot be read, has no row, or lacks a column.
        MissingResource: A Parquet file, and pyarrow is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise RejectedInput(f"{path}: expected a table that ends in {', '.join(SUFFIXES)}")
    try:
        status = path.stat()
    except OSError as error:
        raise RejectedInput(f"{path}: {error.strerror}, expected a table of images") from None
    return _read(path, status.st_size, status.st_mtime_ns)


def columns_of(names: Iterable[str], place: str) -> dict[str, str]:
    """Return the columns of a table that are known, by our name of them: case and blanks do not count.

    Args:
        names: Names of the columns as the table has them.
        place: Where they stand, for the message.

    Raises:
        RejectedInput: Two columns have one name.
    """
    columns: dict[str, str] = {}
    for name in names:
        plain = "".join(name.split()).casefold()
        ours = _SPELLINGS.get(plain, plain)
        if ours in columns:
            raise RejectedInput(f"{place}: column {ours} occurs twice, expected once")
        if ours in REQUIRED or ours in OPTIONAL:
            columns[ours] = name
    return columns


def header_of(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a CSV file; none for a file without a line.

    Raises:
        RejectedInput: It cannot be read.
    """
    text = read_text(path)
    return tuple(next(csv.reader(io.StringIO(text), delimiter=_delimiter(text)), ()))


@lru_cache(maxsize=1)
def _read(path: Path, _size: int, _changed: int) -> tuple[ImageRow, ...]:
    """Read a table; size and time only tell it from what it was before."""
    suffix = path.suffix.lower()
    reader = {".jsonl": _json_rows, ".parquet": _parquet_rows}.get(suffix, _csv_rows)
    rows = tuple(reader(path))
    if not rows:
        raise RejectedInput(f"{path}: no row, expected one for each image")
    return rows


def _csv_rows(path: Path) -> Iterator[ImageRow]:
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    line = 1
    try:
        header = next(reader, [])
        columns = _required(header, f"{path}:1")
        for cells in reader:
            line, start = reader.line_num, line + 1 if line > 1 else reader.line_num
            if not any(cells):
                continue
            fault = "" if len(cells) == len(header) else f"{len(cells)} cells, the header has {len(header)}"
            yield _row(path, start, columns, dict(zip(header, cells, strict=False)), fault)
    except csv.Error as error:
        message = f"{error}, expected CSV; is a quote left open here?"
        raise RejectedInput(f"{path}:{line + 1}: {message}") from None


def _json_rows(path: Path) -> Iterator[ImageRow]:
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            document = json_of(text)
        except Malformed as error:
            yield _row(path, line, {}, {}, f"no JSON ({shorten(str(error))})")
            continue
        if not isinstance(document, dict):
            yield _row(path, line, {}, {}, "no JSON object, expected one in each line")
            continue
        yield _typed_row(path, line, columns_of(document, f"{path}:{line}"), document)


def _parquet_rows(path: Path) -> Iterator[ImageRow]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        message = f"Parquet cannot be read without pyarrow: {install_command('builder')}"
        raise MissingResource(message) from None
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise RejectedInput(f"{path}: no Parquet ({shorten(str(error), 100)})") from None
    columns = _required(table.column_names, str(path))
    for line, document in enumerate(table.select(list(columns.values())).to_pylist(), start=1):
        yield _typed_row(path, line, columns, document)


def _typed_row(path: Path, line: int, columns: Mapping[str, str], document: Mapping[str, object]) -> ImageRow:
    """Return a row whose cells have types: numbers are written out, lists joined by `;`."""
    cells, faults = {}, []
    for name in columns.values():
        text = _text(document[name])
        if text is None or _HALF.search(text):
            faults.append(f"{name} is {shorten(repr(document[name]), 40)}, expected text")
        cells[name] = "" if text is None else _HALF.sub("?", text)
    faults += [f"no {name}" for name in REQUIRED if name not in columns]
    return _row(path, line, columns, cells, "; ".join(faults))


def _text(value: object) -> str | None:
    """Return the text of a cell; None for what is none."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(value)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _row(
    path: Path, line: int, columns: Mapping[str, str], cells: Mapping[str, str], fault: str = ""
) -> ImageRow:
    known = {name: cells.get(columns.get(name, ""), "").strip() for name in (*REQUIRED, *OPTIONAL)}
    return ImageRow(place=f"{path.name}:{line}", line=line, cells=known, fault=fault)


def _required(names: Sequence[str], where: str) -> dict[str, str]:
    columns = columns_of(names, where)
    lacking = [name for name in REQUIRED if name not in columns]
    if lacking:
        found = shorten(", ".join(names), 120) or "none"
        raise RejectedInput(
            f"{where}: no column {', '.join(lacking)}; expected the columns {', '.join(REQUIRED)}, and "
            f"optionally {', '.join(OPTIONAL)}; found {found}"
        )
    return columns


def _delimiter(text: str) -> str:
    """Return what stands between most known names of the header."""
    header = text.partition("\n")[0].replace('"', "").strip()

    def known(delimiter: str) -> int:
        names = ("".join(name.split()).casefold() for name in header.split(delimiter))
        return sum(_SPELLINGS.get(name, name) in (*REQUIRED, *OPTIONAL) for name in names)

    return max(_DELIMITERS, key=lambda each: (known(each), header.count(each)))
