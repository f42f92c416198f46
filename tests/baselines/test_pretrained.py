"""Weights of transformers are opened only if they fit; any vision encoder gives vectors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    GPT2Config,
    GPT2LMHeadModel,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTModel,
)
from vision_models import CONFIGS, SIDE, TINY, made, saved

from baselines.models.pretrained import opened
from baselines.models.vision import open_vision, rebuild_vision, vision_config
from rocov2_eval.errors import MissingResource, RejectedInput

Damage = Callable[[dict[str, Any]], dict[str, Any]]
MATRIX = "vit.encoder.layer.0.intermediate.dense.weight"  # as files name it
DAMAGES: dict[str, tuple[Damage, str]] = {
    "another prefix": (
        lambda all_of: {f"model.{n}": t for n, t in all_of.items()},
        "lacks embeddings.cls_token",
    ),
    "a matrix is missing": (
        lambda all_of: {n: t for n, t in all_of.items() if n != MATRIX},
        "lacks layers.0.mlp.fc1.weight",
    ),
    "the last norm is missing": (
        lambda all_of: {n: t for n, t in all_of.items() if not n.startswith("vit.layernorm.")},
        "lacks layernorm.bias, layernorm.weight",
    ),
    "a matrix of another shape": (
        lambda all_of: {**all_of, MATRIX: all_of[MATRIX][:3].clone()},
        r"other shapes: layers.0.mlp.fc1.weight \[3, 16\] instead of \[32, 16\]",
    ),
    "a layer more": (
        lambda all_of: {**all_of, "vit.encoder.layer.5.intermediate.dense.weight": all_of[MATRIX].clone()},
        "has additional tensors: vit.layers.5.mlp.fc1.weight",
    ),
}


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    return saved(ViTForImageClassification(ViTConfig(**TINY)), tmp_path / "vit")


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_do_not_fit_are_refused_with_file_and_key(vit: Path, damage: str) -> None:
    change, message = DAMAGES[damage]
    file = vit / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})
    with pytest.raises(RejectedInput, match=message) as refusal:
        opened(ViTModel, vit, add_pooling_layer=False)
    assert str(vit) in str(refusal.value)


def test_a_layer_that_would_be_cut_off_below_a_head_is_refused(vit: Path) -> None:
    file = vit / "model.safetensors"
    save_file(DAMAGES["a layer more"][0](load_file(file)), file, {"format": "pt"})
    with pytest.raises(RejectedInput, match=DAMAGES["a layer more"][1]):
        opened(ViTForImageClassification, vit)


def test_a_head_of_another_number_of_classes_starts_anew_where_it_may(vit: Path) -> None:
    config = ViTConfig(**TINY, num_labels=5)
    head = opened(ViTForImageClassification, vit, new=("classifier.",), config=config).classifier
    assert tuple(head.weight.shape) == (5, 16)
    with pytest.raises(RejectedInput, match=r"other shapes: classifier\.bias"):
        opened(ViTForImageClassification, vit, config=config)


@pytest.mark.parametrize("content", [b"", b"x" * 100], ids=["empty", "no safetensors"])
def test_a_damaged_file_is_refused_with_its_name(vit: Path, content: bytes) -> None:
    (vit / "model.safetensors").write_bytes(content)
    with pytest.raises(RejectedInput, match=r"vit/model.safetensors: expected a complete safetensors file"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_a_truncated_file_is_refused_with_its_name(vit: Path) -> None:
    file = vit / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RejectedInput, match=r"vit/model.safetensors: expected a complete safetensors file"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_absent_weights_are_reported(vit: Path) -> None:
    (vit / "model.safetensors").unlink()
    with pytest.raises(MissingResource, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_an_absent_part_of_the_weights_is_reported_with_its_name(vit: Path) -> None:
    (vit / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {MATRIX: "model-00001-of-00002.safetensors"}}
    (vit / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MissingResource, match=r"model-00001-of-00002\.safetensors: missing"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_a_pickle_that_is_none_is_refused(vit: Path) -> None:
    (vit / "model.safetensors").unlink()
    (vit / "pytorch_model.bin").write_bytes(b"no pickle")
    with pytest.raises(RejectedInput, match="cannot be opened as ViTModel"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_what_is_new_by_design_may_be_missing(tmp_path: Path) -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=40)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    new = ("crossattention", "ln_cross_attn")
    assert opened(GPT2LMHeadModel, tmp_path, new=new, add_cross_attention=True)
    with pytest.raises(RejectedInput, match=r"lacks transformer\.h\.0.crossattention"):
        opened(GPT2LMHeadModel, tmp_path, add_cross_attention=True)


@pytest.mark.parametrize("family", CONFIGS)
def test_an_encoder_of_any_family_gives_a_vector_a_picture_and_a_patch(tmp_path: Path, family: str) -> None:
    encoder, look = open_vision(str(made(family, tmp_path)))
    with torch.no_grad():
        whole, patches = encoder(torch.randn(2, 3, SIDE, SIDE))
    assert (2, encoder.width) == tuple(whole.shape)
    assert (2, 36, encoder.width) == tuple(patches.shape)
    assert look.mean == (0.4, 0.5, 0.6)


@pytest.mark.parametrize("family", ["vit", "swin", "resnet"])
def test_an_encoder_comes_back_from_its_configuration(tmp_path: Path, family: str) -> None:
    encoder, _ = open_vision(str(made(family, tmp_path)))
    again = rebuild_vision(json.loads(json.dumps(vision_config(encoder))), SIDE)
    again.load_state_dict(encoder.state_dict())
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels), again(pixels))


def test_a_language_model_is_no_vision_encoder(tmp_path: Path) -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=40)
    folder = saved(GPT2LMHeadModel(config), tmp_path)
    with pytest.raises(RejectedInput, match="GPT2Model does not accept pictures of 48 pixels"):
        open_vision(str(folder))


def test_an_encoder_that_hides_patches_at_random_is_refused(tmp_path: Path) -> None:
    folder = saved(AutoModel.from_config(ViTMAEConfig(**TINY)), tmp_path)
    with pytest.raises(RejectedInput, match="computes different outputs for the same picture"):
        open_vision(str(folder))


def test_a_folder_without_a_configuration_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"no config\.json"):
        open_vision(str(tmp_path))


def test_a_machine_without_transformers_is_told_what_to_install(
    vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingResource, match="transformers is not installed"):
        open_vision(str(vit))


def test_an_unknown_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no such"}')
    with pytest.raises(RejectedInput, match="not a model of transformers"):
        open_vision(str(tmp_path))
