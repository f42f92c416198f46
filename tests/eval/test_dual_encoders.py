"""MedImageInsight and CLIP as tiny models: strict loading, batches, cache, pictures that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dual_models import clip_folder, medimageinsight_folder, medimageinsight_tensors
from PIL import Image

from rocov2_eval import clip, medimageinsight
from rocov2_eval.dual_encoder import Loader, open_dual_encoder, scaled_cosines
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.models import require

pytestmark = pytest.mark.encoder

WEIGHTS_FILE = "medimageinsigt-v1.0.0.pt"
TEXTS = ("CT of the chest", "", "fracture of the left hand", "😀 !!!", "CT of the chest", "word " * 10_000)
LOADERS: Mapping[str, Loader] = {"similarity": medimageinsight.load, "clip": clip.load}
MAKERS: Mapping[str, Callable[[Path], Path]] = {"similarity": medimageinsight_folder, "clip": clip_folder}


@pytest.fixture(scope="module", params=MAKERS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return the kind of a model and its folder."""
    return request.param, MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Return five pictures of noise, of different sizes, the third like the first."""
    source = np.random.default_rng(1)
    paths = [tmp_path / f"{name}.png" for name in "abcde"]
    for path, (height, width) in zip(paths, ((40, 60), (50, 30), (40, 60), (33, 33), (90, 41)), strict=True):
        pixels = source.integers(0, 255, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    paths[2].write_bytes(paths[0].read_bytes())
    return paths


def opened(kind: str, folder: Path, **options: Any) -> Any:
    return open_dual_encoder(require(kind, str(folder)), LOADERS[kind], device="cpu", **options)


def test_vectors_have_length_1_whatever_the_text(model: tuple[str, Path], images: list[Path]) -> None:
    with opened(*model) as encoder:
        texts, pictures = encoder.text_vectors(TEXTS), encoder.image_vectors(images)

    assert texts.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([texts, pictures]), axis=1), 1, atol=1e-6)
    assert (texts[0] == texts[4]).all()
    assert (pictures[0] == pictures[2]).all()
    assert not np.allclose(pictures[0], pictures[1], atol=1e-3)


@pytest.mark.slow
def test_vectors_do_not_depend_on_the_others_of_their_batch(
    model: tuple[str, Path], images: list[Path]
) -> None:
    with opened(*model) as encoder:
        together = encoder.text_vectors(TEXTS), encoder.image_vectors(images)
        alone = [encoder.text_vectors([text]) for text in TEXTS], [encoder.image_vectors([i]) for i in images]

    for rows, parts in zip(together, alone, strict=True):
        np.testing.assert_allclose(rows, np.concatenate(parts), atol=1e-6)


def test_nothing_to_encode_gives_no_vector(model: tuple[str, Path]) -> None:
    with opened(*model) as encoder:
        assert len(encoder.text_vectors([])) == len(encoder.image_vectors([])) == 0
        assert len(scaled_cosines([], [], encoder)) == 0


def test_the_second_time_vectors_come_out_of_the_cache(
    model: tuple[str, Path], images: list[Path], tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []

    def encode(folder: Path) -> tuple[Any, Any]:
        told.clear()
        with opened(
            model[0], folder, cache=tmp_path / "cache", progress=lambda *count: told.append(count)
        ) as e:
            return e.text_vectors(TEXTS), e.image_vectors(images)

    first, counts = encode(model[1]), list(told)
    second = encode(model[1])

    assert {total for _, total in counts} == {4, 5}  # of distinct pictures and texts
    assert told == [(0, 0), (0, 0)]
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_unreadable_pictures_are_named_after_the_others_are_kept(
    model: tuple[str, Path], images: list[Path], tmp_path: Path
) -> None:
    images[1].write_bytes(b"no picture")
    images[3].write_bytes(images[3].read_bytes()[:200])

    with (
        opened(*model, cache=tmp_path / "cache") as encoder,
        pytest.raises(
            MissingResource, match=r"2 images cannot be read: .*no image of a known format.*Replace them"
        ) as e,
    ):
        encoder.image_vectors(images)
    assert all(str(path) in str(e.value) for path in (images[1], images[3]))
    told: list[int] = []
    with opened(*model, cache=tmp_path / "cache", progress=lambda _, total: told.append(total)) as encoder:
        encoder.image_vectors([images[0], images[4]])
    assert told == [0]


@pytest.mark.slow
def test_bf16_moves_a_cosine_by_little(model: tuple[str, Path], images: list[Path]) -> None:
    scores = []
    for precision in ("fp32", "bf16"):
        with opened(*model, precision=precision) as encoder:
            scores.append(scaled_cosines(TEXTS[:5], images, encoder))

    assert 0 < np.abs(scores[0] - scores[1]).max() < 0.3


def test_vectors_of_another_width_are_refused(model: tuple[str, Path]) -> None:
    with (
        opened(*model) as encoder,
        pytest.raises(UsageFault, match=r"vectors have 3 numbers, .* 16: the file"),
    ):
        scaled_cosines(["a"], [np.ones(3, np.float32)], encoder)


def save(folder: Path, tensors: Mapping[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file(dict(tensors), folder / WEIGHTS_FILE)


def without_a_tensor(folder: Path) -> None:
    save(folder, {k: v for k, v in medimageinsight_tensors().items() if not k.endswith("ln_final.bias")})


def with_a_foreign_tensor(folder: Path) -> None:
    tensors = medimageinsight_tensors()
    save(folder, tensors | {"other": tensors["lang_projection"].clone()})


def with_another_shape(folder: Path) -> None:
    tensors = medimageinsight_tensors()
    save(folder, tensors | {"image_encoder.norms.bias": tensors["image_encoder.norms.bias"][:5].clone()})


def of_another_model(folder: Path) -> None:
    save(folder, {"bert.pooler": medimageinsight_tensors()["lang_projection"]})


def cut_off(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])


def no_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes(b"<html>")


def half_a_vocabulary(folder: Path) -> None:
    (folder / "vocab.json").write_bytes((folder / "vocab.json").read_bytes()[:60])


def another_tokenizer(folder: Path) -> None:
    path = folder / "vocab.json"
    vocabulary = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(vocabulary | {"more": len(vocabulary)}), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without_a_tensor, "lang_norm.bias"),
        (with_a_foreign_tensor, "other"),
        (with_another_shape, "image_norm.bias has shape"),
        (of_another_model, "not the weights of MedImageInsight"),
        (cut_off, "bytes, expected"),
        (no_weights, "not a file of weights|cannot be read"),
        (half_a_vocabulary, r"vocab\.json: not JSON"),
        (
            another_tokenizer,
            "the tokenizer has 515 tokens, but the weights expect 514: it belongs to another model",
        ),
    ],
)
def test_weights_or_a_tokenizer_that_do_not_fit_are_refused(
    tmp_path: Path, damage: Callable[[Path], None], told: str
) -> None:
    damage(medimageinsight_folder(tmp_path))

    with pytest.raises(MissingResource, match=told), opened("similarity", tmp_path):
        pass


def test_clip_without_a_tensor_or_cut_off_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = clip_folder(tmp_path) / "model.safetensors"
    whole, tensors = path.read_bytes(), load_file(path)
    tensors.pop("visual_projection.weight")
    save_file(tensors, path)
    with pytest.raises(MissingResource, match="visual_projection"), opened("clip", tmp_path):
        pass
    path.write_bytes(whole[:-50])
    with pytest.raises(MissingResource), opened("clip", tmp_path):
        pass
