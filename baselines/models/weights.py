"""What a network starts from: weights of the Hub, of a file, or none; and how their images must look.

Pretrained weights expect pixels scaled as they were in their own training. That differs from one set of
weights to the next, so it travels with them: in `KNOWN` for those of the Hub, in the header of the file for
ours.

Only safetensors are read: they hold numbers and no code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open

from baselines.models.efficientnet import EfficientNet
from baselines.models.pretrained import fetched_file, refuse_faults
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.parsing import Malformed, json_as, json_bytes
from rocov2_eval.shelf.words import shorten

PREFIX = "timm/"
FILE = "model.safetensors"
HEAD = "classifier."
Channels = tuple[float, float, float]  # red, green, blue
Deviation = Annotated[float, msgspec.Meta(gt=0)]

HALF: Channels = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)

_HEADER_KEY = "normalisation"


class Normalisation(msgspec.Struct, frozen=True, kw_only=True):
    """How images must look for some weights.

    Attributes:
        mean: Subtracted from the channels red, green and blue of pixels in [0, 1].
        std: What the channels are divided by after that, three numbers above 0.
        size: Height and width in pixels of the images that the weights were trained on.
        source: Where the weights come from.
        licence: Licence of the weights, as their publisher states it.
    """

    mean: tuple[float, float, float]
    std: tuple[Deviation, Deviation, Deviation]
    size: Annotated[int, msgspec.Meta(ge=1)]
    source: str
    licence: str


def _known(size: int, mean: Channels = HALF, std: Channels = HALF) -> Callable[[str], Normalisation]:
    def row(name: str) -> Normalisation:
        return Normalisation(mean=mean, std=std, size=size, source=f"{PREFIX}{name}", licence="Apache-2.0")

    return row


_ROWS: Mapping[str, Callable[[str], Normalisation]] = {
    "efficientnet_b0.ra_in1k": _known(224, IMAGENET_MEAN, IMAGENET_STD),
    "efficientnet_b0.ra4_e3600_r224_in1k": _known(224),
    "tf_efficientnet_b0.in1k": _known(224),
    "tf_efficientnet_b0.ap_in1k": _known(224),
    "tf_efficientnet_b0.aa_in1k": _known(224, IMAGENET_MEAN, IMAGENET_STD),
    "tf_efficientnet_b0.ns_jft_in1k": _known(224, IMAGENET_MEAN, IMAGENET_STD),
    "tf_efficientnetv2_s.in1k": _known(300),
    "tf_efficientnetv2_s.in21k": _known(300),
    "tf_efficientnetv2_s.in21k_ft_in1k": _known(300),
    "tf_efficientnetv2_m.in1k": _known(384),
    "tf_efficientnetv2_m.in21k": _known(384),
    "tf_efficientnetv2_m.in21k_ft_in1k": _known(384),
}
# Facts of timm 1.0.31 (`timm.models.get_pretrained_cfg`): mean, std, training size, licence.
KNOWN: Mapping[str, Normalisation] = {f"{PREFIX}{name}": row(name) for name, row in _ROWS.items()}


def load_init(model: EfficientNet, init: str | None) -> Normalisation:
    """Fill a network with the weights it is to start from.

    The classifier stays random where the weights have another number of classes; nothing else may be missing,
    left over or of another shape.

    Args:
        model: Model whose weights are set, in place.
        init: A key of `KNOWN`; the path of a safetensors file; None to keep the random weights.

    Returns:
        How images must look.

    Raises:
        UsageFault: Neither a known name nor a file.
        MissingResource: The weights are not on this disk and cannot be fetched.
        RejectedInput: The file is broken, belongs to another network, or says not how images must look.
    """
    if init is None:
        spec = model.spec
        return Normalisation(mean=HALF, std=HALF, size=spec.side, source="random weights", licence="none")
    if init in KNOWN:
        _refuse_other_network(model, init)
        path, normalisation = fetched_file(init, FILE), KNOWN[init]
        tensors, _ = read_tensors(path)
    else:
        path = _local(init)
        tensors, header = read_tensors(path)
        normalisation = _declared(header, path)
    own = model.state_dict()
    other_head = {n: own[n] for n in tensors if n.startswith(HEAD) and own[n].shape != tensors[n].shape}
    fill(model, {**tensors, **other_head}, path)
    return normalisation


def header_of(normalisation: Normalisation) -> dict[str, str]:
    """Return the metadata of a safetensors file that `load_init` can start from again."""
    return {_HEADER_KEY: json_bytes(normalisation).decode()}


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and its metadata.

    Raises:
        RejectedInput: It is no safetensors file, or not whole.
    """
    try:
        with safe_open(str(path), "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        found = shorten(str(error), 120)
        raise RejectedInput(f"{path}: expected a complete safetensors file: {found}") from None


def fill(
    model: Any,  # noqa: ANN401  torch is Any
    tensors: Mapping[str, Any],
    path: Path,
    needed: Collection[str] | None = None,
) -> None:
    """Copy parameters and buffers into a model, which must have all of these.

    Args:
        model: The network, changed in place.
        tensors: Parameters and buffers by name.
        path: The file that they come from, for messages.
        needed: Names that must be among them, all of the model if None.

    Raises:
        RejectedInput: A name is missing or left over, or a shape differs.
    """
    own = model.state_dict(keep_vars=True)
    shared = [name for name in own if name in tensors]
    refuse_faults(
        path,
        [name for name in (own if needed is None else needed) if name not in tensors],
        [name for name in tensors if name not in own],
        [
            f"{name} {list(tensors[name].shape)} instead of {list(own[name].shape)}"
            for name in shared
            if tensors[name].shape != own[name].shape
        ],
    )
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _refuse_other_network(model: EfficientNet, init: str) -> None:
    network = init.removeprefix(PREFIX).partition(".")[0]
    if network != model.spec.name:
        fitting = [name for name in KNOWN if name.startswith(f"{PREFIX}{model.spec.name}.")]
        raise UsageFault(
            f"init: {init} belongs to the network {network}, expected weights of {model.spec.name}: "
            + (", ".join(fitting) or "a safetensors file, because the Hub has none")
        )


def _local(init: str) -> Path:
    path = Path(init)
    if path.is_file():
        return path
    if init.startswith(PREFIX):
        raise UsageFault(f"init: {shorten(init)} is not known, expected one of {', '.join(KNOWN)}")
    raise UsageFault(
        f"init: {shorten(init)}: no such file, expected a safetensors file, or weights of the Hub such as "
        f"{next(iter(KNOWN))}"
    )


def _declared(header: Mapping[str, str], path: Path) -> Normalisation:
    """Return how images must look: as the file says, or as is known of a file that keeps its Hub name."""
    if _HEADER_KEY in header:
        return _parse(header[_HEADER_KEY], path)
    for name in (path.name.removesuffix(".safetensors"), path.resolve().parent.name):
        if f"{PREFIX}{name}" in KNOWN:
            return KNOWN[f"{PREFIX}{name}"]
    raise RejectedInput(
        f"{path}: the scaling of its images is missing, and a wrong mean damages the weights without a "
        f"message: expected {_HEADER_KEY} in its metadata (baselines.models.weights.header_of writes "
        f"it), or a file or folder with a name of the Hub, such as {next(iter(_ROWS))}.safetensors"
    )


def _parse(text: str, path: Path) -> Normalisation:
    try:
        return json_as(text, Normalisation)
    except Malformed as error:
        raise RejectedInput(
            f"{path}: {_HEADER_KEY} in the metadata: {error}; expected mean and std (three numbers each, std "
            "above 0), size (a whole number), source and licence"
        ) from None
