from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.pmc.file_lists import ArticleList, read_article_list
from rocov2_eval.errors import RejectedInput

FILE_LIST = "File,Article Citation,Accession ID,Last Updated (YYYY-MM-DD HH:MM:SS),PMID,License"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ArticleList]:
    """Return a reader of a list of this text."""

    def read_text(text: str | bytes, name: str = "list.csv") -> ArticleList:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_article_list(path)

    return read_text


@pytest.mark.parametrize(
    "text",
    [
        "PMC9\nPMC123\n",
        "123\r\n9",
        "# mine\n\npmc9\n  PMC123 \n\nPMC9\n",
        "\ufeffPMC123\nPMC0009\n",
        "pmcid\nPMC123\nPMC9\n",
        "figure,PMC_ID\na.jpg,PMC123\nb.jpg,PMC9\nc.jpg,PMC9\n",
        "DOI,PMCID,PMID\n10.1/x,PMC9,\n\n,PMC123,1\n",
        'pmcid\tcaption\nPMC9\tan "open quote\nPMC123\tx\n',
        'pmcid,caption\nPMC9,"two\nlines"\nPMC123,x\n',
        f'{FILE_LIST}\noa/PMC123.tar.gz,"A, B",PMC123,2020-01-01 00:00:00,,CC BY\nx,A,PMC9,2020,1,\n',
    ],
)
def test_every_kind_of_list_gives_its_articles_ascending(read: Callable[..., ArticleList], text: str) -> None:
    assert tuple(read(text).pmcids()) == ("PMC9", "PMC123")


def test_a_file_list_tells_licences_and_retractions(read: Callable[..., ArticleList]) -> None:
    text = (
        f"{FILE_LIST},Retracted\na,A,PMC1,2020,1,CC BY,no\nb,B,PMC2,2020,,NO-CC CODE,Yes\nc,C,PMC3,2020,,,\n"
    )
    found = read(text)
    assert [(found.licence(pmcid), found.retracted(pmcid)) for pmcid in ("PMC1", "PMC2", "PMC3", "PMC4")] == [
        ("CC BY", False),
        ("NO-CC CODE", True),
        (None, False),
        (None, False),
    ]


def test_the_last_row_of_an_article_counts(read: Callable[..., ArticleList]) -> None:
    assert read("pmcid,license\nPMC1,CC BY\nPMC2,CC0\nPMC1,CC BY-NC\n").licence("PMC1") == "CC BY-NC"


def test_a_list_that_has_changed_is_read_again(read: Callable[..., ArticleList], tmp_path: Path) -> None:
    read("PMC1\n")
    found = read("PMC22\n")
    os.utime(tmp_path / "list.csv", ns=(1, 1))
    assert tuple(found.pmcids()) == ("PMC22",)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "no row, expected at least one PMCID"),
        ("pmcid\n", None, "no row"),
        ("PMC1\nx y\n", 2, "'x y' is no PMCID, expected PMC and digits"),
        ("PMC1\nPMC2.1\n", 2, "'PMC2.1' is no PMCID"),
        ("PMC1\nPMC" + "9" * 40 + "\n", 2, "is no PMCID"),
        ("doi,title\n10.1,x\n", 1, "found 'doi, title', expected a PMCID, or a header with a column pmcid"),
        ("pmcid,license\nPMC1,CC BY\nPMC2\n", 3, "1 cells, expected 2"),
        ("pmcid,license\nPMC1,CC BY,x\n", 2, "3 cells, expected 2"),
        ("pmcid,retracted\nPMC1,perhaps\n", 2, "retracted is 'perhaps', expected yes or no"),
        ('pmcid,title\nPMC1,"' + "x" * 200_000 + "\n", 2, "is a quote left open here?"),
        ("PMC1\n\0\n", 2, "is no PMCID"),
    ],
)
def test_a_line_that_is_not_understood_is_named(
    read: Callable[..., ArticleList], tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    with pytest.raises(RejectedInput) as caught:
        read(text)
    place = f"{tmp_path / 'list.csv'}:" + ("" if line is None else f"{line}:")
    assert (str(caught.value).startswith(place), caught.value.findings[0].line) == (True, line)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "R009"), ("doi,title\n10.1,x\n", "R009"), ("PMC1\nx\n", "R113")],
)
def test_a_fault_has_a_code_of_lists(read: Callable[..., ArticleList], text: str, code: str) -> None:
    with pytest.raises(RejectedInput) as caught:
        read(text)
    assert code == caught.value.findings[0].code


def test_a_file_of_something_else_does_not_flood_the_terminal(read: Callable[..., ArticleList]) -> None:
    with pytest.raises(RejectedInput) as caught:
        read("PMC1\n" + "x\n" * 1000)
    assert len(caught.value.findings) == 20


def test_a_title_in_another_encoding_does_no_harm(read: Callable[..., ArticleList]) -> None:
    assert tuple(read(b"title,pmcid\n\xe9tude,PMC1\n").pmcids()) == ("PMC1",)


def test_a_list_that_is_not_there_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="No such file"):
        read_article_list(tmp_path / "absent.csv")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(1, 10**9),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
            st.sampled_from(["", "CC BY", "CC BY-NC", "NO-CC CODE"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_what_a_writer_of_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str, bool]]
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["Citation", "Accession ID", "License", "Retracted"])
    writer.writerows([title, f"PMC{n}", licence, "yes" if gone else "no"] for n, title, licence, gone in rows)
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    found = read_article_list(path)
    expected = {n: (licence or None, gone) for n, _, licence, gone in rows}
    assert {
        int(pmcid[3:]): (found.licence(pmcid), found.retracted(pmcid)) for pmcid in found.pmcids()
    } == expected
    assert tuple(found.pmcids()) == tuple(f"PMC{n}" for n in sorted(expected))


def test_the_figures_of_roco_are_a_list_of_their_articles(shared: Path) -> None:
    found = read_article_list(shared / "data/roco/figures.csv")
    assert (len(found.numbers), found.licence("PMC4608653")) == (18_486, "CC BY-NC")
