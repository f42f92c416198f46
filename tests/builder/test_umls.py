"""Names from the files of a UMLS release; the rows are made up in its format."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dataset_builder.concepts.concept_names import ConceptName
from dataset_builder.concepts.umls import read_umls
from rocov2_eval.errors import MissingResource, RejectedInput

Writer = Callable[..., Path]


def atom(
    cui: str, name: str, *, lat: str = "ENG", best: bool = False, sab: str = "MSH", suppress: str = "N"
) -> str:
    ts, stt, ispref = ("P", "PF", "Y") if best else ("S", "VO", "N")
    return f"{cui}|{lat}|{ts}|L1|{stt}|S1|{ispref}|A1||||{sab}|PT|D1|{name}|0|{suppress}||"


@pytest.fixture
def release(tmp_path: Path) -> Writer:
    def write(atoms: Sequence[str], types: Sequence[tuple[str, str]] = (), *, zipped: bool = False) -> Path:
        texts = {
            "MRCONSO.RRF": "".join(f"{line}\n" for line in atoms),
            "MRSTY.RRF": "".join(f"{cui}|{tui}|A1|name|AT1||\n" for cui, tui in types),
        }
        for name, text in texts.items():
            if zipped:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
            else:
                (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_the_preferred_name_comes_first_with_types(release: Writer) -> None:
    folder = release(
        [atom("C0000001", "hepar"), atom("C0000001", "Liver", best=True, sab="SNOMEDCT_US")],
        [("C0000001", "T024"), ("C0000001", "T023")],
    )
    types = ("T023", "T024")
    assert list(read_umls(folder)) == [
        ConceptName(cui="C0000001", name="Liver", status="P", types=types, source="SNOMEDCT_US"),
        ConceptName(cui="C0000001", name="hepar", status="A", types=types, source="MSH"),
    ]


def test_gzipped_files_read_the_same(release: Writer) -> None:
    twice = [atom("C0000001", "liver", sab="A"), atom("C0000001", "liver", sab="B", best=True)]
    atoms, types = twice, [("C0000001", "T023")]
    plain = list(read_umls(release(atoms, types)))
    assert [(row.name, row.source) for row in plain] == [("liver", "B")]  # the name of two comes once
    folder = release(atoms, types, zipped=True)
    for name in ("MRCONSO.RRF", "MRSTY.RRF"):
        (folder / name).unlink()
    assert list(read_umls(folder)) == plain


def test_other_languages_and_suppressed_names_are_left_out(release: Writer) -> None:
    folder = release(
        [
            atom("C0000001", "Leber", lat="GER"),
            atom("C0000001", "livr", suppress="O"),
            atom("C0000001", "lver", suppress="E"),
            atom("C0000001", "liver"),
        ]
    )
    assert [row.name for row in read_umls(folder)] == ["liver"]


def test_sources_and_types_can_be_chosen(release: Writer) -> None:
    folder = release(
        [
            atom("C0000001", "liver", sab="MSH"),
            atom("C0000001", "hepar", sab="FMA"),
            atom("C0000002", "belief", sab="FMA"),
        ],
        [("C0000001", "T023"), ("C0000002", "T078")],
    )
    assert [row.name for row in read_umls(folder, sources=["FMA"], types=["T023"])] == ["hepar"]


def test_a_concept_without_types_has_none(release: Writer) -> None:
    folder = release(
        [atom("C0000001", "a one"), atom("C0000002", "two"), atom("C0000003", "three")],
        [("C0000002", "T023")],
    )
    assert [row.types for row in read_umls(folder)] == [(), ("T023",), ()]


def test_names_are_read_one_concept_at_a_time(release: Writer) -> None:
    rows = read_umls(release([atom("C0000001", "liver"), atom("C0000002", "lung"), "broken"]))
    assert next(rows).name == "liver"


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (["C0000001|ENG"], r"MRCONSO.RRF:1: 1 cells .* expected 18"),
        (
            [atom("C0000002", "b"), atom("C0000001", "a")],
            r":2: C0000001 after C0000002, expected the CUIs in order",
        ),
        ([atom("liver", "liver")], r":1: 'LIVER' is no CUI"),
    ],
)
def test_a_broken_line_is_told_with_its_number(release: Writer, atoms: list[str], message: str) -> None:
    with pytest.raises(RejectedInput, match=message):
        list(read_umls(release(atoms)))


def test_another_encoding_is_told_with_its_line(release: Writer) -> None:
    folder = release([atom("C0000001", "liver")])
    with (folder / "MRCONSO.RRF").open("ab") as file:
        file.write(atom("C0000001", "lébère").encode("latin-1") + b"\n")
    with pytest.raises(RejectedInput, match=r"MRCONSO.RRF:2: not UTF-8"):
        list(read_umls(folder))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(release: Writer) -> None:
    folder = release([atom("C0000001", "x" * (1 << 20))])
    with pytest.raises(RejectedInput, match="a line of over"):
        list(read_umls(folder))


def test_a_damaged_archive_is_refused(release: Writer) -> None:
    folder = release([atom("C0000001", "liver")] * 99, zipped=True)
    path = folder / "MRCONSO.RRF.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RejectedInput, match="damaged gzip"):
        list(read_umls(folder))


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"no MRCONSO\.RRF and no MRCONSO\.RRF\.gz"):
        list(read_umls(tmp_path))
