from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.errors import UsageFault
from rocov2_eval.ranking import Board, Entry, common_scores, rank, require_same_truth, untested_note
from rocov2_eval.records import SampleScores
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.scoring import Report
from rocov2_eval.significance import PairOptions, paired_tests

Score = Callable[..., Report]
Dataset = Callable[..., Path]

OPTIONS = PairOptions(trials=500, bootstrap=Bootstrap(resamples=300))
IMAGES = [f"image_{i:02}" for i in range(40)]
TRUTH = [(image, "C1;C2") for image in IMAGES]


@pytest.fixture
def entry(scored: Score, dataset: Dataset) -> Callable[..., Entry]:
    """Return a maker of entries: right on the first `right` of 40 images, wrong on the others."""

    def make(name: str, right: int, **settings: object) -> Entry:
        team, run = name.split("/")
        text = "".join(f"{image},{'C1;C2' if i < right else 'C9'}\n" for i, image in enumerate(IMAGES))
        report = scored(text, dataset(concepts=TRUTH), bootstrap=OPTIONS.bootstrap, **settings)
        return Entry(team=team, run=run, metadata={}, report=replace(report, run=(name, report.run[1])))

    return make


def with_scores(entry: Entry, **samples: SampleScores) -> Entry:
    return replace(entry, report=replace(entry.report, samples={**entry.report.samples, **samples}))


def unscored(entry: Entry, images: Sequence[int]) -> Entry:
    """Return the entry with images left out of its primary score."""
    scores = entry.report.samples["concept_f1"]
    scored = scores.scored.copy()
    scored[list(images)] = False
    return with_scores(entry, concept_f1=replace(scores, scored=scored))


def places(board: Board) -> list[tuple[int, str]]:
    return [(standing.rank, standing.entry.name) for standing in board.standings]


def test_the_best_run_comes_first_and_equal_scores_share_a_rank(entry: Callable[..., Entry]) -> None:
    board = rank([entry("c/1", 10), entry("b/1", 30), entry("a/1", 10), entry("d/1", 5)], OPTIONS)

    assert places(board) == [(1, "b/1"), (2, "a/1"), (2, "c/1"), (4, "d/1")]


def test_the_order_of_the_entries_moves_nothing(entry: Callable[..., Entry]) -> None:
    entries = [entry("Beta/1", 10), entry("alpha/2", 10), entry("beta/1", 10), entry("alpha/1", 20)]

    board, turned = rank(entries, OPTIONS), rank(entries[::-1], OPTIONS)

    assert places(board) == [(1, "alpha/1"), (2, "alpha/2"), (2, "Beta/1"), (2, "beta/1")]
    assert places(board) == places(turned)
    assert [s.shares.tolist() for s in board.standings] == [s.shares.tolist() for s in turned.standings]
    assert board.tests.p_value.tolist() == turned.tests.p_value.tolist()


def test_the_first_run_of_each_team_is_its_best(entry: Callable[..., Entry]) -> None:
    board = rank([entry("a/1", 10), entry("a/2", 20), entry("b/1", 15), entry("b/2", 15)], OPTIONS)

    expected = [("a/2", True), ("b/1", True), ("b/2", False), ("a/1", False)]
    assert expected == [(standing.entry.name, standing.is_best_of_team) for standing in board.standings]


def test_the_shares_of_the_ranks_are_those_of_the_resamples(entry: Callable[..., Entry]) -> None:
    board = rank([entry("a/1", 22), entry("b/1", 20), entry("c/1", 18)], OPTIONS)

    means = board.tests.resampled
    for i, standing in enumerate(board.standings):
        ranks = 1 + (means > means[:, [i]] + 1e-9).sum(axis=1)
        expected = [float((ranks == place).mean()) for place in (1, 2, 3)]
        assert pytest.approx(expected) == standing.shares.tolist()
        assert pytest.approx(1) == standing.shares.sum()
        assert (standing.low_rank, standing.high_rank) == (
            np.sort(ranks)[int(0.025 * 300)],
            np.sort(ranks)[int(0.975 * 300)],
        )


def test_runs_far_apart_hold_their_ranks_and_copies_share_theirs(entry: Callable[..., Entry]) -> None:
    board = rank([entry("a/1", 40), entry("b/1", 0), entry("c/1", 0)], OPTIONS)

    assert [s.shares.tolist() for s in board.standings] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert [(s.low_rank, s.high_rank) for s in board.standings] == [(1, 1), (2, 2), (2, 2)]
    assert [s.letters for s in board.standings] == ["a", "b", "b"]


def test_the_tests_are_in_the_order_of_the_standings(entry: Callable[..., Entry]) -> None:
    board = rank([entry("a/1", 10), entry("b/1", 30)], OPTIONS)

    scores, _ = common_scores([standing.entry.report for standing in board.standings], "concept_f1")
    assert paired_tests(scores, OPTIONS).p_value.tolist() == board.tests.p_value.tolist()
    assert pytest.approx(-0.5) == board.tests.difference[0, 1]


def test_a_board_says_what_it_ranks(entry: Callable[..., Entry]) -> None:
    board = rank([entry("a/1", 10)], OPTIONS)

    assert (board.edition, board.task, board.split, board.images) == ("rocov2", "concepts", None, 40)
    assert board.outputs == ("concept_f1", "concept_precision", "concept_recall")
    assert board.notes == ()


def test_another_score_ranks_when_asked_for_and_the_board_says_so(entry: Callable[..., Entry]) -> None:
    board = rank([entry("a/1", 10)], OPTIONS, rank_by="concept_recall")

    assert board.outputs[0] == board.primary == "concept_recall"
    assert board.notes == ("ranked by concept_recall, not by concept_f1 as the edition does",)


def test_the_primary_score_asked_for_by_name_needs_no_note(entry: Callable[..., Entry]) -> None:
    assert rank([entry("a/1", 10)], OPTIONS, rank_by="concept_f1").notes == ()


def test_the_notes_of_every_run_are_the_boards(entry: Callable[..., Entry]) -> None:
    first, second = entry("a/1", 10), entry("b/1", 12)
    noted = replace(first, report=replace(first.report, notes=("a stand-in", "lenient")))
    other = replace(second, report=replace(second.report, notes=("a stand-in",)))

    assert rank([noted, other], OPTIONS).notes == ("a stand-in", "lenient")


def test_a_score_that_the_runs_lack_is_refused_with_those_they_have(entry: Callable[..., Entry]) -> None:
    with pytest.raises(UsageFault, match=r"--rank-by rouge1: .* concept_f1, concept_precision"):
        rank([entry("a/1", 10)], OPTIONS, rank_by="rouge1")


def test_a_run_without_any_scored_image_is_refused(entry: Callable[..., Entry]) -> None:
    first = entry("a/1", 10)
    result = replace(first.report.metrics["concept_f1"], mean=None, n=0)
    empty = replace(
        first, report=replace(first.report, metrics={**first.report.metrics, "concept_f1": result})
    )

    with pytest.raises(UsageFault, match="a/1: no image has a concept_f1"):
        rank([empty], OPTIONS)


def test_images_that_not_every_run_is_scored_on_leave_the_tests_with_a_note(
    entry: Callable[..., Entry],
) -> None:
    first, second = entry("a/1", 20), unscored(entry("b/1", 10), [0, 39])

    board = rank([first, second], OPTIONS)

    assert board.notes == ("tests leave out 2 images that not every run is scored on",)
    assert pytest.approx(-10 / 38) == board.tests.difference[0, 1]


def test_images_that_no_run_is_scored_on_need_no_note(entry: Callable[..., Entry]) -> None:
    assert rank([unscored(entry(f"{team}/1", 10), [3]) for team in "ab"], OPTIONS).notes == ()


def test_runs_without_a_common_image_are_ranked_and_not_tested(entry: Callable[..., Entry]) -> None:
    halves = [unscored(entry("a/1", 20), range(20)), unscored(entry("b/1", 10), range(20, 40))]
    board = rank(halves, OPTIONS)
    assert (board.tests, len(board.standings)) == (None, 2)
    assert board.notes == ("no image has a concept_f1 in every run: runs are not tested against each other",)


def test_runs_of_another_edition_are_refused(entry: Callable[..., Entry]) -> None:
    with pytest.raises(UsageFault, match="concepts of rocov2 and concepts of imageclef-2024"):
        rank([entry("a/1", 10), entry("b/1", 10, edition="imageclef-2024")], OPTIONS)


def test_runs_of_another_truth_are_refused(entry: Callable[..., Entry]) -> None:
    first, second = entry("a/1", 10), entry("b/1", 10)
    other = replace(second, report=replace(second.report, truth=(("truth.csv", "0" * 64),)))

    with pytest.raises(UsageFault, match="different truths"):
        rank([first, other], OPTIONS)


def test_the_path_of_the_truth_does_not_matter(entry: Callable[..., Entry]) -> None:
    report = entry("a/1", 10).report
    moved = replace(report, truth=tuple((f"/elsewhere/{path}", sha256) for path, sha256 in report.truth))

    require_same_truth(report, moved)


def test_runs_scored_with_another_signature_are_refused(entry: Callable[..., Entry]) -> None:
    report = entry("a/1", 10).report
    result = report.metrics["concept_f1"]
    changed = replace(result, signature=result.signature.replace("rev:1", "rev:2"))
    other = replace(report, metrics={**report.metrics, "concept_f1": changed})

    with pytest.raises(UsageFault, match=r"concept_f1 was computed differently\n  concept_f1\|rev:1"):
        require_same_truth(report, other)


def test_another_version_of_this_package_does_not_matter(entry: Callable[..., Entry]) -> None:
    report = entry("a/1", 10).report
    results = {
        name: replace(result, signature=f"{result.signature}9") for name, result in report.metrics.items()
    }

    require_same_truth(report, replace(report, metrics=results))


@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_that_lacks_a_score_of_the_other_is_refused(
    entry: Callable[..., Entry], *, is_first: bool
) -> None:
    report = entry("a/1", 10).report
    few = {name: result for name, result in report.metrics.items() if name != "concept_recall"}

    other = replace(report, metrics=few)
    with pytest.raises(UsageFault, match="concept_recall was computed differently"):
        require_same_truth(*((other, report) if is_first else (report, other)))


def test_one_image_leaves_every_rank_possible(entry: Callable[..., Entry]) -> None:
    alone = [unscored(entry(name, right), range(1, 40)) for name, right in (("a/1", 20), ("b/1", 0))]
    board = rank(alone, OPTIONS)

    assert [(standing.low_rank, standing.high_rank) for standing in board.standings] == [(1, 2), (1, 2)]
    assert [standing.letters for standing in board.standings] == ["a", "a"]
    assert untested_note(board) == "concept_f1: too few images: with 1 no corrected p-value can be below 1"


def test_trials_that_could_show_nothing_are_not_drawn_and_the_board_says_so(
    entry: Callable[..., Entry],
) -> None:
    entries = [entry("a/1", 30), entry("b/1", 20), entry("c/1", 10)]
    enough, few = (rank(entries, replace(OPTIONS, trials=trials)) for trials in (60, 59))
    assert enough.tests
    assert few.tests
    assert (enough.tests.trials, untested_note(enough)) == (60, None)
    assert few.tests.trials == 0
    assert [standing.letters for standing in few.standings] == ["", "", ""]
    assert "of 3 runs no two can differ significantly" in str(untested_note(few))
    assert "with 59 trials; 60 are needed" in str(untested_note(few))
    assert [item.shares.tolist() for item in few.standings] == [
        item.shares.tolist() for item in enough.standings
    ]
