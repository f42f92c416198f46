"""Each exit code through the real command, and what goes to stdout and stderr with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode

COMMAND = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
TRACEBACK = "Traceback (most recent call last)"
# Loaded by the interpreter before the command: it breaks the scorer as a bug of ours would.
SABOTAGE = """
import rocov2_eval.scoring

def evaluate(*_):
    raise ZeroDivisionError("a bug made for a test")

rocov2_eval.scoring.evaluate = evaluate
"""


def test_a_scored_run_ends_with_0_and_leaves_stderr_empty(
    command: Callable[..., Any], concept_run: Path
) -> None:
    answer = command("score", concept_run)
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    assert "concept_f1 " in answer.out


def test_a_rejected_run_ends_with_1_and_its_findings_go_to_stderr(
    command: Callable[..., Any], short_run: Path
) -> None:
    answer = command("score", short_run)
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert answer.err.startswith("short.csv: R105 1 of 13 images have no row: sample_valid_000017\n")
    assert answer.err.endswith("SUMMARY short.csv: REJECTED, 1 error, 0 warnings\n")


def test_a_wrong_command_line_ends_with_2_and_says_what_is_known(command: Callable[..., Any]) -> None:
    answer = command("score", "run.csv", "--edition", "imageclef-1999")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "no edition 'imageclef-1999', expected one of rocov2, 2017, 2018, " in answer.err


def test_a_missing_model_ends_with_3_and_a_message_without_traceback(
    command: Callable[..., Any], caption_run: Path
) -> None:
    answer = command("score", caption_run)
    assert (answer.code, answer.out) == (ExitCode.MISSING_RESOURCE, "")
    assert answer.err.startswith("Error: ")
    assert TRACEBACK not in answer.err


def test_a_bug_ends_with_70_with_its_traceback_and_a_request_to_report_it(
    command: Callable[..., Any], concept_run: Path
) -> None:
    Path("sabotage").mkdir()
    Path("sabotage/sitecustomize.py").write_text(SABOTAGE, encoding="utf-8")
    answer = command("score", concept_run, PYTHONPATH=str(Path("sabotage").resolve()))
    assert (answer.code, answer.out) == (ExitCode.BUG, "")
    assert answer.err.startswith(TRACEBACK)
    assert "ZeroDivisionError: a bug made for a test\nThis is a bug of rocov2-eval." in answer.err


def test_an_interrupted_command_ends_with_130_and_without_traceback(interruptible: None) -> None:  # noqa: ARG001
    os.mkfifo("run.csv")
    with subprocess.Popen(
        [COMMAND, "score", "run.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        writer = wait_for_reader("run.csv", process)
        out, err = interrupted(process)
        os.close(writer)
    assert (process.returncode, out, err.strip()) == (ExitCode.INTERRUPTED, "", "interrupted")


@pytest.mark.parametrize("words", [["--help"], ["explain"]], ids=" ".join)
def test_a_reader_that_left_ends_the_command_in_silence(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([COMMAND, *words], stdout=writing, stderr=subprocess.PIPE, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (ExitCode.OK, b"")


def test_the_first_line_can_be_cut_off_with_head(concept_run: Path) -> None:
    line = ["bash", "-o", "pipefail", "-c", '"$0" score "$1" | head -1', str(COMMAND), str(concept_run)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    expected = f"{concept_run.name}: concepts, rocov2, valid split, 13 images; "
    expected += "our own rules, because the ids name no year: not the number that the organisers publish\n"
    assert (ExitCode.OK, expected, "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_not_reported_as_a_bug() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([COMMAND, "explain"], stdout=full, stderr=subprocess.PIPE, text=True)
    expected = "Error: stdout: No space left on device: make room and run the command again\n"
    assert (ExitCode.MISSING_RESOURCE, expected) == (done.returncode, done.stderr)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let a child hear SIGINT: a suite that runs in the background may have inherited that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Interrupt a process until it ends: Python loses an interrupt that comes while it destroys an object."""
    for _ in range(60):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.communicate()


def wait_for_reader(path: str, process: subprocess.Popen[str]) -> int:
    """Open a named pipe for writing, which succeeds once the process has it open for reading."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.01)
    process.kill()
    raise AssertionError(f"the command never read {path}: {process.communicate()}")
