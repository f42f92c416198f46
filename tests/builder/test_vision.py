from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model
from PIL import Image

from dataset_builder.stages import image_classifier
from dataset_builder.stages.image_classifier import OnnxClassifier, find_model, open_classifier, prepare
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.onnx_contract import OnnxContract, Task

METADATA = {
    "rocov2.task": "radiology",
    "rocov2.mean": "0,0,0",
    "rocov2.std": "1,1,1",
    "rocov2.classes": "radiology",
    "rocov2.positive": "radiology",
    "rocov2.threshold": "0.6",
    "rocov2.resize": "squash",
    "rocov2.activation": "none",
}

Maker = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Maker:
    """Return a maker of models that answer the mean brightness of each picture, scaled and shifted."""

    def make(
        metadata: Mapping[str, str | None] | None = None,
        *,
        shape: Sequence[int | str] = ("batch", 3, 8, 8),
        weights: Sequence[float] = (1.0,),
        bias: float = 0.0,
        kind: int = TensorProto.FLOAT,
        name: str = "model.onnx",
    ) -> Path:
        n = len(weights)
        nodes = [
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Reshape", ["mean", "column"], ["one"]),
            helper.make_node("MatMul", ["one", "weights"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["answer"]),
        ]
        graph = helper.make_graph(
            nodes,
            "brightness",
            [helper.make_tensor_value_info("pixels", kind, list(shape))],
            [helper.make_tensor_value_info("answer", kind, ["batch", n])],
            [
                helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
                helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
                helper.make_tensor("weights", kind, [1, n], list(weights)),
                helper.make_tensor("bias", kind, [1], [bias]),
            ],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        said = {**METADATA, **(metadata or {})}
        helper.set_model_props(proto, {key: value for key, value in said.items() if value is not None})
        path = tmp_path / name
        save_model(proto, path)
        return path

    return make


def flat(level: int, size: tuple[int, int] = (16, 12)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, level).save(buffer, "PNG")
    return buffer.getvalue()


def test_each_picture_has_its_own_score_in_order(model: Maker) -> None:
    scores = OnnxClassifier(model(), "radiology").scores([flat(0), flat(255), flat(51)])
    assert pytest.approx(scores.tolist()) == [0.0, 1.0, 0.2]


def test_a_model_of_fixed_batch_gives_the_same_scores(model: Maker) -> None:
    pictures = [flat(level) for level in (0, 40, 80, 120, 160)]
    loose = OnnxClassifier(model(name="a.onnx"), "radiology").scores(pictures)
    fixed = OnnxClassifier(model(shape=(2, 3, 8, 8), name="b.onnx"), "radiology").scores(pictures)
    assert loose.tolist() == fixed.tolist()


def test_a_sigmoid_is_applied_by_us(model: Maker) -> None:
    path = model({"rocov2.activation": "sigmoid"}, weights=[10.0], bias=-5.0)
    scores = OnnxClassifier(path, "radiology").scores([flat(0), flat(255)])
    assert [1 / (1 + np.exp(5)), 1 / (1 + np.exp(-5))] == pytest.approx(scores.tolist())


def test_of_a_softmax_the_positive_class_is_taken(model: Maker) -> None:
    said = {"rocov2.classes": "other, radiology", "rocov2.activation": "softmax"}
    scores = OnnxClassifier(model(said, weights=[0.0, 2.0]), "radiology").scores([flat(255)])
    assert [np.exp(2) / (1 + np.exp(2))] == pytest.approx(scores.tolist())


def test_mean_and_std_are_those_of_the_model(model: Maker) -> None:
    path = model({"rocov2.mean": "0.2,0.2,0.2", "rocov2.std": "2, 2, 2"}, bias=0.5)
    assert pytest.approx(OnnxClassifier(path, "radiology").scores([flat(255)]).tolist()) == [0.9]


def test_letterbox_keeps_proportions_and_fills_up_with_black(model: Maker) -> None:
    path = model({"rocov2.resize": "letterbox"})
    assert pytest.approx(OnnxClassifier(path, "radiology").scores([flat(255, (40, 20))]).tolist()) == [0.5]


def test_the_channels_are_red_green_blue_from_above() -> None:
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[0, :, 0] = 255
    contract = OnnxContract(
        task="radiology",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        classes=("a",),
        positive="a",
        threshold=0.5,
        resize="squash",
        activation="none",
    )
    prepared = prepare(pixels, contract, (4, 2))
    assert prepared[0].tolist() == [[1.0] * 4, [0.0] * 4]
    assert prepared[1:].max() == 0.0


def test_an_unreadable_picture_is_refused(model: Maker) -> None:
    with pytest.raises(RejectedInput, match=r"a picture cannot be read: no image of a known format"):
        OnnxClassifier(model(), "radiology").scores([b"?"])


def test_nan_is_refused_with_the_name_of_the_model(model: Maker) -> None:
    path = model(weights=[float("nan")])
    with pytest.raises(RejectedInput, match=r"model\.onnx: the model answers NaN"):
        OnnxClassifier(path, "radiology").scores([flat(9)])


def test_an_answer_that_is_no_probability_is_refused(model: Maker) -> None:
    path = model(weights=[7.0])
    with pytest.raises(
        RejectedInput, match=r"model\.onnx: the model answers 7 for radiology, expected a prob"
    ):
        OnnxClassifier(path, "radiology").scores([flat(255)])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rocov2.threshold": None}, "missing required field `rocov2.threshold`"),
        ({"rocov2.task": "compound"}, "rocov2.task is compound, expected radiology"),
        ({"rocov2.classes": "other,radiology"}, "the output has 1 columns, expected 2"),
    ],
)
def test_a_file_that_does_not_keep_to_the_contract_is_refused(
    model: Maker, said: dict[str, str | None], message: str
) -> None:
    with pytest.raises(RejectedInput, match=rf"model\.onnx: .*{message}"):
        OnnxClassifier(model(said), "radiology")


@pytest.mark.parametrize(
    "options",
    [
        {"shape": ("batch", 1, 8, 8)},
        {"shape": ("batch", 3, "height", 8)},
        {"shape": ("batch", 3, 8, 100_000)},
        {"kind": TensorProto.DOUBLE},
    ],
)
def test_another_input_is_refused(model: Maker, options: dict[str, Any]) -> None:
    with pytest.raises(RejectedInput, match=r"the inputs are tensor\(.*expected one input of float32"):
        OnnxClassifier(model(**options), "radiology")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("no model")
    with pytest.raises(RejectedInput, match=r"model\.onnx: expected an ONNX model"):
        OnnxClassifier(path, "radiology")


def test_a_model_is_loaded_once_and_again_when_its_file_changes(model: Maker) -> None:
    path = model()
    first = open_classifier(path, "radiology")
    assert first is open_classifier(path, "radiology")
    model({"rocov2.threshold": "0.75"})
    assert open_classifier(path, "radiology").threshold == 0.75


def test_without_onnxruntime_the_message_names_what_to_install(
    model: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingResource, match=re.escape(install_command("builder"))):
        OnnxClassifier(path, "radiology")


def test_a_model_that_is_absent_is_missed(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"mine\.onnx: no such file"):
        find_model("radiology", tmp_path / "mine.onnx")


def test_the_model_of_the_package_comes_second(
    model: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(name="radiology.onnx")
    monkeypatch.setattr(image_classifier, "MODELS", tmp_path)
    assert path == find_model("radiology", None)


@pytest.mark.parametrize(
    ("task", "switch"),
    [("radiology", r'filter = "off"'), ("compound", r'method = "priors" or "off"')],
)
def test_without_any_model_the_filter_refuses_and_says_what_to_do(
    task: Task, switch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_classifier, "MODELS", tmp_path)
    with pytest.raises(
        MissingResource, match=rf'model = "{task}\.onnx" in the table \[{task}\], or set {switch}'
    ):
        find_model(task, None)
