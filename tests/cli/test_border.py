"""What comes from outside passes one border: streams, environment, config file, names, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.rendering.render import FORMATS
from rocov2_eval.shelf.streams import READABLE

Call = Callable[..., Any]
SCRIPTS = Path(sysconfig.get_path("scripts"))
COMMAND = SCRIPTS / "rocov2-eval"
FOREIGN_BYTE = os.fsdecode(b"\xff")
# Loaded by the interpreter before the command: an interrupt comes while it imports a module.
INTERRUPT = """
import sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "{module}":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder)
"""


def shell(line: str, *words: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `"$@"` stands for a command of ours."""
    return subprocess.run(
        ["bash", "-c", line, "bash", COMMAND, *map(str, words)],
        capture_output=True,
        env=os.environ | environment,
        timeout=120,
    )


def config(content: bytes | None = None) -> Path:
    path = Path(os.environ["XDG_CONFIG_HOME"], "rocov2-eval/config.toml")
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    return path


# ---- streams


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-16"])
def test_what_a_stream_cannot_encode_ends_no_command(encoding: str, concept_run: Path) -> None:
    run = Path("\u4e2d\u2264.csv")
    run.write_bytes(concept_run.read_bytes())
    done = shell('"$@"', "score", run, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (ExitCode.OK, b"")
    # click takes a stream of ASCII for one of UTF-8 whose variables are not set
    text = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    shown = str(run) if encoding in ("ascii", "utf-16") else r"\u4e2d<=.csv"
    assert text.startswith(f"{shown}: concepts, ")


def test_our_own_symbols_become_words_and_others_their_code_points() -> None:
    assert "a… ≤ \u4e2d\udcff".encode("ascii", READABLE) == rb"a... <= \u4e2d\udcff"


def test_json_is_utf8_whatever_the_terminal_takes(concept_run: Path) -> None:
    run = Path("ra\u0308ntgen.csv")
    run.write_bytes(concept_run.read_bytes())
    done = shell('"$@"', "score", run, "--format", "json", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout.decode("utf-8"))["inputs"]["run"]["path"] == str(run)


@pytest.mark.parametrize(
    ("streams", "code", "message"),
    [
        (">&-", ExitCode.MISSING_RESOURCE, b"Error: stdout: Bad file descriptor"),
        (">/dev/full", ExitCode.MISSING_RESOURCE, b"Error: stdout: No space left on device"),
        ("2>&-", ExitCode.OK, b""),
        ("2>/dev/full", ExitCode.OK, b""),
        ("<&-", ExitCode.OK, b""),
        ("<&- >&- 2>&-", ExitCode.MISSING_RESOURCE, b""),
    ],
)
def test_a_stream_that_takes_nothing_ends_with_an_exit_code_of_the_table(
    streams: str, code: int, message: bytes
) -> None:
    done = shell(f'"$@" {streams}', "explain")
    assert (done.returncode, done.stderr[: len(message)]) == (code, message)
    assert b"Traceback" not in done.stderr


def test_a_closed_stdout_does_not_let_the_answer_run_into_a_file(concept_run: Path) -> None:
    done = shell('"$@" >&-', "score", concept_run, "-o", "answer.json", "--format", "json")
    assert done.returncode == ExitCode.OK
    assert json.loads(Path("answer.json").read_text(encoding="utf-8"))["task"] == "concepts"


def test_a_reader_that_left_does_not_turn_a_rejection_into_a_success(short_run: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, "validate", short_run], stdout=writing, stderr=subprocess.PIPE, timeout=120
    )
    os.close(writing)
    assert done.returncode == ExitCode.INPUT_REJECTED


# ---- names


@pytest.mark.parametrize("style", FORMATS)
def test_a_file_name_of_foreign_bytes_stands_in_every_format(
    style: str, call: Call, concept_run: Path
) -> None:
    run = Path(f"r{FOREIGN_BYTE}.csv")
    run.write_bytes(concept_run.read_bytes())
    out = Path(f"out{FOREIGN_BYTE}")
    assert call("score", run, "--format", style, "-o", out, "--page", "page.html").code == ExitCode.OK
    text = out.read_text(encoding="utf-8")
    if style == "json":
        assert json.loads(text)["inputs"]["run"]["path"] == r"r\udcff.csv"
        assert not re.search("[\ud800-\udfff]", json.dumps(json.loads(text), ensure_ascii=False))
    assert "udcff" in text or style in ("csv", "latex")
    assert "udcff" in Path("page.html").read_text(encoding="utf-8")


# ---- environment and config file


@pytest.mark.parametrize("value", ["~nosuchuser", "/nope", "nope/x", "/dev/null", "/" + "a" * 5000])
@pytest.mark.parametrize("name", ["ROCOV2_DATA", "XDG_CONFIG_HOME", "ROCOV2_CACHE", "XDG_DATA_HOME", "HOME"])
def test_no_value_of_a_variable_ends_a_command_in_a_traceback(
    name: str, value: str, call: Call, concept_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "HOME":
        monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv(name, value)
    answer = call("score", concept_run)
    assert answer.code in (ExitCode.OK, ExitCode.USAGE, ExitCode.MISSING_RESOURCE)
    assert answer.code or name != "ROCOV2_DATA"


@pytest.mark.parametrize("value", ["/nope", "~nosuchuser/x", "empty"])
def test_a_dataset_that_a_variable_names_is_not_replaced_by_the_sample(
    value: str, call: Call, concept_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty").mkdir()
    monkeypatch.setenv("ROCOV2_DATA", value)
    answer = call("score", concept_run)
    assert (answer.code in (ExitCode.USAGE, ExitCode.MISSING_RESOURCE), answer.out) == (True, "")
    assert value in answer.err
    assert "ROCOV2_DATA" in answer.err


def test_an_empty_variable_counts_as_none(
    call: Call, concept_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROCOV2_DATA", "ROCOV2_CACHE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "")
    Path("rocov2-eval").mkdir()
    Path("rocov2-eval/config.toml").write_text('data = "/nope"', encoding="utf-8")
    assert call("score", concept_run).code == ExitCode.OK


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"data = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b".".join([b"a"] * 5000) + b" = 1", "nested more than"),
        (b"data = " + b"1" * 5000, "a number of too many digits"),
        (b"data = 0x" + b"f" * 5000, "a number of too many digits"),
        (b"data = 1979-05-27", "expected a line such as data ="),
        (b"data = '\xff'", "byte 0xff is not UTF-8"),
        (b'data = "a\\u0000b"', "expected a path"),
        (b'data = ""', "expected a path"),
        (b'data = "~nosuchuser/x"', "that user has no home folder"),
        (b"#" * (1 << 21), "more than 1,048,576 bytes"),
    ],
    ids=["nested", "dotted", "long", "hexadecimal", "date", "latin-1", "NUL", "empty", "home", "huge"],
)
def test_a_hostile_config_file_is_a_message(
    content: bytes, complaint: str, call: Call, concept_run: Path
) -> None:
    config(content)
    answer = call("score", concept_run)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert complaint in answer.err


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/nope"), lambda path: path.symlink_to(path)],
    ids=["folder", "pipe", "dangling link", "loop"],
)
def test_a_config_file_that_is_no_file_is_not_passed_over(
    make: Callable[[Path], None], call: Call, concept_run: Path
) -> None:
    make(config())
    answer = call("score", concept_run)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "config.toml: " in answer.err


# ---- which truth was used


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_says_which_truth_was_used(style: str, call: Call, concept_run: Path) -> None:
    for words in (["score", concept_run], ["compare", concept_run, concept_run]):
        out = call(*words, "--format", style).out
        assert "valid_concepts.csv" in out.replace("\\_", "_") or (style, words[0]) == ("github", "compare")


# ---- signals


@pytest.mark.parametrize("script", ["rocov2-eval", "rocov2-build", "rocov2-baselines"])
@pytest.mark.parametrize("module", ["rocov2_eval.command", "click", "rocov2_eval.errors"])
def test_an_interrupt_during_the_first_imports_ends_in_silence(script: str, module: str) -> None:
    Path("early").mkdir()
    Path("early/sitecustomize.py").write_text(INTERRUPT.format(module=module), encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(Path("early").resolve()), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [SCRIPTS / script, "--help"], capture_output=True, env=os.environ | {"PYTHONPATH": path}, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_command_ends_with_143_and_without_traceback(number: signal.Signals) -> None:
    os.mkfifo("run.csv")
    with (
        subprocess.Popen([COMMAND, "score", "run.csv"], stdout=-1, stderr=-1) as process,
        Path("run.csv").open("wb"),  # opens once the command reads
    ):
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (ExitCode.TERMINATED, b"", b"terminated")
