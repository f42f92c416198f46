"""The command `report`: the page of one run for whoever has the truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode

Call = Callable[..., Any]


def test_report_writes_one_page_that_needs_nothing_else(
    call: Call, runs: Path, sample: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    answer = call("report", runs / "nearest-picture/run.csv", "--truth", sample, "--out", page)
    text = page.read_text(encoding="utf-8")
    assert (answer.code, answer.out) == (ExitCode.OK, f"{page}\n")
    assert text.count('src="data:image/jpeg;base64,') == 12
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_a_public_report_tells_nothing_of_single_images(call: Call, concept_run: Path) -> None:
    answer = call("report", concept_run, "--public", "--out", "report.html")
    text = Path("report.html").read_text(encoding="utf-8")
    assert (answer.code, "Worst images" in text, "data:image/jpeg" in text) == (ExitCode.OK, False, False)


def test_a_report_of_captions_shows_what_both_sides_say(call: Call, caption_run: Path, sample: Path) -> None:
    call("report", caption_run, "--metric", "rouge", "--out", "report.html")
    text = Path("report.html").read_text(encoding="utf-8")
    assert ("Candidate" in text, "Reference" in text) == (True, True)
    assert sample.exists()


def test_pictures_may_lie_elsewhere_and_need_not_be_there(call: Call, concept_run: Path) -> None:
    Path("none").mkdir()
    answer = call("report", concept_run, "--images", "none", "--out", "report.html")
    assert (answer.code, "<img" in Path("report.html").read_text(encoding="utf-8")) == (ExitCode.OK, False)


def test_a_rejected_run_has_findings_and_no_page(call: Call, short_run: Path) -> None:
    answer = call("report", short_run, "--out", "report.html")
    assert (answer.code, Path("report.html").exists()) == (ExitCode.INPUT_REJECTED, False)
    assert "R105" in answer.err


def test_a_title_of_markup_is_text(call: Call, concept_run: Path) -> None:
    call("report", concept_run, "--title", "<script>alert(1)</script>", "--out", "report.html")
    assert "<script>alert" not in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("out", ["/dev/full/x.html", "run.csv/x.html"])
def test_a_place_that_cannot_be_written_says_so(call: Call, concept_run: Path, out: str) -> None:
    Path("run.csv").write_text("x", encoding="utf-8")
    answer = call("report", concept_run, "--out", out)
    assert (answer.code, "cannot be written" in answer.err) == (ExitCode.USAGE, True)
