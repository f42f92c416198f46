from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dataset_builder.cli.agreement import agreement
from rocov2_eval.command import invoke
from rocov2_eval.editions import MODALITY_CUIS
from rocov2_eval.shelf.csv_files import read_rows

CT, MRI = "C0040405", "C0024485"
HEADER = "image,facet,CUI,rater,time,tool"


def run(*arguments: object) -> int:
    return invoke(agreement, "rocov2-build", [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a CSV file, one text a row below its header."""

    def written(rows: Sequence[str], header: str = HEADER) -> Path:
        path = tmp_path / "annotations.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return written


def rows_of(
    table: Sequence[Sequence[int]], facet: str = "modality", values: Sequence[str] = (CT, MRI)
) -> list[str]:
    """Return the rows of two raters whose table this is."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [
        f"image-{image},{facet},{values[code]},rater-{number},,"
        for image, pair in enumerate(cells)
        for number, code in enumerate(pair, 1)
    ]


HIGH, LOW = rows_of([[40, 5], [5, 50]]), rows_of([[20, 20], [25, 35]])


@pytest.mark.parametrize(
    ("rows", "words", "code"), [(HIGH, ("--floor", 0.6), 0), (LOW, ("--floor", 0.6), 4), (LOW, (), 0)]
)
def test_a_floor_decides_the_exit_code(
    write: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    rows: list[str],
    words: tuple[object, ...],
    code: int,
) -> None:
    assert run(write(rows), *words) == code
    assert ("kappa does not reach 0.6: modality (0.0816)" in capsys.readouterr().out) == (rows is LOW)


def test_raters_and_facets_can_be_chosen(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write([*HIGH, *rows_of([[9]], "a facet"), f"image-0,modality,{CT},rater-3,,"])
    options = ("--facet", "modality", "--rater", "rater-1", "--rater", "rater-2", "--format", "json")
    assert run(path, *options) == 0
    facets = json.loads(capsys.readouterr().out)["facets"]
    assert {name: facet["coefficient"] for name, facet in facets.items()} == {"modality": "Cohen's kappa"}


def test_labels_may_stand_in_the_place_of_cuis_and_times_be_absent(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["1,modality,CT,a", f"1,modality,{CT},b", "2,modality,MRI,a", f"2,modality,{MRI},b"]
    assert run(write(rows, "image,facet,CUI,rater"), "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["facets"]["modality"]["kappa"] == 1


def test_what_is_documented_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]
) -> None:
    monkeypatch.chdir(write(rows_of([[80, 10], [5, 5]], "direction", ("C1999039", "C1996865"))).parent)
    page = (Path(__file__).parents[2] / "docs/agreement.md").read_text(encoding="utf-8")
    shown = re.findall(r"```bash\nrocov2-build agreement (.+)\n```\n\n```\n([^`]+)```", page)
    for arguments, output in shown:
        assert run(*arguments.split()) == 0
        assert capsys.readouterr().out == output
    assert len(shown) == 2


def test_a_plan_of_real_images_tells_rare_modalities_worse(
    shared: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for _, row in read_rows(shared / "data/roco/concepts_manual.csv", ("ID", "CUIs")):
        cuis = set(row["CUIs"].split(";")) & MODALITY_CUIS.keys()
        if cuis:
            rows.append(f"{row['ID']},modality,{min(cuis) if len(cuis) == 1 else 'combined'}")
    assert run(write(rows, "image,facet,CUI"), "--plan", 1000, "--format", "json") == 0
    facet = json.loads(capsys.readouterr().out)["facets"]["modality"]
    width = {value: ends["high"] - ends["low"] for value, ends in facet["classes"].items()}
    assert facet["power"] > 0.99
    assert max(width, key=width.__getitem__) == min(facet["shares"], key=facet["shares"].__getitem__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rater", "rater-9"], "annotations.csv: no answer of rater-9, expected rater-1, rater-2"),
        (["--kappa", "0.7"], "--kappa needs --plan"),
        (["--plan", "9", "--floor", "-1"], "floor: -1, expected a number from 0 to below 1 for a plan"),
    ],
)
def test_options_that_do_not_go_together_are_usage_faults(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(write(HIGH), *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([], HEADER, ": no answer, expected one a row below the header"),
        ([], "image,facet", ":1: no column CUI, rater among image, facet"),
        (["a,modality,,rater-1,,"], HEADER, ":2: expected facet, CUI, rater, found an empty cell"),
        ([f",modality,{CT},rater-1,,"], HEADER, ":2: the file does not name the image"),
        (["a,modality,CAT,rater-1,,"], HEADER, ":2: 'CAT' is no modality, expected a CUI of it or one"),
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
    assert run(path) == 1
    assert capsys.readouterr().err.startswith(f"Error: {path}{message}")
