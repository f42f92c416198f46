from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

USED = sorted(
    {
        name
        for path in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r'golden/(\w+\.json)"', path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("name", USED)
def test_every_recorded_output_says_what_made_it_and_when(shared: Path, name: str) -> None:
    origin = json.loads((shared / "golden" / name).read_text(encoding="utf-8"))["origin"]

    assert {"what", "date"} <= origin.keys()


def test_every_recorded_output_is_used(shared: Path) -> None:
    assert sorted(path.name for path in (shared / "golden").glob("*.json")) == USED
