"""The commands on a system that lacks what POSIX has, and moves no file that is open: a Windows of sorts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/made/foreign_system.py"
PACKAGES = ("rocov2_eval", "dataset_builder", "baselines")
pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing lists open files here")


@pytest.fixture
def foreign() -> Callable[..., str]:
    """Return a function that runs a command on that system and returns all that it says."""

    def run(package: str, *words: object) -> str:
        line = [sys.executable, "-W", "ignore", SCRIPT, package, *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        assert done.returncode == ExitCode.OK, done.stderr
        return done.stdout + done.stderr

    return run


def test_no_module_of_ours_needs_one_that_windows_lacks() -> None:
    pattern = re.compile(
        r"^\s*(?:import|from) (?:fcntl|grp|posix|pty|pwd|resource|termios|tty)\b", re.MULTILINE
    )
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert [path for path in files if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_a_run_is_scored_and_its_files_are_written(foreign: Callable[..., str], concept_run: Path) -> None:
    words = ("score", concept_run, "--per-image", "scores.csv", "--page", "page.html", "-o", "answer.txt")
    for name in ("scores.csv", "page.html", "answer.txt"):
        Path(name).write_text("of before", encoding="utf-8")
    foreign("rocov2_eval", *words)
    assert "concept_f1         0.3335" in Path("answer.txt").read_text(encoding="utf-8")
    assert sorted(path.name for path in Path().iterdir()) == ["answer.txt", "page.html", "scores.csv"]


@pytest.mark.slow
def test_a_leaderboard_takes_the_place_of_the_one_before(foreign: Callable[..., str], runs: Path) -> None:
    shutil.copytree(runs, "submissions/example-team")
    for known in (0, 2):
        said = foreign("rocov2_eval", "leaderboard", "submissions", "--out", "site", "--task", "concepts")
        assert f"already scored {known}" in said
    assert sorted(path.name for path in Path().iterdir()) == ["site", "submissions"]


@pytest.mark.slow
def test_a_competition_is_packed(foreign: Callable[..., str], sample: Path) -> None:
    words = ("--truth", sample, "--task", "concepts", "--image", "example.org/a:1", "--out", "bundle.zip")
    for more in ((), ("--force",)):
        foreign("rocov2_eval", "bundle", "codabench", *words, *more)
    assert [path.name for path in Path().iterdir()] == ["bundle.zip"]


@pytest.mark.slow
def test_a_dataset_is_built_and_built_again(foreign: Callable[..., str]) -> None:
    foreign("dataset_builder", "sample", "articles")
    foreign("dataset_builder", "init", "articles")
    foreign("dataset_builder", "run", "build.toml", "--workers", 1)
    recipe = Path("build.toml").read_text(encoding="utf-8")
    changed = re.sub(r"(?m)^seed = \d+", "seed = 7", recipe)
    Path("build.toml").write_text(changed, encoding="utf-8")
    foreign("dataset_builder", "run", "build.toml", "--workers", 1)
    assert "FAIL" not in foreign("dataset_builder", "verify", "dataset")
