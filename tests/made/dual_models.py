"""Tiny models of pictures and texts, with weights by a rule, in folders as their publishers lay them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny_weights import fill

MARKS = ("<|startoftext|>", "<|endoftext|>")
SPACE = 16  # width of the vectors
POSITIONS = 77  # tokens of a text at most


def is_norm(name: str, shape: Sequence[int]) -> bool:
    """Tell whether a parameter is the weight of a layer norm, as the recorded models have it."""
    return len(shape) == 1 and name.endswith("weight")


def medimageinsight_shapes(
    *,
    stages: Sequence[int],
    depths: Sequence[int],
    words: int,
    width: int,
    layers: int,
    space: int,
) -> dict[str, Sequence[int]]:
    """Return the shape of each tensor of a MedImageInsight by the names of the published file.

    Args:
        stages: Widths of the image side.
        depths: Number of pairs of blocks in each stage.
        words: Number of tokens of the vocabulary.
        width: Width of the text side.
        layers: Number of layers of the text side.
        space: Width of the vectors.
    """
    text = {
        "token_embedding.weight": (words, width),
        "positional_embedding": (POSITIONS, width),
        **_of("ln_final", _norm(width)),
    }
    for i in range(layers):
        text |= _of(
            f"resblocks.{i}",
            _of("ln_1", _norm(width))
            | _of("ln_2", _norm(width))
            | {"attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,)}
            | _of("attn.out_proj", _linear(width, width))
            | _of("mlp.c_fc", _linear(4 * width, width))
            | _of("mlp.c_proj", _linear(width, 4 * width)),
        )
    image: dict[str, Sequence[int]] = _of("norms", _norm(stages[-1]))
    for i, wide in enumerate(stages):
        below, side = (3, 7) if i == 0 else (stages[i - 1], 3)
        image |= _of(f"convs.{i}.proj", {"weight": (wide, below, side, side), "bias": (wide,)})
        image |= _of(f"convs.{i}.norm", _norm(wide if i == 0 else below))
        for depth in range(depths[i]):
            for block, attention in (("spatial_block", "window_attn"), ("channel_block", "channel_attn")):
                image |= _of(
                    f"blocks.{i}.{depth}.{block}",
                    _of("conv1.fn.dw", {"weight": (wide, 1, 3, 3), "bias": (wide,)})
                    | _of("conv2.fn.dw", {"weight": (wide, 1, 3, 3), "bias": (wide,)})
                    | _of(f"{attention}.norm", _norm(wide))
                    | _of(f"{attention}.fn.qkv", _linear(3 * wide, wide))
                    | _of(f"{attention}.fn.proj", _linear(wide, wide))
                    | _of("ffn.norm", _norm(wide))
                    | _of("ffn.fn.net.fc1", _linear(4 * wide, wide))
                    | _of("ffn.fn.net.fc2", _linear(wide, 4 * wide)),
                )
    return {
        **_of("image_encoder", image),
        **_of("lang_encoder", text),
        "image_projection": (stages[-1], space),
        "lang_projection": (width, space),
        "logit_scale": (),
    }


def medimageinsight_tensors() -> dict[str, Any]:
    """Return the tensors of a tiny MedImageInsight by the names of the published file."""
    shapes = medimageinsight_shapes(
        stages=(32, 64), depths=(1, 1), words=len(_vocabulary()), width=64, layers=1, space=SPACE
    )
    tensors = fill(shapes, 0.15, is_norm)
    # By the rule alone every picture is opposite to every text, which would score 0.
    return tensors | {"image_projection": -tensors["image_projection"]}


def medimageinsight_folder(folder: Path) -> Path:
    """Write a tiny MedImageInsight as it is published: safetensors in a file that ends in .pt."""
    from safetensors.torch import save_file

    _write_tokenizer(folder)
    save_file(medimageinsight_tensors(), folder / "medimageinsigt-v1.0.0.pt")
    return folder


def clip_folder(folder: Path) -> Path:
    """Write a tiny CLIP in the layout of transformers."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    _write_tokenizer(folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    size = len(_vocabulary())
    config = CLIPConfig(
        text_config={**shape, "vocab_size": size, "eos_token_id": size - 1, "bos_token_id": size - 2},
        vision_config={**shape, "image_size": 32, "patch_size": 8},
        projection_dim=SPACE,
    )
    torch.manual_seed(3)
    model = CLIPModel(config)
    with torch.no_grad():  # fresh weights are so small that all vectors look alike
        for weight in model.parameters():
            weight.mul_(10 if weight.dim() > 1 else 1)
    model.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(_vocabulary()), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def _vocabulary() -> dict[str, int]:
    """Return a byte-level vocabulary without merges, as CLIP has it: inner and last bytes, then the marks."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *MARKS]
    return {word: place for place, word in enumerate(words)}


def _of(prefix: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def _norm(width: int) -> dict[str, Sequence[int]]:
    return {"weight": (width,), "bias": (width,)}


def _linear(out: int, into: int) -> dict[str, Sequence[int]]:
    return {"weight": (out, into), "bias": (out,)}
