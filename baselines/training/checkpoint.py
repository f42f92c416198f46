"""The state of a run in one safetensors file: numbers and a header of JSON, no pickle.

    model.<name>              parameters and buffers
    average.<name>            their running average (EMA)
    optimiser.<name>.<key>    moments of AdamW

The file is written under another name and moved: a killed run leaves the one before it whole. Tensors are
written one after the other, so that a model on a GPU is never whole in the memory of the host.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open

from baselines.models.weights import read_tensors
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.parsing import Malformed, json_as

_HEADER = "rocov2"
_ALIGNED = 8  # bytes; safetensors pads its header to a multiple, so that numbers begin at one
_TYPES: Mapping[Any, str] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

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
    metadata = {_HEADER: json.dumps(dict(header)), **(extra or {})}
    try:
        with partial.open("wb") as file:
            _write_tensors(file, tensors, metadata)
            file.flush()
            os.fsync(file.fileno())  # else a name could reach the disk before its numbers when power fails
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def raw(tensor: Any) -> memoryview:  # noqa: ANN401  torch is Any
    """Return the bytes of a tensor, row by row however it lies in memory; the device may be any."""
    flat = tensor.detach().contiguous().cpu().flatten()
    return memoryview(flat.view(torch.uint8).numpy())


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
        raise RejectedInput(f"{path}: expected a complete safetensors file: {error}") from None


def part(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _write_tensors(file: IO[bytes], tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file: length of its header, header, and the numbers, those of wide types first."""
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # each stays aligned
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.element_size()
        table[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNED)
    file.write(len(header).to_bytes(8, "little") + header)
    for name in names:
        file.write(raw(tensors[name]))


def _require(path: Path) -> None:
    if not path.is_file():
        raise MissingResource(f"{path}: no such checkpoint; the run stopped before its first one")


def _header(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    if _HEADER not in metadata:
        raise RejectedInput(f"{path}: not written by this program: its header contains no run")
    try:
        return json_as(metadata[_HEADER], dict[str, Any])
    except Malformed as error:
        raise RejectedInput(f"{path}: its header is damaged: {error}") from None
