"""What the ONNX file of an image filter says about itself, so that no option can contradict it.

`baselines` writes such files and `dataset_builder` reads them: the two packages meet in the file.

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
| `rocov2.licence` | of the weights; for people, no program reads it |

A model with one output has one class, the positive one, and `sigmoid` or `none`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from rocov2_eval.errors import RejectedInput

Task = Literal["compound", "radiology"]
Resize = Literal["squash", "letterbox"]
Activation = Literal["softmax", "sigmoid", "none"]

PREFIX = "rocov2."
CHANNELS = 3
_LISTS = ("mean", "std", "classes")  # values separated by commas
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class OnnxContract(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of a model file say.

    Attributes:
        task: The filter that the model was made for.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel, above 0.
        classes: Names of the classes in the order of the output.
        positive: The class whose probability is the score.
        threshold: The score from which on the answer is yes, in [0, 1].
        resize: How a picture comes to the size of the input.
        activation: What makes probabilities of the output.
        licence: Licence of the weights, for people.
    """

    task: Task
    mean: tuple[float, float, float]
    std: tuple[_Positive, _Positive, _Positive]
    classes: tuple[str, ...]
    positive: str
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    resize: Resize
    activation: Activation
    licence: str = ""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise ValueError(f"mean is {self.mean} and std is {self.std}, expected finite numbers")
        if len(set(self.classes)) < len(self.classes) or not all(self.classes):
            raise ValueError(f"classes are {self.classes}, expected each name once")
        if self.positive not in self.classes:
            raise ValueError(f"positive is {self.positive!r}, expected one of {', '.join(self.classes)}")
        if self.activation == "softmax" and len(self.classes) == 1:
            raise ValueError("softmax over one class is always 1, expected sigmoid or two classes")


def contract_metadata(contract: OnnxContract) -> dict[str, str]:
    """Return the `metadata_props` of a file, sorted by key; `read_contract` gives the contract back.

    Raises:
        RejectedInput: A value is not what a reader would take, such as a class with a comma.
    """
    values = msgspec.to_builtins(contract)
    metadata = {f"{PREFIX}{key}": _text(values[key]) for key in sorted(values)}
    if read_contract(metadata, "contract") != contract:
        raise RejectedInput(
            f"contract: classes are {contract.classes}, expected names without commas and spaces"
        )
    return metadata


def read_contract(metadata: Mapping[str, str], path: object) -> OnnxContract:
    """Return what the metadata of a model file say; keys of others are passed over.

    Raises:
        RejectedInput: A key is missing or its value is none of those in the table above.
    """
    own = {
        key.removeprefix(PREFIX): value.strip() for key, value in metadata.items() if key.startswith(PREFIX)
    }
    values = {key: _parts(value) if key in _LISTS else value for key, value in own.items()}
    try:
        return msgspec.convert(values, OnnxContract, strict=False)
    except msgspec.ValidationError as error:
        fault = (
            str(error)
            .replace("`$.", f"`{PREFIX}")
            .replace("field `", f"field `{PREFIX}")
            .removesuffix(" - at `$`")
        )
        raise RejectedInput(
            f"{path}: the metadata do not describe an image filter: {fault}; the documentation of the "
            f"module {__name__} lists keys and values"
        ) from None


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]


def _text(value: object) -> str:
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)
