"""Weights of transformers are opened only if they fit; any vision encoder gives vectors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    ConvNextConfig,
    Dinov2WithRegistersConfig,
    DINOv3ViTConfig,
    GPT2Config,
    GPT2LMHeadModel,
    ResNetConfig,
    SiglipVisionConfig,
    SwinConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTModel,
)

from baselines.models.pretrained import opened
from baselines.models.vision import open_vision, rebuild_vision, vision_config
from rocov2_eval.errors import MissingResource, RejectedInput

SIDE = 48
TINY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
DINO = {key: value for key, value in TINY.items() if key != "intermediate_size"} | {"mlp_ratio": 2}
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
CONFIGS: dict[str, Callable[[], Any]] = {
    "vit": lambda: ViTConfig(**TINY),
    "dinov2 with registers": lambda: Dinov2WithRegistersConfig(**DINO),
    "dinov3": lambda: DINOv3ViTConfig(**TINY),
    "siglip": lambda: SiglipVisionConfig(**TINY),
    "clip, both halves": lambda: CLIPConfig(
        text_config={**TEXT, "vocab_size": 50},
        vision_config=CLIPVisionConfig(**TINY).to_dict(),
        projection_dim=8,
    ),
    "swin": lambda: SwinConfig(
        embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4, image_size=32, patch_size=4
    ),
    "convnext": lambda: ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    "resnet": lambda: ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
}

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
        r"another shape layers.0.mlp.fc1.weight \[3, 16\] instead of \[32, 16\]",
    ),
    "a layer more": (
        lambda all_of: {**all_of, "vit.encoder.layer.5.intermediate.dense.weight": all_of[MATRIX].clone()},
        "has beyond them vit.layers.5.mlp.fc1.weight",
    ),
}


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    look = {
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.1, 0.2, 0.3],
        "size": {"height": SIDE, "width": SIDE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(look))
    return folder


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


@pytest.mark.parametrize("content", [b"", b"x" * 100], ids=["empty", "no safetensors"])
def test_a_damaged_file_is_refused_with_its_name(vit: Path, content: bytes) -> None:
    (vit / "model.safetensors").write_bytes(content)
    with pytest.raises(RejectedInput, match=r"vit/model.safetensors: expected a safetensors file"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_a_truncated_file_is_refused_with_its_name(vit: Path) -> None:
    file = vit / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RejectedInput, match=r"vit/model.safetensors: expected a safetensors file, whole"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_absent_weights_are_reported(vit: Path) -> None:
    (vit / "model.safetensors").unlink()
    with pytest.raises(MissingResource, match=r"no model\.safetensors and no pytorch_model\.bin"):
        opened(ViTModel, vit, add_pooling_layer=False)


def test_an_absent_part_of_the_weights_is_reported_with_its_name(vit: Path) -> None:
    (vit / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {MATRIX: "model-00001-of-00002.safetensors"}}
    (vit / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MissingResource, match=r"model-00001-of-00002\.safetensors: absent"):
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
    config = CONFIGS[family]()
    whole_model = CLIPModel(config) if family.startswith("clip") else AutoModel.from_config(config)
    encoder, look = open_vision(str(saved(whole_model, tmp_path)))
    with torch.no_grad():
        whole, patches = encoder(torch.randn(2, 3, SIDE, SIDE))
    assert (2, encoder.width) == tuple(whole.shape)
    assert (2, 36, encoder.width) == tuple(patches.shape)
    assert look.mean == (0.4, 0.5, 0.6)


@pytest.mark.parametrize("family", ["vit", "swin", "resnet"])
def test_an_encoder_comes_back_from_its_configuration(tmp_path: Path, family: str) -> None:
    encoder, _ = open_vision(str(saved(AutoModel.from_config(CONFIGS[family]()), tmp_path)))
    again = rebuild_vision(json.loads(json.dumps(vision_config(encoder))), SIDE)
    again.load_state_dict(encoder.state_dict())
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels), again(pixels))


def test_a_language_model_is_no_vision_encoder(tmp_path: Path) -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=40)
    folder = saved(GPT2LMHeadModel(config), tmp_path)
    with pytest.raises(RejectedInput, match="GPT2Model takes no pictures of 48 pixels"):
        open_vision(str(folder))


def test_an_encoder_that_hides_patches_at_random_is_refused(tmp_path: Path) -> None:
    folder = saved(AutoModel.from_config(ViTMAEConfig(**TINY)), tmp_path)
    with pytest.raises(RejectedInput, match="sees one picture differently each time"):
        open_vision(str(folder))


def test_a_folder_without_a_configuration_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"no config\.json"):
        open_vision(str(tmp_path))


def test_an_unknown_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no such"}')
    with pytest.raises(RejectedInput, match="no model that transformers knows"):
        open_vision(str(tmp_path))
