"""The lower bounds that users rely on are those that tox installs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REQUIREMENT = re.compile(r'"([\w-]+)(?:>=|==)([\d.]+)[^"]*"')
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")
BASELINES = SETUP[SETUP.index("BASELINES = [") : SETUP.index("VERIFY = [")]
TORCH = re.findall(r'"torch>=[^"]*"', SETUP)[0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("constraints-lowest.txt", SETUP.replace(BASELINES, "")),
        ("constraints-baselines.txt", BASELINES + TORCH),
    ],
)
def test_the_lowest_constraints_are_the_lower_bounds_of_setup_py(file: str, text: str) -> None:
    bounds: dict[str, list[str]] = {}
    for name, version in REQUIREMENT.findall(text):
        bounds.setdefault(name, []).append(version)
    lines = (ROOT / "tests" / file).read_text(encoding="utf-8").splitlines()

    expected = sorted(f"{name}=={min(versions, key=numbers)}" for name, versions in bounds.items())
    assert expected == [line for line in lines if not line.startswith("#")]


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
