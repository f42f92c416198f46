"""The notebook of the documentation runs from top to bottom, and holds no output that could go stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rocov2_eval

TOUR = Path(__file__).resolve().parents[2] / "docs/tour.ipynb"
CELLS = [
    cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
]


def test_the_notebook_holds_no_output() -> None:
    assert [cell for cell in CELLS if cell["outputs"] or cell["execution_count"]] == []


def test_every_cell_of_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, cell in enumerate(CELLS):
        exec(compile("".join(cell["source"]), f"tour.ipynb, cell {number}", "exec"), names)  # noqa: S102

    assert names["report"].metrics["concept_precision"].mean == 1.0
    assert {finding.code for finding in names["findings"]} == {"R103", "R105"}
    assert len(names["compared"].pairs) == 3
    assert list(tmp_path.iterdir()) == []


def test_the_notebook_shows_every_way_in() -> None:
    text = "".join("".join(cell["source"]) for cell in CELLS)
    assert [name for name in ("score", "validate", "compare") if f"rocov2_eval.{name}(" not in text] == []
    methods = [name for name in vars(rocov2_eval.Report) if name in ("to_frame", "per_image", "breakdown")]
    assert [name for name in methods if f".{name}(" not in text] == []
