"""CSV files with a header: read with the line of every fault, written in the ROCOv2 dialect."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

BYTE_ORDER_MARK = "\ufeff"
_FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
_MOST_BYTES = 1 << 28  # a table of a million images has 70 MB


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        RejectedInput: It cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise RejectedInput(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > _MOST_BYTES:
        raise RejectedInput(f"{path}: more than {_MOST_BYTES:,} bytes")
    try:
        return content.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RejectedInput(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def read_rows(
    path: Path, header: Sequence[str] = (), delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a file, by column, with the line on which each ends.

    Args:
        path: The file.
        header: Columns that it must have; further ones are allowed.
        delimiter: What stands between cells.

    Raises:
        RejectedInput: It cannot be read, a column is missing, or a row is not as wide as the header.
    """
    yield from rows_of(read_text(path), str(path), header, delimiter)


def rows_of(
    text: str, path: str, header: Sequence[str] = (), delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of the text of a file, as `read_rows` does; `path` names it in messages."""
    reader = csv.DictReader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline=""), delimiter=delimiter)
    try:
        names = reader.fieldnames or ()
        lacking = [name for name in header if name not in names]
        if lacking:
            raise RejectedInput(f"{path}:1: no column {', '.join(lacking)} among {shorten(', '.join(names))}")
        for row in reader:
            if None in row or None in row.values():
                raise RejectedInput(f"{path}:{reader.line_num}: expected {len(names)} cells as in the header")
            yield reader.line_num, row
    except csv.Error as error:
        raise RejectedInput(f"{path}:{reader.reader.line_num}: {error}") from None


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a CSV file in the ROCOv2 dialect: LF, comma, minimal quoting; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def formula_safe(text: str) -> str:
    """Return text that a spreadsheet shows instead of running it: with an apostrophe before a formula."""
    return f"'{text}" if is_formula(text) else text


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file in the ROCOv2 dialect, all of it or nothing."""
    write_text(path, csv_text(header, rows))


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would take a cell for a formula, so that it could run what it says."""
    return cell.startswith(_FORMULA_STARTS) or cell.lstrip().startswith(_FORMULA_STARTS)
