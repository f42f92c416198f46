"""`rocov2-eval validate` and `explain`: formats, metadata, files that mean harm."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.findings import RULES

Call = Callable[..., Any]
FORMATS = ("text", "json", "markdown", "github")


# ---- runs


def test_a_faultless_run_leaves_one_summary_line_and_the_name_of_the_truth(
    call: Call, concept_run: Path
) -> None:
    answer = call("validate", concept_run)
    expected = f"SUMMARY {concept_run}: PASSED, 0 errors, 0 warnings\n"
    why = "because the ids name no year"
    truth = f"{concept_run}: truth: bundled sample, valid_concepts.csv; rules: rocov2, {why}\n"
    assert (answer.code, answer.out, answer.err) == (ExitCode.OK, expected, truth)


def test_a_finding_is_one_line_with_its_place_followed_by_the_fix(call: Call, concept_run: Path) -> None:
    text = concept_run.read_text(encoding="utf-8")
    Path("bad.csv").write_text(text + "sample_valid_000001,C0040405\n", encoding="utf-8")
    answer = call("validate", "bad.csv")
    expected = f"""\
bad.csv:15: R103 'sample_valid_000001' appeared on line 2 already
    fix: {RULES["R103"].fix}
SUMMARY bad.csv: REJECTED, 1 error, 0 warnings
"""
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, expected)


def test_the_fix_of_a_rule_is_shown_once(call: Call, foreign_run: Path, sample: Path) -> None:
    out = call("validate", foreign_run, "--truth", sample / "valid_concepts.csv").out
    assert out.count("R104 'elsewhere_") == 2
    assert out.count(RULES["R104"].fix) == 1


def test_every_kind_of_fault_is_reported_at_once(call: Call, concept_run: Path) -> None:
    rows = concept_run.read_text(encoding="utf-8").splitlines()
    rows[1] += ";C0040405;C0040405"
    rows[2:4] = ["", "stranger,C0040405"]
    Path("bad.csv").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    found = json.loads(call("validate", "bad.csv", "--format", "json").out)["list"]
    assert [(item["line"], item["code"]) for item in found] == [
        (2, "R202"),
        (3, "R101"),
        (4, "R104"),
        (None, "R105"),
    ]


def test_a_warning_does_not_reject(call: Call, concept_run: Path) -> None:
    text = concept_run.read_text(encoding="utf-8").replace("C1306645;", "C1306645;;", 1)
    Path("warned.csv").write_text(text, encoding="utf-8")
    answer = call("validate", "warned.csv")
    assert answer.code == ExitCode.OK
    assert answer.out.startswith("warned.csv:2: R203 warning: ")
    assert answer.out.endswith("SUMMARY warned.csv: PASSED, 0 errors, 1 warning\n")


def test_several_files_have_a_summary_each_and_one_rejected_rejects_all(
    call: Call, concept_run: Path, short_run: Path
) -> None:
    answer = call("validate", concept_run, short_run)
    assert answer.code == ExitCode.INPUT_REJECTED
    assert [line for line in answer.out.splitlines() if line.startswith("SUMMARY")] == [
        f"SUMMARY {concept_run}: PASSED, 0 errors, 0 warnings",
        f"SUMMARY {short_run}: REJECTED, 1 error, 0 warnings",
    ]


def test_json_counts_and_lists_the_findings(call: Call, short_run: Path) -> None:
    answer = call("validate", short_run, "--format", "json")
    document = json.loads(answer.out)
    assert (document["errors"], document["warnings"]) == (1, 0)
    assert document["list"] == [
        {
            "code": "R105",
            "severity": "error",
            "path": "short.csv",
            "line": None,
            "message": "1 of 13 images have no row: sample_valid_000017",
        }
    ]


def test_markdown_is_a_table_of_the_findings(call: Call, short_run: Path) -> None:
    lines = call("validate", short_run, "--format", "markdown").out.splitlines()
    assert lines[:2] == [
        "| file | line | code | severity | finding | fix |",
        "| --- | ---: | --- | --- | --- | --- |",
    ]
    assert lines[2].startswith("| short.csv |  | R105 | error | 1 of 13 images have no row: ")


def test_github_annotates_the_line_of_a_finding(call: Call, concept_run: Path) -> None:
    text = concept_run.read_text(encoding="utf-8")
    Path("bad.csv").write_text(text + "sample_valid_000001,C0040405\n", encoding="utf-8")
    expected = (
        "::error file=bad.csv,line=15,title=R103 an image id appears twice::"
        "'sample_valid_000001' appeared on line 2 already\n"
    )
    assert call("validate", "bad.csv", "--format", "github").out == expected


@pytest.mark.parametrize("style", FORMATS[1:])
def test_the_summary_keeps_out_of_an_answer_for_machines(style: str, call: Call, short_run: Path) -> None:
    answer = call("validate", short_run, "--format", style)
    assert "SUMMARY" not in answer.out
    assert answer.err.endswith("\nSUMMARY short.csv: REJECTED, 1 error, 0 warnings\n")


@pytest.mark.parametrize("style", FORMATS)
def test_output_takes_the_findings_and_leaves_stdout_empty(style: str, call: Call, short_run: Path) -> None:
    answer = call("validate", short_run, "--format", style, "--out", "found")
    assert (answer.code, answer.out) == (ExitCode.INPUT_REJECTED, "")
    assert "R105" in Path("found").read_text(encoding="utf-8")


def test_strict_adds_the_format_check_of_2026(call: Call, concept_run: Path) -> None:
    header, *rows = concept_run.read_text(encoding="utf-8").splitlines()
    Path("backwards.csv").write_text("".join(f"{row}\n" for row in [header, *rows[::-1]]), encoding="utf-8")
    words = ("validate", "backwards.csv", "--edition", "imageclef-2026")
    assert call(*words).code == ExitCode.OK
    strict = call(*words, "--strict")
    assert (strict.code, "R401" in strict.out) == (ExitCode.INPUT_REJECTED, True)


def test_strict_reports_a_known_wrong_rejection_as_a_warning(call: Call, caption_run: Path) -> None:
    text = caption_run.read_text(encoding="utf-8").replace("chest X-ray", "chest\nX-ray", 1)
    Path("broken.csv").write_text(text, encoding="utf-8")
    answer = call("validate", "broken.csv", "--edition", "imageclef-2026", "--strict")
    assert (answer.code, "R407 warning: " in answer.out) == (ExitCode.OK, True)


def test_the_edition_decides_what_is_a_fault(call: Call, concept_run: Path, sample: Path) -> None:
    """An id alone scores 0 since 2022; as the first row it ended the evaluation in 2018."""
    ids = [line.split(",")[0] for line in concept_run.read_text(encoding="utf-8").splitlines()[1:]]
    Path("alone.csv").write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf-8")
    words = ("validate", "alone.csv", "--task", "concepts", "--truth", sample / "valid_concepts.csv")
    codes = {
        edition: call(*words, "--edition", edition).code for edition in ("imageclef-2018", "imageclef-2022")
    }
    assert codes == {"imageclef-2018": ExitCode.INPUT_REJECTED, "imageclef-2022": ExitCode.OK}


# ---- metadata


@pytest.mark.parametrize("run", ["most-frequent", "nearest-caption", "nearest-picture"])
def test_the_metadata_of_the_example_runs_pass(run: str, call: Call, runs: Path) -> None:
    path = runs / run / "submission.json"
    expected = f"SUMMARY {path}: PASSED, 0 errors, 0 warnings\n"
    assert call("validate", path).out == expected


def test_every_fault_of_a_submission_json_is_named_with_its_place(call: Call, runs: Path) -> None:
    document = json.loads((runs / "nearest-picture/submission.json").read_text(encoding="utf-8"))
    del document["team"]
    document |= {"contact": "nobody", "external_data": [1]}
    Path("submission.json").write_text(json.dumps(document), encoding="utf-8")
    found = json.loads(call("validate", "submission.json", "--format", "json").out)["list"]
    assert {(item["code"], item["message"].split(": ")[0]) for item in found} == {
        ("R601", "$"),
        ("R601", "$.contact"),
        ("R601", "$.external_data[0]"),
    }


def test_a_result_json_of_our_own_passes(call: Call, concept_run: Path) -> None:
    call("score", concept_run, "--by", "modality", "--format", "json", "--out", "result.json")
    assert call("validate", "result.json").code == ExitCode.OK


def test_an_impossible_score_in_a_result_json_is_found(call: Call, concept_run: Path) -> None:
    document = json.loads(call("score", concept_run, "--format", "json").out)
    document["metrics"]["concept_f1"]["mean"] = 15
    Path("result.json").write_text(json.dumps(document), encoding="utf-8")
    answer = call("validate", "result.json")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert "result.json: R601 $.metrics.concept_f1.mean: 15 is greater than the maximum of 10" in answer.out


# ---- explain


@pytest.mark.parametrize("code", ["R103", "r103"])
def test_explain_prints_title_reason_and_fix(code: str, call: Call) -> None:
    rule = RULES["R103"]
    expected = f"R103  {rule.title} (error)\n\nWhy: {rule.why}\n\nFix: {rule.fix}\n"
    assert call("explain", code).out == expected


def test_explain_without_a_code_lists_every_rule(call: Call) -> None:
    listed = call("explain").out.splitlines()
    assert listed == [f"{code}  {rule.title}" for code, rule in RULES.items()]


def test_explain_refuses_an_unknown_code_and_says_where_the_known_are(call: Call) -> None:
    answer = call("explain", "R999")
    expected = "Error: no rule 'R999'; `rocov2-eval explain` lists them\n"
    assert (answer.code, answer.out, answer.err) == (ExitCode.USAGE, "", expected)


# ---- files that mean harm


def null_bytes(path: Path) -> None:
    path.write_bytes(b"ID,CUIs\nsample_valid_000001,C0040405\n\0\0\0,\0\n")


def a_million_columns(path: Path) -> None:
    path.write_text("ID,CUIs\nsample_valid_000001" + ",C0040405" * 1_000_000 + "\n", encoding="utf-8")


def an_endless_quote(path: Path) -> None:
    path.write_text('ID,CUIs\nsample_valid_000001,"C0040405\n' + "x\n" * 100_000, encoding="utf-8")


def nested_arrays(path: Path) -> None:
    path.write_text("[" * 10_000 + "]" * 10_000, encoding="utf-8")


def an_endless_number(path: Path) -> None:
    path.write_text('{"schema_version": ' + "9" * 5_000 + "}", encoding="utf-8")


def latin_1(path: Path) -> None:
    path.write_bytes("ID,Caption\nsample_valid_000001,Röntgen\n".encode("latin-1"))


def a_folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    assert not path.exists()


def an_empty_file(path: Path) -> None:
    path.touch()


def a_header_alone(path: Path) -> None:
    path.write_text("ID,CUIs\n", encoding="utf-8")


def a_loop_of_links(path: Path) -> None:
    other = path.with_name(f"other-{path.name}")
    other.symlink_to(path.name)
    path.symlink_to(other.name)


def a_false_archive(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and then nothing of an archive")


def an_archive_of_two(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "ID,CUIs\n")
        archive.writestr("two.csv", "ID,CUIs\n")


HOSTILE = [
    ("run.csv", null_bytes, "R104"),
    ("run.csv", a_million_columns, "R102"),
    ("run.csv", an_endless_quote, "R005"),
    ("run.csv", latin_1, "R002"),
    ("run.csv", an_empty_file, "R003"),
    ("run.csv", a_header_alone, "R003"),
    ("run.csv", a_folder, "R001"),
    ("run.csv", nothing, "R001"),
    ("run.csv", a_loop_of_links, "R001"),
    ("run.zip", a_false_archive, "R004"),
    ("run.zip", an_archive_of_two, "R004"),
    ("submission.json", nested_arrays, "R601"),
    ("submission.json", an_endless_number, "R601"),
    ("submission.json", an_empty_file, "R601"),
    ("submission.json", a_folder, "R001"),
    ("submission.json", latin_1, "R002"),
]


@pytest.mark.parametrize(
    ("name", "make", "code"), HOSTILE, ids=[f"{make.__name__}.{name}" for name, make, _ in HOSTILE]
)
def test_a_hostile_file_is_a_finding(name: str, make: Callable[[Path], None], code: str, call: Call) -> None:
    make(Path(name))
    answer = call("validate", name)
    assert answer.code == ExitCode.INPUT_REJECTED
    assert f" {code} " in answer.out
    assert answer.out.splitlines()[-1].startswith(f"SUMMARY {name}: REJECTED, ")


def test_an_archive_that_unpacks_beyond_the_limit_is_a_finding(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit itself, 256 MiB, would take a test as much memory."""
    monkeypatch.setattr("rocov2_eval.formats.MOST_BYTES", 1 << 20)
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.csv", b"\0" * (1 << 24))
    answer = call("validate", "bomb.zip")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert answer.out.startswith("bomb.zip: R004 the unpacked file has more than 1,048,576 bytes\n")


def test_a_file_that_may_not_be_opened_is_a_finding(
    call: Call, concept_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    answer = call("validate", concept_run)
    assert answer.code == ExitCode.INPUT_REJECTED
    assert answer.out.startswith(f"{concept_run}: R001 Permission denied\n")


def test_control_characters_of_a_run_do_not_reach_the_terminal(call: Call, sample: Path) -> None:
    Path("run.csv").write_text("ID,CUIs\n\x1b[31mred\x07,C0040405\n", encoding="utf-8")
    answer = call("validate", "run.csv", "--truth", sample / "valid_concepts.csv")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert not {"\x1b", "\x07"} & set(answer.out)
