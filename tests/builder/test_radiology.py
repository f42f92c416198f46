from __future__ import annotations

import io
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save_model
from PIL import Image

from dataset_builder.records import Drop, Figure
from dataset_builder.stages.overrides import BY_HAND
from dataset_builder.stages.radiology import NOT_RADIOLOGY, RadiologyOptions, select
from rocov2_eval.shelf.pictures import UNREADABLE

from made_figures import made_figure


def figure(level: int) -> Figure:
    """Return a figure whose picture has this grey level."""
    return made_figure(name=str(level))


def picture(one: Figure) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (20, 20), int(one.graphic.name)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model that takes dark pictures for radiology images: the sigmoid of 10 x brightness - 5."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Reshape", ["mean", "column"], ["one"]),
            helper.make_node("MatMul", ["one", "weights"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["answer"]),
        ],
        "darkness",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 2])],
        [
            helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
            helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
            helper.make_tensor("weights", TensorProto.FLOAT, [1, 2], [10.0, -10.0]),
            helper.make_tensor("bias", TensorProto.FLOAT, [2], [-5.0, 5.0]),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    metadata = {
        "task": "radiology",
        "mean": "0,0,0",
        "std": "1,1,1",
        "classes": "other,radiology",
        "positive": "radiology",
        "threshold": "0.5",
        "resize": "letterbox",
        "activation": "sigmoid",
    }
    helper.set_model_props(proto, {f"rocov2.{key}": value for key, value in metadata.items()})
    path = tmp_path / "model.onnx"
    save_model(proto, path)
    return path


def test_another_image_is_dropped_with_its_score(model: Path) -> None:
    kept, drops = select([figure(255)], picture, RadiologyOptions(model=model))
    assert kept == []
    detail = "score 0.007, expected at least 0.500"
    expected = Drop(stage="radiology", key="PMC7/255", reason=NOT_RADIOLOGY, detail=detail, score=0.006693)
    assert [expected] == drops


def test_the_threshold_of_the_user_beats_that_of_the_model(model: Path) -> None:
    kept, _ = select([figure(0), figure(255)], picture, RadiologyOptions(model=model, threshold=0.001))
    assert [one.graphic.name for one in kept] == ["0", "255"]


def test_a_score_does_not_depend_on_the_neighbours(model: Path) -> None:
    options = RadiologyOptions(model=model, threshold=0.0)
    figures = [figure(level) for level in range(0, 250, 10)]
    together, _ = select(figures, picture, options)
    alone = [select([one], picture, options)[0][0] for one in figures]
    assert alone == together


def test_every_figure_is_kept_or_dropped_in_order(model: Path) -> None:
    figures = [figure(level) for level in (200, 10, 220, 20)]
    kept, drops = select(figures, picture, RadiologyOptions(model=model))
    assert [one.graphic.name for one in kept] == ["10", "20"]
    assert [drop.key for drop in drops] == ["PMC7/200", "PMC7/220"]


def test_overrides_win_and_say_so(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "overrides.csv"
    path.write_text("PMCID,file,decision\nPMC7,0,drop\nPMC7,255,keep\n")
    kept, drops = select([figure(0), figure(255)], picture, RadiologyOptions(model=model, overrides=path))
    assert [(one.key, one.scores.radiology) for one in kept] == [("PMC7/255", 0.006693)]
    assert [(drop.key, drop.detail) for drop in drops] == [("PMC7/0", BY_HAND)]


def test_an_unreadable_picture_is_a_drop(model: Path) -> None:
    _, drops = select([figure(0)], lambda _: b"?", RadiologyOptions(model=model))
    assert [drop.reason for drop in drops] == [UNREADABLE]


def test_off_keeps_every_figure_without_a_score() -> None:
    figures = [figure(0), figure(255)]
    assert (figures, []) == select(figures, picture, RadiologyOptions(filter="off"))
