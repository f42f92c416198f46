"""Names of concepts: reading them from CSV, and making them ready for MedCAT."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.concepts.concept_names import (
    ConceptName,
    Nameless,
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


def test_a_table_in_another_encoding_is_refused(table: Path) -> None:
    table.write_bytes("cui,name\nC0023884,lébère\n".encode("latin-1"))
    with pytest.raises(RejectedInput, match="not UTF-8"):
        list(read_concept_table(table))


def test_the_open_ontologies_can_be_read(shared: Path) -> None:
    rows = list(read_concept_table(shared / "data" / "concepts" / "cui_names_open_ontologies.csv"))
    assert len(rows) == 33_778
    assert len({row.cui for row in rows}) == 9_323


@pytest.mark.slow
def test_the_older_of_two_concepts_of_the_open_ontologies_keeps_the_name(shared: Path) -> None:
    rows = list(read_concept_table(shared / "data" / "concepts" / "cui_names_open_ontologies.csv"))
    readied = ready(with_everyday_names(rows))
    assert {one.name: one.cui for one in readied.names if one.name in ("retina", "lymphoma")} == {
        "retina": "C0035298",
        "lymphoma": "C0024299",
    }
    assert len({one.cui for one in readied.names}) + len(readied.nameless) == 9_334


def test_names_differing_in_case_and_punctuation_are_one() -> None:
    assert name_key("X-ray, NOS") == name_key("x\u2010Ray") == "x~ray"


def test_a_repeated_name_keeps_its_best_status() -> None:
    readied = ready([row(LIVER, "Liver"), row(LIVER, "liver", "P")])
    assert [(one.name, one.status) for one in readied.names] == [("liver", "P")]


def test_a_concept_without_preferred_name_prefers_its_first() -> None:
    readied = ready([row(LIVER, "hepar"), row(LIVER, "liver")])
    assert [(one.name, one.status) for one in readied.names] == [("hepar", "P"), ("liver", "A")]


def test_a_name_goes_to_the_concept_that_prefers_it() -> None:
    readied = ready([row("C0000001", "arm", "P"), row("C0000002", "ARM"), row("C0000002", "macula", "P")])
    assert {(one.cui, one.name) for one in readied.names} == {("C0000001", "arm"), ("C0000002", "macula")}
    assert readied.yielded == 1


def owners(rows: list[ConceptName], name: str) -> set[str]:
    return {one.cui for one in ready(rows).names if one.name == name}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_name_of_several_concepts_goes_to_the_lowest_whatever_their_order(turn: int) -> None:
    rows = [row("C0000001", "cold"), row("C0000001", "rhinitis", "P"), row("C0000002", "cold")]
    assert owners([*rows, row("C0000002", "chill", "P")][::turn], "cold") == {"C0000001"}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_several_concepts_one_that_is_curated_by_hand_goes_before_the_lowest(turn: int) -> None:
    rows = [row("C0000001", "thorax", "P"), row("C0817096", "thorax", "P")]
    assert owners(rows[::turn], "thorax") == {"C0817096"}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_concept_left_without_a_name_is_told_with_who_has_its_name(turn: int) -> None:
    rows = [
        row("C0000001", "retina", "P"),
        row("C0000002", "retina", "P"),
        row("C0000003", "β-thalassaemia", "P"),
        row("C0000004", "retina", "P"),
        row("C0000004", "net", "A"),
    ]
    readied = ready(rows[::turn])
    assert readied.nameless == (
        Nameless(cui="C0000002", name="retina", holder="C0000001"),
        Nameless(cui="C0000003", name="β-thalassaemia", holder=""),
    )


def test_a_concept_that_lost_its_preferred_name_prefers_another() -> None:
    rows = [row("C0000001", "retina", "P"), row("C0000002", "retina", "P"), row("C0000002", "net")]
    assert [(one.name, one.status) for one in ready(rows).names] == [
        ("retina", "P"),
        ("net", "P"),
    ]


def test_of_several_concepts_the_lowest_that_prefers_the_name_goes_before() -> None:
    rows = [
        row("C0000001", "cold"),
        row("C0000001", "rhinitis", "P"),
        row("C0000002", "cold", "P"),
        row("C0000003", "cold", "P"),
    ]
    assert [one.cui for one in ready(rows).names if one.name == "cold"] == ["C0000002"]


def test_every_name_has_all_types_of_its_concept() -> None:
    readied = ready([row(LIVER, "liver", "P", "T023"), row(LIVER, "hepar", "A", "T024")])
    assert [one.types for one in readied.names] == [("T023", "T024")] * 2


def test_a_name_of_which_letters_would_be_lost_is_left_out() -> None:
    readied = ready([row("C0039730", "thalassaemia", "P"), row("C0000002", "β-thalassaemia")])
    assert [one.cui for one in readied.names] == ["C0039730"]
    assert readied.unseen == 1


def test_every_curated_concept_has_its_preferred_and_everyday_names() -> None:
    names = list(everyday_names())
    curated = {**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS}
    assert {one.cui: one.name for one in names if one.status == "P"} == curated
    assert {one.cui for one in names if one.status == "A"} == set(curated)


def test_no_everyday_name_stands_twice() -> None:
    keys = [name_key(one.name) for one in everyday_names()]
    assert sorted(set(keys)) == sorted(keys)


def test_a_name_of_a_modality_is_taken_from_other_concepts() -> None:
    rows = list(with_everyday_names([row("C0006668", "CT", "P"), row("C0006668", "calcitonin")]))
    assert [one.name for one in rows if one.cui == "C0006668"] == ["calcitonin"]


def test_a_name_of_a_region_is_left_to_other_concepts() -> None:
    rows = list(with_everyday_names([row("C0446516", "arm", "P")]))
    assert rows[-1] == row("C0446516", "arm", "P")
