"""Small vision models of transformers with random weights, one of each family."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import (
    AutoModel,
    BeitConfig,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    ConvNextConfig,
    Dinov2WithRegistersConfig,
    DINOv3ViTConfig,
    ResNetConfig,
    SiglipVisionConfig,
    SwinConfig,
    ViTConfig,
)

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
    "beit": lambda: BeitConfig(**TINY),
    "convnext": lambda: ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    "resnet": lambda: ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
}


def made(family: str, folder: Path) -> Path:
    """Write a model of a family, a key of `CONFIGS`, into a folder and return it."""
    config = CONFIGS[family]()
    whole = CLIPModel(config) if family.startswith("clip") else AutoModel.from_config(config)
    return saved(whole, folder)


def saved(model: Any, folder: Path) -> Path:
    """Write a model as the Hub has it, and return the folder."""
    model.save_pretrained(folder)
    look = {
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.1, 0.2, 0.3],
        "size": {"height": SIDE, "width": SIDE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(look))
    return folder
