from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file
from transformers import VisionEncoderDecoderModel

from baselines.captions import begin, look_of
from baselines.generation import GenerationOptions
from baselines.models.captioner import CaptionerOptions, compose, is_new
from baselines.models.text import END, IGNORED, batched, decode, encode, open_text, save_text, train_text
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

pytestmark = pytest.mark.slow


def test_every_caption_ends_with_the_mark_and_the_mark_is_a_target(ready: Any) -> None:
    rows = encode(ready.text, ["Chest X-ray.", "CT"], 48)
    _, targets = batched(rows, ready.text.end)
    assert [ready.text.end, ready.text.end] == [
        row[len(ids) - 1] for row, ids in zip(targets, rows, strict=True)
    ]


def test_places_beyond_the_end_are_no_targets(ready: Any) -> None:
    rows = encode(ready.text, ["Chest X-ray.", "CT"], 48)
    _, targets = batched(rows, ready.text.end)
    assert list(map(len, rows)) == (targets != IGNORED).sum(1).tolist()


def test_the_decoder_reads_each_token_one_place_before_it_should_say_the_next(ready: Any) -> None:
    rows = encode(ready.text, ["Chest X-ray."], 48)
    inputs, targets = batched(rows, ready.text.end)
    n = len(rows[0])
    assert [ready.text.end, *targets[0, : n - 1]] == inputs[0, :n].tolist()


def test_batches_are_padded_to_a_multiple_of_eight(ready: Any) -> None:
    inputs, _ = batched(encode(ready.text, ["Chest X-ray."], 48), ready.text.end)
    assert inputs.shape[1] % 8 == 0


def test_a_caption_that_is_too_long_is_cut_and_ends(ready: Any) -> None:
    (row,) = encode(ready.text, ["Chest X-ray " * 20], 10)
    assert (10, ready.text.end) == (len(row), row[-1])


def test_a_caption_comes_back_on_one_line(ready: Any) -> None:
    rows = encode(ready.text, ["Œdème, 3 µm:\n  «left»  lung"], 96)
    assert decode(ready.text, rows) == ["Œdème, 3 µm: «left» lung"]


def test_a_saved_tokenizer_reads_the_same(ready: Any, tmp_path: Path) -> None:
    save_text(ready.text, tmp_path)
    assert encode(ready.text, ["MRI, 12 cm"], 48) == encode(open_text(tmp_path), ["MRI, 12 cm"], 48)


def test_a_vocabulary_that_cannot_spell_is_refused() -> None:
    with pytest.raises(UsageFault, match="vocabulary: 100 tokens, expected at least 257"):
        train_text(["a"], 100)


def test_our_likelihood_is_that_of_the_composed_model_of_transformers(new_captioner: Any) -> None:
    captioner = new_captioner().captioner.eval()
    theirs = VisionEncoderDecoderModel(encoder=captioner.encoder.model, decoder=captioner.decoder).eval()
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.randint(0, 256, (2, 8))
    with torch.no_grad():
        logits = theirs(pixel_values=pixels, decoder_input_ids=tokens).logits
        ours = captioner(pixels, tokens, tokens)
    expected = torch.nn.functional.cross_entropy(logits.mT, tokens, reduction="none").sum(1)
    torch.testing.assert_close(expected, ours)


def test_pooling_keeps_the_whole_and_averages_the_patches(new_captioner: Any) -> None:
    captioner = new_captioner(visual_grid=2).captioner.eval()
    assert tuple(captioner.see(torch.randn(3, 3, 32, 32)).shape) == (3, 1 + 4, 64)


def test_checkpointing_changes_no_gradient(new_captioner: Any) -> None:
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.randint(0, 256, (2, 8))
    gradients = []
    for checkpointing in (False, True):
        captioner = new_captioner(checkpointing=checkpointing).captioner.train()
        captioner(pixels, tokens, tokens).sum().backward()
        gradients.append({name: each.grad for name, each in captioner.named_parameters()})
    torch.testing.assert_close(*gradients)


def test_cross_attention_is_new_and_never_frozen(new_captioner: Any) -> None:
    captioner = new_captioner(frozen="both").captioner
    trained = [name for name, each in captioner.named_parameters() if each.requires_grad]
    assert trained == [name for name, _ in captioner.named_parameters() if is_new(name)]


def test_frozen_weights_may_be_bfloat16_and_new_ones_are_not(new_captioner: Any) -> None:
    captioner = new_captioner(frozen="decoder", base="bf16").captioner
    kinds = {each.requires_grad: each.dtype for each in captioner.parameters() if each.ndim > 1}
    assert {False: torch.bfloat16, True: torch.float32} == kinds


def test_weights_are_read_from_folders(folders: tuple[Path, Path]) -> None:
    encoder, decoder = folders
    options = CaptionerOptions(encoder=str(encoder), decoder=str(decoder), size=32)
    found = begin(options, GenerationOptions(), ["unused"])
    original = load_file(decoder / "model.safetensors")["transformer.wte.weight"]
    torch.testing.assert_close(original, found.captioner.decoder.transformer.wte.weight.data)


def test_how_pictures_must_look_is_read_from_the_folder_of_the_encoder(folders: tuple[Path, Path]) -> None:
    look = look_of(CaptionerOptions(encoder=str(folders[0]), decoder="random/nano", size=32))
    assert (look.mean, look.std) == ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))


def test_an_encoder_that_does_not_say_how_pictures_must_look_is_refused(folders: tuple[Path, Path]) -> None:
    (folders[0] / "preprocessor_config.json").unlink()
    with pytest.raises(RejectedInput, match="expected image_mean and image_std"):
        look_of(CaptionerOptions(encoder=str(folders[0]), decoder="random/nano", size=32))


def test_a_decoder_of_another_kind_is_refused(folders: tuple[Path, Path]) -> None:
    options = CaptionerOptions(encoder="random/nano", decoder=str(folders[0]), size=32)
    with pytest.raises(RejectedInput, match="a model of the kind 'vit'; cross-attention is only for 'gpt2'"):
        compose(options, vocabulary=300, end=0)


def test_weights_that_cannot_be_fetched_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    options = CaptionerOptions(encoder="random/nano", decoder="stanford-crfm/BioMedLM", size=32)
    with pytest.raises(MissingResource, match="`hf download stanford-crfm/BioMedLM`"):
        begin(options, GenerationOptions(), ["unused"])


def test_an_unknown_random_decoder_is_refused_with_those_there_are() -> None:
    options = CaptionerOptions(encoder="random/nano", decoder="random/gpt5", size=32)
    with pytest.raises(UsageFault, match="expected one of random/nano, random/distilgpt2"):
        compose(options, vocabulary=300, end=0)


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageFault, match="adapters need a frozen decoder"):
        CaptionerOptions(lora_rank=8)


def test_the_mark_is_spelt_as_in_gpt2(ready: Any) -> None:
    assert ready.text.tokenizer.eos_token == END
