"""A document as text for a terminal, Markdown, JSON, CSV, LaTeX, or annotations of a GitHub pull request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rocov2_eval.findings import RULES
from rocov2_eval.records import Finding
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table
from rocov2_eval.rendering.values import is_number, value_text
from rocov2_eval.shelf.csv_files import csv_text, formula_safe
from rocov2_eval.shelf.files import short_path
from rocov2_eval.shelf.parsing import json_dumped
from rocov2_eval.shelf.words import counted, shorten

_ANNOTATIONS = {"note": "notice"}  # what GitHub calls it
_LONGEST = 4096  # of a cell or line: a file name may be anything
_LAST_OF_PDFLATEX = "\u017f"  # of the Latin letters that it sets by itself
_FOR_XELATEX = (
    "% Compile with XeLaTeX or LuaLaTeX, and name a font that has all letters of the names below; for\n"
    "% Chinese and Japanese: \\usepackage{xeCJK} and \\setCJKmainfont{...}."
)
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def render(document: Document, style: str) -> str:
    """Return a document in one of FORMATS.

    Raises:
        KeyError: There is no such format.
    """
    return FORMATS[style](document)


def to_text(document: Document) -> str:
    """Return a document for a terminal: columns padded, numbers to the right."""
    blocks = [[_line(document.title)]] if document.title else []
    blocks += [_finding_lines(document.findings)] if document.findings else []
    for section in document.sections:
        blocks += _text_blocks(section)
    return "".join(f"{line}\n" for block in _spaced(blocks) for line in block)


def to_markdown(document: Document) -> str:
    """Return a document as Markdown in which no value can break out of its place."""
    parts = [f"**{markdown_cell(document.title)}**"] if document.title else []
    parts += [markdown_table(_finding_table(document.findings))] if document.findings else []
    for section in document.sections:
        parts += _markdown_parts(section)
    return "\n\n".join(parts) + "\n" if parts else ""


def to_json(document: Document) -> str:
    """Return the data of a document as JSON; nothing is rounded."""
    return json_text(document.data)


def to_csv(document: Document) -> str:
    """Return a document as CSV, numbers not rounded: its rows, else its tables and facts, without notes.

    A blank line stands between tables. The facts of a section follow its tables, as names and values.
    """
    if document.rows is not None:
        return _csv(document.rows)
    tables = [table for section in document.sections for table in _with_facts(section)]
    return "\n".join(map(_csv, [*_finding_tables(document), *tables]))


def to_latex(document: Document) -> str:
    """Return tables and facts of a document for LaTeX with the package booktabs, notes as comments.

    A first comment names the programs that can set the text, where pdfLaTeX cannot.
    """
    parts = [_latex(table) for table in _finding_tables(document)]
    for section in document.sections:
        tables = [_latex(table) for table in _with_facts(section, rounded=True)]
        if tables and section.title:
            tables[0] = f"% {_line(section.title)}\n{tables[0]}"
        parts += tables
        parts += ["".join(f"% {_line(note_text(note))}\n" for note in section.notes)] if section.notes else []
    text = "\n".join(parts)
    needs_unicode = any(letter > _LAST_OF_PDFLATEX and letter.isalpha() for letter in text)
    return f"{_FOR_XELATEX}\n{text}" if needs_unicode else text


def to_github(document: Document) -> str:
    """Return workflow commands that annotate the files of a pull request, and a notice with the answer.

    A finding, and a bar that is not met, is an error or a warning of its own.
    """
    lines = "".join(
        f"::{_ANNOTATIONS.get(item.severity, item.severity)} file={_property(item.path)}"
        + (f",line={item.line}" if item.line else "")
        + f",title={item.code} {_property(RULES[item.code].title)}::{_data(item.message)}\n"
        for item in document.findings
    )
    place = f"file={_property(document.path)}," if document.path else ""
    lines += "".join(f"::error {place}title=The bar is not met::{_data(miss)}\n" for miss in document.misses)
    answer = document.summary or document.title
    if not answer:
        return lines
    title = (document.title or answer).removeprefix(f"{short_path(document.path)}: ")
    return f"{lines}::notice {place}title={_property(title)}::{_data(answer)}\n"


FORMATS: Mapping[str, Callable[[Document], str]] = {
    "text": to_text,
    "json": to_json,
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "github": to_github,
}


def json_text(data: object) -> str:
    """Return JSON with two blanks of indent; NaN and infinities are refused."""
    return json_dumped(data, indent=2) + "\n"


def text_table(table: Table) -> list[str]:
    """Return the lines of a table for a terminal."""
    rows = _cells(table)
    has_head = any(rows[0])
    rows = rows if has_head else rows[1:]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [is_number(column.kind) for column in table.columns]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def markdown_table(table: Table) -> str:
    """Return a table as Markdown, numbers to the right."""
    head, *rows = _cells(table)
    rule = ["---:" if is_number(column.kind) else "---" for column in table.columns]
    writers = [markdown_code if column.kind == "code" else markdown_cell for column in table.columns]
    body = ([write(cell) for write, cell in zip(writers, row, strict=True)] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in [map(markdown_cell, head), rule, *body])


def markdown_cell(text: str) -> str:
    """Return text that Markdown shows as it is and that cannot leave its cell or paragraph."""
    safe = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return safe.replace("\r", " ").replace("\n", " ")


def markdown_code(text: str) -> str:
    """Return text as code, in which no link, picture or mention of a person comes alive."""
    safe = re.sub(r"[`|<>\r\n]", "?", text)
    return f"`{safe}`" if safe else ""


def note_text(note: Note) -> str:
    """Return a note in one line."""
    return f"{note.label}: {note.text}" if note.label else note.text


def _text_blocks(section: Section) -> Iterator[list[str]]:
    """Yield what is set apart by a blank line."""
    lines = [_line(section.title)] if section.title else []
    lines += [f"  {_fact(fact)}" for fact in section.facts]
    for table in section.tables:
        if table.title:
            if lines:
                yield lines
            lines = [_line(table.title)]
        elif lines and section.facts:
            yield lines
            lines = []
        lines += [f"  {line}" for line in text_table(table)]
        if not table.title:
            yield lines
            lines = []
    if lines:
        yield lines
    if section.notes:
        yield [_line(note_text(note)) for note in section.notes]


def _markdown_parts(section: Section) -> Iterator[str]:
    if section.title:
        yield f"**{markdown_cell(section.title)}**"
    if section.facts:
        yield "\n".join(f"- {markdown_cell(_fact(fact))}" for fact in section.facts)
    for table in section.tables:
        if table.title:
            yield f"**{markdown_cell(table.title)}**"
        if table.rows:
            yield markdown_table(table)
    code = [note for note in section.notes if note.is_code]
    for note in section.notes:
        if note.is_code:
            continue
        label = f"**{markdown_cell(note.label.capitalize())}**: " if note.label else ""
        yield label + markdown_cell(note.text)
    if code:
        yield "\n".join(f"- `{note.text}`" for note in code)


def _cells(table: Table) -> list[list[str]]:
    head = [column.title for column in table.columns]
    body = [
        [
            _line(value_text(value, column.kind, column.decimals))
            for value, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    return [head, *body]


def _fact(fact: Fact) -> str:
    return _line(f"{fact.name}: {value_text(fact.value, fact.kind)}")


def _line(text: str) -> str:
    return shorten(text, _LONGEST)


def _finding_tables(document: Document) -> list[Table]:
    """Return the table of findings where these are the whole answer."""
    return [_finding_table(document.findings)] if document.findings and not document.title else []


def _with_facts(section: Section, *, rounded: bool = False) -> list[Table]:
    """Return the tables of a section, its facts as one more: each fact has a kind of its own."""
    if not section.facts:
        return list(section.tables)
    rows = [
        [fact.name, value_text(fact.value, fact.kind) if rounded else fact.value] for fact in section.facts
    ]
    columns = [Column(title="name"), Column(title="value")]
    return [*section.tables, Table(columns=columns, rows=rows, title=section.title)]


def _finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Return one line a finding, `path:line: CODE message`, each rule's fix after its first finding."""
    lines = []
    codes = set()
    for item in findings:
        place = _line(item.path) if item.line is None else f"{_line(item.path)}:{item.line}"
        word = "" if item.severity == "error" else f"{item.severity}: "
        lines.append(f"{place}: {item.code} {word}{item.message}")
        if item.code not in codes:
            lines.append(f"    fix: {RULES[item.code].fix}")
            codes.add(item.code)
    return lines


def _finding_table(findings: Sequence[Finding]) -> Table:
    return Table(
        columns=[
            Column(title="file"),
            Column(title="line", kind="count"),
            *(Column(title=title) for title in ("code", "severity", "finding", "fix")),
        ],
        rows=[
            [item.path, item.line, item.code, item.severity, item.message, RULES[item.code].fix]
            for item in findings
        ],
    )


def _spaced(blocks: Sequence[list[str]]) -> Iterator[list[str]]:
    """Yield blocks with a blank line between them."""
    for i, block in enumerate(blocks):
        yield ["", *block] if i else block


def _csv(table: Table) -> str:
    """Return a table with its values as they are; an interval becomes two columns."""
    spans = [column.kind in ("interval", "difference_interval") for column in table.columns]
    head: list[str] = []
    for column, is_span in zip(table.columns, spans, strict=True):
        name = column.key or column.title
        head += [f"{name}_low", f"{name}_high"] if is_span else [name]
    rows = []
    for row in table.rows:
        cells: list[object] = []
        for value, is_span in zip(row, spans, strict=True):
            if is_span:
                cells += [getattr(value, "low", None), getattr(value, "high", None)]
            else:
                cells.append(formula_safe(value) if isinstance(value, str) else value)
        rows.append(cells)
    return csv_text(head, rows)


def _latex(table: Table) -> str:
    rows = [[_latex_text(cell) for cell in row] for row in _cells(table)]
    if table.best:
        _mark_best(table, rows[1:])
    layout = "".join("r" if is_number(column.kind) else "l" for column in table.columns)
    # A bracket or star at the start of a row would be taken for an option of the end of the row before it.
    starts = ["{}" if row[0].startswith(("[", "*")) else "" for row in rows]
    head, *body = (f"{start}{' & '.join(row)} \\\\" for start, row in zip(starts, rows, strict=True))
    title = [f"% {shorten(table.title, 200)}"] if table.title else []
    lines = [f"\\begin{{tabular}}{{{layout}}}", "\\toprule", head, "\\midrule", *body, "\\bottomrule"]
    return "\n".join([*title, *lines, "\\end{tabular}", ""])


def _mark_best(table: Table, rows: Sequence[list[str]]) -> None:
    for i, column in enumerate(table.columns):
        values = [value for value in (row[i] for row in table.rows) if isinstance(value, float)]
        if column.kind != "score" or not values:
            continue
        best = value_text(max(values), "score", column.decimals)  # ties as they are shown
        for row in rows:
            row[i] = f"\\textbf{{{row[i]}}}" if row[i] == best else row[i]


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def findings_text(findings: Iterable[Finding]) -> str:
    """Return findings for a terminal, one line each."""
    return to_text(Document(findings=tuple(findings)))


def summary(path: str, findings: Sequence[Finding], paint: Callable[[str], str] = str) -> str:
    """Return the one line that closes a validation; `paint` may colour its verdict."""
    number = Counter(item.severity for item in findings)
    verdict = "REJECTED" if number["error"] else "PASSED"
    counts = f"{counted(number['error'], 'error')}, {counted(number['warning'], 'warning')}"
    if number["note"]:
        counts += f", {counted(number['note'], 'note')}"
    return f"SUMMARY {_line(path)}: {paint(verdict)}, {counts}"
