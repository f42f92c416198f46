"""`bundle codabench` and `score --codabench`: a competition made, and run as the platform runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rocov2_eval.errors import ExitCode

pytestmark = pytest.mark.slow

Call = Callable[..., Any]
IMAGE = ("--image", "example.org/rocov2-eval:1")
SCRIPTS = sysconfig.get_path("scripts")
GOOD, BAD, EMPTY = "good", "bad", "empty"
# By kind of submission, how its scoring ends and what its page says.
EXPECTED = {
    GOOD: (ExitCode.OK, "Detailed results"),
    BAD: (ExitCode.INPUT_REJECTED, "is not an image of the truth"),
    EMPTY: (ExitCode.INPUT_REJECTED, "found none"),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the platform sees of a submission."""

    code: int
    scores: dict[str, float] | None
    page: str
    log: str
    files: set[str]


@dataclass(frozen=True, kw_only=True)
class Competition:
    """An archive unpacked: what the platform keeps of it."""

    folder: Path
    document: dict[str, Any]

    def columns(self) -> list[str]:
        return [column["key"] for column in self.document["leaderboards"][0]["columns"]]

    def columns_of(self, task: str) -> list[str]:
        starts = {"concepts": "concept_", "captions": ("bertscore_", "rouge")}[task]
        return [key for key in self.columns() if key.startswith(starts)]

    def task(self, name: str) -> dict[str, Any]:
        (task,) = (item for item in self.document["tasks"] if item["reference_data"].endswith(name))
        return dict(task)

    def submit(self, task: str, submission: bytes, app: Path, words: dict[str, str], path: str) -> Outcome:
        """Run a submission as a compute worker does: unpack three archives, run a command, look at OUTPUT.

        Args:
            task: Concepts or captions.
            submission: The zip archive of a participant.
            app: Stands for the container's /app.
            words: Programs of the command by the name that the container has for them.
            path: Where programs are found.
        """
        chosen = self.task(task)
        for name, target in (("reference_data", "input/ref"), ("scoring_program", "program")):
            with zipfile.ZipFile(io.BytesIO(folder_as_zip(self.folder / chosen[name]))) as archive:
                archive.extractall(app / target)
        with zipfile.ZipFile(io.BytesIO(submission)) as archive:
            archive.extractall(app / "input/res")
        (app / "input/res").mkdir(exist_ok=True)
        (app / "input/res/metadata").write_text("elapsedTime: null\nexitCode: null\n", encoding="utf-8")
        (app / "output").mkdir()
        described = yaml.safe_load((app / "program/metadata.yaml").read_text(encoding="utf-8"))
        first, *rest = described["command"].replace("/app/", f"{app}/").split(" ")
        done = subprocess.run(
            [words.get(first, first), *rest],
            cwd=app / "program",
            env={"PATH": path, "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        scores = app / "output/scores.json"
        return Outcome(
            code=done.returncode,
            scores=json.loads(scores.read_text(encoding="utf-8")) if scores.exists() else None,
            page=(app / "output/detailed_results.html").read_text(encoding="utf-8"),
            log=done.stdout + done.stderr,
            files={item.name for item in (app / "output").iterdir()},
        )


@pytest.fixture
def competition(call: Call, sample: Path, tmp_path: Path) -> Callable[..., Competition]:
    """Return what makes a competition of the sample's test split and unpacks it."""

    def make(*options: str) -> Competition:
        answer = call("bundle", "codabench", "--truth", sample, "--out", "bundle.zip", "--force", *options)
        assert (answer.code, answer.out) == (ExitCode.OK, "bundle.zip\n")
        folder = tmp_path / "unpacked"
        with zipfile.ZipFile("bundle.zip") as archive:
            archive.extractall(folder)
        return Competition(
            folder=folder,
            document=yaml.safe_load((folder / "competition.yaml").read_text(encoding="utf-8")),
        )

    return make


def folder_as_zip(folder: Path) -> bytes:
    """Return the content of a folder as an archive, as the platform stores what the YAML file names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def submission(made: Competition, task: str, kind: str) -> bytes:
    """Return a zip archive as a participant makes it: the starting kit's run, one with a fault, nothing."""
    buffer = io.BytesIO()
    run = (made.folder / "starting_kit" / task / "run.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(buffer, "w") as archive:
        if kind != EMPTY:
            archive.writestr("run.csv", run if kind == GOOD else run.replace("000001", "1"))
    return buffer.getvalue()


# ---- as the platform runs it


@pytest.mark.parametrize("task", ["concepts", "captions"])
@pytest.mark.parametrize("kind", EXPECTED)
def test_a_submission_in_an_image(
    kind: str, task: str, competition: Callable[..., Competition], tmp_path: Path
) -> None:
    made = competition(*IMAGE)
    if task == "captions":  # no test has the official weights: its command asks for what needs none
        program = made.folder / "scoring_program_captions/metadata.yaml"
        text = program.read_text(encoding="utf-8").replace("--metric bertscore ", "")
        program.write_text(text, encoding="utf-8")
    outcome = made.submit(task, submission(made, task, kind), tmp_path / "app", {}, SCRIPTS)
    code, words = EXPECTED[kind]
    assert outcome.code == code
    assert words in outcome.page
    wanted = [key for key in made.columns_of(task) if key != "bertscore_f1"]
    assert (None if outcome.scores is None else list(outcome.scores)) == (wanted if kind == GOOD else None)
    assert outcome.files == {"detailed_results.html", *(["scores.json"] if kind == GOOD else [])}


def test_an_image_without_weights_fails_and_says_so(
    competition: Callable[..., Competition], tmp_path: Path
) -> None:
    made = competition(*IMAGE, "--task", "captions")
    outcome = made.submit("captions", submission(made, "captions", GOOD), tmp_path / "app", {}, SCRIPTS)
    assert (outcome.code, outcome.scores) == (ExitCode.MISSING_RESOURCE, None)
    assert "set-up of this competition is incomplete" in outcome.page
    assert "Error: " in outcome.log


@pytest.mark.slow
@pytest.mark.encoder
def test_bertscore_in_an_image(competition: Callable[..., Competition], tmp_path: Path) -> None:
    made = competition(*IMAGE, "--task", "captions", "--encoder", "minilm", "--decimals", "4")
    outcome = made.submit("captions", submission(made, "captions", GOOD), tmp_path / "app", {}, SCRIPTS)
    assert outcome.code == ExitCode.OK
    assert outcome.scores is not None
    assert list(outcome.scores) == made.columns() == ["bertscore_f1", "rouge1"]
    assert f"- ROUGE-1: {outcome.scores['rouge1']:.4f}\n" in readme(made)


def readme(made: Competition) -> str:
    return (made.folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_submissions_without_an_image_in_a_fresh_python(
    competition: Callable[..., Competition], tmp_path: Path
) -> None:
    made = competition("--decimals", "4")
    assert made.document["docker_image"] == f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert made.columns() == ["concept_f1", "concept_f1_manual", "rouge1"]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    words = {"python3": str(tmp_path / "venv/bin/python")}
    for task in ("concepts", "captions"):
        for kind, (code, shown) in EXPECTED.items():
            app = tmp_path / f"app-{task}-{kind}"
            outcome = made.submit(task, submission(made, task, kind), app, words, os.defpath)
            assert (kind, outcome.code) == (kind, code)
            assert shown in outcome.page
            scores = list(outcome.scores) if outcome.scores else []
            assert scores == (made.columns_of(task) if kind == GOOD else [])
            for score in (outcome.scores or {}).values():
                assert f": {score:.4f}\n" in readme(made)


@pytest.mark.slow
def test_wheels_that_cannot_be_installed_leave_a_page(
    competition: Callable[..., Competition], tmp_path: Path
) -> None:
    made = competition("--task", "concepts")
    for wheel in (made.folder / "scoring_program_concepts/wheels").glob("numpy-*"):
        wheel.unlink()
    words = {"python3": sys.executable}
    archive = submission(made, "concepts", GOOD)
    outcome = made.submit("concepts", archive, tmp_path / "app", words, os.defpath)
    assert outcome.code != ExitCode.OK
    assert "could not be installed" in outcome.page
    assert outcome.files == {"detailed_results.html"}
    assert "numpy" in outcome.log


# ---- score --codabench


@pytest.fixture
def folders(sample: Path) -> tuple[Path, Path]:
    """Return INPUT with the sample's validation split and one good run, and OUTPUT."""
    source, target = Path("input"), Path("output")
    (source / "ref").mkdir(parents=True)
    (source / "res").mkdir()
    for name in ("valid_concepts.csv", "valid_concepts_manual.csv"):
        (source / "ref" / name).write_bytes((sample / name).read_bytes())
    (source / "res/run.csv").write_bytes((sample / "valid_concepts.csv").read_bytes())
    return source, target


def test_scores_are_told_on_stdout(call: Call, folders: tuple[Path, Path]) -> None:
    answer = call("score", "--codabench", *folders)
    assert (answer.code, answer.out, answer.err) == (0, "concept_f1 1\nconcept_f1_manual 1\n", "")


def test_the_edition_is_that_of_the_command(call: Call, folders: tuple[Path, Path]) -> None:
    answer = call("score", "--codabench", *folders, "--edition", "imageclef-2023")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert "R008" in answer.err


def test_an_invalid_run_has_its_findings_on_stderr(call: Call, folders: tuple[Path, Path]) -> None:
    (folders[0] / "res/run.csv").write_text("ID,CUIs\nelsewhere,C0000001\n", encoding="utf-8")
    answer = call("score", "--codabench", *folders)
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert "run.csv:2: R104 'elsewhere' is not an image of the truth" in answer.err
    assert not (folders[1] / "scores.json").exists()


def test_one_metric_is_one_column(call: Call, folders: tuple[Path, Path]) -> None:
    call("score", "--codabench", *folders, "--metric", "concept_f1_manual")
    assert json.loads((folders[1] / "scores.json").read_text(encoding="utf-8")) == {"concept_f1_manual": 1.0}


def test_a_metric_of_another_task_is_told_on_the_page_too(call: Call, folders: tuple[Path, Path]) -> None:
    answer = call("score", "--codabench", *folders, "--metric", "rouge")
    assert answer.code == ExitCode.USAGE
    assert "has for concepts" in (folders[1] / "detailed_results.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", [(), ("run.csv", "--codabench", "input", "output")], ids=["neither", "both"]
)
def test_either_a_run_or_the_platforms_folders(words: tuple[str, ...], call: Call) -> None:
    answer = call("score", *words)
    assert answer.code == ExitCode.USAGE
    assert "expected either a run, or the folders of the platform" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("--truth", "."),
        ("--per-image", "scores.csv"),
        ("--page", "page.html"),
        ("--verify", "3"),
        ("--out", "x"),
        ("--by", "modality"),
        ("--lenient",),
        ("--format", "json"),
    ],
    ids=lambda words: words[0],
)
def test_options_that_would_be_passed_over_are_refused(
    words: tuple[str, ...], call: Call, folders: tuple[Path, Path]
) -> None:
    answer = call("score", "--codabench", *folders, *words)
    assert (answer.code, f"Error: {words[0]} cannot be used with" in answer.err) == (ExitCode.USAGE, True)


def test_an_output_that_cannot_be_written_is_told(call: Call, folders: tuple[Path, Path]) -> None:
    Path("output").write_text("a file", encoding="utf-8")
    answer = call("score", "--codabench", *folders)
    assert answer.code == ExitCode.USAGE
    assert "output cannot be written" in answer.err


# ---- bundle codabench


def test_what_is_not_official_is_told_loudly(
    call: Call, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = {"rocov2_eval-0-py3-none-any.whl": b""}
    monkeypatch.setattr("rocov2_eval.codabench.bundle.wheel_files", lambda _: wheels)
    answer = call("bundle", "codabench", "--truth", sample, "--out", "b.zip", "--task", "captions")
    assert answer.code == ExitCode.OK
    assert "NOTE: captions are ranked by ROUGE-1, not by the first score" in answer.err
    assert "docs/codabench.md" in answer.err
    with zipfile.ZipFile("b.zip") as archive:
        for name in ("pages/evaluation.md", "README.md"):
            words = " ".join(archive.read(name).decode().split())
            assert "Captions are ranked by ROUGE-1" in words
        assert "`--image`" in archive.read("README.md").decode()


def test_an_archive_is_not_replaced_without_being_told_to(call: Call, sample: Path) -> None:
    Path("b.zip").write_text("dear", encoding="utf-8")
    answer = call("bundle", "codabench", "--truth", sample, "--out", "b.zip", *IMAGE)
    assert answer.code == ExitCode.USAGE
    assert "add --force" in answer.err
    assert Path("b.zip").read_text(encoding="utf-8") == "dear"


def test_the_organiser_is_reminded_of_the_secret(call: Call, sample: Path) -> None:
    answer = call("bundle", "codabench", "--truth", sample, "--out", "b.zip", *IMAGE)
    assert "b.zip contains the truth: keep it secret." in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--encoder", "minilm"), "--encoder needs --image"),
        (("--concept-model", "/pack"), "--concept-model needs --image"),
        (("--image", "x", "--concept-model", "/a pack"), "--concept-model '/a pack' contains a space"),
        (("--image", "x", "--wheels", "."), "--image and --wheels exclude each other"),
        (("--image", "a b"), "contains a space"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_options_that_do_not_go_together_are_refused(
    words: tuple[str, ...], message: str, call: Call, sample: Path
) -> None:
    answer = call("bundle", "codabench", "--truth", sample, "--out", "b.zip", *words)
    assert answer.code == ExitCode.USAGE
    assert message in answer.err
    assert not Path("b.zip").exists()


def test_truth_has_to_be_named(call: Call) -> None:
    answer = call("bundle", "codabench", "--out", "b.zip")
    assert (answer.code, "--truth" in answer.err) == (ExitCode.USAGE, True)
