"""A build whose concepts come from captions and from people."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_builder.cli import run

from concept_pack import make_pack
from made_articles import PICTURE_NAME, article, png
from s3_server import Bucket

CAPTIONS = {
    "PMC1": "Chest CT shows pleural effusion and a chest wall lesion.",
    "PMC2": "Plain radiograph of the chest without effusion of any kind.",
    "PMC3": "Ultrasound of the liver of an adult patient.",
    "PMC4": "An image of an adult patient with nothing to be named.",
}
CT, XRAY, US, CHEST, WALL, LIVER, EFFUSION = (
    *("C0040405", "C1306645", "C0041618", "C0817096", "C1527391", "C0023884", "C0032227"),
)
BUILD = """
[source]
kind = "folder"
path = "pmc"
[images]
min_side = 8
[radiology]
filter = "off"
[split]
shares = { train = "rest" }
[package]
held_out = ""
parquet = false
[concepts]
model = "pack.zip"
"""
MANUAL = (
    f"image,facet,CUI\nPMC1/a.png,modality,{CT}\nPMC2/a.png,modality,{XRAY}\nPMC2/a.png,direction,C1999039\n"
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pack"))


@pytest.fixture
def build(tmp_path: Path, pack: Path) -> Callable[..., int]:
    """Return a function that builds a dataset of four articles in `tmp_path`."""
    bucket = Bucket()
    for number, (pmcid, caption) in enumerate(CAPTIONS.items()):
        bucket.add_article(pmcid, 1, {PICTURE_NAME: png(seed=number)}, xml=article(caption=caption))
    bucket.write(tmp_path / "pmc")
    (tmp_path / "pack.zip").symlink_to(pack)
    (tmp_path / "manual.csv").write_text(MANUAL)

    def make(options: str = 'manual = "manual.csv"\nmin_images = 1\n', *words: str) -> int:
        (tmp_path / "build.toml").write_text(BUILD + options)
        return run(["run", str(tmp_path / "build.toml"), "--workers", "1", "--quiet", *words])

    return make


def concepts(folder: Path, table: str = "concepts") -> dict[str, list[str]]:
    """Return the concepts by article."""
    articles = {row["ID"]: row["PMCID"] for row in rows(folder / "dataset/license_information.csv")}
    found = rows(folder / f"dataset/train_{table}.csv")
    return {articles[row["ID"]]: row["CUIs"].split(";") if row["CUIs"] else [] for row in found}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_manual_concepts_stand_before_those_of_the_caption(build: Callable[..., int], tmp_path: Path) -> None:
    assert build() == 0
    assert concepts(tmp_path) == {
        "PMC1": [CT, CHEST, EFFUSION, WALL],
        "PMC2": [XRAY, "C1999039", CHEST, EFFUSION],
        "PMC3": [US, LIVER],
    }
    assert concepts(tmp_path, "concepts_manual") == {"PMC1": [CT], "PMC2": [XRAY, "C1999039"], "PMC3": []}


def test_names_come_from_the_model_pack_and_from_rocov2(build: Callable[..., int], tmp_path: Path) -> None:
    assert build() == 0
    names = {row["CUI"]: row["Canonical name"] for row in rows(tmp_path / "dataset/cui_mapping.csv")}
    assert (names[EFFUSION], names["C1999039"]) == ("Pleural effusion", "Anterior-Posterior")


@pytest.mark.slow
def test_concepts_of_few_images_go_and_manual_ones_stay(
    build: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build('manual = "manual.csv"\nmin_images = 2\n') == 0
    assert concepts(tmp_path) == {
        "PMC1": [CT, CHEST, EFFUSION],
        "PMC2": [XRAY, "C1999039", CHEST, EFFUSION],
    }
    capsys.readouterr()
    run(["drops", str(tmp_path / "build.toml"), "--format", "csv"])
    told = capsys.readouterr().out
    assert ("neither in the caption nor by hand" in told, "only rare concepts" in told) == (True, True)


def test_the_report_tells_what_was_not_kept(build: Callable[..., int], tmp_path: Path) -> None:
    assert build('min_images = 1\n[extraction]\ntypes = ["T023", "T060"]\n') == 0
    page = (tmp_path / "dataset/report.html").read_text(encoding="utf-8")
    assert "Semantic type left out" in page
    assert "Pleural effusion 2" in page


def test_mentions_of_a_finished_build_are_written(build: Callable[..., int], tmp_path: Path) -> None:
    assert build() == 0
    out = tmp_path / "mentions.csv"

    file, table = str(tmp_path / "build.toml"), str(tmp_path / "concepts.csv")
    assert run(["concepts", "extract", file, "--out", table, "--mentions", str(out)]) == 0
    (found,) = [row for row in rows(out) if row["cui"] == LIVER]
    assert (found["text"], found["start"], found["types"]) == ("liver", "18", "T023")
    assert run(["concepts", "extract", file, "--out", table, "--types", "all"]) == 2


def test_figures_of_a_build_that_are_radiology_images_are_handed_to_raters(
    build: Callable[..., int], tmp_path: Path
) -> None:
    assert build("min_images = 1\n", "--until", "radiology") == 0
    out = tmp_path / "tasks"

    assert run(["curate", "export", str(tmp_path / "build.toml"), "--for", "csv", "--out", str(out)]) == 0
    assert len(list((out / "images").iterdir())) == len(CAPTIONS)


@pytest.mark.parametrize(
    ("options", "code_and_message"),
    [
        ('table = "t.csv"\n', (2, "table and model: expected only one of them")),
        ("min_images = 0\n", (2, "min_images: 0")),
        ('manual = "absent.csv"\n', (3, "absent.csv")),
        ('names = "manual.csv"\n', (1, "no column Canonical name")),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_done(
    build: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: str,
    code_and_message: tuple[int, str],
) -> None:
    found = build(options), capsys.readouterr().err
    assert (found[0], code_and_message[1] in found[1]) == (code_and_message[0], True)
    assert not (tmp_path / "work/stages").exists()


def test_answers_about_a_finished_dataset_are_refused(
    build: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manual.csv").write_text(f"image,facet,CUI\nROCOv2_train_000001,modality,{CT}\n")

    assert build() == 1
    assert "expected PMCID/file" in capsys.readouterr().err
