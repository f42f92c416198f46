"""What the tests of the command share: a home of their own, runs, the command in this process or another."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rocov2_eval.cli import invoke

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sysconfig.get_path("scripts")) / "rocov2-eval"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command leaves behind."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no config, cache, dataset or official weights of the user's."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    monkeypatch.setenv("HF_HOME", str(folder / ".cache/huggingface"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("ROCOV2_DATA", "ROCOV2_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    # huggingface_hub reads its variables once, perhaps before this test began.
    monkeypatch.setattr("rocov2_eval.models._cached_path", lambda _repository: None)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs the command in this process."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code=int(code), out=captured.out, err=captured.err)

    return run


@pytest.fixture
def command() -> Callable[..., Answer]:
    """Return a function that runs the installed command in a process of its own."""

    def run(*arguments: object, **environment: str) -> Answer:
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=os.environ | environment,
            timeout=120,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture(scope="session")
def runs() -> Path:
    """Return the folder of the example team's runs on the bundled sample."""
    return ROOT / "submissions/example-team"


@pytest.fixture(scope="session")
def concept_run(runs: Path) -> Path:
    """Return a faultless concept run of the bundled sample's 13 valid images."""
    return runs / "nearest-picture/run.csv"


@pytest.fixture(scope="session")
def caption_run(runs: Path) -> Path:
    """Return a faultless caption run of the same images."""
    return runs / "nearest-caption/run.csv"


@pytest.fixture
def short_run(concept_run: Path) -> Path:
    """Return a concept run that lacks the last of its 13 images."""
    return _write("short.csv", concept_run.read_text(encoding="utf-8").splitlines()[:-1])


@pytest.fixture
def foreign_run() -> Path:
    """Return a concept run of images that no dataset here has."""
    return _write("foreign.csv", ["ID,CUIs", "elsewhere_1,C0040405", "elsewhere_2,C1306645"])


def _write(name: str, lines: Sequence[str]) -> Path:
    path = Path(name)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
