from __future__ import annotations

import pytest

from rocov2_eval.formats import Source
from rocov2_eval.precheck import precheck
from rocov2_eval.records import Task

IDS = ["a", "b", "c"]


def check(text: str, task: Task = "captions") -> list[tuple[str, str, int | None]]:
    found = precheck(Source(path="run.csv", sha256="0" * 64, text=text), task, IDS)
    return [(item.code, item.severity, item.line) for item in found]


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("captions", "ID,Caption\na,x\nb,y\nc,z\n"),
        ("captions", '"ID","Caption"\r\n"a","x, y"\r\nb,y\r\nc,z'),
        ("captions", 'ID,Caption\na,\nb,"q ""r"", s"\nc,z\n'),
        ("concepts", "ID,CUIs\na,C1; C2\nb,\nc,C12345678901\n"),
    ],
)
def test_a_faultless_file_has_no_finding(task: Task, text: str) -> None:
    expected: list[tuple[str, str, int | None]] = []

    assert expected == check(text, task)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("R402", "error", 1)]),
        ("ID,caption\na,x\nb,y\nc,z\n", [("R402", "error", 1)]),
        ("ID,CUIs\na,x\nb,y\nc,z\n", [("R402", "error", 1)]),
        ("\ufeffID,Caption\na,x\nb,y\nc,z\n", [("R402", "error", 1)]),
        ("a,x\nb,y\nc,z\n", [("R402", "error", 1)]),
        ("ID,Caption\nb,x\na,y\nc,z\n", [("R401", "error", 2), ("R401", "error", 3)]),
        ("ID,Caption\na,x\n\nb,y\nc,z\n\n", [("R404", "error", 3), ("R404", "error", 6)]),
        ("ID,Caption\na,x\n \t\nb,y\nc,z\n", [("R404", "error", 3)]),
        ("ID,Caption\na,x, y\nb,y\nc,z\n", [("R405", "error", 2)]),
        ("ID,Caption\n a,x\nb,y\nc,z\n", [("R403", "error", 2)]),
    ],
)
def test_each_fault_of_a_caption_file_has_its_code_and_line(
    text: str, expected: list[tuple[str, str, int | None]]
) -> None:
    assert expected == check(text)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("c1", ["R406"]),
        ("C1;", ["R406"]),
        ("C1;;C2", ["R406"]),
        ("C1;C1", ["R406"]),
        ("C1x", ["R406"]),
        ("c1;;c1", ["R406", "R406", "R406"]),
        (" C1", ["R403"]),
        ("C1 ", ["R403"]),
        (" ", ["R403", "R406"]),
    ],
)
def test_each_fault_of_a_concept_cell_has_its_code(cell: str, expected: list[str]) -> None:
    assert expected == [item[0] for item in check(f"ID,CUIs\na,{cell}\nb,\nc,\n", "concepts")]


@pytest.mark.parametrize(
    "caption", ['"x\ny"', '"x\n\ny"', '"x, y\u2028z"', '"x, y\x85z"', '"x, y" ', '"x\r\ny"'], ids=repr
)
def test_a_faultless_caption_that_the_check_mistakes_is_a_warning(caption: str) -> None:
    expected = [("R407", "warning", 2)]

    assert expected == check(f"ID,Caption\na,{caption}\nb,y\nc,z\n")


@pytest.mark.parametrize("caption", ["x\u2028y", "x ", '"x" ', "x\0"], ids=repr)
def test_a_caption_that_the_check_does_not_mistake_is_no_finding(caption: str) -> None:
    expected: list[tuple[str, str, int | None]] = []

    assert expected == check(f"ID,Caption\na,{caption}\nb,y\nc,z\n")


def test_lines_count_over_line_breaks_inside_a_caption() -> None:
    expected = [("R403", "error", 5), ("R407", "warning", 2)]

    assert expected == check('ID,Caption\na,"x\ny"\nb,y\nc ,z\n')


@pytest.mark.parametrize(
    "rows", ["a,x\nq,y\nc,z\n", "b,y\nc,z\n", "a,x\na,y\nb,y\nc,z\n", "a,x\nb,y\nc,z\na,x\n"], ids=repr
)
def test_unknown_missing_and_repeated_ids_put_no_other_row_out_of_order(rows: str) -> None:
    expected: list[tuple[str, str, int | None]] = []

    assert expected == check(f"ID,Caption\n{rows}")
