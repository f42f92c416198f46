from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.breakdown import FACETS, group_images, order_of
from rocov2_eval.errors import UsageFault
from rocov2_eval.formats import Table
from rocov2_eval.truth import Truth

Read = Callable[..., tuple[Table, Truth]]


@pytest.fixture
def groups(read: Read, dataset: Callable[..., Path]) -> Callable[[str, str], list[str]]:
    """Return a function that groups one image by a facet, from its cell of concepts."""

    def group(facet: str, cell: str) -> list[str]:
        folder = dataset(concepts=[("a", cell)], concepts_manual=[("a", cell)])
        return group_images(facet, read("a,C1\n", folder)[1])

    return group


@pytest.mark.parametrize(
    ("facet", "cell", "expected"),
    [
        ("modality", "C0040405", "CT"),
        ("modality", "C1306645;C0817096", "X-ray"),
        ("modality", "c0024485", "MRI"),
        ("modality", " C0041618 ;C1", "ultrasound"),
        ("modality", "C0002978", "angiography"),
        ("modality", "C0032743", "PET"),
        ("modality", "C0040405;C0032743", "several modalities"),
        ("modality", "C0920367", "not annotated"),
        ("modality", "", "not annotated"),
        ("region", "C0817096", "chest"),
        ("region", "C0817096;C0000726", "several regions"),
        ("region", "C0040405", "not annotated"),
        ("direction", "C1999039", "anterior-posterior"),
        ("direction", "C0205129;C0205106", "several directions"),
        ("direction", "", "not annotated"),
        ("concepts", "", "0"),
        ("concepts", "C1", "1"),
        ("concepts", "C1;c1;", "1"),
        ("concepts", "C1;C2", "2"),
        ("concepts", "C1;C2;C3", "3"),
        ("concepts", "C1;C2;C3;C4", "4-5"),
        ("concepts", "C1;C2;C3;C4;C5", "4-5"),
        ("concepts", "C1;C2;C3;C4;C5;C6", "6-10"),
        ("concepts", ";".join(f"C{i}" for i in range(11)), "11 or more"),
    ],
)
def test_an_image_falls_into_the_group_of_its_concepts(
    groups: Callable[[str, str], list[str]], facet: str, cell: str, expected: str
) -> None:
    assert [expected] == groups(facet, cell)


def test_groups_come_in_the_order_of_the_truth(read: Read, dataset: Callable[..., Path]) -> None:
    rows = [("a", "C0040405"), ("b", "C1306645"), ("c", "C0040405")]
    folder = dataset(concepts=rows, concepts_manual=rows[::-1])
    expected = ["CT", "X-ray", "CT"]

    assert expected == group_images("modality", read("c,C1\n", folder)[1])


@pytest.mark.parametrize("facet", ["modality", "region", "direction"])
def test_a_facet_of_manual_concepts_needs_their_file(
    read: Read, dataset: Callable[..., Path], facet: str
) -> None:
    truth = read("a,C1\n", dataset(concepts=[("a", "C1")]))[1]

    with pytest.raises(UsageFault, match=f"--by {facet} requires the file concepts_manual.csv"):
        group_images(facet, truth)


def test_a_breakdown_of_captions_by_concept_count_needs_the_concepts(
    read: Read, dataset: Callable[..., Path]
) -> None:
    truth = read("a,x\n", dataset(captions=[("a", "x")]), "captions")[1]

    with pytest.raises(UsageFault, match=r"--by concepts requires the file concepts\.csv"):
        group_images("concepts", truth)


def test_groups_that_occur_are_listed_in_the_order_of_the_facet() -> None:
    expected = ["CT", "MRI", "several modalities", "not annotated"]

    assert expected == order_of("modality", ["several modalities", "MRI", "not annotated", "CT", "MRI"])


@pytest.mark.parametrize("facet", FACETS)
def test_every_group_of_an_image_has_its_place_in_the_order(read: Read, sample: Path, facet: str) -> None:
    text = (sample / "train_concepts.csv").read_bytes()

    groups = group_images(facet, read(text, sample)[1])

    assert set(groups) == set(order_of(facet, groups))
