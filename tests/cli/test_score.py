"""`rocov2-eval score`: its options, its four formats, and where it finds the truth."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from jsonschema import Draft202012Validator

from rocov2_eval.editions import ALIASES, EDITIONS, edition_of
from rocov2_eval.errors import ExitCode
from rocov2_eval.schemas import schema
from rocov2_eval.shelf.extras import install_command

import concept_pack

Call = Callable[..., Any]
FORMATS = ("text", "json", "markdown", "github")
UNSCORED = "sample_valid_000016"  # its manual row is empty: CT beside MRI
BLEU_EDITIONS = [name for name, edition in EDITIONS.items() if edition.primary("captions") == "bleu"]


@pytest.fixture
def result(call: Call) -> Callable[..., dict[str, Any]]:
    """Return a function that scores a run and reads the JSON of it."""

    def score(*arguments: object) -> dict[str, Any]:
        answer = call("score", *arguments, "--format", "json")
        assert answer.code == ExitCode.OK, answer.err
        document: dict[str, Any] = json.loads(answer.out)
        return document

    return score


@pytest.fixture
def make_dataset(sample: Path) -> Callable[[str], Path]:
    """Return a maker of datasets that are copies of the bundled one under a name of their own."""

    def make(name: str) -> Path:
        shutil.copytree(sample, name, ignore=shutil.ignore_patterns("*.jpg"))
        return Path(name).resolve()

    return make


def truth_folder(document: dict[str, Any]) -> Path:
    return Path(document["inputs"]["truth"][0]["path"]).parent


def configure(dataset: Path) -> None:
    folder = Path(click.get_app_dir("rocov2-eval"))
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f"data = {json.dumps(str(dataset))}\n", encoding="utf-8")


# ---- several runs


def test_several_runs_make_one_table(call: Call, concept_run: Path, sample: Path) -> None:
    truth = sample / "valid_concepts.csv"
    lines = call("score", truth, concept_run, truth).out.splitlines()

    assert lines[0].startswith("3 runs: concepts, rocov2, valid split, 13 images; our own rules")
    assert lines[4].split() == ["run", "concept_f1", "concept_f1_manual"]
    assert [line.split()[:2] for line in lines[5:8]] == [
        ["valid_concepts.csv", "1.0000"],
        ["run.csv", "0.3335"],
        ["valid_concepts.csv", "1.0000"],
    ]


def test_the_json_of_several_runs_holds_the_result_of_each(
    call: Call, concept_run: Path, sample: Path
) -> None:
    runs = (concept_run, sample / "valid_concepts.csv")
    together = call("score", *runs, "--by", "modality", "--format", "json", "-o", "results.json")
    document = json.loads(Path("results.json").read_text("utf-8"))
    alone = [json.loads(call("score", run, "--by", "modality", "--format", "json").out) for run in runs]

    assert together.code == ExitCode.OK
    assert document["results"] == alone
    assert call("validate", "results.json").code == ExitCode.OK
    document["results"][1]["task"] = "both"
    Path("results.json").write_text(json.dumps(document), "utf-8")
    assert call("validate", "results.json").code == ExitCode.INPUT_REJECTED


def test_of_several_runs_none_is_scored_where_one_is_rejected(
    call: Call, concept_run: Path, short_run: Path
) -> None:
    answer = call("score", concept_run, short_run)
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert answer.err.endswith("SUMMARY short.csv: REJECTED, 1 error, 0 warnings\n")
    assert call("score", concept_run, short_run, "--lenient").code == ExitCode.OK


@pytest.mark.parametrize("option", ["--per-image", "--page", "--verify"])
def test_what_is_said_of_one_run_alone_is_refused_for_several(
    option: str, call: Call, concept_run: Path
) -> None:
    value = "1" if option == "--verify" else "made.csv"
    answer = call("score", concept_run, concept_run, option, value)
    assert answer.code == ExitCode.USAGE
    assert f"{option} accepts one run, found 2" in answer.err
    assert not Path("made.csv").exists()


def test_runs_of_different_years_are_not_put_into_one_table(call: Call) -> None:
    for year in ("2024", "2025"):
        Path(f"{year}.csv").write_text(f"ID,CUIs\nImageCLEFmedical_Caption_{year}_test_1,C1\n", "utf-8")
    Path("truth.csv").write_text(
        "".join(Path(f"{year}.csv").read_text("utf-8").splitlines()[1] + "\n" for year in ("2024", "2025")),
        "utf-8",
    )
    answer = call("score", "2024.csv", "2025.csv", "--truth", "truth.csv", "--lenient")
    assert answer.code == ExitCode.USAGE
    assert (
        "2024.csv is of imageclef-2024, 2025.csv is of imageclef-2025: select one with --edition"
        in answer.err
    )


# ---- editions


@pytest.fixture
def year_run(concept_run: Path, sample: Path) -> Callable[..., tuple[Path, Path]]:
    """Return a function that writes the concept run and its truth under ids of the challenge."""

    def write(prefix: str, truth_prefix: str = "") -> tuple[Path, Path]:
        paths = Path("run.csv"), Path("truth.csv")
        sources = concept_run, sample / "valid_concepts.csv"
        for path, source, new in zip(paths, sources, (prefix, truth_prefix or prefix), strict=True):
            path.write_text(source.read_text("utf-8").replace("sample_valid_", new), "utf-8")
        return paths

    return write


@pytest.mark.parametrize(
    ("prefix", "words", "rules", "claim"),
    [
        (
            "_2024_test_",
            (),
            "imageclef-2024",
            "rules of 2024, the year in the ids: the number that",
        ),
        (
            "_2024_valid_",
            (),
            "imageclef-2024",
            "computed like the number that the organisers publish",
        ),
        ("_2026_synth_test_", (), "imageclef-2026", "rules of 2026, the year in the ids: the number that"),
        ("_2024_test_", ("--edition", "rocov2"), "rocov2", "our own rules, as selected: not the number that"),
        ("_2024_test_", ("--edition", "2025"), "imageclef-2025", "the images are of another year"),
        (
            "_2024_test_",
            ("--edition", "2024", "--lenient"),
            "imageclef-2024",
            "rules of 2024, as selected: the number",
        ),
        (
            "_2031_test_",
            (),
            "rocov2",
            "the ids name 2031, whose rules are not available: not the number",
        ),
    ],
)
def test_the_first_line_says_whose_rules_and_whether_the_organisers_publish_the_number(
    prefix: str, words: tuple[str, ...], rules: str, claim: str, *, year_run: Callable[..., Any], call: Call
) -> None:
    run, truth = year_run(f"ImageCLEFmedical_Caption{prefix}")
    first = call("score", run, "--truth", truth, *words).out.splitlines()[0]
    document = json.loads(call("score", run, "--truth", truth, *words, "--format", "json").out)

    assert f"concepts, {rules}, " in first
    assert claim in first
    assert document["edition"] == rules
    assert document["official"]["statement"] in first
    assert document["official"]["chosen_by"] == (
        "user" if words else "ids" if rules != "rocov2" else "default"
    )
    assert document["official"]["published"] == ("the number that the organisers publish, if" in first)


def test_a_number_with_a_note_is_not_one_that_the_organisers_publish(
    year_run: Callable[..., Any], call: Call
) -> None:
    run, truth = year_run("ImageCLEFmedical_Caption_2024_test_")
    run.write_text("\n".join(run.read_text("utf-8").splitlines()[:-1]), "utf-8")
    answer = call("score", run, "--truth", truth, "--lenient", "--format", "json")
    assert json.loads(answer.out)["official"]["published"] is False


def test_ids_of_another_year_than_the_truth_are_named_once_before_the_ids(
    year_run: Callable[..., Any], call: Call
) -> None:
    run, truth = year_run("ImageCLEFmedical_Caption_2024_valid_", "ImageCLEFmedical_Caption_2025_valid_")
    answer = call("score", run, "--truth", truth)
    assert answer.code == ExitCode.INPUT_REJECTED
    assert answer.err.count("R118 the run contains ids of 2024 (13), the truth ids of 2025 (13)") == 1


def test_ids_of_several_years_choose_no_rules_and_are_a_finding(
    year_run: Callable[..., Any], call: Call
) -> None:
    run, truth = year_run("ImageCLEFmedical_Caption_2024_valid_")
    for path in (run, truth):
        path.write_text(path.read_text("utf-8").replace("_2024_valid_000001", "_2023_valid_000001"), "utf-8")
    answer = call("score", run, "--truth", truth)
    assert "R118 warning: ids of several years: 2023 (1) and 2024 (12)" in answer.err
    assert "our own rules, because the ids name several years" in answer.out.splitlines()[0]


@pytest.mark.parametrize("year", ["2017", "2018", "2021", "2022", "2023", "2024", "2025", "2026"])
def test_an_edition_may_be_named_by_its_year(year: str) -> None:
    assert edition_of(year).name == ALIASES[year] == f"imageclef-{year}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2019", "its evaluator was not found. A later copy computes the F1 of 2018"),
        ("imageclef-2020", "its evaluator was not found"),
        ("2o24", "did you mean 2024?"),
        ("imageclef2025", "did you mean imageclef-2025?"),
        ("rocov3", "did you mean rocov2?"),
        ("2031", "expected one of rocov2, 2017, 2018, 2021, 2022, 2023, 2024, 2025, 2026"),
    ],
)
def test_an_unknown_edition_is_refused_with_what_is_meant(
    name: str, message: str, concept_run: Path, call: Call
) -> None:
    for words in (("score", concept_run), ("validate", concept_run), ("compare", concept_run, concept_run)):
        answer = call(*words, "--edition", name)
        assert (answer.code, answer.out) == (ExitCode.USAGE, "")
        assert message in answer.err


@pytest.mark.parametrize(
    ("metric", "meant"),
    [("rouge-1", "rouge1"), ("ROUGE", "rouge1"), ("BERTScore", "bertscore_f1"), ("bertscor", "bertscore_f1")],
)
def test_an_unknown_metric_is_refused_with_the_one_that_is_meant(
    metric: str, meant: str, caption_run: Path, call: Call
) -> None:
    answer = call("score", caption_run, "--metric", metric)
    assert answer.code == ExitCode.USAGE
    assert f"did you mean {meant}?" in answer.err


# ---- the four formats


def test_text_names_run_task_edition_split_and_images_first(call: Call, concept_run: Path) -> None:
    expected = f"{concept_run.name}: concepts, rocov2, valid split, 13 images; our own rules, because"
    assert call("score", concept_run).out.splitlines()[0].startswith(expected)


def test_text_shows_mean_interval_and_images_of_a_score(call: Call, concept_run: Path) -> None:
    lines = call("score", concept_run).out.splitlines()
    shown = next(line.split() for line in lines if line.startswith("  concept_f1_manual"))
    assert shown[:2] == ["concept_f1_manual", "0.6667"]
    assert shown[-3:] == ["12", "1", "unscored"]


def test_text_ends_with_the_signatures(call: Call, concept_run: Path) -> None:
    last = call("score", concept_run).out.splitlines()[-2:]
    assert [line.split("|")[0] for line in last] == ["concept_f1", "concept_f1_manual"]


def test_json_of_concepts_follows_the_schema(
    result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    document = result(concept_run, "--by", "modality", "--edition", "imageclef-2026")
    assert list(Draft202012Validator(schema("result")).iter_errors(document)) == []


@pytest.mark.parametrize("name", ["concept_f1", "concept_f1_manual"])
def test_json_holds_the_mean_of_each_concept_metric(
    name: str, result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    assert 0 < result(concept_run)["metrics"][name]["mean"] < 1


def test_json_rounds_nothing(result: Callable[..., dict[str, Any]], concept_run: Path) -> None:
    means = [metric["mean"] for metric in result(concept_run)["metrics"].values()]
    assert any(mean != round(mean, 8) for mean in means)


@pytest.mark.encoder
def test_json_holds_the_mean_of_every_caption_metric(
    result: Callable[..., dict[str, Any]], caption_run: Path
) -> None:
    document = result(caption_run, "--encoder", "minilm")
    expected = {"bertscore_f1", "bertscore_precision", "bertscore_recall", "rouge1", "rouge2", "rougeL"}
    assert expected == {name for name, metric in document["metrics"].items() if 0 < metric["mean"] < 1}
    assert list(Draft202012Validator(schema("result")).iter_errors(document)) == []


def test_json_names_no_library_that_was_not_loaded(command: Call, concept_run: Path) -> None:
    document = json.loads(command("score", concept_run, "--format", "json").out)
    assert (document["environment"]["torch"], document["environment"]["transformers"]) == (None, None)


def test_markdown_has_a_table_row_for_each_score(call: Call, concept_run: Path) -> None:
    rows = call("score", concept_run, "--format", "markdown").out.splitlines()
    assert "| concept_f1 | 0.3335 | [0.1923, 0.4784] | 13 |  |" in rows
    assert "| concept_f1_manual | 0.6667 | [0.4146, 0.9167] | 12 | 1 unscored |" in rows


def test_github_is_one_notice_on_the_run(call: Call, concept_run: Path) -> None:
    lines = call("score", concept_run, "--format", "github").out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"::notice file={concept_run},title=concepts%2C rocov2%2C valid split")
    assert "::concept_f1 0.3335, " in lines[0]


@pytest.mark.parametrize("words", [["score", "--lenient"], ["validate"]], ids=["score", "validate"])
def test_github_annotations_escape_newline_comma_percent_and_colon(
    words: list[str], call: Call, short_run: Path
) -> None:
    odd = short_run.rename("50%,\n::error::x.csv")
    lines = call(*words, odd, "--format", "github").out.splitlines()
    assert lines[0].startswith("::error file=50%25%2C%0A%3A%3Aerror%3A%3Ax.csv,title=R105 ")
    assert all(line.startswith(("::error file=50%25", "::notice file=50%25")) for line in lines)


def test_text_keeps_a_path_with_a_newline_on_one_line(call: Call, short_run: Path) -> None:
    odd = short_run.rename("one\ntwo.csv")
    answer = call("score", odd, "--lenient", "--no-ci")
    assert answer.out.startswith("one\\ntwo.csv: concepts, rocov2, valid split, 13 images; our own rules")
    assert answer.err.startswith("one\\ntwo.csv: R105 ")


# ---- where the answer goes


@pytest.mark.parametrize("style", FORMATS)
def test_output_takes_the_answer_and_leaves_stdout_empty(style: str, call: Call, concept_run: Path) -> None:
    expected = call("score", concept_run, "--format", style).out
    answer = call("score", concept_run, "--format", style, "--out", "new/answer")
    assert (answer.code, answer.out) == (ExitCode.OK, "")
    assert expected == Path("new/answer").read_text(encoding="utf-8")


def test_output_that_cannot_be_finished_keeps_the_earlier_file_and_no_other(
    call: Call, concept_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    Path("answers").mkdir()
    Path("answers/result.json").write_text("earlier", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", refuse)
    answer = call("score", concept_run, "--out", "answers/result.json")
    expected = (ExitCode.USAGE, "Error: answers/result.json cannot be written: Permission denied\n")
    assert expected == (answer.code, answer.err)
    left = {path.name: path.read_text(encoding="utf-8") for path in Path("answers").iterdir()}
    assert left == {"result.json": "earlier"}


@pytest.mark.parametrize("option", ["--out", "--per-image"])
def test_a_file_below_a_file_is_a_wrong_command_line(option: str, call: Call, concept_run: Path) -> None:
    Path("file").touch()
    answer = call("score", concept_run, option, "file/scores.csv")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert answer.err.startswith("Error: file/scores.csv cannot be written: ")


def test_quiet_keeps_findings_off_stderr(call: Call, short_run: Path) -> None:
    loud = call("score", short_run, "--lenient")
    quiet = call("score", short_run, "--lenient", "--quiet")
    assert ("R105" in loud.err, quiet.err) == (True, "")
    assert loud.out == quiet.out


@pytest.mark.slow
@pytest.mark.encoder
def test_quiet_leaves_stderr_empty_with_a_model_too(call: Call, caption_run: Path) -> None:
    answer = call("score", caption_run, "--encoder", "minilm", "--metric", "bertscore", "-q")
    assert (answer.code, answer.err) == (ExitCode.OK, "")


# ---- each image's scores


def test_per_image_csv_has_a_row_for_each_image_in_truth_order(
    call: Call, concept_run: Path, sample: Path
) -> None:
    call("score", concept_run, "--per-image", "scores.csv")
    expected = [line.split(",")[0] for line in (sample / "valid_concepts.csv").read_text().splitlines()[1:]]
    assert expected == [row["image_id"] for row in read_rows("scores.csv")]


def test_per_image_csv_averages_to_the_mean(result: Callable[..., dict[str, Any]], concept_run: Path) -> None:
    document = result(concept_run, "--per-image", "scores.csv")
    scores = [float(row["concept_f1"]) for row in read_rows("scores.csv")]
    assert document["metrics"]["concept_f1"]["mean"] == pytest.approx(sum(scores) / len(scores), abs=1e-15)


def test_per_image_csv_leaves_the_cell_of_an_unscored_image_empty(call: Call, concept_run: Path) -> None:
    call("score", concept_run, "--per-image", "scores.csv")
    cells = {row["image_id"]: row["concept_f1_manual"] for row in read_rows("scores.csv")}
    assert [image_id for image_id, cell in cells.items() if cell == ""] == [UNSCORED]


def test_per_image_parquet_is_null_where_an_image_is_unscored(call: Call, concept_run: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    call("score", concept_run, "--per-image", "scores.parquet")
    table = parquet.read_table("scores.parquet").to_pydict()
    pairs = zip(table["image_id"], table["concept_f1_manual"], strict=True)
    assert [image_id for image_id, score in pairs if score is None] == [UNSCORED]


def test_per_image_parquet_holds_what_the_csv_holds(call: Call, concept_run: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    call("score", concept_run, "--per-image", "scores.csv")
    call("score", concept_run, "--per-image", "scores.parquet")
    rows = [
        {name: cell if name == "image_id" else float(cell) if cell else None for name, cell in row.items()}
        for row in read_rows("scores.csv")
    ]
    assert rows == parquet.read_table("scores.parquet").to_pylist()


def test_per_image_refuses_another_suffix_before_it_scores(call: Call) -> None:
    answer = call("score", "no-such-run.csv", "--per-image", "scores.xlsx")
    expected = "Error: --per-image scores.xlsx: expected a file name that ends in .csv or .parquet\n"
    assert (ExitCode.USAGE, "", expected) == (answer.code, answer.out, answer.err)


def test_per_image_parquet_without_pyarrow_names_the_extra_before_it_scores(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocov2_eval.per_image.find_spec", lambda _name: None)
    answer = call("score", "no-such-run.csv", "--per-image", "scores.parquet")
    assert answer.code == ExitCode.MISSING_RESOURCE
    assert install_command("parquet") in answer.err


def read_rows(name: str) -> list[dict[str, str]]:
    with Path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- what is computed


@pytest.mark.parametrize("facet", ["modality", "region", "direction", "concepts"])
def test_by_divides_the_images_into_groups(
    facet: str, result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    document = result(concept_run, "--by", facet)
    assert [facet] == list(document["breakdowns"])
    assert sum(group["images"] for group in document["breakdowns"][facet]) == 13
    assert len(document["breakdowns"][facet]) > 1


@pytest.mark.parametrize("facet", ["modality", "region", "direction", "concepts"])
def test_by_is_shown_as_text_and_as_markdown(facet: str, call: Call, concept_run: Path) -> None:
    assert f"\nBy {facet}\n" in call("score", concept_run, "--by", facet).out
    assert f"\n**By {facet}**\n" in call("score", concept_run, "--by", facet, "--format", "markdown").out


def test_by_weighted_with_its_images_averages_to_the_whole(
    result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    document = result(concept_run, "--by", "modality")
    total = sum(
        group["images"] * group["metrics"]["concept_f1"]["mean"]
        for group in document["breakdowns"]["modality"]
    )
    assert document["metrics"]["concept_f1"]["mean"] == pytest.approx(total / 13, abs=1e-12)


def test_by_says_which_file_it_lacks(call: Call, concept_run: Path, make_dataset: Call) -> None:
    dataset = make_dataset("bare")
    (dataset / "valid_concepts_manual.csv").unlink()
    answer = call("score", concept_run, "--truth", dataset, "--by", "region")
    expected = (
        f"Error: --by region requires the file concepts_manual.csv beside {dataset}/valid_concepts.csv\n"
    )
    assert (ExitCode.USAGE, expected) == (answer.code, answer.err)


def test_intervals_enclose_the_mean(result: Callable[..., dict[str, Any]], concept_run: Path) -> None:
    metric = result(concept_run)["metrics"]["concept_f1"]
    assert metric["low"] < metric["mean"] < metric["high"]


def test_no_ci_leaves_the_intervals_out(result: Callable[..., dict[str, Any]], concept_run: Path) -> None:
    metrics = result(concept_run, "--no-ci")["metrics"].values()
    assert {(None, None)} == {(metric["low"], metric["high"]) for metric in metrics}


def test_one_seed_gives_one_answer(call: Call, concept_run: Path) -> None:
    words = ("score", concept_run, "--format", "json", "--by", "modality")
    assert call(*words, "--seed", 7).out == call(*words, "--seed", 7).out


def test_another_seed_moves_intervals_and_no_mean(
    result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    ours, theirs = (result(concept_run, "--seed", seed)["metrics"] for seed in (7, 8))
    assert {name: metric["mean"] for name, metric in ours.items()} == {
        name: metric["mean"] for name, metric in theirs.items()
    }
    assert ours["concept_f1"]["low"] != theirs["concept_f1"]["low"]


def test_a_negative_seed_is_a_wrong_command_line(call: Call, concept_run: Path) -> None:
    answer = call("score", concept_run, "--seed", -1)
    assert answer.code == ExitCode.USAGE
    assert "--seed" in answer.err


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["concept_recall"], ["concept_recall"]),
        (["concept_f1"], ["concept_f1", "concept_precision", "concept_recall"]),
        (["concept_f1_manual"], ["concept_f1_manual"]),
        (["concept_recall", "concept_f1_manual"], ["concept_recall", "concept_f1_manual"]),
    ],
    ids=" ".join,
)
def test_metric_takes_the_name_of_a_score_or_of_a_metric(
    wanted: list[str], expected: list[str], result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    words = [word for name in wanted for word in ("--metric", name)]
    assert expected == list(result(concept_run, *words)["metrics"])


@pytest.mark.parametrize(
    ("wanted", "expected"), [("rouge", ["rouge1", "rouge2", "rougeL"]), ("rouge2", ["rouge2"])]
)
def test_metric_rouge_needs_no_model(
    wanted: str, expected: list[str], result: Callable[..., dict[str, Any]], caption_run: Path
) -> None:
    document = result(caption_run, "--metric", wanted)
    assert expected == list(document["metrics"])
    official = document["official"]
    assert (official["comparable"], official["notes"], official["extras"]) == (True, [], [])


def test_metric_of_the_other_task_is_refused_with_what_is_offered(call: Call, concept_run: Path) -> None:
    answer = call("score", concept_run, "--metric", "rouge1")
    assert answer.code == ExitCode.USAGE
    assert (
        "--metric rouge1: captions have this score, but the run contains concepts; rocov2 has for"
        in answer.err
    )


def test_lenient_scores_a_missing_image_as_0(
    result: Callable[..., dict[str, Any]], concept_run: Path, short_run: Path
) -> None:
    result(concept_run, "--per-image", "whole.csv")
    result(short_run, "--lenient", "--per-image", "short.csv.csv")
    whole = {row["image_id"]: row["concept_f1"] for row in read_rows("whole.csv")}
    short = {row["image_id"]: row["concept_f1"] for row in read_rows("short.csv.csv")}
    assert whole | {"sample_valid_000017": "0.0"} == short


def test_lenient_marks_the_json_as_not_comparable(
    result: Callable[..., dict[str, Any]], short_run: Path
) -> None:
    document = result(short_run, "--lenient")
    assert document["official"]["comparable"] is False
    assert "--lenient" in document["official"]["notes"][0]
    assert (document["findings"]["errors"], document["findings"]["list"][0]["code"]) == (1, "R105")


@pytest.mark.parametrize(
    ("style", "mark"),
    [
        ("text", "\nNOT OFFICIAL: --lenient "),
        ("markdown", "\n**Not official**: --lenient "),
        ("github", "; --lenient "),
    ],
)
def test_lenient_marks_every_other_format_as_not_official(
    style: str, mark: str, call: Call, short_run: Path
) -> None:
    assert mark in call("score", short_run, "--lenient", "--format", style).out


def test_lenient_on_a_faultless_run_changes_nothing(call: Call, concept_run: Path) -> None:
    assert call("score", concept_run).out == call("score", concept_run, "--lenient").out


def test_lenient_does_not_score_a_run_without_any_image_of_the_truth(
    call: Call, foreign_run: Path, sample: Path
) -> None:
    answer = call("score", foreign_run, "--lenient", "--truth", sample / "valid_concepts.csv")
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")


@pytest.mark.parametrize("edition", BLEU_EDITIONS)
def test_bleu_needs_no_model(edition: str, result: Callable[..., dict[str, Any]]) -> None:
    delimiter = "|" if edition == "imageclef-2022" else "\t"
    Path("truth.csv").write_text(f"a{delimiter}Chest fractures\nb{delimiter}CT\n", encoding="utf-8")
    Path("run.csv").write_text(f"a{delimiter}chest fracture\nb{delimiter}MRI\n", encoding="utf-8")

    document = result("run.csv", "--truth", "truth.csv", "--task", "captions", "--edition", edition)

    assert next(iter(document["metrics"])) == "bleu"
    expected = 0.5 ** (1 / 4) / 2 if edition == "imageclef-2022" else 0.5
    assert document["metrics"]["bleu"]["mean"] == pytest.approx(expected)
    official = document["official"]
    assert (official["comparable"], official["notes"], official["extras"]) == (True, [], [])


def test_scores_published_without_code_are_marked(call: Call, result: Callable[..., dict[str, Any]]) -> None:
    Path("run.csv").write_text("a|CT of the chest\nb|MRI\n", encoding="utf-8")
    line = ("run.csv", "--truth", "run.csv", "--task", "captions", "--edition", "imageclef-2023")
    extras = ("--metric", "rouge1", "--metric", "bleu1", "--metric", "cider")

    assert result(*line, *extras)["official"]["extras"] == ["bleu1", "bleu1_corpus", "cider"]
    assert "\nNot official: bleu1, bleu1_corpus, cider (" in call("score", *line, *extras).out


def test_metrics_that_an_edition_has_beyond_ours_are_named_as_not_computed(
    result: Callable[..., dict[str, Any]], caption_run: Path
) -> None:
    document = result(caption_run, "--edition", "imageclef-2026")
    assert {"AlignScore", "Relevance", "Factuality"} < set(document["not_computed"])
    assert next(iter(document["metrics"])) == "rouge1"


# ---- run, task, split


def test_a_zip_archive_is_scored_as_the_file_in_it(
    result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    with zipfile.ZipFile("run.zip", "w") as archive:
        archive.write(concept_run, "run.csv")
    plain, zipped = result(concept_run), result("run.zip")
    assert plain["metrics"] == zipped["metrics"]
    assert plain["inputs"]["run"]["sha256"] == zipped["inputs"]["run"]["sha256"]


def test_task_decides_where_the_file_does_not_tell(
    call: Call, result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    ids = [line.split(",")[0] for line in concept_run.read_text(encoding="utf-8").splitlines()[1:]]
    Path("empty.csv").write_text("".join(f"{image_id},\n" for image_id in ids), encoding="utf-8")
    untold = call("score", "empty.csv")
    assert (untold.code, "empty.csv: R007 " in untold.err) == (ExitCode.INPUT_REJECTED, True)
    assert result("empty.csv", "--task", "concepts")["metrics"]["concept_f1"]["mean"] == 0.0


def test_the_ids_tell_the_split(result: Callable[..., dict[str, Any]], sample: Path) -> None:
    assert result(sample / "test_concepts.csv")["split"] == "test"


def test_split_takes_the_named_split_in_spite_of_the_ids(call: Call, concept_run: Path, sample: Path) -> None:
    answer = call("score", concept_run, "--truth", sample, "--split", "test")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert "R115 the ids belong to valid, but the truth is " in answer.err


# ---- where the truth is found


def test_the_bundled_sample_is_the_truth_of_its_own_ids(
    result: Callable[..., dict[str, Any]], concept_run: Path, sample: Path
) -> None:
    assert sample == truth_folder(result(concept_run))


def test_the_config_file_comes_before_the_bundled_sample(
    result: Callable[..., dict[str, Any]], concept_run: Path, make_dataset: Call
) -> None:
    configured = make_dataset("configured")
    configure(configured)
    assert configured == truth_folder(result(concept_run))


def test_the_variable_comes_before_the_config_file(
    result: Callable[..., dict[str, Any]],
    concept_run: Path,
    make_dataset: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(make_dataset("configured"))
    monkeypatch.setenv("ROCOV2_DATA", str(make_dataset("variable")))
    assert Path("variable").resolve() == truth_folder(result(concept_run))


def test_the_option_comes_before_the_variable(
    result: Callable[..., dict[str, Any]],
    concept_run: Path,
    make_dataset: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROCOV2_DATA", str(make_dataset("variable")))
    given = make_dataset("given")
    assert given == truth_folder(result(concept_run, "--truth", given))


def test_a_dataset_without_the_ids_of_the_run_is_passed_over(
    result: Callable[..., dict[str, Any]],
    concept_run: Path,
    make_dataset: Call,
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = make_dataset("other")
    (other / "valid_concepts.csv").write_text("ID,CUIs\nelsewhere,C0040405\n", encoding="utf-8")
    monkeypatch.setenv("ROCOV2_DATA", str(other))
    assert sample == truth_folder(result(concept_run))


def test_truth_may_be_one_file(
    result: Callable[..., dict[str, Any]], concept_run: Path, sample: Path
) -> None:
    document = result(concept_run, "--truth", sample / "valid_concepts.csv")
    assert (document["split"], document["metrics"]["concept_f1"]["n"]) == ("valid", 13)


def test_where_nothing_fits_the_message_says_what_was_looked_for_where_and_what_to_type(
    call: Call, foreign_run: Path, make_dataset: Call, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, configured = make_dataset("variable"), make_dataset("configured")
    configure(configured)
    monkeypatch.setenv("ROCOV2_DATA", str(variable))
    answer = call("score", foreign_run)
    config = Path(click.get_app_dir("rocov2-eval")) / "config.toml"
    reason = "concepts.csv: no id of the run is in it\n"
    held = "".join(f"    {split}_{reason}" for split in ("test", "valid", "train"))
    expected = f"""\
Error: no truth found for the concepts run foreign.csv, whose ids look like 'elsewhere_1'.
Looked for {{test,valid,train}}_concepts.csv or concepts.csv with those ids in
  {variable}  ($ROCOV2_DATA)
{held}  {configured}  (data in {config})
{held}  {sample}  (bundled sample)
Name the dataset folder: rocov2-eval score foreign.csv --truth DIR
or once for all:         export ROCOV2_DATA=DIR
"""
    assert (ExitCode.MISSING_RESOURCE, "", expected) == (answer.code, answer.out, answer.err)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("data = 3\n", "expected a line such as data ="), ("data =\n", "Invalid value")],
    ids=["not a path", "not TOML"],
)
def test_a_broken_config_file_is_named(content: str, complaint: str, call: Call, concept_run: Path) -> None:
    configure(Path("anywhere"))
    config = Path(click.get_app_dir("rocov2-eval")) / "config.toml"
    config.write_text(content, encoding="utf-8")
    answer = call("score", concept_run)
    assert answer.code == ExitCode.USAGE
    assert answer.err.startswith(f"Error: {config}: ")
    assert complaint in answer.err


def test_a_run_that_could_not_be_read_is_told_so_and_not_that_its_truth_is_missing(call: Call) -> None:
    Path("blanks.csv").write_text("elsewhere_1,C0040405\n\n", encoding="utf-8")
    answer = call("score", "blanks.csv")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert answer.err.startswith("blanks.csv:2: R101 blank line\n")


# ---- the encoder


def test_missing_weights_are_answered_with_the_command_that_fetches_them_and_the_stand_in(
    call: Call, caption_run: Path
) -> None:
    answer = call("score", caption_run)
    assert (answer.code, answer.out) == (ExitCode.MISSING_RESOURCE, "")
    assert "rocov2-eval models fetch deberta-xlarge-mnli\n" in answer.err
    assert "--encoder minilm  (scores not comparable with official ones" in answer.err


@pytest.mark.encoder
@pytest.mark.parametrize("style", FORMATS)
def test_the_stand_in_is_named_as_not_comparable_in_every_format(
    style: str, call: Call, caption_run: Path
) -> None:
    words = ("score", caption_run, "--encoder", "minilm", "--metric", "bertscore_f1", "--no-ci")
    answer = call(*words, "--format", style)
    assert "BERTScore with encoder minilm is not comparable with official scores" in answer.out


@pytest.mark.encoder
def test_the_signature_names_the_stand_in_and_its_weights(
    result: Callable[..., dict[str, Any]], caption_run: Path
) -> None:
    document = result(
        caption_run, "--encoder", "minilm", "--metric", "bertscore", "--edition", "imageclef-2026"
    )
    assert "|encoder:minilm@" in document["metrics"]["bertscore_f1"]["signature"]
    assert "|idf:yes|" in document["metrics"]["bertscore_f1"]["signature"]


@pytest.mark.slow
@pytest.mark.encoder
def test_the_cache_changes_no_score(call: Call, caption_run: Path, home: Path) -> None:
    words = ("score", caption_run, "--encoder", "minilm", "--format", "json")
    uncached = call(*words, "--no-cache").out
    assert not (home / ".cache/rocov2-eval").exists()
    assert uncached == call(*words).out == call(*words).out
    assert (home / ".cache/rocov2-eval").is_dir()


def test_an_unknown_encoder_is_a_wrong_command_line(call: Call, caption_run: Path) -> None:
    answer = call("score", caption_run, "--encoder", "gpt")
    expected = (
        "Error: no text encoder of BERTScore 'gpt', expected deberta-xlarge-mnli, minilm, or a folder\n"
    )
    assert (ExitCode.USAGE, expected) == (answer.code, answer.err)


# ---- the model pack


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of a small model pack of MedCAT."""
    return concept_pack.make_pack(tmp_path_factory.mktemp("pack"))


UMLS = ("--metric", "umls_f1", "--no-ci")


def test_a_model_pack_brings_umls_f1_with_its_name_in_the_signature(
    result: Callable[..., dict[str, Any]], caption_run: Path, pack: Path
) -> None:
    document = result(caption_run, "--metric", "rouge1", *UMLS, "--concept-model", pack)
    assert list(document["metrics"]) == ["rouge1", "umls_f1", "umls_precision", "umls_recall"]
    assert "|pack:small@" in document["metrics"]["umls_f1"]["signature"]


@pytest.mark.slow
def test_the_truth_scores_1_by_umls_f1_where_a_concept_is_found_and_0_elsewhere(
    call: Call, sample: Path, pack: Path
) -> None:
    words = (sample / "valid_captions.csv", *UMLS, "--concept-model", pack, "--per-image", "scores.csv")
    assert call("score", *words).code == ExitCode.OK
    with Path("scores.csv").open(encoding="utf-8", newline="") as file:
        assert {float(row["umls_f1"]) for row in csv.DictReader(file)} == {0.0, 1.0}


@pytest.mark.slow
def test_precision_and_recall_of_umls_f1_are_scores_of_their_own(
    result: Callable[..., dict[str, Any]], caption_run: Path, pack: Path
) -> None:
    names = ["umls_precision", "umls_recall"]
    words = [word for name in names for word in ("--metric", name)]
    assert list(result(caption_run, *words, "--concept-model", pack)["metrics"]) == names


@pytest.mark.slow
@pytest.mark.parametrize("style", FORMATS)
def test_umls_f1_is_named_as_not_comparable_in_every_format(
    style: str, call: Call, caption_run: Path, pack: Path
) -> None:
    answer = call("score", caption_run, *UMLS, "--concept-model", pack, "--format", style)
    assert "umls_f1 is not comparable with the official MedCAT F1" in answer.out


@pytest.mark.slow
def test_concept_types_restrict_umls_f1_and_stand_in_the_signature(
    result: Callable[..., dict[str, Any]], caption_run: Path, pack: Path
) -> None:
    types = ("--concept-type", "T060", "--concept-type", "T047")
    document = result(caption_run, *UMLS, "--concept-model", pack, *types)
    assert "|types:T047+T060|" in document["metrics"]["umls_f1"]["signature"]


@pytest.mark.parametrize("edition", ["imageclef-2025", "imageclef-2026"])
def test_without_a_model_pack_medcat_f1_is_named_with_what_it_needs(
    edition: str, result: Callable[..., dict[str, Any]], caption_run: Path
) -> None:
    document = result(caption_run, "--edition", edition)
    assert document["not_computed"]["MedCAT F1"] == "needs a model pack of MedCAT: --concept-model PACK"


@pytest.mark.slow
def test_with_a_model_pack_medcat_f1_is_not_among_what_is_not_computed(
    result: Callable[..., dict[str, Any]], caption_run: Path, pack: Path
) -> None:
    document = result(caption_run, "--no-ci", "--edition", "imageclef-2026", "--concept-model", pack)
    assert "MedCAT F1" not in document["not_computed"]
    assert {"AlignScore", "Factuality", "Overall"} < set(document["not_computed"])


@pytest.mark.parametrize("name", ["umls_f1", "umls_recall"])
def test_umls_f1_without_a_model_pack_is_a_wrong_command_line(
    name: str, call: Call, caption_run: Path
) -> None:
    answer = call("score", caption_run, "--metric", name)
    expected = "Error: --metric umls_f1: needs a model pack of MedCAT: --concept-model PACK\n"
    assert (ExitCode.USAGE, expected) == (answer.code, answer.err)


def test_concept_types_without_a_model_pack_are_a_wrong_command_line(call: Call, caption_run: Path) -> None:
    answer = call("score", caption_run, "--metric", "rouge", "--concept-type", "T047")
    assert answer.code == ExitCode.USAGE
    assert "name a model pack too" in answer.err


def test_what_is_no_semantic_type_is_a_wrong_command_line(call: Call, caption_run: Path, pack: Path) -> None:
    answer = call("score", caption_run, *UMLS, "--concept-model", pack, "--concept-type", "disease")
    assert answer.code == ExitCode.USAGE
    assert "types contains 'disease', expected a semantic type such as T047" in answer.err


def test_an_edition_without_medcat_f1_refuses_a_model_pack_and_names_the_others(
    call: Call, caption_run: Path, pack: Path
) -> None:
    answer = call("score", caption_run, "--edition", "imageclef-2024", "--concept-model", pack)
    assert answer.code == ExitCode.USAGE
    assert "editions with it: rocov2, imageclef-2025, imageclef-2026" in answer.err


def test_a_concept_run_takes_no_notice_of_a_model_pack(call: Call, concept_run: Path, pack: Path) -> None:
    assert call("score", concept_run).out == call("score", concept_run, "--concept-model", pack).out


def test_a_model_pack_that_is_not_there_is_a_wrong_command_line(call: Call, caption_run: Path) -> None:
    answer = call("score", caption_run, "--concept-model", "none.zip")
    assert answer.code == ExitCode.USAGE
    assert "none.zip' does not exist" in answer.err


def test_what_is_no_model_pack_is_rejected_before_anything_is_scored(call: Call, caption_run: Path) -> None:
    answer = call("score", caption_run, "--concept-model", caption_run)
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert "neither a folder nor a zip archive of a model pack" in answer.err


def test_without_medcat_the_extra_is_named_before_anything_is_scored(
    call: Call, caption_run: Path, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("rocov2_eval.concept_extraction.version", absent)
    answer = call("score", caption_run, "--concept-model", pack)
    assert (answer.code, answer.out) == (ExitCode.MISSING_RESOURCE, "")
    assert install_command("concepts") in answer.err


def test_help_says_that_loading_a_model_pack_runs_what_is_in_it(call: Call) -> None:
    shown = " ".join(call("score", "--help").out.split())
    assert "--concept-model PACK" in shown
    assert "use only one that you trust" in shown


# ---- --verify


@pytest.mark.parametrize("task", ["concept", "caption"])
def test_verify_asks_for_the_reference_libraries_before_it_scores(
    task: str, call: Call, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocov2_eval.verification.find_spec", lambda _name: None)
    answer = call("score", request.getfixturevalue(f"{task}_run"), "--verify", 5)
    assert (answer.code, answer.out) == (ExitCode.MISSING_RESOURCE, "")
    assert install_command("verify") in answer.err
    assert "--verify needs " in answer.err


@pytest.mark.parity
def test_verify_finds_no_difference_from_scikit_learn(
    result: Callable[..., dict[str, Any]], concept_run: Path
) -> None:
    differences = result(concept_run, "--verify", 13)["verification"]
    assert {"concept_f1", "concept_f1_manual"} == set(differences)
    assert max(differences.values()) < 1e-15


@pytest.mark.parity
@pytest.mark.encoder
def test_verify_finds_no_difference_from_rouge_score_and_bert_score(
    result: Callable[..., dict[str, Any]], caption_run: Path
) -> None:
    words = (caption_run, "--encoder", "minilm", "--edition", "imageclef-2026")
    differences = result(*words, "--verify", 5)["verification"]
    assert {"rouge1", "rouge2", "rougeL"} == {name for name, value in differences.items() if value < 1e-12}
    bertscore = {name: value for name, value in differences.items() if name.startswith("bertscore")}
    assert len(bertscore) == 3
    assert max(bertscore.values()) < 1e-5


@pytest.mark.parity
@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("text", "\n  rouge1     0.0e+00\n"),
        ("markdown", "\n| rouge1 | 0.0e+00 |\n"),
        ("github", "; rouge1 differs by 0.0e+00"),
    ],
)
def test_verify_prints_the_largest_difference(
    style: str, expected: str, call: Call, caption_run: Path
) -> None:
    words = ("score", caption_run, "--metric", "rouge1", "--no-ci", "--verify", 3)
    assert expected in call(*words, "--format", style).out


@pytest.mark.parity
def test_verify_claims_nothing_of_images_that_cannot_be_compared(
    call: Call, concept_run: Path, sample: Path
) -> None:
    """Only one image has a row, and its manual truth is empty: it is unscored."""
    rows = concept_run.read_text(encoding="utf-8").splitlines()
    kept = [rows[0], *(row for row in rows if row.startswith(UNSCORED))]
    Path("one.csv").write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")
    words = ("score", "one.csv", "--truth", sample, "--lenient", "-q", "--no-ci", "--verify", 13)
    answer = call(*words, "--metric", "concept_f1_manual")
    expected = "\n  none of the selected images can be compared\n"
    assert expected in answer.out


def test_a_rejected_run_is_annotated_on_stdout_in_the_github_format(call: Call) -> None:
    Path("bad.csv").write_text("ID,CUIs\nsample_valid_000001,C1;C1\n", encoding="utf-8")

    answer = call("score", "bad.csv", "--format", "github")

    assert answer.code == ExitCode.INPUT_REJECTED
    assert "::error file=bad.csv,line=2,title=R202" in answer.out


def test_an_answer_goes_into_a_device_without_replacing_it(call: Call, concept_run: Path) -> None:
    answer = call("score", str(concept_run), "--no-ci", "--out", "/dev/null")

    assert answer.code == ExitCode.OK
    assert Path("/dev/null").is_char_device()
