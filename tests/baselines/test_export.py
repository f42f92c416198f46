from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from baselines.models.efficientnet import SPECS, EfficientNet, Spec, Stage  # noqa: E402
from baselines.onnx_files import export_onnx  # noqa: E402
from dataset_builder.stages.image_classifier import OnnxClassifier  # noqa: E402
from rocov2_eval.errors import RejectedInput  # noqa: E402
from rocov2_eval.shelf.onnx_contract import OnnxContract, contract_metadata  # noqa: E402

pytestmark = pytest.mark.slow

SIDE = 33
CONTRACT = OnnxContract(
    task="radiology",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    classes=("radiology",),
    positive="radiology",
    threshold=0.25,
    resize="squash",
    activation="sigmoid",
    licence="CC0-1.0",
)
TINY = Spec(
    name="tiny",
    stem=4,
    stages=(Stage(block="inverted", repeats=1, stride=2, expansion=2, channels=8, squeezes=True),),
    head=8,
    side=SIDE,
    pads_late=True,
    epsilon=1e-3,
)


def exported(folder: Path, spec: Spec = TINY) -> tuple[Any, Path, float]:
    torch.manual_seed(0)
    model = EfficientNet(spec, classes=1)
    model(torch.randn(16, 3, SIDE, SIDE))  # so that the running statistics are not 0 and 1
    path = folder / "models" / "radiology.onnx"
    return model, path, export_onnx(model, path, side=SIDE, metadata=contract_metadata(CONTRACT))


@pytest.mark.parametrize("spec", [TINY, SPECS["nano"]], ids=lambda spec: spec.name)
def test_the_file_answers_as_torch_does(tmp_path: Path, spec: Spec) -> None:
    assert exported(tmp_path, spec)[2] < 1e-5


def test_the_builder_reads_from_the_file_what_was_declared(tmp_path: Path) -> None:
    path = exported(tmp_path)[1]

    assert OnnxClassifier(path, "radiology").contract == CONTRACT


def test_the_builder_scores_a_picture_as_torch_does(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    model, path, _ = exported(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    mean, std = torch.tensor(CONTRACT.mean), torch.tensor(CONTRACT.std)
    images = ((torch.tensor(pixels) / 255 - mean) / std).permute(2, 0, 1)[None]
    expected = torch.sigmoid(model.eval()(images)).item()

    assert [expected] == pytest.approx(
        OnnxClassifier(path, "radiology").scores([(tmp_path / "a.png").read_bytes()]).tolist(), abs=1e-5
    )


def test_the_network_stays_in_its_mode(tmp_path: Path) -> None:
    assert exported(tmp_path)[0].training


def test_the_same_network_gives_the_same_file(tmp_path: Path) -> None:
    assert exported(tmp_path / "a")[1].read_bytes() == exported(tmp_path / "b")[1].read_bytes()


class Restless(torch.nn.Module):
    """Answers anew each time, as no file can."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: Any) -> Any:
        self.calls += 1
        return images.mean((2, 3)) + self.calls


def test_a_file_that_differs_from_torch_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        RejectedInput,
        match=r"differs from that of torch by 0\.\d+ of the largest logit, expected at most 0\.0001",
    ):
        export_onnx(Restless(), tmp_path / "m.onnx", side=8, metadata={})

    assert list(tmp_path.iterdir()) == []


def test_nan_is_no_agreement(tmp_path: Path) -> None:
    model, _, _ = exported(tmp_path)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))

    with pytest.raises(RejectedInput, match="by nan of"):
        export_onnx(model, tmp_path / "m.onnx", side=SIDE, metadata={})
