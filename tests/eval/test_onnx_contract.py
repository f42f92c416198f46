from __future__ import annotations

import msgspec
import pytest

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.onnx_contract import OnnxContract, contract_metadata, read_contract

METADATA = {
    "rocov2.task": "radiology",
    "rocov2.mean": "0.485, 0.456,0.406",
    "rocov2.std": "0.229,0.224,0.225",
    "rocov2.classes": "other,radiology",
    "rocov2.positive": "radiology",
    "rocov2.threshold": "0.6",
    "rocov2.resize": "squash",
    "rocov2.activation": "softmax",
    "producer": "somebody",
}
CONTRACT = OnnxContract(
    task="radiology",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    classes=("other", "radiology"),
    positive="radiology",
    threshold=0.6,
    resize="squash",
    activation="softmax",
)


def test_metadata_are_read_and_those_of_others_passed_over() -> None:
    assert read_contract(METADATA, "model.onnx") == CONTRACT


def test_what_is_written_is_read_as_it_was() -> None:
    contract = msgspec.structs.replace(CONTRACT, licence="CC BY 4.0", threshold=0.1 + 0.2)
    assert read_contract(contract_metadata(contract), "model.onnx") == contract


@pytest.mark.parametrize("key", [key for key in sorted(METADATA) if key.startswith("rocov2.")])
def test_every_key_is_needed(key: str) -> None:
    metadata = {name: value for name, value in METADATA.items() if name != key}
    with pytest.raises(RejectedInput, match=rf"^model\.onnx: .*missing required field `{key}`"):
        read_contract(metadata, "model.onnx")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "cats", "Invalid enum value 'cats' - at `rocov2.task`"),
        ("mean", "0,0", "Expected `array` of length 3, got 2 - at `rocov2.mean`"),
        ("mean", "0,inf,0", "expected finite numbers"),
        ("std", "1,nan,1", r"Expected `float` > 0.0 - at `rocov2.std\[1\]`"),
        ("std", "1,0,1", r"Expected `float` > 0.0 - at `rocov2.std\[1\]`"),
        ("positive", "cat", "positive is 'cat', expected one of other, radiology"),
        ("threshold", "half", "Expected `float`, got `str` - at `rocov2.threshold`"),
        ("threshold", "1.5", "Expected `float` <= 1.0 - at `rocov2.threshold`"),
        ("resize", "crop", "Invalid enum value 'crop' - at `rocov2.resize`"),
        ("activation", "relu", "Invalid enum value 'relu' - at `rocov2.activation`"),
        ("classes", "radiology", "softmax over one class is always 1"),
        ("classes", "radiology,radiology", "expected each name once"),
    ],
)
def test_a_value_that_no_reader_understands_is_refused_with_its_key(
    key: str, value: str, message: str
) -> None:
    with pytest.raises(RejectedInput, match=rf"^model\.onnx: .*{message}"):
        read_contract({**METADATA, f"rocov2.{key}": value}, "model.onnx")


def test_a_contract_that_would_be_read_otherwise_is_not_written() -> None:
    with pytest.raises(RejectedInput, match="expected names without commas"):
        contract_metadata(msgspec.structs.replace(CONTRACT, classes=("a,b", "radiology")))
