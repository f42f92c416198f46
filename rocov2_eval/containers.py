"""Tables as other programs write them, as rows under names: what such a table is, JSON and JSON Lines.

Nothing here knows what a run is: `intake` chooses the columns. What a hostile file may cost is bounded as for
CSV, by `formats.MOST_BYTES`, `MOST_LINES` and `MOST_SEPARATORS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from rocov2_eval import formats
from rocov2_eval.column_names import ANSWER_NAMES, bare, is_id_name
from rocov2_eval.formats import rejected
from rocov2_eval.records import Finding, IntArray
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.words import shorten

_SPACE = re.compile(r"[ \t\n\r]*")
_SAMPLED = 200  # rows whose keys are the names
MOST_NAMES = 1000  # of columns
# Under which a document keeps its records.
_LISTS = ("annotations", "predictions", "results", "data", "rows", "answers", "submission")
_BEGINS_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{"\]])')


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Rows of cells of any type.

    Attributes:
        what: What the file is, such as `JSON Lines`; it ends a sentence.
        names: Names of the columns, None where the first row is a row like any other.
        rows: A mapping by name, or the cells in order, for each row.
        lines: Shape (rows,): physical line, from 1, where each row starts, or its number.
        findings: Faults found on the way.
        first: As `formats.Records.first`.
    """

    what: str
    names: tuple[str, ...] | None
    rows: Sequence[Mapping[str, Any] | Sequence[Any]]
    lines: IntArray
    findings: tuple[Finding, ...] = ()
    first: str | None = None

    def column(self, name: str) -> list[Any]:
        """Return the cells of a column, None where a row lacks it."""
        if self.names is None or not self.rows or isinstance(self.rows[0], Mapping):
            return [row.get(name) if isinstance(row, Mapping) else None for row in self.rows]
        where = self.names.index(name)
        return [row[where] if where < len(row) else None for row in self.rows]  # type: ignore[index]


def looks_like_json(text: str) -> bool:
    """Tell whether a text begins as a JSON object or list does, and hardly any CSV."""
    return _BEGINS_JSON.match(text[:1000]) is not None


# ---- JSON


def json_frame(text: str, path: str) -> Frame:
    """Return the rows of a JSON or JSON Lines text.

    It may be a list of records or of pairs, records one after the other, an object of answers by id, one that
    keeps its records under a name such as `annotations`, or any form that pandas writes. A key that stands
    twice is two rows.

    Raises:
        RejectedInput: It is no JSON, holds something else, or too much.
    """
    nodes, most = text.count("{") + text.count("["), 2 * formats.MOST_LINES
    if nodes > most:
        refuse(path, None, f"{nodes:,} objects and lists, more than {most:,}", code="R001")
    values = list(_values(text, path))
    if not values:
        refuse(path, None, "the file is empty", code="R003")
    line, value = values[0]
    if len(values) > 1 or (isinstance(value, _Object) and _is_record(value)):
        if isinstance(value, list) and not isinstance(value, _Object):
            values[0] = line, [item for _, item in value]
        return _of_records("JSON Lines", values, path)
    if isinstance(value, _Object):
        return _of_object(value, path)
    if isinstance(value, list):
        return _of_records("JSON", value, path)
    raise rejected("R011", path, line, f"expected a list or an object, found {_kind(value)}")


class _Object(list[tuple[int, str, Any]]):
    """The members of an outer JSON object in order, repeated keys too: line, key, value."""

    def get(self, key: str) -> Any:  # noqa: ANN401  whatever JSON holds
        return next((value for _, name, value in self if name == key), None)


class _Repeated(dict[str, Any]):
    """An inner object in which a key stands twice."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Repeated(members)


_DECODER = json.JSONDecoder(object_pairs_hook=_members)


class _Scanner:
    """A place in a JSON text, and its line."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.place = 0
        self.line = 1
        self._counted = 0
        self._rows = 0
        if text.startswith(BYTE_ORDER_MARK):
            self.place = 1

    def skip(self) -> str:
        """Go over blanks; return the next character, empty at the end."""
        match = _SPACE.match(self.text, self.place)
        self.place = match.end() if match else self.place
        self.line += self.text.count("\n", self._counted, self.place)
        self._counted = self.place
        return self.text[self.place : self.place + 1]

    def take(self, expected: str) -> None:
        if self.skip() != expected:
            found = shorten(self.text[self.place : self.place + 20]) or "the end of the file"
            refuse(self.path, self.line, f"not JSON: expected {expected!r}, found {found}")
        self.place += 1

    def counted_value(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """Return the value of a row that starts here; there are only so many."""
        self._rows += 1
        if self._rows > formats.MOST_LINES:
            refuse(self.path, None, f"more than {formats.MOST_LINES:,} rows", code="R001")
        return self.value()

    def value(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """Return the value that starts here."""
        self.skip()
        try:
            value, self.place = _DECODER.raw_decode(self.text, self.place)
        except json.JSONDecodeError as error:
            line = self.line + self.text.count("\n", self._counted, error.pos)
            refuse(self.path, line, f"not JSON: {error.msg} (column {error.colno})")
        except RecursionError:
            refuse(self.path, self.line, "nested too deeply")
        except ValueError:  # Python converts no integer of more than 4,300 digits
            refuse(self.path, self.line, "a number of too many digits")
        return value


def _values(text: str, path: str) -> Iterator[tuple[int, Any]]:
    """Yield the values of a text with their lines; the outermost list or object of a file keeps its lines."""
    scanner = _Scanner(text, path)
    first = True
    while (character := scanner.skip()) != "":
        line = scanner.line
        if first and character == "[":
            yield line, _outer_list(scanner)
        elif first and character == "{":
            yield line, _outer_object(scanner)
        else:
            yield line, scanner.counted_value()
        first = False
        if scanner.skip() == ",":  # records joined by commas, without the brackets of a list
            scanner.place += 1


def _outer_list(scanner: _Scanner) -> list[tuple[int, Any]]:
    scanner.take("[")
    items: list[tuple[int, Any]] = []
    if scanner.skip() == "]":
        scanner.place += 1
        return items
    while True:
        scanner.skip()
        items.append((scanner.line, scanner.counted_value()))
        if scanner.skip() == "]":
            scanner.place += 1
            return items
        scanner.take(",")


def _outer_object(scanner: _Scanner) -> _Object:
    scanner.take("{")
    items = _Object()
    if scanner.skip() == "}":
        scanner.place += 1
        return items
    while True:
        if scanner.skip() != '"':
            scanner.take('"')
        line, key = scanner.line, scanner.value()
        scanner.take(":")
        items.append((line, key, scanner.counted_value()))
        if scanner.skip() == "}":
            scanner.place += 1
            return items
        scanner.take(",")


def _of_records(what: str, items: Sequence[tuple[int, Any]], path: str) -> Frame:
    """Return records, or pairs, as they stand in a list."""
    rows = [_whole(item) for _, item in items]
    lines = np.fromiter((line for line, _ in items), np.int64, len(items))
    if all(isinstance(row, list) for row in rows):
        return Frame(what=what, names=None, rows=rows, lines=lines)
    for line, row in zip(lines.tolist(), rows, strict=True):
        if not isinstance(row, dict):
            refuse(path, line, f"expected a record, {{…}}, found {_kind(row)}")
        if isinstance(row, _Repeated):
            refuse(path, line, "a key appears twice in this record")
    if all(len(row) == 1 for row in rows) and len({*rows[0], *rows[-1]}) == min(len(rows), 2):
        pairs = [pair for row in rows for pair in row.items()]  # an answer by its id in each record
        return Frame(what=what, names=None, rows=pairs, lines=lines)
    return Frame(what=what, names=_names(rows), rows=rows, lines=lines)


def _whole(item: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return a value that was read as the outermost one of a file as any other value."""
    if isinstance(item, _Object):
        return _members([(key, value) for _, key, value in item])
    return item


def _of_object(members: _Object, path: str) -> Frame:
    """Return the rows of one object, in whichever of its forms."""
    table = {key: value for _, key, value in members}
    if (split := _split(table, path)) is not None:
        return split
    for name in _LISTS:
        if isinstance(answers := table.get(name), dict) and len(members) == 1:
            return _of_object(_Object((1, key, value) for key, value in answers.items()), path)
        if isinstance(records := table.get(name), list) and any(isinstance(item, dict) for item in records):
            line = next(line for line, key, _ in members if key == name)
            return _of_records("JSON", [(line, item) for item in records], path)
    values = list(table.values())
    if len(table) == len(members) and (_is_columns(table) or _is_columns_by_id(table)):
        return _of_columns(table)
    lines = np.fromiter((line for line, _, _ in members), np.int64, len(members))
    if values and all(isinstance(value, dict) for value in values):  # records by id or by number
        keyed = [{**value, "": key} for _, key, value in members]
        return Frame(what="JSON", names=("", *_names(keyed[:])), rows=keyed, lines=lines)
    return Frame(what="JSON", names=None, rows=[(key, value) for _, key, value in members], lines=lines)


def _is_columns(table: Mapping[str, Any]) -> bool:
    """Tell whether an object holds columns: one of them has a name of ids, all are of one length."""
    kinds = {type(value) for value in table.values()} if len(table) > 1 else set()
    sizes = {len(value) for value in table.values() if isinstance(value, list | dict)}
    return kinds in ({list}, {dict}) and len(sizes) == 1 and any(is_id_name(name) for name in table)


def _is_columns_by_id(table: Mapping[str, Any]) -> bool:
    """Tell whether an object holds columns of answers by id, with the same ids each."""
    first = next(iter(table.values()), None)
    if not isinstance(first, dict) or not any(bare(name) in ANSWER_NAMES for name in table):
        return False
    if any(is_id_name(name) or bare(name) in ANSWER_NAMES for name in first):  # a record
        return False
    return all(isinstance(value, dict) and value.keys() == first.keys() for value in table.values())


def _of_columns(table: Mapping[str, Any]) -> Frame:
    columns = [list(value.values()) if isinstance(value, dict) else value for value in table.values()]
    index = next(iter(table.values()))
    rows = list(zip(*columns, strict=True))
    return _indexed(tuple(table), list(index) if isinstance(index, dict) else None, rows)


def _split(table: Mapping[str, Any], path: str) -> Frame | None:
    """Return the rows of a frame or Series that pandas wrote with orient="split", None for another object."""
    names, index, rows = (table.get(key) for key in ("columns", "index", "data"))
    if not isinstance(rows, list):
        return None
    if table.keys() == {"name", "index", "data"} and isinstance(index, list):
        return _indexed(("0",), index, [[cell] for cell in rows])
    if not isinstance(names, list):
        return None
    if not all(isinstance(row, list) for row in rows):
        refuse(path, 1, "expected a list for each row of 'data'")
    return _indexed(tuple(map(str, names)), index, rows)


def _indexed(names: tuple[str, ...], index: Any, rows: Sequence[Sequence[Any]]) -> Frame:  # noqa: ANN401
    """Return rows with an index that pandas wrote, before them where no column has a name of ids."""
    if not isinstance(index, list) or len(index) != len(rows) or any(map(is_id_name, names)):
        return numbered("JSON", names, rows)
    return numbered("JSON", ("", *names), [(key, *row) for key, row in zip(index, rows, strict=True)])


def numbered(what: str, names: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> Frame:
    """Return rows that have no lines, and are told by their numbers from 1."""
    return Frame(what=what, names=names, rows=rows, lines=np.arange(1, len(rows) + 1))


def _names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    keys = dict.fromkeys(key for row in rows[:_SAMPLED] for key in row if key)
    return tuple(islice(keys, MOST_NAMES))


def _is_record(members: _Object) -> bool:
    """Tell whether the only object of a file is one record and not answers by id."""
    names = [key for _, key, value in members if not isinstance(value, dict | list)]
    return any(map(is_id_name, names)) and len(names) == len(members) > 1


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def refuse(path: str, line: int | None, message: str, *, code: str = "R011") -> NoReturn:
    """Reject a file whose table cannot be read.

    Raises:
        RejectedInput: Always.
    """
    raise rejected(code, path, line, message)
