"""The state of a run in one safetensors file: numbers and a header of JSON, no pickle.

    model.<name>              parameters and buffers
    average.<name>            their running average (EMA)
    optimiser.<name>.<key>    moments of AdamW

The file is written under another name and moved: a killed run leaves the one before it whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rocov2_eval.errors import MissingResource, RejectedInput

_HEADER = "rocov2"

Tensors = Mapping[str, Any]


def write(
    path: Path, tensors: Tensors, header: Mapping[str, Any], extra: Mapping[str, str] | None = None
) -> None:
    """Write tensors and what is to be known of them, in one step.

    Args:
        path: Final name.
        tensors: By name.
        header: What JSON can hold.
        extra: Further strings of the header, such as what `weights.header_of` says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # A copy of each: tensors that share their numbers, as tied weights do, are refused.
        held = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        save_file(held, str(partial), {_HEADER: json.dumps(dict(header)), **(extra or {})})
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # else a name could reach the disk before its numbers when power fails
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return tensors and header of a checkpoint.

    Raises:
        MissingResource: There is none.
        RejectedInput: It is damaged, or not one of ours.
    """
    if not path.is_file():
        raise MissingResource(f"{path}: no such checkpoint; the run was stopped before its first")
    try:
        with safe_open(str(path), "pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, OSError) as error:
        raise RejectedInput(f"{path}: no whole safetensors file ({error})") from None
    if header is None:
        raise RejectedInput(f"{path}: not written by this program: its header says nothing of a run")
    return tensors, json.loads(header)


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a checkpoint alone: it may hold billions of numbers.

    Raises:
        MissingResource: There is none.
        RejectedInput: It is damaged, or not one of ours.
    """
    if not path.is_file():
        raise MissingResource(f"{path}: no such checkpoint; the run was stopped before its first")
    try:
        with safe_open(str(path), "pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
    except (SafetensorError, OSError) as error:
        raise RejectedInput(f"{path}: no whole safetensors file ({error})") from None
    if header is None:
        raise RejectedInput(f"{path}: not written by this program: its header says nothing of a run")
    found: dict[str, Any] = json.loads(header)
    return found


def part(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def fill(model: Any, tensors: Tensors, path: Path) -> None:  # noqa: ANN401  torch is Any
    """Copy parameters and buffers into a model, which must have exactly these.

    Raises:
        RejectedInput: A name or shape differs.
    """
    own = model.state_dict(keep_vars=True)
    if own.keys() != tensors.keys():
        strange = sorted(own.keys() ^ tensors.keys())
        raise RejectedInput(f"{path}: of another network: {len(strange)} names differ, such as {strange[0]}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            if own[name].shape != tensor.shape:
                shapes = f"{tuple(tensor.shape)}, expected {tuple(own[name].shape)}"
                raise RejectedInput(f"{path}: of another network: {name} is {shapes}")
            own[name].copy_(tensor)
