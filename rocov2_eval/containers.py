"""Tables as other programs write them, JSON, JSON Lines, Parquet and Arrow, as rows under names.

Nothing here knows what a run is: `intake` chooses the columns. What a hostile file may cost is bounded as for
CSV, by `formats.MOST_BYTES`, `MOST_LINES` and `MOST_SEPARATORS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from rocov2_eval import formats
from rocov2_eval.errors import MissingResource
from rocov2_eval.formats import rejected
from rocov2_eval.records import Finding, IntArray
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.words import shorten

PARQUET_ENDINGS = (".parquet", ".pq", ".arrow", ".feather")
ID_AND_VALUE = ("id", "value")  # names where a file has keys and values, or pairs, without any
_SPACE = re.compile(r"[ \t\n\r]*")
_SAMPLED = 200  # rows whose keys are the names
_MOST_NAMES = 1000
_MOST_LEVELS = 64
# Under which a document keeps its records.
_LISTS = ("annotations", "predictions", "results", "data", "rows", "answers", "submission")
_ROWS = 50_000  # of Parquet at a time; a text that they share is held once
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
        _refuse(path, None, f"{nodes:,} objects and lists, more than {most:,}", code="R001")
    values = list(_values(text, path))
    if not values:
        _refuse(path, None, "the file is empty", code="R003")
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
            _refuse(self.path, self.line, f"not JSON: expected {expected!r}, found {found}")
        self.place += 1

    def counted_value(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """Return the value of a row that starts here; there are only so many."""
        self._rows += 1
        if self._rows > formats.MOST_LINES:
            _refuse(self.path, None, f"more than {formats.MOST_LINES:,} rows", code="R001")
        return self.value()

    def value(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """Return the value that starts here."""
        self.skip()
        try:
            value, self.place = _DECODER.raw_decode(self.text, self.place)
        except json.JSONDecodeError as error:
            line = self.line + self.text.count("\n", self._counted, error.pos)
            _refuse(self.path, line, f"not JSON: {error.msg} (column {error.colno})")
        except RecursionError:
            _refuse(self.path, self.line, "nested too deeply")
        except ValueError:  # Python converts no integer of more than 4,300 digits
            _refuse(self.path, self.line, "a number of too many digits")
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
            _refuse(path, line, f"expected a record, {{…}}, found {_kind(row)}")
        if isinstance(row, _Repeated):
            _refuse(path, line, "a key stands twice in this record")
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
        _refuse(path, 1, "expected a list for each row under 'data'")
    return _indexed(tuple(map(str, names)), index, rows)


def _indexed(names: tuple[str, ...], index: Any, rows: Sequence[Sequence[Any]]) -> Frame:  # noqa: ANN401
    """Return rows with an index that pandas wrote, before them where no column has a name of ids."""
    if not isinstance(index, list) or len(index) != len(rows) or any(map(is_id_name, names)):
        return _numbered("JSON", names, rows)
    return _numbered("JSON", ("", *names), [(key, *row) for key, row in zip(index, rows, strict=True)])


def _numbered(what: str, names: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> Frame:
    return Frame(what=what, names=names, rows=rows, lines=np.arange(1, len(rows) + 1))


def _names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    keys = dict.fromkeys(key for row in rows[:_SAMPLED] for key in row if key)
    return tuple(islice(keys, _MOST_NAMES))


def _is_record(members: _Object) -> bool:
    """Tell whether the only object of a file is one record and not answers by id."""
    names = [key for _, key, value in members if not isinstance(value, dict | list)]
    return any(map(is_id_name, names)) and len(names) == len(members) > 1


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


# ---- Parquet and Arrow


def parquet_frame(content: bytes | Sequence[Path], path: str, wanted: Iterable[str] | None = None) -> Frame:
    """Return the rows of a Parquet, Arrow or Feather file, or of several files as one table.

    Args:
        content: The bytes of a file, or the files, of which only columns of text, numbers and lists are read.
        path: How findings name it.
        wanted: Read only these columns.

    Raises:
        RejectedInput: It cannot be read, or holds too much.
        MissingResource: pyarrow is not installed.
    """
    pa = _arrow(path)
    sources = [content] if isinstance(content, bytes) else list(content)
    columns: dict[str, list[Any]] = {}
    size = 0
    try:
        for source in sources:
            for batch in _batches(source, path, wanted):
                batch.validate(full=True)  # a damaged file would else have pyarrow read beyond its end
                size += sum(map(_own_bytes, batch.columns))
                if size > formats.MOST_BYTES:
                    _refuse(path, None, f"columns of more than {formats.MOST_BYTES:,} bytes", code="R001")
                for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                    columns.setdefault(name, []).extend(_cells(cells))
                if columns and len(next(iter(columns.values()))) > formats.MOST_LINES:
                    _refuse(path, None, f"more than {formats.MOST_LINES:,} rows", code="R001")
    except (
        pa.ArrowException,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        MemoryError,
        UnicodeDecodeError,
    ) as error:
        _refuse(path, None, f"cannot be read as Parquet: {shorten(str(error), 100)}")
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        _refuse(path, None, "its files have different columns")
    return _numbered("a Parquet file", tuple(columns), list(zip(*columns.values(), strict=True)))


def _batches(source: bytes | Path, path: str, wanted: Iterable[str] | None) -> Iterator[Any]:
    """Yield the batches of a file, without columns of pictures and other structures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source))
    with opened:
        start = opened.read(8)
        opened.seek(0)
        if start.startswith(b"PAR1"):
            metadata = pq.read_metadata(opened)
            names = _readable(metadata.schema.to_arrow_schema(), wanted)
            _refuse_large(metadata, names, path)
            # A text that stands in a million rows stands in the file once, and so in memory too.
            leaves = [metadata.schema.column(i) for i in range(len(metadata.schema))]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
            with pq.ParquetFile(opened, pre_buffer=False, read_dictionary=texts) as file:
                yield from file.iter_batches(_ROWS, columns=names, use_threads=False)
            return
        reader = pa.ipc.open_file(opened) if start.startswith(b"ARROW1") else pa.ipc.open_stream(opened)
        with reader:
            names = _readable(reader.schema, wanted)
            if isinstance(reader, pa.RecordBatchFileReader):
                batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                batches = iter(reader)
            yield from (batch.select(names) for batch in batches)


def table_names(path: Path) -> list[str]:
    """Return the columns of a Parquet, Arrow or Feather file that may hold ids or answers.

    Raises:
        RejectedInput: It cannot be read.
        MissingResource: pyarrow is not installed.
    """
    pa = _arrow(str(path))
    try:
        with pa.memory_map(str(path)) as opened:
            return _readable(_schema(opened), None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise rejected("R011", str(path), None, f"no Parquet file: {shorten(str(error), 60)}") from None


def _arrow(path: str) -> Any:  # noqa: ANN401  a module
    try:
        import pyarrow as pa
    except ImportError:
        message = f"{path}: Parquet files cannot be read without pyarrow: {install_command('parquet')}"
        raise MissingResource(message) from None
    return pa


def _schema(opened: Any) -> Any:  # noqa: ANN401  of pyarrow
    """Return the columns of an open file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = opened.read(8)
    opened.seek(0)
    if start.startswith(b"PAR1"):
        return pq.read_schema(opened)
    with pa.ipc.open_file(opened) if start.startswith(b"ARROW1") else pa.ipc.open_stream(opened) as reader:
        return reader.schema


def _refuse_large(metadata: Any, names: Sequence[str], path: str) -> None:  # noqa: ANN401  of pyarrow
    """Refuse by its own account a file that would become too much, before any of it is read."""
    if metadata.num_rows > formats.MOST_LINES:
        _refuse(path, None, f"{metadata.num_rows:,} rows, more than {formats.MOST_LINES:,}", code="R001")
    size = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema.split(".")[0] in names:
                size += column.total_uncompressed_size
    if size > formats.MOST_BYTES:
        _refuse(path, None, f"columns of more than {formats.MOST_BYTES:,} bytes", code="R001")


def _readable(schema: Any, wanted: Iterable[str] | None) -> list[str]:  # noqa: ANN401  of pyarrow
    """Return the columns that may hold ids or answers."""
    from pyarrow import types

    def holds_answers(kind: Any) -> bool:  # noqa: ANN401
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            return holds_answers(kind.value_type) and not types.is_list(kind.value_type)
        return bool(
            types.is_string(kind)
            or types.is_large_string(kind)
            or types.is_integer(kind)
            or types.is_floating(kind)
            or types.is_null(kind)
            or "string_view" in str(kind)
        )

    names = [field.name for field in schema if holds_answers(field.type)]
    return [name for name in names if wanted is None or name in set(wanted)][:_MOST_NAMES]


def _cells(column: Any) -> list[Any]:  # noqa: ANN401  of pyarrow
    """Return cells as Python has them; a text that stands in many of them is one object."""
    from pyarrow import types

    cells: list[Any]
    if types.is_dictionary(column.type):
        values = column.dictionary.to_pylist()
        return [None if code is None else values[code] for code in column.indices.to_pylist()]
    if types.is_list(column.type) or types.is_large_list(column.type):
        parts = iter(_cells(column.flatten()))
        sizes = column.value_lengths().to_pylist()
        return [None if size is None else list(islice(parts, size)) for size in sizes]
    cells = column.to_pylist()
    return cells


def _own_bytes(column: Any) -> int:  # noqa: ANN401  of pyarrow
    """Return the size of a column without the texts that other batches share with it."""
    from pyarrow import types

    if types.is_list(column.type) or types.is_large_list(column.type):
        return int(column.value_lengths().nbytes) + _own_bytes(column.flatten())
    return int(column.indices.nbytes if types.is_dictionary(column.type) else column.nbytes)


def _refuse(path: str, line: int | None, message: str, *, code: str = "R011") -> NoReturn:
    raise rejected(code, path, line, message)


# ---- names


ID_NAMES = frozenset(
    [
        "id",
        "imageid",
        "image",
        "imagename",
        "imgid",
        "img",
        "imagefile",
        "imagepath",
        "filename",
        "file",
        "filepath",
        "figureid",
        "uid",
        "key",
        "index_id",
    ]
)
VALUE_NAMES: Mapping[str, frozenset[str]] = {
    "concepts": frozenset(
        [
            "cui",
            "cuis",
            "concept",
            "concepts",
            "conceptid",
            "conceptids",
            "cuicodes",
            "umlscuis",
            "umlsconcepts",
            "predictedcuis",
            "predictedcui",
            "cuispred",
            "predictedconcepts",
            "conceptspred",
            "cuilist",
        ]
    ),
    "captions": frozenset(
        [
            "caption",
            "captions",
            "text",
            "description",
            "report",
            "generatedcaption",
            "generatedcaptions",
            "predictedcaption",
            "predictedcaptions",
            "captionpred",
            "predcaption",
            "generatedtext",
            "captiontext",
            "candidate",
        ]
    ),
}
NEUTRAL_NAMES = frozenset(
    [
        "prediction",
        "predictions",
        "predicted",
        "pred",
        "preds",
        "output",
        "outputs",
        "generated",
        "generation",
        "answer",
        "answers",
        "response",
        "hypothesis",
        "value",
        "label",
        "labels",
        "result",
    ]
)
# How names begin that hold what a model said, where the truth stands beside it.
MODEL_NAMES = ("pred", "generat", "output", "response", "hypothesis", "candidate", "answer", "result")
ANSWER_NAMES = NEUTRAL_NAMES.union(*VALUE_NAMES.values())
INDEX_NAMES = frozenset(
    ("", "unnamed0", "index", "level0", "indexlevel0", "rownames", "x1")
)  # of pandas and R


def bare(name: str) -> str:
    """Return the letters and digits of a name in lower case: `Image ID` and `image_id` are one."""
    return "".join(filter(str.isalnum, name)).lower()


def is_id_name(name: str) -> bool:
    """Tell whether a column of this name holds ids."""
    return bare(name) in ID_NAMES
