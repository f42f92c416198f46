from __future__ import annotations

import csv
import hashlib
import stat
from pathlib import Path

import pytest

from rocov2_eval import formats
from rocov2_eval.editions import EDITIONS, Dialect
from rocov2_eval.errors import RejectedInput
from rocov2_eval.formats import (
    ANY_NUMBER,
    LAYOUT,
    Source,
    Table,
    is_layout,
    load,
    physical_lines,
    read_table,
    sniff_task,
)
from rocov2_eval.records import Task
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.files import write_bytes

TAB = EDITIONS["imageclef-2018"].concepts.dialect
BAR = EDITIONS["imageclef-2022"].concepts.dialect
BAR_OR_TAB = EDITIONS["imageclef-2023"].concepts.dialect
COMMA = EDITIONS["imageclef-2024"].concepts.dialect
COMMA_HEADER = Dialect(delimiter=",", quoted=True, header="id_first")


def source_of(text: str) -> Source:
    return Source(path="run.csv", sha256="0" * 64, text=text)


def table_of(
    text: str, dialect: Dialect = LAYOUT, task: Task = "concepts", most_cells: int | None = None
) -> Table:
    return read_table(source_of(text), dialect, task, *([most_cells] if most_cells else []))


def rows_of(table: Table) -> list[tuple[str, str | None]]:
    return list(zip(table.image_ids, table.cells, strict=True))


def codes_of(table: Table) -> list[tuple[str, str, int | None]]:
    return [(item.code, item.severity, item.line) for item in table.findings]


def load_bytes(folder: Path, content: bytes) -> Source:
    path = folder / "run.csv"
    path.write_bytes(content)
    return load(path)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (TAB, "a\tC1;C2\nb\tC3\n"),
        (BAR, "a|C1;C2\nb|C3\n"),
        (BAR_OR_TAB, "a|C1;C2\nb|C3\n"),
        (BAR_OR_TAB, "a\tC1;C2\nb\tC3\n"),
        (COMMA, "a,C1;C2\nb,C3\n"),
        (COMMA, 'a,"C1;C2"\n"b",C3'),
        (LAYOUT, "ID,CUIs\na,C1;C2\nb,C3\n"),
        (LAYOUT, "a,C1;C2\r\nb,C3\r\n"),
        (LAYOUT, "a,C1;C2\rb,C3\r"),
    ],
)
def test_each_dialect_cuts_its_own_form(dialect: Dialect, text: str) -> None:
    expected = [("a", "C1;C2"), ("b", "C3")]

    assert expected == rows_of(table_of(text, dialect))


@pytest.mark.parametrize("dialect", [TAB, BAR, BAR_OR_TAB])
def test_without_quoting_a_quote_is_a_character(dialect: Dialect) -> None:
    delimiter = "|" if dialect.delimiter == "auto" else dialect.delimiter
    expected = [("a", '"C1;C2"')]

    assert expected == rows_of(table_of(f'a{delimiter}"C1;C2"\n', dialect))


def test_the_first_line_alone_decides_between_bar_and_tab() -> None:
    expected = [("a", "C1"), ("b|C2", None)]

    assert expected == rows_of(table_of("a\tC1\nb|C2\n", BAR_OR_TAB))


def test_a_quoted_cell_keeps_its_separator_quotes_and_line_breaks() -> None:
    expected = [("a", 'x, "y"\nz')]

    assert expected == rows_of(table_of('ID,Caption\na,"x, ""y""\nz"\n', task="captions"))


def test_ids_and_cells_keep_their_blanks() -> None:
    expected = [(" a ", " C1 ")]

    assert expected == rows_of(table_of(" a , C1 \n"))


def test_a_concept_row_of_an_id_alone_has_no_cell() -> None:
    expected = [("a", None), ("b", "")]

    assert expected == rows_of(table_of("a\nb,\n"))


def test_a_caption_row_of_an_id_alone_is_a_fault() -> None:
    expected = [("R102", "error", 2)]

    assert expected == codes_of(table_of("a,x\nb\n", task="captions"))


def test_a_row_of_three_cells_is_a_fault_and_left_out() -> None:
    table = table_of("a,C1\nb,C2,C3\n")

    expected = [("a", "C1")], [("R102", "error", 2)]
    assert expected == (rows_of(table), codes_of(table))


def test_cells_after_the_second_are_counted_where_they_are_allowed() -> None:
    table = table_of("ID,Caption\na,x\nb,y, z\n", task="captions", most_cells=ANY_NUMBER)

    expected = [("a", "x"), ("b", "y")], [1]
    assert expected == (rows_of(table), table.surplus.tolist())


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (TAB, "ID\tCUIs\na\tC1\n", [("R109", "error", 1)]),
        (BAR, "ID|CUIs\na|C1\n", [("R109", "error", 1)]),
        (COMMA, "ID,CUIs\na,C1\n", []),
        (COMMA, "a,C1\n", []),
        (COMMA, "id,CUIs\na,C1\n", [("R108", "error", 1)]),
        (COMMA_HEADER, "ID,CUIs\na,C1\n", []),
        (COMMA_HEADER, "id,CUIs\na,C1\n", []),
        (COMMA_HEADER, "a,C1\n", [("R107", "error", 1)]),
        (LAYOUT, "ID,CUIs\na,C1\n", []),
        (LAYOUT, "id,CUIs\na,C1\n", [("R108", "warning", 1)]),
        (LAYOUT, "a,C1\n", []),
    ],
)
def test_each_header_rule_has_its_faults(
    dialect: Dialect, text: str, expected: list[tuple[str, str, int]]
) -> None:
    assert expected == codes_of(table_of(text, dialect))


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (TAB, "\ufeffa\tC1\n", [("R006", "error", 1)]),
        (COMMA, "\ufeffID,CUIs\na,C1\n", [("R006", "warning", 1)]),
        (COMMA, "\ufeffa,C1\n", [("R006", "error", 1)]),
        (COMMA_HEADER, "\ufeffID,CUIs\na,C1\n", [("R006", "error", 1)]),
        (LAYOUT, "\ufeffID,CUIs\na,C1\n", [("R006", "warning", 1)]),
        (LAYOUT, "\ufeffa,C1\n", [("R006", "warning", 1)]),
    ],
)
def test_a_byte_order_mark_is_as_bad_as_the_edition_makes_it(
    dialect: Dialect, text: str, expected: list[tuple[str, str, int]]
) -> None:
    assert expected == codes_of(table_of(text, dialect))


@pytest.mark.parametrize("dialect", [TAB, BAR, BAR_OR_TAB, COMMA, LAYOUT])
def test_a_byte_order_mark_is_no_part_of_the_first_id(dialect: Dialect) -> None:
    delimiter = "|" if dialect.delimiter == "auto" else dialect.delimiter
    expected = ["a"]

    assert expected == table_of(f"\ufeffa{delimiter}C1\n", dialect).image_ids


def test_ids_that_hold_the_capitals_id_are_skipped_anywhere_where_the_edition_does_so() -> None:
    table = table_of("ID,CUIs\na,C1\nCOVID_1,C2\nb,C3\n", COMMA)

    expected = ["a", "b"], [("R106", "warning", 3)]
    assert expected == (table.image_ids, codes_of(table))


def test_ids_that_hold_the_capitals_id_are_kept_by_our_own_reader() -> None:
    expected = ["COVID_1"]

    assert expected == table_of("ID,CUIs\nCOVID_1,C2\n").image_ids


def test_the_header_is_handed_on() -> None:
    expected = ("ID", "CUIs")

    assert expected == table_of("ID,CUIs\na,C1\n").header


def test_a_file_without_header_has_none() -> None:
    assert table_of("a,C1\n").header is None


def test_blank_lines_are_faults_with_their_line() -> None:
    expected = [("R101", "error", 2), ("R101", "error", 4)]

    assert expected == codes_of(table_of("a,C1\n\nb,C2\n\n"))


def test_a_line_of_blanks_is_no_blank_line() -> None:
    expected = [("  ", None)]

    assert expected == rows_of(table_of("  \n"))


def test_lines_count_from_the_start_of_a_record_over_embedded_line_breaks() -> None:
    text = 'ID,Caption\na,"x\r\ny"\nb,z\nc,"\n\n"\nd,w\n'
    expected = [2, 4, 5, 8]

    assert expected == table_of(text, task="captions").lines.tolist()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_count_alike_for_every_line_end(end: str) -> None:
    text = end.join(["ID,CUIs", "a,C1", "b,C2", "c,C3", ""])
    expected = [2, 3, 4]

    assert expected == table_of(text).lines.tolist()


def test_line_separators_of_unicode_end_no_record() -> None:
    expected = [("a", "x\u2028y\x0bz\x85")]

    assert expected == rows_of(table_of("a,x\u2028y\x0bz\x85\n", task="captions"))


def test_rows_before_the_place_where_csv_gives_up_are_kept() -> None:
    table = table_of(f'a,x\nb,"{"y" * 140_000}\n', task="captions")

    expected = ["a"], [("R005", "error", 2)]
    assert expected == (table.image_ids, codes_of(table))


def test_a_nul_character_is_a_character() -> None:
    expected = [("a", "x\0y")]

    assert expected == rows_of(table_of("a,x\0y\n", task="captions"))


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = "ID,Caption\na,é\n".encode()

    assert hashlib.sha256(content).hexdigest() == load_bytes(tmp_path, content).sha256


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"a,x\nb,caf\xe9\n", 2), (b"a,x\r\nb,caf\xe9\r\n", 2), (b"a,x\rb,caf\xe9\r", 2), (b"\xff\xfea", 1)],
)
def test_bytes_that_are_not_utf8_are_rejected_with_their_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    expected = [("R002", line)]

    with pytest.raises(RejectedInput) as caught:
        load_bytes(tmp_path, content)

    assert expected == [(item.code, item.line) for item in caught.value.findings]


@pytest.mark.parametrize("name", ["absent.csv", ".", "a\0b.csv"])
def test_a_path_that_cannot_be_read_is_rejected(tmp_path: Path, name: str) -> None:
    expected = ["R001"]

    with pytest.raises(RejectedInput) as caught:
        load(tmp_path / name)

    assert expected == [item.code for item in caught.value.findings]


def test_a_file_of_too_many_bytes_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MOST_BYTES", 10)
    expected = ["R001"]

    with pytest.raises(RejectedInput) as caught:
        load_bytes(tmp_path, b"a" * 11)

    assert expected == [item.code for item in caught.value.findings]


@pytest.mark.slow
def test_a_line_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with path.open("wb") as file:
        file.truncate(5 << 30)  # 5 GiB that take no room on the disk
    expected = "more than 268,435,456 bytes"

    with pytest.raises(RejectedInput) as caught:
        load(path)

    assert str(caught.value).endswith(f"run.csv: {expected}")


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_file_of_too_many_lines_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    monkeypatch.setattr(formats, "MOST_LINES", 10)
    expected = "11 lines, more than 10"

    with pytest.raises(RejectedInput) as caught:
        load_bytes(tmp_path, end * 11)

    assert str(caught.value).endswith(f"run.csv: {expected}")


@pytest.mark.parametrize("separator", [b",", b";", b"\t", b"|"])
def test_a_file_of_too_many_cells_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separator: bytes
) -> None:
    monkeypatch.setattr(formats, "MOST_SEPARATORS", 10)
    expected = "11 separators, more than 10"

    with pytest.raises(RejectedInput) as caught:
        load_bytes(tmp_path, b"a" + separator * 11)

    assert str(caught.value).endswith(f"run.csv: {expected}")


def test_a_file_at_every_bound_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in (("MOST_BYTES", 20), ("MOST_LINES", 3), ("MOST_SEPARATORS", 4)):
        monkeypatch.setattr(formats, name, bound)
    text = "abcdefghijklm\n\r\n;;;;"

    assert text == load_bytes(tmp_path, text.encode()).text


def test_a_file_is_named_as_asked_and_never_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_bytes(b"a,\xff\n")
    expected = ["team/run.csv"]

    with pytest.raises(RejectedInput) as caught:
        load(path, shown="team/run.csv")
    with pytest.raises(RejectedInput) as absent:
        load(tmp_path / "absent.zip", shown="team/run.csv")
    path.write_bytes(b"a,C1\n")

    assert expected == [item.path for item in caught.value.findings]
    assert expected == [item.path for item in absent.value.findings]
    assert expected == [load(path, shown="team/run.csv").path]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID,CUIs\n", "concepts"),
        ("ID,Caption\n", "captions"),
        ("\ufeffID,Caption\n", "captions"),
        ("id\tcuis\n", "concepts"),
        ("ID|caption\na|C1\n", "captions"),
        ("a,C1;C2\n", "concepts"),
        ("a|C1;C2\nb|\n", "concepts"),
        ("a\tc1 ; c2;\n", "concepts"),
        ("a,A chest radiograph.\n", "captions"),
        ("a|A chest radiograph, showing C1\n", "captions"),
        ("a,\nb,C1\n", "concepts"),
        ('a,"x\ny"\r\n', "captions"),
        ("a\rb\r", None),
        ("a,\n", None),
        ("a\n", None),
        ("", None),
    ],
)
def test_the_task_is_told_from_header_or_cells(text: str, expected: Task | None) -> None:
    assert expected == sniff_task(source_of(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID,CUIs\n", True),
        ('\ufeff"ID","CUIs"\r\n', True),
        ("id,cuis\n", True),
        ("ID\tcuis\n", False),
        ("ID\n", False),
        ("a,C1\n", False),
        ("", False),
    ],
)
def test_the_rocov2_layout_is_told_by_its_header(text: str, expected: bool) -> None:  # noqa: FBT001
    assert expected is is_layout(source_of(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\r\nb\rc\n\n", ["a", "b", "c", ""]),
        ("a\u2028b\n", ["a\u2028b"]),
    ],
)
def test_physical_lines_are_those_of_a_file_in_text_mode(text: str, expected: list[str]) -> None:
    assert expected == physical_lines(source_of(text))


def test_a_written_csv_file_reads_back_as_it_was(tmp_path: Path) -> None:
    rows = [["a", 'x, "y"\nz'], ["b", ""], ["c", " ü\u2028 "]]
    path = tmp_path / "new/run.csv"

    write_csv(path, ["ID", "Caption"], rows)

    with path.open(encoding="utf-8", newline="") as file:
        assert [["ID", "Caption"], *rows] == list(csv.reader(file))


def test_writing_leaves_nothing_else_in_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"

    write_bytes(path, b"new")

    expected = [path]
    assert expected == list(tmp_path.iterdir())


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.csv"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")

    expected = {"run.csv": b"old"}
    assert expected == {item.name: item.read_bytes() for item in tmp_path.iterdir()}


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "touched").touch()

    write_bytes(tmp_path / "run.csv", b"new")

    expected = stat.S_IMODE((tmp_path / "touched").stat().st_mode)
    assert expected == stat.S_IMODE((tmp_path / "run.csv").stat().st_mode)
