"""The commands `rehydrate` and `doctor` against a local service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataset_builder.cli import run
from rocov2_eval.errors import ExitCode
from rocov2_eval.findings import RULES

from made_articles import png
from s3_server import BUCKET, Bucket, serving

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    held = Bucket()
    held.add_article("PMC5", 3, {"a.jpg": b"picture"}, xml_url=f"s3://{BUCKET}/PMC5.3/PMC5.3.xml")
    held.objects["PMC5.3/PMC5.3.xml"] = b"<article/>"
    with serving(held):
        yield held


@pytest.fixture
def call(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> Call:
    def invoke(*words: object) -> tuple[int, str, str]:
        service = ("--base-url", bucket.url, "--per-second", "50")
        code = run([str(word) for word in (*words, *service)])
        captured = capsys.readouterr()
        return int(code), captured.out, captured.err

    return invoke


def test_figures_of_a_list_are_fetched_and_counted(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,file\nPMC5,a.jpg\n6,b.jpg\n", encoding="utf-8")
    code, out, err = call("rehydrate", path, "--out", tmp_path / "out")
    assert (code, err) == (ExitCode.OK, "")
    assert out == f"fetched: 1\nno article: 1\n{tmp_path / 'out/rehydrated.csv'}\n"
    assert (tmp_path / "out/PMC5/a.jpg").read_bytes() == b"picture"


def test_a_panel_of_a_list_is_cut_out_of_its_figure(call: Call, bucket: Bucket, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    bucket.add_article("PMC6", 1, {"b.png": png(width=96, height=80)})
    path = tmp_path / "list.csv"
    names = ["b.png#xywh=16,0,64,40", "b.png#xywh=90,0,64,40"]
    path.write_text("\n".join(["pmcid,file", *(f'PMC6,"{name}"' for name in names)]), encoding="utf-8")

    for outcome in ("fetched: 1", "was here: 1"):
        _, out, _ = call("rehydrate", path, "--out", tmp_path / "out")
        assert outcome in out
        assert "failed: 1" in out
    with (
        image.open(tmp_path / f"out/PMC6/{names[0]}.png") as panel,
        image.open(tmp_path / "out/PMC6/b.png") as whole,
    ):
        assert panel.tobytes() == whole.crop((16, 0, 80, 40)).tobytes()


def test_a_service_that_changed_ends_the_command_with_what_it_said(
    call: Call, bucket: Bucket, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,file\nPMC5,a.jpg\n", encoding="utf-8")
    bucket.objects["metadata/PMC5.3.json"] = b"{}"
    code, out, err = call("rehydrate", path, "--out", tmp_path / "out")
    assert (code, out) == (ExitCode.MISSING_RESOURCE, "")
    assert err.startswith("Error: metadata/PMC5.3.json: ")


def test_a_list_without_the_column_is_rejected(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,graphic\nPMC5,a.jpg\n", encoding="utf-8")
    code, _, err = call("rehydrate", path, "--out", tmp_path / "out")
    assert (code, "expected a column file, found pmcid, graphic" in err) == (ExitCode.INPUT_REJECTED, True)


def test_a_refusal_fails_and_may_succeed_later(call: Call, bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,file\nPMC5,a.jpg\n", encoding="utf-8")
    bucket.faults["PMC5.3/a.jpg"] = [403]
    code, out, _ = call("rehydrate", path, "--out", tmp_path / "out")
    assert (code, out.splitlines()[0]) == (ExitCode.MISSING_RESOURCE, "failed: 1")
    assert call("rehydrate", path, "--out", tmp_path / "out")[1].startswith("fetched: 1\n")


def test_a_folder_below_a_file_is_a_usage_error(call: Call, bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,file\nPMC5,a.jpg\n", encoding="utf-8")
    code, _, err = call("rehydrate", path, "--out", path / "out")
    assert (code, err) == (ExitCode.USAGE, f"Error: {path / 'out'} cannot be written: Not a directory\n")
    assert bucket.requests == []


def test_a_broken_list_is_told_how_to_be_mended(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,file\nfigure 1,a.jpg\n", encoding="utf-8")
    code, _, err = call("rehydrate", path, "--out", tmp_path / "out")
    assert (code, err.splitlines()[:2]) == (
        ExitCode.INPUT_REJECTED,
        [
            f"{path}:2: R113 'figure 1' is no PMCID, expected PMC and digits",
            f"    fix: {RULES['R113'].fix}",
        ],
    )


def test_doctor_says_whether_the_service_is_as_expected(call: Call, bucket: Bucket) -> None:
    assert call("doctor", "--article", "PMC5")[0] == ExitCode.OK
    annotation = call("doctor", "--article", "PMC5", "--format", "github")[1]
    assert annotation.startswith("::notice title=0 of 4 checks failed::")
    del bucket.objects["PMC5.3/a.jpg"]
    code, out, _ = call("doctor", "--article", "PMC5")
    assert (code, "FAIL  picture" in out) == (ExitCode.INPUT_REJECTED, True)


def test_an_article_that_is_none_is_a_usage_error(call: Call) -> None:
    assert call("doctor", "--article", "figure 1")[0] == ExitCode.USAGE
