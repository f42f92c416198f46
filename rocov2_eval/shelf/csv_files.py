"""CSV files with a header: read with the line of every fault, written in the ROCOv2 dialect."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import counted, shorten

BYTE_ORDER_MARK = "\ufeff"
_SIGNS = (*"=+-@", *"\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
_FORMULA_STARTS = (*_SIGNS, "\t", "\r", "\n")
# What may stand where a formula wants an operand, and after one. `exchange` is DDE: cmd|' /C calc'!A0.
_OPERAND = re.compile(
    r"""\s*(?:(?P<exchange>[A-Za-z_][\w.]*\|[^!]*![\w.$'])
    |(?P<call>[A-Za-z_][\w.]*\()|(?P<spaced>(?P<name>[A-Za-z_][\w.]*)\s+\()
    |(?P<value>"(?:[^"]|"")*"|(?:(?:'[^']*'|[\w.\[\]]+)!)?\$?[A-Za-z]{1,3}\$?[0-9]{1,7}(?![\w.]))
    |(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?%?(?!\w))
    |(?P<opening>[({])|(?P<closing>[)}])|(?P<separator>[,;])|(?P<sign>[-+@]))\s*""",
    re.VERBOSE,
)
_OPERATOR = re.compile(r"(?:(?P<operator>[-+*/^&:=]|<>|<=?|>=?)|(?P<separator>[,;])|(?P<closing>[)}]%?))\s*")
# A function whose bracket stands apart is one of these; "figure (3)" is the text of a caption.
_FUNCTIONS = frozenset(
    {"sum", "sumif", "sumproduct", "vlookup", "hlookup", "xlookup", "concatenate", "textjoin", "indirect"}
    | {
        "hyperlink",
        "webservice",
        "filterxml",
        "encodeurl",
        "importxml",
        "importdata",
        "importhtml",
        "importfeed",
    }
    | {"importrange", "rtd", "dde", "exec", "query"}
)
_TAKE_NOTHING = ("call", "spaced", "separator")  # f(), f(,1)
_LONGEST_FORMULA = 1 << 16  # Excel takes 8,192 characters, LibreOffice these
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
            raise RejectedInput(
                f"{path}:1: no column {', '.join(lacking)}, found {shorten(', '.join(names))}"
            )
        for row in reader:
            if None in row or None in row.values():
                raise RejectedInput(
                    f"{path}:{reader.line_num}: expected {counted(len(names), 'cell')} as in the header"
                )
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


def would_run(cell: str) -> bool:
    """Tell whether a spreadsheet would compute a cell: a sign, then operands and operators in turn.

    Where `is_formula` is safe, this is exact: no word of a sentence is an operand, `- 3 cm` is no formula,
    `-sum(A1)` is one, and so is one whose last brackets are not closed, which spreadsheets close.
    """
    text = cell.strip()
    if not text.startswith(_SIGNS) or len(text) > _LONGEST_FORMULA:
        return False
    kind: str | None = None
    place, depth, n_tokens = 1, 0, 0
    while place < len(text):
        wants_operand = kind not in ("value", "number", "closing")
        token = (_OPERAND if wants_operand else _OPERATOR).match(text, place)
        if token is None:
            return False
        before, kind, place = kind, token.lastgroup, token.end()
        if kind == "exchange":
            return True
        is_misplaced = wants_operand and kind in ("closing", "separator") and before not in _TAKE_NOTHING
        depth += (kind in ("call", "spaced", "opening")) - (kind == "closing")
        if is_misplaced or depth < 0 or (kind == "separator" and not depth):
            return False
        if kind == "spaced" and token["name"].lower() not in _FUNCTIONS:
            return False
        n_tokens += 1
    is_alone = n_tokens == 1 and kind == "number" and text[0] not in "=\uff1d"  # "-5" is a number
    return kind in ("value", "number", "closing") and not is_alone
