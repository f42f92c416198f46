"""The official concept scores of six runs over 6,834 real images, in each edition's own file form."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.scoring import Report

RUNS = ("always_ct", "empty", "first", "half", "next", "union_with_next")

# Delimiter and header of the truth, then of the run, as `origin` in the recorded outputs says.
OWN_FORM = {
    "2018": ("\t", None, "\t", None),
    "2022": ("|", None, "|", None),
    "2023vcmi": ("\t", "ID\tcuis", "|", None),
    "2024": (",", "ID,CUIs", ",", "ID,CUIs"),
    "2025": (",", "ID,CUIs", ",", "ID,CUIs"),
    "2026": (",", "ID,CUIs", ",", "ID,CUIs"),
}
OF_ANOTHER_LAYOUT = ("2018", "2022", "2023vcmi")
WITH_SECONDARY = ("2024", "2025", "2026")


def name_of(edition: str) -> str:
    return f"imageclef-{edition.removesuffix('vcmi')}"


@cache
def rewritten(source: Path, delimiter: str, header: str | None) -> str:
    """Return a CSV file in the ROCOv2 layout in the form of an edition."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return "\n".join([header] * bool(header) + [delimiter.join(row) for row in rows]) + "\n"


@pytest.fixture(scope="module", params=OWN_FORM)
def edition(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def own_truth(shared: Path, edition: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the truth in the edition's own form."""
    folder = tmp_path_factory.mktemp("truth")
    delimiter, header, _, _ = OWN_FORM[edition]
    for name in ("concepts.csv", "concepts_manual.csv"):
        text = rewritten(shared / "data/roco" / name, delimiter, header)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


@pytest.mark.parametrize("run", RUNS)
def test_scores_are_the_official_ones_in_the_own_form_of_the_edition(
    scored: Callable[..., Report], shared: Path, edition: str, own_truth: Path, run: str
) -> None:
    _, _, delimiter, header = OWN_FORM[edition]
    text = rewritten(shared / f"data/roco/runs/concepts_{run}.csv", delimiter, header)

    metrics = scored(text, own_truth, edition=name_of(edition)).metrics

    expected = expected_scores(shared, run, edition)
    assert pytest.approx(expected, abs=1e-12) == {name: metrics[name].mean for name in expected}


@pytest.mark.parametrize("edition", OF_ANOTHER_LAYOUT, indirect=True)
def test_scores_are_the_official_ones_with_a_truth_in_the_rocov2_layout(
    scored: Callable[..., Report], shared: Path, edition: str
) -> None:
    _, _, delimiter, header = OWN_FORM[edition]
    text = rewritten(shared / "data/roco/runs/concepts_half.csv", delimiter, header)

    metrics = scored(text, shared / "data/roco", edition=name_of(edition)).metrics

    expected = expected_scores(shared, "half", edition)
    assert pytest.approx(expected, abs=1e-12) == {name: metrics[name].mean for name in expected}


@pytest.mark.parametrize("run", ["empty", "half"])
def test_scores_of_the_rocov2_profile_are_those_of_2024(
    scored: Callable[..., Report], shared: Path, run: str
) -> None:
    text = (shared / f"data/roco/runs/concepts_{run}.csv").read_bytes()

    metrics = scored(text, shared / "data/roco").metrics

    expected = expected_scores(shared, run, "2024")
    assert pytest.approx(expected, abs=1e-12) == {name: metrics[name].mean for name in expected}


def expected_scores(shared: Path, run: str, edition: str) -> dict[str, Any]:
    recorded = json.loads((shared / "golden/roco_concepts.json").read_text(encoding="utf-8"))
    official = recorded["runs"][run][edition]
    expected = {"concept_f1": official["score"]}
    if edition in WITH_SECONDARY:
        expected["concept_f1_manual"] = official["score_secondary"]
    return expected
