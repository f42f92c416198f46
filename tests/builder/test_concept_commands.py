"""The commands `concepts model` and `concepts extract`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_builder.cli.concepts import concepts
from rocov2_eval.command import invoke

pytestmark = pytest.mark.slow

Run = Callable[..., int]


@pytest.fixture
def run() -> Run:
    return lambda *words: invoke(concepts, "concepts", [str(word) for word in words])


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    table = folder / "names.csv"
    table.write_text(
        "cui,name,name_status,type_ids\nC0032227,pleural effusion,P,T047\nC0008031,chest pain,P,T184\n",
        encoding="utf-8",
    )
    path = folder / "pack.zip"
    assert invoke(concepts, "concepts", ["model", str(table), "--out", str(path)]) == 0
    return path


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "captions.csv"
    path.write_text('ID,Caption\na,"Chest pain, no pleural effusions on CT."\nb,nothing\n', encoding="utf-8")
    return path


def test_concepts_are_written_and_the_filter_is_reported(
    run: Run, pack: Path, captions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "concepts.csv"
    assert run("extract", captions, "--model", pack, "--out", out) == 0
    assert out.read_text(encoding="utf-8") == "ID,CUIs\na,C0817096;C0032227;C0040405\nb,\n"
    answer = capsys.readouterr().out
    assert "2 captions, 1 (50.0%) with a concept" in answer
    assert "T184 Sign or Symptom  chest pain 1" in answer


def test_options_reach_the_extraction_and_the_files(
    run: Run, pack: Path, captions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, mentions = tmp_path / "concepts.csv", tmp_path / "mentions.csv"
    words = ("--types", "all", "--without", "C0040405", "--workers", 1, "-q")
    words += ("--mentions", mentions, "--format", "json")
    assert run("extract", captions, "--model", pack, "--out", out, *words) == 0
    assert out.read_text(encoding="utf-8") == "ID,CUIs\na,C0008031;C0032227\nb,\n"
    assert ",CT,C0040405,X-Ray Computed Tomography,T060,1.0000,blacklist" in mentions.read_text("utf-8")
    assert json.loads(capsys.readouterr().out)["removed"]["blacklist"] == 1


def test_a_model_leaves_concepts_of_other_types_out_and_lists_those_without_a_name(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "names.csv", tmp_path / "pack.zip"
    table.write_text(
        "cui,name,name_status,tui\nC0000003,belief,P,T078\nC0000002,retina,P,T023\nC0000001,retina,P,T023\n"
    )
    assert run("model", table, "--types", "ANAT", "--out", out) == 0
    assert (
        "1  concepts without a remaining name; rocov2.json in the pack lists them" in capsys.readouterr().out
    )
    with zipfile.ZipFile(out) as archive:
        told = json.loads(archive.read("rocov2.json"))
    assert told["nameless"] == ["C0000002"]
    assert told["concepts"] == 19  # C0000001, and the 18 that are curated by hand
    assert [source["name"] for source in told["sources"]] == ["names.csv"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("cui,name\nC0000001,liver\n", encoding="utf-8")
    Path("y.csv").write_text("cui,name\nliver,liver\n", encoding="utf-8")
    Path("c.csv").write_text("ID,Caption\na,liver\n", encoding="utf-8")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "fault",
    [
        (("model", "--out", "p.zip"), 2, "no names for a model pack: give a TABLE.csv or --umls DIR"),
        (("model", "x.csv", "--source", "MSH", "--out", "p.zip"), 2, "--source needs --umls"),
        (("model", "x.csv", "--out", "p"), 2, "ends in .zip"),
        (("model", "x.csv", "--types", "organs", "--out", "p.zip"), 2, "'organs' is neither"),
        (("model", "x.csv", "--types", "T999", "--out", "p.zip"), 2, "T999 is none of the 127"),
        (("model", "--umls", ".", "--out", "p.zip"), 3, "no MRCONSO.RRF"),
        (("model", "y.csv", "--out", "p.zip"), 1, "'LIVER' is no CUI"),
        (("model", "x.csv", "--out", "x.csv/p.zip"), 2, "cannot be written"),
        (("extract", "c.csv", "--out", "o.csv"), 2, "--model is missing"),
        (("extract", "c.csv", "--model", "x.csv", "--out", "o.csv"), 1, "neither a folder nor a zip"),
        (("extract", "c.csv", "--model", ".", "--out", "o.csv"), 1, "expected a model pack of MedCAT 2"),
    ],
)
def test_faults_end_with_a_message(
    run: Run, capsys: pytest.CaptureFixture[str], fault: tuple[tuple[str, ...], int, str]
) -> None:
    words, code, message = fault
    assert run(*words) == code
    assert message in capsys.readouterr().err
