"""Small models of every kind with weights by a formula, made on the spot.

The formula is that of the goldens: any two machines make the same weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"
PUNKT_FILES = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")


def fill(
    shapes: Mapping[str, Sequence[int]], size: float, is_scale: Callable[[str, Sequence[int]], bool]
) -> dict[str, Any]:
    """Return tensors of torch by name.

    Args:
        shapes: Shape of each parameter.
        size: Largest absolute value.
        is_scale: Tells whether a parameter scales, and is about 1.
    """
    import torch

    tensors = {}
    for number, name in enumerate(sorted(shapes), 1):
        k = np.arange(math.prod(shapes[name]), dtype=np.float64)
        values = size * np.sin(number * 0.37 + k * k * 0.013 + k * 1.618033988749895)
        values += is_scale(name, shapes[name])
        tensors[name] = torch.from_numpy(values.astype(np.float32).reshape(tuple(shapes[name])))
    return tensors


def scales_by_name(name: str, _: Sequence[int]) -> bool:
    """Tell whether a parameter is the weight of a layer norm by its name."""
    return name.endswith("LayerNorm.weight")


def golden(name: str) -> dict[str, Any]:
    """Return a recorded output of the reference code."""
    recorded: dict[str, Any] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return recorded


def make_bleurt(folder: Path, *, positions: int = 512) -> Path:
    """Write a BLEURT whose tokenizer is that of the golden, as a pickle of tensors, and return its folder."""
    import torch

    recorded = golden("bleurt_tiny.json")
    vocabulary = 500
    shapes = recorded["parameters"] | {
        "bleurt.embeddings.word_embeddings.weight": [vocabulary, 12],
        "bleurt.embeddings.position_embeddings.weight": [positions, 12],
    }
    config = recorded["config"] | {"vocab_size": vocabulary, "max_position_embeddings": positions}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "spm.model").write_bytes((GOLDEN / "bleurt_tiny_spm.model").read_bytes())
    torch.save(fill(shapes, 0.5, scales_by_name), folder / "pytorch_model.bin")
    return folder


def make_alignscore(folder: Path) -> Path:
    """Write the AlignScore of the golden, as a checkpoint of Lightning, and return its folder."""
    import torch

    recorded = golden("alignscore_tiny.json")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(recorded["roberta"]), encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(recorded["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(recorded["merges"]), encoding="utf-8")
    state = fill(recorded["parameters"], 0.5, scales_by_name)
    torch.save({"state_dict": state, "epoch": 3}, folder / "AlignScore-base.ckpt")
    return folder


def make_splitter(folder: Path) -> Path:
    """Write data of Punkt that know a few abbreviations, and return their folder."""
    folder.mkdir(parents=True)
    contents = ("fig\nvs\ndr\n", "ap\tview\n", "the\t38\nshows\t32\n", "the\nthis\n")
    for name, content in zip(PUNKT_FILES, contents, strict=True):
        (folder / name).write_text(content, encoding="utf-8")
    return folder
