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
from baselines.models.backbone import BASE, Backbone, look_at, open_backbone, rebuild_backbone
from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.models.weights import HEAD, KNOWN, PREFIX, Normalisation, load_init
from baselines.training import checkpoint
from baselines.training.changed import restore, sources
from baselines.training.loop import BEST
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.pictures import PixelArray
from rocov2_eval.shelf.progress import Progress, silent

NETWORK = "network.json"
_AT_ONCE = 256  # images
_MATRIX = 2  # dimensions


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `network.json` holds.

    Attributes:
        spec: Key of `SPECS`, or the model of transformers that the run began with.
        size: Height and width in pixels of the images.
        normalisation: How images must look.
        mirrors: Whether a picture is answered by the mean over it and its mirror image.
        backbone: Configuration of a model of transformers, None for one of `SPECS`.
    """

    spec: str
    size: int
    normalisation: Normalisation
    mirrors: bool = False
    backbone: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """A network with one logit for each class.

    Attributes:
        model: The network, an `EfficientNet` or a `Backbone`.
        spec: Key of `SPECS`, or a model of transformers.
        size: Height and width in pixels of the images that it sees.
        normalisation: How images must look for it.
        mirrors: Whether a picture is answered by the mean over it and its mirror image.
    """

    model: Any
    spec: str
    size: int
    normalisation: Normalisation
    mirrors: bool = False

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
                seen = centre(part, self.size, look.mean, look.std)
                views = (seen, seen.flip(-1)) if self.mirrors else (seen,)
                likely = [self.model(view).float().sigmoid() for view in views]
                rows.append((sum(likely) / len(likely)).cpu().numpy())
                progress(start + len(part), len(images))
        return np.concatenate(rows).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write all but the weights; `open_classifier` reads it."""
        facts = _Facts(
            spec=self.spec,
            size=self.size,
            normalisation=self.normalisation,
            mirrors=self.mirrors,
            backbone=self.model.described() if isinstance(self.model, Backbone) else None,
        )
        write_document(folder / NETWORK, facts)


def side_seen(spec: str, init: str, size: int) -> int:
    """Return height and width in pixels of what a network is to see, 0 where a file of weights will say it.

    Raises:
        MissingResource: A model of transformers is not on this disk and cannot be fetched.
        RejectedInput: It does not say how pictures must look.
    """
    if size:
        return size
    if spec not in SPECS:
        return look_at(spec).size
    return KNOWN[init].size if init in KNOWN else 0 if init else SPECS[spec].side


def build_classifier(
    spec: str,
    classes: int,
    *,
    init: str,
    size: int,
    dropout: float,
    drop_path: float,
    frozen: bool = False,
    mirrors: bool = False,
) -> Classifier:
    """Return a network to be trained.

    Args:
        spec: Key of `SPECS`, a folder with a model of transformers, or its name on the Hub.
        classes: Number of logits.
        init: Weights to start from, see `load_init`; random ones if empty.
        size: Pixels that the network sees; 0 for those that its weights were trained on.
        dropout: Share of the pooled features that training leaves out.
        drop_path: How often training skips the last block.
        frozen: Train the head alone; of a model of transformers.
        mirrors: Answer by the mean over a picture and its mirror image.
    """
    model: Any
    if spec in SPECS:
        model = EfficientNet(SPECS[spec], classes, dropout=dropout, drop_path=drop_path)
        look = load_init(model, init or None)
    else:
        model, look = open_backbone(
            spec, classes, size=size, dropout=dropout, drop_path=drop_path, frozen=frozen
        )
    return Classifier(model=model, spec=spec, size=size or look.size, normalisation=look, mirrors=mirrors)


def open_classifier(folder: Path, classes: int) -> Classifier:
    """Return the trained network of a run folder, in evaluation mode, on the CPU.

    Raises:
        MissingResource: A file is missing; or what stayed frozen is not on this disk and cannot be fetched.
        RejectedInput: A file is damaged, of another number of classes, or of another base.
    """
    facts = read_document(folder / NETWORK, _Facts)
    tensors, header = checkpoint.read(folder / BEST)
    model: Any
    if facts.backbone is None:
        model = EfficientNet(SPECS[facts.spec], classes)
    elif base := sources(header, folder / BEST).get(BASE):
        model, _ = open_backbone(base, classes, size=facts.size, frozen=True)
    else:
        model = rebuild_backbone(facts.backbone, classes, facts.size)
    restore(model, tensors, header, folder / BEST)
    return Classifier(
        model=model.eval(),
        spec=facts.spec,
        size=facts.size,
        normalisation=facts.normalisation,
        mirrors=facts.mirrors,
    )


def named_network(name: str) -> tuple[Any, Normalisation] | None:
    """Return a network that classifies pictures, in evaluation mode, and how pictures must look for it.

    Args:
        name: The folder of a run, or an EfficientNet of timm such as `timm/efficientnet_b0.ra_in1k`.

    Returns:
        An `EfficientNet` or a `Backbone`; None if the name is neither.

    Raises:
        UsageFault: timm has no such EfficientNet.
        MissingResource: A file is missing, or weights are not on this disk and cannot be fetched.
        RejectedInput: A file is damaged.
    """
    folder = Path(name)
    if (folder / NETWORK).is_file():
        classifier = open_classifier(folder, _classes(folder / BEST))
        return classifier.model, msgspec.structs.replace(classifier.normalisation, size=classifier.size)
    if not name.startswith(PREFIX):
        return None
    if name not in KNOWN:
        raise UsageFault(f"encoder: {name} is not known, expected one of {', '.join(KNOWN)}")
    model = EfficientNet(SPECS[name.removeprefix(PREFIX).partition(".")[0]], 1)
    return model.eval(), load_init(model, name)


def _classes(path: Path) -> int:
    """Return how many classes the network of a checkpoint tells apart."""
    tensors, _ = checkpoint.read(path)
    heads = [len(tensor) for name, tensor in tensors.items() if HEAD in name and tensor.ndim == _MATRIX]
    if not heads:
        raise RejectedInput(f"{path}: no matrix of a {HEAD}, expected a network that classifies pictures")
    return heads[-1]
