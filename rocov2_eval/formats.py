"""The one parser of runs and truth files.

Bytes become rows as Python's `csv` module makes them of a file opened in text mode, because that is what
every official evaluator reads with; what it would stop at becomes a finding.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np

from rocov2_eval.concept_cells import Cell, Ragged, ragged
from rocov2_eval.editions import Delimiter, Dialect
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import finding, findings
from rocov2_eval.records import BoolArray, Finding, IntArray, Severity, Task
from rocov2_eval.shelf.archives import UNREADABLE, foreign_kind, is_clutter, is_tar, office_kind
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK, csv_text
from rocov2_eval.shelf.words import counted, path_text, short_id, shorten

# What a hostile file may cost at most: some 3 GB and 15 seconds. A run of a million images has 70 MB.
MOST_BYTES = 1 << 28
MOST_LINES = 2_000_000
MOST_SEPARATORS = 32_000_000
MOST_MEMBERS = 1000  # of an archive, whatever a Mac adds included
SECOND_CELL: dict[str, Task] = {"cuis": "concepts", "caption": "captions"}
HEADERS: dict[Task, tuple[str, str]] = {"concepts": ("ID", "CUIs"), "captions": ("ID", "Caption")}
LAYOUT = Dialect(delimiter=",", quoted=True, header="optional")  # of the ROCOv2 release
_CONCEPT_CELL = re.compile(r"\s*[Cc][0-9]+\s*(;\s*[Cc][0-9]+\s*)*;?\s*")
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE
SNIFFED_ROWS = 200
_STARTS = 1000  # characters in which a tar archive of texts has NUL, and a table hardly ever
_CSV = (".csv", ".tsv", ".txt")  # how the one file of a submission may end
_ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # of an archive, and of one without files
_CENTRAL_HEADER = b"PK\x01\x02"  # begins the entry of each file in an archive
ANY_NUMBER = 1 << 62
_ID_AND_CELL = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """The rows of a file that is not in the format of the edition, as the edition would have them.

    Attributes:
        what: What the file is instead, such as `JSON Lines`; it ends a sentence. Empty for no file at all.
        task: What its second cells hold, None where no name of a column tells.
        rows: An id and a cell each, without a header.
        lines: Shape (rows,): physical line, from 1, where each row starts; the number of the row where a file
            has no lines.
        findings: Faults found on the way.
        first: The first cell of the header where nothing but the header's names differs, else None: some
            editions take such a row for an image.
    """

    what: str
    task: Task | None
    rows: list[list[str]]
    lines: IntArray
    findings: tuple[Finding, ...] = ()
    first: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The text of a file, or its rows where it was converted.

    Attributes:
        path: The file, as the user named it.
        sha256: SHA-256 of the CSV's bytes, of the archive's member where the file is a zip archive.
        text: The decoded text, line ends as they are; empty where the file is no text.
        records: The rows of a file that is not in the format of the edition; None for one that is.
    """

    path: str
    sha256: str
    text: str
    records: Records | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """The rows of one file, headers and rows without an id left out.

    Attributes:
        source: The text that was cut into these rows.
        header: The first row, where it is a header; else None.
        image_ids: The first cell of each row.
        cells: The second cell of each row, None where the row has an id alone.
        surplus: Indices of the rows with more than two cells.
        lines: Shape (rows,): physical line, from 1, where each row starts.
        findings: Faults found while the text was cut into rows.
    """

    source: Source
    header: tuple[str, ...] | None
    image_ids: list[str]
    cells: list[Cell]
    surplus: IntArray
    lines: IntArray
    findings: tuple[Finding, ...]

    @property
    def path(self) -> str:
        """The file, as the user named it."""
        return self.source.path

    @property
    def sha256(self) -> str:
        """The SHA-256 of the CSV's bytes."""
        return self.source.sha256

    @property
    def converted(self) -> str | None:
        """What the file is where it is not in the format of the edition; None where it is."""
        return (self.source.records.what or None) if self.source.records else None

    @cached_property
    def concepts(self) -> Ragged:
        """The cells split at `;`, once."""
        return ragged(self.cells)


def load(path: Path, *, shown: str | None = None) -> Source:
    """Read a CSV file, or the one CSV file of a zip archive.

    Args:
        path: The file.
        shown: How findings and results name it, where its place on this machine is nobody's business.

    Raises:
        RejectedInput: It cannot be read, is too large, is not UTF-8, or the archive holds something else.
    """
    name = shown or path_text(path)
    content = read_bytes(path, name)
    if is_archive(content) or path.suffix.lower() == ".zip":
        content = only_member(content, name)[1]
    return source_of(content, name)


def source_of(content: bytes, name: str) -> Source:
    """Return the text of a file's bytes.

    Raises:
        RejectedInput: It would become too many rows or cells, or is not UTF-8.
    """
    refuse_excess(content, name)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if (kind := foreign_kind(content)) is not None:
            raise rejected("R010", name, None, kind) from None
        before = content[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        line = before.count(b"\n") + 1
        message = f"byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8"
        raise rejected("R002", name, line, message) from None
    if "\0" in text[:_STARTS] and is_tar(content) and (kind := foreign_kind(content)) is not None:
        raise rejected("R010", name, None, kind)
    return Source(path=name, sha256=hashlib.sha256(content).hexdigest(), text=text)


def is_archive(content: bytes) -> bool:
    """Tell whether bytes begin as those of a zip archive."""
    return content.startswith(_ARCHIVE_STARTS)


def read_table(source: Source, dialect: Dialect, task: Task, most_cells: int = _ID_AND_CELL) -> Table:
    """Cut a text into rows by a dialect.

    Args:
        source: The text.
        dialect: How rows and cells are cut and which rows are headers.
        task: A concept row needs an id, a caption row an id and a caption.
        most_cells: Rows with more cells are an error; captions in most editions take any number.
    """
    with _collector_paused():
        return _read_table(source, dialect, task, most_cells)


def _read_table(source: Source, dialect: Dialect, task: Task, most_cells: int) -> Table:
    rows, lines, faults = csv_rows(source, dialect)
    blank = ~np.fromiter(map(bool, rows), np.bool_, len(rows))
    if blank.any():
        faults += findings("R101", source.path, ((int(line), "blank line") for line in lines[blank]))
        rows, lines = list(compress(rows, ~blank)), lines[~blank]
    if source.records is not None:  # no row of them is a header, whatever its id
        header, no_data, header_findings = _named_header(source.records, rows, lines, dialect, source.path)
    else:
        no_data, header_findings = _headers(source.path, rows, lines, dialect, task)
        header = tuple(rows[0]) if rows and _is_header(rows[0]) else None
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    fewest = _ID_AND_CELL if task == "captions" else 1
    malformed = ~no_data & ((counts < fewest) | (counts > most_cells))
    faults += findings("R102", source.path, _cell_faults(rows, lines, malformed, fewest, most_cells))
    keep = ~(no_data | malformed)
    if not keep.all():
        rows, lines, counts = list(compress(rows, keep)), lines[keep], counts[keep]
    return Table(
        source=source,
        header=header,
        image_ids=list(map(itemgetter(0), rows)),
        cells=_second_cells(rows, counts),
        surplus=np.flatnonzero(counts > _ID_AND_CELL),
        lines=lines,
        findings=(*header_findings, *faults),
    )


def without_images(table: Table, image_ids: Container[str]) -> Table:
    """Return a table without the rows of some images; the table itself where it has none of them."""
    keep = np.fromiter((key.strip() not in image_ids for key in table.image_ids), np.bool_)
    if keep.all():
        return table
    is_surplus = np.zeros(len(keep), np.bool_)
    is_surplus[table.surplus] = True
    return replace(
        table,
        image_ids=list(compress(table.image_ids, keep)),
        cells=list(compress(table.cells, keep)),
        surplus=np.flatnonzero(is_surplus[keep]),
        lines=table.lines[keep],
    )


def csv_rows(source: Source, dialect: Dialect) -> tuple[list[list[str]], IntArray, list[Finding]]:
    """Return the rows, the physical line where each starts, and a finding where the csv module gave up."""
    if source.records is not None:
        records = source.records
        return list(records.rows), records.lines, list(records.findings)
    text = _text_mode(source.text)
    delimiter = delimiter_of(text, dialect)
    quoting: Quoting = csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, quoting=quoting)
    rows: list[list[str]] = []
    found = []
    try:
        rows.extend(reader)
    except csv.Error as error:
        message = f"{error}; the rows from this line on were not read"
        found.append(finding("R005", source.path, reader.line_num, message))
    if reader.line_num == len(rows):
        return rows, np.arange(1, len(rows) + 1), found
    starts = _start_lines(text, len(rows), delimiter, quoting)
    last = physical_lines(source)[starts[-1] - 1 :] if rows and not found else []
    if len(last) > 1 and "\n".join(last).count('"') % 2:
        message = (
            f"a quote opened in this row is never closed: {counted(len(last) - 1, 'line')} after it became "
            "part of the cell"
        )
        found.append(finding("R005", source.path, int(starts[-1]), message, severity="warning"))
    return rows, starts, found


def delimiter_of(text: str, dialect: Dialect) -> Delimiter:
    """Return what a dialect separates the cells of a text by."""
    if dialect.delimiter != "auto":
        return dialect.delimiter
    return "|" if "|" in _text_mode(text[: 1 << 20]).partition("\n")[0] else "\t"


def physical_lines(source: Source) -> list[str]:
    """Return the lines of a text as a file opened in text mode has them, without their ends."""
    lines = _text_mode(source.text).split("\n")
    return lines if lines[-1] else lines[:-1]


def sniff_task(source: Source) -> Task | None:
    """Tell the task from the header or the cells, None where neither tells."""
    if source.records is not None:
        return source.records.task or task_of_cells(row[1] for row in source.records.rows[:SNIFFED_ROWS])
    for delimiter in ",\t|":
        rows = first_rows(source, delimiter)
        if not rows or max(map(len, rows)) < _ID_AND_CELL:
            continue
        named = SECOND_CELL.get(rows[0][1].strip().lower()) if len(rows[0]) > 1 else None
        if named and rows[0][0].strip().strip(BYTE_ORDER_MARK).lower() == "id":
            return named
        if (task := task_of_cells(row[1] for row in rows if len(row) > 1)) is not None:
            return task
    return None


def task_of_cells(cells: Iterable[str]) -> Task | None:
    """Tell the task from second cells: half of them look like concepts, or not; None where all are empty."""
    present = [cell for cell in cells if cell.strip()]
    if not present:
        return None
    concepts = sum(_CONCEPT_CELL.fullmatch(cell) is not None for cell in present)
    return "concepts" if 2 * concepts >= len(present) else "captions"


def run_text(rows: Sequence[tuple[str, str]], dialect: Dialect, task: Task) -> str:
    """Return ids and cells as a file of a dialect; where it has no quotes, cells hold no separator."""
    header = HEADERS[task]
    if dialect.quoted:  # such a dialect is separated by commas
        return csv_text(header, rows)
    delimiter = "|" if dialect.delimiter == "auto" else dialect.delimiter
    lines = rows if dialect.header == "none" else [header, *rows]
    return "".join(f"{delimiter.join(line)}\n" for line in lines)


def is_layout(source: Source) -> bool:
    """Tell whether a truth file is in the ROCOv2 layout: a comma-separated header that starts with ID."""
    first = source.text.lstrip(BYTE_ORDER_MARK).partition("\n")[0].strip().lower().replace('"', "")
    return first.startswith("id,")


def rejected(code: str, path: str, line: int | None, message: str) -> RejectedInput:
    """Return the rejection of a file for one finding."""
    place = path if line is None else f"{path}:{line}"
    return RejectedInput(f"{place}: {message}", [finding(code, path, line, message)])


def read_bytes(path: Path, name: str) -> bytes:
    """Return the bytes of a file, never more than `MOST_BYTES`."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise rejected("R001", name, None, error.strerror or str(error)) from None
    except ValueError as error:  # a NUL byte in the name
        raise rejected("R001", name, None, str(error)) from None
    if len(content) > MOST_BYTES:
        raise rejected("R001", name, None, f"more than {MOST_BYTES:,} bytes")
    return content


def refuse_excess(content: bytes, path: str) -> None:
    """Refuse a file that would become too many rows or cells: each costs far more memory than its bytes."""
    lines = content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n")
    if lines > MOST_LINES:
        raise rejected("R001", path, None, f"{lines:,} lines, more than {MOST_LINES:,}")
    separators = max(content.count(separator) for separator in (b",", b";", b"\t", b"|"))
    if separators > MOST_SEPARATORS:
        raise rejected("R001", path, None, f"{separators:,} separators, more than {MOST_SEPARATORS:,}")


def only_member(content: bytes, path: str, endings: tuple[str, ...] = _CSV) -> tuple[str, bytes]:
    """Return name and bytes of the one run in an archive, read in memory and never beyond `MOST_BYTES`.

    Args:
        content: The archive.
        path: How findings name it.
        endings: How the name of a run may end.

    Raises:
        RejectedInput: It holds something else, or is made to do harm.
    """
    # Counted before the archive is opened, which keeps half a kilobyte of each.
    if content.count(_CENTRAL_HEADER) > MOST_MEMBERS:
        raise rejected("R004", path, None, f"more than {MOST_MEMBERS:,} files in the archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [item for item in archive.infolist() if not item.filename.endswith("/")]
            if (kind := office_kind(item.filename for item in files)) is not None:
                raise rejected("R010", path, None, kind)
            names = [item for item in files if not is_clutter(item.filename)]
            if len(names) != 1 or not names[0].filename.lower().endswith(endings):
                listed = ", ".join(shorten(item.filename, 40) for item in names[:5]) or "nothing"
                message = f"expected one CSV file in the archive, found {len(names)}: {listed}"
                raise rejected("R004", path, None, message)
            if names[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                message = f"{shorten(names[0].filename, 40)} is neither stored nor deflated"
                raise rejected("R004", path, None, message)
            _refuse_trickery(names[0], path)
            with archive.open(names[0]) as member:
                inside = member.read(MOST_BYTES + 1)
    except UNREADABLE as error:
        raise rejected("R004", path, None, f"cannot be unpacked: {shorten(str(error), 100)}") from None
    if len(inside) > MOST_BYTES:
        raise rejected("R004", path, None, f"the unpacked file has more than {MOST_BYTES:,} bytes")
    if is_archive(inside):
        raise rejected("R004", path, None, f"{shorten(names[0].filename, 40)!r} is itself an archive")
    return names[0].filename, inside


def _refuse_trickery(member: zipfile.ZipInfo, path: str) -> None:
    """Refuse a member that would mean harm to whoever unpacks the archive to a disk, as we do not."""
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        message = f"the path {shorten(member.filename, 40)!r} is outside the archive"
        raise rejected("R004", path, None, message)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):  # 0 where the packer was no Unix, or says nothing
        what = "a symbolic link" if kind == stat.S_IFLNK else "not a plain file"
        raise rejected("R004", path, None, f"{shorten(member.filename, 40)!r} is {what}")
    if member.file_size > MOST_BYTES:
        raise rejected("R004", path, None, f"the unpacked file has more than {MOST_BYTES:,} bytes")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking through a million rows again and again; none is cyclic."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _text_mode(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _start_lines(text: str, n: int, delimiter: str, quoting: Quoting) -> IntArray:
    """Return the physical start line of the first n records: one more than the end of the one before."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, quoting=quoting)
    lines = np.ones(n, np.int64)
    for i in range(n):
        lines[i] = reader.line_num + 1
        next(reader)
    return lines


def _headers(
    path: str, rows: list[list[str]], lines: IntArray, dialect: Dialect, task: Task | None
) -> tuple[BoolArray, list[Finding]]:
    """Return a mask of the rows that are no data, and what is wrong with them; the first id loses its BOM."""
    ids = list(map(itemgetter(0), rows))
    if not ids:
        return np.zeros(0, np.bool_), []
    found = []
    if ids[0].startswith(BYTE_ORDER_MARK):
        rows[0][0] = ids[0] = ids[0].removeprefix(BYTE_ORDER_MARK)
        harmless = dialect.header == "optional" or (dialect.header == "id_anywhere" and "ID" in ids[0])
        severity: Severity = "warning" if harmless else "error"
        found.append(finding("R006", path, 1, "the file starts with U+FEFF", severity=severity))
    no_data = np.zeros(len(ids), np.bool_)
    no_data[0] = is_header = _is_header(rows[0])
    shown = repr(short_id(ids[0]))
    if is_header and dialect.header == "none":
        found.append(finding("R109", path, int(lines[0]), f"header {shown}"))
    if dialect.header == "id_first" and not is_header:
        wanted = "CUIs" if task == "concepts" else "Caption"
        message = f"the first row starts with {shown}, expected the header ID,{wanted}"
        found.append(finding("R107", path, int(lines[0]), message))
    if is_header and "ID" not in ids[0] and dialect.header in ("optional", "id_anywhere"):
        severity = "error" if dialect.header == "id_anywhere" else "warning"
        found.append(
            finding("R108", path, int(lines[0]), f"header {shown}, expected 'ID'", severity=severity)
        )
    skipped = _skipped(ids, dialect) & ~no_data
    return no_data | skipped, [*found, *_skipped_faults(path, ids, lines, skipped)]


def _named_header(
    records: Records, rows: list[list[str]], lines: IntArray, dialect: Dialect, path: str
) -> tuple[tuple[str, ...] | None, BoolArray, list[Finding]]:
    """Return the header of converted rows, and which of them the edition's evaluator would still skip."""
    ids = list(map(itemgetter(0), rows))
    skipped = _skipped(ids, dialect)
    header = HEADERS[records.task] if records.task else None
    return header, skipped, list(_skipped_faults(path, ids, lines, skipped))


def _skipped(ids: list[str], dialect: Dialect) -> BoolArray:
    """Return a mask of the rows that an evaluator takes for headers, wherever they stand."""
    if not dialect.skips_id_rows:
        return np.zeros(len(ids), np.bool_)
    return np.fromiter(("ID" in image_id for image_id in ids), np.bool_, len(ids))


def _skipped_faults(path: str, ids: list[str], lines: IntArray, skipped: BoolArray) -> Iterator[Finding]:
    faults = ((int(lines[i]), f"{short_id(ids[i])!r} is skipped") for i in np.flatnonzero(skipped))
    yield from findings("R106", path, faults)


def _is_header(row: list[str]) -> bool:
    return row[0].lower() == "id"


def _cell_faults(
    rows: list[list[str]], lines: IntArray, malformed: BoolArray, fewest: int, most: int
) -> Iterable[tuple[int, str]]:
    wanted = f"{fewest} or {most}" if fewest < most else str(fewest)
    if most > _ID_AND_CELL:
        wanted = f"{fewest} or more"
    for i in np.flatnonzero(malformed):
        shown = ", ".join(repr(shorten(cell, 25)) for cell in rows[i][:4])
        yield int(lines[i]), f"{counted(len(rows[i]), 'cell')}, expected {wanted}: {shown}"


def _second_cells(rows: list[list[str]], counts: IntArray) -> list[Cell]:
    if (counts > 1).all():
        return list(map(itemgetter(1), rows))
    return [row[1] if len(row) > 1 else None for row in rows]


def first_rows(source: Source, delimiter: str) -> list[list[str]]:
    """Return the first rows of a text that are not blank, as far as the csv module cuts them."""
    text = "\n".join(source.text[: 1 << 20].replace("\r", "\n").split("\n")[: 2 * SNIFFED_ROWS])
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows += [row] if row else []
            if len(rows) == SNIFFED_ROWS:
                break
    except csv.Error:
        return rows  # read_table reports it with its line
    return rows
