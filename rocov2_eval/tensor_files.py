"""Tensors out of files, and into a module, with nothing missing and nothing left over.

Pickled files are read with `weights_only=True` alone: unpickling anything else runs whatever is in it.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rocov2_eval.devices import import_library
from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.parsing import Malformed, json_of, read_plain
from rocov2_eval.shelf.words import counted, shorten

_LENGTH_BYTES = 8
_LARGEST_HEADER = 100 * 2**20  # the limit of the safetensors library
_MOST_SPECIAL_TOKENS = 16  # which no merge makes; RoBERTa has nine, CLIP two
_PICKLES = {".bin", ".pt", ".ckpt"}


def read_tensors(files: Iterable[Path]) -> dict[str, Any]:
    """Return the tensors of files by name, on the CPU.

    A file is read by what it holds and not by how it is called; of a training checkpoint, a dictionary with
    `state_dict`, only that is returned.

    Raises:
        MissingResource: A file is damaged, holds more than tensors, or repeats a name.
    """
    tensors: dict[str, Any] = {}
    for path in files:
        if path.suffix == ".json":
            continue
        found = _read_safetensors(path) if is_safetensors(path) else _read_pickle(path)
        twice = sorted(tensors.keys() & found.keys())
        if twice:
            raise MissingResource(f"{path}: {twice[0]} is also in another file, expected one set of weights")
        tensors |= found
    return tensors


def read_config(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a model's configuration.

    Raises:
        MissingResource: It is no JSON object or lacks one of the names.
    """
    try:
        config = json_of(read_plain(path))
    except Malformed as error:
        raise MissingResource(f"{path}: not JSON: {error}") from None
    lacking = [name for name in names if not isinstance(config, dict) or name not in config]
    if lacking:
        raise MissingResource(f"{path}: no {lacking[0]}: the configuration belongs to another model")
    assert isinstance(config, dict)
    return config


def check_merges(vocabulary: Path, merges: Path, marks: Iterable[str]) -> None:
    """Check that vocabulary and merges of a byte-level tokenizer are whole and go together.

    With merges that are cut short, a tokenizer works, but cuts texts into other tokens.

    Args:
        vocabulary: The file of tokens, JSON.
        merges: The file of merges, a line each.
        marks: Tokens that the vocabulary must have.

    Raises:
        MissingResource: A file is damaged, or the two are not of one model.
    """
    tokens = read_config(vocabulary, marks)
    made = set()
    try:
        lines = merges.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise MissingResource(f"{merges}: not UTF-8 ({error}): copy the file again") from None
    for number, line in enumerate(lines, 1):
        parts = line.split(" ")
        is_merge = len(parts) == 2 and "".join(parts) in tokens and set(parts) <= tokens.keys()  # noqa: PLR2004
        if line and not line.startswith("#version") and not is_merge:
            raise MissingResource(f"{merges}:{number}: {line!r} is not a merge of this vocabulary")
        made.add("".join(parts))
    # A byte at the end of a word is a token by itself in CLIP.
    unmade = sum(len(token.removesuffix("</w>")) > 1 and token not in made for token in tokens)
    if unmade > _MOST_SPECIAL_TOKENS:
        raise MissingResource(
            f"{merges}: the merges lack {counted(unmade, 'token')} of the vocabulary: the file is incomplete "
            "or belongs to another model; copy it again"
        )


@contextmanager
def refusing_other_shapes(path: Path) -> Iterator[None]:
    """Turn what transformers and torch raise on a configuration that makes no model into a message.

    Raises:
        MissingResource: A value of the configuration is of another kind, or does not go with the others.
    """
    try:
        yield
    except _configuration_errors() as error:
        reason = " ".join(str(error).split())
        raise MissingResource(
            f"{path}: no model can be built from it ({reason}): copy the file again"
        ) from None


def load_strictly(module: Any, tensors: Mapping[str, Any], source: Path) -> None:  # noqa: ANN401
    """Copy tensors into a module of torch.

    Args:
        module: The module, whose parameters and buffers say what is expected.
        tensors: A tensor for each of them.
        source: File or folder to name in a message.

    Raises:
        MissingResource: A tensor is missing, not expected or of another shape.
    """
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise MissingResource(
                f"{source}: no tensor {name}: the weights are incomplete or belong to another model"
            )
        if tuple(tensors[name].shape) != tuple(tensor.shape):
            raise MissingResource(
                f"{source}: {name} has shape {list(tensors[name].shape)}, expected "
                f"{list(tensor.shape)}: weights and configuration belong to different models"
            )
    foreign = sorted(tensors.keys() - expected.keys())
    if foreign:
        raise MissingResource(
            f"{source}: the model does not have {counted(len(foreign), 'tensor')}, such as {foreign[0]}: "
            "the weights belong to another model"
        )
    module.load_state_dict(tensors, strict=True)


def is_safetensors(path: Path) -> bool:
    """Tell whether a file begins as safetensors do: the length of a header, and a header in JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        return 1 < length <= _LARGEST_HEADER and file.read(1) == b"{"


def check_tensor_file(path: Path) -> None:
    """Check that a file of weights is whole, without a library; other files pass.

    Raises:
        MissingResource: It is cut short or damaged.
    """
    if path.suffix != ".safetensors" and path.suffix not in _PICKLES:
        return
    if is_safetensors(path):
        _check_safetensors(path)
    elif path.suffix == ".safetensors" or not zipfile.is_zipfile(path):
        # torch writes archives since 1.6; such a file has its table of contents at the end.
        raise MissingResource(f"{path}: not a file of weights, or incomplete: copy the file again")


def _configuration_errors() -> tuple[type[Exception], ...]:
    usual = (OSError, ValueError, KeyError, TypeError, AssertionError, ArithmeticError)
    # What transformers 5 raises, once it is imported, is of none of these kinds.
    strict = getattr(sys.modules.get("huggingface_hub.errors"), "StrictDataclassError", None)
    return usual if strict is None else (*usual, strict)


def _check_safetensors(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = file.read(length)
    try:
        expected = _LENGTH_BYTES + length + _end_of_tensors(json_of(header))
    except ValueError as error:
        raise MissingResource(f"{path}: the header is damaged ({error}): copy the file again") from None
    if size != expected:
        raise MissingResource(f"{path}: {size:,} bytes, expected {expected:,}: copy the file again")


def _end_of_tensors(header: object) -> int:
    """Return the offset at which the last tensor ends, by the header of safetensors."""
    rows = (
        {name: row for name, row in header.items() if name != "__metadata__"}
        if isinstance(header, dict)
        else None
    )
    if rows is None:
        raise ValueError("not an object of tensors")
    for name, row in rows.items():
        match row:
            case {"data_offsets": [int(start), int(end)]} if 0 <= start <= end:
                pass
            case _:
                raise ValueError(f"{shorten(name)!r} has no position in the file")
    return max((row["data_offsets"][1] for row in rows.values()), default=0)


def _read_safetensors(path: Path) -> dict[str, Any]:
    _check_safetensors(path)
    safetensors = import_library("safetensors.torch", "official")
    tensors: dict[str, Any] = safetensors.load_file(path)
    return tensors


def _read_pickle(path: Path) -> dict[str, Any]:
    torch = import_library("torch")
    check_tensor_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise MissingResource(
            f"{path} contains more than tensors and was not opened, because it could run code "
            f'({reason}). If you trust it, convert it on an isolated machine: `python -c "import '
            "torch, safetensors.torch as s; c = torch.load('FILE', weights_only=False, "
            "map_location='cpu'); s.save_file({k: v.clone() for k, v in c.get('state_dict', "
            "c).items()}, 'model.safetensors')\"`, and replace the file by model.safetensors."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise MissingResource(f"{path} cannot be read: {reason}: copy the file again") from None
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise MissingResource(
            f"{path}: expected a dictionary of tensors, or a dictionary with one under `state_dict`"
        )
    return dict(state)
