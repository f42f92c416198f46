"""Any vision encoder: what it sees of a picture as one vector, and as one a patch.

CLIP, SigLIP, DINOv2, DINOv3, ViT, DeiT, BEiT, Swin, ConvNeXt, ResNet and others that take `pixel_values` and
return hidden states: models of transformers, and our EfficientNets without their head. Of a model of pictures
and texts the half that sees is taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import torch
from torch import nn

from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.models.pretrained import DAMAGES, auto_config, config_of, fetched, licence_of, opened, quiet
from baselines.models.weights import Channels, Deviation, Normalisation
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.parsing import Malformed, json_as, read_plain
from rocov2_eval.shelf.words import shorten

_PREPROCESSOR = "preprocessor_config.json"
_MAP = 4  # dimensions of (b, width, rows, columns), as convolutional networks have it
_OURS = "baselines"  # the model_type of our networks, which transformers has not
_ANY_SIZE = 224  # where neither the folder nor the configuration names one
# Their pooler is a layer for the pre-training task; the class token itself is what others build on.
_CLASS_TOKEN_ALONE = ("vit", "deit")


class _Preprocessor(msgspec.Struct, frozen=True, kw_only=True):
    """What `preprocessor_config.json` of transformers says of pictures."""

    image_mean: Channels
    image_std: tuple[Deviation, Deviation, Deviation]
    size: int | dict[str, int] = 0
    crop_size: int | dict[str, int] = 0

    @property
    def side(self) -> int:
        """Height and width in pixels of what the network sees, 0 if it is not said."""
        for size in (self.crop_size, self.size):
            side = size if isinstance(size, int) else max(size.values(), default=0)
            if side:
                return side
        return 0


class Convolutions(nn.Module):
    """One of our networks without its head, called as a model of transformers is.

    Attributes:
        network: The network; its head is taken off.
    """

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network: Any = network
        self.network.classifier = nn.Identity()

    def forward(self, pixel_values: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return what is seen at each place, by the name that transformers has for it."""
        return SimpleNamespace(last_hidden_state=self.network.places(pixel_values))


class VisionEncoder(nn.Module):
    """A vision encoder; `open_vision` and `rebuild_vision` make it.

    Attributes:
        model: The model of transformers, or `Convolutions`.
        width: Numbers in the vector of a picture and of a patch.
        patches: Number of patches of a picture.
    """

    def __init__(self, model: Any, size: int, where: object) -> None:  # noqa: ANN401  of transformers
        super().__init__()
        self.model = model
        accepted = inspect.signature(model.forward).parameters
        self._extra = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}
        with torch.no_grad(), refusing_pictures(model, size, where):
            picture = trial_picture(model, size)
            (whole, patches), (_, again) = self(picture), self(picture)
        if whole.is_meta:
            pass  # numbers are counted, and none is there
        elif not patches.isfinite().all():
            raise RejectedInput(
                f"{where}: the output of {type(model).__name__} is not finite; the weights are damaged"
            )
        elif not torch.equal(patches, again):  # as of ViTMAE, which hides patches at random
            raise RejectedInput(
                f"{where}: {type(model).__name__} computes different outputs for the same picture"
            )
        self.width, self.patches = int(whole.shape[1]), int(patches.shape[1])

    def forward(self, pixels: Any) -> tuple[Any, Any]:  # noqa: ANN401  torch is Any
        """Return the vectors of whole pictures and of their patches.

        Args:
            pixels: Normalised pictures, shape (b, 3, side, side).

        Returns:
            Shapes (b, width) and (b, patches, width); patches row by row, a square number of them.
        """
        seen = self.model(pixel_values=pixels, **self._extra)
        hidden, pooled = seen.last_hidden_state, getattr(seen, "pooler_output", None)
        if hidden.ndim == _MAP:
            patches = hidden.flatten(2).transpose(1, 2)
            whole = patches.mean(1) if pooled is None else pooled.flatten(1)
            return whole, patches
        # Before the patches stand a class token and registers, fewer than it takes to fill a further row.
        side = int(hidden.shape[1] ** 0.5)
        patches = hidden[:, -side * side :]
        return hidden[:, 0] if pooled is None else pooled, patches


@contextmanager
def refusing_pictures(model: Any, size: int, where: object) -> Iterator[None]:  # noqa: ANN401  of transformers
    """Say of a model that fails within that it takes no pictures of a size.

    Raises:
        RejectedInput: It fails.
    """
    try:
        yield
    except DAMAGES as error:
        found = shorten(str(error), 160)
        name = type(model).__name__
        raise RejectedInput(f"{where}: {name} does not accept pictures of {size} pixels: {found}") from None


def trial_picture(model: Any, size: int) -> Any:  # noqa: ANN401  torch is Any
    """Return a picture to try a model with, where the model is; shape (1, 3, size, size)."""
    device = next(model.parameters()).device
    return torch.linspace(-1, 1, 3 * size * size, device=device).view(1, 3, size, size)


def open_vision(name: str, size: int = 0) -> tuple[VisionEncoder, Normalisation]:
    """Return an encoder with its weights, in evaluation mode, and how pictures must look for it.

    Args:
        name: A folder, or the name of a model of the Hub.
        size: Height and width in pixels of the pictures; 0 for what the encoder was trained on.

    Raises:
        MissingResource: The weights are not on this disk and cannot be fetched.
        RejectedInput: They do not fit, are of no vision encoder, or do not say how pictures must look.
    """
    folder = fetched(name)
    config = seeing(config_of(folder))
    look = look_of(folder, name, size or image_size(config))
    model = opened(_class_of(config, folder), folder, config=config, **_settings(config))
    return VisionEncoder(model.eval(), size or look.size, folder), look


def rebuild_vision(config: Mapping[str, Any], size: int) -> VisionEncoder:
    """Return an encoder of that shape with random weights, to be filled from a checkpoint.

    Args:
        config: Its configuration, from `vision_config`.
        size: Height and width in pixels of the pictures.

    Raises:
        RejectedInput: transformers does not know it.
    """
    where = "the configuration of the encoder"
    if config["model_type"] == _OURS:
        return VisionEncoder(Convolutions(EfficientNet(SPECS[config["spec"]], 1)).eval(), size, where)
    read = read_config(config)
    try:
        with quiet():
            model = _class_of(read, where)(read, **_settings(read))
    except DAMAGES as error:
        raise RejectedInput(f"{where}: no network can be built from it: {shorten(str(error))}") from None
    return VisionEncoder(model.eval(), size, where)


def read_config(config: Mapping[str, Any]) -> Any:  # noqa: ANN401  of transformers
    """Return a configuration that `plain_config` has written.

    Raises:
        MissingResource: transformers is not installed.
        RejectedInput: transformers does not know it.
    """
    known = auto_config()
    try:
        return known.for_model(**config)
    except DAMAGES as error:
        raise RejectedInput(f"not a vision encoder of transformers: {shorten(str(error))}") from None


def plain_config(config: Any) -> dict[str, Any]:  # noqa: ANN401  of transformers
    """Return a configuration as JSON can hold it."""
    return {**config.to_diff_dict(), "model_type": config.model_type}


def vision_config(encoder: VisionEncoder) -> dict[str, Any]:
    """Return the configuration of an encoder, as JSON can hold it."""
    if isinstance(encoder.model, Convolutions):
        return {"model_type": _OURS, "spec": encoder.model.network.spec.name}
    return plain_config(encoder.model.config)


def look_of(folder: Path, name: str, size: int = 0) -> Normalisation:
    """Return how pictures must look for the weights in a folder.

    Args:
        folder: A folder with `preprocessor_config.json`.
        name: What the weights are called.
        size: Height and width in pixels where the file says none.

    Raises:
        RejectedInput: The folder does not say it.
    """
    path = folder / _PREPROCESSOR
    try:
        look = json_as(read_plain(path), _Preprocessor)
    except (OSError, Malformed) as error:
        found = getattr(error, "strerror", None) or error
        raise RejectedInput(
            f"{path}: {found}; expected image_mean and image_std, three numbers each: they scale the "
            "pictures for these weights"
        ) from None
    return Normalisation(
        mean=look.image_mean,
        std=look.image_std,
        size=look.side or size or _ANY_SIZE,
        source=name,
        licence=licence_of(name),
    )


def seeing(config: Any) -> Any:  # noqa: ANN401  of transformers
    """Return the configuration of the half that sees, of a model of pictures and texts."""
    return getattr(config, "vision_config", None) or config


def image_size(config: Any) -> int:  # noqa: ANN401  of transformers
    """Return height and width in pixels of the pictures that a configuration names, 0 if it names none."""
    size = getattr(seeing(config), "image_size", 0)
    return int(size[0] if isinstance(size, (list, tuple)) else size)


def _class_of(config: Any, where: object) -> Any:  # noqa: ANN401  of transformers
    from transformers import MODEL_MAPPING

    if type(config) not in MODEL_MAPPING:
        raise RejectedInput(f"{where}: {config.model_type} is not a vision encoder of transformers")
    return MODEL_MAPPING[type(config)]


def _settings(config: Any) -> dict[str, Any]:  # noqa: ANN401  of transformers
    return {"add_pooling_layer": False} if config.model_type in _CLASS_TOKEN_ALONE else {}
