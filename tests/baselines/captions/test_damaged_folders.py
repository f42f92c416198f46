"""Of folders that cannot work the command tells the file and the fault, never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen3Config

from baselines.captions import FACTS
from baselines.cli import run
from baselines.models.text import save_text
from baselines.training.loop import BEST

pytestmark = pytest.mark.slow

Output = pytest.CaptureFixture[str]
Damage = Callable[[Path], object]
SHORT = ("training.epochs=1", "training.batch=36", "data.workers=1", "captions.validated=1")
LORA = ("captioner.conditioning=prefix", "captioner.frozen=decoder", "captioner.lora_rank=2")
QWEN: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}


@pytest.fixture(scope="module")
def good(ready: Any, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an encoder, a decoder, and a run that was trained from them."""
    root = tmp_path_factory.mktemp("good")
    ready.captioner.encoder.model.save_pretrained(root / "encoder")
    look = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (root / "encoder/preprocessor_config.json").write_text(json.dumps(look), encoding="utf-8")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(Qwen3Config(vocab_size=304, **QWEN)).save_pretrained(root / "decoder")
    save_text(ready.text, root / "decoder")
    assert run(training(root, tiny_dataset, root / "run")) == 0
    return root


def training(folders: Path, data: Path, out: Path) -> list[str]:
    """Return the command that trains from the encoder and decoder of a folder."""
    halves = (f"captioner.{half}='{folders / half}'" for half in ("encoder", "decoder"))
    keys = ("captioner.size=32", *halves, *SHORT, *LORA)
    common = ["--data", str(data), "--cache", str(data.parent / "cache"), "--quiet", "--out", str(out)]
    return ["train", "captions_nano", *common, *(part for key in keys for part in ("--set", key))]


def bytes_of(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def tensors_of(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Damage:
    return lambda folder: save_file(change(load_file(folder / name)), folder / name, {"format": "pt"})


def value_of(name: str, *keys: str, value: object) -> Damage:
    def change(folder: Path) -> None:
        document = json.loads((folder / name).read_text(encoding="utf-8"))
        place = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        (folder / name).write_text(json.dumps(document), encoding="utf-8")

    return change


WEIGHTS = "model.safetensors"
STARTS: Mapping[str, tuple[str, Damage, int, str]] = {
    "decoder, another prefix": (
        "decoder",
        tensors_of(WEIGHTS, lambda of: {f"x.{name}": each for name, each in of.items()}),
        1,
        "the file lacks lm_head.weight, model.embed_tokens.weight",
    ),
    "decoder, a matrix is missing": (
        "decoder",
        tensors_of(WEIGHTS, lambda of: {n: t for n, t in of.items() if "layers.1.mlp.up" not in n}),
        1,
        "the file lacks model.layers.1.mlp.up_proj.weight",
    ),
    "decoder, no numbers": (
        "decoder",
        tensors_of(WEIGHTS, lambda of: {name: each * float("nan") for name, each in of.items()}),
        1,
        "the output of Qwen3ForCausalLM is not finite",
    ),
    "decoder, cut": (
        "decoder",
        bytes_of(WEIGHTS, b"x" * 30),
        1,
        f"{WEIGHTS}: expected a complete safetensors file",
    ),
    "decoder, absent": ("decoder", lambda at: (at / WEIGHTS).unlink(), 3, "neither model.safetensors"),
    "decoder, strange configuration": (
        "decoder",
        value_of("config.json", "vocab_size", value="many"),
        1,
        "'vocab_size' expected int",
    ),
    "decoder, weights of few bits": (
        "decoder",
        value_of(
            "config.json", "quantization_config", value={"quant_method": "bitsandbytes", "load_in_4bit": True}
        ),
        1,
        "requires bitsandbytes",
    ),
    "tokenizer, cut": (
        "decoder",
        bytes_of("tokenizer.json", b'{"a":'),
        1,
        "the tokenizer cannot be opened",
    ),
    "tokenizer, another model": (
        "decoder",
        value_of("tokenizer.json", "model", "type", value="Magic"),
        1,
        "the tokenizer cannot be opened",
    ),
    "tokenizer, absent": (
        "decoder",
        lambda at: (at / "tokenizer.json").unlink(),
        3,
        "no tokenizer, expected",
    ),
    "encoder, no numbers": (
        "encoder",
        tensors_of(WEIGHTS, lambda of: {name: each * float("nan") for name, each in of.items()}),
        1,
        "the output of ViTModel is not finite",
    ),
    "encoder, without its last norm": (
        "encoder",
        tensors_of(WEIGHTS, lambda of: {n: t for n, t in of.items() if not n.startswith("layernorm")}),
        1,
        "the file lacks layernorm.bias, layernorm.weight",
    ),
}
RUNS: Mapping[str, tuple[Damage, int, str]] = {
    "weights, cut": (bytes_of(BEST, b"x" * 30), 1, f"{BEST}: expected a complete safetensors file"),
    "weights, absent": (lambda at: (at / BEST).unlink(), 3, f"{BEST}: no such checkpoint"),
    "adapters of another rank": (
        value_of(FACTS, "options", "lora_rank", value=3),
        1,
        "lora_A.default.weight [2, 48] instead of [3, 48]",
    ),
    "of an earlier version": (value_of(FACTS, "layout", value=1), 1, "a captioner of layout 1, expected 2"),
    "no patches": (value_of(FACTS, "shapes", "encoder", "patch_size", value=0), 1, FACTS),
    "no vision": (value_of(FACTS, "shapes", "encoder", "model_type", value="gpt2"), 1, FACTS),
    "tokenizer, cut": (bytes_of("tokenizer/tokenizer.json", b"{}"), 1, "the tokenizer cannot be opened"),
}


@pytest.mark.parametrize("name", STARTS)
def test_training_from_what_does_not_fit_tells_why(
    good: Path, tiny_dataset: Path, tmp_path: Path, capsys: Output, name: str
) -> None:
    half, damage, code, message = STARTS[name]
    shutil.copytree(good, tmp_path / "folders")
    damage(tmp_path / "folders" / half)
    capsys.readouterr()
    assert run(training(tmp_path / "folders", tiny_dataset, tmp_path / "out")) == code
    told = capsys.readouterr().err
    assert message in told
    assert str(tmp_path / "folders" / half) in told


@pytest.mark.parametrize("name", RUNS)
def test_predicting_with_a_spoilt_run_tells_why(
    good: Path, tiny_dataset: Path, tmp_path: Path, capsys: Output, name: str
) -> None:
    damage, code, message = RUNS[name]
    shutil.copytree(good / "run", tmp_path / "run")
    damage(tmp_path / "run")
    capsys.readouterr()
    assert run(predicting(tmp_path / "run", tiny_dataset, tmp_path / "run.csv")) == code
    told = capsys.readouterr().err
    assert message in told
    assert str(tmp_path / "run") in told


def test_a_sound_run_predicts(good: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    assert run(predicting(good / "run", tiny_dataset, tmp_path / "run.csv")) == 0
    assert len((tmp_path / "run.csv").read_text(encoding="utf-8").splitlines()) == 1 + 18


def predicting(folder: Path, data: Path, out: Path) -> list[str]:
    """Return the command that writes the captions of a run."""
    common = ["--data", str(data), "--cache", str(data.parent / "cache"), "--quiet", "--out", str(out)]
    return ["predict", str(folder), *common, "--split", "test"]
