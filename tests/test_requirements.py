"""The lower bounds that users rely on are those that tox installs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENT = re.compile(r'"([\w-]+)(?:>=|==)([\d.]+)[^"]*"')


def test_the_lowest_constraints_are_the_lower_bounds_of_setup_py() -> None:
    bounds: dict[str, list[str]] = {}
    for name, version in REQUIREMENT.findall((ROOT / "setup.py").read_text(encoding="utf-8")):
        bounds.setdefault(name, []).append(version)
    lines = (ROOT / "tests/constraints-lowest.txt").read_text(encoding="utf-8").splitlines()

    expected = sorted(f"{name}=={min(versions, key=numbers)}" for name, versions in bounds.items())
    assert expected == [line for line in lines if not line.startswith("#")]


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
