"""The way in from Python: it answers what the commands answer, and its import costs nothing."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import rocov2_eval
from rocov2_eval import editions, frames, front_door
from rocov2_eval.cli import invoke
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.report_document import result_data

RUNS = Path(__file__).resolve().parents[2] / "submissions/example-team"
CONCEPTS, CAPTIONS = RUNS / "nearest-picture/run.csv", RUNS / "nearest-caption/run.csv"


@pytest.mark.parametrize("module", [editions, frames, front_door], ids=lambda module: module.__name__)
def test_the_examples_of_the_docstrings_are_right(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert (outcome.failed, outcome.attempted > 0) == (0, True)


@pytest.mark.parametrize("name", rocov2_eval.__all__)
def test_every_name_of_the_package_is_there(name: str) -> None:
    assert getattr(rocov2_eval, name).__name__ == name
    assert name in dir(rocov2_eval)


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        rocov2_eval.scores  # type: ignore[attr-defined]  # noqa: B018


def test_the_import_of_the_package_loads_no_other_module_of_it() -> None:
    line = "import sys, rocov2_eval; print([name for name in sys.modules if name.startswith('rocov2_eval.')])"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_score_returns_what_the_command_prints(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = rocov2_eval.score(CONCEPTS, sample, by=["modality"], edition="imageclef-2025")
    words = ["--truth", str(sample), "--by", "modality", "--edition", "imageclef-2025", "--format", "json"]
    assert invoke(["score", str(CONCEPTS), *words]) == 0

    expected = json.loads(capsys.readouterr().out)
    assert expected == json.loads(json.dumps(result_data(report)))


def test_validate_returns_findings_of_whatever_kind_of_file(sample: Path, tmp_path: Path) -> None:
    broken, document = tmp_path / "run.csv", tmp_path / "submission.json"
    broken.write_text("only one cell a row\n", encoding="utf-8")
    document.write_text("{}", encoding="utf-8")

    assert rocov2_eval.validate(CONCEPTS, sample) == ()
    assert [item.code for item in rocov2_eval.validate(broken, sample)] == ["R007"]
    assert {item.code for item in rocov2_eval.validate(document)} == {"R601"}


def test_compare_scores_no_run_where_one_is_rejected(sample: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("".join(CONCEPTS.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), "utf-8")

    with pytest.raises(RejectedInput) as caught:
        rocov2_eval.compare([CONCEPTS, short], sample)
    assert {item.path for item in caught.value.findings} == {str(short)}


def test_the_traceback_of_a_rejected_run_shows_what_was_found() -> None:
    with pytest.raises(RejectedInput) as caught:
        rocov2_eval.score({"x": "C0040405", "y": "C1"}, {"a": "C0040405", "b": "C0000001"})
    assert "run:1: R104 'x' is not an image of the truth" in caught.value.__notes__


def test_compare_refuses_a_mapping_of_runs() -> None:
    with pytest.raises(UsageFault, match="runs is a mapping, expected a list of runs"):
        rocov2_eval.compare({"a": {"x": "C1"}, "b": {"x": "C1"}}, {"x": "C1"})  # type: ignore[arg-type]


def test_compare_takes_more_trials_where_many_runs_need_them(sample: Path) -> None:
    compared = rocov2_eval.compare([CONCEPTS] * 33, sample, metrics=["concept_f1"], by=["region"])

    assert compared.options.pairs.trials == 2 * 33 * 32 // 2 * 20
    assert [note for note in compared.notes if "trials" in note] == []


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"edition": "imageclef-2052"}, "no edition 'imageclef-2052', expected one of rocov2, 2017, "),
        ({"task": "caption"}, "no task 'caption'; did you mean captions?"),
        ({"split": "validation"}, "no split 'validation'; did you mean valid?"),
        ({"device": "tpu"}, "no device 'tpu'; did you mean cpu?"),
        ({"precision": "fp8"}, "no precision 'fp8'; "),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"by": ["modalty"]}, "--by modalty: did you mean modality?"),
        (
            {"metrics": ["rouge"]},
            "--metric rouge: captions have this score, but the run contains concepts; ",
        ),
        ({"concept_model": "pack.zip", "edition": "imageclef-2024", "task": "captions"}, "has no umls_f1"),
    ],
)
def test_choices_that_do_not_fit_are_refused_with_what_would(
    choices: dict[str, object], message: str, sample: Path
) -> None:
    run = CAPTIONS if "task" in choices else CONCEPTS
    with pytest.raises(UsageFault, match=message.replace("?", r"\?")):
        rocov2_eval.score(run, sample, **choices)  # type: ignore[arg-type]


def test_a_truth_that_does_not_exist_is_a_missing_resource(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="no truth found"):
        rocov2_eval.score(CONCEPTS, tmp_path / "nowhere")


def test_a_negative_number_of_examples_is_refused(sample: Path) -> None:
    with pytest.raises(UsageFault, match="examples is -1, expected a number of images"):
        rocov2_eval.compare([CONCEPTS, CONCEPTS], sample, examples=-1)


def test_a_run_that_cannot_be_read_is_named_in_the_exception(sample: Path, tmp_path: Path) -> None:
    not_utf8 = tmp_path / "run.csv"
    not_utf8.write_bytes(b"a,C1\nb,\xff\n")

    with pytest.raises(RejectedInput, match=r"nowhere\.csv: No such file"):
        rocov2_eval.score(tmp_path / "nowhere.csv", sample)
    with pytest.raises(RejectedInput, match=r"run\.csv:2: byte 0xff"):
        rocov2_eval.score(not_utf8, sample)
