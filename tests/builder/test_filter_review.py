"""What a build says and shows of an image filter that goes by a model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from dataset_builder.cli import run

from made_articles import PICTURE_NAME, TABLES, article, png
from real_build import write_inputs
from s3_server import Bucket

NUMBERS = range(1, 6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a build of five articles, whose pictures are stripes and no radiology images."""
    bucket = Bucket()
    for number in NUMBERS:
        picture = png(width=90 + 7 * number, seed=number)
        bucket.add_article(f"PMC{number}", 1, {PICTURE_NAME: picture}, xml=article())
    bucket.write(tmp_path / "pmc")
    rows = [
        {"PMCID": f"PMC{number}", "file": PICTURE_NAME, "concepts": "C0024109", "concepts_manual": ""}
        for number in NUMBERS
    ]
    write_inputs(tmp_path, rows)
    write_build(tmp_path, 'filter = "model"\nthreshold = 0.0')
    return tmp_path


def write_build(folder: Path, radiology: str) -> None:
    text = f'[source]\nkind = "folder"\npath = "pmc"\n[compound]\nmethod = "off"\n{TABLES}'
    (folder / "build.toml").write_text(text.replace('filter = "off"', radiology))


def build(folder: Path, *options: str) -> int:
    return run(["run", str(folder / "build.toml"), "--workers", "1", "--until", "radiology", *options])


def lines_on_the_sheet(folder: Path) -> set[str]:
    text = (folder / "report/radiology.html").read_text(encoding="utf-8")
    return set(re.findall(r"<code>(PMC\d+,[^,]+,(?:keep|drop))</code>", text))


def test_a_build_says_that_a_built_in_model_ran_and_what_it_dropped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(folder) == 0
    assert "radiology: the built-in model dropped 0 of 5 figures (0 %)" in capsys.readouterr().err


def test_the_sheet_shows_both_sides_with_lines_for_the_overrides(folder: Path) -> None:
    build(folder)
    assert lines_on_the_sheet(folder) == {f"PMC{number},{PICTURE_NAME},drop" for number in NUMBERS}

    write_build(folder, 'filter = "model"\nthreshold = 1.0')
    build(folder)
    assert lines_on_the_sheet(folder) == {f"PMC{number},{PICTURE_NAME},keep" for number in NUMBERS}


def test_lines_of_the_sheet_work_as_overrides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_build(folder, 'filter = "model"\nthreshold = 1.0')
    build(folder)
    chosen = sorted(lines_on_the_sheet(folder))[:2]
    (folder / "radiology.csv").write_text("\n".join(["PMCID,file,decision", *chosen]))
    write_build(folder, 'filter = "model"\nthreshold = 1.0\noverrides = "radiology.csv"')
    capsys.readouterr()

    assert build(folder) == 0
    said = capsys.readouterr().err
    assert "radiology: the built-in model and the overrides dropped 3 of 5 figures (60.0 %)" in said
    settled = {line.rpartition(",")[0] for line in chosen}
    assert {line.rpartition(",")[0] for line in lines_on_the_sheet(folder)}.isdisjoint(settled)


def test_a_sheet_that_was_removed_is_written_again(folder: Path) -> None:
    build(folder)
    (folder / "report/radiology.html").unlink()
    build(folder)
    assert lines_on_the_sheet(folder)


def test_without_a_model_nothing_is_said_or_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_build(folder, 'filter = "off"')
    build(folder)
    assert "model dropped" not in capsys.readouterr().err
    assert not (folder / "report").exists()


def test_a_sheet_shows_nothing_that_is_settled_whether_or_not_its_suffix_was_written(folder: Path) -> None:
    stem = PICTURE_NAME.rpartition(".")[0]
    (folder / "radiology.csv").write_text(f"PMCID,file,decision\nPMC1,{stem},keep\nPMC2,{stem},drop\n")
    for threshold in ("0.0", "1.0"):
        write_build(folder, f'filter = "model"\nthreshold = {threshold}\noverrides = "radiology.csv"')
        build(folder)
        decision = "drop" if threshold == "0.0" else "keep"
        assert lines_on_the_sheet(folder) == {
            f"PMC{number},{PICTURE_NAME},{decision}" for number in (3, 4, 5)
        }
