"""Any causal language model reads pictures: proved on three families, small and with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    GenerationConfig,
    GPT2Config,
    MistralConfig,
    OPTConfig,
    Qwen3Config,
    ResNetConfig,
    SiglipVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from baselines.captions import open_ready, predict, select
from baselines.generation import GenerationOptions, said, settings_of
from baselines.models.captioner import CaptionerOptions, compose
from baselines.models.text import batched, encode, save_text
from baselines.selfcritical import SelfCriticalObjective, SelfCriticalOptions
from baselines.training import checkpoint
from baselines.training.loop import BEST, LAST, TrainingOptions, train
from baselines.training.objective import Share
from baselines.training.runtime import Runtime
from rocov2_eval.errors import RejectedInput

pytestmark = pytest.mark.slow  # networks are trained

CPU = torch.device("cpu")
RUNTIME = Runtime(device=CPU, bf16=False, share=Share())
ROWS = 304  # more than the tokenizer has tokens
ROTARY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,  # a frozen head of smaller numbers could say nothing clearly
}
GPT2: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128, "initializer_range": 0.3}
FAMILIES: Mapping[str, Callable[[], Any]] = {
    "qwen3": lambda: Qwen3Config(vocab_size=ROWS, tie_word_embeddings=True, **ROTARY),
    "mistral": lambda: MistralConfig(vocab_size=ROWS, pad_token_id=0, **ROTARY),
    "gpt2": lambda: GPT2Config(vocab_size=ROWS, **GPT2),
}
SIGLIP: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
LORA: dict[str, Any] = {"frozen": "decoder", "lora_rank": 4, "dropout": 0.1}
ONE = GenerationOptions(beams=1, no_repeat=0, most_tokens=12)


@pytest.fixture(scope="session")
def decoders(ready: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return a folder of a decoder of each family, with a tokenizer."""
    return {
        family: str(saved(config(), ready, tmp_path_factory.mktemp(family)))
        for family, config in FAMILIES.items()
    }


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, decoders: Mapping[str, str]) -> Any:
    """Return the folder of a decoder of a family."""
    return decoders[request.param]


@pytest.fixture
def reader(family: str, new_captioner: Any) -> Callable[..., Any]:
    """Return what makes a captioner with a decoder of a family."""
    return lambda **options: new_captioner(decoder=family, conditioning="prefix", **options)


def test_a_caption_is_as_likely_alone_as_beside_a_longer_one(reader: Any) -> None:
    ready = reader()
    captioner, pixels = ready.captioner.eval(), torch.randn(2, 3, 32, 32)
    short, long = encode(ready.text, ["CT", "MRI of the brain shows a lesion in the left lobe."], 48)
    with torch.no_grad():
        together = captioner(pixels, *tensors([short, long], ready))
        alone = captioner(pixels[:1], *tensors([short], ready))
    torch.testing.assert_close(together[:1], alone)


def test_what_fills_a_batch_up_changes_nothing(reader: Any) -> None:
    ready = reader()
    captioner, pixels = ready.captioner.eval(), torch.randn(2, 3, 32, 32)
    inputs, targets = tensors(encode(ready.text, ["CT", "Plain film of the abdomen."], 48), ready)
    other = inputs.clone()
    other[0, (targets[0] == ready.text.end).nonzero()[0, 0] + 1 :] = 7
    with torch.no_grad():
        torch.testing.assert_close(captioner(pixels, inputs, targets), captioner(pixels, other, targets))


@pytest.mark.parametrize("beams", [1, 3])
def test_remembered_keys_and_values_say_what_reading_anew_says(reader: Any, beams: int) -> None:
    ready = reader()
    captioner = ready.captioner.eval()
    options = GenerationOptions(beams=beams, no_repeat=0, most_tokens=12)
    found = []
    for remembers in (True, False):
        settings = settings_of(captioner, ready.text, options)
        settings.use_cache = remembers
        with torch.no_grad():
            visual = captioner.see(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
            found.append(said(captioner, ready.text, visual, settings))
    assert found[0] == found[1]


def test_what_is_generated_is_what_training_finds_likeliest(reader: Any) -> None:
    ready = reader()
    captioner, pixels = ready.captioner.eval(), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        visual = captioner.see(pixels)
        (row,) = said(captioner, ready.text, visual, settings_of(captioner, ready.text, ONE))
        inputs, _ = tensors([row], ready)
        logits = captioner.decoder(**captioner.given(visual, inputs), logits_to_keep=inputs.shape[1]).logits
    logits[..., len(ready.text) :] = -torch.inf
    likeliest = logits[0, 1 : len(row)].argmax(-1).tolist()
    assert list(row[1:]) == likeliest


def test_a_picture_gets_the_same_caption_alone_and_in_a_batch(reader: Any, examples: Any) -> None:
    ready = reader()
    together = predict(ready, examples, CPU)
    assert together[2] == predict(ready, select(examples, np.array([2])), CPU)[0]


@pytest.mark.parametrize("options", [{}, LORA, {**LORA, "frozen": "both", "base": "bf16"}])
def test_a_caption_is_likelier_with_its_picture_than_with_another(
    reader: Any, new_objective: Any, learn: Any, options: dict[str, Any]
) -> None:
    objective = new_objective(reader(visual_grid=2, **options))
    learn(objective, 40, rate=1e-2)
    objective.model.eval()
    fetched = objective.fetch(np.arange(8))
    others = fetched._replace(pixels=np.roll(fetched.pixels, 1, axis=0))
    with torch.no_grad():
        own, other = (
            float(objective.loss(objective.model, one, torch.Generator(), CPU, Share()))
            for one in (fetched, others)
        )
    assert own < other - 0.4


def test_adapters_and_the_projection_alone_learn(reader: Any, new_objective: Any, learn: Any) -> None:
    ready = reader(**{**LORA, "frozen": "both"})
    before = {name: each.clone() for name, each in ready.captioner.named_parameters()}
    learn(new_objective(ready), 2)
    after = dict(ready.captioner.named_parameters())
    moved = {name for name in before if not after[name].equal(before[name])}
    assert {name for name in before if "lora_" in name or name.startswith("enc_to_dec_proj")} == moved


def test_a_saved_captioner_is_opened_as_it_was(
    reader: Any, new_objective: Any, examples: Any, tmp_path: Path
) -> None:
    ready = reader(**LORA)
    new_objective(ready).save(tmp_path)
    checkpoint.write(tmp_path / BEST, ready.captioner.state_dict(), {})
    again = open_ready(tmp_path, tmp_path / BEST)
    assert predict(ready, examples, CPU) == predict(again, examples, CPU)


def test_a_run_that_was_stopped_ends_in_the_same_weights(
    reader: Any, new_objective: Any, tmp_path: Path
) -> None:
    options = TrainingOptions(epochs=3, batch=4, rate=1e-3, average=0.0, save_every=1)

    def trained(folder: Path, stop: int, *, resume: bool = False) -> Any:
        objective = new_objective(reader(**LORA))

        def interrupted(done: int, _total: int) -> None:
            if done == stop:
                raise InterruptedError

        train(objective, options, RUNTIME, folder, 0, lambda _: None, resume=resume, progress=interrupted)
        return checkpoint.read(folder / LAST)[0]

    whole = trained(tmp_path / "whole", stop=0)
    with pytest.raises(InterruptedError):
        trained(tmp_path / "cut", stop=4)
    torch.testing.assert_close(whole, trained(tmp_path / "cut", stop=0, resume=True), rtol=0, atol=0)


def test_checkpointing_changes_no_gradient_of_adapters(reader: Any) -> None:
    gradients = []
    for checkpointing in (False, True):
        ready = reader(checkpointing=checkpointing, **{**LORA, "dropout": 0.0})
        pair = tensors(encode(ready.text, ["CT"], 48), ready)
        captioner = ready.captioner.train()
        captioner(torch.ones(1, 3, 32, 32), *pair).sum().backward()
        gradients.append({name: each.grad for name, each in captioner.named_parameters()})
    torch.testing.assert_close(*gradients)


def test_rows_without_a_token_are_never_said(reader: Any, examples: Any) -> None:
    ready = reader()
    captioner = ready.captioner.eval()
    head = captioner.decoder.get_output_embeddings()

    def in_love_with_them(_module: Any, _inputs: Any, logits: Any) -> Any:
        logits[..., len(ready.text) :] += 1e4
        return logits

    hook = head.register_forward_hook(in_love_with_them)
    captions = predict(ready, examples, CPU)
    hook.remove()
    assert all(caption.strip() for caption in captions)


def test_how_a_chat_was_generated_does_not_mix_with_our_settings(
    decoders: Mapping[str, str], new_captioner: Any, examples: Any, tmp_path: Path
) -> None:
    plain = new_captioner(decoder=decoders["qwen3"], conditioning="prefix")
    folder = Path(decoders["qwen3"])
    chat = GenerationConfig(repetition_penalty=50.0, do_sample=True, temperature=9.0, max_new_tokens=1)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    chat.save_pretrained(tmp_path)
    other = new_captioner(decoder=str(tmp_path), conditioning="prefix")
    assert predict(plain, examples, CPU) == predict(other, examples, CPU)


def test_the_second_phase_has_no_dropout_in_any_family(reader: Any, new_objective: Any) -> None:
    captions = new_objective(reader(dropout=0.4, frozen="decoder", lora_rank=2))
    objective = SelfCriticalObjective(captions, lambda ours, _: np.zeros(len(ours)), SelfCriticalOptions())
    pair = tensors(encode(captions.ready.text, ["CT of the chest."], 48), captions.ready)
    model, pixels = objective.model.train(), torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model(pixels, *pair), model(pixels, *pair), rtol=0, atol=0)


@pytest.mark.parametrize(
    "config",
    [SiglipVisionConfig(**SIGLIP), ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])],
    ids=["siglip", "resnet"],
)
def test_a_frozen_encoder_of_any_kind_stays_as_it_is(
    config: Any, reader: Any, new_objective: Any, learn: Any, tmp_path: Path
) -> None:
    AutoModel.from_config(config).save_pretrained(tmp_path)
    look = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(look), encoding="utf-8")
    ready = reader(encoder=str(tmp_path), **{**LORA, "frozen": "both", "base": "bf16"})
    before = {name: each.clone() for name, each in ready.captioner.encoder.state_dict().items()}
    ready.captioner.train()
    losses = learn(new_objective(ready), 3)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(before, ready.captioner.encoder.state_dict(), rtol=0, atol=0)


def test_a_model_that_knows_the_words_to_come_is_no_decoder(ready: Any, tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=ROWS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with pytest.raises(RejectedInput, match="BertLMHeadModel reads the words that it should predict"):
        composed(saved(config, ready, tmp_path))


def test_a_model_of_questions_and_answers_is_no_decoder(ready: Any, tmp_path: Path) -> None:
    config = T5Config(vocab_size=ROWS, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    save_text(ready.text, tmp_path)
    with pytest.raises(RejectedInput, match="cannot be opened as AutoModelForCausalLM"):
        composed(tmp_path)


def test_cross_attention_with_another_family_is_refused(decoders: Mapping[str, str]) -> None:
    with pytest.raises(
        RejectedInput, match="cross-attention is only for 'gpt2': set conditioning = 'prefix'"
    ):
        composed(Path(decoders["mistral"]), conditioning="cross")


def test_a_tokenizer_with_more_tokens_than_the_decoder_is_refused(decoders: Mapping[str, str]) -> None:
    with pytest.raises(RejectedInput, match="the model has 304 tokens, but its tokenizer has 400"):
        composed(Path(decoders["gpt2"]), vocabulary=400)


def test_dropout_reaches_every_place_of_every_family(reader: Any) -> None:
    decoder = reader(dropout=0.25).captioner.decoder
    shares = {key: value for key, value in decoder.config.to_dict().items() if "drop" in key}
    assert {0.25} == set(shares.values())


def test_further_families_read_pictures(
    ready: Any, new_captioner: Any, examples: Any, tmp_path: Path
) -> None:
    config = OPTConfig(
        vocab_size=ROWS,
        hidden_size=32,
        num_hidden_layers=1,
        ffn_dim=32,
        num_attention_heads=2,
        word_embed_proj_dim=32,
        max_position_embeddings=128,
    )
    found = new_captioner(decoder=str(saved(config, ready, tmp_path)), conditioning="prefix")
    assert len(predict(found, examples, CPU)) == len(examples)


def saved(config: Any, ready: Any, folder: Path) -> Path:
    """Write a causal language model with random weights, and the tokenizer of the tests."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    save_text(ready.text, folder)
    return folder


def composed(folder: Path, *, vocabulary: int = 300, conditioning: str = "prefix") -> Any:
    """Return a captioner with the decoder of a folder."""
    options: dict[str, Any] = {"encoder": "random/nano", "size": 32, "conditioning": conditioning}
    return compose(CaptionerOptions(decoder=str(folder), **options), vocabulary=vocabulary, end=0)


def tensors(rows: list[Any], ready: Any) -> tuple[Any, ...]:
    """Return what the decoder reads and should say."""
    return tuple(map(torch.from_numpy, batched(rows, ready.text.end)))
