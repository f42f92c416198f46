"""The whole row that the organisers of 2026 publish, end to end, with a tiny model of every kind."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_row import make_models

from rocov2_eval.errors import ExitCode
from rocov2_eval.shelf.csv_files import read_rows, write_csv
from rocov2_eval.truth import sample_folder

pytestmark = [pytest.mark.encoder, pytest.mark.slow]

EDITION = ("--edition", "imageclef-2026")
ROW = [
    *("overall", "relevance", "factuality", "bertscore_f1", "rouge1"),
    *("similarity", "bleurt", "umls_f1", "alignscore"),
]
KEYS = ["score", "score_secondary", "bert", "rouge", "similarity", "bleurt", "medcat", "align"]
# Scores a run, and is killed as soon as a metric has read part of what it has to read.
SCORE = """
import json, os, signal, sys
import rocov2_eval

def progress(name, done, total):
    steps.append((name, total))
    if name == choices["killed_at"] and done:
        os.kill(os.getpid(), signal.SIGKILL)

choices, steps = json.loads(sys.argv[1]), []
options = dict(edition="imageclef-2026", intervals=False, device="cpu", progress=progress)
report = rocov2_eval.score(choices["run"], choices["truth"], **options, **choices["models"])
means = {name: result.mean for name, result in report.metrics.items()}
print(json.dumps({"means": means, "read": {name: total for name, total in steps}}))
"""
Models = dict[str, Any]
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Return the arguments of `score` that name a tiny model of every kind."""
    pytest.importorskip("sentencepiece")
    pytest.importorskip("nltk")
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def words(models: Models) -> list[str]:
    """Return the same as options of the command line."""
    return [
        *("--encoder", models["encoder"], "--concept-model", models["concept_model"]),
        *(word for kind, folder in models["weights"].items() for word in ("--weights", f"{kind}={folder}")),
    ]


@pytest.fixture
def truth_run(tmp_path: Path) -> Path:
    """Return a run with the captions of the truth."""
    return write_run(tmp_path / "truth.csv", list(captions().values()))


def captions() -> dict[str, str]:
    """Return the caption of each image of the sample's valid split."""
    return {row["ID"]: row["Caption"] for _, row in read_rows(sample_folder() / "valid_captions.csv")}


def write_run(path: Path, cells: Sequence[str]) -> Path:
    write_csv(path, ["ID", "Caption"], list(zip(captions(), cells, strict=True)))
    return path


def means_of(answer: Any) -> dict[str, float]:
    assert answer.code == ExitCode.OK, answer.err
    return {name: result["mean"] for name, result in json.loads(answer.out)["metrics"].items()}


def scored(run: Path, models: Models, killed_at: str = "") -> subprocess.CompletedProcess[str]:
    choices = {"run": str(run), "truth": str(sample_folder()), "models": models, "killed_at": killed_at}
    return subprocess.run(
        [sys.executable, "-c", SCORE, json.dumps(choices)], capture_output=True, text=True, timeout=300
    )


def test_all_nine_columns_are_computed_in_the_order_of_the_organisers(
    call: Call, caption_run: Path, words: list[str]
) -> None:
    answer = call("score", caption_run, "--truth", sample_folder(), *EDITION, *words, "--format", "json")

    means = means_of(answer)
    assert list(means)[: len(ROW)] == ROW
    assert json.loads(answer.out)["not_computed"] == {}
    relevance = sum(means[name] for name in ("bertscore_f1", "rouge1", "similarity", "bleurt")) / 4
    factuality = (means["umls_f1"] + means["alignscore"]) / 2
    assert pytest.approx(means["overall"], abs=1e-12) == (relevance + factuality) / 2


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_run_that_was_killed_goes_on_from_the_cache(caption_run: Path, models: Models) -> None:
    killed = scored(caption_run, models, killed_at="alignscore")  # the last one
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    again = scored(caption_run, models)

    assert again.returncode == 0, again.stderr
    answer = json.loads(again.stdout)
    assert list(answer["means"])[: len(ROW)] == ROW
    assert {name: answer["read"][name] for name in ("bertscore", "similarity", "bleurt")} == {
        "bertscore": 0,
        "similarity": 0,
        "bleurt": 0,
    }
    assert answer["read"]["alignscore"] > 0


def test_a_board_of_three_runs_ranks_by_overall(
    call: Call, tmp_path: Path, caption_run: Path, truth_run: Path, words: list[str]
) -> None:
    fixed = write_run(tmp_path / "fixed.csv", ["CT of the chest"] * len(captions()))
    root = tmp_path / "submissions"
    for name, run in {"nearest": caption_run, "truth": truth_run, "fixed": fixed}.items():
        folder = root / "team" / name
        folder.mkdir(parents=True)
        (folder / "run.csv").write_bytes(run.read_bytes())
        metadata = json.loads((caption_run.parent / "submission.json").read_text(encoding="utf-8"))
        metadata |= {"team": "team", "run": name, "edition": "imageclef-2026"}
        (folder / "submission.json").write_text(json.dumps(metadata), encoding="utf-8")

    site = tmp_path / "site"
    answer = call("leaderboard", root, "--truth", sample_folder(), "--out", site, *words)

    assert answer.code == ExitCode.OK, answer.err
    (board,) = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    assert board["primary"] == "overall"
    assert not any("ranked by" in note for note in board["notes"])
    means = [standing["metrics"]["overall"]["mean"] for standing in board["standings"]]
    assert means == sorted(means, reverse=True)
    assert [*ROW] == list(board["standings"][0]["metrics"])[: len(ROW)]
    again = call("leaderboard", root, "--truth", sample_folder(), "--out", site, *words)
    assert "scored 0, already scored 3" in again.out


def test_the_scoring_program_of_a_bundle_writes_the_keys_of_the_organisers(
    call: Call, tmp_path: Path, caption_run: Path, models: Models, words: list[str]
) -> None:
    vectors, archive, app = tmp_path / "vectors.npz", tmp_path / "bundle.zip", tmp_path / "app"
    pictures = sample_folder() / "valid"
    done = call("embed-images", pictures, "--out", vectors, "--weights", models["weights"]["similarity"])
    assert done.code == ExitCode.OK, done.err
    made = call(
        *("bundle", "codabench", "--truth", sample_folder(), "--split", "valid", "--out", archive, *EDITION),
        *("--task", "captions", "--image", "example.org/scorer:1", "--encoder", models["encoder"]),
        *("--decimals", "4"),
        *("--concept-model", models["concept_model"], "--image-vectors", vectors),
    )
    assert made.code == ExitCode.OK, made.err
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.startswith("reference_data_captions/")]
        for name in names:
            files.extract(name, tmp_path)
        command = yaml.safe_load(files.read("scoring_program_captions/metadata.yaml"))["command"]
        (board,) = yaml.safe_load(files.read("competition.yaml"))["leaderboards"]
    (app / "input").mkdir(parents=True)
    (tmp_path / "reference_data_captions").rename(app / "input/ref")
    (app / "input/res").mkdir()
    (app / "input/res/run.csv").write_bytes(caption_run.read_bytes())

    # The image of the organisers holds the weights under their own names; here they are named.
    _, *arguments = shlex.split(command.replace("/app", str(app)))
    answer = call(*arguments, *words[4:], "--no-ci")

    assert answer.code == ExitCode.OK, answer.err
    scores = json.loads((app / "output/scores.json").read_text(encoding="utf-8"))
    assert list(scores) == KEYS
    first, *others = board["columns"]
    assert (*(first[name] for name in ("title", "key", "computation", "computation_indexes")),) == (
        "Overall",
        "overall",
        "avg",
        [1, 2],
    )
    assert [column["key"] for column in others] == KEYS
    direct = call("score", caption_run, "--truth", sample_folder(), *EDITION, *words, "--format", "json")
    means = means_of(direct)
    assert scores == {key: round(means[name], 4) for key, name in zip(KEYS, ROW[1:], strict=True)}
