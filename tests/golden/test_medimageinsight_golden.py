"""Vectors of MedImageInsight's own code, tiny and in evaluation mode, recorded with weights by a rule."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dual_models import is_norm, medimageinsight_shapes
from tiny_weights import fill, golden

from rocov2_eval.medimageinsight import Architecture, _by_module, _modules, build, embed_images, embed_texts
from rocov2_eval.models import WEIGHTS

GOLDEN = golden("medimageinsight_tiny.json")
TINY = Architecture(window=5, image_head=8, text_head=4, side=96)
TOLERANCE = 5e-6
PUBLISHED_SHAPE: dict[str, Any] = {
    "stages": (256, 512, 1024, 2048),
    "depths": (1, 1, 9, 1),
    "words": 49_408,
    "width": 1024,
    "layers": 16,
    "space": 1024,
}

pytestmark = pytest.mark.encoder

# Names of the published file, as older files spell them.
OLDER = (
    (r"^image_projection$", "vision_projection"),
    (r"^lang_projection$", "text_projection"),
    (r"^image_encoder\.", "visual."),
    (r"^lang_encoder\.", "text."),
    (r"^visual\.convs\.", "visual.conv_embeds."),
    (r"^visual\.blocks\.", "visual.main_blocks."),
    (r"\.spatial_block\.", ".0."),
    (r"\.channel_block\.", ".1."),
    (r"\.conv1\.fn\.dw\.", ".cpe.0.proj."),
    (r"\.conv2\.fn\.dw\.", ".cpe.1.proj."),
    (r"\.(?:window|channel)_attn\.norm\.", ".norm1."),
    (r"\.(?:window|channel)_attn\.fn\.", ".attn."),
    (r"\.ffn\.norm\.", ".norm2."),
    (r"\.ffn\.fn\.net\.", ".mlp."),
)


def published(name: str) -> str:
    return name


def older(name: str) -> str:
    for pattern, replacement in OLDER:
        name = re.sub(pattern, replacement, name)
    return name


@pytest.fixture(params=[published, older])
def modules(request: pytest.FixtureRequest) -> Any:
    """Return the tiny model out of each style of names; the recorded image vectors are not projected."""
    import torch

    spelled: Callable[[str], str] = request.param
    sides = (("image_encoder", "image", 0.15), ("lang_encoder", "text", 0.4))
    tensors = {
        f"{prefix}.{name}": tensor
        for prefix, side, scale in sides
        for name, tensor in fill(GOLDEN[side]["parameters"], scale, is_norm).items()
    }
    tensors["image_projection"] = torch.eye(64)
    narrow = (0.4 * np.sin(0.7 * np.arange(16 * 8))).astype(np.float32).reshape(16, 8)
    tensors["lang_projection"] = torch.from_numpy(np.pad(narrow, ((0, 0), (0, 56))))
    return build({spelled(name): tensor for name, tensor in tensors.items()}, Path("tiny"), TINY).eval()


def test_image_vectors_equal_the_recorded_ones(modules: Any) -> None:
    import torch

    k = np.arange(3 * 96 * 96, dtype=np.float64)
    pixels = np.sin(k * 0.0021 + (k % 97) * 0.3).astype(np.float32).reshape(1, 3, 96, 96)

    with torch.inference_mode():
        (vector,) = embed_images(modules, torch.from_numpy(pixels))

    assert vector.tolist() == pytest.approx(GOLDEN["image"]["forward_features_eval"], abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("row", [0, 1])
def test_text_vectors_equal_the_recorded_ones_without_their_padding(modules: Any, row: int) -> None:
    import torch

    text = GOLDEN["text"]
    ids = text["input_ids"][row][: sum(text["attention_mask"][row])]

    with torch.inference_mode():
        (vector,) = embed_texts(modules, torch.tensor([ids]))

    unit = (vector / vector.norm()).tolist()[:8]
    assert unit == pytest.approx(text["embedding"][row], abs=TOLERANCE, rel=0)


def test_the_published_file_has_the_size_that_these_names_and_shapes_make() -> None:
    """A file of safetensors tells its names by its size: the header spells each of them."""
    shapes = medimageinsight_shapes(**PUBLISHED_SHAPE)
    place, header = 0, {}
    for name in sorted(shapes):
        end = place + 4 * math.prod(shapes[name])
        header[name] = {"dtype": "F32", "shape": list(shapes[name]), "data_offsets": [place, end]}
        place = end
    length = len(json.dumps(header, separators=(",", ":")))

    assert WEIGHTS["medimageinsight"].size == 8 + length + -length % 8 + place


def test_the_published_names_and_shapes_are_those_of_the_full_model() -> None:
    import torch

    shapes = medimageinsight_shapes(**PUBLISHED_SHAPE)
    with torch.device("meta"):  # in names and shapes alone: the values would take gigabytes
        tensors = _by_module({name: torch.empty(shape) for name, shape in shapes.items()})
        modules = _modules(tensors, Architecture())

    expected = {name: tensor.shape for name, tensor in modules.state_dict().items()}
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
