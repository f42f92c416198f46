from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_builder.cli.curation import curate
from rocov2_eval.command import invoke
from rocov2_eval.errors import ExitCode

LONG = "image,facet,CUI,rater,time\n"
NOON = "2026-01-31T12:00:00Z"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a runner of the command: exit code, stdout, stderr."""

    def invoke_it(*arguments: object) -> tuple[int, str, str]:
        code = invoke(curate, "curate", [str(each) for each in arguments])
        return code, *capsys.readouterr()

    return invoke_it


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(b"pixels")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_rater_gets_a_folder(run: Run, pictures: Path, tmp_path: Path) -> None:
    code, stdout, _ = run(
        *("export", pictures, "--for", "csv", "--out", tmp_path / "tasks"),
        *("--sample", 6, "--raters", 2, "--overlap", 0.5, "--facet", "modality"),
    )
    first, second = (rows(tmp_path / "tasks" / f"rater-{n}" / "tasks.csv") for n in (1, 2))
    shared = {row["image"] for row in first} & {row["image"] for row in second}
    assert (code, len(first), len(second), len(shared)) == (ExitCode.OK, 5, 4, 3)
    assert list(first[0]) == ["image", "facet", "CUI", "rater", "picture", "text"]
    assert stdout.endswith("rater-2: 4 images\n")


def test_only_the_images_of_a_table_are_asked_about(run: Run, pictures: Path, tmp_path: Path) -> None:
    only = tmp_path / "disagreements.csv"
    only.write_text("image,reason\n3.jpg,no majority\n")
    run("export", pictures, "--for", "csv", "--out", tmp_path / "tasks", "--only", only)
    assert [path.name for path in (tmp_path / "tasks" / "images").iterdir()] == ["3.jpg.jpg"]


def test_answers_are_imported_settled_and_told(run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text(
        f"{LONG}a,modality,CT,7,{NOON}\na,modality,CT,8,{NOON}\nb,modality,CT,7,{NOON}\n"
        f"b,modality,PET,8,{NOON}\n"
    )
    (tmp_path / "map.csv").write_text("rater,name\n7,rater-1\n8,rater-2\n")
    answers, manual, waiting = (tmp_path / f"{name}.csv" for name in ("answers", "manual", "open"))
    code, stdout, _ = run("import", export, export, "--rename", tmp_path / "map.csv", "--out", answers)
    assert (code, len(rows(answers))) == (ExitCode.OK, 4)
    assert {row["rater"] for row in rows(answers)} == {"rater-1", "rater-2"}
    assert "4 answers about 2 images" in stdout
    assert "  repeated answers       4\n" in stdout
    code, stdout, _ = run("adjudicate", answers, "--out", manual, "--open", waiting)
    assert rows(manual) == [{"image": "a", "facet": "modality", "CUI": "C0040405"}]
    assert [row["answers"] for row in rows(waiting)] == ["rater-1: CT; rater-2: PET"]
    assert "  modality         1     1  no majority 1\n" in stdout


def test_one_root_serves_the_images_of_all_raters(run: Run, pictures: Path, tmp_path: Path) -> None:
    run("export", pictures, "--for", "label-studio", "--out", tmp_path / "tasks", "--raters", 2)
    for rater in ("rater-1", "rater-2"):
        for task in json.loads((tmp_path / "tasks" / rater / "tasks.json").read_text()):
            place = task["data"]["image"].removeprefix("/data/local-files/?d=")
            assert place.startswith(f"tasks/{rater}/images/")
            assert (tmp_path / place).is_file()


def test_a_file_without_a_task_has_a_warning(run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_text("[]")
    words = ("--from", "label-studio", "--out", tmp_path / "answers.csv", "--format", "json")
    assert json.loads(run("import", export, *words)[1])["warnings"] == [f"{export}: a file without a task"]


def test_no_output_takes_the_place_of_an_input_or_of_another(run: Run, tmp_path: Path) -> None:
    answers, names = tmp_path / "answers.csv", tmp_path / "map.csv"
    content = f"{LONG}a,modality,CT,7,\n"
    answers.write_text(content)
    names.write_text("rater,name\n7,rater-1\n")
    (tmp_path / "link.csv").symlink_to(answers)
    out = tmp_path / "manual.csv"
    faults = [
        run("import", answers, "--out", tmp_path / "." / "answers.csv"),
        run("import", answers, "--out", tmp_path / "link.csv"),
        run("import", answers, "--rename", names, "--out", names),
        run("adjudicate", answers, "--out", answers),
        run("adjudicate", answers, "--out", out, "--open", answers),
        run("adjudicate", answers, "--out", out, "--open", out),
        run("adjudicate", answers, "--out", out, "--adjudicator", names, "--open", names),
    ]
    assert {(code, "name another output" in stderr) for code, _, stderr in faults} == {(ExitCode.USAGE, True)}
    assert (content, False) == (answers.read_text(), out.exists())


def test_a_rater_who_is_a_formula_is_refused_until_renamed(run: Run, tmp_path: Path) -> None:
    export, names, out = (tmp_path / f"{name}.csv" for name in ("export", "map", "answers"))
    export.write_text(f"{LONG}a,modality,CT,=cmd(),\n")
    names.write_text("rater,name\n=cmd(),rater-1\n")
    code, _, stderr = run("import", export, "--out", out)
    assert (code, out.exists()) == (ExitCode.INPUT_REJECTED, False)
    assert "the rater '=cmd()' begins with one of = + - @" in stderr
    assert "--rename MAP.csv" in stderr
    assert run("import", export, "--rename", names, "--out", out)[0] == ExitCode.OK


def test_an_answer_that_was_changed_is_in_the_report(run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text(f"{LONG}a,modality,CT,7,{NOON}\na,modality,PET,7,2026-02-01T12:00:00Z\n")
    arguments = ("import", export, "--out", tmp_path / "answers.csv", "--format")
    assert "a      modality  7      CT, then PET  PET" in run(*arguments, "text")[1]
    assert "| a | modality | 7 | CT, then PET | PET |" in run(*arguments, "markdown")[1]
    (change,) = json.loads(run(*arguments, "json")[1])["changes"]
    assert (change["counts"], len(change["answers"])) == ("C0032743", 2)


def test_what_goes_not_together_is_a_fault_of_usage(run: Run, pictures: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.csv"
    answers.write_text(LONG)
    captions = run("export", pictures, "--captions", "--for", "csv", "--out", tmp_path / "tasks")
    file = run("export", answers, "--for", "csv", "--out", tmp_path / "tasks")
    assert [captions[0], file[0]] == [ExitCode.USAGE, ExitCode.INPUT_REJECTED]


def test_a_place_that_cannot_be_written_is_named(run: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks").write_text("")
    code, _, stderr = run("export", pictures, "--for", "csv", "--out", tmp_path / "tasks" / "deeper")
    assert code == ExitCode.USAGE
    assert "cannot be written" in stderr


def test_answers_about_real_images_come_back_as_they_were_given(
    run: Run, tmp_path: Path, shared: Path
) -> None:
    truth = {row["file"]: row for row in rows(shared / "data" / "images" / "images.csv")}
    arguments = ("--for", "label-studio", "--sample", 60, "--raters", 3, "--overlap", 0.5)
    run("export", shared / "data" / "images", "--out", tmp_path / "tasks", *arguments)
    exports = []
    for number in (1, 2, 3):
        tasks = json.loads((tmp_path / "tasks" / f"rater-{number}" / "tasks.json").read_text())
        for task in tasks:
            told = truth[Path(task["data"]["key"]).name]
            result = [
                {"from_name": facet, "type": "choices", "value": {"choices": [told[facet] or "none"]}}
                for facet in ("modality", "region", "direction")
            ]
            task["annotations"] = [{"result": result, "completed_by": number, "created_at": NOON}]
        exports.append(tmp_path / f"{number}.json")
        exports[-1].write_text(json.dumps(tasks))
    run("import", *exports, "--out", tmp_path / "answers.csv")
    run("adjudicate", tmp_path / "answers.csv", "--policy", "unanimous", "--out", tmp_path / "manual.csv")
    settled = rows(tmp_path / "manual.csv")
    assert {(row["image"], row["facet"], row["CUI"]) for row in settled} == {
        (row["image"], row["facet"], truth[Path(row["image"]).name][row["facet"]] or "none")
        for row in settled
    }
    assert len({row["image"] for row in settled}) == 60


def studio(path: Path, rater: object, choice: str) -> Path:
    """Write what an installation of Label Studio exports of one annotation of one image."""
    result = [{"from_name": "modality", "type": "choices", "value": {"choices": [choice]}}]
    annotation = {"result": result, "completed_by": rater, "updated_at": NOON}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([{"data": {"key": "a"}, "annotations": [annotation]}]))
    return path


def trainer(path: Path, user: str, cui: str) -> Path:
    annotation = {"user": user, "cui": cui, "validated": True, "correct": True, "last_modified": NOON}
    path.write_text(json.dumps({"projects": [{"documents": [{"name": "a", "annotations": [annotation]}]}]}))
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Return the exports of two installations that both call their only user 1."""
    return studio(tmp_path / "x/export.json", 1, "CT"), studio(tmp_path / "y/export.json", 1, "PET")


@pytest.mark.parametrize("kind", ["number", "admin", "address", "trainer", "table"])
def test_users_of_two_installations_are_two_raters(kind: str, run: Run, tmp_path: Path) -> None:
    if kind == "table":
        files = [tmp_path / "a.csv", tmp_path / "b.csv"]
        for file, choice in zip(files, ("CT", "PET"), strict=True):
            file.write_text(f"{LONG}a,modality,{choice},1,\n")
    elif kind == "trainer":
        cuis = ("C0040405", "C0032743")
        files = [trainer(tmp_path / f"{n}.json", "admin", cui) for n, cui in enumerate(cuis)]
    else:
        user = {"number": 1, "admin": {"id": 1, "username": "Admin"}, "address": {"email": "admin@localhost"}}
        choices = ("CT", "PET")
        files = [studio(tmp_path / f"{n}.json", user[kind], choice) for n, choice in enumerate(choices)]
    code, stdout, stderr = run("import", *files, "--out", tmp_path / "answers.csv")
    assert (code, stderr) == (ExitCode.OK, "")
    assert len({row["rater"] for row in rows(tmp_path / "answers.csv")}) == 2
    assert "counted as 2 people, one per file" in stdout
    assert run("adjudicate", tmp_path / "answers.csv", "--out", tmp_path / "manual.csv")[0] == ExitCode.OK
    assert rows(tmp_path / "manual.csv") == []


def test_a_file_that_is_named_twice_has_one_rater(two: tuple[Path, Path], run: Run, tmp_path: Path) -> None:
    again = two[0].parent / ".." / "x" / two[0].name
    assert run("import", *two, again, "--out", tmp_path / "answers.csv")[0] == ExitCode.OK
    raters = {row["rater"] for row in rows(tmp_path / "answers.csv")}
    assert raters == {"x/export.json:1", "y/export.json:1"}


def test_the_name_of_a_rater_holds_for_the_file_it_stands_before(
    two: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    lines = [
        ("--rater", "anna", two[0], "--rater", "ben", two[1], "--out", out),
        ("--rater=anna", "--out", out, two[0], "--format", "text", "--rater=ben", "--", two[1]),
        ("--out", out, "--rater", "anna", two[0], "--rater", "ben", two[1]),
    ]
    for line in lines:
        code, _, stderr = run("import", *line)
        assert (code, stderr) == (ExitCode.OK, "")
        assert {row["rater"]: row["CUI"] for row in rows(out)} == {"anna": "C0040405", "ben": "C0032743"}
    code, _, stderr = run("import", two[0], "--rater", "ben", two[1], "--out", out)
    assert (code, {row["rater"] for row in rows(out)}) == (ExitCode.OK, {"1", "ben"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--rater", "anna", "--rater", "ben", "x/export.json", "y/export.json"),
            "has the names anna and ben",
        ),
        (("x/export.json", "y/export.json", "--rater", "anna"), "no file follows"),
        (("--rater", " ", "x/export.json"), "an empty name"),
    ],
)
def test_a_name_that_fits_no_file_is_refused(
    words: tuple[str, ...], message: str, two: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    assert all(path.is_file() for path in two)
    places = [tmp_path / word if word.endswith(".json") else word for word in words]
    code, _, stderr = run("import", *places, "--out", tmp_path / "answers.csv")
    assert code == ExitCode.USAGE
    assert message in stderr


def test_one_name_for_a_file_of_two_raters_is_refused(run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text(f"{LONG}a,modality,CT,7,\nb,modality,CT,8,\n")
    code, _, stderr = run("import", "--rater", "anna", export, "--out", tmp_path / "answers.csv")
    assert code == ExitCode.INPUT_REJECTED
    assert "it contains answers of 2 raters (7, 8)" in stderr


@pytest.mark.parametrize("names", [(), ("--rater", "anna")])
def test_different_answers_of_one_person_in_two_files_are_refused_with_both(
    names: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    first = studio(tmp_path / "a.json", {"id": 1, "email": "anna@example.org"}, "CT")
    second = studio(tmp_path / "b.json", {"id": 3, "email": "anna@example.org"}, "PET")
    code, _, stderr = run("import", *names, first, *names, second, "--out", tmp_path / "answers.csv")
    assert (code, (tmp_path / "answers.csv").exists()) == (ExitCode.INPUT_REJECTED, False)
    assert f"'CT' in {first} and with 'PET' in {second}" in stderr


def test_new_names_tell_the_users_of_two_installations(
    two: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    names, out = tmp_path / "names.csv", tmp_path / "answers.csv"
    names.write_text("rater,name\n1,rater-1\n")
    code, _, stderr = run("import", *two, "--rename", names, "--out", out)
    assert code == ExitCode.INPUT_REJECTED
    assert "no name in the map of raters for x/export.json:1, y/export.json:1" in stderr
    names.write_text("rater,name\nx/export.json:1,rater-1\ny/export.json:1,rater-2\n")
    assert run("import", *two, "--rename", names, "--out", out)[0] == ExitCode.OK
    assert {row["rater"] for row in rows(out)} == {"rater-1", "rater-2"}


def test_the_answer_of_an_adjudicator_does_not_take_the_place_of_a_rater_with_the_same_number(
    run: Run, tmp_path: Path
) -> None:
    answers, waiting = tmp_path / "answers.csv", tmp_path / "open.csv"
    answers.write_text(f"{LONG}a,modality,CT,1,\na,modality,PET,2,\n")
    export = tmp_path / "senior.csv"
    export.write_text(f"{LONG}a,region,chest,1,\na,modality,MRI,1,\n")
    words = ("--adjudicator", export, "--out", tmp_path / "manual.csv", "--open", waiting)
    assert run("adjudicate", answers, *words)[0] == ExitCode.OK
    assert [row["answers"] for row in rows(waiting)] == ["senior.csv:1: chest"]


@pytest.mark.parametrize(("annotator", "rater"), [("anna@example.org", "anna@example.org"), ("1", "1")])
def test_a_csv_export_of_label_studio_is_read(annotator: str, rater: str, run: Run, tmp_path: Path) -> None:
    export, out = tmp_path / "project-1.csv", tmp_path / "answers.csv"
    export.write_text(
        "annotation_id,annotator,created_at,id,image,key,lead_time,modality,region,updated_at\n"
        f"5,{annotator},{NOON},1,/data/a.jpg,PMC1/a.jpg,3.1,X-ray,chest,{NOON}\n"
        f'6,{annotator},{NOON},2,/data/b.jpg,PMC1/b.jpg,3.1,"{{""choices"": [""CT"", ""PET""]}}",,{NOON}\n'
    )
    code, stdout, stderr = run("import", export, "--out", out)
    assert (code, stderr) == (ExitCode.OK, "")
    assert [(row["image"], row["facet"], row["rater"]) for row in rows(out)] == [
        ("PMC1/a.jpg", "modality", rater),
        ("PMC1/a.jpg", "region", rater),
    ]
    assert "several answers, expected one       1" in stdout


def test_an_adjudicator_of_other_images_is_refused_and_one_of_some_is_told(run: Run, tmp_path: Path) -> None:
    answers, senior, out = (tmp_path / f"{name}.csv" for name in ("answers", "senior", "manual"))
    answers.write_text(f"{LONG}a,modality,CT,anna,\n")
    senior.write_text(f"{LONG}b,modality,MRI,ben,\n")
    code, _, stderr = run("adjudicate", answers, "--adjudicator", senior, "--out", out)
    assert (code, out.exists()) == (ExitCode.INPUT_REJECTED, False)
    assert "no image of" in stderr
    senior.write_text(f"{LONG}a,modality,MRI,ben,\nb,modality,MRI,ben,\n")
    code, _, stderr = run("adjudicate", answers, "--adjudicator", senior, "--out", out)
    assert code == ExitCode.OK
    assert "1 image not in" in stderr


def test_images_of_a_second_round_that_are_not_there_are_counted(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    only = tmp_path / "disagreements.csv"
    only.write_text("image\n3.jpg\nx.jpg\n")
    code, _, stderr = run("export", pictures, "--for", "csv", "--out", tmp_path / "tasks", "--only", only)
    assert code == ExitCode.OK
    assert f"1 of 2 images not in {pictures}: x.jpg" in stderr
