"""What a network of concept detection starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.concepts import ConceptDetection, DecisionOptions, Labelled, LossOptions, NetworkOptions
from baselines.data.augment import AugmentOptions
from baselines.data.cache import PictureCache
from baselines.training import checkpoint


def begun(init: str = "") -> ConceptDetection:
    """Return the objective of eight black pictures, one of which has the second label."""
    pictures = PictureCache(
        folder=Path(),
        ids=tuple(map(str, range(8))),
        images=np.zeros((8, 16, 16, 3), np.uint8),
        digest="",
        broken={},
        sums=(),
    )
    side = Labelled(pictures=pictures, concepts=[("C1", "C2"), *[("C1",)] * 7])
    network = NetworkOptions(spec="plain", size=16, init=init)
    options = network, LossOptions(), AugmentOptions(), DecisionOptions()
    return ConceptDetection(*options, side, side, {})


def test_a_new_classifier_begins_at_the_frequency_of_each_label() -> None:
    often = begun().model.classifier.bias.detach().sigmoid()
    assert pytest.approx([8.5 / 9, 1.5 / 9]) == often.tolist()


def test_a_classifier_that_has_learnt_keeps_what_it_knows(tmp_path: Path) -> None:
    first = begun()
    with torch.no_grad():
        first.model.classifier.bias.copy_(torch.tensor([0.25, -3.0]))
    checkpoint.write(tmp_path / "best.safetensors", first.model.state_dict(), {}, first.header())
    again = begun(str(tmp_path / "best.safetensors"))
    assert again.model.classifier.bias.tolist() == [0.25, -3.0]
