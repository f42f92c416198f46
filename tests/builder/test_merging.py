from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.concepts.merging import Conflict, MergeOptions, merge
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.options import read_options

CT, XRAY, ANGIOGRAM, CHEST, PELVIS = "C0040405", "C1306645", "C0002978", "C0817096", "C0030797"
AP, PA = "C1999039", "C1996865"
CONTRAST, BIOPSY, FRACTURE = "C0449900", "C0005558", "C0016658"


def mentions(*cuis: str) -> list[Mention]:
    types = {BIOPSY: ("T060",), CT: ("T060",), FRACTURE: ("T037",)}
    return [
        Mention(start=0, end=1, text="x", cui=cui, name="x", types=types.get(cui, ()), accuracy=1.0)
        for cui in cuis
    ]


def test_manual_concepts_stand_first_in_the_order_of_the_facets() -> None:
    manual = {"direction": AP, "region": CHEST, "modality": XRAY}
    merged = merge(manual, mentions(FRACTURE, CHEST, "C0000001", FRACTURE))
    assert merged.concepts == (XRAY, CHEST, AP, FRACTURE, "C0000001")
    assert merged.manual == (XRAY, CHEST, AP)


def test_beside_a_manual_modality_no_other_modality_and_no_procedure_stands() -> None:
    merged = merge({"modality": CT}, mentions(BIOPSY, FRACTURE, CONTRAST, ANGIOGRAM, CT))
    assert merged.concepts == (CT, FRACTURE)
    assert merged.dropped == (BIOPSY, CONTRAST, ANGIOGRAM)


@pytest.mark.parametrize(
    "manual", [{"modality": "combined"}, {"modality": "none"}, {"modality": "unsure"}, {}]
)
def test_without_the_cui_of_a_modality_everything_automatic_stays(manual: dict[str, str]) -> None:
    automatic = (CT, BIOPSY, CONTRAST, "C0032743", FRACTURE)
    merged = merge(manual, mentions(*automatic))
    assert (merged.concepts, merged.manual, merged.dropped) == (automatic, (), ())


def test_contradicting_anatomy_is_reported_and_stays() -> None:
    merged = merge({"modality": XRAY, "region": CHEST, "direction": AP}, mentions(PELVIS, PA, CHEST))
    assert merged.concepts == (XRAY, CHEST, AP, PELVIS, PA)
    assert merged.conflicts == (
        Conflict(facet="region", manual=CHEST, others=(PELVIS,), resolved=False),
        Conflict(facet="direction", manual=AP, others=(PA,), resolved=False),
    )


def test_a_switch_resolves_contradicting_anatomy() -> None:
    options = MergeOptions(resolve_anatomy=True)
    merged = merge({"modality": XRAY, "region": CHEST}, mentions(PELVIS, PA, FRACTURE), options)
    assert merged.concepts == (XRAY, CHEST, PA, FRACTURE)
    assert merged.conflicts == (Conflict(facet="region", manual=CHEST, others=(PELVIS,), resolved=True),)


def test_a_manual_region_of_what_is_no_x_ray_is_left_out_and_reported() -> None:
    merged = merge({"modality": CT, "region": CHEST}, mentions(FRACTURE))
    assert merged.concepts == (CT, FRACTURE)
    assert merged.conflicts == (Conflict(facet="region", manual=CHEST, resolved=True),)


def test_what_gives_way_can_be_set() -> None:
    options = MergeOptions(procedure_types=("T037",), procedure_concepts=())
    assert merge({"modality": CT}, mentions(BIOPSY, CONTRAST, FRACTURE), options).concepts == (
        CT,
        BIOPSY,
        CONTRAST,
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"procedure_types": ["T60"]}, r"\[merge\] procedure_types: 'T60' is no semantic type"),
        ({"procedure_concepts": ["contrast"]}, "procedure_concepts: 'contrast' is no CUI"),
    ],
)
def test_options_are_checked(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        read_options(MergeOptions, table, "build.toml [merge]", Path())
