from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from members import replace_members

from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.leaderboard import board as board_module
from rocov2_eval.leaderboard.board import Leaderboard, edition_of
from rocov2_eval.leaderboard.store import ScoreStore
from rocov2_eval.leaderboard.submissions import find_submissions
from rocov2_eval.records import IntArray

import concept_pack

Submit = Callable[..., Path]
Make = Callable[..., Leaderboard]


def names(made: Leaderboard) -> list[tuple[int | None, str]]:
    return [(item.rank, item.entry.name) for item in made.boards[0].standings]


def rejected(made: Leaderboard) -> dict[str, list[str]]:
    return {f"{item.team}/{item.run}": [found.code for found in item.findings] for item in made.rejections}


def captions(text: str) -> str:
    return "ID,Caption\n" + "".join(f"picture_{i:03},{text}\n" for i in range(30))


def test_runs_are_ranked_by_the_primary_score(submit: Submit, board: Make) -> None:
    submit("alpha", "weak", right=5)
    submit("alpha", "strong", right=25)
    submit("beta", "middle", right=15)
    made = board()
    assert names(made) == [(1, "alpha/strong"), (2, "beta/middle"), (3, "alpha/weak")]
    assert [item.is_best_of_team for item in made.boards[0].standings] == [True, True, False]


def test_a_rejected_run_is_listed_and_neither_missing_nor_zero(submit: Submit, board: Make) -> None:
    submit("alpha", "good")
    submit("beta", "short", "ID,CUIs\npicture_000,C0040405\n")
    made = board()
    assert (names(made), rejected(made)) == ([(1, "alpha/good")], {"beta/short": ["R105"]})


def test_both_tasks_have_a_board_of_their_own(submit: Submit, board: Make) -> None:
    submit("alpha", "one")
    submit("alpha", "two", captions("the secret caption"), task="captions")
    made = board(rank_by="rouge1")
    assert [(item.task, item.primary) for item in made.boards] == [
        ("concepts", "concept_f1"),
        ("captions", "rouge1"),
    ]


def test_weights_that_come_later_score_every_run_anew_and_overall_ranks(
    submit: Submit, board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run, text in (("bad", "nothing"), ("good", "good")):
        submit("alpha", run, captions(text), task="captions", edition="imageclef-2026")
    options: dict[str, Any] = {"edition": "imageclef-2026", "metrics": ()}
    replace_members(monkeypatch, {"bleurt": "no weights"})
    before, again = board(**options), board(**options)
    replace_members(monkeypatch, {"bleurt": "no library"})
    other_reason = board(**options)
    replace_members(monkeypatch)
    after = board(**options)

    assert [item.scored for item in (before, again, other_reason, after)] == [2, 0, 2, 2]
    assert [item.boards[0].primary for item in (before, after)] == ["factuality", "overall"]
    assert before.boards[0].notes == (
        "ranked by factuality, not by overall as the edition does: it needs bleurt, not computed here",
    )
    (first, _) = other_reason.boards[0].standings
    assert first.entry.report.not_computed["BLEURT"] == "no library"
    assert names(after) == [(1, "alpha/good"), (2, "alpha/bad")]


@pytest.mark.parametrize("task", ["concepts", "captions"])
def test_a_mean_that_ranks_captions_does_not_stop_the_board_of_concepts(
    task: str, submit: Submit, board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_members(monkeypatch)
    edition = "imageclef-2026"
    submit("alpha", "one", edition=edition)
    submit("alpha", "two", captions("good"), task="captions", edition=edition)
    made = board(edition=edition, metrics=("concept_f1", "overall"), rank_by="overall")
    assert {item.task: item.primary for item in made.boards}[task] == {
        "concepts": "concept_f1",
        "captions": "overall",
    }[task]


def test_a_task_that_is_not_asked_for_is_left_out_with_a_note(submit: Submit, board: Make) -> None:
    submit("alpha", "one")
    submit("alpha", "two", captions("the secret caption"), task="captions")
    made = board(tasks=("concepts",))
    assert ([item.task for item in made.boards], made.rejections) == (["concepts"], ())
    assert "1 run for captions, which the board does not rank: alpha/two" in made.notes


def test_a_submission_for_another_edition_is_rejected(submit: Submit, board: Make) -> None:
    submit("alpha", "one")
    submit("beta", "old", edition="imageclef-2024")
    assert rejected(board()) == {"beta/old": ["R606"]}


def test_the_edition_is_the_one_that_most_teams_name_whatever_one_team_writes(
    root: Path, submit: Submit
) -> None:
    submit("alpha", "one", edition="imageclef-2024")
    submit("beta", "one", edition="imageclef-2024")
    for run in ("one", "two", "three"):
        submit("evil", run, edition="imageclef-2026")
    edition, note = edition_of(find_submissions(root)[0])
    assert edition.name == "imageclef-2024"
    assert "imageclef-2024 (2), imageclef-2026 (1)" in note
    assert edition_of([])[0].name == "rocov2"


def test_a_second_time_nothing_is_scored_and_the_board_is_the_same(submit: Submit, board: Make) -> None:
    submit("alpha", "one", right=10)
    submit("beta", "bad", "ID,CUIs\nx,y\n")
    first, second = board(), board()
    assert [(made.scored, made.known) for made in (first, second)] == [(2, 0), (0, 2)]
    assert (names(first), rejected(first)) == (names(second), rejected(second))


def test_a_changed_run_is_scored_again_and_a_moved_one_is_not(
    root: Path, submit: Submit, board: Make
) -> None:
    submit("alpha", "one", right=10)
    board()
    submit("alpha", "one", right=20)
    assert board().scored == 1
    (root / "alpha").rename(root / "old")
    submit("beta", "same", right=20)
    assert board().scored == 0


def test_a_changed_truth_scores_everything_again(submit: Submit, board: Make, truth: Path) -> None:
    submit("alpha", "one")
    board()
    path = truth / "test_concepts.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("C0000001", "C0000099"), encoding="utf-8")
    assert board().scored == 1


def test_other_metrics_are_other_scores(submit: Submit, board: Make) -> None:
    submit("alpha", "one")
    board()
    assert board(metrics=("concept_f1",)).scored == 1


def test_the_rare_modality_has_a_row_of_its_own(submit: Submit, board: Make) -> None:
    submit("alpha", "one")
    report = board().boards[0].standings[0].entry.report
    assert [group.name for group in report.breakdowns["modality"]] == ["CT", "X-ray", "PET"]


def test_a_truth_without_manual_concepts_has_no_modalities(submit: Submit, board: Make, truth: Path) -> None:
    (truth / "test_concepts_manual.csv").unlink()
    path = truth / "test_concepts.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(";C0000001", ""), encoding="utf-8")
    submit("alpha", "one")
    report = board(metrics=()).boards[0].standings[0].entry.report
    assert list(report.breakdowns) == ["concepts"]


def test_a_facet_that_puts_all_images_into_one_group_is_left_out(submit: Submit, board: Make) -> None:
    submit("alpha", "one")
    assert list(board().boards[0].standings[0].entry.report.breakdowns) == ["modality"]


def test_of_several_splits_the_submissions_name_one(submit: Submit, board: Make, truth: Path) -> None:
    (truth / "valid_concepts.csv").write_text("ID,CUIs\nother,C1\n", encoding="utf-8")
    submit("alpha", "one", split="test")
    assert board().boards[0].split == "test"
    submit("beta", "one")
    assert [len(board(split=split).boards[0].standings) for split in (None, "test")] == [2, 2]


def test_where_most_teams_name_no_split_one_team_does_not_choose_it(
    submit: Submit, board: Make, truth: Path
) -> None:
    (truth / "valid_concepts.csv").write_text("ID,CUIs\nother,C1\n", encoding="utf-8")
    submit("alpha", "one")
    submit("beta", "one")
    submit("evil", "one", split="valid")
    with pytest.raises(UsageFault, match="--split"):
        board()


def test_a_truth_that_is_not_there_says_so(submit: Submit, board: Make, truth: Path) -> None:
    for path in truth.iterdir():
        path.unlink()
    submit("alpha", "one")
    with pytest.raises(MissingResource, match=r"no concepts\.csv in"):
        board()


def test_a_task_that_the_truth_lacks_is_a_rejection_unless_it_was_asked_for(
    submit: Submit, board: Make, truth: Path
) -> None:
    (truth / "test_captions.csv").unlink()
    submit("alpha", "one")
    submit("evil", "one", captions("anything"), task="captions")
    made = board()
    assert (names(made), rejected(made)) == ([(1, "alpha/one")], {"evil/one": ["R610"]})
    with pytest.raises(MissingResource, match=r"no captions\.csv in"):
        board(tasks=("concepts", "captions"))


def test_many_runs_get_the_trials_that_they_need(submit: Submit, board: Make) -> None:
    for i in range(8):
        submit("alpha", f"run-{i}", right=2 * i)
    assert board().boards[0].options.trials == 2 * 28 * 20


def test_a_killed_run_keeps_what_it_had_scored(
    submit: Submit, board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        submit("alpha", f"run-{i}", right=5 * i)
    evaluate, calls = board_module.evaluate, []

    def dies(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(board_module, "evaluate", dies)
    with pytest.raises(KeyboardInterrupt):
        board()
    monkeypatch.setattr(board_module, "evaluate", evaluate)
    made = board()
    assert (made.scored, made.known) == (2, 2)


# ---- umls_f1


@pytest.mark.slow
def test_umls_f1_of_another_model_pack_is_another_score(
    submit: Submit, publish: Callable[..., Any], tmp_path: Path
) -> None:
    submit("alpha", "one", captions("CT of the chest"), task="captions")
    first = concept_pack.make_pack(tmp_path / "first")
    second = concept_pack.make_pack(tmp_path / "second", concept_pack.ROWS[:2])
    words = ("--task", "captions", "--metric", "umls_f1", "--rank-by", "umls_f1", "--concept-model")

    answers = [publish(*words, pack) for pack in (first, first, second)]

    assert [code for code, *_ in answers] == [0, 0, 0]
    told = [next(line for line in out.splitlines() if line.startswith("scored")) for _, out, *_ in answers]
    assert told == ["scored 1, already scored 0", "scored 0, already scored 1", "scored 1, already scored 0"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of pairs whose trials a board draws anew."""
    pairs: list[int] = []
    keep = ScoreStore.keep_pairs

    def counted(store: ScoreStore, names: Sequence[str], trials: IntArray, extremes: IntArray) -> None:
        pairs.append(int((trials > 0).sum()))
        keep(store, names, trials, extremes)

    monkeypatch.setattr(ScoreStore, "keep_pairs", counted)
    return pairs


def test_trials_of_known_pairs_are_not_drawn_again(submit: Submit, board: Make, drawn: list[int]) -> None:
    submit("alpha", "one", right=5)
    submit("alpha", "two", right=9)
    first = board().boards[0].tests
    again = board().boards[0].tests
    assert first
    assert again
    assert (drawn, again.p_value.tolist()) == ([1], first.p_value.tolist())
    submit("beta", "new", right=12)
    board()
    assert drawn == [1, 2]


def test_an_edited_pair_is_drawn_again(root: Path, submit: Submit, board: Make, drawn: list[int]) -> None:
    for i in range(3):
        submit("alpha", f"run-{i}", right=5 + 3 * i)
    first = board().boards[0].tests
    with closing(sqlite3.connect(root / "scores.sqlite3")) as connection, connection:
        edited = "UPDATE pairs SET extreme = 0 WHERE a = (SELECT min(a) FROM pairs)"
        n_edited = connection.execute(edited).rowcount
    again = board().boards[0].tests
    assert first
    assert again
    assert (drawn, again.p_value.tolist()) == ([3, n_edited], first.p_value.tolist())


def test_a_board_that_tells_nothing_of_pairs_draws_nothing(
    submit: Submit, board: Make, drawn: list[int]
) -> None:
    submit("alpha", "one", right=5)
    submit("beta", "two", right=9)
    made = board(is_compared=False)
    assert (made.boards[0].tests, drawn) == (None, [])
    assert names(made) == [(1, "beta/two"), (2, "alpha/one")]
