"""README.md: every command line of it runs, and its tables say what the code says."""

from __future__ import annotations

import re
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import ExitCode

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
# What cannot be had without the network ends with 3, for this reason; everything else ends with 0.
UNREACHABLE = {
    "rocov2-eval models fetch imageclef-2026": "downloads the official weights from the hub",
    "rocov2-eval embed-images rocov2/test -o vectors.npz": "needs the official weights",
}


def command_lines() -> Iterator[str]:
    """Yield the command lines of README's shell blocks and of its inline code, each once."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`(rocov2-eval [^`\n]+)`", prose)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    yield from dict.fromkeys(
        [*(shlex.join(line) for line in words if line[:1] == ["rocov2-eval"]), *map(str.strip, spans)]
    )


LINES = [
    pytest.param(line, marks=pytest.mark.encoder if "--encoder" in line else ()) for line in command_lines()
]


def table(heading: str) -> list[list[str]]:
    """Return the cells of the rows of the table whose header starts with a word."""
    rows = README[README.index(f"\n| {heading} |") :].strip().partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.fixture
def reader(sample: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand where a reader of README stands: in the repository, with a dataset and a run."""
    shutil.copytree(sample, "rocov2")
    shutil.copy(runs / "most-frequent/run.csv", "baseline.csv")
    shutil.copytree(runs, "submissions/example-team")
    shutil.copy(runs / "nearest-picture/run.csv", "run.csv")
    for name in ("submission.json", "result.json"):
        shutil.copy(runs / "nearest-picture" / name, name)
    _write_weights(Path("BLEURT-20-D12"))
    monkeypatch.setenv("COLUMNS", "80")
    return Path.cwd()


def _write_weights(folder: Path) -> None:
    """Write files that have the names and outer form of a BLEURT."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "spm.model").write_text("pieces")
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("data.pkl", "tensors")


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_works(line: str, reader: Path, request: pytest.FixtureRequest) -> None:
    assert reader.is_dir()
    expected = ExitCode.MISSING_RESOURCE if line in UNREACHABLE else ExitCode.OK
    # The hub's library asks the environment whether to go online once only: that needs a process of its own.
    run = request.getfixturevalue("command" if line in UNREACHABLE else "call")
    answer = run(*shlex.split(line)[1:])
    assert answer.code == expected, answer.err
    assert (line in UNREACHABLE) == ("Error: " in answer.err)


def test_the_readme_has_command_lines_of_score_and_of_validate() -> None:
    """A parser that finds nothing would make the test above pass."""
    lines = list(command_lines())
    assert sum(line.startswith("rocov2-eval score ") for line in lines) >= 6
    assert sum(line.startswith("rocov2-eval validate ") for line in lines) >= 3


def test_every_unreachable_line_still_stands_in_the_readme() -> None:
    assert set(command_lines()) >= set(UNREACHABLE)


def test_the_first_line_of_an_answer_is_as_shown(call: Callable[..., Any], reader: Path) -> None:
    first = call("score", "submissions/example-team/nearest-picture/run.csv").out.splitlines()[0]
    assert reader.is_dir()
    assert f"\n```\n{first}\n" in README


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    assert [int(row[0]) for row in table("code")] == sorted(ExitCode)


def test_the_table_of_editions_names_every_edition() -> None:
    named = [name for row in table("edition") for name in re.findall(r"`(.+?)`", row[0])]
    assert named == list(EDITIONS)


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_the_table_of_editions_says_which_scores_an_edition_has(edition: Any) -> None:
    _, concepts, captions = next(row for row in table("edition") if f"`{edition.name}`" in row[0])
    assert ("`concept_f1_manual`" in concepts) == bool(edition.concepts.manual_cuis)
    assert ("`bleu`" in captions) == (edition.primary("captions") == "bleu")
    assert ("idf" in captions) == edition.captions.idf
