"""The nearest vectors are found exactly, and vote for their labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from baselines.decisions import decide, fit
from baselines.frozen import neighbours
from baselines.frozen.neighbours import Features, Neighbours, nearest, vote
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import FloatArray, IntArray

LEVELS = st.integers(-3, 3).map(float)  # few values: many vectors are equal, and many cosines


def brute(known: Features, asked: Features, k: int) -> tuple[IntArray, FloatArray]:
    """Return what `nearest` promises, by a loop over pairs and a sort of all of them."""
    mean = known.mean(axis=0, dtype=np.float64)
    ours, theirs = (neighbours.directions(vectors, mean).astype(np.float64) for vectors in (known, asked))
    cosines = np.array([[float((one * other).sum()) for one in ours] for other in theirs])
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(cosines, rows, axis=1)


@settings(deadline=None)
@given(st.data())
def test_the_nearest_are_those_of_a_loop_over_all_pairs(data: st.DataObject) -> None:
    width, most = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9))
    shapes = [(data.draw(st.integers(1, 12)), width) for _ in range(2)]
    known, asked = (data.draw(arrays.arrays(np.float32, shape, elements=LEVELS)) for shape in shapes)
    rows, cosines = nearest(known, asked, most)
    expected = brute(known, asked, most)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(cosines, expected[1])


def test_what_rounding_hides_is_told_apart() -> None:
    generator = np.random.default_rng(3)
    known = generator.standard_normal((1, 64)) + 1e-6 * generator.standard_normal((200, 64))
    known = np.concatenate([known, -known]).astype(np.float32)  # about a mean of nearly 0
    asked = generator.standard_normal((5, 64)).astype(np.float32)
    np.testing.assert_array_equal(nearest(known, asked, 9)[0], brute(known, asked, 9)[0])


def test_the_answer_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    known, asked = (generator.standard_normal((n, 8)).astype(np.float32) for n in (40, 17))
    whole = nearest(known, asked, 5)
    monkeypatch.setattr(neighbours, "_AT_ONCE", 3)
    for one, other in zip(whole, nearest(known, asked, 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_equal_vectors_come_by_row() -> None:
    known = np.array([[0, 1], [1, 0], [0, 1], [0, 1]], np.float32)
    assert nearest(known, known[:1], 3)[0].tolist() == [[0, 2, 3]]


def test_more_neighbours_than_vectors_are_all_of_them() -> None:
    known = np.eye(2, dtype=np.float32)
    assert nearest(known, known, 50)[0].tolist() == [[0, 1], [1, 0]]


ROWS = np.array([[0, 1]])
TRUTH = np.array([[True, False], [True, True], [False, False]])


def test_shares_are_those_of_the_neighbours_and_one_frequency() -> None:
    shares = vote(ROWS, np.array([[0.9, 0.1]]), TRUTH, Neighbours(k=2))
    np.testing.assert_allclose(shares, [[(2 + 2 / 3) / 3, (1 + 1 / 3) / 3]])


def test_nearer_neighbours_count_more() -> None:
    near = np.exp([0, -0.8 * 10])
    share = near[1] / near.sum()
    shares = vote(ROWS, np.array([[0.9, 0.1]]), TRUTH, Neighbours(k=2, sharpness=10.0))
    np.testing.assert_allclose(shares, [[(2 + 2 / 3) / 3, (2 * share + 1 / 3) / 3]])


def test_only_so_many_neighbours_are_asked() -> None:
    shares = vote(ROWS, np.array([[0.9, 0.1]]), TRUTH, Neighbours(k=1))
    np.testing.assert_allclose(shares, [[(1 + 2 / 3) / 2, (0 + 1 / 3) / 2]])


def test_without_neighbours_the_most_frequent_labels_are_the_same_for_every_image() -> None:
    truth = np.array([[True, True, False], [True, True, False], [True, False, True]])
    nothing = np.zeros((3, 0), np.int64), np.zeros((3, 0))
    shares = vote(*nothing, truth, Neighbours())
    np.testing.assert_allclose(shares, [[1, 2 / 3, 1 / 3]] * 3)
    assert decide(shares, fit(shares, truth)) == [(0, 1)] * 3


def test_without_training_images_nothing_is_answered() -> None:
    with pytest.raises(RejectedInput, match="no training image"):
        vote(np.zeros((1, 0), np.int64), np.zeros((1, 0)), np.zeros((0, 3), np.bool_), Neighbours())
