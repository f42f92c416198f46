"""`rocov2-eval compare`: its options, its three formats, its exit codes, and what its page says of it."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from rocov2_eval import front_door
from rocov2_eval.cli.compare import compare
from rocov2_eval.errors import ExitCode, RejectedInput
from rocov2_eval.resampling import Bootstrap, resampled_columns
from rocov2_eval.schemas import schema

import concept_pack

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/compare.md").read_text(encoding="utf-8")
Call = Callable[..., Any]
Documented = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def other_run(runs: Path) -> Path:
    """Return another faultless concept run of the same images."""
    return runs / "most-frequent/run.csv"


@pytest.fixture
def third_run(concept_run: Path) -> Path:
    """Return a run that answers CT for each of them."""
    ids = [line.split(",")[0] for line in concept_run.read_text(encoding="utf-8").splitlines()[1:]]
    Path("third.csv").write_text(
        "ID,CUIs\n" + "".join(f"{image_id},C0040405\n" for image_id in ids), encoding="utf-8"
    )
    return Path("third.csv")


@pytest.fixture
def other_captions(caption_run: Path) -> Path:
    """Return a caption run that says one thing of each image."""
    with caption_run.open(encoding="utf-8", newline="") as file:
        ids = [row[0] for row in csv.reader(file)][1:]
    Path("captions.csv").write_text(
        "ID,Caption\n" + "".join(f"{image_id},CT of the chest\n" for image_id in ids), encoding="utf-8"
    )
    return Path("captions.csv")


@pytest.fixture
def document(call: Call) -> Documented:
    """Return a function that compares runs and reads the JSON of it."""

    def read(*arguments: object) -> dict[str, Any]:
        answer = call("compare", *arguments, "--format", "json")
        assert answer.code == ExitCode.OK, answer.err
        loaded: dict[str, Any] = json.loads(answer.out)
        return loaded

    return read


@pytest.fixture
def bare_truth(sample: Path) -> Path:
    """Return the bundled dataset without its manual concepts."""
    shutil.copytree(sample, "bare", ignore=shutil.ignore_patterns("*.jpg", "*_manual.csv"))
    return Path("bare")


def of_images(call: Call, run: Path) -> dict[str, list[float]]:
    """Return the columns of the per-image file that `score` writes."""
    assert call("score", run, "--per-image", "scores.csv", "-q").code == ExitCode.OK
    with Path("scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0] if name != "image_id"}


# ---- what is compared


@pytest.mark.parametrize("metric", ["concept_f1", "concept_f1_manual"])
def test_a_difference_is_that_of_the_scores_that_score_writes(
    metric: str, call: Call, document: Documented, concept_run: Path, other_run: Path
) -> None:
    a, b = (np.array(of_images(call, run)[metric]) for run in (concept_run, other_run))
    pair = next(
        item for item in document(concept_run, other_run, "--seed", 5)["pairs"] if item["metric"] == metric
    )

    drawn = resampled_columns((b - a)[:, None], Bootstrap(seed=5))[:, 0]
    expected = [float(b.mean() - a.mean()), *np.quantile(drawn, [0.025, 0.975])]
    assert pytest.approx(expected, abs=1e-9) == [pair["difference"], pair["low"], pair["high"]]
    assert len(a) == pair["n"]


def test_the_means_and_their_intervals_are_those_of_score(
    call: Call, document: Documented, concept_run: Path, other_run: Path
) -> None:
    runs = document(concept_run, other_run)["runs"]

    scored = json.loads(call("score", concept_run, "--format", "json").out)["metrics"]["concept_f1"]
    del scored["signature"]
    assert scored == runs[0]["metrics"]["concept_f1"]
    assert list(runs[0]["metrics"]) == ["concept_f1", "concept_f1_manual"]


def test_each_run_is_scored_once(
    call: Call, concept_run: Path, other_run: Path, third_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []
    evaluate = front_door.evaluate

    def counted(run: Any, *rest: Any) -> Any:
        scored.append(run.path)
        return evaluate(run, *rest)

    monkeypatch.setattr(front_door, "evaluate", counted)
    assert call("compare", concept_run, other_run, third_run).code == ExitCode.OK
    assert [str(run) for run in (concept_run, other_run, third_run)] == scored


def test_a_run_against_itself_has_no_difference_and_p_1(document: Documented, concept_run: Path) -> None:
    compared = document(concept_run, concept_run)

    for pair in compared["pairs"]:
        assert [pair[name] for name in ("difference", "low", "high")] == [0.0, 0.0, 0.0]
        assert [pair[name] for name in ("p_value", "p_holm", "p_bootstrap")] == [1.0, 1.0, 1.0]
        assert (pair["better"], pair["images"]) == (None, [])
    assert [run["name"] for run in compared["runs"]] == ["run.csv", "run.csv #2"]


def test_every_two_of_three_runs_are_a_pair_under_their_names(
    document: Documented, concept_run: Path, other_run: Path, third_run: Path
) -> None:
    pairs = document(concept_run, other_run, third_run, "--metric", "concept_f1")["pairs"]

    names = ["nearest-picture/run.csv", "most-frequent/run.csv", "third.csv"]
    expected = [(names[0], names[1]), (names[0], names[2]), (names[1], names[2])]
    assert expected == [(pair["a"], pair["b"]) for pair in pairs]


def test_a_zip_archive_is_compared_as_the_file_in_it(document: Documented, concept_run: Path) -> None:
    shutil.make_archive("run", "zip", concept_run.parent, "run.csv")
    pairs = document(concept_run, "run.zip")["pairs"]

    assert {0.0} == {pair["difference"] for pair in pairs}


# ---- options


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["concept_f1"], ["concept_f1"]),
        (["concept_recall"], ["concept_recall"]),
        (["concept_f1", "concept_recall"], ["concept_f1", "concept_recall"]),
    ],
    ids="+".join,
)
def test_metric_chooses_the_scores_to_compare_by(
    asked: list[str], expected: list[str], document: Documented, concept_run: Path, other_run: Path
) -> None:
    words = [word for name in asked for word in ("--metric", name)]
    compared = document(concept_run, other_run, *words)

    assert expected == [pair["metric"] for pair in compared["pairs"]] == list(compared["signatures"])


def test_metric_rouge_stands_for_rouge1_and_needs_no_model(
    document: Documented, caption_run: Path, other_captions: Path
) -> None:
    pairs = document(caption_run, other_captions, "--metric", "rouge")["pairs"]

    expected = ["rouge1"]
    assert expected == [pair["metric"] for pair in pairs]


@pytest.mark.slow
@pytest.mark.encoder
def test_captions_are_compared_by_the_main_scores_with_the_encoder_asked_for(
    document: Documented, caption_run: Path, other_captions: Path
) -> None:
    compared = document(caption_run, other_captions, "--encoder", "minilm", "-q")

    assert [pair["metric"] for pair in compared["pairs"]] == ["bertscore_f1", "rouge1"]
    assert compared["official"]["comparable"] is False
    assert compared["official"]["notes"] == [
        "BERTScore with encoder minilm is not comparable with official scores"
    ]


@pytest.mark.slow
def test_captions_are_compared_by_umls_f1_with_the_model_pack_asked_for(
    document: Documented, caption_run: Path, other_captions: Path, tmp_path: Path
) -> None:
    pack = concept_pack.make_pack(tmp_path)

    compared = document(caption_run, other_captions, "--metric", "umls_f1", "--concept-model", pack)

    assert [pair["metric"] for pair in compared["pairs"]] == ["umls_f1"]
    assert "|pack:small@" in compared["signatures"]["umls_f1"]


def test_metric_of_the_other_task_is_refused_with_what_is_offered(
    call: Call, concept_run: Path, other_run: Path
) -> None:
    answer = call("compare", concept_run, other_run, "--metric", "rouge1")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert (
        "--metric rouge1: captions have this score, but the run contains concepts; rocov2 has for"
        in answer.err
    )


def test_by_takes_the_place_of_modality_and_region(
    document: Documented, concept_run: Path, other_run: Path
) -> None:
    usual = document(concept_run, other_run)["pairs"][0]
    asked = document(concept_run, other_run, "--by", "concepts", "--by", "direction")["pairs"][0]

    assert list(usual["effects"]) == ["modality", "region"]
    assert list(asked["effects"]) == ["concepts", "direction"]


def test_captions_have_effects_by_the_manual_concepts_beside_them(
    document: Documented, caption_run: Path, other_captions: Path
) -> None:
    (pair,) = document(caption_run, other_captions, "--metric", "rouge1")["pairs"]

    assert {
        facet: sum(effect["images"] for effect in effects) for facet, effects in pair["effects"].items()
    } == {"modality": 13, "region": 13}


def test_a_truth_without_manual_concepts_has_no_effects_and_says_so(
    document: Documented, concept_run: Path, other_run: Path, bare_truth: Path
) -> None:
    compared = document(concept_run, other_run, "--truth", bare_truth)

    assert [pair["effects"] for pair in compared["pairs"]] == [{}]
    expected = [
        f"images are not grouped: there is no concepts_manual.csv beside {bare_truth}/valid_concepts.csv"
    ]
    assert expected == compared["notes"]
    assert list(compared["not_computed"]) == ["concept_f1_manual"]


def test_by_says_which_file_it_lacks_before_anything_is_scored(
    call: Call, concept_run: Path, other_run: Path, bare_truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_door, "evaluate", None)
    answer = call("compare", concept_run, other_run, "--truth", bare_truth, "--by", "region")

    assert answer.code == ExitCode.USAGE
    assert "Error: --by region requires the file concepts_manual.csv beside " in answer.err


@pytest.mark.parametrize("most", [0, 2])
def test_examples_says_how_many_images_are_named(
    most: int, call: Call, document: Documented, concept_run: Path, other_run: Path
) -> None:
    pairs = document(concept_run, other_run, "--examples", most)["pairs"]
    shown = call("compare", concept_run, other_run, "--examples", most).out

    assert {most} == {len(pair["images"]) for pair in pairs}
    assert (most > 0) is ("images that differ most" in shown)


def test_the_options_of_the_tests_are_told_in_the_answer(
    document: Documented, concept_run: Path, other_run: Path
) -> None:
    usual = {"trials": 10_000, "resamples": 1000, "level": 0.95, "alpha": 0.05, "seed": 20260101}
    assert usual == document(concept_run, other_run)["options"]
    assert {**usual, "seed": 7} == document(concept_run, other_run, "--seed", 7)["options"]


def test_one_seed_gives_one_answer_and_another_moves_intervals_alone(
    document: Documented, concept_run: Path, other_run: Path
) -> None:
    first, again, other = (document(concept_run, other_run, "--seed", seed)["pairs"][0] for seed in (7, 7, 8))

    assert first == again
    assert first["difference"] == other["difference"]
    assert (first["low"], first["high"]) != (other["low"], other["high"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", -1),
        ("--examples", -1),
        ("--by", "colour"),
        ("--format", "html"),
    ],
)
def test_a_value_out_of_range_is_a_wrong_command_line(
    option: str, value: object, call: Call, concept_run: Path, other_run: Path
) -> None:
    answer = call("compare", concept_run, other_run, option, value)

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert f"Invalid value for '{option}'" in answer.err


def test_the_edition_decides_what_can_be_compared(
    document: Documented, concept_run: Path, other_run: Path
) -> None:
    compared = document(concept_run, other_run, "--edition", "imageclef-2026", "--split", "valid")

    assert (compared["edition"], compared["split"]) == ("imageclef-2026", "valid")
    assert "C0920367" in compared["signatures"]["concept_f1_manual"]


def test_scores_of_the_edition_that_are_not_computed_are_named(
    call: Call, caption_run: Path, other_captions: Path
) -> None:
    shown = call("compare", caption_run, other_captions, "--edition", "imageclef-2026")

    assert shown.code == ExitCode.OK
    assert re.search(r"^Not computed: Overall \(needs .*AlignScore\)", shown.out, re.MULTILINE)
    assert re.search(r"^Not computed: MedCAT F1 \(needs a model pack", shown.out, re.MULTILINE)


# ---- formats


@pytest.mark.parametrize(
    "words", [(), ("--by", "concepts"), ("--examples", "0"), ("--metric", "concept_recall")]
)
def test_json_follows_the_schema(
    words: tuple[str, ...], document: Documented, concept_run: Path, other_run: Path, third_run: Path
) -> None:
    compared = document(concept_run, other_run, third_run, *words)

    assert list(Draft202012Validator(schema("comparison")).iter_errors(compared)) == []


def test_json_is_accepted_by_validate(call: Call, concept_run: Path, other_run: Path) -> None:
    call("compare", concept_run, other_run, "--format", "json", "--out", "comparison.json")
    answer = call("validate", "comparison.json")

    assert (
        answer.code,
        answer.out,
    ) == (ExitCode.OK, "SUMMARY comparison.json: PASSED, 0 errors, 0 warnings\n")


def test_text_has_a_table_of_runs_and_one_of_pairs(call: Call, concept_run: Path, other_run: Path) -> None:
    lines = call("compare", other_run, concept_run, "--metric", "concept_f1").out.splitlines()

    assert lines[0].startswith("2 runs: concepts, rocov2, valid split, 13 images; our own rules")
    assert "  A  most-frequent/run.csv" in [line[:26] for line in lines]
    (pair,) = [line.split() for line in lines if line.startswith("  B - A  ")]
    assert pair[:8] == ["B", "-", "A", "+0.0639", "[-0.0951,", "+0.2330]", "0.4631", "0.4631"]
    assert pair[8:] == ["not", "shown", "to", "differ"]


def test_text_has_groups_and_images_of_each_pair(call: Call, concept_run: Path, other_run: Path) -> None:
    shown = call("compare", concept_run, other_run).out

    for metric in ("concept_f1", "concept_f1_manual"):
        for part in (" by modality", " by region", ", images that differ most"):
            assert f"\n{metric}, B - A{part}\n" in shown


def test_markdown_has_the_same_rows_as_text(call: Call, concept_run: Path, other_run: Path) -> None:
    text = call("compare", concept_run, other_run).out
    markdown = call("compare", concept_run, other_run, "--format", "markdown").out

    cells = [
        " ".join(cell.strip() for cell in line.strip("|").split("|")).split()
        for line in markdown.splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    rows = [line.split() for line in lines if not line.startswith("  truth: ")]
    assert rows == cells
    assert "\n**concept_f1, B - A by modality**\n\n|  | images | difference | 95 % interval |\n" in markdown


@pytest.mark.parametrize("style", ["text", "json", "markdown"])
def test_output_takes_the_answer_and_leaves_stdout_empty(
    style: str, call: Call, concept_run: Path, other_run: Path
) -> None:
    expected = call("compare", concept_run, other_run, "--format", style).out
    answer = call("compare", concept_run, other_run, "--format", style, "--out", "new/answer")

    assert (answer.code, answer.out) == (ExitCode.OK, "")
    assert expected == Path("new/answer").read_text(encoding="utf-8")


# ---- what is refused


def test_a_single_run_is_a_wrong_command_line(call: Call, concept_run: Path) -> None:
    answer = call("compare", concept_run)

    expected = "Error: compare expects two runs or more: rocov2-eval compare RUN_A RUN_B\n"
    assert (ExitCode.USAGE, "", expected) == (answer.code, answer.out, answer.err)


def test_no_run_is_a_wrong_command_line(call: Call) -> None:
    answer = call("compare")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "Missing argument" in answer.err


def test_a_rejected_run_is_named_with_its_findings(call: Call, concept_run: Path, short_run: Path) -> None:
    answer = call("compare", concept_run, short_run)

    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert answer.err.startswith("short.csv: R105 1 of 13 images have no row: sample_valid_000017\n")
    assert answer.err.endswith("SUMMARY short.csv: REJECTED, 1 error, 0 warnings\n")
    assert str(concept_run) not in answer.err


def test_every_rejected_run_is_named_before_any_is_scored(
    call: Call, concept_run: Path, short_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_door, "evaluate", None)
    Path("odd.csv").write_text("only one cell a row\n", encoding="utf-8")
    answer = call("compare", concept_run, short_run, "odd.csv", "missing.csv", short_run, "-q")

    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    named = re.findall(r"^SUMMARY (\S+): REJECTED", answer.err, re.MULTILINE)
    assert named == ["short.csv", "odd.csv", "missing.csv"]
    assert {"R105", "R007", "R001"} == set(re.findall(r"^\S+: (R\d+) ", answer.err, re.MULTILINE))


@pytest.mark.parametrize("words", [(), ("--metric", "concept_f1")], ids=["usual", "metric"])
def test_runs_of_two_tasks_are_a_wrong_command_line(
    words: tuple[str, ...], call: Call, concept_run: Path, caption_run: Path
) -> None:
    answer = call("compare", concept_run, caption_run, *words)

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert answer.err.startswith(
        f"Error: {concept_run} contains concepts, but {caption_run} contains captions: "
    )


def test_runs_of_two_splits_are_a_wrong_command_line(call: Call, concept_run: Path, sample: Path) -> None:
    answer = call("compare", concept_run, sample / "test_concepts.csv")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "valid_concepts.csv, but " in answer.err
    assert answer.err.endswith("compare runs of one truth, or name it with --truth and --split\n")


def test_a_run_without_truth_ends_with_3(call: Call, concept_run: Path, foreign_run: Path) -> None:
    answer = call("compare", concept_run, foreign_run)

    assert (answer.code, answer.out) == (ExitCode.MISSING_RESOURCE, "")
    assert "no truth found for the concepts run foreign.csv" in answer.err


def test_a_missing_model_ends_with_3_and_the_command_that_fetches_it(
    call: Call, caption_run: Path, other_captions: Path
) -> None:
    answer = call("compare", caption_run, other_captions)

    assert (answer.code, answer.out) == (ExitCode.MISSING_RESOURCE, "")
    assert answer.err.startswith("Error: ")


def test_what_only_the_model_refuses_is_told_with_the_name_of_the_run(
    call: Call, concept_run: Path, other_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = front_door.evaluate

    def refuse(run: Any, *rest: Any) -> Any:
        if run.path == str(other_run):
            raise RejectedInput("a caption has 600 tokens")
        return evaluate(run, *rest)

    monkeypatch.setattr(front_door, "evaluate", refuse)
    answer = call("compare", concept_run, other_run)

    expected = f"Error: {other_run}: a caption has 600 tokens\n"
    assert (ExitCode.INPUT_REJECTED, expected) == (answer.code, answer.err)


@pytest.mark.parametrize(("words", "times"), [((), 1), (("-q",), 0)], ids=["loud", "quiet"])
def test_a_warning_about_the_truth_goes_to_stderr_once_unless_quiet(
    words: tuple[str, ...], times: int, call: Call, bare_truth: Path, concept_run: Path
) -> None:
    truth = bare_truth / "valid_concepts.csv"
    lines = truth.read_text(encoding="utf-8").splitlines()
    truth.write_text("\n".join([*lines[:-1], f"{lines[-1].split(',')[0]},"]), encoding="utf-8")
    copy = shutil.copy(concept_run, "copy.csv")
    answer = call("compare", concept_run, copy, "--truth", bare_truth, *words)

    assert answer.code == ExitCode.OK
    assert answer.err.count(": R502 warning: ") == times
    assert (times > 0) is (answer.err != "")


# ---- what its page says


def test_the_example_of_the_page_is_what_the_command_answers(
    call: Call, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs.is_dir()
    monkeypatch.chdir(ROOT)
    line, shown = re.findall(r"^```(?:bash)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[:2]
    answer = call(*shlex.split(line)[1:])

    assert (answer.code, answer.err) == (ExitCode.OK, "")
    assert answer.out.startswith(f"{shown}\n")


def test_the_page_describes_every_field_of_the_json() -> None:
    held = schema("comparison")
    parts = [held, *(held["$defs"][name] for name in ("pair", "metric", "effect", "image"))]
    fields = {name for part in parts for name in part["properties"]}

    assert [name for name in sorted(fields) if not re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE)] == []


def test_the_page_names_every_option() -> None:
    options = [param for param in compare.params if isinstance(param, click.Option)]
    shared = {"device", "encoder", "precision", "cache"}  # "those of BERTScore"
    names = [option.opts[-1] for option in options if option.name not in shared]

    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_table_of_options_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^\| `--([a-z]+)` \| `?([\w.]+)`? \|", PAGE, re.MULTILINE))
    defaults = {option.opts[0].removeprefix("--"): str(option.default) for option in compare.params}

    expected = {"examples", "seed", "format"}
    assert expected == set(shown)
    assert {name: defaults[name] for name in expected} == shown
