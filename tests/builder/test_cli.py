from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataset_builder import cli


@dataclass(frozen=True, kw_only=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs `rocov2-build` in this process."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code=int(code), out=captured.out, err=captured.err)

    return run


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Return a table with one article in two splits, of one kind only."""
    path = tmp_path / "figures.csv"
    path.write_text("id,split,kind,pmcid\na,x,ct,P1\nb,y,ct,P1\nc,x,mri,P2\nd,y,mri,P3\n", encoding="utf-8")
    return path


def test_leaks_end_with_1(build: Callable[..., Answer], leaky: Path) -> None:
    answer = build("leaks", leaky)
    assert answer.code == 1
    assert "articles: 1 of 3 in several splits" in answer.out
    assert answer.err == ""


def test_no_leaks_end_with_0(build: Callable[..., Answer], leaky: Path) -> None:
    answer = build("leaks", leaky, "--where", "kind=mri")
    assert answer.code == 0
    assert "No leaks found" in answer.out


def test_values_of_one_column_are_alternatives(build: Callable[..., Answer], leaky: Path) -> None:
    answer = build("leaks", leaky, "--where", "kind=mri", "--where", "kind=ct", "--format", "json")
    assert json.loads(answer.out)["splits"] == {"x": 2, "y": 2}


def test_the_bundled_sample_can_be_looked_at(build: Callable[..., Answer], sample: Path) -> None:
    answer = build("leaks", sample, "--workers", 1, "--no-images", "--format", "markdown")
    assert answer.code == 0
    assert "**captions: 0 of " in answer.out
    assert "**images: not checked: not asked for**" in answer.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "kind"], "--where kind: expected COLUMN=VALUE"),
        (["--column", "article=doi"], "--column article doi: no such column among id, split, kind, pmcid"),
        (["--column", "articles=doi"], "--column articles: expected one of id, split, article"),
        (["--where", "kind=us"], "no row has --where kind=us"),
        (["--distance", "99"], "99 is not in the range 0<=x<=12"),
    ],
)
def test_wrong_options_end_with_2(
    build: Callable[..., Answer], leaky: Path, arguments: list[str], message: str
) -> None:
    answer = build("leaks", leaky, *arguments)
    assert answer.code == 2
    assert message in answer.err


def test_a_broken_file_ends_with_1_and_a_message(build: Callable[..., Answer], tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(b"id,split\n\xe9,a\n")
    answer = build("leaks", path)
    assert answer.code == 1
    assert f"{path}:2: byte 0xe9 is not UTF-8; save the file as UTF-8" in answer.err
    assert answer.out == ""


def test_a_bug_is_told_from_bad_input(
    build: Callable[..., Answer], leaky: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("dataset_builder.leaks.find_leaks", broken)
    answer = build("leaks", leaky)
    assert answer.code == 70
    assert "This is a bug of rocov2-build" in answer.err


def test_the_help_says_what_the_exit_codes_mean(build: Callable[..., Answer]) -> None:
    assert "The exit code is 0 without leaks and 1 with leaks." in build("leaks", "--help").out


@pytest.mark.parametrize("package", ["rocov2_eval", "dataset_builder", "baselines"])
def test_help_loads_no_heavy_library(package: str) -> None:
    heavy = ["numpy", "torch", "transformers", "pandas", "lxml", "PIL", "medcat", "pyarrow", "onnxruntime"]
    code = (
        f"import sys; from {package}.cli.app import app; app.main(['--help'], standalone_mode=False); "
        f"print('loaded', sorted(set(sys.modules) & set({heavy})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_the_command_runs_in_a_process_of_its_own(leaky: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dataset_builder.cli", "leaks", leaky, "-q"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"{leaky}: 4 images, x 2, y 2\n")
