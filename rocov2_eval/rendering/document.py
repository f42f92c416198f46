"""The document: what a command has to say, as plain values, before anybody decides how it looks.

Numbers are not rounded here. Each column says what kind of value it holds; the renderer decides how it is
written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rocov2_eval.records import Finding, Interval

Kind = Literal[
    "text", "code", "score", "difference", "interval", "difference_interval", "p", "count", "percent", "tiny"
]
Value = str | int | float | bool | Interval | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        title: Heading of the column.
        kind: What its cells hold: `text`; `code`, a name that nobody has checked; `score`, four
            decimals or as the column says;
            `difference`, four decimals with a sign; `interval` and `difference_interval`, an `Interval` of
            such values; `p`, a p-value; `count`, a whole number; `percent`, a share in [0, 1]; `tiny`, a
            number of any size with two digits.
        key: Name of the column in CSV, where the title will not do.
        decimals: Decimals of a `score` or an `interval`.
    """

    title: str
    kind: Kind = "text"
    key: str = ""
    decimals: int = 4


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of values under headings.

    Attributes:
        columns: The columns of the table, at least one.
        rows: Each with one value a column; None is an empty cell, or `-` where a score is missing.
        title: What the table shows; empty where the section says it.
        best: Mark the largest value of each score column in formats that can, such as LaTeX.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    title: str = ""
    best: bool = False


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One named value, such as `micro F1` and its number.

    Attributes:
        name: What the value is of.
        value: The value, not rounded.
        kind: How the value is written, as in `Column`.
    """

    name: str
    value: Value
    kind: Kind = "text"


@dataclass(frozen=True, kw_only=True)
class Note:
    """One sentence beside the numbers.

    Attributes:
        text: The sentence, without a full stop where it begins in lower case.
        label: What kind of note it is, such as `NOT OFFICIAL`; empty for a plain one.
        is_code: It is a line for machines, such as a signature.
    """

    text: str
    label: str = ""
    is_code: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """Facts, tables and notes under one heading.

    Attributes:
        title: The heading; empty for a part without one.
        facts: Named values, in the order in which they are shown.
        tables: Tables, in the order in which they are shown.
        notes: What a reader of the tables has to know.
    """

    title: str = ""
    facts: Sequence[Fact] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[Note] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """The answer of a command.

    Attributes:
        title: The first line; empty where the findings are the whole answer.
        sections: Parts of the answer, in the order in which they are shown.
        data: What JSON has, under the keys of its schema.
        findings: Faults of files, each with its place.
        path: The file that the answer is about, for GitHub; empty where there is none.
        summary: The answer in one line, for GitHub; the title where it is empty.
        misses: Where the answer does not reach the bar that the user set, a sentence each; the command
            then fails.
        rows: The one table that CSV has in place of all others, where the sections only sum it up; else None.
    """

    title: str = ""
    sections: Sequence[Section] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    path: str = ""
    summary: str = ""
    misses: Sequence[str] = ()
    rows: Table | None = None
