"""Text encoders: loading, batches, cache; on small random models made on the spot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rocov2_eval.encoders import Arena, TextEncoder, open_encoder
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.models import ModelFolder

import small_models

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.encoder,
    # transformers 4 compiles parts of DeBERTa with what torch 2.13 calls deprecated.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
]

TEXTS = ["axial chest", "", "a mass in the left lobe", "axial chest", " axial chest ", "arrow", "fracture"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: small_models.make(family, root / family) for family in small_models.FAMILIES}


@pytest.fixture
def encoder(folders: dict[str, Path]) -> Iterator[TextEncoder]:
    with opened(folders["bert"]) as held:
        yield held


def opened(path: Path, **options: Any) -> Any:
    folder = ModelFolder(name=path.name, path=path, layer=None)
    return open_encoder(folder, **({"notify": pytest.fail, "device": "cpu"} | options))


def vectors_of(arena: Arena, text: int) -> np.ndarray:
    sequence = arena.tokens.index[text]
    return arena.vectors[arena.tokens.offsets[sequence] : arena.tokens.offsets[sequence + 1]]


def test_equal_texts_share_one_sequence(encoder: TextEncoder) -> None:
    index = encoder.encode(TEXTS).tokens.index
    assert index[0] == index[3] == index[4]
    assert len(set(index.tolist())) == 5


def test_the_array_has_a_row_for_every_token_of_a_distinct_sequence(encoder: TextEncoder) -> None:
    arena = encoder.encode(TEXTS)
    assert arena.vectors.shape == (len(arena.tokens.ids), 32)
    assert arena.vectors.dtype == np.float32


def test_every_vector_has_length_one(encoder: TextEncoder) -> None:
    lengths = np.linalg.norm(encoder.encode(TEXTS).vectors, axis=1)
    assert lengths == pytest.approx(1.0, abs=1e-6)


def test_an_empty_text_has_the_special_tokens_only(encoder: TextEncoder) -> None:
    tokens = encoder.tokenise([""])
    assert tokens.ids.tolist() == list(tokens.specials)
    assert tokens.bare_length == 2


def test_no_texts_give_an_empty_array(encoder: TextEncoder) -> None:
    assert encoder.encode([]).vectors.shape == (0, 32)


def test_a_text_is_encoded_as_if_it_were_alone(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS)
    for number, text in enumerate(TEXTS):
        alone = vectors_of(encoder.encode([text]), 0)
        assert np.abs(vectors_of(together, number) - alone).max() < 1e-6


def test_two_runs_give_the_same_bits(encoder: TextEncoder) -> None:
    texts = small_models.captions(50)
    assert encoder.encode(texts).vectors.tobytes() == encoder.encode(texts[::-1]).vectors.tobytes()


def test_a_batch_holds_sequences_of_one_length_within_the_budget(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_token_budget", 60)
    shapes = recorded_shapes(encoder, monkeypatch)
    arena = encoder.encode(small_models.captions(80))
    assert sum(rows * length for rows, length in shapes) == len(arena.tokens.ids)
    assert all(rows * length <= 60 or rows == 1 for rows, length in shapes)


def test_the_longest_batches_come_first(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = recorded_shapes(encoder, monkeypatch)
    encoder.encode(small_models.captions(80))
    lengths = [length for _, length in shapes]
    assert lengths == sorted(lengths, reverse=True)


def recorded_shapes(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    shapes: list[tuple[int, int]] = []
    forward = encoder._forward

    def recording(ids: np.ndarray) -> np.ndarray:
        shapes.append(ids.shape)
        return forward(ids)

    monkeypatch.setattr(encoder, "_forward", recording)
    return shapes


def short_of_memory(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    forward, sizes = encoder._forward, []

    def fussy(ids: np.ndarray) -> np.ndarray:
        sizes.append(ids.size)
        if ids.size > most:
            raise torch.cuda.OutOfMemoryError("too much")
        return forward(ids)

    monkeypatch.setattr(encoder, "_forward", fussy)
    return sizes


def test_a_batch_that_does_not_fit_is_halved(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = small_models.captions(60)
    expected = encoder.encode(texts)
    sizes = short_of_memory(encoder, monkeypatch, 80)
    assert np.abs(encoder.encode(texts).vectors - expected.vectors).max() < 1e-6
    # The lower budget is kept: later batches are not tried at the old size first.
    assert sum(size > 80 for size in sizes) <= 3


def test_a_sequence_that_does_not_fit_alone_ends_with_advice(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(encoder, monkeypatch, 3)
    with pytest.raises(MissingResource, match="--device cpu"):
        encoder.encode(["axial chest mass"])


def test_values_that_are_no_numbers_are_refused(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = torch.full((1, 3, 32), float("nan"))
    model = lambda **_: SimpleNamespace(last_hidden_state=states)  # noqa: E731
    model.device, model.embeddings = "cpu", None
    monkeypatch.setattr(encoder, "_model", model)
    with pytest.raises(MissingResource, match="not finite"):
        encoder.encode(["axial"])


def test_progress_counts_distinct_texts(folders: dict[str, Path]) -> None:
    seen: list[tuple[int, int]] = []
    with opened(folders["bert"], progress=lambda done, total: seen.append((done, total))) as encoder:
        encoder.encode(TEXTS)
        total = len(set(encoder.tokenise(TEXTS).index.tolist()))
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)


def test_layers_above_the_chosen_one_are_not_built(folders: dict[str, Path]) -> None:
    with opened(folders["deberta"], layer=1) as encoder:
        assert len(encoder._model.encoder.layer) == 1
        assert encoder.layer == 1


@pytest.mark.parametrize("layer", [4, -1])
def test_a_layer_that_the_model_lacks_is_refused(folders: dict[str, Path], layer: int) -> None:
    with pytest.raises(UsageFault, match="layers 1 to 3"), opened(folders["bert"], layer=layer):
        pass


def test_an_unknown_precision_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageFault, match="fp8"), opened(folders["bert"], precision="fp8"):
        pass


def test_an_unknown_device_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageFault, match="abacus"), opened(folders["bert"], device="abacus"):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_device_that_is_not_there_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(MissingResource, match="no cuda device"), opened(folders["bert"], device="cuda"):
        pass


def test_weights_stored_in_half_precision_are_computed_with_in_fp32(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import BertModel

    half = tmp_path / "half"
    shutil.copytree(folders["bert"], half)
    BertModel.from_pretrained(half).half().save_pretrained(half)
    with opened(half) as encoder:
        assert encoder._model.embeddings.word_embeddings.weight.dtype == torch.float32


def test_bf16_is_close_to_fp32(folders: dict[str, Path]) -> None:
    with opened(folders["deberta"]) as full, opened(folders["deberta"], precision="bf16") as narrow:
        cosines = (full.encode(TEXTS).vectors * narrow.encode(TEXTS).vectors).sum(axis=1)
    assert (cosines > 0.999).all()


@pytest.mark.parametrize("family", ["bert", "deberta"])
def test_a_checkpoint_that_lacks_tensors_is_refused(
    folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(folders[family], broken)
    weights = load_file(broken / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MissingResource, match="lack 1 tensor, such as"), opened(broken):
        pass


def test_a_text_beyond_the_tokenizers_limit_is_cut_with_a_note(folders: dict[str, Path]) -> None:
    notes: list[str] = []
    with opened(folders["bert"], notify=notes.append) as encoder:
        assert len(encoder.encode(["chest " * 1000]).tokens.ids) == 512
    assert ["1 caption with 512 tokens or more" in note for note in notes] == [True]


@pytest.mark.slow
def test_a_tokenizer_without_limit_cuts_nothing(folders: dict[str, Path]) -> None:
    with opened(folders["deberta"]) as encoder:
        assert len(encoder.encode(["chest " * 1278]).tokens.ids) > 1000


def test_a_text_beyond_the_positions_of_the_model_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    boundless = tmp_path / "boundless"
    shutil.copytree(folders["roberta"], boundless)
    settings = json.loads((boundless / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (boundless / "tokenizer_config.json").write_text(json.dumps(settings))
    with opened(boundless) as encoder, pytest.raises(RejectedInput, match="encoder accepts 512"):
        encoder.encode(["chest " * 1000])


def test_the_identity_names_the_model_and_its_weights(folders: dict[str, Path]) -> None:
    with opened(folders["bert"]) as one, opened(folders["roberta"]) as other:
        name, _, digest = one.identity.partition("@")
        assert (name, len(digest)) == ("bert", 12)
        assert digest != other.identity.partition("@")[2]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cached_vectors_are_the_same_bits(folders: dict[str, Path], tmp_path: Path, precision: str) -> None:
    with opened(folders["bert"], cache=tmp_path, precision=precision) as encoder:
        fresh = encoder.encode(TEXTS).vectors.tobytes()
    seen: list[tuple[int, int]] = []
    with opened(
        folders["bert"], cache=tmp_path, precision=precision, progress=lambda *counts: seen.append(counts)
    ) as encoder:
        assert encoder.encode(TEXTS).vectors.tobytes() == fresh
    assert seen == [(0, 0)]


def test_only_texts_that_the_cache_lacks_are_run(folders: dict[str, Path], tmp_path: Path) -> None:
    with opened(folders["bert"], cache=tmp_path) as encoder:
        encoder.encode(TEXTS[:2])
        seen: list[tuple[int, int]] = []
        encoder._progress = lambda *counts: seen.append(counts)
        encoder.encode(TEXTS)
    assert seen[-1] == (len(set(encoder.tokenise(TEXTS).index.tolist())) - 2,) * 2


@pytest.mark.parametrize("change", [{"layer": 2}, {"precision": "bf16"}])
def test_another_layer_or_precision_does_not_meet_in_the_cache(
    folders: dict[str, Path], tmp_path: Path, change: dict[str, Any]
) -> None:
    with opened(folders["bert"], **change) as encoder:
        expected = encoder.encode(TEXTS).vectors.tobytes()
    with opened(folders["bert"], cache=tmp_path) as encoder:
        encoder.encode(TEXTS)
    with opened(folders["bert"], cache=tmp_path, **change) as encoder:
        assert encoder.encode(TEXTS).vectors.tobytes() == expected


@pytest.mark.parametrize("attention", [["c2p"], ["c2p", "p2c"]])
def test_our_own_forward_pass_is_taken_for_the_official_kind_of_attention_only(
    folders: dict[str, Path], tmp_path: Path, attention: list[str]
) -> None:
    from rocov2_eval.deberta import Deberta

    folder = tmp_path / "model"
    shutil.copytree(folders["deberta"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pos_att_type": attention}))
    with opened(folder) as encoder:
        assert isinstance(encoder._model, Deberta) == (attention == ["c2p", "p2c"])
        assert np.isfinite(encoder.encode(TEXTS).vectors).all()


def test_vectors_of_our_own_forward_pass_do_not_meet_those_of_transformers_in_the_cache(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folders["deberta"], cache=tmp_path) as encoder:
        ours = encoder.encode(TEXTS).vectors
    monkeypatch.setattr("rocov2_eval.encoders._fastest", lambda model: model)
    seen: list[tuple[int, int]] = []
    with opened(folders["deberta"], cache=tmp_path, progress=lambda *counts: seen.append(counts)) as encoder:
        assert np.abs(encoder.encode(TEXTS).vectors - ours).max() < 1e-6
    assert seen[0] != (0, 0)


def test_an_interrupted_run_leaves_its_finished_batches_in_the_cache(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocov2_eval.encoders._CACHE_CHUNK_BYTES", 1)
    texts = small_models.captions(60)

    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        opened(folders["bert"], cache=tmp_path, progress=interrupt) as encoder,
    ):
        encoder.encode(texts)
    seen: list[tuple[int, int]] = []
    with opened(folders["bert"], cache=tmp_path, progress=lambda *counts: seen.append(counts)) as encoder:
        arena = encoder.encode(texts)
    assert 0 < seen[-1][1] < 0.7 * len(arena.tokens.ids)
