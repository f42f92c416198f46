from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.concepts.table import (
    NO_CONCEPT,
    ConceptOptions,
    read_names,
    read_table,
    select,
)
from dataset_builder.figure_tables import FigureTable
from dataset_builder.records import Figure, FigureConcepts, Graphic
from rocov2_eval.errors import RejectedInput

HEADER = "PMCID,file,concepts,concepts_manual\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def figure(name: str) -> Figure:
    return Figure(pmcid="PMC1", number=1, graphic=Graphic(name=name))


def options(without: str) -> ConceptOptions:
    return ConceptOptions(table=Path("t"), names=Path("n"), without=without)  # type: ignore[arg-type]


def test_a_row_gives_the_concepts_of_a_figure(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "PMC1,a.jpg,C0000003;C0000001;C0000004,C0000001; C0000002\n")

    wanted = FigureConcepts(
        manual=("C0000001", "C0000002"), is_annotated=True, automatic=("C0000003", "C0000004")
    )
    assert {"PMC1/a.jpg": wanted} == read_table(path).rows


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PMCID,file,concepts\n", ":1: no column concepts_manual"),
        (HEADER + "PMC1,a.jpg,C1,\n", ":2: 'C1' is no CUI"),
        (HEADER + "PMC1,a.jpg,,\nPMC1,a.jpg,,\n", ":3: PMC1/a.jpg occurs twice"),
        (HEADER + "PMC1,a.jpg\n", ":2: expected 4 cells"),
    ],
)
def test_a_broken_table_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RejectedInput, match=told):
        read_table(write(tmp_path, text))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("C0000001,a\nC0000001,b\n", ":3: C0000001 is 'b' here, 'a' above"),
        ("C0000001,\n", ":2: a row without name"),
        (",a\n", ":2: a row without CUI"),
    ],
)
def test_a_broken_table_of_names_is_told_with_its_line(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(RejectedInput, match=told):
        read_names(write(tmp_path, "CUI,Canonical name\n" + rows))


def test_manual_concepts_stand_before_automatic_ones_and_none_twice() -> None:
    table = FigureTable(rows={"PMC1/a": FigureConcepts(manual=("C2", "C1"), automatic=("C3",))})

    (kept,), _ = select([figure("a")], table, options("drop"))

    assert (kept.concepts.cuis, kept.concepts.manual) == (("C2", "C1", "C3"), ("C2", "C1"))


def test_a_figure_without_concepts_is_dropped_with_the_reason() -> None:
    table = FigureTable(rows={"PMC1/a": FigureConcepts(manual=(), automatic=())})

    kept, drops = select([figure("a"), figure("b")], table, options("drop"))

    assert not kept
    assert [(drop.reason, drop.detail) for drop in drops] == [
        (NO_CONCEPT, "in the table without one"),
        (NO_CONCEPT, "not in the table, which has rows such as PMC1/a"),
    ]


def test_a_figure_without_concepts_stays_where_that_is_wanted() -> None:
    kept, drops = select([figure("a")], FigureTable(rows={}), options("keep"))

    assert ([item.key for item in kept], drops) == (["PMC1/a"], [])
