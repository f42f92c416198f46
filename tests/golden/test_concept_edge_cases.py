"""Concept scores of the official evaluators on small odd files, and the files that they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import RejectedInput
from rocov2_eval.scoring import Report

GOLDEN = Path(__file__).with_name("concept_edge_cases.json")
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]

# Name of the edition here, delimiter of the run, delimiter and header of the truth.
FORMS = {
    "2018": ("imageclef-2018", "\t", "\t", None),
    "2022": ("imageclef-2022", "|", "|", None),
    "2023vcmi": ("imageclef-2023", "|", "\t", "ID\tcuis"),
    "2024": ("imageclef-2024", ",", ",", "ID,CUIs"),
    "2025": ("imageclef-2025", ",", ",", "ID,CUIs"),
    "2026": ("imageclef-2026", ",", ",", "ID,CUIs"),
}
# Where the official code raised, the finding that says why.
REASONS = {
    "dup concept exact": "R202",
    "id only pred": "R206",
    "101 concepts": "R201",
    "id with .jpg": "R104",
    "id with trailing space": "R104",
    "dup id": "R103",
    "missing id": "R105",
    "blank line at end": "R101",
    "three columns": "R102",
    "header ID": "R109",
    "BOM + header": "R006",
    "BOM, no header": "R006",
    "empty file": "R003",
    "comma instead of ;": "R102",
}
LOWER_CASE_HEADER = {"2018": "R109", "2022": "R109"}
PAIRS = [(case, edition) for case in CASES for edition in case["official"]]
SCORED = [(case, edition) for case, edition in PAIRS if isinstance(case["official"][edition], dict)]
RAISED = [(case, edition) for case, edition in PAIRS if isinstance(case["official"][edition], str)]
SECONDARY = [pair for pair in SCORED if pair[1] in ("2024", "2025", "2026")]


def ids(pairs: list[tuple[dict[str, Any], str]]) -> list[str]:
    return [f"{case['name']} {edition}" for case, edition in pairs]


@pytest.fixture
def official(scored: Callable[..., Report], tmp_path: Path) -> Callable[[dict[str, Any], str], Report]:
    """Return a function that scores a case as its edition writes the files."""

    def score(case: dict[str, Any], edition: str) -> Report:
        name, delimiter, truth_delimiter, header = FORMS[edition]
        folder = tmp_path / "truth"
        folder.mkdir()
        lines = [header] * bool(header) + [truth_delimiter.join(row) for row in case["truth"]]
        for file in ("concepts.csv", "concepts_manual.csv"):
            (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
        return scored(case["run"].replace("§", delimiter), folder, edition=name)

    return score


@pytest.mark.parametrize(("case", "edition"), SCORED, ids=ids(SCORED))
def test_the_score_is_the_official_one(
    official: Callable[..., Report], case: dict[str, Any], edition: str
) -> None:
    expected = case["official"][edition]["score"]

    assert pytest.approx(expected, abs=1e-6) == official(case, edition).metrics["concept_f1"].mean


@pytest.mark.parametrize(("case", "edition"), SECONDARY, ids=ids(SECONDARY))
def test_the_secondary_score_is_the_official_one(
    official: Callable[..., Report], case: dict[str, Any], edition: str
) -> None:
    expected = case["official"][edition]["score_secondary"]

    assert pytest.approx(expected, abs=1e-6) == official(case, edition).metrics["concept_f1_manual"].mean


@pytest.mark.parametrize(("case", "edition"), RAISED, ids=ids(RAISED))
def test_a_file_that_the_official_code_refuses_is_rejected_for_that_reason(
    official: Callable[..., Report], case: dict[str, Any], edition: str
) -> None:
    name = case["name"]
    expected = LOWER_CASE_HEADER.get(edition, "R108") if name == "header lower id" else REASONS[name]

    with pytest.raises(RejectedInput) as caught:
        official(case, edition)

    assert expected in {item.code for item in caught.value.findings if item.severity == "error"}
