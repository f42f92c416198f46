"""What a terminal, a pipe and a file show of long work, and where colours are."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.shelf.progress import progress_line

COMMAND = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
GREEN, RED = "\x1b[32m\x1b[1mPASSED\x1b[0m", "\x1b[31m\x1b[1mREJECTED\x1b[0m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, states: list[tuple[float, int, int]]) -> str:
    """Return what is written when so many of so many are done after so many seconds."""
    times = iter([0.0, *(seconds for seconds, _, _ in states)])
    monkeypatch.setattr("sys.stderr", stream)
    show = progress_line("bertscore", "captions", clock=lambda: next(times))
    for _, done, total in states:
        show(done, total)
    return stream.getvalue()


def test_a_terminal_has_one_line_with_the_pace_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [(0.1, 0, 0), (1.0, 0, 38_000), (31.0, 12_480, 38_000), (95.0, 38_000, 38_000)]
    written = shown(Terminal(), monkeypatch, states)
    lines = [line.rstrip(" ") for line in written.split("\r")]
    assert lines == [
        "bertscore: loading encoder…",
        "bertscore 0/38,000 captions",
        "bertscore 12,480/38,000 captions · 416/s · 1 min 01 s left",
        "bertscore 38,000/38,000 captions · 404/s" + " " * 18 + "\n",
    ]


def test_a_pipe_has_whole_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [(0.1, 0, 0), *((float(second), 100 * second, 20_000) for second in range(1, 201))]
    lines = shown(io.StringIO(), monkeypatch, states).splitlines()
    assert (lines[0], len(lines)) == ("bertscore 3,000/20,000 captions · 100/s · 2 min 50 s left", 6)


def test_a_line_is_no_wider_than_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    written = shown(Terminal(), monkeypatch, [(1.0, 0, 38_000), (31.0, 12_480, 38_000)])
    assert max(map(len, written.split("\r"))) == 19


def test_quick_work_says_nothing_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(io.StringIO(), monkeypatch, [(0.1, 0, 3), (0.2, 3, 3)]) == ""


def on_terminal(*words: object, **environment: str) -> str:
    """Return what the real command writes to a terminal, stdout and stderr together."""
    leader, follower = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    subprocess.run(
        [COMMAND, *map(str, words)],
        stdout=follower,
        stderr=follower,
        env=plain | {"TERM": "xterm"} | environment,
        timeout=120,
    )
    os.close(follower)
    content = b""
    while True:
        try:
            content += os.read(leader, 1 << 16)
        except OSError:  # the end of a terminal
            break
    os.close(leader)
    return content.decode("utf-8")


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_the_verdict_is_in_colour_on_a_terminal_unless_the_user_wants_none(
    concept_run: Path, environment: dict[str, str], *, is_coloured: bool
) -> None:
    text = on_terminal("validate", concept_run, **environment)
    assert (GREEN in text, "\x1b" in text) == (is_coloured, is_coloured)
    assert "PASSED" in text


def test_a_pipe_has_colours_only_if_they_are_forced_and_a_file_never(
    call: Callable[..., Any], short_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in call("validate", short_run).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    answer = call("validate", short_run, "-o", "findings.txt")
    assert (answer.code, RED in answer.err) == (ExitCode.INPUT_REJECTED, True)
    assert "\x1b" not in Path("findings.txt").read_text(encoding="utf-8")
    assert RED in call("score", short_run).err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in call("validate", short_run).out


def test_a_terminal_sees_at_once_that_work_goes_on_and_then_the_answer_alone(concept_run: Path) -> None:
    text = on_terminal("score", concept_run)
    assert re.match(rf"working…\r +\r{concept_run.name}: concepts, ", text)
    assert "working" not in on_terminal("score", concept_run, "--quiet")


def test_an_error_stands_in_a_line_of_its_own(caption_run: Path) -> None:
    text = on_terminal("score", caption_run)
    assert re.search(r"loading encoder…\r +\rError: ", text)


@pytest.mark.encoder
@pytest.mark.slow
def test_the_real_command_shows_the_encoder_and_then_the_captions(caption_run: Path) -> None:
    words = ("score", caption_run, "--metric", "bertscore", "--encoder", "minilm")
    text = on_terminal(*words)
    assert text.startswith("working…\rbertscore: loading encoder…\r")
    assert re.search(r"\rbertscore \d+/\d+ captions", text)
    assert "loading" not in on_terminal(*words, "--quiet")
