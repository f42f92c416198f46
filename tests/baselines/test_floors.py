"""The floors that no network may fall below."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from baselines.cli import run
from baselines.data.cache import open_cache
from baselines.data.dataset import read_examples
from baselines.data.labels import label_matrix, label_order
from baselines.decisions import decide, fit, sample_f1
from baselines.floors import (
    DISTANCES,
    Features,
    Neighbours,
    fit_neighbours,
    nearest,
    neighbour_shares,
    thumbnails,
)
from rocov2_eval.cli import invoke as evaluate
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray

Split = tuple[Features, BoolArray]
NOTHING = np.zeros((2, 1), np.float32)


@pytest.fixture(scope="module")
def splits(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    """Return thumbnails and labels of each split of the tiny dataset."""
    labels = label_order(read_examples(tiny_dataset, "train", ["concepts"]).concepts or ())
    made = {}
    for split in ("train", "valid", "test"):
        examples = read_examples(tiny_dataset, split, ["concepts"])
        cached = open_cache(examples.named_files, tmp_path_factory.mktemp(split), 48)
        made[split] = thumbnails(cached.images), label_matrix(examples.concepts or (), labels)[0]
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
    with pytest.raises(RejectedInput, match="pictures of 8x8 pixels, expected 16 or more"):
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
    shares = neighbour_shares(known, truth, np.array([[0.4]], np.float32), Neighbours(k=2))
    np.testing.assert_allclose(shares, [[(2 + 2 / 3) / 3, (1 + 1 / 3) / 3]])


def test_more_neighbours_than_pictures_are_all_of_them() -> None:
    known, truth = np.array([[0.0], [1.0]], np.float32), np.array([[True], [False]])
    np.testing.assert_allclose(neighbour_shares(known, truth, known, Neighbours(k=50)), [[0.5], [0.5]])


def test_without_neighbours_the_most_frequent_labels_are_the_same_for_every_image() -> None:
    truth = np.array([[True, True, False], [True, True, False], [True, False, True]])
    features = np.zeros((3, 1), np.float32)
    shares = neighbour_shares(features, truth, features, Neighbours())
    np.testing.assert_allclose(shares, [[1, 2 / 3, 1 / 3]] * 3)
    assert decide(shares, fit(shares, truth)) == [(0, 1)] * 3


def test_without_training_images_there_is_no_floor() -> None:
    with pytest.raises(RejectedInput, match="no training image"):
        neighbour_shares(np.zeros((0, 1), np.float32), np.zeros((0, 3), np.bool_), NOTHING, Neighbours())


def test_the_neighbours_are_the_best_on_the_validation_split(splits: dict[str, Split]) -> None:
    def f1(neighbours: Neighbours) -> float:
        shares = neighbour_shares(*splits["train"], splits["valid"][0], neighbours)
        truth = splits["valid"][1]
        return float(sample_f1(decide(shares, fit(shares, truth)), truth).mean())

    numbers = (1, 30)
    chosen = fit_neighbours(splits["train"], splits["valid"], rule="expected-f", numbers=numbers)
    every = [Neighbours(k=k, distance=distance) for distance in DISTANCES for k in numbers]
    assert f1(chosen) == max(map(f1, every))


@pytest.mark.slow
def test_floors_are_trained_and_predict_like_any_other_recipe(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    means = []
    for name in ("floor_most_frequent", "floor_nearest_pixels"):
        folder, out = tmp_path / name, tmp_path / f"{name}.csv"
        common = ["--data", str(tiny_dataset), "--quiet"]
        assert run(["train", name, "--out", str(folder), *common, "--set", "data.workers=1"]) == 0
        assert run(["predict", str(folder), "--out", str(out), *common]) == 0
        assert "| valid_concept_f1 |" in (folder / "README.md").read_text(encoding="utf-8")
        truth = ["--truth", str(tiny_dataset), "--split", "test"]
        assert evaluate(["validate", str(out), "--strict", *truth]) == 0
        capsys.readouterr()
        assert evaluate(["score", str(out), *truth, "--format", "json"]) == 0
        means.append(json.loads(capsys.readouterr().out)["metrics"]["concept_f1"]["mean"])
    assert means[1] > means[0] + 0.1


@pytest.mark.slow
def test_a_floor_is_not_overwritten_by_another(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(tiny_dataset), "--out", str(tmp_path / "run"), "--quiet"]
    assert run(["train", "floor_most_frequent", *common]) == 0
    assert run(["train", "floor_most_frequent", *common, "--resume"]) == 0
    assert (
        run(["train", "floor_nearest_pixels", *common]),
        capsys.readouterr().err.count("holds a run"),
    ) == (2, 1)
