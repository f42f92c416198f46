"""Vectors of pictures: computed once, the same after a kill, and never those of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from baselines.classifiers import build_classifier
from baselines.data.cache import BLOCK, PictureCache, open_cache
from baselines.data.dataset import read_examples
from baselines.frozen import features
from baselines.frozen.features import NOTHING, PIXELS, FeatureOptions, Sight, open_sight, reopened, thumbnails
from baselines.models.weights import header_of
from baselines.training import checkpoint
from baselines.training.loop import BEST
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny DINOv2 with random weights."""
    return draw_encoder(tmp_path_factory.mktemp("encoder"))


def draw_encoder(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=32, patch_size=8
    )
    Dinov2Model(config).save_pretrained(folder)
    look = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(look))
    return folder


@pytest.fixture
def pictures(tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PictureCache:
    """Return the 36 training pictures, decoded, in shards of 8 and blocks of 4."""
    monkeypatch.setattr("baselines.data.cache.BLOCK", 4)
    monkeypatch.setattr(features, "BLOCK", 4)
    monkeypatch.setattr(features, "_SHARD", 8)
    files = read_examples(tiny_dataset, "train").named_files
    return open_cache(files, tmp_path / "cache", 48)


def shards(pictures: PictureCache) -> list[Path]:
    return sorted(pictures.folder.glob("features/*/*.safetensors"))


def test_a_picture_has_the_vector_that_the_encoder_gives_it(encoder: Path, pictures: PictureCache) -> None:
    sight = open_sight(FeatureOptions(encoder=str(encoder)))
    found = sight.vectors(pictures, CPU)
    assert found.shape == (36, 16)
    pixels = features.centre(torch.from_numpy(np.array(pictures.images[35:])), 32, [0.5] * 3, [0.5] * 3)
    with torch.no_grad():
        alone = sight.network(pixels)
    np.testing.assert_allclose(found[35:], alone.numpy(), rtol=1e-4, atol=1e-5)


def test_vectors_are_computed_once(
    encoder: Path, pictures: PictureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_sight(FeatureOptions(encoder=str(encoder))).vectors(pictures, CPU)
    monkeypatch.setattr(Sight, "_seen", _refuse)
    again = open_sight(FeatureOptions(encoder=str(encoder))).vectors(pictures, CPU)
    np.testing.assert_array_equal(first, again)
    assert len(shards(pictures)) == 5  # of 36 pictures, 8 each


def _refuse(*_: object) -> None:
    raise AssertionError("seen twice")


def test_a_killed_command_goes_on_where_it_was(
    encoder: Path, pictures: PictureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = open_sight(FeatureOptions(encoder=str(encoder)))
    write, written = checkpoint.write, []

    def killed(path: Path, *rest: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *rest)

    monkeypatch.setattr(checkpoint, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        sight.vectors(pictures, CPU)
    monkeypatch.setattr(checkpoint, "write", write)
    before = {path: path.stat().st_mtime_ns for path in shards(pictures)}
    assert len(before) == 2
    counted: list[int] = []
    resumed = sight.vectors(pictures, CPU, lambda done, _: counted.append(done))
    assert counted[0] == 24  # pictures of the third shard are the first to be seen
    assert before == {path: path.stat().st_mtime_ns for path in shards(pictures)[:2]}
    for path in shards(pictures):
        path.unlink()
    np.testing.assert_array_equal(sight.vectors(pictures, CPU), resumed)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, turned, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_shard_is_computed_again(
    encoder: Path, pictures: PictureCache, damage: Callable[[Path], None]
) -> None:
    sight = open_sight(FeatureOptions(encoder=str(encoder)))
    whole = sight.vectors(pictures, CPU)
    damage(shards(pictures)[1])
    np.testing.assert_array_equal(sight.vectors(pictures, CPU), whole)
    assert features._kept(shards(pictures)[1], "of other pictures") is None


def test_a_shard_of_other_pictures_is_computed_again(encoder: Path, pictures: PictureCache) -> None:
    sight = open_sight(FeatureOptions(encoder=str(encoder)))
    whole = sight.vectors(pictures, CPU)
    first, second = shards(pictures)[:2]
    second.write_bytes(first.read_bytes())
    np.testing.assert_array_equal(sight.vectors(pictures, CPU), whole)


def test_other_weights_sizes_and_precisions_have_vectors_of_their_own(
    encoder: Path, pictures: PictureCache, tmp_path: Path
) -> None:
    open_sight(FeatureOptions(encoder=str(encoder))).vectors(pictures, CPU)
    other = draw_encoder(tmp_path / "other", seed=1)
    open_sight(FeatureOptions(encoder=str(other))).vectors(pictures, CPU)
    open_sight(FeatureOptions(encoder=str(encoder), size=40)).vectors(pictures, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        open_sight(FeatureOptions(encoder=str(encoder))).vectors(pictures, CPU)
    assert len({path.parent for path in shards(pictures)}) == 4


def test_vectors_that_are_not_finite_are_refused(encoder: Path, pictures: PictureCache) -> None:
    sight = open_sight(FeatureOptions(encoder=str(encoder)))
    with torch.no_grad():
        next(sight.network.parameters()).fill_(torch.inf)
    with pytest.raises(RejectedInput, match="the vector of a picture is not finite"):
        sight.vectors(pictures, CPU)
    assert not shards(pictures)


def test_a_run_does_not_mix_vectors_of_two_encoders(encoder: Path, tmp_path: Path) -> None:
    sight = open_sight(FeatureOptions(encoder=str(encoder)))
    assert reopened(sight.options, sight.digest, tmp_path).digest == sight.digest
    other = draw_encoder(tmp_path / "other", seed=1)
    options = FeatureOptions(encoder=str(other), size=sight.options.size)
    with pytest.raises(RejectedInput, match=r"made with other weights of .*restore those weights"):
        reopened(options, sight.digest, tmp_path)


@pytest.fixture
def own_network(tmp_path: Path) -> Path:
    """Return the run folder of a network of our own, with three classes."""
    folder = tmp_path / "nano"
    classifier = build_classifier("nano", 3, init="", size=32, dropout=0.0, drop_path=0.0)
    checkpoint.write(folder / BEST, classifier.model.state_dict(), {}, header_of(classifier.normalisation))
    classifier.save(folder)
    return folder


def test_the_features_of_a_trained_network_are_what_its_classifier_sees(
    own_network: Path, pictures: PictureCache
) -> None:
    sight = open_sight(FeatureOptions(encoder=str(own_network)))
    assert sight.vectors(pictures, CPU).shape == (36, 384)
    assert sight.options == FeatureOptions(encoder=str(own_network.resolve()), size=32)


def test_a_fine_tuned_model_of_transformers_sees_too(
    encoder: Path, pictures: PictureCache, tmp_path: Path
) -> None:
    classifier = build_classifier(str(encoder), 5, init="", size=32, dropout=0.5, drop_path=0.0)
    checkpoint.write(tmp_path / "run" / BEST, classifier.model.state_dict(), {})
    classifier.save(tmp_path / "run")
    sight = open_sight(FeatureOptions(encoder=str(tmp_path / "run")))
    vectors = sight.vectors(pictures, CPU)
    head = classifier.model.head
    logits = torch.from_numpy(vectors) @ head.weight.detach().T + head.bias.detach()
    expected = classifier.probabilities(pictures.images, CPU)
    np.testing.assert_allclose(logits.sigmoid().numpy(), expected, atol=1e-5)


def test_a_folder_whose_network_classifies_nothing_is_refused(own_network: Path) -> None:
    checkpoint.write(own_network / BEST, {"bn1.bias": torch.zeros(3)}, {})
    with pytest.raises(RejectedInput, match=r"best\.safetensors: no matrix of a classifier"):
        open_sight(FeatureOptions(encoder=str(own_network)))


def test_a_network_is_known_again_whatever_its_head(own_network: Path) -> None:
    before = open_sight(FeatureOptions(encoder=str(own_network))).digest
    tensors, header = checkpoint.read(own_network / BEST)
    tensors["classifier.bias"] += 1
    checkpoint.write(own_network / BEST, tensors, header)
    assert before == open_sight(FeatureOptions(encoder=str(own_network))).digest
    tensors["bn1.bias"] += 1
    checkpoint.write(own_network / BEST, tensors, header)
    assert before != open_sight(FeatureOptions(encoder=str(own_network))).digest


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        ("timm/no_such.network", UsageFault, "timm/no_such.network is not known, expected one of timm/"),
        ("no such folder", UsageFault, "neither a folder nor a valid name on the Hub"),
        ("some/model", MissingResource, "some/model is not on this machine and cannot be downloaded"),
    ],
)
def test_an_encoder_that_is_not_there_is_named(encoder: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_sight(FeatureOptions(encoder=encoder))


def test_nothing_and_pixels_need_no_network(pictures: PictureCache) -> None:
    assert open_sight(FeatureOptions(encoder=NOTHING)).vectors(pictures, CPU).shape == (36, 0)
    seen = open_sight(FeatureOptions(encoder=PIXELS)).vectors(pictures, CPU)
    np.testing.assert_array_equal(thumbnails(pictures.images), seen)
    assert not shards(pictures)


def test_shards_are_of_whole_blocks() -> None:
    assert features._SHARD % BLOCK == 0


def test_a_thumbnail_holds_the_means_of_its_areas_about_their_mean() -> None:
    images = np.zeros((1, 50, 37, 3), np.uint8)
    images[0, 25:] = 255
    (small,) = thumbnails(images)
    np.testing.assert_allclose(small[:16], small[0], atol=1e-6)
    np.testing.assert_allclose([small[0], small[-1]], [-0.5, 0.5], atol=0.01)
    assert small.mean() == pytest.approx(0, abs=1e-6)


def test_a_picture_smaller_than_its_thumbnail_is_refused() -> None:
    with pytest.raises(RejectedInput, match="pictures of 8x8 pixels, expected 16 or more"):
        thumbnails(np.zeros((1, 8, 8, 3), np.uint8))
