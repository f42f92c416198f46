from __future__ import annotations

from typing import Any

from dataset_builder.records import Figure, Graphic
from dataset_builder.report.statistics import ConceptCounts, concept_counts, images_per_concept

CT, XRAY = "C0040405", "C1306645"


def figure(**values: Any) -> Figure:
    return Figure(pmcid="PMC1", number=1, graphic=Graphic(name="a.jpg"), **values)


def test_concepts_are_counted_by_modality_with_all_images_first() -> None:
    of = [
        figure(manual_concepts=(XRAY,), concepts=(XRAY,)),
        figure(manual_concepts=(CT,), concepts=(CT, "C0000001", "C0000001")),
        figure(manual_concepts=(CT,), concepts=(CT, "C0000001", "C0000002")),
        figure(concepts=("C0000001",)),
        figure(),
    ]
    rows = concept_counts(of)
    assert [row.name for row in rows] == ["all", "CT", "X-ray", "combined or none"]
    assert rows[0] == ConceptCounts(
        name="all", images=5, assignments=7, distinct=4, manual_alone=1, without=1
    )
    assert rows[1] == ConceptCounts(name="CT", images=2, assignments=5, distinct=3, manual_alone=0, without=0)
    assert [row.mean for row in rows] == [1.4, 2.5, 1.0, 0.5]


def test_no_images_have_no_mean_number_of_concepts() -> None:
    (row,) = concept_counts([])
    assert (row.images, row.mean) == (0, None)


def test_images_per_concept_count_concepts() -> None:
    of = [figure(concepts=("C0000001", "C0000002")), *3 * [figure(concepts=("C0000001",))]]
    seen = images_per_concept(of)
    assert {item.words: item.number for item in seen.bins if item.number} == {"1": 1, "2 to 4": 1}
    assert (seen.known, seen.low, seen.high, seen.median) == (2, 1, 4, 2.5)


def test_no_concept_has_no_distribution() -> None:
    assert images_per_concept([figure()]).bins == ()
