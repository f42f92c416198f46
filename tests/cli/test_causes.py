"""What holds for nearly all rows is one finding, with its cause; a score that says nothing is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.findings import RULES

Call = Callable[..., Any]
IDS = [f"ROCO_{number:05}" for number in (3, 4, 5, 16)]
CUIS = ["C0040405;C0817096", "C1306645", "C0024485;C0030797;C0000726", "C0041618"]
CAPTIONS = [
    "CT of the chest in the axial plane",
    "Plain radiograph of the left knee with effusion",
    "MRI of the pelvis with a mass",
    "Ultrasound of the liver of a child",
]
ANSWERS = {"concepts": CUIS, "captions": CAPTIONS}
HEADERS = {"concepts": "CUIs", "captions": "Caption"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Answers of a run, and the one finding that they make."""

    cells: Sequence[str]
    code: str
    task: str = "concepts"
    severity: str = "error"


def listed(cell: str) -> list[str]:
    return cell.split(";")


CASES = {
    "captions as concepts": Case(cells=CAPTIONS, code="R020"),
    "an eighth digit": Case(cells=[cell.replace("C", "C0") for cell in CUIS], code="R210"),
    "full width semicolons": Case(cells=[cell.replace(";", "\uff1b") for cell in CUIS], code="R208"),
    "concepts as captions": Case(cells=CUIS, code="R020", task="captions"),
    "concepts joined by commas as captions": Case(
        cells=[cell.replace(";", ", ") for cell in CUIS], code="R020", task="captions"
    ),
    "lists of Python": Case(cells=[str(listed(cell)) for cell in CUIS], code="R208"),
    "tuples": Case(cells=[str(tuple(listed(cell))) for cell in CUIS], code="R208"),
    "lists of JSON": Case(cells=[json.dumps(listed(cell)) for cell in CUIS], code="R208"),
    "objects of JSON": Case(cells=[json.dumps({"cuis": listed(cell)}) for cell in CUIS], code="R208"),
    "quotes in quotes": Case(cells=[f"'{cell}'" for cell in CUIS], code="R208"),
    "commas": Case(cells=[cell.replace(";", ",") for cell in CUIS], code="R208"),
    "blanks": Case(cells=[cell.replace(";", " ") for cell in CUIS], code="R208"),
    "bars": Case(cells=[cell.replace(";", " | ") for cell in CUIS], code="R208"),
    "names beside CUIs": Case(cells=[f"{cell} (a name)" for cell in CUIS], code="R208"),
    "HTML around CUIs": Case(cells=[f"<li>{cell}</li>" for cell in CUIS], code="R208"),
    "names": Case(cells=["CT;Chest", "X-ray", "MRI;Pelvis;Abdomen", "Ultrasonography"], code="R209"),
    "names with commas": Case(cells=["CT, Chest", "X-ray", "MRI, Pelvis", "Ultrasonography"], code="R209"),
    "codes of another list": Case(cells=["RID10321", "RID10345", "RID10312", "RID10326"], code="R209"),
    "lost zeros": Case(cells=["C40405;C817096", "C1306645", "C24485;C30797;C726", "C41618"], code="R210"),
    "numbers": Case(cells=["40405;817096", "1306645", "24485;30797;726", "41618"], code="R210"),
    "numbers of pandas": Case(cells=["40405.0", "1306645.0", "24485.0", "41618.0"], code="R210"),
    "lower case": Case(cells=[cell.lower() for cell in CUIS], code="R211", severity="warning"),
    "nan": Case(cells=["nan"] * 4, code="R116"),
    "None for a caption": Case(cells=["None", "null", "None", "<NA>"], code="R116", task="captions"),
    "one nan": Case(cells=["nan", *CUIS[:3]], code="R116", severity="warning"),
    "numbers as captions": Case(cells=["0.5", "0.25", "1", "0.75"], code="R306", task="captions"),
    "file names as captions": Case(cells=[f"{i}.jpg" for i in IDS], code="R306", task="captions"),
    "captions in lists": Case(
        cells=[str([cell]) for cell in CAPTIONS], code="R305", task="captions", severity="warning"
    ),
    "captions in JSON": Case(
        cells=[json.dumps({"caption": cell}) for cell in CAPTIONS],
        code="R305",
        task="captions",
        severity="warning",
    ),
    "tokens of a model": Case(
        cells=[f"<s>{cell}</s>" for cell in CAPTIONS], code="R305", task="captions", severity="warning"
    ),
    "one answer": Case(cells=["C0040405"] * 4, code="R023", severity="note"),
    "no answer": Case(cells=[""] * 4, code="R023", severity="note"),
    "the truth": Case(cells=CUIS, code="R024", severity="note"),
}


@pytest.fixture(autouse=True)
def truth(home: Path) -> Path:
    """Return a folder with the truth of both tasks."""
    assert home.is_dir()
    for task, cells in ANSWERS.items():
        write(f"truth/test_{task}.csv", IDS, cells, task)
    return Path("truth")


def write(
    name: str, ids: Sequence[str], cells: Sequence[str], task: str = "concepts", first: str = "ID"
) -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([(first, HEADERS[task]), *zip(ids, cells, strict=True)])
    return path


def found(call: Call, *words: object) -> list[tuple[str, str]]:
    answer = call("validate", *words, "--format", "json")
    return [(item["code"], item["severity"]) for item in json.loads(answer.out)["list"]]


@pytest.mark.parametrize("name", CASES)
def test_a_cause_is_one_finding_and_its_follow_ups_are_left_out(name: str, call: Call) -> None:
    case = CASES[name]
    run = write("run.csv", IDS, case.cells, case.task)

    expected = [(case.code, case.severity)]
    assert expected == found(call, run, "--truth", "truth", "--task", case.task)


@pytest.mark.parametrize("name", ["captions as concepts", "lists of Python", "names", "lost zeros", "nan"])
def test_an_official_edition_scores_what_its_evaluator_scores(name: str, call: Call) -> None:
    case = CASES[name]
    run = write("run.csv", IDS, case.cells)

    answer = call(
        "score", run, "--truth", "truth", "--edition", "imageclef-2024", "--no-ci", "--task", "concepts"
    )

    assert (answer.code, f"run.csv: {case.code} warning: " in answer.err) == (ExitCode.OK, True)


def test_a_score_that_says_nothing_is_refused_and_lenient_gives_it(call: Call) -> None:
    run = write("run.csv", IDS, ["CT", "X-ray", "MRI", "Ultrasound"])
    words = ("score", run, "--truth", "truth", "--task", "concepts")

    assert call(*words).code == ExitCode.INPUT_REJECTED
    assert "concept_f1         0.0000" in call(*words, "--lenient").out


def test_a_cause_tells_the_number_of_rows_three_of_them_and_the_remedy(call: Call) -> None:
    run = write("run.csv", IDS, ["CT", "X-ray", "MRI", "Ultrasound"])

    expected = [
        "run.csv: R209 4 of 4 cells contain no CUI: line 2 'CT', line 3 'X-ray', line 4 'MRI', …",
        f"    fix: {RULES['R209'].fix}",
    ]
    assert expected == call("validate", run, "--truth", "truth", "--task", "concepts").out.splitlines()[:2]


def test_faults_of_single_rows_are_told_beside_a_cause(call: Call) -> None:
    run = write("run.csv", [*IDS, IDS[0]], ["CT", "X-ray", "MRI", "Ultrasound", "PET"])

    expected = {("R209", "error"), ("R103", "error")}
    assert expected == set(found(call, run, "--truth", "truth", "--task", "concepts"))


def test_of_each_code_five_findings_are_shown_and_the_others_counted(call: Call) -> None:
    ids = [f"i{number}" for number in range(100)]
    write("truth/test_concepts.csv", ids, ["C0040405;C0024485", "C1306645"] * 50)
    run = write("run.csv", ids, ["C0040405;;C0024485", "C1306645"] * 50)

    lines = call("validate", run, "--truth", "truth").out.splitlines()

    assert [line for line in lines if "R203" in line][5:] == [
        "run.csv: R203 warning: 45 more of the same: an empty concept"
    ]


# ---- rows that are cut in the wrong place


@pytest.mark.parametrize("task", ANSWERS)
def test_quotes_around_whole_rows_are_told_once(task: str, call: Call) -> None:
    rows = "".join(f'"{i},{cell}"\n' for i, cell in zip(IDS, ANSWERS[task], strict=True))
    Path("run.csv").write_text(f"ID,{HEADERS[task]}\n{rows}", encoding="utf-8")

    assert found(call, "run.csv", "--truth", "truth", "--task", task) == [("R022", "error")]


def test_concepts_in_cells_of_their_own_are_told_once(call: Call) -> None:
    rows = "".join(f"{i},{cell.replace(';', ',')}\n" for i, cell in zip(IDS, CUIS, strict=True))
    Path("run.csv").write_text(f"ID,CUIs\n{rows}", encoding="utf-8")

    assert found(call, "run.csv", "--truth", "truth") == [("R208", "error")]


@pytest.mark.parametrize("task", ANSWERS)
def test_swapped_columns_are_told_once(task: str, call: Call) -> None:
    run = write("run.csv", ANSWERS[task], IDS, task)

    assert found(call, run, "--truth", "truth", "--task", task) == [("R021", "error")]


def test_the_header_that_a_reader_takes_for_an_image_is_a_finding(call: Call) -> None:
    write("truth/test_concepts.csv", IDS, CUIS, first="bild")
    run = write("run.csv", IDS, CUIS[::-1], first="bild")
    words = ("score", run, "--truth", "truth", "--no-ci")

    ours, official = call(*words), call(*words, "--edition", "imageclef-2024")

    assert (ours.code, "run.csv:1: R117 " in ours.err) == (ExitCode.INPUT_REJECTED, True)
    assert (official.code, "run.csv:1: R117 warning: " in official.err) == (ExitCode.OK, True)
    assert "5 images" in official.out  # as its evaluator scores


def test_a_header_of_unknown_names_is_told_with_the_remedy(call: Call) -> None:
    run = write("run.csv", IDS, CAPTIONS, first="bild", task="captions")
    expected = (
        "'bild' is not an image of the truth; it looks like a header: name its columns, --id-column bild"
    )
    assert expected in call("validate", run, "--truth", "truth").out


@pytest.mark.parametrize("task", ANSWERS)
def test_a_header_of_unknown_names_is_told_without_a_truth(task: str, call: Call) -> None:
    ids = [f"elsewhere_{number}" for number in range(4)]
    rows = "".join(f"{i},{cell}\n" for i, cell in zip(ids, ANSWERS[task], strict=True))
    Path("run.csv").write_text(f"key,val\n{rows}", encoding="utf-8")
    assert ("R117", "warning") in found(call, "run.csv", "--task", task)


def test_a_subset_of_wrong_ids_is_told_why(call: Call) -> None:
    run = write("run.csv", [f"{i}.jpg" for i in IDS[:2]], CUIS[:2])
    answer = call("score", run, "--truth", "truth", "--subset")
    assert (answer.code, "R114 2 of 2 ids differ" in answer.err) == (ExitCode.INPUT_REJECTED, True)


# ---- ids

SLIPS = {
    "ending": [f"{i}.jpg" for i in IDS],
    "another ending": [f"{i}.PNG" for i in IDS],
    "folder": [f"images/{i}" for i in IDS],
    "folder of Windows": [f"C:\\images\\{i}" for i in IDS],
    "folder and ending": [f"images/test/{i}.png" for i in IDS],
    "case": [i.lower() for i in IDS],
    "blanks": [f" {i} " for i in IDS],
    "blank that does not break": [f"{i}\xa0" for i in IDS],
    "zero width": [f"{i}\u200b" for i in IDS],
    "mark inside": [f"{i[:3]}\ufeff{i[3:]}" for i in IDS],
    "full width": [f"\uff32{i[1:]}" for i in IDS],
    "zeros": [f"ROCO_{int(i[5:])}" for i in IDS],
    "number": [str(int(i[5:])) for i in IDS],
    "dash": [i.replace("_", "-") for i in IDS],
    "text before": [f"v2_{i}" for i in IDS],
    "text after": [f"{i}_a" for i in IDS],
    "half of the rows": [*(f"{i}.jpg" for i in IDS[:2]), *IDS[2:]],
}


@pytest.mark.parametrize("slip", SLIPS)
def test_ids_that_are_wrong_in_one_way_are_told_once(slip: str, call: Call) -> None:
    run = write("run.csv", SLIPS[slip], CUIS[::-1])

    assert found(call, run, "--truth", "truth/test_concepts.csv") == [("R114", "error")]


@pytest.mark.parametrize("slip", [name for name in SLIPS if name != "half of the rows"])
def test_ids_of_the_truth_that_differ_in_one_way_are_told_once(slip: str, call: Call) -> None:
    other = write("other/test_concepts.csv", SLIPS[slip], CUIS)
    run = write("run.csv", IDS, CUIS[::-1])

    assert found(call, run, "--truth", other) == [("R114", "error")]


def test_a_wrong_id_is_shown_beside_the_right_one(call: Call) -> None:
    run = write("run.csv", SLIPS["ending"], CUIS[::-1])
    write("truth/valid_concepts.csv", ["a", "b"], CUIS[:2])  # so that no truth of several has the ids

    expected = (
        "run.csv: R114 4 of 4 ids differ from those of the truth in one way, a file extension: "
        "'ROCO_00003.jpg' should be 'ROCO_00003'\n"
    )
    assert call("score", run, "--truth", "truth").err.startswith(expected)


def test_two_ids_of_the_truth_are_never_taken_for_one(call: Call) -> None:
    write("truth/test_concepts.csv", ["a.jpg", "a.png"], CUIS[:2])
    run = write("run.csv", ["a", "b"], CUIS[:2])

    assert "R114" not in dict(found(call, run, "--truth", "truth/test_concepts.csv"))


def test_ids_of_another_split_are_told_once(call: Call) -> None:
    others = [i.replace("ROCO", "OTHER") for i in IDS]
    write("truth/valid_concepts.csv", others, CUIS)
    run = write("run.csv", others, CUIS[::-1])

    answer = call("validate", run, "--truth", "truth", "--split", "test")

    first = "run.csv: R115 the ids belong to valid, but the truth is truth/test_concepts.csv"
    assert answer.out.splitlines()[0] == first
    assert answer.out.endswith("REJECTED, 1 error, 0 warnings\n")


def test_ids_that_name_another_split_are_told_so_without_its_file(call: Call) -> None:
    truth = write("a.csv", [f"Caption_2024_test_{n:03}" for n in range(4)], CUIS)
    run = write("run.csv", [f"Caption_2024_valid_{n + 7:03}" for n in range(4)], CUIS[::-1])

    assert found(call, run, "--truth", truth) == [("R115", "error")]


def test_a_long_id_keeps_its_end_in_a_message(call: Call) -> None:
    run = write("run.csv", ["x" * 90 + "_000017", *IDS[1:]], CUIS[::-1])

    assert "xxx_000017' is not an image of the truth" in call("validate", run, "--truth", "truth").out


# ---- the truth


@pytest.mark.parametrize("task", ANSWERS)
def test_an_all_empty_truth_is_refused(task: str, call: Call) -> None:
    empty = write(f"empty/test_{task}.csv", IDS, [""] * 4, task)
    run = write("run.csv", IDS, ANSWERS[task], task)

    assert found(call, run, "--truth", empty, "--task", task) == [("R504", "error")]


@pytest.mark.parametrize("name", ["lists of Python", "names", "captions as concepts", "nan", "commas"])
def test_a_truth_that_holds_no_answers_is_refused_and_is_a_warning_officially(name: str, call: Call) -> None:
    other = write("other/test_concepts.csv", IDS, CASES[name].cells)
    run = write("run.csv", IDS, CUIS)
    words = (run, "--truth", other, "--task", "concepts")

    assert found(call, *words) == [("R504", "error")]
    assert found(call, *words, "--edition", "imageclef-2024") == [("R504", "warning")]


def test_idf_of_one_reference_is_explained(call: Call) -> None:
    truth = write("one/test_captions.csv", IDS[:1], CAPTIONS[:1], "captions")
    run = write("run.csv", IDS[:1], CAPTIONS[1:2], "captions")

    answer = call("score", run, "--truth", truth, "--metric", "cider", "--edition", "imageclef-2023")

    assert "R505 note: cider: 0 for any run" in answer.err


# ---- without a truth


def test_without_a_truth_all_but_the_ids_is_checked(call: Call) -> None:
    good = write("good.csv", ["x1", "x2"], CUIS[:2])
    bad = write("bad.csv", ["x1", "x1"], CUIS[:2])

    answers = [call("validate", run) for run in (good, bad)]

    assert [answer.code for answer in answers] == [ExitCode.OK, ExitCode.INPUT_REJECTED]
    assert "bad.csv:3: R103 " in answers[1].out
    assert "ids are not checked: add --truth or --ids" in answers[0].err


def test_a_named_truth_without_the_ids_is_a_fault_of_the_run(call: Call) -> None:
    run = write("run.csv", ["x1", "y2"], CUIS[:2])
    write("truth/valid_concepts.csv", ["a", "b"], CUIS[:2])

    assert found(call, run, "--truth", "truth") == [("R104", "error")]


@pytest.mark.parametrize("kind", ["file", "list", "folder", "splits"])
def test_ids_are_checked_against_a_file_or_a_folder_of_images(kind: str, call: Call) -> None:
    place = Path("ids")
    if kind in ("file", "list"):
        head = "ID\n" if kind == "file" else ""
        place.write_text(head + "".join(f"{i}\n" for i in IDS), encoding="utf-8")
    else:
        folder = place / "test" if kind == "splits" else place
        folder.mkdir(parents=True)
        for image_id in IDS:
            (folder / f"{image_id}.jpg").touch()

    whole, short = write("whole.csv", IDS[::-1], CUIS), write("short.csv", IDS[1:], CUIS[1:])

    assert found(call, whole, "--ids", place) == []
    assert found(call, short, "--ids", place) == [("R105", "error")]


def test_ids_and_truth_do_not_go_together(call: Call) -> None:
    run = write("run.csv", IDS, CUIS)

    assert call("validate", run, "--ids", run, "--truth", "truth").code == ExitCode.USAGE


# ---- a part of a truth


def test_a_subset_is_scored_and_marked(call: Call) -> None:
    run = write("run.csv", IDS[:2], ["C0040405;C0817096", "C0040405"])
    words = ("score", run, "--truth", "truth", "--no-ci")

    assert call(*words).code == ExitCode.INPUT_REJECTED
    answer = call(*words, "--subset")
    document = json.loads(call(*words, "--subset", "--format", "json").out)

    assert "2 of 4 images" in answer.out.splitlines()[0]
    assert "NOT OFFICIAL: --subset: 2 of the 4 images of the truth were scored" in answer.out
    assert (document["official"]["comparable"], document["metrics"]["concept_f1"]["mean"]) == (False, 0.5)


@pytest.mark.parametrize("style", ["text", "csv", "markdown", "latex", "github", "json"])
def test_every_format_says_that_a_subset_was_scored(style: str, call: Call) -> None:
    run = write("run.csv", IDS[:2], CUIS[:2])

    answer = call("score", run, "--truth", "truth", "--subset", "--format", style, "--page", "page.html")

    assert "subset" in answer.out
    assert "subset" in Path("page.html").read_text(encoding="utf-8")


def test_a_subset_of_all_images_is_the_whole(call: Call) -> None:
    run = write("run.csv", IDS, CUIS[::-1])

    assert "subset" not in call("score", run, "--truth", "truth", "--subset").out


def test_an_unknown_image_is_refused_in_a_subset_too(call: Call) -> None:
    run = write("run.csv", [*IDS[:2], "x"], CUIS[:3])

    answer = call("score", run, "--truth", "truth", "--subset")

    assert (answer.code, "R104" in answer.err) == (ExitCode.INPUT_REJECTED, True)
