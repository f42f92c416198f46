"""Tests of the renderer: one document, every format."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from rocov2_eval.records import Finding, Interval
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table
from rocov2_eval.rendering.render import FORMATS, render

TABLE = Table(
    columns=[
        Column(title="run"),
        Column(title="mean", kind="score"),
        Column(title="95 % interval", kind="interval", key="mean"),
        Column(title="images", kind="count"),
    ],
    rows=[
        ["a|b", 0.123456, Interval(low=0.1, high=0.2), 12_000],
        ["c_d", 0.9, None, 3],
        ["e", None, None, 0],
    ],
    best=True,
)
DOCUMENT = Document(
    title="two runs",
    sections=[
        Section(
            title="Scores",
            facts=[Fact(name="micro F1", value=0.5, kind="score")],
            tables=[TABLE],
            notes=[
                Note(text="not comparable", label="NOT OFFICIAL"),
                Note(text="rouge|rev:1", is_code=True),
            ],
        )
    ],
    data={"mean": 0.123456},
    findings=[Finding(code="R101", severity="warning", path="a.csv", line=3, message="blank, 50 %")],
    path="a.csv",
)


def test_text_pads_columns_and_rounds_there_alone() -> None:
    assert render(DOCUMENT, "text") == (
        "two runs\n"
        "\n"
        "a.csv:3: R101 warning: blank, 50 %\n"
        "    fix: Delete the line. The file must end with the newline of its last row.\n"
        "\n"
        "Scores\n"
        "  micro F1: 0.5000\n"
        "\n"
        "  run    mean     95 % interval  images\n"
        "  a|b  0.1235  [0.1000, 0.2000]  12,000\n"
        "  c_d  0.9000                         3\n"
        "  e         -                         0\n"
        "\n"
        "NOT OFFICIAL: not comparable\n"
        "rouge|rev:1\n"
    )


def test_markdown_keeps_cells_in_their_place() -> None:
    text = render(DOCUMENT, "markdown")

    assert "| a\\|b | 0.1235 | [0.1000, 0.2000] | 12,000 |" in text
    assert "**Not official**: not comparable" in text
    assert "- `rouge|rev:1`" in text


def test_csv_rounds_nothing_and_gives_intervals_two_columns() -> None:
    rows = list(csv.reader(io.StringIO(render(DOCUMENT, "csv"))))

    assert rows[0] == ["run", "mean", "mean_low", "mean_high", "images"]
    assert rows[1] == ["a|b", "0.123456", "0.1", "0.2", "12000"]
    assert rows[2] == ["c_d", "0.9", "", "", "3"]


def test_csv_has_facts_as_a_table_after_those_of_their_section() -> None:
    assert render(DOCUMENT, "csv").endswith("\n\nname,value\nmicro F1,0.5\n")


def test_csv_is_the_rows_of_a_document_that_has_them() -> None:
    rows = Table(columns=[Column(title="key")], rows=[["a"]])

    assert render(replace(DOCUMENT, rows=rows), "csv") == "key\na\n"


def test_latex_escapes_text_and_marks_the_best() -> None:
    text = render(DOCUMENT, "latex")

    assert "\\begin{tabular}{lrrr}" in text
    assert "c\\_d & \\textbf{0.9000} &  & 3 \\\\" in text
    assert text.count("\\textbf") == 1
    assert "micro F1 & 0.5000 \\\\" in text
    assert text.endswith("\n% NOT OFFICIAL: not comparable\n% rouge|rev:1\n")


def test_json_is_the_data() -> None:
    assert json.loads(render(DOCUMENT, "json")) == {"mean": 0.123456}


def test_github_annotates_the_file() -> None:
    assert render(DOCUMENT, "github") == (
        "::warning file=a.csv,line=3,title=R101 a blank line::blank, 50 %25\n"
        "::notice file=a.csv,title=two runs::two runs\n"
    )


@pytest.mark.parametrize("style", FORMATS)
def test_a_name_with_control_characters_stays_on_its_line(style: str) -> None:
    table = Table(columns=[Column(title="run")], rows=[["a\nb\x1b[2J"]])

    text = render(Document(title="t", sections=[Section(tables=[table])], data={"run": "a\nb"}), style)

    assert "a\nb" not in text if style != "csv" else "a\nb" in text


def test_a_name_that_nobody_checked_comes_alive_in_no_format() -> None:
    names = ["=HYPERLINK(1)", "@everyone", "[x](http://e)", "`t`|"]
    table = Table(columns=[Column(title="team", kind="code")], rows=[[name] for name in names])
    document = Document(title="t", sections=[Section(tables=[table])])

    assert render(document, "csv").splitlines()[1:3] == ["'=HYPERLINK(1)", "'@everyone"]
    lines = render(document, "markdown").splitlines()[-4:]
    assert lines == ["| `=HYPERLINK(1)` |", "| `@everyone` |", "| `[x](http://e)` |", "| `?t??` |"]
    assert "\n{}[x](http://e) \\\\" in render(document, "latex")
