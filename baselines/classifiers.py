"""A network that answers for single pictures: built, kept in a run folder, opened again.

folder/
  best.safetensors  weights
  network.json      which network, and how pictures must look for it
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from baselines.data.augment import centre
from baselines.documents import read_document, write_document
from baselines.models.efficientnet import SPECS, EfficientNet, SpecName
from baselines.models.weights import Normalisation, load_init
from baselines.training import checkpoint
from baselines.training.changed import restore
from baselines.training.loop import BEST
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.pictures import PixelArray
from rocov2_eval.shelf.progress import Progress, silent

NETWORK = "network.json"
_AT_ONCE = 256  # images


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `network.json` holds."""

    spec: SpecName
    size: int
    normalisation: Normalisation


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """A network with one logit for each class.

    Attributes:
        model: The network, an `EfficientNet`.
        size: Height and width in pixels of the images that it sees.
        normalisation: How images must look for it.
    """

    model: Any
    size: int
    normalisation: Normalisation

    def probabilities(
        self,
        images: PixelArray,
        device: Any,  # noqa: ANN401  torch is Any
        progress: Progress = silent,
    ) -> FloatArray:
        """Return the probability of each class, shape (n, classes).

        Args:
            images: Pixels, shape (n, side, side, 3).
            device: Where the model is.
            progress: Called with the number of images done and of all.
        """
        look, rows = self.normalisation, []
        with torch.inference_mode():
            for start in range(0, len(images), _AT_ONCE):
                part = torch.from_numpy(np.array(images[start : start + _AT_ONCE])).to(device)
                logits = self.model(centre(part, self.size, look.mean, look.std))
                rows.append(logits.float().sigmoid().cpu().numpy())
                progress(start + len(part), len(images))
        return np.concatenate(rows).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write all but the weights; `open_classifier` reads it."""
        facts = _Facts(spec=self.model.spec.name, size=self.size, normalisation=self.normalisation)
        write_document(folder / NETWORK, facts)


def build_classifier(
    spec: str, classes: int, *, init: str, size: int, dropout: float, drop_path: float
) -> Classifier:
    """Return a network to be trained.

    Args:
        spec: Key of `SPECS`.
        classes: Number of logits.
        init: Weights to start from, see `load_init`; random ones if empty.
        size: Pixels that the network sees; 0 for those that its weights were trained on.
        dropout: Share of the pooled features that training leaves out.
        drop_path: How often training skips the last block.
    """
    model = EfficientNet(SPECS[spec], classes, dropout=dropout, drop_path=drop_path)
    normalisation = load_init(model, init or None)
    return Classifier(model=model, size=size or normalisation.size, normalisation=normalisation)


def open_classifier(folder: Path, classes: int) -> Classifier:
    """Return the trained network of a run folder, in evaluation mode, on the CPU.

    Raises:
        MissingResource: A file is missing.
        RejectedInput: A file is damaged, or of another number of classes.
    """
    facts = read_document(folder / NETWORK, _Facts)
    model = EfficientNet(SPECS[facts.spec], classes)
    tensors, header = checkpoint.read(folder / BEST)
    restore(model, tensors, header, folder / BEST)
    return Classifier(model=model.eval(), size=facts.size, normalisation=facts.normalisation)
