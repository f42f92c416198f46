"""The checks for a GPU work: with the smallest sizes, on the CPU."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.sh"


def test_every_check_for_a_gpu_works_on_the_cpu_in_small() -> None:
    done = subprocess.run([SCRIPT, "--small"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:4] for line in done.stdout.splitlines() if line.startswith("|")]
    results = {name.strip(): result.strip() for name, _, result in rows[2:]}
    assert len(results) == 9
    assert results["resume"] == "the same weights, bit for bit"


@pytest.mark.parametrize(
    ("name", "limit", "told"),
    [("resume", 0, "not done in 0 s"), ("nonsense", 60, "nonsense is no check; there are resume")],
)
def test_a_check_that_fails_costs_one_row(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: int, told: str
) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    result = importlib.import_module("gpu_checks").answered(name, limit, is_small=True)
    assert (result.startswith("FAILED: "), told in result) == (True, True)
