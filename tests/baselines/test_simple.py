"""The baselines that no network may fall below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines.data.dataset import read_examples
from baselines.data.labels import label_matrix, label_order
from baselines.data.pack import pack_images
from baselines.decisions import decide, fit, sample_f1
from baselines.simple import (
    Features,
    fit_neighbours,
    frequencies,
    nearest,
    neighbour_shares,
    thumbnails,
)
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray

Split = tuple[Features, BoolArray]


@pytest.fixture(scope="module")
def splits(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    """Return thumbnails and labels of each split of the tiny dataset."""
    labels = label_order(read_examples(tiny_dataset, "train", ["concepts"]).concepts or ())
    made = {}
    for split in ("train", "valid", "test"):
        examples = read_examples(tiny_dataset, split, ["concepts"])
        packed = pack_images(examples.named_files, tmp_path_factory.mktemp(split), 48)
        made[split] = thumbnails(packed.images), label_matrix(examples.concepts or (), labels)[0]
    return made


def test_a_thumbnail_holds_the_means_of_its_areas() -> None:
    images = np.zeros((1, 4, 6, 3), np.uint8)
    images[0, :2, :3] = 255
    images[0, 2:, 3] = 255
    np.testing.assert_allclose(thumbnails(images, 2), [[1, 0, 0, 1 / 3]], rtol=1e-5)


def test_a_side_that_does_not_divide_the_picture_is_taken() -> None:
    np.testing.assert_allclose(
        thumbnails(np.full((2, 50, 37, 3), 51, np.uint8)), np.full((2, 256), 0.2), rtol=1e-5
    )


def test_a_picture_smaller_than_its_thumbnail_is_refused() -> None:
    with pytest.raises(ValueError, match="pictures of 8x8 pixels, expected 16 or more"):
        thumbnails(np.zeros((1, 8, 8, 3), np.uint8))


def test_the_nearest_pictures_come_first_and_equal_ones_by_row() -> None:
    known = np.array([[0.0], [5.0], [1.0], [1.0]], np.float32)
    assert nearest(known, np.array([[0.9]], np.float32), 3, "euclidean").tolist() == [[2, 3, 0]]


def test_the_cosine_does_not_see_how_light_a_picture_is() -> None:
    known = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32)
    asked = np.array([[0.5, 0.52, 0.5]], np.float32)
    assert nearest(known, asked, 1, "cosine").tolist() == [[0]]


def test_shares_are_those_of_the_neighbours_and_one_frequency() -> None:
    known = np.array([[0.0], [1.0], [9.0]], np.float32)
    truth = np.array([[True, False], [True, True], [False, False]])
    shares = neighbour_shares(known, truth, np.array([[0.4]], np.float32), 2, "euclidean")
    np.testing.assert_allclose(shares, [[(2 + 2 / 3) / 3, (1 + 1 / 3) / 3]])


def test_more_neighbours_than_pictures_are_all_of_them() -> None:
    known, truth = np.array([[0.0], [1.0]], np.float32), np.array([[True], [False]])
    np.testing.assert_allclose(neighbour_shares(known, truth, known, 50, "euclidean"), [[0.5], [0.5]])


def test_the_most_frequent_labels_are_the_same_for_every_image() -> None:
    truth = np.array([[True, True, False], [True, True, False], [True, False, True]])
    likely = frequencies(truth, 3)
    assert decide(likely, fit(likely, truth)) == [(0, 1)] * 3


def test_without_training_images_there_is_no_baseline() -> None:
    with pytest.raises(RejectedInput, match="no training image"):
        frequencies(np.zeros((0, 3), np.bool_), 2)


def test_the_nearest_pictures_beat_the_most_frequent_labels(splits: dict[str, Split]) -> None:
    (known, truth), (valid, valid_truth), (test, test_truth) = splits.values()
    likely = frequencies(truth, len(test))
    frequent = sample_f1(decide(likely, fit(likely, valid_truth)), test_truth).mean()
    chosen = fit_neighbours((known, truth), (valid, valid_truth), numbers=(1, 3, 5))
    shares = neighbour_shares(known, truth, test, chosen.k, chosen.distance)
    assert sample_f1(decide(shares, chosen.decision), test_truth).mean() > frequent + 0.1


def test_the_number_of_neighbours_is_the_best_on_the_validation_split(splits: dict[str, Split]) -> None:
    chosen = fit_neighbours(splits["train"], splits["valid"], numbers=(1, 30))
    alone = [fit_neighbours(splits["train"], splits["valid"], numbers=(k,)).valid for k in (1, 30)]
    assert (chosen.valid, chosen.k) == (max(alone), (1, 30)[int(np.argmax(alone))])
