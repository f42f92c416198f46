"""Tiny models of pictures and texts, with weights by a rule, in folders as their publishers lay them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny_weights import fill

MARKS = ("<|startoftext|>", "<|endoftext|>")
WIDTH, SPACE, POSITIONS = 64, 16, 77  # of the texts, of the common vectors, of a text at most
STAGES = (32, 64)


def is_norm(name: str, shape: Sequence[int]) -> bool:
    """Tell whether a parameter is the weight of a layer norm, as the recorded models have it."""
    return len(shape) == 1 and name.endswith("weight")


def medimageinsight_tensors() -> dict[str, Any]:
    """Return the tensors of a tiny MedImageInsight by the names of the published file."""
    vocabulary = len(_vocabulary())
    text = {
        "token_embedding.weight": (vocabulary, WIDTH),
        "positional_embedding": (POSITIONS, WIDTH),
        **_of("ln_final", _norm(WIDTH)),
        **_of(
            "resblocks.0",
            _of("ln_1", _norm(WIDTH))
            | _of("ln_2", _norm(WIDTH))
            | {"attn.in_proj_weight": (3 * WIDTH, WIDTH), "attn.in_proj_bias": (3 * WIDTH,)}
            | _of("attn.out_proj", _linear(WIDTH, WIDTH))
            | _of("mlp.c_fc", _linear(4 * WIDTH, WIDTH))
            | _of("mlp.c_proj", _linear(WIDTH, 4 * WIDTH)),
        ),
    }
    image: dict[str, Sequence[int]] = _of("norms", _norm(STAGES[-1]))
    for i, width in enumerate(STAGES):
        below, side = (3, 7) if i == 0 else (STAGES[i - 1], 3)
        image |= _of(f"convs.{i}.proj", {"weight": (width, below, side, side), "bias": (width,)})
        image |= _of(f"convs.{i}.norm", _norm(width if i == 0 else below))
        for block, attention in (("spatial_block", "window_attn"), ("channel_block", "channel_attn")):
            image |= _of(
                f"blocks.{i}.0.{block}",
                _of("conv1.fn.dw", {"weight": (width, 1, 3, 3), "bias": (width,)})
                | _of("conv2.fn.dw", {"weight": (width, 1, 3, 3), "bias": (width,)})
                | _of(f"{attention}.norm", _norm(width))
                | _of(f"{attention}.fn.qkv", _linear(3 * width, width))
                | _of(f"{attention}.fn.proj", _linear(width, width))
                | _of("ffn.norm", _norm(width))
                | _of("ffn.fn.net.fc1", _linear(4 * width, width))
                | _of("ffn.fn.net.fc2", _linear(width, 4 * width)),
            )
    shapes = {
        **_of("image_encoder", image),
        **_of("lang_encoder", text),
        "image_projection": (STAGES[-1], SPACE),
        "lang_projection": (WIDTH, SPACE),
    }
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
