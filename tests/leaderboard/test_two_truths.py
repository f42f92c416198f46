"""A board by a public and by a hidden truth at once, and the change of ranks between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.errors import ExitCode
from rocov2_eval.schemas import check_document

Submit = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str, Path]]
PUBLIC, HIDDEN = range(30), range(30, 70)


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """Return a folder with the truth of further images."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    rows = "".join(f"picture_{i:03},{cell(i)}\n" for i in HIDDEN)
    (folder / "test_concepts.csv").write_text(f"ID,CUIs\n{rows}", encoding="utf-8")
    return folder


@pytest.fixture
def hand_in(submit: Submit) -> Callable[..., Path]:
    """Return a function that hands in a run of all images, right for some of each truth."""

    def hand(team: str, run: str, public: int, hidden: int, **metadata: Any) -> Path:
        right = {*PUBLIC[:public], *HIDDEN[:hidden]}
        rows = [f"picture_{i:03},{cell(i) if i in right else 'C0999999'}\n" for i in (*PUBLIC, *HIDDEN)]
        return submit(team, run, "ID,CUIs\n" + "".join(rows), **metadata)

    return hand


def cell(i: int) -> str:
    return f"{('C0040405', 'C1306645', 'C0032743')[i % 3]};C00000{i:02}"


def published(publish: Publish, *words: object) -> dict[str, Any]:
    code, out, err, site = publish(*words)
    assert code == ExitCode.OK, err
    document: dict[str, Any] = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
    assert check_document("leaderboard.json", document, "leaderboard") == []
    return document | {"out": out, "err": err, "site": site}


def test_the_ranks_by_both_truths_and_their_change_are_told(
    publish: Publish, hand_in: Callable[..., Path], hidden: Path
) -> None:
    hand_in("alpha", "one", 30, 10)
    hand_in("alpha", "two", 5, 38)
    hand_in("beta", "one", 20, 20)
    hand_in("gamma", "one", 10, 30)
    hand_in("delta", "base", 25, 40, status="out-of-competition")
    document = published(publish, "--hidden-truth", hidden, "--private")
    assert [(board["truth"], board["images"]) for board in document["boards"]] == [
        ("public", 30),
        ("hidden", 40),
    ]
    (changes,) = document["rank_changes"]
    assert {item["team"]: (item["public_rank"], item["hidden_rank"]) for item in changes["teams"]} == {
        "alpha": (1, 1),
        "gamma": (3, 2),
        "beta": (2, 3),
    }
    assert {f"{item['team']}/{item['run']}": item["change"] for item in changes["runs"]} == {
        "alpha/two": 3,
        "gamma/one": 1,
        "beta/one": -1,
        "alpha/one": -3,
    }
    scores = [
        {
            f"{item['team']}/{item['run']}": item["metrics"]["concept_f1"]["mean"]
            for item in board["standings"]
        }
        for board in document["boards"]
    ]
    assert (scores[0]["beta/one"], scores[1]["beta/one"]) == (20 / 30, 20 / 40)
    site = document["site"]
    assert (site / "hidden/alpha/one.html").is_file()
    assert 'href="hidden/alpha/one.html"' in (site / "index.html").read_text(encoding="utf-8")
    assert "| `gamma` | 3 | 2 | +1 |" in (site / "leaderboard.md").read_text(encoding="utf-8")
    again = published(publish, "--hidden-truth", hidden, "--private")
    assert "scored 0, already scored 10" in again["out"]


def test_a_public_board_tells_no_more_of_the_hidden_truth_than_rounded_means(
    publish: Publish, hand_in: Callable[..., Path], hidden: Path
) -> None:
    hand_in("alpha", "one", 30, 11)
    hand_in("beta", "one", 20, 21)
    (hidden_free,) = published(publish, "--hidden-truth", hidden)["boards"]
    assert (hidden_free["truth"], len(hidden_free["standings"])) == ("public", 2)
    document = published(publish, "--hidden-truth", hidden, "--show-hidden")
    text = "".join(path.read_text(encoding="utf-8") for path in document["site"].rglob("*") if path.is_file())
    for image in HIDDEN:
        assert cell(image).partition(";")[2] not in text
    for secret in ("p_holm", "rank_shares", "Worst images", str(11 / 40)):
        assert secret not in text
    means = [item["metrics"]["concept_f1"]["mean"] for item in document["boards"][1]["standings"]]
    assert means == [0.5, 0.3]
    assert publish("--show-hidden")[0] == ExitCode.USAGE


def test_of_two_splits_each_run_is_judged_by_its_own(publish: Publish, submit: Submit, truth: Path) -> None:
    rows = "".join(f"picture_{i:03},{cell(i)}\n" for i in HIDDEN)
    (truth / "valid_concepts.csv").write_text(f"ID,CUIs\n{rows}", encoding="utf-8")
    submit("alpha", "on-valid", f"ID,CUIs\n{rows}", split="valid")
    submit("alpha", "on-test", right=10, split="test")
    submit("beta", "on-test", right=20)
    submit("beta", "on-valid", "ID,CUIs\n" + rows.replace("C0040405", "C0000000"))
    submit("evil", "on-train", right=3, split="train")
    submit("evil", "no-images", "ID,CUIs\nother,C1\n")
    document = published(publish, "--split", "valid", "--hidden-split", "test", "--show-hidden")
    ranks = [
        {f"{item['team']}/{item['run']}": item["rank"] for item in board["standings"]}
        for board in document["boards"]
    ]
    assert ranks == [{"alpha/on-valid": 1, "beta/on-valid": 2}, {"beta/on-test": 1, "alpha/on-test": 2}]
    assert {item["run"]: item["findings"][0]["code"] for item in document["rejected"]} == {
        "on-train": "R605",
        "no-images": "R104",
    }
    (changes,) = document["rank_changes"]
    assert {item["team"]: item["change"] for item in changes["teams"]} == {"alpha": -1, "beta": 1}


def test_a_run_that_lacks_an_image_of_one_truth_keeps_its_rank_by_the_other(
    publish: Publish, hand_in: Callable[..., Path], hidden: Path
) -> None:
    path = hand_in("alpha", "one", 30, 10) / "run.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("picture_069,C0999999\n", ""), encoding="utf-8")
    hand_in("beta", "one", 20, 20)
    document = published(publish, "--hidden-truth", hidden, "--show-hidden")
    assert [len(board["standings"]) for board in document["boards"]] == [2, 1]
    assert [(item["team"], item["findings"][0]["code"]) for item in document["rejected"]] == [
        ("alpha", "R105")
    ]
