"""Parquet, Arrow and Feather files as rows under names, bounded as `containers` says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rocov2_eval import formats
from rocov2_eval.containers import MOST_NAMES, Frame, numbered, refuse
from rocov2_eval.errors import MissingResource
from rocov2_eval.formats import rejected
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.words import shorten

PARQUET_ENDINGS = (".parquet", ".pq", ".arrow", ".feather")
_ROWS = 50_000  # of Parquet at a time; a text that they share is held once


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
                    refuse(path, None, f"columns with more than {formats.MOST_BYTES:,} bytes", code="R001")
                for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                    columns.setdefault(name, []).extend(_cells(cells))
                if columns and len(next(iter(columns.values()))) > formats.MOST_LINES:
                    refuse(path, None, f"more than {formats.MOST_LINES:,} rows", code="R001")
    except (
        pa.ArrowException,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        MemoryError,
        UnicodeDecodeError,
    ) as error:
        refuse(path, None, f"cannot be read as Parquet: {shorten(str(error), 100)}")
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        refuse(path, None, "the files have different columns")
    return numbered("a Parquet file", tuple(columns), list(zip(*columns.values(), strict=True)))


def _batches(source: bytes | Path, path: str, wanted: Iterable[str] | None) -> Iterator[Any]:
    """Yield the batches of a file, without columns of pictures and other structures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source))
    with opened:
        if _is_parquet(opened):
            metadata = pq.read_metadata(opened)
            names = _readable(metadata.schema.to_arrow_schema(), wanted)
            _refuse_large(metadata, names, path)
            # A text that stands in a million rows stands in the file once, and so in memory too.
            leaves = [metadata.schema.column(i) for i in range(len(metadata.schema))]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
            with pq.ParquetFile(opened, pre_buffer=False, read_dictionary=texts) as file:
                yield from file.iter_batches(_ROWS, columns=names, use_threads=False)
            return
        with _arrow_reader(opened) as reader:
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
        raise rejected("R011", str(path), None, f"not a Parquet file: {shorten(str(error), 60)}") from None


def _arrow(path: str) -> Any:  # noqa: ANN401  a module
    try:
        import pyarrow as pa
    except ImportError:
        message = f"{path}: Parquet files need pyarrow: {install_command('parquet')}"
        raise MissingResource(message) from None
    return pa


def _schema(opened: Any) -> Any:  # noqa: ANN401  of pyarrow
    """Return the columns of an open file."""
    import pyarrow.parquet as pq

    if _is_parquet(opened):
        return pq.read_schema(opened)
    with _arrow_reader(opened) as reader:
        return reader.schema


def _is_parquet(opened: Any) -> bool:  # noqa: ANN401  of pyarrow
    return _start(opened).startswith(b"PAR1")


def _arrow_reader(opened: Any) -> Any:  # noqa: ANN401  of pyarrow
    import pyarrow as pa

    return pa.ipc.open_file(opened) if _start(opened).startswith(b"ARROW1") else pa.ipc.open_stream(opened)


def _start(opened: Any) -> bytes:  # noqa: ANN401  of pyarrow
    start: bytes = opened.read(8)
    opened.seek(0)
    return start


def _refuse_large(metadata: Any, names: Sequence[str], path: str) -> None:  # noqa: ANN401  of pyarrow
    """Refuse by its own account a file that would become too much, before any of it is read."""
    if metadata.num_rows > formats.MOST_LINES:
        refuse(path, None, f"{metadata.num_rows:,} rows, more than {formats.MOST_LINES:,}", code="R001")
    size = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema.split(".")[0] in names:
                size += column.total_uncompressed_size
    if size > formats.MOST_BYTES:
        refuse(path, None, f"columns with more than {formats.MOST_BYTES:,} bytes", code="R001")


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
    return [name for name in names if wanted is None or name in set(wanted)][:MOST_NAMES]


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
