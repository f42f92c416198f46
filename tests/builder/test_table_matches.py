"""Tables that go with a build or do not, and what a dataset says of itself: through the real commands."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dataset_builder.cli import run

from made_articles import article, png

TABLES = """
[source]
kind = "folder"
path = "articles"
[images]
min_side = 8
[duplicates]
distance = 0
[split]
shares = { train = "rest", test = 2 }
[package]
parquet = false
"""
OFF = {"compound": 'method = "off"\n', "radiology": 'filter = "off"\n'}
LICENCE = '<permissions><license xlink:href="https://creativecommons.org/licenses/by/4.0/"/></permissions>'
Build = Callable[..., tuple[int, str]]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Build:
    """Return a function that builds from six articles and returns exit code and messages."""
    monkeypatch.chdir(tmp_path)
    for number in range(1, 7):
        folder = Path(f"articles/PMC{number}")
        folder.mkdir(parents=True)
        caption = f"CT of patient number {number} with a fracture of the left arm."
        (folder / "main.xml").write_bytes(article(caption=caption, meta=LICENCE))
        (folder / "a.png").write_bytes(png(seed=number))

    def make(*words: str, **tables: str) -> tuple[int, str]:
        more = "".join(f"[{name}]\n{text}\n" for name, text in {**OFF, **tables}.items() if name != "held")
        Path("build.toml").write_text(f"{TABLES}{tables.get('held', '')}\n{more}")
        code = run(["run", "build.toml", "--workers", "1", *words])
        streams = capsys.readouterr()
        return code, streams.out + streams.err

    return make


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def settle(source: str) -> None:
    """Hand the images of a source out to a rater who takes each for a CT, and settle the answers."""
    assert run(["curate", "export", source, "--for", "csv", "--out", "tasks", "--facet", "modality"]) == 0
    tasks = rows("tasks/tasks.csv")
    with Path("filled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(tasks[0]))
        writer.writeheader()
        writer.writerows({**row, "CUI": "CT"} for row in tasks)
    assert run(["curate", "import", "--rater", "anna", "filled.csv", "--out", "answers.csv"]) == 0
    assert run(["curate", "adjudicate", "answers.csv", "--out", "manual.csv"]) == 0


@pytest.mark.parametrize("held", ["", 'held_out = ""'])
def test_answers_about_a_dataset_go_into_its_second_build(held: str, build: Build) -> None:
    code, said = build(held=held)
    assert code == 0, said
    settle("dataset")
    code, said = build(held=held, concepts='manual = "manual.csv"')
    assert code == 0, said
    assert "[concepts] manual = manual.csv: figures found for 6 of 6 rows" in said
    assert {row["CUIs"] for row in rows("dataset/train_concepts_manual.csv")} == {"C0040405"}


def test_answers_by_image_id_are_explained_by_the_assignments(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = build(held='held_out = ""')
    assert code == 0, said
    (tmp_path / "dataset/assignments.csv").rename(tmp_path / "assignments.csv")
    settle("dataset")
    assert "a build reads with [concepts] assignments" in capsys.readouterr().err
    code, said = build(concepts='manual = "manual.csv"')
    assert code == 1
    assert "name its assignments.csv with assignments" in said
    code, said = build(concepts='manual = "manual.csv"\nassignments = "assignments.csv"')
    assert code == 0, said
    assert "figures found for 6 of 6 rows" in said


CONCEPTS = "PMCID,file,concepts,concepts_manual\n{},{},C0000001,\n"


@pytest.mark.parametrize(
    ("table", "option", "text"),
    [
        ("compound", "overrides", "PMCID,file,decision\n{},{},drop\n"),
        ("radiology", "overrides", "PMCID,file,decision\n{},{},drop\n"),
        ("concepts", "manual", "image,facet,CUI\n{}/{},modality,CT\n"),
        ("concepts", "table", CONCEPTS),
        ("build", "earlier", "PMCID,file,split,ID,linked\n{},{},train,x_train_000001,\n"),
    ],
)
def test_a_table_that_matches_nothing_stops_the_build_and_one_that_does_is_counted(
    table: str, option: str, text: str, build: Build
) -> None:
    Path("names.csv").write_text("CUI,Canonical name\nC0000001,Fracture\n")
    names = 'names = "names.csv"\nwithout = "keep"' if option == "table" else ""
    wanted = f'{OFF.get(table, "")}{option} = "table.csv"\n{names}'
    Path("table.csv").write_text(text.format("PMC1234", "b.png"))
    code, said = build(**{table: wanted})
    assert code == 1
    assert f"[{table}] {option} = table.csv: no figure found for its 1 row" in said
    assert "PMC1234/b.png" in said
    assert "PMC1/a.png" in said
    head, row = text.splitlines()
    strangers = "".join(
        f"{row.format(f'PMC{n}', 'b.png')}\n".replace("000001", f"{n:06}") for n in range(80, 92)
    )
    Path("table.csv").write_text(f"{head}\n{row.format('PMC1', 'a')}\n{strangers}")
    code, said = build(**{table: wanted})
    assert code == 0, said
    assert f"[{table}] {option} = table.csv: figures found for 1 of 13 rows; none for PMC80/b.png" in said
    assert "PMC89/b.png and 2 more" in said


def test_a_table_of_agreement_about_no_facet_stops_the_build(build: Build) -> None:
    Path("agreement.csv").write_text("facet,kappa\nmodalty,0.9\n")
    code, said = build(gates='agreement = "agreement.csv"')
    assert code == 1
    assert "no known facet, found modalty" in said


def test_names_of_other_concepts_stop_the_build(build: Build) -> None:
    Path("names.csv").write_text("CUI,Canonical name\nC0000001,Fracture\n")
    code, said = build(concepts='names = "names.csv"')
    assert code == 1
    assert "names.csv: no concept of the dataset in its 1 row" in said


def described() -> tuple[str, str, str, dict[str, object]]:
    """Return card, report, Croissant and the front matter of the card."""
    card, report, croissant = (
        Path("dataset", name).read_text(encoding="utf-8")
        for name in ("README.md", "report.html", "croissant.json")
    )
    return card, report, croissant, yaml.safe_load(card.split("---\n")[1])


def test_a_dataset_without_filters_claims_no_radiology_image_and_no_filter(build: Build) -> None:
    code, said = build(captions="min_english = 0.0")
    assert code == 0, said
    card, report, croissant, matter = described()
    assert "6 figures from articles of PubMed Central with their captions" in card
    assert "radiology" not in json.loads(croissant)["keywords"]
    assert "radiology" not in matter["tags"]  # type: ignore[operator]
    for text in (card, report, croissant):
        assert "No filter for radiology images was used" in text
        assert "No filter for compound figures was used" in text
        assert not re.search(r"\bfilters? make|detected by|classified|radiology (figures|images) from", text)
        assert "probability of English" not in text
        assert "MedCAT" not in text
    assert "Automatic concepts make errors" in card
    assert "`ID,CUIs`: empty, because modality, body region" in card


def test_a_filter_that_ran_is_named_with_what_it_dropped(build: Build) -> None:
    code, said = build(radiology="threshold = 0.0", compound='method = "priors"')
    assert code == 0, said
    card, report, croissant, matter = described()
    assert "6 figures from articles of PubMed Central, classified as radiology images by a model" in card
    assert "radiology" in matter["tags"]  # type: ignore[operator]
    for text in (card, report, croissant):
        assert "Radiology images detected by the built-in model. Dropped: 0 of 6" in text
        assert "Compound figures detected by captions and layout. Dropped: 0 of 6" in text


def test_images_of_which_nobody_said_the_modality_are_not_annotated(build: Build) -> None:
    assert build()[0] == 0
    report = Path("dataset/report.html").read_text(encoding="utf-8")
    assert ">not annotated<" in report
    assert "combined or none" not in report
    Path("manual.csv").write_text("image,facet,CUI\nPMC1/a.png,modality,combined\nPMC2/a.png,modality,CT\n")
    assert build(held='held_out = ""', concepts='manual = "manual.csv"')[0] == 0
    report = Path("dataset/report.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in report for name in ("CT", "combined or none", "not annotated"))


def test_content_that_changed_under_the_same_size_and_time_is_seen_when_asked(build: Build) -> None:
    assert build("--rehash")[0] == 0
    text = Path("articles/PMC1/main.xml")
    before, after = text.read_bytes(), text.read_bytes().replace(b"left arm", b"right leg"[:8])
    assert len(before) == len(after)
    times = text.stat()
    text.write_bytes(after)
    os.utime(text, ns=(times.st_atime_ns, times.st_mtime_ns))

    def captions() -> set[str]:
        return {row["Caption"] for row in rows("dataset/train_captions.csv")}

    assert build(held='held_out = ""')[0] == 0
    assert not any("right le" in caption for caption in captions())
    assert build("--rehash", held='held_out = ""')[0] == 0
    everything = captions() | {row["Caption"] for row in rows("dataset/test_captions.csv")}
    assert sum("right le" in caption for caption in everything) == 1


def test_equal_builds_from_different_paths_have_equal_manifests(build: Build, tmp_path: Path) -> None:
    Path("work").mkdir()
    Path("work/salt").write_bytes(bytes(32))
    assert build()[0] == 0
    other = tmp_path / "elsewhere/deep"
    shutil.copytree("articles", tmp_path / "elsewhere/texts")
    (other / "work").mkdir(parents=True)
    (other / "work/salt").write_bytes(bytes(32))
    text = Path("build.toml").read_text().replace('"articles"', '"../texts"')
    (other / "build.toml").write_text(text)
    assert run(["run", str(other / "build.toml"), "--quiet", "--workers", "1"]) == 0
    assert Path("dataset/manifest.json").read_bytes() == (other / "dataset/manifest.json").read_bytes()
