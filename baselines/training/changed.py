"""What training changes of a model: a checkpoint holds that alone, and what it was changed from is named.

A frozen parameter stays as it was. Where it comes from a base, such as weights of the Hub, it is left out: a
checkpoint names the base and has a digest of the frozen values. Whoever opens it composes the model anew from
the same base; another one is refused. Frozen parameters that no base has, such as random ones, are kept.
Whatever a model is made of: only `requires_grad` and the names of parameters count here.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from baselines.models.weights import fill
from baselines.training.checkpoint import raw
from rocov2_eval.errors import MissingResource, RejectedInput

BASES = "bases"  # key of the header of a checkpoint

# Where frozen parameters come from, a folder or a name, by how their names begin, such as `encoder.`.
Bases = Mapping[str, str]


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A base in the header of a checkpoint.

    Attributes:
        source: Folder or name on the Hub.
        sha256: Digest of the frozen values, whatever their names and order.
    """

    source: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large a training is.

    Attributes:
        trained: Number of weights that are trained.
        frozen: Number of weights that stay as they are.
        memory: Bytes of weights, gradients and moments of AdamW; activations come on top.
        average: Bytes of the running average; 0 without one.
        last: Bytes of the numbers in the checkpoint to go on from.
        best: Bytes of the numbers in the checkpoint to predict with.
    """

    trained: int
    frozen: int
    memory: int
    average: int
    last: int
    best: int


def kept(model: Any, bases: Collection[str] = ()) -> dict[str, Any]:  # noqa: ANN401  torch is Any
    """Return what a checkpoint holds of a model, by name; tied parameters stand there once.

    Args:
        model: A network of torch.
        bases: How the names of parameters begin that a base has: those are left out where they are frozen.
    """
    prefixes = tuple(bases)
    return {
        name: tensor
        for name, tensor in _distinct(model).items()
        if not (_is_frozen(tensor) and name.startswith(prefixes))
    }


def moving(model: Any) -> dict[str, Any]:  # noqa: ANN401  torch is Any
    """Return trained parameters and running statistics, which are averaged; counters are not."""
    return {
        name: tensor.detach()
        for name, tensor in _distinct(model).items()
        if tensor.is_floating_point() and not _is_frozen(tensor)
    }


def averaged_type(tensor: Any) -> Any:  # noqa: ANN401  torch is Any
    """Return the type of a running average: steps of a thousandth would vanish in bfloat16."""
    return torch.promote_types(tensor.dtype, torch.float32)


def recorded(model: Any, bases: Bases) -> dict[str, Base]:  # noqa: ANN401  torch is Any
    """Return the bases that a checkpoint of a model needs: those that frozen parameters come from."""
    found = {}
    for prefix, source in bases.items():
        frozen = [
            each for name, each in _distinct(model).items() if _is_frozen(each) and name.startswith(prefix)
        ]
        if frozen:
            found[prefix] = Base(source=source, sha256=_digest(frozen))
    return found


def bases_of(header: Mapping[str, Any], path: Path) -> dict[str, Base]:
    """Return the bases that the header of a checkpoint names.

    Raises:
        RejectedInput: The header is damaged.
    """
    try:
        return msgspec.convert(header.get(BASES, {}), dict[str, Base])
    except msgspec.ValidationError as error:
        raise RejectedInput(f"{path}: its header is damaged: {BASES}: {error}") from None


def sources(header: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Return where the bases lie that a model must be composed of before it is filled, as `Bases`.

    Raises:
        MissingResource: A folder is not there.
        RejectedInput: The header is damaged.
    """
    found = {prefix: base.source for prefix, base in bases_of(header, path).items()}
    for source in found.values():
        if Path(source).is_absolute() and not Path(source).is_dir():
            raise MissingResource(
                f"{path}: contains what training changed of {source}, but that folder is missing; restore it"
            )
    return found


def restore(model: Any, tensors: Mapping[str, Any], header: Mapping[str, Any], path: Path) -> None:  # noqa: ANN401
    """Fill a model, composed anew, with what a checkpoint holds of it.

    Args:
        model: The network, changed in place; its frozen parameters are those of the base.
        tensors: Parameters and buffers by name.
        header: The header of the checkpoint.
        path: The checkpoint, for messages.

    Raises:
        RejectedInput: The base is another one, or the checkpoint is of another network.
    """
    wanted = bases_of(header, path)
    found = recorded(model, {prefix: base.source for prefix, base in wanted.items()})
    for prefix, base in wanted.items():
        digest = found[prefix].sha256 if prefix in found else "none: nothing is frozen there"
        if digest != base.sha256:
            raise RejectedInput(
                f"{path}: contains what training changed of {base.source}, which is different now: the "
                f"digest of its frozen weights is {digest[:16]}, expected {base.sha256[:16]}; restore "
                "the weights of the start"
            )
    fill(model, tensors, path, needed=kept(model, wanted))


def sizes(model: Any, bases: Collection[str], *, averages: bool) -> Sizes:  # noqa: ANN401  torch is Any
    """Return how large a training is; the model may be on the `meta` device.

    Args:
        model: The network to be trained.
        bases: How the names of parameters begin that a base has.
        averages: Whether a running average is kept.
    """
    parameters = list(model.parameters())
    trained = [each for each in parameters if each.requires_grad]
    held = kept(model, bases)
    average = moving(model) if averages else {}
    bytes_averaged = sum(each.numel() * averaged_type(each).itemsize for each in average.values())
    moments = 2 * _bytes(trained)
    return Sizes(
        trained=sum(each.numel() for each in trained),
        frozen=sum(each.numel() for each in parameters) - sum(each.numel() for each in trained),
        memory=_bytes(parameters) + _bytes(trained) + moments,
        average=bytes_averaged,
        last=_bytes(held.values()) + bytes_averaged + moments,
        best=_bytes([each for name, each in held.items() if name not in average]) + bytes_averaged,
    )


def require_room(folder: Path, files: Mapping[str, int]) -> None:
    """Refuse to begin where the checkpoints will not fit.

    A file is replaced in one step: for that moment the largest one stands there twice.

    Args:
        folder: The run folder; files that it holds already take no further room.
        files: Bytes of each checkpoint, by its name.

    Raises:
        MissingResource: The disk has too little free space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = sum((folder / name).stat().st_size for name in files if (folder / name).is_file())
    needed = sum(files.values()) + max(files.values()) - there
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise MissingResource(
            f"{folder}: checkpoints need {needed / 1e6:,.1f} MB and the disk has {free / 1e6:,.1f} MB free; "
            "make room, or name a folder on another disk with --out"
        )


def _distinct(model: Any) -> dict[str, Any]:  # noqa: ANN401  torch is Any
    """Return parameters and buffers by name, each once: tied ones by the first of their names."""
    found = {}
    seen = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found


def _is_frozen(tensor: Any) -> bool:  # noqa: ANN401  torch is Any
    return isinstance(tensor, torch.nn.Parameter) and not tensor.requires_grad


def _digest(tensors: Collection[Any]) -> str:
    """Return the SHA-256 of values: libraries name and order the same weights in more than one way."""
    each = sorted(hashlib.sha256(raw(tensor)).digest() for tensor in tensors)
    return hashlib.sha256(b"".join(each)).hexdigest()


def _bytes(tensors: Collection[Any]) -> int:
    return sum(each.numel() * each.element_size() for each in tensors)
