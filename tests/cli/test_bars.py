"""The bar of a CI job, and the exit code below it: `score --min`, `--baseline`, `compare --fail-if-worse`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode

Call = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def other_run(runs: Path) -> Path:
    """Return a run of the same images that scores less."""
    return runs / "most-frequent/run.csv"


@pytest.fixture
def baseline(call: Call, concept_run: Path) -> Path:
    """Return the result of a run as the command writes it."""
    assert call("score", concept_run, "--format", "json", "-o", "result.json").code == ExitCode.OK
    return Path("result.json")


def answers(name: str, count: int, cell: str) -> Path:
    Path(name).write_text(
        "ID,CUIs\n" + "".join(f"image_{i},{cell}\n" for i in range(count)), encoding="utf-8"
    )
    return Path(name)


def test_a_score_that_reaches_its_minimum_changes_nothing(call: Call, concept_run: Path) -> None:
    plain = call("score", concept_run)
    assert call("score", concept_run, "--min", "concept_f1 = 0.3335", "--min", "concept_f1_manual=0") == plain


def test_the_real_command_ends_with_4_below_a_minimum_after_the_whole_answer(
    command: Call, concept_run: Path
) -> None:
    answer = command("score", concept_run, "--min", "concept_f1=0.9", "--min", "concept_recall=0.3")
    assert (answer.code, answer.out) == (ExitCode.BAR_NOT_MET, command("score", concept_run).out)
    assert answer.err == "Error: the bar is not met: concept_f1 is 0.3335; expected 0.9000 or more\n"


def test_the_log_of_the_page_is_what_a_job_shows(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/compare.md").read_text(encoding="utf-8")
    jobs = re.findall(r"^\$ rocov2-eval (.*)\n((?:::.*\n)+)exit code (\d)$", page, re.MULTILINE)
    assert [int(code) for _, _, code in jobs] == [ExitCode.OK, ExitCode.BAR_NOT_MET]
    for words, log, code in jobs:
        answer = call(*words.split())
        assert (answer.out, answer.code) == (log, int(code))


def test_a_mean_that_is_shown_like_its_minimum_is_told_apart_from_it(call: Call, concept_run: Path) -> None:
    answer = call("score", concept_run, "--min", "concept_f1=0.33352")
    assert answer.code == ExitCode.BAR_NOT_MET
    assert "concept_f1 is 0.33352; expected" not in answer.err
    assert "concept_f1 is 0.333516; expected 0.333520 or more" in answer.err


def test_a_minimum_counts_in_every_format_and_in_a_file(call: Call, concept_run: Path) -> None:
    for style in ("text", "json", "markdown", "csv", "latex", "github"):
        answer = call("score", concept_run, "--min", "concept_f1=1", "--format", style, "-o", "answer")
        assert (answer.code, answer.out) == (ExitCode.BAR_NOT_MET, "")
        assert Path("answer").stat().st_size


def test_github_is_shown_an_error_for_each_score_below_its_bar(call: Call, concept_run: Path) -> None:
    bars = ("--min", "concept_f1=0.9", "--min", "concept_recall=0.8")
    lines = call("score", concept_run, *bars, "--format", "github").out.splitlines()
    start = f"::error file={concept_run},title=The bar is not met::"
    assert [line.removeprefix(start) for line in lines if line.startswith("::error")] == [
        "concept_f1 is 0.3335; expected 0.9000 or more",
        "concept_recall is 0.3795; expected 0.8000 or more",
    ]


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        ("concept_f2=0.5", "no score 'concept_f2'; did you mean concept_f1?"),
        ("concept_f1", "expected a number from 0 to 1 after concept_f1="),
        ("concept_f1=33", "expected a number from 0 to 1"),
        ("concept_f1=nan", "expected a number from 0 to 1"),
        ("bleurt=inf", "expected a number from -inf to inf"),
        ("rouge1=0.1", "not computed for"),
    ],
)
def test_a_bar_that_nothing_can_be_held_against_is_a_wrong_command_line(
    call: Call, concept_run: Path, bar: str, message: str
) -> None:
    answer = call("score", concept_run, "--min", bar)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert message in answer.err


def test_a_run_that_is_as_good_as_its_baseline_passes(call: Call, concept_run: Path, baseline: Path) -> None:
    assert call("score", concept_run, "--baseline", baseline).code == ExitCode.OK


def test_a_run_below_its_baseline_ends_with_4_unless_the_tolerance_allows_it(
    call: Call, other_run: Path, baseline: Path
) -> None:
    answer = call("score", other_run, "--baseline", baseline)
    assert answer.code == ExitCode.BAR_NOT_MET
    assert "concept_f1 is 0.2696; result.json has 0.3335, and the tolerance is 0.001" in answer.err
    assert "concept_recall" not in answer.err  # a main score alone decides
    assert call("score", other_run, "--baseline", baseline, "--tolerance", "0.3").code == ExitCode.OK


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("edition",), "imageclef-2024", "its edition is imageclef-2024, expected rocov2"),
        (("split",), "test", "its split is test, expected valid"),
        (("inputs", "truth", 0, "sha256"), "0" * 64, "its truth differs from "),
        (("metrics", "concept_f1", "signature"), "concept_f1|rev:0", "concept_f1 has the signature"),
        (("metrics", "concept_f1", "signature"), "no signature", "concept_f1 has the signature"),
        (("metrics", "concept_f1", "n"), 12, "concept_f1 was computed on 12 images there and on 13 here"),
        (("metrics",), {}, "it contains no score"),
    ],
)
def test_a_baseline_of_other_rules_or_images_is_refused(
    call: Call, concept_run: Path, baseline: Path, *, place: tuple[Any, ...], value: object, reason: str
) -> None:
    data = json.loads(baseline.read_text(encoding="utf-8"))
    held = data
    for key in place[:-1]:
        held = held[key]
    held[place[-1]] = value
    baseline.write_text(json.dumps(data), encoding="utf-8")
    answer = call("score", concept_run, "--baseline", baseline)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert f"--baseline result.json: not comparable with {concept_run}: {reason}" in answer.err


def test_a_baseline_of_another_version_of_the_package_counts(
    call: Call, concept_run: Path, baseline: Path
) -> None:
    text = baseline.read_text(encoding="utf-8")
    baseline.write_text(text.replace("|v:", "|v:0"), encoding="utf-8")
    assert call("score", concept_run, "--baseline", baseline).code == ExitCode.OK


@pytest.mark.parametrize("content", ["", "{}", "[]", "\xff", '{"metrics": {"concept_f1": {"mean": NaN}}}'])
def test_a_file_that_is_no_result_is_rejected(call: Call, concept_run: Path, content: str) -> None:
    Path("bad.json").write_text(content, encoding="latin-1")
    answer = call("score", concept_run, "--baseline", "bad.json")
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert "bad.json" in answer.err


@pytest.mark.parametrize("tolerance", ["nan", "-1", "2"])
def test_a_tolerance_lets_no_run_through_that_should_fail(
    call: Call, other_run: Path, baseline: Path, tolerance: str
) -> None:
    answer = call("score", other_run, "--baseline", baseline, "--tolerance", tolerance)
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")


def test_a_run_that_is_shown_to_be_worse_ends_with_4_and_the_better_one_with_0(call: Call) -> None:
    truth = answers("valid_concepts.csv", 30, "C0040405")
    good, bad = answers("good.csv", 30, "C0040405"), answers("bad.csv", 30, "C1306645")
    compare = ("compare", "--truth", truth, "--fail-if-worse")
    answer = call(*compare, good, bad, "--format", "github")
    assert answer.code == ExitCode.BAR_NOT_MET
    assert (
        "::error title=The bar is not met::bad.csv is worse than good.csv: concept_f1 -1.0000" in answer.out
    )
    assert call(*compare, bad, good).code == ExitCode.OK


def test_too_few_images_to_show_anything_do_not_let_a_lower_run_through(call: Call) -> None:
    truth = answers("valid_concepts.csv", 3, "C0040405")
    good, bad = answers("good.csv", 3, "C0040405"), answers("bad.csv", 3, "C1306645")
    answer = call("compare", "--truth", truth, "--fail-if-worse", good, bad)
    assert answer.code == ExitCode.BAR_NOT_MET
    assert "bad.csv may be worse than good.csv: concept_f1 -1.0000; too few images (3) to show" in answer.err


def test_a_result_with_scores_above_1_can_be_a_baseline(call: Call) -> None:
    text = "a|a dog on the left lung\nb|no cat in the right lung\n"
    for name in ("valid_captions.csv", "run.csv"):
        Path(name).write_text(text, encoding="utf-8")
    words = ("score", "run.csv", "--truth", "valid_captions.csv", "--edition", "imageclef-2023")
    words += ("--metric", "cider")
    assert call(*words, "--format", "json", "-o", "result.json").code == ExitCode.OK
    assert json.loads(Path("result.json").read_text(encoding="utf-8"))["metrics"]["cider"]["mean"] > 1
    assert call("validate", "result.json").code == ExitCode.OK
    assert call(*words, "--baseline", "result.json").code == ExitCode.OK
