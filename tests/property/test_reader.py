"""No file, however broken, ends in anything but a report or an error that says what is wrong."""

from __future__ import annotations

import csv
import io
import json
import stat
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from rocov2_eval import formats
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import RejectedInput, RocoError
from rocov2_eval.findings import RULES
from rocov2_eval.formats import LAYOUT, Source, load, read_table, sniff_task
from rocov2_eval.intake import source_of_bytes
from rocov2_eval.records import Finding, Task
from rocov2_eval.schemas import check_json_file
from rocov2_eval.scoring import Report, check, evaluate
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.truth import Place, find_truth
from rocov2_eval.validation import read_run

from mutations import TRICKS, changed_bytes

TASKS: tuple[Task, ...] = ("concepts", "captions")
COMBINATIONS = [(edition, task) for edition in EDITIONS for task in TASKS]
TRUTH = {
    "concepts.csv": "ID,CUIs\na,C0040405;C1\nb,\nCOVID_1,C2\n",
    "concepts_manual.csv": "ID,CUIs\na,C0040405\nb,\nCOVID_1,\n",
    "captions.csv": 'ID,Caption\na,"A chest, CT"\nb,...\nCOVID_1,x\n',
}

# Pieces of which files are made that are nearly right.
PIECES = st.sampled_from(
    [
        *("a", "b", "COVID_1", " a", "ID", "id", "CUIs", "Caption", "\ufeff"),
        *(",", "\t", "|", ";", '"', '""', "\n", "\r\n", "\r", "\n\n"),
        *(
            "C1",
            "c1",
            "C0040405",
            "C1;C1",
            "x",
            "A chest, CT",
            "...",
            "1.5",
            " ",
            "\0",
            "\u2028",
            "\x85",
            "\u202f",
        ),
    ]
)
ROWS = st.sampled_from(
    [
        "a,C1",
        "b,",
        "COVID_1,C2",
        "a",
        "a,C0040405;C1",
        'a,"x, y"',
        'b,"x\ny"',
        "a|C1",
        "b\tC2",
        "",
        "a,x,y",
        "ID,CUIs",
    ]
)
NEARLY_CSV = st.lists(PIECES, max_size=25).map("".join) | st.lists(ROWS, max_size=6).map("\n".join)
CONTENTS = st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | NEARLY_CSV.map(str.encode)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a faultless truth."""
    path = tmp_path_factory.mktemp("truth")
    for name, text in TRUTH.items():
        (path / name).write_text(text, encoding="utf-8", newline="")
    return path


def outcome(path: Path, truth: Path, edition: str, task: Task, **settings_: Any) -> Report | RocoError:
    """Do all that the command does with a run; anything but a `RocoError` goes up."""
    rules = EDITIONS[edition]
    try:
        source = load(path)
        run = read_run(source, rules, task)
        found = find_truth(run, task, rules, [Place(path=truth, origin="--truth")])
        check(run, found, rules, strict=True)
        chosen = ("rouge",) if task == "captions" else ()
        chosen_settings = Settings(edition=rules, metrics=chosen, bootstrap=None, **settings_)
        return evaluate(run, found, chosen_settings, no_model)
    except RocoError as error:
        return error


def no_model(*_: object) -> Any:
    raise AssertionError("this test has no model")


def findings_of(result: Report | RocoError) -> tuple[Finding, ...]:
    return result.findings if isinstance(result, Report | RejectedInput) else ()


@settings(max_examples=25, deadline=None)
@given(content=CONTENTS, lenient=st.booleans())
@example(content=b"", lenient=True)
@example(content=b"\xef\xbb\xbf", lenient=True)
@example(content=b'"', lenient=True)
@example(content=b"PK\x03\x04", lenient=True)
@example(content=b"\n\n\n", lenient=True)
@example(content=b"a", lenient=True)
@example(content=b"ID,Caption\na,\nb,\nCOVID_1,\n", lenient=True)
def test_any_run_gives_a_report_or_an_error_of_ours(folder: Path, content: bytes, lenient: bool) -> None:  # noqa: FBT001
    path = folder / "run.csv"
    path.write_bytes(content)

    outcomes = [outcome(path, folder, edition, task, lenient=lenient) for edition, task in COMBINATIONS]

    assert all(isinstance(result, Report | RocoError) for result in outcomes)


@settings(max_examples=25, deadline=None)
@given(content=CONTENTS)
@example(content=b"")
@example(content=b"ID,CUIs\n")
@example(content=b"\xef\xbb\xbfa,C1")
def test_any_truth_gives_a_report_or_an_error_of_ours(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    truth = tmp_path_factory.getbasetemp() / "odd"
    truth.mkdir(exist_ok=True)
    for name in (*TRUTH, "cui_mapping.csv"):
        (truth / name).write_bytes(content)
    run = folder / "faultless.csv"
    run.write_bytes(b"ID,CUIs\na,C1\nb,C2\n")

    outcomes = [outcome(run, truth, edition, task, lenient=True) for edition, task in COMBINATIONS]

    assert all(isinstance(result, Report | RocoError) for result in outcomes)


@settings(max_examples=25, deadline=None)
@given(text=NEARLY_CSV)
def test_every_finding_names_a_rule_and_a_line_that_the_file_has(folder: Path, text: str) -> None:
    path = folder / "run.csv"
    path.write_bytes(text.encode())
    last = len(formats.physical_lines(Source(path="", sha256="", text=text))) or 1

    found = [
        item
        for edition, task in COMBINATIONS
        for item in findings_of(outcome(path, folder, edition, task))
        if item.path == str(path)
    ]

    assert all(item.code in RULES and 1 <= (item.line or 1) <= last for item in found)


@settings(max_examples=25, deadline=None)
@given(text=NEARLY_CSV)
def test_no_message_holds_a_control_character(folder: Path, text: str) -> None:
    path = folder / "run.csv"
    path.write_bytes(text.encode())

    found = [
        item for edition, task in COMBINATIONS for item in findings_of(outcome(path, folder, edition, task))
    ]

    assert all(item.message.isprintable() for item in found)


@settings(max_examples=60, deadline=None)
@given(text=st.text() | NEARLY_CSV)
def test_the_task_of_any_text_is_one_of_the_two_or_unknown(text: str) -> None:
    assert sniff_task(Source(path="", sha256="", text=text)) in {*TASKS, None}


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.text('xy \n\r,"\u2028', max_size=6), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_lines_are_the_physical_ones_where_records_start(cells: list[str], end: str) -> None:
    records = [f"{written(f'i{n}')},{written(cell)}{end}" for n, cell in enumerate(cells)]
    text = "".join(["ID,Caption" + end, *records])

    table = read_table(Source(path="", sha256="", text=text), LAYOUT, "captions")

    starts = ["".join(["ID,Caption" + end, *records[:n]]) for n in range(len(records))]
    expected = [len(io.StringIO(start, newline=None).read().split("\n")) for start in starts]
    assert expected == table.lines.tolist()


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.text('xy \n,"\t|;é', max_size=6), max_size=6))
def test_a_written_file_reads_back(folder: Path, cells: list[str]) -> None:
    rows = [(f"i{n}", cell) for n, cell in enumerate(cells)]
    path = folder / "written.csv"
    write_csv(path, ["ID", "Caption"], rows)

    table = read_table(load(path), LAYOUT, "captions")

    assert rows == list(zip(table.image_ids, table.cells, strict=True))


def written(cell: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="").writerow([cell])
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_json_document_gives_findings_of_the_metadata_rule(document: object) -> None:
    found = check_json_file("x.json", json.dumps(document))

    assert {item.code for item in found} == {"R601"}


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_in_the_place_of_json_gives_findings_of_the_metadata_rule(text: str) -> None:
    assert {item.code for item in check_json_file("x.json", text)} == {"R601"}


@settings(max_examples=120, deadline=None)
@given(
    text=st.recursive(
        st.sampled_from(["id", "cui", "i1", "C1", None, True, 1, 0.5]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["id", "cui", "data", "columns", "i1", ""]), inner, max_size=3)
        ),
        max_leaves=10,
    ).map(json.dumps)
    | st.text('[]{}":,\\u dn1\n', max_size=30),
    ending=st.sampled_from([".json", ".jsonl", ".csv", ".parquet", ".csv.gz"]),
)
def test_any_text_is_read_or_refused_whatever_its_name_says(text: str, ending: str) -> None:
    for task in (*TASKS, None):
        result = taken_in(text.encode(), ending, task)

        if isinstance(result, Source) and result.records is not None:
            assert all(len(row) == 2 for row in result.records.rows)
            assert len(result.records.rows) == len(result.records.lines)


@pytest.mark.parametrize("write", [parquet.write_table, feather.write_feather])
def test_any_damage_to_a_table_of_arrow_gives_rows_or_a_rejection(write: Callable[..., None]) -> None:
    buffer = io.BytesIO()
    write(pa.table({"image_id": ["i1", "i2"], "cui": [["C1", "C2"], ["C3"]]}), buffer)
    source = Random(0)

    for _ in range(300):
        content = changed_bytes(source, buffer.getvalue())
        assert isinstance(taken_in(content, ".parquet", "concepts"), Source | RocoError)


def taken_in(content: bytes, ending: str, task: Task | None) -> Source | RocoError:
    try:
        return source_of_bytes(content, "run", EDITIONS["rocov2"], ending=f"run{ending}", task=task)[0]
    except RocoError as error:
        return error


# Archives.

ARCHIVED = b"ID,CUIs\na,C1\n"
BOMB = 20_000_000  # bytes, in 20 kB


@pytest.fixture
def rejection(tmp_path: Path) -> Callable[[bytes], tuple[list[str], str]]:
    """Return a function that loads an archive and returns the codes and message of its rejection."""

    def load_rejected(content: bytes) -> tuple[list[str], str]:
        path = tmp_path / "run.zip"
        path.write_bytes(content)
        with pytest.raises(RejectedInput) as caught:
            load(path)
        return [item.code for item in caught.value.findings], str(caught.value).removeprefix(f"{path}: ")

    return load_rejected


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def with_size(content: bytes, size: int, declared: int) -> bytes:
    """Declare another size of the only member, in its local and in its central header."""
    old, new = size.to_bytes(4, "little"), declared.to_bytes(4, "little")
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(signature) + offset
        assert changed[start : start + 4] == old
        changed[start : start + 4] = new
    return bytes(changed)


def with_flag(content: bytes, flag: int) -> bytes:
    """Set a general-purpose flag of the only member, in its local and in its central header."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[content.index(signature) + offset] |= flag
    return bytes(changed)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_of_one_csv_file_reads_as_the_file(tmp_path: Path, method: int) -> None:
    (tmp_path / "run.zip").write_bytes(archive(("submission.csv", ARCHIVED), method=method))
    (tmp_path / "run.csv").write_bytes(ARCHIVED)

    zipped, plain = load(tmp_path / "run.zip"), load(tmp_path / "run.csv")

    assert (plain.text, plain.sha256) == (zipped.text, zipped.sha256)


def test_an_archive_is_told_by_its_first_bytes_too(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_bytes(archive(("submission.csv", ARCHIVED)))

    assert ARCHIVED.decode() == load(tmp_path / "run.csv").text


def test_what_a_mac_adds_to_an_archive_is_left_out(tmp_path: Path) -> None:
    members = [("runs/", b""), ("runs/run.CSV", ARCHIVED), ("__MACOSX/runs/._run.CSV", b"\0\5\x16\7")]
    (tmp_path / "run.zip").write_bytes(archive(*members))

    assert ARCHIVED.decode() == load(tmp_path / "run.zip").text


@pytest.mark.parametrize(
    "content",
    [
        archive(),
        archive(("a.csv", ARCHIVED), ("b.csv", ARCHIVED)),
        archive(("a.csv", ARCHIVED), ("README.md", b"x")),
        archive(("a.json", b"{}")),
        archive(("folder/", b"")),
        archive(("a.csv", ARCHIVED), method=zipfile.ZIP_BZIP2),
        with_flag(archive(("a.csv", ARCHIVED)), 1),
        archive(("a.csv", ARCHIVED))[:-30],
        archive(("a.csv", ARCHIVED))[:20],
        archive(("a.csv", ARCHIVED)).replace(b"a.csv", b"\0\0\0\0\0"),
        ARCHIVED,
        b"",
    ],
    ids=[
        "no member",
        "two files",
        "a file beside",
        "no CSV",
        "a folder alone",
        "bzip2",
        "encrypted",
        "without its end",
        "its beginning alone",
        "a name of NUL",
        "no archive",
        "empty",
    ],
)
def test_an_archive_that_is_no_submission_is_rejected(
    rejection: Callable[[bytes], tuple[list[str], str]], content: bytes
) -> None:
    expected = ["R004"]

    assert expected == rejection(content)[0]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_crafted_archive_ends_in_one_finding(
    rejection: Callable[[bytes], tuple[list[str], str]], trick: str
) -> None:
    codes, message = rejection(TRICKS[trick](ARCHIVED))

    assert codes == ["R004"]
    assert message.isprintable()


def test_what_stands_before_or_after_an_archive_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.zip").write_bytes(b"#!/bin/sh\n" + archive(("a.csv", ARCHIVED)) + b"\0" * 40)

    assert ARCHIVED.decode() == load(tmp_path / "run.zip").text


def test_an_archive_that_unpacks_to_too_much_is_rejected(
    rejection: Callable[[bytes], tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MOST_BYTES", 10_000)
    expected = ["R004"], "the unpacked file has more than 10,000 bytes"

    assert expected == rejection(archive(("a.csv", b"0" * 1_000_000)))


@pytest.mark.parametrize("declared", [BOMB, 10_001, 10_000, 10, 0])
def test_no_more_than_the_bound_is_unpacked_whatever_size_the_archive_declares(
    rejection: Callable[[bytes], tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch, declared: int
) -> None:
    monkeypatch.setattr(formats, "MOST_BYTES", 10_000)
    content = with_size(archive(("a.csv", b"0" * BOMB)), BOMB, declared)
    # The archive itself would be refused for its size.
    monkeypatch.setattr(formats, "read_bytes", lambda _path, _name: content)
    tracemalloc.start()
    try:
        codes, _ = rejection(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert codes == ["R004"]
    assert peak < BOMB / 20


def test_an_archive_may_declare_more_than_it_holds_but_not_be_read_for_it(
    rejection: Callable[[bytes], tuple[list[str], str]],
) -> None:
    content = with_size(archive(("a.csv", ARCHIVED)), len(ARCHIVED), formats.MOST_BYTES + 1)
    expected = ["R004"], "the unpacked file has more than 268,435,456 bytes"

    assert expected == rejection(content)


@pytest.mark.parametrize(
    "name",
    ["../a.csv", "runs/../../a.csv", "/etc/a.csv", "\\\\host\\a.csv", "..\\a.csv", "C:\\a.csv", "c:a.csv"],
)
def test_a_name_that_leads_out_of_the_archive_is_rejected(
    rejection: Callable[[bytes], tuple[list[str], str]], name: str
) -> None:
    codes, message = rejection(archive((name, ARCHIVED)))

    assert codes == ["R004"]
    assert message.endswith("is outside the archive")


@pytest.mark.parametrize("name", ["a..csv", "..a.csv", "runs/team.1/a.csv", ".../a.csv"])
def test_dots_within_a_name_are_no_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / "run.zip").write_bytes(archive((name, ARCHIVED)))

    assert ARCHIVED.decode() == load(tmp_path / "run.zip").text


def test_a_symbolic_link_in_an_archive_is_rejected(
    rejection: Callable[[bytes], tuple[list[str], str]],
) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.create_system = 3  # Unix
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(link, "/etc/passwd")
    expected = ["R004"], "'a.csv' is a symbolic link"

    assert expected == rejection(buffer.getvalue())


def test_an_archive_of_too_many_files_is_rejected_before_it_is_opened(
    rejection: Callable[[bytes], tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", None)
    entry = b"PK\x01\x02" + b"\0" * 43
    expected = ["R004"], "more than 1,000 files in the archive"

    assert expected == rejection(entry * 1001)


@pytest.mark.parametrize("number", [1, 2, 900])
def test_an_archive_of_one_run_and_what_a_mac_adds_is_read(tmp_path: Path, number: int) -> None:
    beside = [(f"__MACOSX/._{i}", b"") for i in range(number)]
    (tmp_path / "run.zip").write_bytes(archive(("a.csv", ARCHIVED), *beside))

    assert ARCHIVED.decode() == load(tmp_path / "run.zip").text


@settings(max_examples=120, deadline=None)
@given(data=st.data(), method=st.sampled_from([0, 8, 12, 14]))
def test_any_damage_to_an_archive_gives_a_text_or_a_rejection(
    folder: Path, data: st.DataObject, method: int
) -> None:
    content = bytearray(
        archive(("a.csv", b"".join(b"i%d,C%d\n" % (i, i * 7919) for i in range(40))), method=method)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "damaged.zip"
    path.write_bytes(content)

    assert isinstance(loaded(path), Source | RejectedInput)


def loaded(path: Path) -> Source | RejectedInput:
    try:
        return load(path)
    except RejectedInput as error:
        return error
