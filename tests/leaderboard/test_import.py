"""`leaderboard import`: a download or a flat folder becomes the layout of submissions."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.cli import invoke
from rocov2_eval.errors import ExitCode, RejectedInput
from rocov2_eval.formats import load
from rocov2_eval.leaderboard.submissions import find_submissions
from rocov2_eval.leaderboard.uploads import folder_name
from rocov2_eval.schemas import check_document

from made_uploads import TEAMS, codabench_names, made_board, zipped

CONCEPTS = b"ID,CUIs\npicture_000,C0040405\n"
CAPTIONS = b"ID,Caption\npicture_000,A chest picture\n"
Import = Callable[..., tuple[int, str, str]]


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def bring_in(root: Path, uploads: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    """Return a function that imports the uploads and returns exit code, stdout and stderr."""

    def run(*words: object, platform: str = "flat", place: Path = uploads) -> tuple[int, str, str]:
        line = ["leaderboard", "import", "--from", platform, place, "--out", root, *words]
        code = invoke([str(word) for word in line])
        captured = capsys.readouterr()
        return int(code), captured.out, captured.err

    return run


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def metadata(root: Path, place: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / place / "submission.json").read_text(encoding="utf-8"))
    assert check_document(place, document, "submission") == []
    return document


def outcomes(out: str) -> dict[str, str]:
    """Return what became of each file, from the table that the command prints."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()[3:]]
    return {cells[0]: cells[1] for cells in lines}


def mapping(path: Path, *rows: dict[str, str]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_names_of_files_tell_team_and_run(root: Path, uploads: Path, bring_in: Import) -> None:
    (uploads / "alpha__run-1.csv").write_bytes(CONCEPTS)
    (uploads / "ds-biomed-captions.zip").write_bytes(zipped("x.csv", CAPTIONS))
    (uploads / "\u00c9quipe X__Essai 2.CSV").write_bytes(CONCEPTS)
    (uploads / "nameless.csv").write_bytes(CONCEPTS)
    code, out, _ = bring_in("--edition", "2026")
    assert code == ExitCode.OK
    assert "3 runs added, 0 there already, 1 file not imported" in out
    files = contents(root)
    assert files["alpha/run-1/run.csv"] == CONCEPTS
    assert files["ds-biomed/captions/run.zip"] == zipped("x.csv", CAPTIONS)
    told = metadata(root, "equipe-x/essai-2")
    assert (told["display_name"], told["edition"], told["task"]) == (
        "\u00c9quipe X",
        "imageclef-2026",
        "concepts",
    )
    assert metadata(root, "ds-biomed/captions")["task"] == "captions"
    assert "the name does not contain team and run" in out
    assert len(find_submissions(root)[0]) == 3


def test_a_second_import_adds_what_is_new_and_changes_nothing(
    root: Path, uploads: Path, bring_in: Import
) -> None:
    for name in ("a__1.csv", "a__1.txt", "A b__1.csv", "\u5317\u4eac__1.csv", "x\x07y__1.csv"):
        (uploads / name).write_bytes(CONCEPTS + name.encode() + b",C1\n")
    bring_in()
    before = contents(root)
    assert len([name for name in before if name.endswith("run.csv")]) == 5
    (uploads / "a__2.csv").write_bytes(CONCEPTS)
    _, out, _ = bring_in()
    assert "1 run added, 5 there already" in out
    assert before.items() <= contents(root).items()


def test_an_upload_that_changed_does_not_take_the_place_of_the_run_before(
    root: Path, uploads: Path, bring_in: Import
) -> None:
    (uploads / "a__1.csv").write_bytes(CONCEPTS)
    bring_in()
    (uploads / "a__1.csv").write_bytes(CAPTIONS)
    code, out, _ = bring_in()
    assert (code, (root / "a/1/run.csv").read_bytes()) == (ExitCode.OK, CONCEPTS)
    assert "a/1 holds another run, which stays" in out


def test_an_interrupted_import_is_made_whole(root: Path, uploads: Path, bring_in: Import) -> None:
    (uploads / "a__1.csv").write_bytes(CONCEPTS)
    (root / "a/1").mkdir(parents=True)
    (root / "a/1/run.csv").write_bytes(CONCEPTS)
    assert "1 run added" in bring_in()[1]
    assert metadata(root, "a/1")["team"] == "a"


def test_teams_and_runs_whose_folders_would_be_one_get_numbers_and_a_note(
    root: Path, uploads: Path, bring_in: Import
) -> None:
    for name in ("DS@BioMed__r 1.csv", "DS BioMed__r 1.csv", "DS@BioMed__r-1.csv", "DS@BioMed__r-l.csv"):
        (uploads / name).write_bytes(CONCEPTS)
    _, out, _ = bring_in()
    assert sorted(name for name in contents(root) if name.endswith("csv")) == [
        "ds-biomed-2/r-1-2/run.csv",
        "ds-biomed-2/r-1/run.csv",
        "ds-biomed-2/r-l-3/run.csv",
        "ds-biomed/r-1/run.csv",
    ]
    assert "ds-biomed is the folder of another team" in out
    assert "another file is r-1" in out


def test_what_is_no_plain_file_stays_where_it_is(
    root: Path, uploads: Path, bring_in: Import, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_bytes(b"ID,CUIs\nsecret,C1\n")
    (uploads / "a__link.csv").symlink_to(tmp_path / "secret.csv")
    (uploads / "a__folder.csv").mkdir()
    os.mkfifo(uploads / "a__pipe.csv")
    (uploads / "a__large.csv").write_bytes(CONCEPTS)
    os.truncate(uploads / "a__large.csv", (1 << 28) + 1)
    (root / "b").symlink_to(tmp_path)
    (uploads / "b__1.csv").write_bytes(CONCEPTS)
    (uploads / ".hidden__1.csv").write_bytes(CONCEPTS)
    code, out, _ = bring_in()
    assert (code, set(outcomes(out).values())) == (ExitCode.OK, {"not imported"})
    assert b"secret" not in b"".join(contents(root).values())
    assert not (tmp_path / "1").exists()


def test_hostile_content_is_kept_as_it_is_for_the_board_to_reject(
    root: Path, uploads: Path, bring_in: Import
) -> None:
    bomb = zipped("run.csv", b"0" * (1 << 20)).replace((1 << 20).to_bytes(4, "little"), b"\x0a\0\0\0")
    files = {"e__1.zip": zipped("../../x.csv", CONCEPTS), "e__2.zip": bomb, "e__3.csv": b"\0" * 99}
    for name, content in files.items():
        (uploads / name).write_bytes(content)
    bring_in()
    assert [contents(root)[f"e/{i}/run.{end}"] for i, end in ((1, "zip"), (2, "zip"), (3, "csv"))] == [
        *files.values()
    ]


def test_an_archive_of_both_tasks_becomes_two_runs_with_what_the_team_says(
    root: Path, uploads: Path, bring_in: Import
) -> None:
    own = {"method": "A network.", "external_data": [], "contact": "a@example.org", "team": "other"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (
            ("a/concepts.csv", CONCEPTS),
            ("captions.csv", CAPTIONS),
            ("__MACOSX/._captions.csv", b"x"),
            ("submission.json", json.dumps(own).encode()),
        ):
            archive.writestr(name, content)
    (uploads / "alpha__1.zip").write_bytes(buffer.getvalue())
    bring_in()
    assert contents(root)["alpha/1-captions/run.csv"] == CAPTIONS
    told = metadata(root, "alpha/1-concepts")
    assert (told["team"], told["method"], told["contact"]) == ("alpha", "A network.", "a@example.org")


def test_a_mapping_names_what_names_do_not_tell(root: Path, uploads: Path, bring_in: Import) -> None:
    for i in range(4):
        (uploads / f"{i}.csv").write_bytes(CONCEPTS)
    table = mapping(
        uploads / "mapping.csv",
        {"file": "0.csv", "team": "alpha", "run": "one", "display_name": "=Alpha \U0001f600"},
        {"file": "1.csv", "team": "alpha", "run": "two", "submitted_at": "2026-05-01T00:00:00Z"},
        {"file": "2.csv", "display_name": "Floor", "run": "one", "status": "baseline"},
        {"file": "3.csv", "team": "evil", "run": "a", "status": "disqualified", "reason": 'It "copies".'},
        {"file": "9.csv", "team": "alpha", "run": "nine"},
    )
    (root / "board.toml").write_text(
        "# ours\nmost_runs = 3\n[teams.evil]\nstatus = 'ranked'\n", encoding="utf-8"
    )
    code, _, err = bring_in("--mapping", table)
    assert code == ExitCode.OK
    assert metadata(root, "alpha/two")["submitted_at"] == "2026-05-01T00:00:00Z"
    assert "names 1 file or owner not found: 9.csv" in err
    assert "has 2 statuses more" in err
    rules = (root / "board.toml").read_text(encoding="utf-8")
    assert rules.startswith("# ours\nmost_runs = 3\n")
    assert '[teams."evil".runs."a"]\nstatus = "disqualified"\nreason = "It \\"copies\\"."' in rules
    assert "baseline" in rules
    before = contents(root)
    assert "4 there already" in bring_in("--mapping", table)[1]
    assert contents(root) == before


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"file": "a.csv", "tem": "x"}, "unknown column 'tem'; did you mean team?"),
        ({"team": "x"}, "expected a file or an owner"),
        ({"file": "a.csv", "status": "basline"}, "did you mean baseline?"),
        ({"file": "a.csv", "status": "disqualified"}, "needs a reason"),
        ({"file": "a.csv", "submitted_at": "yesterday"}, "expected a time with its zone"),
        ({"file": "a.csv", "team": "../x"}, "expected the name of a folder"),
    ],
)
def test_a_fault_of_the_mapping_is_told_with_its_line(
    root: Path, bring_in: Import, tmp_path: Path, row: dict[str, str], said: str
) -> None:
    code, _, err = bring_in("--mapping", mapping(tmp_path / "m.csv", row))
    line = 1 if "column" in said else 2
    assert (code, f"m.csv:{line}: " in err, said in err) == (ExitCode.INPUT_REJECTED, True, True), err
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_mapping_of_a_spreadsheet_is_read(
    root: Path, uploads: Path, bring_in: Import, tmp_path: Path, delimiter: str
) -> None:
    (uploads / "1.csv").write_bytes(CONCEPTS)
    rows = [["File", "Display Name", "RUN", ""], ["1.csv", "Alpha", "one", ""], ["", "", "", ""]]
    text = "".join(f"{delimiter.join(row)}\r\n" for row in rows)
    (tmp_path / "m.csv").write_text(text, encoding="utf-8-sig", newline="")
    assert "1 run added" in bring_in("--mapping", tmp_path / "m.csv")[1]
    assert (root / "Alpha" / "one" / "run.csv").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,run\na.csv,1\na.csv,2\n", "m.csv:3: a second row of the file 'a.csv'"),
        ("owner,team\neve,a\neve,b\n", "m.csv:3: a second row of the owner 'eve'"),
        ("file,run,Run\na.csv,1,2\n", "m.csv:1: 2 columns run"),
        ("file,run,\na.csv,1,x\n", "m.csv:2: a cell in a column without a name"),
    ],
)
def test_a_mapping_that_could_mean_two_things_is_refused(
    bring_in: Import, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    code, _, err = bring_in("--mapping", tmp_path / "m.csv")
    assert (code, said in err) == (ExitCode.INPUT_REJECTED, True), err


@pytest.mark.parametrize(
    "names", [("DS@BioMed", "DS\u200b@BioMed"), ("\u202eDS@BioMed", "DS@BioMed")], ids=["after", "before"]
)
def test_letters_that_nobody_sees_do_not_lead_into_the_folder_of_another_team(
    root: Path, uploads: Path, bring_in: Import, tmp_path: Path, names: tuple[str, str]
) -> None:
    for i, name in enumerate(names):
        (uploads / f"{i}.csv").write_bytes(CONCEPTS)
        table = mapping(tmp_path / "m.csv", {"file": f"{i}.csv", "display_name": name, "run": "1"})
        bring_in("--mapping", table)
    assert [path.name for path in (root / "ds-biomed").iterdir()] == ["1"]
    assert metadata(root, "ds-biomed/1")["display_name"] == "DS@BioMed"
    (folder,) = root.glob("ds-biomed-*")
    assert "display_name" not in metadata(root, f"{folder.name}/1")


def test_an_owner_cannot_take_the_name_that_the_mapping_gives_to_another(
    root: Path, uploads: Path, bring_in: Import, tmp_path: Path
) -> None:
    day = "_PhaseId7_2026-05-01_30-00_"
    for name in (f"1_bob{day}run.csv", f"2_ds@biomed{day}run.csv"):
        (uploads / name).write_bytes(CONCEPTS)
    table = mapping(tmp_path / "m.csv", {"owner": "bob", "display_name": "DS@BioMed"})
    out = bring_in("--mapping", table, platform="codabench")[1]
    assert "1 run added, 0 there already, 1 file not imported" in out
    assert [path.name for path in root.iterdir()] == ["ds-biomed"]


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_download_of_codabench_is_read_with_its_table(
    root: Path, tmp_path: Path, bring_in: Import, form: str
) -> None:
    board = made_board(tmp_path / "made", uploads=14)
    place = tmp_path / "download"
    codabench_names(board, place)
    (place / "failed.txt").write_text("The following submissions failed to download:\n", encoding="utf-8")
    if form == "archive":
        with zipfile.ZipFile(tmp_path / "bulk_submissions.zip", "w") as archive:
            for path in place.iterdir():
                archive.write(path, path.name)
        place = tmp_path / "bulk_submissions.zip"
    owners = [{"owner": f"user_{i:02}", "display_name": name} for i, name in enumerate(TEAMS)]
    names = mapping(tmp_path / "m.csv", *owners)
    code, out, _ = bring_in("--mapping", names, platform="codabench", place=place)
    assert (code, "14 runs added, 0 there already, 2 files not imported" in out) == (ExitCode.OK, True)
    told = metadata(root, "ds-biomed/500001")
    assert (told["display_name"], told["submission_id"]) == ("DS@BioMed", "500001")
    assert told["submitted_at"] == "2026-05-01T00:30:00.123456Z"


def test_a_name_of_codabench_belongs_to_its_owner_whatever_the_file_is_called(
    root: Path, uploads: Path, bring_in: Import
) -> None:
    day = "_PhaseId7_2026-05-01_30-00_"
    (uploads / f"11_bob{day}run.zip").write_bytes(zipped("run.csv", CONCEPTS))
    (uploads / f"12_eve_x{day}13_bob{day}run.zip").write_bytes(zipped("run.csv", CONCEPTS))
    (uploads / f"14_eve_x{day}submissions.csv").write_bytes(b"Submission ID,Owner\n11,eve_x\n")
    _, _, err = bring_in(platform="codabench")
    teams = {path.parent.parent.name for path in root.rglob("submission.json")}
    assert [path.name for path in (root / "bob").iterdir()] == ["11"]
    assert len(teams) == 3
    assert "the times of the uploads are not known" in err


def test_the_folder_may_not_lie_among_the_uploads(root: Path, bring_in: Import) -> None:
    assert bring_in(place=root)[0] == ExitCode.USAGE
    assert bring_in(place=root.parent)[0] == ExitCode.USAGE


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("DS@BioMed", "ds-biomed"),
        ("alpha_1.x", "alpha_1.x"),
        ("\u0141\u00f3d\u017a", "lodz"),
        ("CON", "team-con"),
        ("x" * 99, "x" * 48),
        ("..", "team-"),
        ("\u5317\u4eac", "team-"),
    ],
)
def test_a_folder_has_a_name_that_every_system_takes(name: str, folder: str) -> None:
    assert folder_name(name, "team").startswith(folder)


def test_an_archive_without_files_is_read_as_an_archive(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "run.zip", "w").close()
    with pytest.raises(RejectedInput, match="found 0: nothing"):
        load(tmp_path / "run.zip")
