"""Any vision model of transformers as a network with one logit a class, its weights those of its publisher.

Where transformers has a model of the family that classifies pictures, that model is trained itself, head and
all: ViT and DeiT classify by their first token, DINOv2 by it and the mean of the patches, CLIP and SigLIP by
the mean of the patches, Swin, ConvNeXt and ResNet by their pooled map. What `save_pretrained` then writes
opens without this program. Other encoders, such as DINOv3, get a linear layer on their pooled features.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from baselines.models.pretrained import config_of, fetched, opened, quiet
from baselines.models.vision import (
    VisionEncoder,
    image_size,
    look_of,
    open_vision,
    plain_config,
    read_config,
    rebuild_vision,
    refusing_pictures,
    seeing,
    trial_picture,
    vision_config,
)
from baselines.models.weights import Normalisation

HEAD = "classifier"  # of transformers' own models, and of ours: a part of the names of its parameters
BASE = "model."  # how names of parameters begin that a publisher's weights have
_LABELS = ("id2label", "label2id")  # of configurations: the labels of a run stand in a file of their own
STRETCH = "interpolate_pos_encoding"  # what transformers calls it, the argument and the method
_TENSORFLOW = 0.5  # a momentum beyond it is TensorFlow's: the share that stays, where torch has the other one


class Backbone(nn.Module):
    """Images, float32 of shape (b, 3, size, size), into logits of shape (b, classes).

    Attributes:
        model: transformers' own model of the family that classifies, or else a `VisionEncoder`.
        is_native: Whether transformers alone opens the model with its head.
        is_stretched: Whether the model is told to stretch its positions, made for pictures of another size.
        frozen: Whether the head alone is trained.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401  of transformers
        classes: int,
        size: int,
        where: object,
        *,
        dropout: float = 0.0,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.is_native = not isinstance(model, VisionEncoder)
        self.frozen = frozen
        self.classifier = None if self.is_native else nn.Linear(model.width, classes)
        if self.classifier is not None:
            nn.init.zeros_(self.classifier.bias)  # as in the heads of transformers: new ones are told by it
        self.is_stretched = self.is_native and _stretches(model) and image_size(model.config) != size
        for layer in self.head.modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_pre_hook(partial(_dropped, dropout))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d) and (module.momentum or 0) > _TENSORFLOW:
                module.momentum = 1 - module.momentum
        self.eval()
        with refusing_pictures(model, size, where):
            self._freeze(trial_picture(model, size))

    @property
    def head(self) -> Any:  # noqa: ANN401  torch is Any
        """The layers that are new, and trained even where the rest is frozen."""
        return getattr(self.model, HEAD) if self.is_native else self.classifier

    def forward(self, images: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return the logits."""
        if self.classifier is not None:
            return self.classifier(self.model(images)[0])
        extra = {STRETCH: True} if self.is_stretched else {}
        return self.model(pixel_values=images, **extra).logits

    def train(self, mode: bool = True) -> Backbone:  # noqa: FBT001, FBT002  as torch has it
        """Set the mode; what is frozen stays as in evaluation, its running statistics too."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
            self.head.train(mode)
        return self

    def described(self) -> dict[str, Any]:
        """Return the configuration, as JSON can hold it and `rebuild_backbone` reads it."""
        found = plain_config(self.model.config) if self.is_native else vision_config(self.model)
        return {key: value for key, value in found.items() if key not in _LABELS}

    def _freeze(self, picture: Any) -> None:  # noqa: ANN401  torch is Any
        """Freeze what is to stay, and what no logit depends on: processes that share a batch wait for it."""
        if self.frozen:
            self.model.requires_grad_(requires_grad=False)
            self.head.requires_grad_()
        with torch.enable_grad():
            self(picture).sum().backward()
        for each in self.parameters():
            each.requires_grad_(each.grad is not None)
            each.grad = None


def open_backbone(
    name: str,
    classes: int,
    *,
    size: int = 0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    frozen: bool = False,
) -> tuple[Backbone, Normalisation]:
    """Return a network with the weights of its publisher and a new head, and how pictures must look for it.

    The new weights come from torch's global generator.

    Args:
        name: A folder, or the name of a model of the Hub.
        classes: Number of logits.
        size: Height and width in pixels of the pictures; 0 for what the weights were trained on.
        dropout: Share of what the head sees that training leaves out.
        drop_path: How often training skips the last block, in families that have such a setting.
        frozen: Train the head alone.

    Raises:
        MissingResource: The weights are not on this disk and cannot be fetched.
        RejectedInput: They do not fit, are of no vision model, or do not say how pictures must look.
    """
    folder = fetched(name)
    config = config_of(folder)
    kind = _native(config)
    if kind is None:
        model, look = open_vision(name, size)
    else:
        look = look_of(folder, name, size or image_size(config))
        if isinstance(getattr(config, "drop_path_rate", None), float):
            config.drop_path_rate = drop_path
        config.num_labels = classes
        config.problem_type = "multi_label_classification"
        model = opened(kind, folder, new=(f"{HEAD}.",), config=config)
    return Backbone(model, classes, size or look.size, folder, dropout=dropout, frozen=frozen), look


def rebuild_backbone(config: Mapping[str, Any], classes: int, size: int) -> Backbone:
    """Return a network of that shape with random weights, to be filled from a checkpoint.

    Args:
        config: Its configuration, as `Backbone.described` gives it.
        classes: Number of logits.
        size: Height and width in pixels of the pictures.

    Raises:
        RejectedInput: transformers does not know it.
    """
    read = read_config(config)
    kind, where = _native(read), "the configuration of the network"
    if kind is None:
        return Backbone(rebuild_vision(config, size), classes, size, where)
    read.num_labels = classes
    with quiet():
        return Backbone(kind(read), classes, size, where)


def stretched(model: Any, size: int) -> Any:  # noqa: ANN401  of transformers
    """Return a model made for pictures of another size, its positions stretched for good as it does itself.

    A model that stretches otherwise, such as BEiT, is returned as it is.

    Args:
        model: A model of transformers; left as it is.
        size: Height and width in pixels of the pictures.
    """
    config = copy.deepcopy(model.config)
    seeing(config).image_size = size
    with quiet():
        other = type(model)(config)
    held, wanted = model.state_dict(), other.state_dict()
    for name in [name for name, tensor in wanted.items() if held[name].shape != tensor.shape]:
        places = [name.rsplit(".", parents)[0] for parents in (1, 2)]  # of a parameter, or of an embedding
        owners = [model.get_submodule(place) for place in places]
        owner = next((each for each in owners if hasattr(each, STRETCH)), None)
        if owner is None:
            return model
        shape = wanted[name].shape
        empty = held[name].new_zeros((1, shape[-2], shape[-1]))
        with torch.no_grad():
            held[name] = getattr(owner, STRETCH)(empty, size, size).reshape(shape)
    other.load_state_dict(held)
    return other.eval()


def look_at(name: str) -> Normalisation:
    """Return how pictures must look for a model, without opening it; errors as of `open_backbone`."""
    folder: Path = fetched(name)
    return look_of(folder, name, image_size(config_of(folder)))


def _native(config: Any) -> Any:  # noqa: ANN401  of transformers
    """Return the class of transformers that classifies pictures in a family, None where there is none.

    Models of another head than a `classifier` are none: nobody would know which of their weights are new.
    """
    from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    if type(config) not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        return None
    kind = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
    first = kind[0] if isinstance(kind, (list, tuple)) else kind
    with torch.device("meta"), quiet():
        return first if hasattr(first(config), HEAD) else None


def _stretches(model: Any) -> bool:  # noqa: ANN401  of transformers
    """Tell whether a model, or the half of it that sees, can stretch its positions when asked to."""
    parts = (model, getattr(model, "vision_model", model))
    return any(STRETCH in inspect.signature(part.forward).parameters for part in parts)


def _dropped(share: float, layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ANN401
    return (functional.dropout(given[0], share, layer.training), *given[1:])
