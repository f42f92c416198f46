from __future__ import annotations

from pathlib import Path

import pytest

from dataset_builder.earlier import Earlier, read_earlier
from rocov2_eval.errors import RejectedInput


def test_assignments_are_read_by_figure(tmp_path: Path) -> None:
    path = tmp_path / "assignments.csv"
    path.write_text("PMCID,file,split,ID\nPMC1,a.jpg,test,X_test_000001\n")

    assert {"PMC1/a.jpg": Earlier(split="test", image_id="X_test_000001")} == read_earlier(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PMCID,file,split\n", "no column ID"),
        ("PMCID,file,split,ID\nPMC1,a.jpg,,X\n", ":2: an empty cell"),
        ("PMCID,file,split,ID\nPMC1,a,t,X\nPMC1,a,t,Y\n", ":3: PMC1/a stands twice"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "assignments.csv"
    path.write_text(text)

    with pytest.raises(RejectedInput, match=told):
        read_earlier(path)
