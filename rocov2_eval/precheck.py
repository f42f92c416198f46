"""The format check that the 2026 platform runs before it scores (`--strict`).

It looks at the file as text, line by line, and stops at the first fault; here every fault is a finding.
Where it rejects a file that has no fault, the finding is a warning that says so (R407).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rocov2_eval.findings import findings
from rocov2_eval.formats import HEADERS, LAYOUT, Source, csv_rows, physical_lines
from rocov2_eval.records import Finding, Task
from rocov2_eval.schemas import row_schema
from rocov2_eval.shelf.csv_files import BYTE_ORDER_MARK
from rocov2_eval.shelf.words import counted, short_id, shorten

Fault = tuple[int | None, str]


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A CSV row, the physical line where it starts and its text as written."""

    line: int
    cells: list[str]
    raw: str

    @property
    def is_blank(self) -> bool:
        return not self.raw.strip()

    @property
    def is_pair(self) -> bool:
        return len(self.cells) == len(("ID", "cell"))


def precheck(source: Source, task: Task, truth_ids: Sequence[str]) -> list[Finding]:
    """Return what the 2026 check would reject; ids and their number are checked by `validation.check_run`."""
    header, *body = _records(source) or [_Record(line=1, cells=[], raw="")]
    pairs = [record for record in body if record.is_pair]
    checks: list[tuple[str, Iterable[Fault]]] = [
        ("R402", _header_faults(header, [*HEADERS[task]], marked=source.text.startswith(BYTE_ORDER_MARK))),
        ("R404", ((record.line, "blank line") for record in body if record.is_blank)),
        ("R405", _cell_faults(body)),
        ("R403", _blanks(pairs, task)),
        ("R401", _order_faults(pairs, truth_ids)),
        ("R406", _concept_faults(pairs) if task == "concepts" else ()),
        ("R407", _wrong_rejections(pairs)),
    ]
    return [item for code, faults in checks for item in findings(code, source.path, faults)]


def _records(source: Source) -> list[_Record]:
    rows, starts, _ = csv_rows(source, LAYOUT)
    lines = physical_lines(source)
    ends = [*(starts[1:] - 1).tolist(), len(lines)][: len(rows)]
    return [
        _Record(line=int(start), cells=row, raw="\n".join(lines[start - 1 : end]))
        for row, start, end in zip(rows, starts, ends, strict=True)
    ]


def _header_faults(header: _Record, expected: list[str], *, marked: bool) -> Iterator[Fault]:
    if marked or header.cells != expected:
        shown = ",".join(shorten(cell, 30) for cell in header.cells[:4]) or "nothing"
        yield 1, f"the header is {shown}, expected {','.join(expected)}"


def _cell_faults(body: list[_Record]) -> Iterator[Fault]:
    for record in body:
        if not record.is_pair and not record.is_blank:
            yield record.line, f"{counted(len(record.cells), 'cell')} in {shorten(record.raw)!r}"


def _blanks(pairs: list[_Record], task: Task) -> Iterator[Fault]:
    for record in pairs:
        image_id, cell = record.cells
        if image_id != image_id.strip():
            yield record.line, f"spaces around the id {short_id(image_id)!r}"
        if task == "concepts" and cell != cell.strip():
            yield record.line, f"spaces around {shorten(cell)!r}"


def _order_faults(pairs: list[_Record], truth_ids: Sequence[str]) -> Iterator[Fault]:
    """Rows out of the truth's order; missing, unknown and repeated ids are other rules' and shift none."""
    first: dict[str, _Record] = {}
    for record in pairs:
        first.setdefault(record.cells[0], record)
    truth_order = [image_id for image_id in truth_ids if image_id in first]
    known = set(truth_order)
    run_order = [image_id for image_id in first if image_id in known]
    for image_id, expected in zip(run_order, truth_order, strict=True):
        if image_id != expected:
            yield (
                first[image_id].line,
                f"{short_id(image_id)!r}, expected {short_id(expected)!r} as in the truth",
            )


def _concept_faults(pairs: list[_Record]) -> Iterator[Fault]:
    is_cui = re.compile(row_schema("concepts")["properties"]["cuis"]["items"]["pattern"]).search
    for record in pairs:
        cell = record.cells[1]
        concepts = [concept.strip() for concept in cell.split(";")] if cell else []
        if "" in concepts:
            yield record.line, f"an empty concept in {shorten(cell)!r}"
        strange = [concept for concept in concepts if concept and not is_cui(concept)]
        if strange:
            yield record.line, f"{shorten(strange[0])!r}, expected C and digits"
        if len(set(concepts)) < len(concepts):
            yield record.line, f"a concept appears twice in {shorten(cell)!r}"


def _wrong_rejections(pairs: list[_Record]) -> Iterator[Fault]:
    """Faultless rows that the check may reject, because it zips `str.splitlines` with CSV rows."""
    for record in pairs:
        lines = record.raw.splitlines()
        comma = "," in record.cells[1]
        if any(not line.strip() for line in lines):
            yield record.line, "a blank line inside quotes, rejected as an empty line"
        elif "\n" in record.raw:
            yield record.line, "a line break inside quotes: later captions are compared with the wrong lines"
        elif len(lines) > 1 and comma:
            yield record.line, "a line separator such as U+2028 beside a comma, rejected as unquoted"
        elif comma and record.raw != record.raw.rstrip():
            yield record.line, "a space after the closing quote, rejected as unquoted"
