"""2,000 damaged files through the commands, and what the fuzzer says of a scorer with a planted fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rocov2_eval import scoring, validation
from rocov2_eval.align import align

import fuzzer

INPUTS = 2000
RUNS = 60  # enough to meet each of the planted faults


def test_two_thousand_damaged_files_end_in_an_answer_or_a_finding() -> None:
    tally = fuzzer.try_many(fuzzer.SEED, range(INPUTS))

    assert tally.faults == []
    assert set(tally.trials) == {door.__name__ for door in fuzzer.DOORS}
    assert tally.scored > INPUTS / 10  # else it would show nothing of the scores


def test_a_trial_can_be_made_again_by_its_number() -> None:
    tallies = [fuzzer.try_many(fuzzer.SEED, range(40, 60)) for _ in range(2)]

    assert tallies[0].codes == tallies[1].codes
    assert tallies[0].exits == tallies[1].exits


def test_it_finds_a_score_for_an_invalid_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(*_: object) -> Iterator[Any]:
        yield from ()

    monkeypatch.setattr(validation, "_repeated", unchecked)

    assert any(fault.endswith("an invalid file was scored") for fault in faults_of(RUNS))


def test_it_finds_a_score_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_file_order(_: Any, cells: Any, truth_ids: Any) -> Any:
        return align(truth_ids, cells, truth_ids)

    monkeypatch.setattr(scoring, "align", in_file_order)

    assert any("scored " in fault for fault in faults_of(RUNS))


def test_it_finds_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault made for a test")

    monkeypatch.setattr(validation, "_repeated", broken)

    assert any("ZeroDivisionError: a fault made for a test" in fault for fault in faults_of(RUNS))


def test_it_finds_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(validation, "_check_ids", endless)
    monkeypatch.setattr(fuzzer, "MOST_SECONDS", 0.05)

    assert any("no end within 0.05 s" in fault for fault in faults_of(10))


def faults_of(runs: int) -> list[str]:
    """Return what is wrong with the answers to damaged runs of concepts."""
    return fuzzer.try_many(fuzzer.SEED, range(runs), doors=[fuzzer.concept_run]).faults
