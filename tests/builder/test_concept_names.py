"""Names of concepts: reading them from CSV, and making them ready for MedCAT."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.concepts.concept_names import (
    ConceptName,
    everyday_names,
    name_key,
    read_concept_table,
    ready,
    with_everyday_names,
)
from rocov2_eval.editions import DIRECTION_CUIS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.errors import RejectedInput

LIVER, CT = "C0023884", "C0040405"


def row(cui: str, name: str, status: str = "A", *types: str) -> ConceptName:
    return ConceptName(cui=cui, name=name, status=status, types=types)  # type: ignore[arg-type]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "names.csv"


def test_a_table_of_cui_and_name_is_enough(table: Path) -> None:
    table.write_text("cui,name\nC0023884,liver\n", encoding="utf-8")
    assert list(read_concept_table(table)) == [row(LIVER, "liver")]


def test_further_columns_are_read(table: Path) -> None:
    table.write_text(
        "name,cui,name_status,tui,source\n liver  lobe ,c0023884,p,T023|t024,UBERON\n", encoding="utf-8"
    )
    expected = ConceptName(cui=LIVER, name="liver lobe", status="P", types=("T023", "T024"), source="UBERON")
    assert list(read_concept_table(table)) == [expected]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cui\nC0023884\n", "no column name"),
        ("cui,name\nliver,liver\n", ":2: 'LIVER' is no CUI"),
        ("cui,name\nC0023884, \n", ":2: C0023884 without a name"),
        ("cui,name,name_status\nC0023884,liver,X\n", ":2: name_status 'X', expected one of P, A, N"),
        ("cui,name,type_ids\nC0023884,liver,organ\n", ":2: 'ORGAN' is no semantic type"),
        ("cui,name\nC0023884,liver,right\n", ":2: expected 2 cells"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(table: Path, content: str, message: str) -> None:
    table.write_text(content, encoding="utf-8")
    with pytest.raises(RejectedInput, match=message):
        list(read_concept_table(table))


@pytest.mark.slow
def test_the_older_of_two_concepts_of_the_open_ontologies_keeps_the_name(shared: Path) -> None:
    rows = list(read_concept_table(shared / "data" / "concepts" / "cui_names_open_ontologies.csv"))
    names = ready(with_everyday_names(rows))
    assert {one.name: one.cui for one in names if one.name in ("retina", "lymphoma")} == {
        "retina": "C0035298",
        "lymphoma": "C0024299",
    }
    assert (len(rows), len({one.cui for one in rows}), len({one.cui for one in names})) == (
        33_778,
        9_323,
        8_586,
    )


def test_names_differing_in_case_and_punctuation_are_one() -> None:
    assert name_key("X-ray, NOS") == name_key("x\u2010Ray") == "x~ray"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # A repeated name keeps its best status, and a concept without a preferred name prefers its first.
        ([row(LIVER, "Liver"), row(LIVER, "liver", "P")], [(LIVER, "liver", "P")]),
        ([row(LIVER, "hepar"), row(LIVER, "liver")], [(LIVER, "hepar", "P"), (LIVER, "liver", "A")]),
        # A name goes to the concept that prefers it, then to one curated by hand, then to the lowest CUI.
        ([row("C0000001", "arm", "P"), row("C0000002", "ARM")], [("C0000001", "arm", "P")]),
        ([row("C0000001", "thorax", "P"), row("C0817096", "thorax", "P")], [("C0817096", "thorax", "P")]),
        ([row("C0000001", "retina", "P"), row("C0000002", "retina", "P")], [("C0000001", "retina", "P")]),
        # A concept that lost the name that it preferred prefers another.
        (
            [row("C0000001", "retina", "P"), row("C0000002", "retina", "P"), row("C0000002", "net")],
            [("C0000001", "retina", "P"), ("C0000002", "net", "P")],
        ),
        # MedCAT would drop a letter.
        ([row("C0000001", "β-thalassaemia"), row(LIVER, "liver", "P")], [(LIVER, "liver", "P")]),
    ],
)
def test_each_name_is_left_to_one_concept(
    rows: list[ConceptName], expected: list[tuple[str, str, str]]
) -> None:
    assert [(one.cui, one.name, one.status) for one in ready(rows)] == expected


@given(st.data())
def test_the_order_of_rows_does_not_decide_which_concept_has_a_name(data: st.DataObject) -> None:
    names = st.builds(row, *map(st.sampled_from, (["C0000001", "C0000002", CT], ["cold", "arm"], ["P", "A"])))
    rows = data.draw(st.lists(names, max_size=9))
    owners = {(one.cui, name_key(one.name)) for one in ready(rows)}
    assert owners == {(one.cui, name_key(one.name)) for one in ready(data.draw(st.permutations(rows)))}


def test_a_name_of_a_modality_is_taken_from_other_concepts_and_that_of_a_region_is_not() -> None:
    given_rows = [row("C0006668", "CT", "P"), row("C0006668", "calcitonin"), row("C0446516", "arm", "P")]
    others = [one for one in with_everyday_names(given_rows) if one in given_rows]
    assert others == given_rows[1:]


def test_every_name_has_all_types_of_its_concept() -> None:
    names = ready([row(LIVER, "liver", "P", "T023"), row(LIVER, "hepar", "A", "T024")])
    assert [one.types for one in names] == [("T023", "T024")] * 2


def test_every_curated_concept_has_its_preferred_and_everyday_names() -> None:
    names = list(everyday_names())
    curated = {**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS}
    assert {one.cui: one.name for one in names if one.status == "P"} == curated
    assert {one.cui for one in names if one.status == "A"} == set(curated)


def test_no_everyday_name_stands_twice() -> None:
    keys = [name_key(one.name) for one in everyday_names()]
    assert sorted(set(keys)) == sorted(keys)
