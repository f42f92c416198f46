"""Objects of Python as tables: frames, mappings and records in, pandas frames out.

A frame is read by the names of its columns, as pandas, polars, pyarrow and `datasets` all have them, so that
none of these need be installed. A frame of any other library is read with pyarrow, by the Arrow PyCapsule
interface or `__dataframe__`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from rocov2_eval.column_names import ANSWER_NAMES, VALUE_NAMES, bare, is_id_name
from rocov2_eval.containers import Frame
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.words import shorten

if TYPE_CHECKING:
    import pandas as pd

    DataFrame: TypeAlias = pd.DataFrame

_PAIR = len(("id", "answer"))
_OWN_COLUMNS = ("column_names", "iloc", "iter_rows")  # of pyarrow and `datasets`, of pandas, of polars
_TO_LIST = ("to_pylist", "to_list", "tolist")  # of pyarrow, of polars and pandas, of numpy
_IDS = ("id", "imageid")
_MISSING = ("NAType", "NaTType")  # of pandas, beside None and NaN
_TABLES = ("concepts", "captions", "concepts_manual")
_EXPECTED = "a path, a frame, a mapping of ids to answers, or records with an id and an answer"


@runtime_checkable
class Interchange(Protocol):
    """A frame of any library that offers the dataframe interchange protocol."""

    def __dataframe__(self, nan_as_null: bool = ..., allow_copy: bool = ...) -> Any: ...  # noqa: ANN401, FBT001


@runtime_checkable
class ArrowStream(Protocol):
    """A table of any library that offers the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = ...) -> object: ...


Answers = Interchange | ArrowStream | Mapping[Any, Any] | Iterable[Any]


def frame_of(data: object, name: str) -> Frame:
    """Return the rows of an object, numbered from 1; a missing value is an empty cell.

    >>> frame = frame_of([{"image_id": "a", "cui": ["C1", "C2"]}, {"image_id": "b", "cui": None}], "run")
    >>> frame.names, frame.column("cui")
    (('image_id', 'cui'), [['C1', 'C2'], None])

    Args:
        data: A frame of pandas, polars, pyarrow, `datasets` or any library with `__arrow_c_stream__` or
            `__dataframe__`; a pandas Series of answers by id; a mapping of ids to answers, or of names to
            columns; records by name, or pairs of an id and an answer.
        name: The argument, as messages name it.

    Raises:
        UsageFault: It is none of these.
        MissingResource: It is the frame of a library that only pyarrow can read, and pyarrow is missing.
    """
    if isinstance(data, Mapping):
        return _of_mapping(data, name)
    if isinstance(data, str | bytes | type):
        raise UsageFault(f"{name} is {_kind(data)}: expected {_EXPECTED}")
    if (columns := _columns(data)) is not None:
        return _of_columns(columns, name)
    if isinstance(data, Iterable):
        return _of_rows(list(data), name)
    raise UsageFault(f"{name} is {_kind(data)}: expected {_EXPECTED}")


def tables_of(data: object, name: str) -> dict[str, Frame]:
    """Return a truth as tables by the names that the files of a dataset folder have.

    Args:
        data: What `frame_of` takes, or a mapping of it by these names.
        name: The argument, as messages name it.
    """
    if isinstance(data, Mapping) and data and set(data) <= set(_TABLES):
        return {str(key): frame_of(value, f"{name}[{key!r}]") for key, value in data.items()}
    frame = frame_of(data, name)
    held = {bare(column) for column in frame.names or ()}
    return {kind: frame for kind, known in VALUE_NAMES.items() if held & known} or {"": frame}


def is_frame(data: object) -> bool:
    """Tell whether an object has columns."""
    return any(
        hasattr(data, name) for name in ("column_names", "columns", "__arrow_c_stream__", "__dataframe__")
    )


def to_pandas(columns: Mapping[Any, Sequence[Any]], index: Hashable = None) -> DataFrame:
    """Return columns as a pandas frame; pairs as names make two levels of columns.

    Args:
        columns: The cells by name, all of one length.
        index: The column that names the rows, None for numbers.

    Raises:
        MissingResource: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingResource("frames need pandas: pip install pandas") from None
    held = {name: cells for name, cells in columns.items() if name != index}
    rows = None if index is None else pd.Index(columns[index], name=index)
    return pd.DataFrame(held, index=rows)


def _columns(data: Any) -> dict[str, list[Any]] | None:  # noqa: ANN401  a frame of any library
    """Return the columns of a frame that ids or answers may stand in; None for what is no frame."""
    if hasattr(data, "index") and hasattr(data, "to_frame") and not hasattr(data, "columns"):  # of pandas
        return {"id": _cells(data.index), "value": _cells(data)}
    if hasattr(data, "collect") and hasattr(data, "collect_schema"):  # a lazy frame of polars
        data = data.collect()
    if not any(hasattr(data, name) for name in _OWN_COLUMNS) and isinstance(data, ArrowStream | Interchange):
        data = _arrow(data)
    names = getattr(data, "column_names", None)
    names = getattr(data, "columns", None) if names is None else names
    if names is None or not hasattr(data, "__getitem__"):
        return None
    names = list(names)
    ids = [name for name in names if is_id_name(str(name))]
    ids = [name for name in ids if bare(str(name)) in _IDS] or ids
    answers = [name for name in names if bare(str(name)) in ANSWER_NAMES]
    wanted = [*ids, *answers] if ids and answers else names  # pictures, often `image`, need not be decoded
    columns = {str(name): _cells(data[name]) for name in wanted}
    index = getattr(data, "index", None)
    if not ids and index is not None and not callable(index) and type(index).__name__ != "RangeIndex":
        return {"id": _cells(index), **columns}
    return columns


def _arrow(data: object) -> Any:  # noqa: ANN401  a table of pyarrow
    try:
        import pyarrow as pa
        from pyarrow.interchange import from_dataframe
    except ImportError:
        kind = type(data).__name__
        raise MissingResource(f"a {kind} is read with pyarrow: pip install pyarrow") from None
    return pa.table(data) if isinstance(data, ArrowStream) else from_dataframe(data)


def _cells(column: Any) -> list[Any]:  # noqa: ANN401  a column of any library
    method = next((name for name in _TO_LIST if hasattr(column, name)), None)
    cells = list(column) if method is None else getattr(column, method)()
    return [_cell(cell) for cell in cells]


def _cell(cell: Any) -> Any:  # noqa: ANN401  a cell of any library
    """Return a cell of Python's own types; None where a value is missing."""
    if cell is None or type(cell).__name__ in _MISSING:
        return None
    if isinstance(cell, set | frozenset):
        return sorted(cell)
    if isinstance(cell, np.ndarray | np.generic) or hasattr(cell, "to_list"):
        return _cell(cell.tolist() if hasattr(cell, "tolist") else cell.to_list())
    return [_cell(part) for part in cell] if isinstance(cell, list | tuple) else cell


def _of_mapping(data: Mapping[Any, Any], name: str) -> Frame:
    values = list(data.values())
    if any(is_id_name(str(key)) for key in data) and not any(isinstance(value, str) for value in values):
        return _of_columns({str(key): _cells(value) for key, value in data.items()}, name)
    if values and all(is_frame(value) for value in values):
        example = f"{name}[{next(iter(data))!r}]"
        raise UsageFault(f"{name} contains several tables, {_listed(data)}: pass one, such as {example}")
    if values and all(isinstance(value, Mapping) for value in values):
        return _of_rows([{"id": key, **value} for key, value in data.items()], name)
    return _of_rows(list(data.items()), name)


def _of_columns(columns: Mapping[str, list[Any]], name: str) -> Frame:
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise UsageFault(f"{name} has columns of different lengths: {_listed(columns)}")
    rows = list(zip(*columns.values(), strict=True))
    if columns and all(key.isdecimal() for key in columns):  # numbers that pandas gives are no names
        return _numbered(None, rows)
    return _numbered(tuple(columns), rows)


def _of_rows(rows: Sequence[Any], name: str) -> Frame:
    if all(isinstance(row, Mapping) for row in rows) and rows:
        names = tuple(dict.fromkeys(str(key) for row in rows for key in row))
        return _numbered(names, [{str(key): _cell(cell) for key, cell in row.items()} for row in rows])
    for i, row in enumerate(rows):
        if isinstance(row, str | Mapping) or not isinstance(row, Sequence | np.ndarray) or len(row) != _PAIR:
            raise UsageFault(f"{name}[{i}] is {_kind(row)}: expected {_EXPECTED}")
    return _numbered(None, [[_cell(cell) for cell in row] for row in rows])


def _numbered(names: tuple[str, ...] | None, rows: Sequence[Any]) -> Frame:
    return Frame(what="", names=names, rows=rows, lines=np.arange(1, len(rows) + 1))


def _kind(value: object) -> str:
    shown = f" {shorten(repr(value), 40)}" if isinstance(value, str | int | float | bytes) else ""
    return f"a {type(value).__name__}{shown}"


def _listed(names: Iterable[object]) -> str:
    return ", ".join(shorten(str(name), 30) for name in names)
