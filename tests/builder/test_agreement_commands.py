from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pytest

from dataset_builder.cli.agreement import agreement, agreement_size
from dataset_builder.kappa_table import read_kappas
from rocov2_eval.command import invoke
from rocov2_eval.editions import MODALITY_CUIS

CT, MRI = "C0040405", "C0024485"
HEADER = "image,facet,CUI,rater,time,tool"


def rocov2_build(command: click.Command, *arguments: object) -> int:
    return invoke(command, "rocov2-build", [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a CSV file, one text a row below its header."""

    def written(rows: Sequence[str], header: str = HEADER, name: str = "annotations.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return written


def rows_of(table: Sequence[Sequence[int]], facet: str = "modality") -> list[str]:
    """Return the rows of two raters whose table this is, of CT and MRI."""
    values = (CT, MRI)
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [
        f"image-{image},{facet},{values[code]},rater-{number},,"
        for image, pair in enumerate(cells)
        for number, code in enumerate(pair, 1)
    ]


HIGH, LOW = rows_of([[40, 5], [5, 50]]), rows_of([[20, 20], [25, 35]])


def test_agreement_is_told_and_low_kappa_alone_is_no_failure(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert rocov2_build(agreement, write(LOW)) == 0
    assert "Kappa does not reach 0.6: modality (0.082)" in capsys.readouterr().out


@pytest.mark.parametrize(("rows", "code"), [(HIGH, 0), (LOW, 1)])
def test_a_floor_decides_the_exit_code(write: Callable[..., Path], rows: list[str], code: int) -> None:
    assert rocov2_build(agreement, write(rows), "--floor", 0.6) == code


def test_the_lower_end_can_be_held_to_the_floor(write: Callable[..., Path]) -> None:
    path = write(rows_of([[40, 9], [6, 45]]))
    assert [rocov2_build(agreement, path, "--floor", 0.6, *more) for more in ([], ["--lower"])] == [0, 1]


def test_the_ending_of_the_output_tells_its_format(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(HIGH)
    kappas = []
    for ending in ("json", "csv"):
        assert rocov2_build(agreement, path, "--out", tmp_path / f"agreement.{ending}") == 0
        kappas.append(read_kappas(tmp_path / f"agreement.{ending}"))
    assert kappas[0] == kappas[1] == {"modality": pytest.approx(0.798, abs=5e-4)}


def test_a_format_that_is_named_outweighs_the_ending(write: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "agreement.txt"
    assert rocov2_build(agreement, write(HIGH), "--out", target, "--format", "json") == 0
    assert json.loads(target.read_text("utf-8"))["schema_version"] == 1


def test_raters_and_facets_can_be_chosen(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write([*HIGH, *rows_of([[9]], "a facet"), f"image-0,modality,{CT},rater-3,,"])
    options = ("--facet", "modality", "--rater", "rater-1", "--rater", "rater-2", "--format", "json")
    assert rocov2_build(agreement, path, *options) == 0
    facets = json.loads(capsys.readouterr().out)["facets"]
    assert {name: facet["coefficient"] for name, facet in facets.items()} == {"modality": "Cohen's kappa"}


def test_labels_may_stand_in_the_place_of_cuis_and_times_be_absent(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["1,modality,CT,a", f"1,modality,{CT},b", "2,modality,MRI,a", f"2,modality,{MRI},b"]
    assert rocov2_build(agreement, write(rows, "image,facet,CUI,rater"), "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["facets"]["modality"]["kappa"] == 1


def test_what_is_documented_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]
) -> None:
    rows = rows_of([[80, 10], [5, 5]], "direction")
    ap_pa = [row.replace(CT, "C1999039").replace(MRI, "C1996865") for row in rows]
    monkeypatch.chdir(write(ap_pa).parent)
    page = (Path(__file__).parents[2] / "docs/agreement.md").read_text(encoding="utf-8")
    shown = re.findall(r"```bash\nrocov2-build (agreement(?:-size)?) (.+)\n```\n\n```\n([^`]+)```", page)
    for name, arguments, output in shown:
        assert (
            rocov2_build({"agreement": agreement, "agreement-size": agreement_size}[name], *arguments.split())
            == 0
        )
        assert capsys.readouterr().out == output
    assert [name for name, _, _ in shown] == ["agreement", "agreement-size"]


def test_a_rater_who_is_not_there_is_a_usage_fault(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(HIGH)
    assert rocov2_build(agreement, path, "--rater", "rater-9") == 2
    assert f"{path}: no answer of rater-9, expected rater-1, rater-2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([], HEADER, ": no answer, expected one a row below the header"),
        ([], "image,facet", ":1: no column CUI, rater among image, facet"),
        (["a,modality,,rater-1,,"], HEADER, ":2: expected facet, CUI and rater, found an empty cell"),
        ([f",modality,{CT},rater-1,,"], HEADER, ":2: it does not tell the image"),
        (
            ["a,modality,CAT,rater-1,,"],
            HEADER,
            ":2: 'CAT' is no modality, expected a CUI of it or one",
        ),
        ([f"a,modality,{CT},rater-1,noon,"], HEADER, ":2: 'noon' is no time"),
        ([f"a,modality,{CT},rater-1"], HEADER, ":2: expected 6 cells as in the header"),
    ],
)
def test_a_broken_file_is_rejected_with_its_line(
    write: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    rows: list[str],
    header: str,
    message: str,
) -> None:
    path = write(rows, header)
    assert rocov2_build(agreement, path) == 1
    assert capsys.readouterr().err.startswith(f"Error: {path}{message}")


def test_a_file_that_is_no_text_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "annotations.csv"
    path.write_bytes(b"\xff\xfe\x00image")
    assert rocov2_build(agreement, path) == 1
    assert "is not UTF-8" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_a_usage_fault(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert rocov2_build(agreement, write(HIGH), "--out", tmp_path / "file" / "agreement.json") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_plan_is_made_from_shares(capsys: pytest.CaptureFixture[str]) -> None:
    shares = ("--share", "CT=40", "--share", "X=ray=27", "--share", "MRI=33")
    assert rocov2_build(agreement_size, *shares, "--images", 1000, "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {each["class"]: each["images"] for each in document["classes"]} == {
        "CT": 400,
        "X=ray": 270,
        "MRI": 330,
    }


def test_a_plan_draws_the_images_to_show(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strata = write(
        [f"image-{i},{'PET' if i < 5 else 'ab'[i % 2]}" for i in range(500)], "image,class", "strata.csv"
    )
    options = ("--strata", strata, "--images", 100, "--per-class", 20, "--draw", tmp_path / "study.csv")
    assert rocov2_build(agreement_size, *options) == 0
    with (tmp_path / "study.csv").open(encoding="utf-8", newline="") as file:
        drawn = [row["class"] for row in csv.DictReader(file)]
    assert {value: drawn.count(value) for value in set(drawn)} == {"a": 49, "b": 50, "PET": 5}
    assert "PET: there are only 5 images, fewer than the 20 asked for" in capsys.readouterr().out


def test_a_plan_says_where_there_are_fewer_images_than_asked_for(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    strata = write([f"image-{i},{'ab'[i % 2]}" for i in range(50)], "image,class", "strata.csv")
    assert rocov2_build(agreement_size, "--strata", strata, "--images", 1000) == 0
    assert "all classes: there are only 50 images, fewer than the 1,000 asked for" in capsys.readouterr().out


def test_a_thousand_real_images_are_drawn_over_all_modalities_and_their_raters_judged(
    shared: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (shared / "data/roco/concepts_manual.csv").open(encoding="utf-8", newline="") as file:
        found = {
            row["ID"]: set(row["CUIs"].split(";")) & MODALITY_CUIS.keys() for row in csv.DictReader(file)
        }
    rows = [f"{image},{min(cuis) if len(cuis) == 1 else 'combined'}" for image, cuis in found.items() if cuis]
    study, out = tmp_path / "study.csv", tmp_path / "agreement.json"
    strata = write(rows, "image,class", "strata.csv")
    options = ("--images", 1000, "--per-class", 200, "--draw", study)
    assert rocov2_build(agreement_size, "--strata", strata, *options) == 0
    assert "combined: there are only 29 images" in capsys.readouterr().out
    with study.open(encoding="utf-8", newline="") as file:
        drawn = [(row["image"], row["class"]) for row in csv.DictReader(file)]
    # Both raters name the class of the study, but for one answer in ten, which they guess as it is frequent.
    generator, values = random.Random(2), [value for _, value in drawn]
    answers = [
        f"{image},modality,{value if generator.random() < 0.9 else generator.choice(values)},{rater},,"
        for image, value in drawn
        for rater in ("rater-1", "rater-2")
    ]
    assert rocov2_build(agreement, write(answers), "--floor", 0.6, "--lower", "--out", out) == 0
    facet = json.loads(out.read_text("utf-8"))["facets"]["modality"]
    # Both know the answer to 0.9² of the images; what they guess agrees by chance, which kappa takes off.
    assert (facet["images"], facet["kappa"]) == (len(drawn), pytest.approx(0.81, abs=0.04))
    assert len(drawn) >= 1000
    assert len(facet["classes"]) == 6


def test_a_plan_as_markdown_has_a_row_a_class(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--share", "a|b=1", "--share", f"{CT}=1", "--kappa", 0.5, "--format", "markdown")
    assert rocov2_build(agreement_size, *options) == 0
    out = capsys.readouterr().out
    assert "| a\\|b | 0.5000 |" in out
    assert "| CT | 0.5000 |" in out
    assert "not planned for: kappa 0.5 is not expected above 0.6" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected either --share for each class or --strata"),
        (["--share", "CT"], "--share CT: expected CLASS=NUMBER"),
        (["--share", "CT=1", "--share", "CT=2"], "--share CT=2: expected CLASS=NUMBER, each class once"),
        (["--share", "CT=1", "--draw", "study.csv"], "--draw needs --strata"),
        (["--share", "CT=1"], "1 class, expected at least two"),
    ],
)
def test_a_plan_without_what_it_needs_is_a_usage_fault(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert rocov2_build(agreement_size, *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,CT", "a,MRI"], ":3: image a is also on line 2"),
        (["a,"], ":2: expected an image and its class, found an empty cell"),
    ],
)
def test_strata_that_contradict_themselves_are_rejected(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str], rows: list[str], message: str
) -> None:
    path = write(rows, "image,class")
    assert rocov2_build(agreement_size, "--strata", path) == 1
    assert f"{path}{message}" in capsys.readouterr().err
