"""What teams say of their runs, what organisers decide in board.toml, and which of both counts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.schemas import check_document

Submit = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str, Path]]
MAY = "2026-05-0{}T12:00:00+02:00"


@pytest.fixture
def told(publish: Publish) -> Callable[..., dict[str, Any]]:
    """Return a function that publishes the board and returns its JSON and what the command said."""

    def run(*words: object) -> dict[str, Any]:
        code, out, err, site = publish(*words)
        assert code == ExitCode.OK, err
        text = (site / "leaderboard.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        assert check_document("leaderboard.json", document, "leaderboard") == []
        return document | {"out": out, "err": err, "site": site}

    return run


def placed(document: dict[str, Any], board: int = 0) -> dict[str, tuple[int | None, int | None]]:
    """Return rank and rank of the team of each run, in order."""
    return {
        f"{item['team']}/{item['run']}": (item["rank"], item["team_rank"])
        for item in document["boards"][board]["standings"]
    }


def rejected(document: dict[str, Any]) -> dict[str, list[str]]:
    return {
        f"{item['team']}/{item['run']}": [found["code"] for found in item["findings"]]
        for item in document["rejected"]
    }


@pytest.mark.parametrize("ranked", [0, 1])
@pytest.mark.parametrize("option", ["--public", "--private", "--truth-retired"])
def test_a_board_of_baselines_with_one_ranked_run_or_none_has_its_pages(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]], option: str, ranked: int
) -> None:
    submit("floor", "one", right=20)
    submit("floor", "two", right=10)
    if ranked:
        submit("alpha", "one", right=25)
    (root / "board.toml").write_text('[teams.floor]\nstatus = "baseline"\n', encoding="utf-8")
    document = told(option)
    assert sum(rank is not None for rank, _ in placed(document).values()) == ranked
    assert (document["site"] / "index.html").is_file()


@pytest.mark.parametrize("option", ["--public", "--private"])
def test_baselines_and_runs_out_of_competition_stand_in_place_without_a_rank(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]], option: str
) -> None:
    submit("alpha", "one", right=25)
    submit("floor", "one", right=20)
    submit("beta", "late", right=15, status="out-of-competition")
    submit("beta", "two", right=10)
    submit("alpha", "three", right=5)
    (root / "board.toml").write_text('[teams.floor]\nstatus = "baseline"\n', encoding="utf-8")
    document = told(option)
    assert placed(document) == {
        "alpha/one": (1, 1),
        "floor/one": (None, None),
        "beta/late": (None, None),
        "beta/two": (2, 2),
        "alpha/three": (3, None),
    }
    best = [item["run"] for item in document["boards"][0]["standings"] if item["best_of_team"]]
    assert best == ["one", "one", "two"]
    assert "concepts: 3 ranked by concept_f1, first alpha/one, 2 without a rank" in document["out"]
    rows = csv.DictReader(io.StringIO((document["site"] / "leaderboard.csv").read_text(encoding="utf-8")))
    assert [row["status"] for row in rows] == ["scored", "baseline", "out-of-competition", "scored", "scored"]


def test_withdrawn_and_disqualified_runs_have_a_list_of_their_own_and_no_scores(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("alpha", "one", right=10)
    submit("beta", "gone", status="withdrawn")
    submit("evil", "one")
    submit("evil", "broken", "no run")
    (root / "evil/unread").mkdir()
    rule = '[teams.evil]\nstatus = "disqualified"\nreason = "The answers are <b>those</b> of another team."\n'
    (root / "board.toml").write_text(rule, encoding="utf-8")
    document = told()
    assert (placed(document), rejected(document)) == ({"alpha/one": (1, 1)}, {})
    assert {f"{item['team']}/{item['run']}": item["status"] for item in document["set_aside"]} == {
        "beta/gone": "withdrawn",
        "evil/broken": "disqualified",
        "evil/one": "disqualified",
        "evil/unread": "disqualified",
    }
    page = (document["site"] / "index.html").read_text(encoding="utf-8")
    assert "The answers are &lt;b&gt;those&lt;/b&gt; of another team." in page


@pytest.mark.parametrize("status", ["baseline", "disqualified", "ranked", "first"])
def test_a_team_gives_itself_no_status_that_the_organisers_give(
    submit: Submit, told: Callable[..., dict[str, Any]], status: str
) -> None:
    submit("alpha", "one", right=10)
    submit("evil", "one", status=status)
    assert rejected(told()) == {"evil/one": ["R601"]}


@pytest.mark.parametrize(
    "case",
    [
        "withdrawn, nothing, nothing: withdrawn",
        "out-of-competition, disqualified, nothing: disqualified",
        "withdrawn, baseline, nothing: withdrawn",
        "withdrawn, baseline, ranked: ranked",
        "out-of-competition, ranked, nothing: ranked",
        "nothing, baseline, out-of-competition: out-of-competition",
        "withdrawn, disqualified, nothing: disqualified",
    ],
)
def test_the_organisers_overrule_a_team_but_for_a_run_that_it_withdraws(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]], case: str
) -> None:
    words, expected = case.split(": ")
    own, of_team, of_run = words.split(", ")
    submit("other", "one")
    submit("alpha", "one", **({} if own == "nothing" else {"status": own}))
    decided = {"[teams.alpha]": of_team, "[teams.alpha.runs.one]": of_run}
    rules = [
        f'{table}\nstatus = "{status}"\nreason = "a rule"'
        for table, status in decided.items()
        if status != "nothing"
    ]
    (root / "board.toml").write_text("\n".join(rules), encoding="utf-8")
    document = told()
    found = [*document["boards"][0]["standings"], *document["set_aside"]]
    assert [item["status"] for item in found if item["team"] == "alpha"] == [expected]


def test_a_run_after_the_deadline_is_rejected_and_so_is_one_of_unknown_time(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("alpha", "in-time", submitted_at="2026-05-07T21:59:59Z")
    submit("beta", "late", submitted_at="2026-05-08T00:00:01+02:00")
    submit("gamma", "timeless")
    submit("delta", "forgiven", submitted_at="2026-05-09T00:00:00Z")
    submit("floor", "one")
    rule = (
        'deadline = 2026-05-08T00:00:00+02:00\n[teams.floor]\nstatus = "baseline"\n'
        "[teams.delta.runs.forgiven]\nsubmitted_at = 2026-05-07T20:00:00Z\n"
    )
    (root / "board.toml").write_text(rule, encoding="utf-8")
    document = told()
    assert rejected(document) == {"beta/late": ["R608"], "gamma/timeless": ["R608"]}
    assert placed(document).keys() == {"alpha/in-time", "delta/forgiven", "floor/one"}
    assert document["deadline"] == "2026-05-07T22:00:00Z"


def test_the_first_runs_of_a_team_count_and_a_withdrawn_one_makes_no_room(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("alpha", "a", right=5, submitted_at=MAY.format(3))
    submit("alpha", "b", right=25, submitted_at=MAY.format(4))
    submit("alpha", "c", right=10, submitted_at=MAY.format(1), status="withdrawn")
    submit("alpha", "d", "ID,CUIs\nnothing,C1\n", submitted_at=MAY.format(2))
    submit("beta", "a", right=9)
    submit("beta", "b", right=8)
    submit("beta", "c", right=7)
    (root / "board.toml").write_text("most_runs = 2\n", encoding="utf-8")
    document = told()
    assert rejected(document) == {"alpha/b": ["R609"], "alpha/d": ["R104", "R105"], "beta/c": ["R609"]}
    assert placed(document).keys() == {"alpha/a", "beta/a", "beta/b"}


def test_a_team_is_shown_by_the_name_it_gives_itself_unless_others_could_be_meant(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("ds-biomed", "one", right=9, display_name="DS@BioMed")
    submit("evil", "one", right=8, display_name="ds@bi\u043emed")  # a Cyrillic letter
    submit("beijing", "one", right=7, display_name="\u5317\u4eac\u533b\u79d1 <script>")
    submit("gamma", "one", right=6, display_name="beta")
    submit("beta", "one", right=5)
    submit("delta", "one", right=4, display_name="old", submitted_at=MAY.format(1))
    submit("delta", "two", right=3, display_name="[new](http://evil.example.org)", submitted_at=MAY.format(2))
    document = told()
    shown = {item["team"]: item["display_name"] for item in document["boards"][0]["standings"]}
    assert shown == {
        "ds-biomed": "ds-biomed",
        "evil": "evil",
        "beijing": "\u5317\u4eac\u533b\u79d1 <script>",
        "gamma": "gamma",
        "beta": "beta",
        "delta": "[new](http://evil.example.org)",
    }
    assert "evil calls itself 'ds@bi\u043emed', which looks like a name of ds-biomed" in document["err"]
    text = (document["site"] / "leaderboard.md").read_text(encoding="utf-8")
    assert "`[new](http://evil.example.org)`" in text
    page = (document["site"] / "index.html").read_text(encoding="utf-8")
    assert "\u5317\u4eac\u533b\u79d1 &lt;script&gt;" in page
    (root / "board.toml").write_text('[teams.ds-biomed]\ndisplay_name = "DS@BioMed"\n', encoding="utf-8")
    shown = {item["team"]: item["display_name"] for item in told()["boards"][0]["standings"]}
    assert (shown["ds-biomed"], shown["evil"]) == ("DS@BioMed", "evil")


def test_options_of_a_board_may_stand_in_its_file(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("alpha", "one", edition="imageclef-2024")
    submit("beta", "one")
    submit("alpha", "two", "ID,Caption\n", task="captions", edition="imageclef-2024")
    rule = 'title = "Board of <2024>"\nedition = "2024"\ntasks = ["concepts"]\nmetrics = ["concept_f1"]\n'
    (root / "board.toml").write_text(rule, encoding="utf-8")
    document = told()
    assert (document["title"], rejected(document)) == ("Board of <2024>", {"beta/one": ["R606"]})
    assert [board["edition"] for board in document["boards"]] == ["imageclef-2024"]
    assert told("--edition", "rocov2", "--title", "mine")["title"] == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deadlin = 2026-05-07T00:00:00Z", "unknown key 'deadlin'; did you mean deadline?"),
        ("deadline = 2026-05-07T00:00:00", "deadline"),
        ("most_runs = 0", "most_runs: 0"),
        ('edition = "2019"', "board.toml edition: no edition '2019'"),
        (
            "deadline = 2026-05-08T23:59:00",
            "23:59:00, expected a time with its zone, such as 12:00:00Z",
        ),
        ('deadline = "tomorrow"', "deadline: 'tomorrow', expected a time with its zone, such as 12:00:00Z"),
        ('teams = "alpha"', "expected a table"),
        ('[teams.alpha]\nstatus = "banned"', "status"),
        ('[teams.alpha]\nstatus = "disqualified"', "status disqualified needs a reason"),
        ('[teams.alpha]\nnane = "A"', "[teams.alpha]: unknown key 'nane'"),
        ('[teams.alpha]\ndisplay_name = "\\u202e"', "expected printable text"),
        ('[teams.alpha.runs.one]\nstat = "baseline"', "[teams.alpha.runs.one]: unknown key 'stat'"),
        ("[teams.alpha.runs.one]\nsubmitted_at = 0001-01-01T00:00:00+23:00", "2000 to 2099"),
        ("[teams.alpha", "board.toml: "),
    ],
)
def test_a_fault_of_the_file_stops_the_organiser_with_a_message(
    root: Path, submit: Submit, publish: Publish, text: str, said: str
) -> None:
    submit("alpha", "one")
    (root / "board.toml").write_text(text, encoding="utf-8")
    code, _, err, _ = publish()
    assert (code, said in err, "Traceback" in err) == (ExitCode.USAGE, True, False), err


def test_a_team_that_the_file_names_and_nobody_has_is_noted(
    root: Path, submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("alpha", "one")
    rule = '[teams.alpa]\nstatus = "withdrawn"\n[teams.alpha.runs.on]\nstatus = "withdrawn"\n'
    (root / "board.toml").write_text(rule, encoding="utf-8")
    err = told()["err"]
    assert "names the team 'alpa', which has no folder; did you mean alpha?" in err
    assert "names the run 'alpha/on', which has no folder" in err


def test_the_history_follows_the_uploads_by_what_the_board_shows(
    submit: Submit, told: Callable[..., dict[str, Any]]
) -> None:
    submit("alpha", "one", right=10, submitted_at=MAY.format(1))
    submit("beta", "one", right=20, submitted_at=MAY.format(2))
    submit("beta", "worse", right=3, submitted_at=MAY.format(3))
    submit("alpha", "two", right=30, submitted_at="2026-05-03T23:00:00-12:00")
    submit("gamma", "timeless", right=29)
    events = told("--private")["boards"][0]["history"]
    assert [(item["team"], item["run"], item["submitted_at"]) for item in events] == [
        ("alpha", "one", "2026-05-01T10:00:00Z"),
        ("beta", "one", "2026-05-02T10:00:00Z"),
        ("alpha", "two", "2026-05-04T11:00:00Z"),
    ]
    assert [(item["team"], item["rank"]) for item in events[1]["teams"]] == [("beta", 1), ("alpha", 2)]
    best = {item["team"]: item["best"] for item in told()["boards"][0]["history"][-1]["teams"]}
    assert best == {"alpha": 1.0, "beta": 0.7}  # rounded, as the public board is


def test_a_file_that_leads_nowhere_is_not_passed_over(root: Path, submit: Submit, publish: Publish) -> None:
    submit("alpha", "one")
    (root / "board.toml").symlink_to("nowhere.toml")
    code, _, err, _ = publish()
    assert (code, "board.toml cannot be read" in err) == (ExitCode.USAGE, True)
