"""Nothing that one team writes stops the board: each field and file of a submission, one after the other."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.schemas import check_document, schema

Submit = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str, Path]]
FIELDS = (*schema("submission")["properties"], "unknown")
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1e308, "", " ", "\u0000", "\ud800", "\u202e\u2066", "\u3164", "a" * 70_000),
    *([], [[]], {}, {"a": {"b": [1]}}, "../../x", "<script>alert(1)</script>", "=cmd|' /C calc'!A0"),
    *("captions", "concepts", "imageclef-2017", "imageclef-2026", "train", "valid", "test"),
    *("baseline", "withdrawn", "out-of-competition", "disqualified", "ranked", "honest", "HONEST", "h0nest"),
    *("2026-02-30T00:00:00Z", "2000-01-01T00:00:00+23:59", "2099-12-31T23:59:59-23:59", "2026-05-01"),
    *("0001-01-01T00:00:00+23:59", "2026-05-01T25:00:00Z", "2026-W01-1T00:00Z", "honest@example.org"),
)  # fmt: skip
RUNS: dict[str, bytes] = {
    "nothing": b"",
    "header": b"ID,CUIs\n",
    "captions": b"ID,Caption\n" + b"".join(b"picture_%03d,A chest picture\n" % i for i in range(30)),
    "binary": bytes(range(256)) * 20,
    "null": b"\0" * 100,
    "quote": b'ID,CUIs\npicture_000,"C0040405\n',
    "long cell": b"ID,CUIs\npicture_000," + b"C1;" * 100_000,
    "long field": b'ID,CUIs\n"' + b"x" * 200_000 + b'",C1\n',
    "json": b'[{"ID": "picture_000", "CUIs": "C1"}]',
    "nested": b"[" * 50_000,
    "utf-16": "ID,CUIs\npicture_000,C1\n".encode("utf-16"),
    "empty answers": b"ID,CUIs\n" + b"".join(b"picture_%03d,\n" % i for i in range(30)),
    "not a zip": b"PK\x03\x04" + b"x" * 100,
}


def publish_beside_honest_teams(publish: Publish, *words: object) -> dict[str, Any]:
    """Publish the board, see that honest teams keep their ranks, and return its JSON."""
    code, _, err, site = publish(*words)
    assert (code, "Traceback" in err) == (ExitCode.OK, False), err
    document: dict[str, Any] = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
    assert check_document("leaderboard.json", document, "leaderboard") == []
    (board,) = [board for board in document["boards"] if board["task"] == "concepts"]
    teams = [item["team"] for item in board["standings"] if item["team"] in {"honest", "second"}]
    assert (teams, board["edition"], board["split"]) == (["honest", "second"], "rocov2", "test")
    return document


@pytest.fixture
def honest(submit: Submit, truth: Path) -> None:
    """Hand in what two honest teams have, on a truth of two splits and no captions."""
    (truth / "valid_concepts.csv").write_text("ID,CUIs\nother,C0040405\n", encoding="utf-8")
    (truth / "test_captions.csv").unlink()
    submit("honest", "run", right=30, split="test")
    submit("second", "run", right=29, split="test")


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize("values", [VALUES[1::7], pytest.param(VALUES, marks=pytest.mark.slow)], ids=len)
def test_no_value_of_a_field_stops_the_board(
    submit: Submit, publish: Publish, values: tuple[Any, ...]
) -> None:
    for field in FIELDS:
        for i, value in enumerate(values):
            folder = submit("evil", f"{field}-{i}".replace("_", "-"), right=3)
            path = folder / "submission.json"
            document = json.loads(path.read_text(encoding="utf-8")) | {field: value}
            path.write_text(json.dumps(document), encoding="utf-8")
    document = publish_beside_honest_teams(publish)
    outcomes = [*document["rejected"], *document["set_aside"]]
    outcomes += [item for board in document["boards"] for item in board["standings"]]
    assert len(outcomes) == len(FIELDS) * len(values) + 2


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize("option", ["--public", "--private"])
def test_no_run_stops_the_board(root: Path, submit: Submit, publish: Publish, option: str) -> None:
    for name, content in RUNS.items():
        for ending in ("csv", "zip"):
            for task in ("concepts", "captions"):
                run = f"{name} {ending} {task}".replace(" ", "-")
                submit("evil", run, content, file_name=f"run.{ending}", task=task)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("submission.json", "{}")
    (submit("evil", "zipped-metadata") / "submission.json").write_bytes(archive.getvalue())
    (root / "evil/empty").mkdir()
    shutil.copytree(root / "honest/run", root / "evil/copy")
    publish_beside_honest_teams(publish, option)


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize(
    "name",
    ["board.toml", "scores.sqlite3", "scores.sqlite3-journal", "leaderboard.json", "index.html", "runs"],
)
def test_no_name_of_a_team_takes_the_place_of_our_files(submit: Submit, publish: Publish, name: str) -> None:
    submit(name, "run", right=3)
    document = publish_beside_honest_teams(publish)
    assert [item["team"] for item in document["boards"][0]["standings"]] == ["honest", "second", name]


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize(
    "claim",
    [
        {"edition": "imageclef-2026"},
        {"split": "train"},
        {"split": "valid"},
        {"task": "captions", "edition": "imageclef-2018"},
        {"display_name": "second"},
        {"status": "withdrawn"},
        {},
    ],
)
def test_what_one_team_claims_with_many_runs_decides_nothing_for_others(
    submit: Submit, publish: Publish, claim: dict[str, str]
) -> None:
    for i in range(5):
        submit("aaa", f"run-{i}", right=3, **claim)
    document = publish_beside_honest_teams(publish)
    shown = {item["display_name"] for item in document["boards"][0]["standings"]}
    assert {"honest", "second"} <= shown


@pytest.mark.parametrize(
    "claim", [{"edition": "imageclef-2026"}, {"task": "captions"}, {"split": "valid"}, {"edition": "none"}]
)
def test_a_board_without_any_run_that_counts_is_a_site_all_the_same(
    submit: Submit, publish: Publish, truth: Path, claim: dict[str, str]
) -> None:
    (truth / "test_captions.csv").unlink()
    submit("evil", "run", **claim)
    code, out, err, site = publish("--edition", "rocov2")
    assert (code, "rejected: 1" in out, (site / "index.html").is_file()) == (ExitCode.OK, True, True), err
    assert publish()[0] == ExitCode.OK


def test_a_task_whose_models_are_missing_does_not_stop_the_other(submit: Submit, publish: Publish) -> None:
    submit("honest", "run")
    submit("evil", "run", RUNS["captions"], task="captions")
    code, out, err, site = publish()
    assert (code, "first honest/run" in out, "rejected: 1" in out) == (ExitCode.OK, True, True), err
    assert "captions are not ranked, and their runs are rejected: " in err
    assert "the organisers cannot score captions" in (site / "index.html").read_text(encoding="utf-8")
    assert publish("--task", "concepts", "--task", "captions")[0] == ExitCode.MISSING_RESOURCE
