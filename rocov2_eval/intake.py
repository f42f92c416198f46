"""Any file that people hand in, as the rows that the edition would have of it.

What is in the format of the edition is left as it is. Anything else is converted in memory: other separators,
encodings or headers, an index column, gzip, JSON, JSON Lines, Parquet. `Records.what` says what it was.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import re
import sys
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rocov2_eval import formats
from rocov2_eval.arrow_files import PARQUET_ENDINGS, parquet_frame, table_names
from rocov2_eval.column_names import (
    ANSWER_NAMES,
    ID_NAMES,
    INDEX_NAMES,
    MODEL_NAMES,
    NEUTRAL_NAMES,
    VALUE_NAMES,
    bare,
    is_id_name,
)
from rocov2_eval.containers import Frame, json_frame, looks_like_json
from rocov2_eval.delimited import repacked_frame, text_frame
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, ChosenBy, Dialect, Edition, edition_by_ids
from rocov2_eval.errors import UsageFault
from rocov2_eval.findings import finding
from rocov2_eval.formats import (
    Records,
    Source,
    is_archive,
    only_member,
    rejected,
    sniff_task,
    source_of,
    task_of_cells,
)
from rocov2_eval.records import Finding, Task
from rocov2_eval.shelf.csv_files import csv_text
from rocov2_eval.shelf.words import counted, path_text, shorten

ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", *PARQUET_ENDINGS)
PACKED = (".gz", ".zip")
STDIN = Path("-")
STDIN_NAME = "stdin"  # in findings and results
SHARD = re.compile(r"[-_]\d+-of-\d+(?=\.)")  # tells the files of one table apart
_JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
_FEW, _MANY = 0.05, 0.9  # shares of the bytes of one half that are NUL
_UNPACKING = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that the user names.

    Attributes:
        id: Name of the column of ids, None for what the names tell.
        value: Name of the column of answers, None for what the names tell.
        of_truth: Where what a model said stands beside the truth, the truth is wanted.
    """

    id: str | None = None
    value: str | None = None
    of_truth: bool = False

    def __bool__(self) -> bool:
        return self.id is not None or self.value is not None


GUESSED = Columns()
TRUTH = Columns(of_truth=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Handed:
    """A run or truth as it was handed in.

    Attributes:
        name: How findings and results name it: the path of a file, or an argument.
        content: The bytes of a file, or the rows of an object.
        ending: A name whose end says what a file may be.
    """

    name: str
    content: bytes | Frame
    ending: str = ""


def opened(path: Path) -> Handed:
    """Return a file as it was handed in; `-` is the standard input.

    Raises:
        RejectedInput: It cannot be read.
    """
    name = STDIN_NAME if path == STDIN else path_text(path)
    content = _standard_input() if path == STDIN else formats.read_bytes(path, name)
    return Handed(name=name, content=content, ending=path.name)


def read_source(
    path: Path, edition: Edition, task: Task | None = None, columns: Columns = GUESSED
) -> tuple[Source, Task]:
    """Read any file, and tell its task; see `source_of_handed`.

    Raises:
        RejectedInput: It cannot be read, is no table, or neither names nor cells tell columns and task.
        MissingResource: It is a Parquet file, and pyarrow is not installed.
        UsageFault: It has no column of a name that the user gives.
    """
    return source_of_handed(opened(path), edition, task, columns)


def source_of_handed(
    handed: Handed, edition: Edition, task: Task | None = None, columns: Columns = GUESSED
) -> tuple[Source, Task]:
    """Return the rows of whatever was handed in, and their task.

    Args:
        handed: A file or an object.
        edition: The edition whose format needs no conversion.
        task: Concepts or captions; None for what names or cells tell.
        columns: The columns that hold ids and answers.

    Raises:
        RejectedInput: It is no table, or neither names nor cells tell columns and task.
        MissingResource: It is a Parquet file, and pyarrow is not installed.
        UsageFault: It has no column of a name that the user gives.
    """
    name, content = handed.name, handed.content
    if isinstance(content, bytes):
        return source_of_bytes(content, name, edition, ending=handed.ending, task=task, columns=columns)
    source, task = source_of_frame(content, Source(path=name, sha256="", text=""), edition, task, columns)
    assert source.records is not None
    digest = hashlib.sha256(csv_text(["ID", "Answer"], source.records.rows).encode()).hexdigest()
    return replace(source, sha256=digest), task


def source_by_ids(
    handed: Handed, edition: Edition | None, task: Task | None = None, columns: Columns = GUESSED
) -> tuple[Source, Task, Edition, ChosenBy]:
    """Return the rows of a run, their task, the edition that cuts them, and who chose it.

    Args:
        handed: A file or an object.
        edition: The edition that the user names; None for the one that the ids name.
        task: Concepts or captions; None for what names or cells tell.
        columns: The columns that hold ids and answers.
    """
    if edition is not None:
        return *source_of_handed(handed, edition, task, columns), edition, "user"
    default = EDITIONS[DEFAULT_EDITION]
    source, told = source_of_handed(handed, default, task, columns)
    named, chosen_by = edition_by_ids(_ids(source))
    if named is not default:  # another dialect may need no conversion, or another one
        source, told = source_of_handed(handed, named, task, columns)
    return source, told, named, chosen_by


def _ids(source: Source) -> Iterable[str]:
    """Return what holds the ids of a run, before any dialect has cut it into cells."""
    if source.records is not None:
        return (row[0] for row in source.records.rows)
    return source.text.splitlines()


def source_of_bytes(
    content: bytes,
    name: str,
    edition: Edition,
    *,
    ending: str = "",
    task: Task | None = None,
    columns: Columns = GUESSED,
) -> tuple[Source, Task]:
    """Return the rows of a file's bytes, and their task.

    Args:
        content: The bytes.
        name: How findings and results name the file.
        edition: The edition whose format needs no conversion.
        ending: A name whose end says what the file may be; bytes that tell it themselves need none.
        task: Concepts or captions; None for what names or cells tell.
        columns: The columns that hold ids and answers.
    """
    ending, content, packed = _unpacked(content, name, ending.lower())
    if ending.endswith(PARQUET_ENDINGS) or content.startswith((b"PAR1", b"ARROW1\0\0")):
        source = Source(path=name, sha256=hashlib.sha256(content).hexdigest(), text="")
        return source_of_frame(parquet_frame(content, name), source, edition, task, columns)
    text, encoding = _decoded(content)
    source = source_of(text, name)
    if encoding:  # the digest is that of the file, not of its text in UTF-8
        source = replace(source, sha256=hashlib.sha256(content).hexdigest())
    if ending.endswith(_JSON_ENDINGS) or looks_like_json(source.text):
        return source_of_frame(json_frame(source.text, name), source, edition, task, columns)
    frame = text_frame(source, edition, task, is_named=bool(columns))
    if frame is None and (packed or encoding):
        frame = repacked_frame(source, edition)
    if frame is None:
        return source, task or task_of(source)
    what = [*filter(None, (packed, encoding, frame.what))]
    return source_of_frame(replace(frame, what=", ".join(what)), source, edition, task, columns)


def source_of_tables(paths: Sequence[Path], edition: Edition, task: Task) -> Source:
    """Return the rows of a truth in Parquet or Arrow: one file, or several that are one table.

    Only the columns of ids and answers are read; the digest is that of the rows as CSV.
    """
    pattern = SHARD.sub("-*", paths[0].name)
    name = path_text(paths[0] if len(paths) == 1 else paths[0].with_name(pattern))
    wanted = [
        known
        for known in table_names(paths[0])
        if is_id_name(known) or bare(known) in VALUE_NAMES[task] or bare(known) in NEUTRAL_NAMES
    ]
    frame = parquet_frame(paths, name, wanted)
    source, _ = source_of_frame(frame, Source(path=name, sha256="", text=""), edition, task, TRUTH)
    rows = source.records.rows if source.records else []
    return replace(source, sha256=hashlib.sha256(csv_text((), rows).encode()).hexdigest())


def source_of_frame(
    frame: Frame, source: Source, edition: Edition, task: Task | None, columns: Columns = GUESSED
) -> tuple[Source, Task]:
    """Return the rows of a frame as those of a run or truth of the edition.

    Args:
        frame: Rows of any cells.
        source: What findings and results name; its records are set.
        edition: The edition whose dialect says what a cell cannot hold.
        task: Concepts or captions; None for what names or cells tell.
        columns: The columns that hold ids and answers.
    """
    ids, values, named = _chosen(frame, task, columns, source.path)
    task = task or named or task_of_cells(_sampled(values))
    if task is None:
        raise rejected(
            "R007", source.path, None, "the task cannot be detected from the column names or the cells"
        )
    dialect = edition.rules(task).dialect
    faults = list(frame.findings)
    id_texts = _texts(ids, source.path, frame, "concepts", faults)
    cell_texts = _texts(values, source.path, frame, task, faults)
    _refuse_unwritable(source.path, frame, id_texts, cell_texts)
    rows = [
        [plain(image_id, dialect).strip(), plain(cell, dialect).strip()]
        for image_id, cell in zip(id_texts, cell_texts, strict=True)
    ]
    records = Records(
        what=frame.what,
        task=named,
        rows=rows,
        lines=np.asarray(frame.lines, np.int64),
        findings=tuple(faults),
        first=frame.first,
    )
    return replace(source, records=records), task


def task_of(source: Source) -> Task:
    """Return the task that the header or the cells of a run tell.

    Raises:
        RejectedInput: Neither does.
    """
    task = sniff_task(source)
    if task is None:
        empty = source.records is None and not source.text.strip()
        code, message = (
            ("R003", "the file is empty")
            if empty
            else ("R007", "the task cannot be detected from the header or the cells")
        )
        raise rejected(code, source.path, None, message)
    return task


# ---- bytes


def _standard_input() -> bytes:
    content = sys.stdin.buffer.read(formats.MOST_BYTES + 1)
    if len(content) > formats.MOST_BYTES:
        raise rejected("R001", STDIN_NAME, None, f"more than {formats.MOST_BYTES:,} bytes")
    return content


def _unpacked(content: bytes, name: str, ending: str) -> tuple[str, bytes, str]:
    """Return name and bytes of the file in an archive, and what the archive was if no platform takes it."""
    if is_archive(content) or ending.endswith(".zip"):
        member, content = only_member(content, name, (*ENDINGS, ".gz"))
        ending = member.lower()
        if not content.startswith(b"\x1f\x8b"):
            return ending, content, ""
    if not content.startswith(b"\x1f\x8b"):
        return ending.removesuffix(".gz"), content, ""
    try:
        with gzip.open(io.BytesIO(content)) as file:
            content = file.read(formats.MOST_BYTES + 1)
    except _UNPACKING as error:
        raise rejected("R004", name, None, f"cannot be unpacked: {shorten(str(error), 100)}") from None
    if len(content) > formats.MOST_BYTES:
        raise rejected("R004", name, None, f"the unpacked file has more than {formats.MOST_BYTES:,} bytes")
    return ending.removesuffix(".gz"), content, "a gzip archive"


def _decoded(content: bytes) -> tuple[bytes, str]:
    """Return a text as UTF-8 and the name of its encoding if it was another; bytes of no text as they are."""
    encoding = _encoding(content)
    if encoding is None:
        return content, ""
    try:
        return content.decode(encoding).encode(), encoding.partition("-l")[0].partition("-b")[0].upper()
    except UnicodeError:
        return content, ""


def _encoding(content: bytes) -> str | None:
    if content.startswith((BOM_UTF32_LE, BOM_UTF32_BE)):
        return "utf-32"
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    start = content[:1000]
    half = len(start) // 2
    if half and start[1::2].count(0) > _MANY * half and start[::2].count(0) < _FEW * half:
        return "utf-16-le"
    if half and start[::2].count(0) > _MANY * half and start[1::2].count(0) < _FEW * half:
        return "utf-16-be"
    return None


# ---- columns


def _chosen(
    frame: Frame, task: Task | None, columns: Columns, path: str
) -> tuple[Sequence[Any], Sequence[Any], Task | None]:
    """Return the cells of ids and of answers, and the task that a name tells."""
    if not frame.rows and frame.names is None:
        raise rejected("R003", path, None, "no row with an image id")
    if frame.names is None:
        if columns:
            raise UsageFault(f"{path} has no column names: remove --id-column and --value-column")
        short = next((i for i, row in enumerate(frame.rows) if len(row) != len(("id", "cell"))), None)
        if short is not None:
            message = f"{counted(len(frame.rows[short]), 'cell')}, expected an id and an answer"
            raise rejected("R102", path, int(frame.lines[short]), message)
        return [row[0] for row in frame.rows], [row[1] for row in frame.rows], None  # type: ignore[index]
    id_name = _required(columns.id, frame, path) or _id_name(frame, columns.value, path)
    value_name = _required(columns.value, frame, path)
    if value_name is None:
        value_name = _value_name(frame, id_name, task, path, of_truth=columns.of_truth)
    named = next((kind for kind, known in VALUE_NAMES.items() if bare(value_name) in known), None)
    return frame.column(id_name), frame.column(value_name), named  # type: ignore[return-value]


def _required(name: str | None, frame: Frame, path: str) -> str | None:
    if name is None or name in (frame.names or ()):
        return name
    raise UsageFault(f"{path} has no column {shorten(name)!r}, expected one of {_listed(frame.names or ())}")


def _id_name(frame: Frame, value_name: str | None, path: str) -> str:
    names = [name for name in frame.names or () if name != value_name]
    known = [name for name in names if is_id_name(name)]
    for wanted in ({"id", "imageid"}, ID_NAMES):
        near = [name for name in known if bare(name) in wanted]
        if "imageid" in map(bare, near):  # beside the number of an annotation, its id
            return next(name for name in near if bare(name) == "imageid")
        if near:
            return near[0]
    others = [name for name in names if bare(name) not in INDEX_NAMES]
    index = next((name for name in names if bare(name) in INDEX_NAMES), None)
    if index is not None and not _is_numbering(frame.column(index)):  # answers by id, as pandas writes them
        return index
    left = [name for name in others if bare(name) not in ANSWER_NAMES]
    if len(left) == 1 and len(others) == len(("id", "cell")):
        return left[0]
    if index == "" and not left:
        return index
    raise rejected("R012", path, None, f"no column of ids, found {_listed(frame.names or ())}")


def _is_numbering(cells: Sequence[Any]) -> bool:
    """Tell whether the cells of a column number the rows, from 0 or 1."""
    return [str(cell) for cell in cells] in ([str(n + start) for n in range(len(cells))] for start in (0, 1))


def _value_name(frame: Frame, id_name: str, task: Task | None, path: str, *, of_truth: bool) -> str:
    others = [name for name in frame.names or () if name != id_name and bare(name) not in INDEX_NAMES]
    kinds: Iterable[str] = (task,) if task else VALUE_NAMES
    named = [name for name in others if any(bare(name) in VALUE_NAMES[kind] for kind in kinds)]
    neutral = [name for name in others if bare(name) in NEUTRAL_NAMES]
    told = [*named, *neutral]
    by_model = [name for name in told if bare(name).startswith(MODEL_NAMES)]
    of_others = [name for name in told if name not in by_model]
    for left in (of_others if of_truth else by_model, told, others):
        if len(left) == 1:
            return left[0]
    if task is None and named:
        message = f"the columns {_listed(told)} may contain answers: add --task concepts or --task captions"
        raise rejected("R007", path, None, message)
    wanted = task or "answers"
    raise rejected("R012", path, None, f"expected one column of {wanted}, found {_listed(frame.names or ())}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(shorten(name, 30)) for name in names[:8])
    return shown + (", …" if len(names) > len(names[:8]) else "")


# ---- cells


def _sampled(values: Sequence[Any]) -> list[str]:
    shown = values[: formats.SNIFFED_ROWS]
    return [_text(value, "concepts") or str(value or "") for value in shown]


def _texts(cells: Sequence[Any], path: str, frame: Frame, task: Task, faults: list[Finding]) -> list[str]:
    """Return cells as text; what is none is a fault of its row."""
    if all(type(cell) is str for cell in cells):
        return list(cells)
    texts = []
    limit = csv.field_size_limit()
    for cell, line in zip(cells, frame.lines.tolist(), strict=True):
        if (
            isinstance(cell, list | tuple)
            and sum(len(part) for part in cell if isinstance(part, str)) > limit
        ):
            raise rejected("R005", path, line, f"a cell with more than {limit:,} characters")
        text = _text(cell, task)
        if text is None:
            faults.append(
                finding(
                    "R011", path, line, f"expected a text or a list of texts, found {shorten(repr(cell), 40)}"
                )
            )
        texts.append(text or "")
    return texts


def _text(cell: Any, task: Task) -> str | None:  # noqa: ANN401  whatever JSON or Arrow holds
    """Return a cell as it would stand in a CSV file; None for what cannot stand in one."""
    text: str | None = None
    if isinstance(cell, str):
        text = cell
    elif cell is None or (isinstance(cell, float) and math.isnan(cell)):
        text = ""
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        text = str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)
    elif isinstance(cell, Mapping) and (name := next((key for key in cell if _is_answer(key, task)), None)):
        text = _text(cell[name], task)
    elif isinstance(cell, list | tuple) and (task == "concepts" or len(cell) <= 1):
        parts = [_text(part, task) for part in cell]
        text = None if None in parts else ";".join(filter(None, parts))
    return text


def _is_answer(key: str, task: Task) -> bool:
    return bare(key) in VALUE_NAMES[task] | NEUTRAL_NAMES


def plain(text: str, dialect: Dialect) -> str:
    """Return text on one line, without the separator where the edition has no quotes."""
    text = _BREAKS.sub(" ", text)
    if dialect.quoted:
        return text
    marks = "|\t" if dialect.delimiter == "auto" else dialect.delimiter
    return text.translate(dict.fromkeys(map(ord, marks), " "))


def _refuse_unwritable(path: str, frame: Frame, *columns: list[str]) -> None:
    """Refuse cells that no CSV file of the platform could hold: too much text, too long, no Unicode."""
    limit = csv.field_size_limit()
    for texts in columns:
        if sum(map(len, texts)) > formats.MOST_BYTES:
            raise rejected("R001", path, None, f"more than {formats.MOST_BYTES:,} characters")
        for text, line in zip(texts, frame.lines.tolist(), strict=True):
            if len(text) > limit:
                message = f"a cell with {len(text):,} characters, more than {limit:,}"
                raise rejected("R005", path, line, message)
        try:
            "\n".join(texts).encode()
        except UnicodeEncodeError:
            line = next(
                n for text, n in zip(texts, frame.lines.tolist(), strict=True) if not _is_unicode(text)
            )
            raise rejected("R011", path, line, "half a surrogate pair, which is not valid in UTF-8") from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
