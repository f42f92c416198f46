from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.earlier import read_earlier
from dataset_builder.records import Assignment, Figure, Graphic
from rocov2_eval.errors import RejectedInput

HEADER = "PMCID,file,split,ID,linked\n"


@pytest.fixture
def assignments(tmp_path: Path) -> Path:
    path = tmp_path / "assignments.csv"
    path.write_text(
        f"{HEADER}PMC1,a.jpg,test,X_test_000001,PMC7;PMC8\nPMC1,b.jpg,test,X_test_000002,\n"
        "PMC2,c.jpg,train,X_train_000001,PMC8\n"
    )
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.TIF"])
def test_an_image_is_found_however_its_source_spells_the_suffix(assignments: Path, name: str) -> None:
    figure = Figure(pmcid="PMC1", number=1, graphic=Graphic(name=name))

    assert Assignment(split="test", image_id="X_test_000001") == read_earlier(assignments).images.of(figure)


def test_the_splits_of_articles_count_those_with_a_near_duplicate(assignments: Path) -> None:
    expected = {"PMC1": {"test"}, "PMC7": {"test"}, "PMC8": {"test", "train"}, "PMC2": {"train"}}

    assert expected == read_earlier(assignments).splits


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PMCID,file,split\n", "no column ID"),
        (f"{HEADER}PMC1,a.jpg,,X,\n", ":2: an empty cell"),
        (f"{HEADER}PMC1,a,t,X,\nPMC1,a,t,Y,\n", ":3: PMC1/a occurs twice"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "assignments.csv"
    path.write_text(text)

    with pytest.raises(RejectedInput, match=told):
        read_earlier(path)
