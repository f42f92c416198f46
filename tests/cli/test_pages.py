"""README and docs: every block of commands runs or names what it needs, and every option in it exists.

A block of commands is fenced as `bash`. The blocks of a page run from top to bottom, in one shell and one
fresh folder. `<!-- needs: ... -->` on the line before a block exempts it and names what a test does not have.
`<!-- after: PAGE -->` runs the blocks of another page first. Installations are left out, and `# exit code 1`
at the end of a line expects another exit code than 0.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from baselines.cli.app import app as baselines
from dataset_builder.cli.app import app as build
from rocov2_eval.cli.app import app as evaluate

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "submissions/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
Call = Callable[..., Any]
PROGRAMS: dict[str, click.Group] = {
    "rocov2-eval": evaluate,
    "rocov2-build": build,
    "rocov2-baselines": baselines,
}
NEEDS = ("the network", "a GPU", "Docker", "Label Studio", "your own data")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
AFTER = re.compile(r"<!-- after: (.+) -->")
MARK = re.compile(r"<!-- needs: (.+) -->\s*\Z")
COMMAND = re.compile(rf"(?<![-\w/.])(?:{'|'.join(PROGRAMS)}) [^`|;&\n#<>)\\]*")
INSTALLATION = re.compile(r"^ *(python3\.11 -m venv|\. \.venv/|pip install)")
EXPECTED_CODE = re.compile(r"^(\w.*?) +#.*exit code (\d+)$")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of commands of a page, without the indentation of its fence."""

    page: str
    line: int
    needs: str
    text: str


def blocks_of(path: Path) -> Iterator[Block]:
    """Yield the blocks of commands of a page."""
    page = path.read_text(encoding="utf-8")
    for fence in FENCE.finditer(page):
        if fence[2] == "bash":
            mark = MARK.search(page[: fence.start()])
            yield Block(
                page=name_of(path),
                line=page.count("\n", 0, fence.start()) + 2,
                needs=mark[1] if mark else "",
                text=re.sub(rf"^{fence[1]}", "", fence[3], flags=re.MULTILINE),
            )


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def named(block: Block) -> str:
    return f"{block.page}:{block.line}"


# ---- every block runs


def script_of(page: str) -> str:
    """Return the commands of a page that can run here; an expected exit code other than 0 is in a comment."""
    earlier = AFTER.search((ROOT / page).read_text(encoding="utf-8"))
    lines = [script_of(earlier[1])] if earlier else ["set -euo pipefail"]
    for block in BLOCKS:
        if block.page == page and not block.needs:
            lines += [f"echo '---- line {block.line}' >&2", *map(_checked, block.text.splitlines())]
    return "\n".join(lines) + "\n"


def _checked(line: str) -> str:
    """Return a line that fails if its exit code is not the expected one; installations are left out."""
    if match := EXPECTED_CODE.match(line):
        return f"code=0; {match[1]} || code=$?; test $code = {match[2]}"
    kept = [part for part in line.split("&&") if not INSTALLATION.match(part)]
    return "&&".join(part for part in kept if part.strip())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with the part of a clone that pages use."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "submissions", folder / "submissions", ignore=shutil.ignore_patterns("scores.*"))
    return folder


@pytest.mark.slow
@pytest.mark.encoder
@pytest.mark.parametrize("page", dict.fromkeys(block.page for block in BLOCKS if not block.needs))
def test_the_commands_of_a_page_run_from_top_to_bottom(page: str, clone: Path) -> None:
    scripts = sysconfig.get_path("scripts")
    done = subprocess.run(
        ["bash", "-c", script_of(page)],
        cwd=clone,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("page", ["docs/tutorials/participant.md", "docs/compare.md"])
def test_the_first_answer_on_a_page_is_what_its_command_prints(page: str, clone: Path, call: Call) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = next(fence[3] for fence in FENCE.finditer(text) if fence[2] in {"", "text"})
    command = next(block for block in BLOCKS if block.page == page and "rocov2-eval" in block.text)
    with contextlib.chdir(clone):
        answer = call(*shlex.split(command.text)[1:])
    assert shown in answer.out


def test_the_first_python_of_the_page_on_the_api_runs(sample: Path, runs: Path) -> None:
    shutil.copytree(sample, "rocov2")
    shutil.copy(runs / "most-frequent/run.csv", "baseline.csv")
    shutil.copy(runs / "nearest-picture/run.csv", "run.csv")
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    known: dict[str, Any] = {}
    exec(next(fence[3] for fence in FENCE.finditer(text) if fence[2] == "python"), known)  # noqa: S102
    assert known["report"].metrics["concept_f1"].mean > 0


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f"]({page})" not in index] == ["index.md"]


def test_every_block_that_does_not_run_names_what_it_needs() -> None:
    assert [named(block) for block in BLOCKS if block.needs and block.needs not in NEEDS] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_in_blocks_of_bash_alone(page: Path) -> None:
    rest = FENCE.sub(lambda fence: "" if fence[2] == "bash" else fence[3], page.read_text(encoding="utf-8"))
    assert re.findall(rf"^ *(?:{'|'.join(PROGRAMS)}|pip) .*$", rest, re.MULTILINE) == []


# ---- every command and option exists


def calls_in(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of a program on a page, in blocks and in sentences."""
    for call in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
        yield shlex.split(re.split("[.,] ", call)[0])


def called(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that is called, and the rest of the words."""
    command: click.Command = PROGRAMS[words[0]]
    rest = words[1:]
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command = command.commands[rest[0]]
        rest = rest[1:]
    return command, rest


def fault_of(words: list[str]) -> str:
    """Return what click refuses in a call; arguments may be missing, as in a sentence."""
    command, rest = called(words)
    if command in PROGRAMS.values() and rest[:1] not in (["--help"], ["--version"]):
        return f"no command {rest[0]}"
    context = click.Context(command)
    try:
        values, _, parameters = command.make_parser(context).parse_args(rest)
        for parameter in parameters:
            if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Choice):
                given = values[str(parameter.name)]
                for value in given if isinstance(given, list) else [given]:
                    parameter.type.convert(value, parameter, context)
    except click.BadOptionUsage as fault:
        return "" if fault.message.endswith("requires an argument.") else fault.message
    except click.UsageError as fault:
        return fault.message
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    faults = {shlex.join(words): fault_of(words) for words in calls_in(page)}
    assert {call: fault for call, fault in faults.items() if fault} == {}


def test_a_command_or_option_that_does_not_exist_is_a_fault() -> None:
    calls = ("rocov2-eval scores run.csv", "rocov2-build run --until end", "rocov2-eval score --mean 1")
    assert all(fault_of(shlex.split(call)) for call in calls)


def leaves(command: click.Command) -> Iterator[click.Command]:
    """Yield the commands that do something by themselves."""
    if not isinstance(command, click.Group) or command.params:
        yield command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from leaves(child)


def test_every_command_is_on_a_page() -> None:
    shown = [called(words)[0] for page in PAGES for words in calls_in(page)]
    known = [each for app in PROGRAMS.values() for child in app.commands.values() for each in leaves(child)]
    assert [each.name for each in known if each not in shown] == []
