"""CLIP's vectors against transformers' own processor and model, one pair at a time with padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dual_models import clip_folder
from PIL import Image

from rocov2_eval import clip
from rocov2_eval.dual_encoder import open_dual_encoder
from rocov2_eval.models import require

pytestmark = [pytest.mark.parity, pytest.mark.encoder]

TEXTS = ("A photo depicts CT of the chest", "A photo depicts ", "A photo depicts " + "left lung " * 40)
SIZES = ((64, 64), (96, 64), (50, 82), (32, 200), (20, 24))  # their crops need no rounding of a half


def test_vectors_equal_those_of_transformers(tmp_path: Path) -> None:
    import torch
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder = clip_folder(tmp_path / "clip")
    source = np.random.default_rng(2)
    files = [tmp_path / f"{i}.png" for i in range(len(SIZES))]
    for file, (width, height) in zip(files, SIZES, strict=True):
        Image.fromarray(source.integers(0, 255, (height, width, 3), np.uint8)).save(file)
    side = {"height": 32, "width": 32}
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=side)
    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        pixels = [processor(images=Image.open(file), return_tensors="pt")["pixel_values"] for file in files]
        encoded = [
            tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
            for text in TEXTS
        ]
        images = [_vector(model.get_image_features(pixel_values=item)) for item in pixels]
        texts = [_vector(model.get_text_features(**item)) for item in encoded]

    with open_dual_encoder(require("clip", str(folder)), clip.load, device="cpu") as encoder:
        ours = encoder.image_vectors(files), encoder.text_vectors(TEXTS)

    np.testing.assert_allclose(ours[0], images, atol=2e-6)
    np.testing.assert_allclose(ours[1], texts, atol=2e-6)


def _vector(features: object) -> np.ndarray:
    row = getattr(features, "pooler_output", features)[0]  # transformers 4 returns the vectors themselves
    return (row / row.norm()).numpy()
