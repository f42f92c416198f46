"""A board of many teams from a flat folder of uploads: one command each for import, board and tables."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.cli import invoke
from rocov2_eval.errors import ExitCode
from rocov2_eval.schemas import check_document

from made_uploads import HOSTILE, TEAMS, MadeBoard, made_board


@pytest.fixture(params=[15, pytest.param(40, marks=pytest.mark.slow)])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> MadeBoard:
    """Return the files of a board, few of them or all forty."""
    return made_board(tmp_path / "made", uploads=request.param)


@pytest.fixture
def site(made: MadeBoard, tmp_path: Path) -> Path:
    """Return the public site of the board, made by two commands."""
    submissions, site = tmp_path / "submissions", tmp_path / "site"
    submissions.mkdir()
    (submissions / "board.toml").write_bytes(made.rules.read_bytes())
    brought = ["leaderboard", "import", made.uploads, "--from", "flat"]
    done(*brought, "--out", submissions, "--mapping", made.mapping)
    publish(submissions, made, site, "--show-hidden")
    return site


def publish(submissions: Path, made: MadeBoard, site: Path, *words: str) -> None:
    truths = ["--truth", made.public, "--hidden-truth", made.hidden]
    done("leaderboard", submissions, *truths, "--out", site, *words)


def done(*words: object) -> None:
    assert invoke([str(word) for word in words]) == ExitCode.OK


def told(site: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
    assert check_document("leaderboard.json", document, "leaderboard") == []
    return document


def test_every_upload_has_its_place_and_every_team_its_name(made: MadeBoard, site: Path) -> None:
    document = told(site)
    public, hidden = document["boards"]
    assert (public["truth"], hidden["truth"], document["title"]) == ("public", "hidden", "A made board")
    with made.mapping.open(encoding="utf-8", newline="") as file:
        uploads = Counter(row["display_name"] for row in csv.DictReader(file))
    found = [*public["standings"], *document["rejected"], *document["set_aside"]]
    assert Counter(item["display_name"] for item in found) == uploads
    assert {item["display_name"] for item in found} == set(TEAMS)
    codes = {item["display_name"]: item["findings"][0]["code"] for item in document["rejected"]}
    assert codes == {HOSTILE: "R004", TEAMS[2]: "R608"}
    assert [item["status"] for item in document["set_aside"]] == ["withdrawn"]
    assert {item["rank"] for item in public["standings"] if item["status"] == "baseline"} == {None}
    assert document["rank_changes"][0]["teams"]
    assert len(public["history"]) > 1


def test_the_tables_for_a_paper_are_sound_latex(site: Path) -> None:
    text = (site / "leaderboard.tex").read_text(encoding="utf-8")
    assert text.startswith("% Compile with XeLaTeX or LuaLaTeX")
    tables = re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(tables) >= 6
    assert "% Best run of each team" in text
    assert "% All runs" in text
    for layout, body in tables:
        rows = [line for line in body.splitlines() if line.endswith("\\\\")]
        assert len(rows) > 1
        for row in rows:
            assert len(re.split(r"(?<!\\)&", row)) == len(layout), row
            bare = re.sub(r"\\[{}&%$#_\\]", "", row)
            assert bare.count("{") == bare.count("}"), row
            assert not set(bare) & set("&%$#_~^") - {"&"}, row
    for name in ("DS@BioMed", r"UMass\_BioNLP 100\%", "\u00c9quipe Imagerie \\& Texte", "\u5317\u4eac"):
        assert name in text


def test_no_name_comes_alive_in_any_file(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;Bold&lt;/b&gt; $Lab$ {x}" in page
    assert "<b>Bold" not in page
    rows = csv.reader(io.StringIO((site / "leaderboard.csv").read_text(encoding="utf-8"), newline=""))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    lines = (site / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    linked = [line for line in lines if "](http://" in line]
    assert linked
    assert all("`\u6771\u4eac [X](http://example.org)`" in line for line in linked)


@pytest.mark.slow
def test_organisers_see_letters_of_significance_in_their_tables(
    made: MadeBoard, site: Path, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    publish(tmp_path / "submissions", made, private, "--private")
    head = r"rank & team & run & status & concept\_f1 & 95 \% interval & concept\_precision & concept\_recall"
    assert rf"{head} & group \\" in (private / "leaderboard.tex").read_text(encoding="utf-8")
    assert rf"{head} \\" in (site / "leaderboard.tex").read_text(encoding="utf-8")
    assert (private / "hidden").is_dir()
