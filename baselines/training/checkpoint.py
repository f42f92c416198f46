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

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from baselines.models.weights import read_tensors
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.parsing import Malformed, json_as

_HEADER = "rocov2"

Tensors = Mapping[str, Any]


def write(
    path: Path, tensors: Tensors, header: Mapping[str, Any], extra: Mapping[str, str] | None = None
) -> None:
    """Write tensors and what is to be known of them, in one step.

    Args:
        path: Final name of the file.
        tensors: Tensors by name.
        header: Facts that JSON can hold.
        extra: Further metadata of the file, such as those of `weights.header_of`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # A copy of each: tensors that share their numbers, as tied weights do, are refused.
        copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        save_file(copies, str(partial), {_HEADER: json.dumps(dict(header)), **(extra or {})})
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
    _require(path)
    tensors, metadata = read_tensors(path)
    return tensors, _header(metadata, path)


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a checkpoint alone, since the tensors may be gigabytes; errors as of `read`."""
    _require(path)
    try:
        with safe_open(str(path), "pt") as file:
            return _header(file.metadata() or {}, path)
    except (SafetensorError, OSError) as error:
        raise RejectedInput(f"{path}: expected a safetensors file, whole: {error}") from None


def part(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _require(path: Path) -> None:
    if not path.is_file():
        raise MissingResource(f"{path}: no such checkpoint; the run was stopped before its first")


def _header(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    if _HEADER not in metadata:
        raise RejectedInput(f"{path}: not written by this program: its header says nothing of a run")
    try:
        return json_as(metadata[_HEADER], dict[str, Any])
    except Malformed as error:
        raise RejectedInput(f"{path}: its header is damaged: {error}") from None
