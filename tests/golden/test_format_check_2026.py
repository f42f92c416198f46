"""Verdicts of the format check that the 2026 platform runs, and where ours differs on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import is_rejected
from rocov2_eval.formats import load
from rocov2_eval.records import Finding
from rocov2_eval.scoring import check
from rocov2_eval.truth import Place, find_truth
from rocov2_eval.validation import read_run

GOLDEN = Path(__file__).with_name("format_check_2026.json")
RECORDED = json.loads(GOLDEN.read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {f"{case['task']} {case['name']}": case for case in RECORDED["cases"]}
EDITION = EDITIONS["imageclef-2026"]

# Where our verdict is the other one: the finding that says so, and why.
DEVIATIONS = {
    "captions empty caption": ("R301", "passes the check, then AlignScore ends the evaluation"),
    "concepts 150 cuis": ("R201", "passes the check, then the evaluator takes 100 at most"),
    "captions double newline inside quoted": ("R407", "a faultless file, taken for one with a blank line"),
    "captions U+2028 inside quoted w comma": ("R407", "a faultless file, taken for an unquoted comma"),
    "captions quoted w trailing space": ("R407", "a faultless file, taken for an unquoted comma"),
}
AGREEING = sorted(CASES.keys() - DEVIATIONS.keys())


@pytest.mark.parametrize("name", AGREEING)
def test_the_verdict_is_that_of_the_official_check(tmp_path: Path, name: str) -> None:
    expected = "pass" if CASES[name]["official"] == "pass" else "fail"

    assert expected == verdict(strict_findings(tmp_path, CASES[name]))


@pytest.mark.parametrize("name", sorted(DEVIATIONS))
def test_a_deviating_verdict_is_the_opposite_of_the_official_one(tmp_path: Path, name: str) -> None:
    expected = "fail" if CASES[name]["official"] == "pass" else "pass"

    assert expected == verdict(strict_findings(tmp_path, CASES[name]))


@pytest.mark.parametrize("name", sorted(DEVIATIONS))
def test_a_deviation_is_told_by_its_finding(tmp_path: Path, name: str) -> None:
    code, _ = DEVIATIONS[name]

    assert {code} == {item.code for item in strict_findings(tmp_path, CASES[name])}


def strict_findings(folder: Path, case: dict[str, Any]) -> tuple[Finding, ...]:
    """Check a case as `validate --strict` does."""
    for task in ("captions", "concepts"):
        (folder / f"{task}.csv").write_text(RECORDED["origin"][f"truth_{task}"], encoding="utf-8")
    path = folder / "run.csv"
    latin1 = case["run_latin1"]
    path.write_bytes(case["run"].encode() if latin1 is None else latin1.encode("latin1"))
    try:
        source = load(path)
    except RejectedInput as error:
        return error.findings
    run = read_run(source, EDITION, case["task"])
    truth = find_truth(run, case["task"], EDITION, [Place(path=folder, origin="--truth")])
    return check(run, truth, EDITION, strict=True)


def verdict(found: tuple[Finding, ...]) -> str:
    return "fail" if is_rejected(found) else "pass"
