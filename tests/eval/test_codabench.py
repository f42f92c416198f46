from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rocov2_eval.codabench import BundleOptions, make_bundle, score_submission
from rocov2_eval.codabench.submission import PAGE, SCORES
from rocov2_eval.codabench.tasks import read_tasks
from rocov2_eval.codabench.wheels import own_wheel, pins, wheel_files
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.formats import load
from rocov2_eval.records import Task
from rocov2_eval.schemas import check_json_file
from rocov2_eval.scoring import Report
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.truth import Place
from rocov2_eval.validation import read_run

pytestmark = pytest.mark.slow

IDS = [f"image_{i:03d}" for i in range(30)]
CONCEPTS = [f"C13{i:05d};C0024485" if i % 3 else f"C13{i:05d}" for i in range(30)]
MANUAL = ["C0024485" if i % 3 else "" for i in range(30)]
CAPTIONS = [f"Nodule number {chr(97 + i % 26)}{i} of the lung, with a rim" for i in range(30)]
IMAGE = "example.org/rocov2-eval:1"
# What the platform's reader of archives takes, by its source (competitions/unpackers/v2.py at 8239d01 of
# codalab/codabench, models, serializers) and its page "YAML structure": by level the fields that it must have
# and those that it may have. It drops anything else without a word.
FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "competition": (
        {"version", "title", "image", "terms", "pages", "tasks", "phases", "leaderboards"},
        {"description", "docker_image", "queue", "registration_auto_approve", "contact_email", "reward"}
        | {"make_programs_available", "make_input_data_available", "enable_detailed_results", "solutions"}
        | {"show_detailed_results_in_submission_panel", "show_detailed_results_in_leaderboard"}
        | {"auto_run_submissions", "can_participants_make_submissions_public", "forum_enabled"}
        | {"competition_type", "fact_sheet"},
    ),
    "page": ({"title", "file"}, set()),
    "task": (
        {"index", "name", "scoring_program"},
        {"description", "reference_data", "input_data", "ingestion_program", "ingestion_only_during_scoring"},
    ),
    "phase": (
        {"name", "start", "tasks"},
        {"index", "description", "end", "max_submissions", "max_submissions_per_day", "starting_kit"}
        | {"auto_migrate_to_this_phase", "execution_time_limit", "public_data"}
        | {"hide_output", "hide_prediction_output", "hide_score_output"}
        | {"accepts_only_result_submissions"},  # documented and not read
    ),
    "leaderboard": ({"title", "key", "columns"}, {"submission_rule", "hidden", "primary_index"}),
    "column": (
        {"title", "key", "index"},
        {"sorting", "computation", "computation_indexes", "precision", "hidden"},
    ),
}
LONGEST = {"competition": 256, "page": 255, "task": 256, "phase": 256, "leaderboard": 64, "column": 36}
LONGEST_KEY = 36
WHOLE_NUMBERS = ("index", "max_submissions", "max_submissions_per_day", "execution_time_limit", "precision")
CHOICES = {
    "version": {2, "2"},
    "sorting": {"asc", "desc"},
    "computation": {"sum", "avg", "min", "max"},
    "submission_rule": {
        *("Add", "Add_And_Delete", "Add_And_Delete_Multiple"),
        *("Force_Last", "Force_Latest_Multiple", "Force_Best"),
    },
}

Files = dict[str, bytes]


class Addresses(HTMLParser):
    """Collects what a page would load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {value}" for name, value in attrs if name in {"src", "href"} and value]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Return a dataset folder with a test split, and with files that no competition needs."""
    return write_truth(tmp_path / "dataset", "test_")


def write_truth(folder: Path, prefix: str) -> Path:
    tables = {"concepts": CONCEPTS, "concepts_manual": MANUAL, "captions": CAPTIONS}
    for name, cells in tables.items():
        header = ["ID", "Caption" if name == "captions" else "CUIs"]
        write_csv(folder / f"{prefix}{name}.csv", header, list(zip(IDS, cells, strict=True)))
    (folder / "test").mkdir(exist_ok=True)
    (folder / "test/image_000.jpg").write_bytes(b"a picture")
    (folder / "cui_mapping.csv").write_text("CUI,Canonical name\nC0024485,MRI\n", encoding="utf-8")
    return folder


def made(truth: Path, notes: list[str] | None = None, **options: Any) -> Files:
    """Return the files of a competition by name."""
    chosen = BundleOptions(**{"edition": "rocov2", "image": IMAGE} | options)
    notify = [].append if notes is None else notes.append
    return unzipped(make_bundle(Place(path=truth, origin="--truth"), chosen, notify))


def unzipped(archive: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def document(files: Mapping[str, bytes]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files["competition.yaml"])
    return loaded


def columns(files: Mapping[str, bytes]) -> list[str]:
    (leaderboard,) = document(files)["leaderboards"]
    return [column["key"] for column in leaderboard["columns"]]


def faults(files: Mapping[str, bytes]) -> list[str]:
    """Return what the platform's reader of archives would stop at, or pass over without a word."""
    described = document(files)
    levels = {
        "competition": [described],
        "page": described["pages"],
        "task": described["tasks"],
        "phase": described["phases"],
        "leaderboard": described["leaderboards"],
        "column": [column for board in described["leaderboards"] for column in board["columns"]],
    }
    found = [fault for level, items in levels.items() for item in items for fault in of_fields(level, item)]
    found += of_files(files, levels)
    indices = [task["index"] for task in levels["task"]]
    found += ["a task index twice"] if len(set(indices)) != len(indices) else []
    for phase in levels["phase"]:
        found += ["a phase without tasks"] if not phase["tasks"] else []
        found += [f"no task {index}" for index in phase["tasks"] if index not in indices]
        found += [f"no date {phase[key]}" for key in ("start", "end") if not is_date(phase.get(key))]
    ends = [phase.get("end") for phase in levels["phase"]]
    found += ["a phase that does not end before another"] if None in ends[:-1] else []
    for board in levels["leaderboard"]:
        found += of_columns(board["columns"])
    return found


def of_fields(level: str, item: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the fields of one item by themselves."""
    required, optional = FIELDS[level]
    yield from (f"{level}: no {name}" for name in required if item.get(name) in (None, "", []))
    yield from (f"{level}: unread {name}" for name in item if name not in required | optional)
    for name, longest in (("title", LONGEST[level]), ("name", LONGEST[level]), ("key", LONGEST_KEY)):
        if len(str(item.get(name, ""))) > longest:
            yield f"{level}: {name} is longer than {longest}"
    for name in WHOLE_NUMBERS:
        if name in item and (type(item[name]) is not int or item[name] < 0):
            yield f"{level}: {name} is no whole number"
    yield from (
        f"{level}: {name} is {item[name]}"
        for name in CHOICES
        if name in item and item[name] not in CHOICES[name]
    )


def of_files(files: Mapping[str, bytes], levels: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Yield which files and folders are absent or empty, and which programs have no command."""
    (competition,) = levels["competition"]
    named = [competition["image"], competition["terms"], *(page["file"] for page in levels["page"])]
    yield from (f"no {name}" for name in named if not files.get(name))
    if not files[competition["image"]].startswith(b"\x89PNG"):
        yield "no picture"
    folders = (
        "scoring_program",
        "reference_data",
        "input_data",
        "ingestion_program",
        "starting_kit",
        "public_data",
    )
    items = [*levels["task"], *levels["phase"]]
    yield from (
        f"no {item[key]}" for item in items for key in folders if key in item and not below(files, item[key])
    )
    for task in levels["task"]:
        told = yaml.safe_load(files.get(f"{task['scoring_program']}/metadata.yaml", b"{}"))
        if not told.get("command"):
            yield "a program without command"


def of_columns(items: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what the serializer of leaderboards refuses."""
    indices = [column["index"] for column in items]
    if len(set(indices)) != len(items) or len({column["key"] for column in items}) != len(items):
        yield "an index or a key twice"
    for column in items:
        others = column.get("computation_indexes")
        if ("computation" in column) != bool(others):
            yield "a computation without columns, or columns without a computation"
        if not set(others or []) <= set(indices) - {column["index"]}:
            yield "a computation of itself or of a column that is not there"


def is_date(text: str | None) -> bool:
    return text is None or re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text) is not None


def below(files: Mapping[str, bytes], folder: str) -> Files:
    prefix = f"{folder}/"
    return {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}


def texts(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield name and text of every file, those inside archives too."""
    for name, data in files.items():
        if data.startswith(b"PK"):
            yield from ((f"{name}/{inner}", text) for inner, text in texts(unzipped(data)))
        else:
            yield name, data.decode("utf-8", "replace")


@pytest.fixture
def place(tmp_path: Path, truth: Path) -> Callable[..., tuple[Path, Path]]:
    """Return a writer of the platform's folders: INPUT with truth and submission, and OUTPUT."""

    def write(task: Task | None = "concepts", **files: str | bytes) -> tuple[Path, Path]:
        source = tmp_path / "app/input"
        for path in truth.glob("test_*.csv"):
            if task is None or path.stem in {f"test_{task}", "test_concepts_manual"}:
                store(source / "ref" / path.name, path.read_bytes())
        store(source / "res/metadata", b"exitCode: null\n")
        for name, content in files.items():
            store(source / "res" / name, content if isinstance(content, bytes) else content.encode())
        return source, tmp_path / "app/output"

    return write


def store(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def run_of(cells: list[str] = CONCEPTS, header: str = "ID,CUIs") -> str:
    rows = [f'{image_id},"{cell}"' for image_id, cell in zip(IDS, cells, strict=True)]
    return "\n".join([header, *rows]) + "\n"


CAPTION_RUN = run_of(CAPTIONS, "ID,Caption")


def scored(folders: tuple[Path, Path], task: Task | None = "concepts", **settings: Any) -> Report:
    if task == "captions":
        settings.setdefault("metrics", ("rouge",))
    return score_submission(*folders, Settings(bootstrap=None, **settings), no_model, task=task)


def scores(folders: tuple[Path, Path]) -> dict[str, float]:
    loaded: dict[str, float] = json.loads((folders[1] / SCORES).read_text(encoding="utf-8"))
    return loaded


def page(folders: tuple[Path, Path]) -> str:
    return (folders[1] / PAGE).read_text(encoding="utf-8")


def codes(error: pytest.ExceptionInfo[RejectedInput]) -> set[str]:
    return {item.code for item in error.value.findings}


def no_model(*_: object) -> Any:
    raise AssertionError("this test has no model")


def zip_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


# ---- scoring what the platform hands over


def test_a_valid_run_gets_the_scores_of_the_columns(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"run.csv": run_of()})
    scored(folders)
    assert scores(folders) == {"concept_f1": 1.0, "concept_f1_manual": 1.0}


def test_scores_have_as_many_decimals_as_the_leaderboard_since_participants_may_read_them(
    place: Callable[..., tuple[Path, Path]],
) -> None:
    folders = place(**{"run.csv": run_of([CONCEPTS[0], *["C0000001"] * 29])})
    scored(folders)
    # 30 images: one decimal, none for the 20 that have manual concepts.
    assert scores(folders) == {"concept_f1": 0.0, "concept_f1_manual": 0.0}


def test_captions_are_scored_by_the_metrics_asked_for(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place("captions", **{"run.csv": CAPTION_RUN})
    scored(folders, "captions")
    assert scores(folders) == {"rouge1": 1.0}


@pytest.mark.parametrize("task", ["concepts", "captions"])
def test_the_page_of_a_valid_run_does_not_tell_the_truth(
    task: Task, place: Callable[..., tuple[Path, Path]]
) -> None:
    answer = "C0000001" if task == "concepts" else "Nothing to see"
    folders = place(task, **{"run.csv": run_of([answer] * 30, "ID,X")})
    scored(folders, task)
    shown = page(folders)
    truth_cells = [*CAPTIONS, *(cui for cell in CONCEPTS for cui in cell.split(";"))]
    assert [cell for cell in truth_cells if cell in shown.replace(signature_text(shown), "")] == []
    for words in ("modality", "Distribution", "Unscored", "truth.sha256", "histogram"):
        assert words not in shown


def signature_text(shown: str) -> str:
    """Return the signature that lists the manual concepts of the edition, which are no secret."""
    found = re.search(r"concept_f1_manual\|[^<]*", shown)
    return found[0] if found else "\0"


def test_the_page_loads_nothing(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"run.csv": run_of()})
    scored(folders)
    reader = Addresses()
    reader.feed(page(folders))
    assert [address for address in reader.found if not address.startswith(("a #", "link data:"))] == []


def test_nothing_but_scores_and_page_is_written(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"run.csv": run_of()})
    scored(folders)
    assert sorted(path.name for path in folders[1].iterdir()) == [PAGE, SCORES]


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({}, "R004", "found none"),
        ({"notes.docx": "x"}, "R004", "found notes.docx"),
        ({"run.csv": ""}, "R003", "no row"),
        ({"run.csv": run_of().replace("image_003", "image_3")}, "R104", "&#39;image_3&#39; is not an image"),
        ({"run.csv": CAPTION_RUN}, "R605", "run.csv contains captions, but this task expects concepts"),
        ({"run.csv": b"ID,CUIs\nimage_000,\xff\n"}, "R002", "not UTF-8"),
        ({"run.zip": zip_of(a="x", b="y")}, "R004", "expected one CSV file in the archive"),
        ({"a.csv": run_of(), "b.csv": run_of()}, "R004", "found 2: a.csv, b.csv"),
        ({f"{i}.csv": run_of() for i in range(9)}, "R004", "found 9: 0.csv, 1.csv, 2.csv, 3.csv, 4.csv, …"),
        ({"run.csv": run_of(), "predict.py": "import os"}, "R004", "only a CSV file, found predict.py"),
        ({"run.csv": run_of(), "README.txt": "Made by trees"}, "R004", "found 2: README.txt, run.csv"),
        ({"run.csv": run_of(), "latin.txt": b"caf\xe9"}, "R002", "not UTF-8"),
        (
            {"run.csv": run_of(), "deep/metadata": "command: sh"},
            "R004",
            "only a CSV file, found deep/metadata",
        ),
        ({"run.csv": run_of(), "metadata": "elapsedTime: 3.2\nexitCode: 0\n"}, "R004", "ran (exit code 0)"),
        ({"run.csv": run_of(), "metadata": "exitcode : -9\r\n"}, "R004", "ran (exit code -9)"),
        ({"run.csv": run_of(), "metadata": '{"n": 1, "exitCode": 1}'}, "R004", "ran (exit code 1})"),
        ({"run.csv": run_of(), "metadata": "command: python x.py\n"}, "R004", "ran (command python x.py)"),
        ({"run.csv": run_of(), "metadata": "#" * 5000}, "R004", "metadata with more than 4,096 bytes"),
    ],
    ids=[
        *("nothing", "no table", "empty", "bad id", "other task", "not text", "bad zip", "two", "many"),
        *("code", "notes", "latin", "hidden command", "a program wrote it"),
        *("other spelling", "JSON", "a command", "long"),
    ],
)
def test_an_invalid_submission_has_findings_on_its_page_and_no_scores(
    files: dict[str, str], code: str, words: str, place: Callable[..., tuple[Path, Path]]
) -> None:
    folders = place(**files)
    with pytest.raises(RejectedInput) as error:
        scored(folders)
    assert code in codes(error)
    assert words in page(folders)
    assert "This submission is not valid" in page(folders)
    assert not (folders[1] / SCORES).exists()


@pytest.mark.parametrize(
    "files",
    [
        {"deep/er/Run.CSV": run_of()},
        {"run.tsv.zip": zip_of(**{"run.csv": run_of(), "__MACOSX/._run.csv": "x"})},
        {
            "run.csv": run_of(),
            "__MACOSX/._run.csv": "ID,CUIs\n",
            "._run.csv": "ID,CUIs\n",
            ".x/run.csv": "a,b",
        },
        {"run.csv": run_of(), "other/run.csv": CAPTION_RUN},
        {"submission.json": "{}", "run.csv": run_of()},
        {"metadata": "{'exitCode': null,\n'ingestionExitCode': 0}\n", "run.csv": run_of()},
    ],
    ids=["folder", "zip", "macOS", "both tasks", "metadata", "platform"],
)
def test_the_run_is_found_among_what_else_was_handed_in(
    files: dict[str, str], place: Callable[..., tuple[Path, Path]]
) -> None:
    folders = place(**files)
    scored(folders)
    assert scores(folders)["concept_f1"] == 1.0


def test_each_task_finds_its_run_in_a_submission_to_both(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place("captions", **{"concepts/run.csv": run_of(), "captions/run.csv": CAPTION_RUN})
    assert scored(folders, "captions").run[0] == "captions/run.csv"


@pytest.mark.parametrize(
    ("kind", "name"),
    [("file", "more.csv"), ("folder", "more.csv"), ("pipe", "more.csv"), ("file", "metadata")],
)
def test_links_and_pipes_are_refused_unopened(
    kind: str, name: str, tmp_path: Path, place: Callable[..., tuple[Path, Path]]
) -> None:
    folders = place(**{"run.csv": run_of()})
    target = folders[0] / "res" / name
    target.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(target)
    else:
        outside = tmp_path / "outside"
        store(outside / "secret.csv", run_of().encode())
        target.symlink_to(outside / "secret.csv" if kind == "file" else outside)
    with pytest.raises(RejectedInput) as error:
        scored(folders)
    assert codes(error) == {"R604"}
    assert name in page(folders)


def test_a_flood_of_files_is_refused(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{f"{i}/{j}.md": "x" for i in range(11) for j in range(100)})
    with pytest.raises(RejectedInput):
        scored(folders)
    assert "more than 50 files" in page(folders)


def test_markup_in_a_file_name_stays_text(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"<script>x()<\u202e.md": "x"})
    with pytest.raises(RejectedInput):
        scored(folders)
    assert "<script" not in page(folders)
    assert "\u202e" not in page(folders)


def test_a_file_name_that_is_no_text_is_taken(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{os.fsdecode(b"\xff.csv"): run_of()})
    scored(folders)
    assert scores(folders)["concept_f1"] == 1.0
    assert "udcff.csv" in page(folders)


def test_scores_of_an_earlier_run_are_removed(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"run.csv": ""})
    store(folders[1] / SCORES, b'{"concept_f1": 1.0}')
    with pytest.raises(RejectedInput):
        scored(folders)
    assert not (folders[1] / SCORES).exists()


def test_a_bug_leaves_a_page_and_no_scores(
    place: Callable[..., tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    folders = place(**{"run.csv": run_of()})
    store(folders[1] / SCORES, b'{"concept_f1": 1.0}')
    monkeypatch.setattr("rocov2_eval.codabench.submission.evaluate", fail)
    with pytest.raises(ZeroDivisionError):
        scored(folders)
    assert [path.name for path in folders[1].iterdir()] == [PAGE]
    assert "The evaluation did not finish" in page(folders)


def test_a_missing_model_is_told_on_the_page(place: Callable[..., tuple[Path, Path]]) -> None:
    def missing(*_: object) -> Any:
        raise MissingResource("the weights are not here")

    folders = place("captions", **{"run.csv": CAPTION_RUN})
    with pytest.raises(MissingResource):
        score_submission(*folders, Settings(bootstrap=None), missing)
    assert "set-up of this competition is incomplete" in page(folders)
    assert "the weights are not here" in page(folders)
    assert not (folders[1] / SCORES).exists()


def test_the_task_is_that_of_the_reference_data(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place("captions", **{"run.csv": CAPTION_RUN})
    assert scored(folders, None, metrics=("rouge",)).task == "captions"


def test_reference_data_of_both_tasks_need_a_task(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(None, **{"run.csv": run_of()})
    with pytest.raises(UsageFault, match="contains truth of concepts and captions: select one with --task"):
        scored(folders, None)


def test_no_reference_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"contains neither concepts\.csv nor captions\.csv"):
        scored((tmp_path / "input", tmp_path / "output"), None)


def test_a_broken_truth_is_not_the_participants_fault(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"run.csv": run_of()})
    store(folders[0] / "ref/test_concepts.csv", b"ID,CUIs\nimage_000,C7777777,surplus\n")
    with pytest.raises(RejectedInput) as error:
        scored(folders)
    assert "a fault that only the organisers can correct" in page(folders)
    assert "C7777777" not in page(folders)
    told = {(item.code, item.line, item.message) for item in error.value.findings}
    assert told == {("R501", line, "the truth cannot be used") for line in (2, None)}


def test_which_truth_is_empty_is_told_to_nobody(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place("captions", **{"run.csv": run_of(["", *CAPTIONS[1:]], "ID,Caption")})
    emptied = (folders[0] / "ref/test_captions.csv").read_text(encoding="utf-8").replace(CAPTIONS[0], "")
    store(folders[0] / "ref/test_captions.csv", emptied.encode())
    with pytest.raises(RejectedInput) as error:
        scored(folders, "captions", edition=EDITIONS["imageclef-2024"])
    assert "image_000" not in page(folders)
    (told,) = error.value.findings
    assert (told.code, told.line) == ("R303", None)
    assert "image_000" not in told.message


def test_beside_a_fault_of_the_run_nothing_is_said_of_an_empty_truth(
    place: Callable[..., tuple[Path, Path]],
) -> None:
    lines = run_of(["", *CAPTIONS[1:]], "ID,Caption").splitlines(keepends=True)
    told = []
    for caption in (CAPTIONS[0], ""):
        folders = place("captions", **{"run.csv": "".join(lines[:-1])})
        path = folders[0] / "ref/test_captions.csv"
        store(path, path.read_text(encoding="utf-8").replace(CAPTIONS[0], caption).encode())
        with pytest.raises(RejectedInput) as error:
            scored(folders, "captions")
        told.append((page(folders), error.value.findings))
    assert told[0] == told[1]


def test_a_score_that_no_image_has_is_no_score(place: Callable[..., tuple[Path, Path]]) -> None:
    folders = place(**{"run.csv": run_of()})
    store(
        folders[0] / "ref/test_concepts_manual.csv", "\n".join(["ID,CUIs", *map("{},".format, IDS)]).encode()
    )
    with pytest.raises(MissingResource, match="no image for which concept_f1_manual can be computed"):
        scored(folders)
    assert not (folders[1] / SCORES).exists()


# ---- the archive


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_platform_can_read_the_archive_of_each_edition(edition: str, truth: Path) -> None:
    assert faults(made(truth, edition=edition)) == []


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (lambda it: it.pop("title"), "competition: no title"),
        (
            lambda it: it["phases"][0].update(max_submissions="many"),
            "phase: max_submissions is no whole number",
        ),
        (lambda it: it["tasks"][0].update(is_public=False), "task: unread is_public"),
        (lambda it: it["tasks"][1].update(index=0), "a task index twice"),
        (lambda it: it["tasks"][0].update(reference_data="elsewhere"), "no elsewhere"),
        (
            lambda it: it["leaderboards"][0]["columns"][0].update(key="k" * 37),
            "column: key is longer than 36",
        ),
        (lambda it: it["leaderboards"][0]["columns"][1].update(index=0), "an index or a key twice"),
        (
            lambda it: it["leaderboards"][0].update(submission_rule="Best"),
            "leaderboard: submission_rule is Best",
        ),
    ],
)
def test_the_reader_of_the_platform_finds_faults(
    broken: Callable[[dict[str, Any]], object], expected: str, truth: Path
) -> None:
    files = made(truth)
    described = document(files)
    broken(described)
    assert expected in faults(files | {"competition.yaml": yaml.safe_dump(described).encode()})


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_columns_are_the_scores_of_the_edition_the_primary_first(
    edition: str, truth: Path, tmp_path: Path
) -> None:
    rules = EDITIONS[edition]
    extras = rules.captions.extras.values()
    for task in ("concepts", "captions"):
        options = whole(tmp_path) if "overall" in rules.columns("captions").values() else {}
        options |= {"concept_model": "/pack"} if edition == "rocov2" else {}
        keys = columns(made(truth, edition=edition, tasks=(task,), **options))
        published = [name for name in rules.columns(task).values() if name not in extras]
        assert keys == [rules.keys.get(name) or name for name in published]


def test_a_competition_of_2026_has_the_keys_of_the_organisers_and_the_platform_makes_overall(
    truth: Path, tmp_path: Path
) -> None:
    files = made(truth, edition="imageclef-2026", tasks=("captions",), **whole(tmp_path))
    first, *others = document(files)["leaderboards"][0]["columns"]
    assert (first["title"], first["computation"], first["computation_indexes"]) == ("Overall", "avg", [1, 2])
    assert [(column["title"], column["key"]) for column in others[:2]] == [
        ("Relevance", "score"),
        ("Factuality", "score_secondary"),
    ]
    assert [column["key"] for column in others[2:]] == [
        *("bert", "rouge", "similarity", "bleurt", "medcat", "align")
    ]
    assert not any("computation" in column for column in others)


def test_two_tasks_that_write_the_same_keys_share_their_columns(truth: Path, tmp_path: Path) -> None:
    (board,) = document(made(truth, edition="imageclef-2026", **whole(tmp_path)))["leaderboards"]
    first, second, *_ = board["columns"]
    assert (first["key"], first["title"]) == ("score", "F1 or Relevance")
    assert (second["key"], second["title"]) == ("score_secondary", "F1 manual or Factuality")
    assert not any("computation" in column for column in board["columns"])


def test_without_an_image_captions_of_2026_are_ranked_by_rouge_and_the_bundle_says_why(
    truth: Path,
) -> None:
    notes: list[str] = []
    settings = read_tasks(
        Place(path=truth, origin="--truth"),
        BundleOptions(edition="imageclef-2026", tasks=("captions",)),
        notes.append,
    )[0].settings
    assert settings.metrics == ("rouge",)
    (note,) = notes
    assert "ranked by ROUGE-1" in note
    assert "Overall needs BERTScore F1, Similarity, BLEURT, UMLS F1, AlignScore" in note


@pytest.mark.parametrize(
    ("options", "ranks"),
    [({}, "bert"), ({"concept_model": "/pack"}, "score_secondary"), ({"image_vectors": True}, "score")],
)
def test_what_the_image_lacks_is_no_column_and_the_next_score_ranks(
    options: dict[str, Any], ranks: str, truth: Path, tmp_path: Path
) -> None:
    if "image_vectors" in options:
        options = {"image_vectors": vectors(tmp_path / "vectors.npz")}
    notes: list[str] = []
    assert columns(made(truth, notes, edition="imageclef-2026", tasks=("captions",), **options))[0] == ranks
    assert any("--concept-model" in note for note in notes)


@pytest.mark.parametrize("option", ["concept_model", "image_vectors"])
def test_what_no_score_of_the_edition_needs_is_refused(option: str, truth: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=f"--{option.replace('_', '-')}: imageclef-2024 has no "):
        made(truth, edition="imageclef-2024", **{option: whole(tmp_path)[option]})


def whole(folder: Path) -> dict[str, Any]:
    """Return what a competition with every score is made of."""
    return {"concept_model": "/pack", "image_vectors": vectors(folder / "vectors.npz")}


def vectors(path: Path) -> Path:
    np.savez(path, **{name: np.ones(3, np.float32) for name in IDS})
    return path


def test_the_vectors_of_images_go_with_the_reference_data_of_captions_alone(
    truth: Path, tmp_path: Path
) -> None:
    sent = vectors(tmp_path / "organisers.npz")
    files = made(truth, edition="imageclef-2026", image_vectors=sent)
    assert files["reference_data_captions/image_vectors.npz"] == sent.read_bytes()
    assert [name for name in files if name.endswith(".npz")] == ["reference_data_captions/image_vectors.npz"]
    command = yaml.safe_load(files["scoring_program_captions/metadata.yaml"])["command"]
    assert command.endswith("--image-vectors /app/input/ref/image_vectors.npz")


@pytest.mark.parametrize(
    ("edition", "keys"), [("imageclef-2018", ["bleu"]), ("imageclef-2022", ["bleu", "rouge1"])]
)
def test_a_competition_of_an_edition_with_bleu_ranks_by_it(
    edition: str, keys: list[str], truth: Path
) -> None:
    notes: list[str] = []
    files = made(truth, notes, edition=edition, tasks=("captions",))
    assert (columns(files), notes[:-1]) == (keys, [])
    page = files["pages/evaluation.md"].decode()
    assert "may not stand beside official ones" not in page
    assert ("cut to their stems" in page) == (edition == "imageclef-2018")


def test_a_file_holds_one_task(truth: Path) -> None:
    with pytest.raises(UsageFault, match="is a file with one task: name a folder for two tasks"):
        made(truth / "test_captions.csv", tasks=("captions", "concepts"))


def test_two_runs_give_the_same_bytes(truth: Path) -> None:
    options = BundleOptions(edition="rocov2", image=IMAGE)
    archives = [make_bundle(Place(path=truth, origin="--truth"), options, print) for _ in range(2)]
    assert archives[0] == archives[1]


def test_truth_is_in_the_reference_data_alone(truth: Path) -> None:
    files = made(truth)
    public = {name: data for name, data in files.items() if not name.startswith("reference_data_")}
    held = dict(texts(public))
    cuis = {cui for cell in (*CONCEPTS, *MANUAL) for cui in cell.split(";")} - {"", "C0040405"}
    assert [name for name, text in held.items() for caption in CAPTIONS if caption in text] == []
    lines = [line for text in held.values() for line in text.splitlines() if "image_0" in line]
    assert [line for line in lines if any(cui in line for cui in cuis)] == []
    assert len(lines) > len(IDS)
    described = document(files)
    assert not described["make_input_data_available"]
    assert not described["make_programs_available"]
    assert not any("is_public" in task for task in described["tasks"])  # what the platform would show


def test_the_reference_data_hold_the_truth_of_their_task_and_nothing_else(truth: Path) -> None:
    files = made(truth)
    for task, names in {
        "concepts": ["test_concepts.csv", "test_concepts_manual.csv"],
        "captions": ["test_captions.csv"],
    }.items():
        held = below(files, f"reference_data_{task}")
        assert held == {name: (truth / name).read_bytes() for name in names}


def test_the_starting_kit_tells_nothing_but_the_ids(truth: Path) -> None:
    kit = below(made(truth), "starting_kit")
    for task in ("concepts", "captions"):
        rows = [line.split(",") for line in kit[f"{task}/run.csv"].decode().splitlines()[1:]]
        assert [row[0] for row in rows] == IDS
        assert len({row[1] for row in rows}) == 1
        assert check_json_file("submission.json", kit[f"{task}/submission.json"].decode()) == []


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_starting_kit_is_in_the_dialect_of_the_edition(edition: str, truth: Path, tmp_path: Path) -> None:
    files = made(truth, edition=edition, tasks=("concepts",))
    store(tmp_path / "run.csv", files["starting_kit/concepts/run.csv"])
    table = read_run(load(tmp_path / "run.csv"), EDITIONS[edition], "concepts")
    assert (table.image_ids, set(table.cells), table.findings) == (IDS, {"C0040405"}, ())


def test_the_command_says_all_that_the_scores_depend_on(truth: Path) -> None:
    files = made(truth, edition="imageclef-2025", encoder="minilm")
    commands = [
        yaml.safe_load(files[f"scoring_program_{task}/metadata.yaml"])["command"]
        for task in ("concepts", "captions")
    ]
    start = "rocov2-eval score --codabench /app/input /app/output --edition imageclef-2025 --task"
    metrics = " ".join(f"--metric {name}" for name in ("bertscore", "rouge", "bleurt", "alignscore"))
    assert commands == [
        f"{start} concepts --split test --metric concept_f1 --metric concept_f1_manual",
        f"{start} captions --split test {metrics} --encoder minilm",
    ]


def test_pages_name_rules_limits_and_signatures(truth: Path) -> None:
    files = made(truth, edition="imageclef-2018")
    evaluation = files["pages/evaluation.md"].decode()
    assert "At most 1286 concepts" in evaluation
    assert "left out of the mean" in evaluation
    assert "concept_f1|rev:1|empty_reference:unscored|" in evaluation
    assert "Between the two cells stands a tab" in files["pages/format.md"].decode()


def test_pages_are_plain_ascii(truth: Path) -> None:
    files = made(truth, edition="imageclef-2025")
    assert [name for name, data in files.items() if name.endswith(".md") and not data.isascii()] == []


@pytest.mark.parametrize(("options", "expected"), [({"encoder": "minilm"}, True), ({}, False)])
def test_a_stand_in_is_named_where_scores_are_explained(
    *,
    options: dict[str, Any],
    expected: bool,
    truth: Path,
) -> None:
    files = made(truth, **options)
    texts_of = [files[name].decode() for name in ("pages/evaluation.md", "README.md")]
    assert ["may not stand beside official ones" in text for text in texts_of] == [expected] * 2


def test_the_readme_has_the_scores_of_the_starting_kit(truth: Path) -> None:
    readme = made(truth, tasks=("concepts",))["README.md"].decode()
    assert "   - F1: 0.0\n   - F1 manual: 0\n" in readme


def test_the_organiser_is_told_how_many_decimals_and_submissions_hide_single_images(truth: Path) -> None:
    notes: list[str] = []
    files = made(truth, notes, tasks=("concepts",))
    told = "30 images: public scores have 1 decimal"
    assert any(f"NOTE: concepts: {told}" in note and "5 submissions" in note for note in notes)
    assert told in files["README.md"].decode()
    (phase,) = document(files)["phases"]
    assert (phase["max_submissions"], phase["max_submissions_per_day"]) == (5, 5)
    (board,) = document(files)["leaderboards"]
    assert {column["precision"] for column in board["columns"]} == {1}


def test_a_score_that_needs_a_model_is_left_to_the_platform(truth: Path) -> None:
    files = made(truth, tasks=("captions",), encoder="/models/of/the/image")
    assert "BERTScore F1: a number; it was not computed" in files["README.md"].decode()
    assert columns(files) == ["bertscore_f1", "rouge1"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"tasks": ("concepts",)}, 660), ({"tasks": ("captions",)}, 660)],
)
def test_the_time_limit_follows_the_images(options: dict[str, Any], expected: int, truth: Path) -> None:
    (phase,) = document(made(truth, **options))["phases"]
    assert phase["execution_time_limit"] == expected


def test_a_limit_that_the_platforms_workers_do_not_grant_is_told(tmp_path: Path) -> None:
    ids = [f"i{n}" for n in range(400)]
    write_csv(tmp_path / "captions.csv", ["ID", "Caption"], [(name, "Lung") for name in ids])
    notes: list[str] = []
    (phase,) = document(made(tmp_path, notes, tasks=("captions",)))["phases"]
    assert phase["execution_time_limit"] == 1440
    assert any("1,440 s" in note and "`queue` in competition.yaml" in note for note in notes)


def test_decimals_that_the_organiser_names_are_those_of_scores_and_columns(truth: Path) -> None:
    notes: list[str] = []
    files = made(truth, notes, tasks=("concepts",), decimals=4)
    assert any(
        "with 4 decimals one submission may tell the score of an image, with 1 decimal it does not" in n
        for n in notes
    )
    assert yaml.safe_load(files["scoring_program_concepts/metadata.yaml"])["command"].endswith(
        " --decimals 4"
    )
    (board,) = document(files)["leaderboards"]
    assert {column["precision"] for column in board["columns"]} == {4}
    assert "   - F1: 0.0000\n   - F1 manual: 0.0000\n" in files["README.md"].decode()


def test_one_task_shows_the_best_submission_and_two_let_participants_choose(truth: Path) -> None:
    notes: list[str] = []
    (one,) = document(made(truth, notes, tasks=("concepts",)))["leaderboards"]
    assert (one["submission_rule"], len(notes)) == ("Force_Best", 1)
    (two,) = document(made(truth, notes))["leaderboards"]
    assert two["submission_rule"] == "Add_And_Delete_Multiple"
    assert any("make two competitions" in note for note in notes)


def test_of_several_splits_the_test_split_is_taken_and_told(truth: Path) -> None:
    write_truth(truth, "valid_")
    notes: list[str] = []
    files = made(truth, notes, tasks=("concepts",))
    assert set(below(files, "reference_data_concepts")) == {"test_concepts.csv", "test_concepts_manual.csv"}
    assert notes[0] == f"the test split is scored; {truth} also contains valid"


def test_several_splits_without_a_test_split_need_a_choice(tmp_path: Path) -> None:
    folder = write_truth(tmp_path / "t", "valid_")
    write_truth(folder, "train_")
    with pytest.raises(UsageFault, match="has the splits valid, train: select one with --split"):
        made(folder)
    files = made(folder, split="train", tasks=("concepts",))
    assert "reference_data_concepts/train_concepts.csv" in files


def test_names_without_a_split_are_kept(tmp_path: Path) -> None:
    files = made(write_truth(tmp_path / "t", ""), tasks=("concepts",))
    assert set(below(files, "reference_data_concepts")) == {"concepts.csv", "concepts_manual.csv"}
    assert b"--split" not in files["scoring_program_concepts/metadata.yaml"]


def test_a_truth_file_of_the_organisers_own_is_taken(truth: Path) -> None:
    (truth / "test_concepts.csv").rename(truth / "gold.csv")
    (truth / "test_concepts_manual.csv").rename(truth / "gold_manual.csv")
    files = made(truth / "gold.csv")
    assert set(below(files, "reference_data_concepts")) == {"concepts.csv", "concepts_manual.csv"}
    assert columns(files) == ["concept_f1", "concept_f1_manual"]


def test_without_manual_concepts_there_is_no_column_for_them(truth: Path) -> None:
    (truth / "test_concepts_manual.csv").unlink()
    notes: list[str] = []
    assert columns(made(truth, notes, tasks=("concepts",))) == ["concept_f1"]
    assert any("concept_f1_manual is not computed" in note for note in notes)


def test_a_task_without_truth_is_left_out_and_told(truth: Path) -> None:
    (truth / "test_captions.csv").unlink()
    notes: list[str] = []
    described = document(made(truth, notes))
    assert [task["name"] for task in described["tasks"]] == ["Concept detection"]
    assert any("no task with captions" in note for note in notes)


def test_a_task_asked_for_needs_its_truth(truth: Path) -> None:
    (truth / "test_captions.csv").unlink()
    with pytest.raises(MissingResource, match=r"no captions\.csv"):
        made(truth, tasks=("captions",))


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="contains no truth of concepts or captions"):
        made(tmp_path)


def test_a_broken_truth_makes_no_archive(truth: Path) -> None:
    store(truth / "test_concepts.csv", b"ID,CUIs\na,C0000001\na,C0000001\n")
    with pytest.raises(RejectedInput) as error:
        made(truth)
    assert codes(error) == {"R501"}


def test_faults_of_the_truth_that_do_not_matter_are_told(truth: Path) -> None:
    rows = [f"{image_id}," for image_id in IDS]
    store(
        truth / "test_concepts.csv",
        "\n".join(["ID,CUIs", *rows[:10], *(f"{image_id},C0000001" for image_id in IDS[10:])]).encode(),
    )
    notes: list[str] = []
    made(truth, notes, tasks=("concepts",))
    assert any("R502" in note for note in notes)


# ---- wheels


def test_our_own_wheel_holds_this_package_alone() -> None:
    name, content = own_wheel()
    names = set(unzipped(content))
    assert re.fullmatch(r"rocov2_eval-[\w.]+-py3-none-any\.whl", name)
    assert {path.partition("/")[0] for path in names} == {
        "rocov2_eval",
        f"{name.removesuffix('-py3-none-any.whl')}.dist-info",
    }
    assert "rocov2_eval/codabench/templates/evaluation.md" in names
    assert not [path for path in names if "__pycache__" in path]


def test_our_own_wheel_records_every_file_with_its_digest() -> None:
    _, content = own_wheel()
    files = unzipped(content)
    (record,) = (name for name in files if name.endswith("/RECORD"))
    rows = [line.rsplit(",", 2) for line in files[record].decode().splitlines()]
    for name, digest, size in rows:
        if name != record:
            expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={expected}", str(len(files[name])))
    assert {row[0] for row in rows} == set(files)


def test_the_base_install_is_pinned_to_what_scores_here() -> None:
    assert pins()["numpy"] == np.__version__
    assert {"click", "jsonschema", "attrs", "rapidfuzz"} <= set(pins())
    assert "torch" not in pins()


def test_a_wheel_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"no wheel of .*numpy.*--wheels.*--image"):
        wheel_files(tmp_path)


def test_another_wheel_of_this_package_is_left_behind(tmp_path: Path) -> None:
    for name in pins():
        store(tmp_path / f"{name.replace('-', '_')}-1-py3-none-any.whl", b"")
    store(tmp_path / "rocov2_eval-0.0.1-py3-none-any.whl", b"")
    names = [name for name in wheel_files(tmp_path) if name.startswith("rocov2_eval-")]
    assert names == [own_wheel()[0]]


def test_wheels_that_cannot_be_fetched_are_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rocov2_eval.codabench.wheels.find_spec", lambda _: None)
    with pytest.raises(MissingResource, match=r"no pip .*--wheels.*--image"):
        wheel_files(None)
