"""Disks that are full, read-only or without locks, and processes that meet on one cache."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import dataset_builder.cli
import rocov2_eval.cli
from rocov2_eval.cache import FILE_NAME
from rocov2_eval.errors import ExitCode

import small_models

Run = Callable[..., tuple[int, str]]
COMMAND = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
ROOM = 300  # bytes that a file may have on a full disk: enough to begin each of them
RATINGS = "image,facet,CUI,rater\n" + "".join(f"{i},modality,CT,r{r}\n" for i in range(30) for r in (1, 2))


@contextmanager
def full_disk(room: int = ROOM) -> Iterator[None]:
    """Let no file of this process grow beyond some bytes, as a quota does; works without privileges."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a runner of either command in this process: exit code and stderr."""

    def invoke(*words: object) -> tuple[int, str]:
        program, *rest = map(str, words)
        runner = rocov2_eval.cli.invoke if program == "eval" else dataset_builder.cli.run
        return int(runner(rest)), capsys.readouterr().err

    return invoke


@pytest.fixture
def place(tmp_path: Path, concept_run: Path) -> Path:
    """Return the working folder, with what the commands below read."""
    work = tmp_path / "work"
    for name, content in (("run.csv", concept_run.read_bytes()), ("ratings.csv", RATINGS.encode())):
        (work / name).write_bytes(content)
    (work / "pictures").mkdir()
    (work / "pictures/1.jpg").write_bytes(b"x" * 2 * ROOM)
    (work / "model").mkdir()
    (work / "model/config.json").write_text(json.dumps({"x": "y" * ROOM}), encoding="utf-8")
    return work


FILES = {  # what writes one file, and the file
    "an answer": ("eval score run.csv --out old", "old"),
    "an answer in JSON": ("eval score run.csv --format json --out old", "old"),
    "the scores of images": ("eval score run.csv --per-image old.csv", "old.csv"),
    "the same in Parquet": ("eval score run.csv --per-image old.parquet", "old.parquet"),
    "a page": ("eval score run.csv --page old", "old"),
    "a comparison": ("eval compare run.csv run.csv --out old", "old"),
    "an examination": ("eval doctor --out old", "old"),
    "agreement": ("build agreement ratings.csv --out old", "old"),
    "imported answers": ("build curate import ratings.csv --out old", "old"),
}
FOLDERS = {  # what writes a folder, and the folder
    "a sample": ("eval sample new", "new"),
    "tasks": ("build curate export pictures --for csv --out new", "new"),
    "tasks of Label Studio": ("build curate export pictures --for label-studio --out new", "new"),
    "weights": ("eval models import model --as deberta-xlarge-mnli", "home/.local/share/rocov2-eval/weights"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(place: Path, run: Run, name: str) -> None:
    words, target = FILES[name]
    (place / target).write_text("old", encoding="utf-8")
    before = sorted(place.iterdir())

    with full_disk():
        code, err = run(*words.split())

    assert (code, "Traceback" in err) == (ExitCode.MISSING_RESOURCE, False), err
    assert f"{target}: File too large: make room and run the command again" in err
    assert (place / target).read_text(encoding="utf-8") == "old"
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_a_full_disk_leaves_no_half_written_folder(place: Path, run: Run, name: str) -> None:
    words, target = FOLDERS[name]

    with full_disk():
        code, err = run(*words.split())

    assert (code, "make room" in err, "Traceback" in err) == (ExitCode.MISSING_RESOURCE, True, False), err
    assert [path for path in (place / target).rglob("*") if path.is_file()] == []


def test_a_full_disk_does_not_stop_the_scores_that_need_no_disk(place: Path, run: Run) -> None:
    assert place.is_dir()
    with full_disk(0):
        assert [run("eval", word, "run.csv")[0] for word in ("score", "validate")] == [ExitCode.OK] * 2


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"])
def test_a_home_where_nothing_can_be_written_does_not_stop_the_scores(
    place: Path, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (place / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(variable, str(place / "file" / "home"))  # not even root can make this folder

    assert run("eval", "score", "run.csv")[0] == ExitCode.OK
    assert run("eval", "doctor")[0] == ExitCode.OK


# The cache of token vectors, with a small encoder.


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small BERT with random weights."""
    return small_models.make("bert", tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture
def words(encoder: Path, caption_run: Path) -> list[str]:
    """Return a command line that scores captions by BERTScore with it."""
    options = ["--metric", "bertscore", "--encoder", str(encoder), "--no-ci", "--format", "json"]
    return ["score", str(caption_run), *options]


def means(text: str) -> dict[str, float]:
    return {name: result["mean"] for name, result in json.loads(text)["metrics"].items()}


@pytest.mark.encoder
def test_a_cache_that_cannot_be_written_changes_no_score(
    words: Sequence[str], call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = means(call(*words, "--no-cache").out)
    Path("file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ROCOV2_CACHE", str(Path("file").resolve()))

    answer = call(*words)

    assert (answer.code, means(answer.out)) == (ExitCode.OK, pytest.approx(expected, abs=1e-6))
    assert "results are not stored" in answer.err


@pytest.mark.encoder
def test_a_cache_on_a_full_disk_changes_no_score(words: Sequence[str], call: Callable[..., Any]) -> None:
    expected = means(call(*words, "--no-cache").out)

    with full_disk(30_000):
        answer = call(*words)

    assert (answer.code, means(answer.out)) == (ExitCode.OK, pytest.approx(expected, abs=1e-6))
    assert "results are not stored" in answer.err


@pytest.mark.slow
@pytest.mark.encoder
def test_two_processes_that_meet_on_one_cache_give_the_same_scores(
    words: Sequence[str], call: Callable[..., Any], tmp_path: Path
) -> None:
    expected = means(call(*words, "--no-cache").out)
    environment = os.environ | {"ROCOV2_CACHE": str(tmp_path / "cache")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, "text": True}
    pair = [subprocess.Popen([COMMAND, *words], **pipes) for _ in range(2)]
    for process in pair:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
        assert means(out) == pytest.approx(expected, abs=1e-6)
    assert (tmp_path / "cache" / "rocov2-eval" / FILE_NAME).is_file()


# Locks as a network file system refuses them, put before the C library by LD_PRELOAD.
WITHOUT_LOCKS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

static int answer(const char *name, int handle, int what, void *more) {
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    if (what == F_SETLK || what == F_SETLKW) { errno = ENOLCK; return -1; }
    return real(handle, what, more);
}
#define REPLACED(name) int name(int handle, int what, ...) { \\
    va_list rest; va_start(rest, what); void *more = va_arg(rest, void *); va_end(rest); \\
    return answer(#name, handle, what, more); }
REPLACED(fcntl)
REPLACED(fcntl64)
int flock(int handle, int what) { errno = ENOLCK; return -1; }
"""


@pytest.mark.slow
@pytest.mark.encoder
@pytest.mark.skipif(shutil.which("cc") is None or sys.platform != "linux", reason="no C compiler here")
def test_a_cache_on_a_file_system_without_locks_changes_no_score(
    words: Sequence[str], call: Callable[..., Any], tmp_path: Path
) -> None:
    expected = means(call(*words, "--no-cache").out)
    source, library = tmp_path / "nolock.c", tmp_path / "nolock.so"
    source.write_text(WITHOUT_LOCKS, encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)

    done = subprocess.run(
        [COMMAND, *words], capture_output=True, text=True, env=os.environ | {"LD_PRELOAD": str(library)}
    )

    assert (done.returncode, "Traceback" in done.stderr) == (ExitCode.OK, False), done.stderr
    assert "results are not stored" in done.stderr
    assert means(done.stdout) == pytest.approx(expected, abs=1e-6)
