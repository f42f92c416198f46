"""What a model file says about itself, checked before a picture is looked at.

A model file is ONNX and says itself how it is to be used, so that no option can contradict it.

One input: float32, batch x 3 x height x width, RGB; the batch is open or fixed, height and width are fixed.
One output: float32, batch x classes. Everything else is in the metadata of the file (`metadata_props`):

| key | value |
|---|---|
| `rocov2.task` | `compound` or `radiology` |
| `rocov2.mean`, `rocov2.std` | three numbers each, separated by commas, for pixels in [0, 1] |
| `rocov2.classes` | names separated by commas, in the order of the output |
| `rocov2.positive` | the class whose probability is the score: of a compound figure, of a radiology image |
| `rocov2.threshold` | the score from which on the answer is yes, unless the user sets another |
| `rocov2.resize` | `squash`, or `letterbox`: the proportions stay, and black fills up the rest |
| `rocov2.activation` | what makes probabilities of the output: `softmax`, `sigmoid` or `none` |

A model with one output has one class, the positive one, and `sigmoid` or `none`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.words import shorten

Task = Literal["compound", "radiology"]
Resize = Literal["squash", "letterbox"]
Activation = Literal["softmax", "sigmoid", "none"]

MODELS = Path(__file__).parent / "models"
PREFIX = "rocov2."
CHANNELS = 3
_AXES = 4
_MOST_SIDE = 4096  # pixels; more would fill the memory before any answer
_TASKS: tuple[Task, ...] = get_args(Task)
_RESIZES: tuple[Resize, ...] = get_args(Resize)
_ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

_Word = TypeVar("_Word", bound=str)


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a model.

    Attributes:
        kind: Such as `tensor(float)`.
        shape: Length of each axis; a name or None where it is open.
    """

    kind: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        return f"{self.kind} {list(self.shape)}"


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What can be seen of a model without running it.

    Attributes:
        metadata: The `metadata_props` of the file.
        inputs: In the order of the file.
        outputs: Likewise.
    """

    metadata: Mapping[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a model file says about itself.

    Attributes:
        mean: Of the channels, for pixels in [0, 1].
        std: Likewise.
        classes: In the order of the output.
        positive: Which of them the score is of.
        threshold: The score from which on the answer is yes.
        resize: How a picture comes to the size of the input.
        activation: What makes probabilities of the output.
        width: Of the input, in pixels.
        height: Of the input, in pixels.
        batch: Pictures that the model takes at once; None where that is open.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    positive: str
    threshold: float
    resize: Resize
    activation: Activation
    width: int
    height: int
    batch: int | None


def find_model(task: Task, path: Path | None) -> Path:
    """Return the user's model, else the one that comes with the package.

    Raises:
        MissingResource: There is neither.
    """
    if path is not None:
        if not path.is_file():
            raise MissingResource(f"{path}: no such file, expected an ONNX model of the task {task}")
        return path
    shipped = MODELS / f"{task}.onnx"
    if shipped.is_file():
        return shipped
    switch = 'filter = "off"' if task == "radiology" else 'method = "priors" or "off"'
    raise MissingResource(
        f"the {task} filter has no model, and letting every figure through would pass for a filter: "
        f'name one with model = "{task}.onnx" in the table [{task}], or set {switch} there'
    )


def read_contract(outline: Outline, path: Path, task: Task) -> Contract:
    """Return what a model file says about itself.

    Args:
        outline: What can be seen of the model.
        path: Its file, for messages.
        task: What it must have been made for.

    Raises:
        RejectedInput: Something is missing, is not understood, or was made for another task.
    """
    says = _Sayings(
        path=path,
        values={
            key.removeprefix(PREFIX): value.strip()
            for key, value in outline.metadata.items()
            if key.startswith(PREFIX)
        },
    )
    named = says.choice("task", _TASKS)
    if named != task:
        raise RejectedInput(f"{path}: {PREFIX}task is {named}, expected {task}: a model of another filter")
    batch, height, width = _input_size(outline, path)
    classes = tuple(name.strip() for name in says.text("classes").split(","))
    contract = Contract(
        mean=says.numbers("mean", CHANNELS),
        std=says.numbers("std", CHANNELS),
        classes=classes,
        positive=says.choice("positive", classes),
        threshold=says.numbers("threshold", 1)[0],
        resize=says.choice("resize", _RESIZES),
        activation=says.choice("activation", _ACTIVATIONS),
        height=height,
        width=width,
        batch=batch,
    )
    _refuse_nonsense(contract, outline, path)
    return contract


@dataclass(frozen=True, kw_only=True)
class _Sayings:
    """The metadata of one file that is ours, without the prefix of its keys."""

    path: Path
    values: Mapping[str, str]

    def text(self, key: str) -> str:
        """Return a value that must be there."""
        if not self.values.get(key):
            found = ", ".join(f"{PREFIX}{name}" for name in sorted(self.values)) or f"no key of {PREFIX}*"
            raise RejectedInput(
                f"{self.path}: the metadata lacks {PREFIX}{key}, found {found}; the module "
                f"{__name__} lists what a model file must say"
            )
        return self.values[key]

    def choice(self, key: str, allowed: tuple[_Word, ...]) -> _Word:
        """Return a word, one of those allowed."""
        word = self.text(key)
        for known in allowed:
            if word == known:
                return known
        found = shorten(word)
        raise RejectedInput(f"{self.path}: {PREFIX}{key} is {found!r}, expected {' or '.join(allowed)}")

    def numbers(self, key: str, n: int) -> tuple[float, ...]:
        """Return n finite numbers."""
        text = self.text(key)
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) != n or not all(map(math.isfinite, found)):
            expected = f"{n} finite numbers" if n > 1 else "a finite number"
            raise RejectedInput(f"{self.path}: {PREFIX}{key} is {shorten(text)!r}, expected {expected}")
        return found


def _input_size(outline: Outline, path: Path) -> tuple[int | None, int, int]:
    """Return batch, height and width of the input; None for an open batch."""
    expected = (
        f"one input of float32, batch x 3 x height x width, height and width fixed, each at most {_MOST_SIDE}"
    )
    shown = shorten(", ".join(map(str, outline.inputs)), 120) or "none"
    fault = RejectedInput(f"{path}: the inputs are {shown}, expected {expected}")
    if len(outline.inputs) != 1 or outline.inputs[0].kind != "tensor(float)":
        raise fault
    shape = outline.inputs[0].shape
    if len(shape) != _AXES or shape[1] != CHANNELS:
        raise fault
    batch, height, width = _length(shape[0]), _length(shape[2]), _length(shape[3])
    if height is None or width is None or max(height, width) > _MOST_SIDE:
        raise fault
    return batch, height, width


def _length(axis: int | str | None) -> int | None:
    """Return the length of an axis, None where it is open."""
    return axis if isinstance(axis, int) and axis > 0 else None


def _refuse_nonsense(contract: Contract, outline: Outline, path: Path) -> None:
    """Refuse what is said well but cannot be."""
    if len(outline.outputs) != 1:
        raise RejectedInput(f"{path}: found {len(outline.outputs)} outputs, expected one, batch x classes")
    columns = _length(outline.outputs[0].shape[-1]) if outline.outputs[0].shape else None
    n_classes = len(contract.classes)
    if columns is not None and columns != n_classes:
        raise RejectedInput(
            f"{path}: the output has {columns} columns, expected {n_classes} as in {PREFIX}classes"
        )
    if len(set(contract.classes)) < n_classes:
        raise RejectedInput(f"{path}: {PREFIX}classes names one twice: {','.join(contract.classes)}")
    if min(contract.std) <= 0:
        raise RejectedInput(f"{path}: {PREFIX}std is {contract.std}, expected three numbers above 0")
    if not 0 <= contract.threshold <= 1:
        raise RejectedInput(f"{path}: {PREFIX}threshold is {contract.threshold}, expected 0 to 1")
    if contract.activation == "softmax" and n_classes == 1:
        raise RejectedInput(f"{path}: softmax of one class is always 1, expected sigmoid or two classes")
