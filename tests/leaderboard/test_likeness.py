"""Names that look alike, and runs that are the same, through the real command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.shelf.words import look

Submit = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str, Path]]


def ranked(site: Path) -> list[str]:
    boards = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    return sorted(f"{item['team']}/{item['run']}" for board in boards for item in board["standings"])


def rejected(site: Path) -> dict[str, str]:
    items = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))["rejected"]
    return {f"{item['team']}/{item['run']}": item["findings"][0]["code"] for item in items}


@pytest.mark.parametrize("content", [None, "ID,CUIs\nx,y\n", ""])
def test_what_is_not_valid_takes_no_name(root: Path, submit: Submit, publish: Publish, content: str) -> None:
    if content is None:
        (root / "ALICE/run1").mkdir(parents=True)
    else:
        submit("ALICE", "run1", content)
    submit("alice", "run1")
    code, _, _, site = publish()
    assert (code, ranked(site)) == (ExitCode.OK, ["alice/run1"])
    assert "R607" not in rejected(site).values()


@pytest.mark.parametrize(
    ("other", "name"),
    [("ALICE/run1", "ALICE/run1"), ("a1ice/run2", "a1ice/run2"), ("alice/RUN1", "alice/RUN1")],
)
def test_the_name_that_was_on_the_board_stays_and_both_are_named(
    submit: Submit, publish: Publish, other: str, name: str
) -> None:
    submit("alice", "run1")
    publish()
    submit(*other.split("/"), right=20)
    for _ in range(2):
        code, _, err, site = publish()
        assert (code, ranked(site), rejected(site)) == (ExitCode.OK, ["alice/run1"], {name: "R607"})
        assert f"{name}: R607" in err
        assert "was on the board before" in err


def test_of_two_new_names_neither_is_ranked_and_both_are_named(submit: Submit, publish: Publish) -> None:
    submit("Alice", "run1")
    submit("alice", "run1", right=20)
    submit("beta", "run1", right=10)
    _, _, err, site = publish()
    assert ranked(site) == ["beta/run1"]
    assert rejected(site) == {"Alice/run1": "R607", "alice/run1": "R607"}
    assert "'Alice' looks like 'alice', which came with it" in err


def test_where_both_names_were_on_the_board_both_stay_and_a_note_names_them(
    root: Path, submit: Submit, publish: Publish
) -> None:
    for name in ("run1", "runl"):
        submit("alice", name, right=20)
        publish()
        (root / "alice").rename(root / f".{name}")
    for name in ("run1", "runl"):
        submit("alice", name, right=20)
    submit("alice", "runI", right=20)
    _, _, err, site = publish()
    assert (ranked(site), rejected(site)) == (["alice/run1", "alice/runl"], {"alice/runI": "R607"})
    assert "run1 and runl look alike; all were on the board before" in err


def test_a_name_is_free_when_its_owner_has_gone(root: Path, submit: Submit, publish: Publish) -> None:
    submit("alice", "run1")
    publish()
    (root / "alice").rename(root / "ALICE")
    submit("ALICE", "run1")
    assert ranked(publish()[3]) == ["ALICE/run1"]


def test_runs_of_other_teams_may_have_the_same_name(submit: Submit, publish: Publish) -> None:
    submit("alpha", "run1")
    submit("beta", "RUN1", right=3)
    assert ranked(publish()[3]) == ["alpha/run1", "beta/RUN1"]


def test_the_same_run_of_two_teams_is_noted_for_the_organiser_alone(
    root: Path, submit: Submit, publish: Publish
) -> None:
    submit("alpha", "one", right=20)
    submit("alpha", "again", right=20)
    submit("beta", "two", right=20)
    lines = (root / "beta/two/run.csv").read_text(encoding="utf-8").splitlines()
    reordered = "\r\n".join([lines[0], *(line.lower() for line in reversed(lines[1:]))])
    submit("gamma", "three", reordered.replace("picture", "picture"))
    submit("delta", "four", right=19)
    _, _, err, site = publish()
    assert "alpha/again and alpha/one and beta/two and gamma/three hold the same run, answer by answer" in err
    assert "delta" not in err
    texts = [path.read_text(encoding="utf-8") for path in site.rglob("*") if path.is_file()]
    assert not any("hold the same run" in text for text in texts)
    for path in (root / "gamma/three").iterdir():
        path.unlink()
    assert "alpha/again and alpha/one and beta/two hold the same run, byte for byte" in publish()[2]


@pytest.mark.parametrize("truth_word", ["fibrosis", "mass"])
def test_whether_two_runs_are_called_the_same_does_not_depend_on_the_truth(
    submit: Submit, publish: Publish, truth: Path, truth_word: str
) -> None:
    path = truth / "test_captions.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("secret", truth_word), encoding="utf-8")
    ids = [line.partition(",")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    for team, word in (("alpha", "fibrosis"), ("beta", "\ufb01brosis"), ("gamma", "\ufb01brosis")):
        run = "ID,Caption\n" + "".join(f"{image_id},{word}\n" for image_id in ids)
        submit(team, "one", run, task="captions")
    code, _, err, _ = publish("--metric", "rouge", "--rank-by", "rouge1")
    assert code == ExitCode.OK
    assert "beta/one and gamma/one hold the same run" in err
    assert "alpha" not in err


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "ALICE"),
        ("alice", "\uff41lice"),
        ("alice", "\u0430l\u0456c\u0435"),
        ("nora", "n\u03bfra"),
        ("caf\u00e9", "cafe\u0301"),
        ("bill", "b1IL"),
        ("modern", "modem"),
        ("team-0", "TEAM-O"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_names_that_look_alike_have_one_look(one: str, other: str) -> None:
    assert look(one) == look(other)


def test_other_names_have_another_look() -> None:
    names = ["alice", "alicia", "run-1", "run-2", "run-11", "run_1", "run.1", "team-a", "team-b"]
    assert len(set(map(look, names))) == len(names)


def test_an_edited_score_is_scored_again_and_the_organiser_is_told(
    root: Path, submit: Submit, publish: Publish
) -> None:
    submit("alpha", "one", right=20)
    submit("beta", "two", right=10)
    before = (publish()[3] / "leaderboard.json").read_bytes()
    with closing(sqlite3.connect(root / "scores.sqlite3")) as connection, connection:
        changed = "UPDATE scores SET document = replace(document, '\"mean\": 0.3', '\"mean\": 0.9')"
        connection.execute(changed)
    code, out, err, site = publish()
    assert (code, (site / "leaderboard.json").read_bytes()) == (ExitCode.OK, before)
    assert "scored 1, already scored 1" in out
    assert "beta/two/run.csv: what the store had of it was damaged or edited, scored again" in err
    assert "damaged" not in publish()[2]
