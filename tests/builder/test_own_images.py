"""Tables of own images, through the real commands: CSV, JSON lines and Parquet; pictures and DICOM."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_dicom import PATIENT, dicom
from PIL import Image

from dataset_builder.cli import run

HEADER = ("image", "caption", "group", "licence")
TABLES = """
[images]
min_side = 8
[compound]
method = "off"
[radiology]
filter = "off"
[duplicates]
distance = 0
[split]
shares = { train = "rest", test = 1 }
"""
Rows = Sequence[Sequence[str]]


def noise(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 4096, (48, 64)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a PNG, a 16-bit TIFF and a DICOM file, and a secret beside it."""
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.fromarray((noise(1) // 16).astype(np.uint8)).save(folder / "a.png")
    Image.fromarray(noise(2)).save(folder / "b.tif")
    (folder / "c.dcm").write_bytes(dicom(noise(3), BurnedInAnnotation="YES"))
    (folder / "d.dcm").write_bytes(dicom(np.stack([noise(4), noise(5)]), NumberOfFrames=2))
    Image.fromarray((noise(6) // 16).astype(np.uint8)).save(tmp_path / "outside.png")
    return folder


@pytest.fixture
def build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str]]:
    """Return a function that builds from a table and returns exit code and messages."""

    def make(table: str) -> tuple[int, str]:
        (tmp_path / "build.toml").write_text(f'[source]\nkind = "table"\npath = "scans/{table}"\n{TABLES}')
        code = run(["run", str(tmp_path / "build.toml"), "--workers", "1"])
        streams = capsys.readouterr()
        return code, streams.out + streams.err

    return make


@pytest.fixture
def drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, tuple[str, str]]]:
    """Return a function that tells what was left out: reason and detail, by line of the table."""

    def read() -> dict[str, tuple[str, str]]:
        capsys.readouterr()
        run(["drops", str(tmp_path / "build.toml"), "--format", "csv"])
        rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
        return {row["detail"].partition(": ")[0]: (row["reason"], row["detail"]) for row in rows}

    return read


def write(path: Path, rows: Rows, header: Sequence[str] = HEADER, delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)


def public(dataset: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(dataset.rglob("*")) if path.is_file())


def table(dataset: Path, name: str) -> list[dict[str, str]]:
    with (dataset / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


GOOD = [
    ("a.png", "Chest X-ray of an adult, taken on admission.", "Smith^John", "CC BY 4.0"),
    ("b.tif", "CT of the chest of an adult at follow-up.", "Smith^John", "CC BY 4.0"),
    ("c.dcm", "MRI of the brain of another adult.", "site 2/7", "CC BY-NC 4.0"),
]


def test_pictures_and_dicom_become_a_dataset_that_tells_no_patient(
    folder: Path, build: Callable[[str], tuple[int, str]]
) -> None:
    write(folder / "own.csv", GOOD)
    code, said = build("own.csv")
    dataset = folder.parent / "dataset"
    assert code == 0, said
    assert run(["verify", str(dataset)]) == 0
    captions = {row["Caption"] for row in table(dataset, "train_captions.csv")}
    assert captions == {GOOD[0][1], GOOD[1][1]}  # the group of two was not torn
    assert not [
        secret for secret in ("Smith", PATIENT, "4711", "site 2") if secret.encode() in public(dataset)
    ]
    card = (dataset / "README.md").read_text().partition("\n---\n")[2]
    assert not [words for words in ("PubMed", "retracted", "| articles |") if words in card]
    assert "Articles" not in (dataset / "report.html").read_text()


def test_text_that_a_file_declares_as_burnt_in_is_warned_of_by_name(
    folder: Path, build: Callable[[str], tuple[int, str]]
) -> None:
    write(folder / "own.csv", GOOD)
    _, said = build("own.csv")
    assert "warn: files with a warning: 1 image" in said
    assert "check: own:site 2%2F7/c.dcm" in said


def test_what_a_table_says_of_concepts_goes_before_what_captions_name(
    folder: Path, build: Callable[[str], tuple[int, str]]
) -> None:
    rows = [
        (*GOOD[0], "X-ray", "chest", "", "", "Radiology, Example Hospital"),
        (*GOOD[1], "", "", "", "C0024109;C0018787", ""),
        (*GOOD[2], "MRI", "", "", "", ""),
    ]
    header = (*HEADER, "modality", "region", "direction", "concepts", "attribution")
    write(folder / "own.csv", rows, header, ";")
    code, said = build("own.csv")
    dataset = folder.parent / "dataset"
    assert code == 0, said
    assert [row["CUIs"] for row in table(dataset, "train_concepts.csv")] == [
        "C1306645;C0817096",
        "C0024109;C0018787",
    ]
    assert [row["CUIs"] for row in table(dataset, "train_concepts_manual.csv")] == ["C1306645;C0817096", ""]
    assert [row["Attribution"] for row in table(dataset, "license_information.csv")] == [
        "CC BY [Radiology, Example Hospital]",
        "CC BY [not named]",
    ]


def test_json_lines_and_parquet_say_the_same_as_csv(
    folder: Path, build: Callable[[str], tuple[int, str]]
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        *(dict(zip(HEADER, row, strict=True)) for row in GOOD),
        {
            "image": "d.dcm",
            "caption": "Second picture of a series.",
            "group": 7,
            "licence": "CC BY",
            "frame": 2,
        },
    ]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {
        name: [None if (cell := row.get(name)) is None else str(cell) for row in rows] for name in rows[3]
    }
    parquet.write_table(pa.table(columns), folder / "own.parquet")
    captions = []
    for name in ("own.jsonl", "own.parquet"):
        code, said = build(name)
        assert code == 0, said
        tables = table(folder.parent / "dataset", "train_captions.csv")
        captions.append({row["Caption"] for row in tables})
    assert captions[0] == captions[1]
    assert len(captions[0]) >= 2


def test_every_row_at_fault_is_a_drop_with_its_line(
    folder: Path, build: Callable[[str], tuple[int, str]], drops: Callable[[], dict[str, tuple[str, str]]]
) -> None:
    caption = "CT of an adult on the day of admission."
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "text.dcm").write_bytes(b"no picture")
    rows = [
        *GOOD,  # lines 2 to 4
        ("../outside.png", caption, "g", "CC BY"),
        ("/etc/passwd", caption, "g", "CC BY"),
        ("link.png", caption, "g", "CC BY"),
        ("none.png", caption, "g", "CC BY"),
        ("a.png", "", "g", "CC BY"),
        ("a.png", caption, "", "CC BY"),
        ("a.png", caption, "g", ""),
        ("", caption, "g", "CC BY"),
        ("a.png", caption, "Smith^John", "CC BY"),
        ("text.dcm", caption, "g", "CC BY"),
        ("a\0.png", caption, "g", "CC BY"),
        ("x" * 5000, caption, "g", "CC BY"),
        ("a.png", caption, "g"),
    ]
    write(folder / "own.csv", rows)
    code, said = build("own.csv")
    assert code == 0, said
    found = {place.removeprefix("own.csv:"): reason for place, (reason, _) in drops().items()}
    assert found == {
        "5": "image outside the folder of the table",
        "6": "image outside the folder of the table",
        "7": "image outside the folder of the table",
        "8": "file not at the source",
        "9": "row without caption",
        "10": "row without group",
        "11": "row without licence",
        "12": "row without image",
        "13": "same image in an earlier row of its group",
        "14": "file without a picture",
        "15": "file not at the source",
        "16": "file not at the source",
        "17": "row not understood",
    }


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"modality": "blurry"}, "modality: 'blurry' is no modality"),
        ({"concepts": "lung"}, "'lung' is no CUI"),
        ({"frame": "0"}, "frame is '0', expected a whole number from 1"),
    ],
)
def test_a_value_that_is_not_understood_is_told(
    cells: dict[str, str],
    message: str,
    folder: Path,
    build: Callable[[str], tuple[int, str]],
    drops: Callable[[], dict[str, tuple[str, str]]],
) -> None:
    rows = [(*row, "") for row in GOOD] + [("d.dcm", GOOD[0][1], "g", "CC BY", *cells.values())]
    write(folder / "own.csv", rows, (*HEADER, *cells))
    assert build("own.csv")[0] == 0
    reason, detail = drops()["own.csv:5"]
    assert reason == "value not understood"
    assert message in detail


def test_a_licence_that_is_not_allowed_is_left_out(
    folder: Path, build: Callable[[str], tuple[int, str]], drops: Callable[[], dict[str, tuple[str, str]]]
) -> None:
    write(folder / "own.csv", [*GOOD, ("d.dcm", GOOD[0][1], "g", "All rights reserved")])
    assert build("own.csv")[0] == 0
    assert {reason for reason, _ in drops().values()} == {"no licence found"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image,caption\na.png,b\n", "own.csv:1: no column group, licence; expected the columns image"),
        (b"image,image,caption,group,licence\n", "own.csv:1: column image occurs twice"),
        (b"image,caption,group,licence\n", "no row, expected one for each image"),
        (b"", "no column image, caption, group, licence"),
        (
            "image,caption,group,licence\na.png,Übersicht,g,CC BY\n".encode("cp1252"),
            "own.csv:2: byte 0xdc is not",
        ),
        ("image,caption,group,licence\n".encode("utf-16"), "is not UTF-8; save the file as UTF-8"),
        (b'image,caption,group,licence\na.png,"' + b"x" * 200_000, "is a quote left open here?"),
    ],
)
def test_a_table_that_cannot_be_read_stops_the_build(
    content: bytes, message: str, folder: Path, build: Callable[[str], tuple[int, str]]
) -> None:
    (folder / "own.csv").write_bytes(content)
    code, said = build("own.csv")
    assert code == 1
    assert message in said


def test_an_image_in_two_groups_keeps_them_in_one_split(
    folder: Path, build: Callable[[str], tuple[int, str]]
) -> None:
    rows = [
        ("a.png", "Chest X-ray of an adult.", "g1", "CC BY"),
        ("b.tif", "CT of the chest of an adult.", "g1", "CC BY"),
        ("a.png", "Chest X-ray of an adult, again.", "g2", "CC BY"),
        ("d.dcm", "MRI of the brain of an adult.", "g2", "CC BY"),
        ("c.dcm", "MRI of the brain of another.", "g3", "CC BY"),
    ]
    write(folder / "own.csv", rows)
    assert build("own.csv")[0] == 0
    assert len(table(folder.parent / "dataset", "train_captions.csv")) == 3
    assert run(["leaks", str(folder.parent / "dataset")]) == 0


def test_rows_of_json_that_are_no_rows_are_drops(
    folder: Path, build: Callable[[str], tuple[int, str]], drops: Callable[[], dict[str, tuple[str, str]]]
) -> None:
    good = dict(zip(HEADER, GOOD[0], strict=True))
    rows = [
        json.dumps(good),
        "{",
        "[1]",
        json.dumps({**good, "image": {"bytes": "x"}}),
        json.dumps({**good, "caption": "half a pair \ud800"}),
        json.dumps({name: cell for name, cell in good.items() if name != "licence"}),
        "[" * 100_000,
    ]
    (folder / "own.jsonl").write_text("\n".join(rows))
    code, said = build("own.jsonl")
    assert code == 0, said
    assert {place: reason for place, (reason, _) in drops().items()} == {
        f"own.jsonl:{line}": "row not understood" for line in range(2, 8)
    }


def test_the_pages_of_a_tiff_can_be_asked_for(folder: Path, build: Callable[[str], tuple[int, str]]) -> None:
    pages = [Image.fromarray((noise(seed) // 16).astype(np.uint8)) for seed in (7, 8, 9)]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    rows = [
        ("pages.tif", f"CT of the chest, page {frame}.", "g", "CC BY", str(frame)) for frame in (1, 2, 3, 4)
    ]
    write(folder / "own.csv", [*rows, (*GOOD[0], "")], (*HEADER, "frame"))
    code, said = build("own.csv")
    assert code == 0, said
    assert len(table(folder.parent / "dataset", "train_captions.csv")) == 3
    assert "file damaged or not decodable" in said
