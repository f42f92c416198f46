"""`score --page`: the page of one run for whoever has the truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode

Call = Callable[..., Any]


def test_a_page_needs_nothing_else_and_the_answer_is_printed_too(
    call: Call, runs: Path, sample: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    answer = call("score", runs / "nearest-picture/run.csv", "--truth", sample, "--page", page)
    text = page.read_text(encoding="utf-8")
    assert (answer.code, "concept_f1" in answer.out) == (ExitCode.OK, True)
    assert text.count('src="data:image/jpeg;base64,') == 12
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_a_page_has_every_breakdown_or_the_one_asked_for(call: Call, concept_run: Path) -> None:
    call("score", concept_run, "--page", "all.html")
    call("score", concept_run, "--page", "one.html", "--by", "modality")
    titles = [
        re.findall(r"<h2[^>]*>By ([^<]*)</h2>", Path(name).read_text(encoding="utf-8"))
        for name in ("all.html", "one.html")
    ]
    assert titles[0][:2] == ["modality", "body region"]
    assert titles[1] == ["modality"]


def test_a_page_of_captions_shows_what_both_sides_say(call: Call, caption_run: Path) -> None:
    call("score", caption_run, "--metric", "rouge", "--page", "page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    assert ("Candidate" in text, "Reference" in text) == (True, True)


def test_pictures_may_lie_elsewhere_and_need_not_be_there(call: Call, concept_run: Path) -> None:
    Path("none").mkdir()
    answer = call("score", concept_run, "--images", "none", "--page", "page.html")
    assert (answer.code, "<img" in Path("page.html").read_text(encoding="utf-8")) == (ExitCode.OK, False)


def test_a_rejected_run_has_findings_and_no_page(call: Call, short_run: Path) -> None:
    answer = call("score", short_run, "--page", "page.html")
    assert (answer.code, Path("page.html").exists()) == (ExitCode.INPUT_REJECTED, False)
    assert "R105" in answer.err


@pytest.mark.parametrize("page", ["/dev/full/x.html", "run.csv/x.html"])
def test_a_place_that_cannot_be_written_says_so(call: Call, concept_run: Path, page: str) -> None:
    Path("run.csv").write_text("x", encoding="utf-8")
    answer = call("score", concept_run, "--page", page)
    assert (answer.code, "cannot be written" in answer.err) == (ExitCode.USAGE, True)
