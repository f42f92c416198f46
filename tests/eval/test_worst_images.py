from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.editions import EDITIONS
from rocov2_eval.formats import Table
from rocov2_eval.scoring import Report, evaluate
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Truth
from rocov2_eval.worst_images import WorstImage, worst_images

Read = Callable[..., tuple[Table, Truth]]
Scored = tuple[Report, Table, Truth]

CONCEPTS = [("a", "C1;C2"), ("b", "C3"), ("c", "C4"), ("d", "C5"), ("e", "")]
RUN = "d,C5\nc,C8;C9\nb,C9\na,C1\n"  # in another order, e missing


@pytest.fixture
def run(read: Read, dataset: Callable[..., Path]) -> Scored:
    """Return a run's scores: a 2/3, b 0, c 0, d 1, e 0 for want of a row."""
    table, truth = read(RUN, dataset(concepts=CONCEPTS))
    settings = Settings(edition=EDITIONS["rocov2"], bootstrap=None, lenient=True)
    return evaluate(table, truth, settings, _no_model), table, truth


def test_the_lowest_scores_come_first_and_equal_ones_in_truth_order(run: Scored) -> None:
    found = worst_images(*run, "concept_f1", count=4)

    expected = [("b", 0.0), ("c", 0.0), ("e", 0.0), ("a", pytest.approx(2 / 3))]
    assert expected == [(item.image_id, item.score) for item in found]


def test_an_image_shows_both_cells_as_they_stand_in_the_files(run: Scored) -> None:
    expected = WorstImage(image_id="c", score=0.0, candidate="C8;C9", reference="C4")

    assert expected == worst_images(*run, "concept_f1", count=2)[1]


def test_an_image_without_a_row_has_an_empty_candidate(run: Scored) -> None:
    expected = WorstImage(image_id="e", score=0.0, candidate="", reference="")

    assert expected == worst_images(*run, "concept_f1", count=3)[2]


def test_unscored_images_are_left_out(run: Scored) -> None:
    report, table, truth = run
    scores = report.samples["concept_f1"]
    known = replace(scores, scored=np.array([True, False, True, True, False]))
    masked = replace(report, samples={"concept_f1": known})

    assert [item.image_id for item in worst_images(masked, table, truth, "concept_f1")] == ["c", "a", "d"]


def test_no_more_are_named_than_asked_for_or_scored(run: Scored) -> None:
    counts = [len(worst_images(*run, "concept_f1", count=count)) for count in (0, 1, 99)]

    assert counts == [0, 1, 5]


def _no_model(*_: object) -> None:
    raise AssertionError("this test has no model")
