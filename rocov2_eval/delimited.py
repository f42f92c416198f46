"""Text that separates cells in another way than the edition, or has other columns, as a frame."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter

import numpy as np

from rocov2_eval import formats
from rocov2_eval.column_names import ANSWER_NAMES, ID_NAMES, INDEX_NAMES, VALUE_NAMES, bare
from rocov2_eval.containers import Frame
from rocov2_eval.editions import Delimiter, Dialect, Edition
from rocov2_eval.findings import finding, findings
from rocov2_eval.formats import Source, csv_rows, delimiter_of, first_rows, sniff_task
from rocov2_eval.records import Task
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.words import counted, shorten

_NAMES: dict[Delimiter, str] = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    " ": "blanks",
}
_PRESET = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)')  # a first line of Excel
_CUI = re.compile(r"\s*[Cc]\d+\s*")
_FEW, _MOST = 0.05, 0.9  # shares of the first lines
_PAIR = 2  # an id and an answer
_SERIES = ["", "0"]  # the header that pandas writes of a Series without names


def text_frame(source: Source, edition: Edition, task: Task | None, *, is_named: bool) -> Frame | None:
    """Return the rows of a text that is not in the format of the edition; None for one that is.

    Args:
        source: The text.
        edition: The edition whose format needs no conversion.
        task: Concepts or captions; None for what header or cells tell.
        is_named: The user names columns, so that the first row has their names.
    """
    task = task or sniff_task(source)
    dialect = edition.rules(task or "concepts").dialect
    text = source.text.removeprefix(BYTE_ORDER_MARK)
    preset = _PRESET.match(text)
    if preset:
        text = text[preset.end() :]
    body = replace(source, text=text)
    official = delimiter_of(text, dialect)
    delimiter = preset[1] if preset else _delimiter(body, official)
    if delimiter not in _NAMES:
        return None
    sample = first_rows(body, delimiter)
    if not sample or max(map(len, sample)) < _PAIR:
        return None
    has_names = _is_header(sample[0])
    has_index = _has_index(sample, has_names=has_names)
    faults = [f"{_NAMES[delimiter]} between cells"] if preset or delimiter != official else []
    faults += ["a line 'sep=' before the header"] if preset else []
    faults += ["a byte order mark"] if _is_harmful_mark(source, sample, dialect) else []
    faults += ["a column of row numbers"] if has_index else []
    if has_names:
        faults += _header_faults(sample[0], dialect, edition, task)
    elif dialect.header == "id_first" and sample[0][0].lower() != "id" and not faults:
        faults.append("no header")
    if not faults and not is_named:
        return None
    cut = _guessed_dialect(body, delimiter)
    frame = _frame(
        body,
        cut,
        sample,
        has_names=has_names or is_named,
        has_index=has_index,
        takes_lone_ids=task == "concepts",
    )
    is_named_otherwise = len(faults) == 1 and has_names and not has_index and len(sample[0]) == _PAIR
    first = sample[0][0] if is_named_otherwise and delimiter == official and not preset else None
    what = ", ".join(faults) or "other columns"
    return replace(frame, what=what, lines=frame.lines + bool(preset), first=first)


def repacked_frame(source: Source, edition: Edition) -> Frame:
    """Return the rows of a text in the format of the edition that was packed or encoded in another way."""
    body = replace(source, text=source.text.removeprefix(BYTE_ORDER_MARK))
    dialect = edition.concepts.dialect
    sample = first_rows(body, delimiter_of(body.text, dialect)) or [[""]]
    has_names = sample[0][0].lower() == "id"
    takes_lone_ids = sniff_task(source) == "concepts"
    return _frame(body, dialect, sample, has_names=has_names, has_index=False, takes_lone_ids=takes_lone_ids)


def _delimiter(source: Source, official: Delimiter) -> Delimiter:
    """Return what separates cells: what cuts a header of known names, else what comes first in most lines."""
    for delimiter in (official, *(other for other in _NAMES if other != official)):
        rows = first_rows(source, delimiter)
        if rows and len(rows[0]) > 1 and _is_header(rows[0]):
            return delimiter
    lines = [line for line in source.text[: 1 << 20].splitlines()[: formats.SNIFFED_ROWS] if line.strip()]
    firsts = map(_first_separator, lines)
    votes = Counter(first for first in firsts if first is not None)
    if not votes:
        return official
    best, count = max(votes.items(), key=itemgetter(1))
    if best == official or count < _MOST * len(lines) or votes[official] > _FEW * len(lines):
        return official
    return best


def _first_separator(line: str) -> Delimiter | None:
    """Return the first separator of a line that stands outside the quotes of its id."""
    start = 0
    if line.startswith('"'):
        start = max(line.find('"', 1), 0)
    places = {line.find(mark, start): mark for mark in _NAMES if mark != " "}
    found = min((place for place in places if place >= 0), default=-1)
    if found < 0 or (places[found] == ";" and " " in line[:found].strip()):
        return None
    return places[found]


def _is_header(row: Sequence[str]) -> bool:
    """Tell whether cells are names of columns: one of ids and, unless that says enough, one of answers."""
    names = [bare(name) for name in row]
    others = [name for name in names if name not in ID_NAMES]
    if len(names) >= _PAIR and names[0] in INDEX_NAMES and (names[1] in ANSWER_NAMES or list(row) == _SERIES):
        return True
    if len(others) == len(names) or len(names) < _PAIR:
        return False
    if any(name in ANSWER_NAMES for name in names):
        return True
    return names[0] in {"id", "imageid"} or (names[0] in INDEX_NAMES and names[1] in {"id", "imageid"})


def _has_index(sample: Sequence[Sequence[str]], *, has_names: bool) -> bool:
    """Tell whether a column of row numbers stands before the others, without a name of its own."""
    rows = sample[1:] if has_names else sample
    width = len(sample[0]) + 1 if has_names else len(sample[0])
    if not rows or width <= _PAIR or any(len(row) != width for row in rows):
        return False
    return any([row[0] for row in rows] == [str(n + start) for n in range(len(rows))] for start in (0, 1))


def _is_harmful_mark(source: Source, sample: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Tell whether a byte order mark keeps the evaluator from reading the file."""
    if not source.text.startswith(BYTE_ORDER_MARK) or dialect.header == "optional":
        return False
    return not (dialect.header == "id_anywhere" and "ID" in sample[0][0])


def _header_faults(
    header: Sequence[str], dialect: Dialect, edition: Edition, task: Task | None
) -> Iterator[str]:
    """Yield what is wrong with a header, where the evaluator reads it as another one."""
    if dialect.header == "none":
        yield "a header"
        return
    is_read = "ID" in header[0] if dialect.header == "id_anywhere" else header[0].lower() == "id"
    other = VALUE_NAMES["captions" if task == "concepts" else "concepts"]
    takes_more = task == "captions" and edition.captions.extra_cells == "ignored"
    has_more = len(header) > _PAIR and (bare(header[1]) in other or not takes_more)
    if not is_read or has_more:
        yield f"the header {','.join(shorten(name, 30) for name in header[:6])}"


def _guessed_dialect(source: Source, delimiter: Delimiter) -> Dialect:
    """Return the dialect of a text; without quotes where they do not enclose whole cells."""
    dialect = Dialect(delimiter=delimiter, quoted=True, header="optional")
    if delimiter not in "\t|" or '"' not in source.text:
        return dialect
    try:
        for _ in csv.reader(io.StringIO(source.text), delimiter=delimiter, strict=True):
            pass
    except csv.Error:
        return replace(dialect, quoted=False)
    return dialect


def _frame(
    source: Source,
    dialect: Dialect,
    sample: Sequence[Sequence[str]],
    *,
    has_names: bool,
    has_index: bool,
    takes_lone_ids: bool,
) -> Frame:
    """Return rows below names, blank ones left out, each as wide as the first.

    `takes_lone_ids`: a row of an id alone has an empty answer.
    """
    rows, lines, found = csv_rows(source, dialect)
    numbered = list(zip(rows, lines.tolist(), strict=True))
    kept = [(row, line) for row, line in numbered if any(map(str.strip, row)) or row == [""]]
    blank = ((line, "blank line, ignored") for row, line in numbered if not row)
    found += findings("R101", source.path, blank, severity="warning")
    names: tuple[str, ...] | None = None
    if has_names and kept:
        names = (*([""] if has_index else []), *(name.strip() for name in kept.pop(0)[0]))
    width = len(names) if names else len(sample[0])
    if names is None and dialect.delimiter == ";" and all(map(_CUI.fullmatch, sample[0][1:])):
        width = _PAIR  # the semicolons between concepts are those between cells
    whole: list[tuple[list[str], int]] = []
    for row, line in kept:
        if len(row) > width and all(map(_CUI.fullmatch, filter(None, row[width - 1 :]))):
            whole.append(([*row[: width - 1], ";".join(row[width - 1 :])], line))
        elif len(row) == 1 and width == _PAIR and takes_lone_ids and row[0]:
            whole.append(([row[0], ""], line))
        elif len(row) == width:
            whole.append((row, line))
        else:
            shown = ", ".join(repr(shorten(cell, 25)) for cell in row[:4])
            found.append(
                finding("R102", source.path, line, f"{counted(len(row), 'cell')}, expected {width}: {shown}")
            )
    cells = [row[1:] if has_index and names is None else row for row, _ in whole]
    starts = np.array([line for _, line in whole], np.int64)
    return Frame(what="", names=names, rows=cells, lines=starts, findings=tuple(found))
