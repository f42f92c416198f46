"""Every recorded output in this folder names what made it, and is read by a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
OWN = "stage_outputs.json"  # what the stages make, recorded by this package; it holds no score
GOLDENS = sorted(path for path in FOLDER.glob("*.json") if path.name != OWN)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_a_recorded_output_names_the_tool_that_made_it(path: Path) -> None:
    origin = json.loads(path.read_text(encoding="utf-8"))["origin"]

    assert origin.keys() & {"what", "package"}


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_a_recorded_output_is_read_by_a_test(path: Path) -> None:
    tests = [test.read_text(encoding="utf-8") for test in FOLDER.parent.rglob("test_*.py")]

    assert any(f'"{path.name}"' in test for test in tests)
