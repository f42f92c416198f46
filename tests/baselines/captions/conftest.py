"""Pictures with captions, and captioners small enough to be trained on them in a second."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.captions import Captioned, CaptionObjective, CaptionOptions, Ready, begin
from baselines.data.augment import AugmentOptions
from baselines.generation import GenerationOptions
from baselines.models.captioner import CaptionerOptions
from baselines.models.text import save_text
from baselines.training.objective import Share

CPU = torch.device("cpu")
CAPTIONS = (
    "CT of the chest, axial.",
    "Chest X-ray.",
    "MRI of the brain shows a lesion in the left lobe.",
    "Plain film of the abdomen.",
    'Ultrasound of the liver, with a "cyst".',
    "PET of the whole body.",
    "Angiography of the left coronary artery.",
    "Panoramic view of the jaw.",
)
SIDE = 32
UNVARIED = AugmentOptions(crop=1.0, rotation=0.0, brightness=0.0, contrast=0.0)
NANO = {"encoder": "random/nano", "decoder": "random/nano", "size": SIDE, "vocabulary": 300, "dropout": 0.0}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute in one thread: small models are slower in many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def examples() -> Captioned:
    """Return eight pictures of noise with their captions."""
    return pictures()


@pytest.fixture(scope="session")
def ready() -> Ready:
    """Return an untrained captioner, to be looked at and not to be trained."""
    return begun()


@pytest.fixture(scope="session")
def new_captioner() -> Callable[..., Ready]:
    """Return what makes an untrained captioner: `new_captioner(seed=0, conditioning="prefix")`."""
    return begun


@pytest.fixture(scope="session")
def new_objective() -> Callable[..., CaptionObjective]:
    """Return what makes the objective of a captioner: `new_objective(ready)`."""
    return objective


@pytest.fixture(scope="session")
def learn() -> Callable[..., list[float]]:
    """Return what trains an objective on all its examples: `learn(objective, steps)`."""
    return fit


@pytest.fixture(scope="session")
def learnt() -> Ready:
    """Return a captioner that knows the eight pictures by heart."""
    trained = objective(begun())
    fit(trained, 90)
    return trained.ready


@pytest.fixture
def folders(tmp_path: Path, ready: Ready) -> tuple[Path, Path]:
    """Return the folders of an encoder and a decoder, as the Hub has them."""
    encoder, decoder = tmp_path / "encoder", tmp_path / "decoder"
    ready.captioner.encoder.model.save_pretrained(encoder)
    look = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.1, 0.2, 0.3]}
    (encoder / "preprocessor_config.json").write_text(json.dumps(look), encoding="utf-8")
    ready.captioner.decoder.save_pretrained(decoder)
    save_text(ready.text, decoder)
    return encoder, decoder


def pictures(captions: tuple[str, ...] = CAPTIONS) -> Captioned:
    """Return a picture of noise for each caption."""
    n = len(captions)
    pixels = np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)
    return Captioned(
        ids=tuple(f"image_{row}" for row in range(n)), images=pixels, captions=captions, rows=np.arange(n)
    )


def begun(seed: int = 0, **options: Any) -> Ready:
    """Return an untrained captioner that all captions of the tests fit in."""
    torch.manual_seed(seed)
    generation = GenerationOptions(most_tokens=48, batch=8)
    return begin(CaptionerOptions(**{**NANO, **options}), generation, CAPTIONS)


def objective(ready: Ready, examples: Captioned | None = None, encoder: Any = None) -> CaptionObjective:
    """Return what trains it on its pictures and validates it on the same."""
    examples = examples or pictures()
    options = CaptionOptions(most_tokens=64)
    return CaptionObjective(
        ready, examples, examples, options=options, augmentation=UNVARIED, encoder=encoder
    )


def fit(trained: Any, steps: int, rate: float = 2e-3) -> list[float]:
    """Train on all examples at once; return the losses."""
    groups = [{"params": [each for _, each in group.parameters]} for group in trained.groups()]
    optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=0.0)
    fetched = trained.fetch(np.arange(trained.n))
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        loss = trained.loss(trained.model, fetched, generator, CPU, Share())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
