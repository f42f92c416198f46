from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from baselines.models.efficientnet import SPECS, EfficientNet, LatePadding, Shortcut, Stage  # noqa: E402

pytestmark = pytest.mark.slow

RECORDED = json.loads(
    (Path(__file__).parents[1] / "golden" / "timm_efficientnets.json").read_text(encoding="utf-8")
)["networks"]
TOP_OF_NANO = 384


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def nano() -> Any:
    return EfficientNet(SPECS["nano"], classes=5, dropout=0.2, drop_path=0.2)


@pytest.mark.parametrize("name", RECORDED)
def test_names_shapes_and_order_of_all_parameters_are_those_of_timm(name: str) -> None:
    with torch.device("meta"):
        model = EfficientNet(SPECS[name], classes=1000)

    assert RECORDED[name] == [f"{key} {list(tensor.shape)}" for key, tensor in model.state_dict().items()]


@pytest.mark.parametrize(
    ("name", "millions"),  # EfficientNet, table 2; EfficientNetV2, table 7
    [("efficientnet_b0", 5.3), ("tf_efficientnetv2_s", 21.5), ("tf_efficientnetv2_m", 54.1)],
)
def test_networks_have_as_many_parameters_as_published(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = EfficientNet(SPECS[name], classes=1000)

    assert millions == round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1)


def test_the_nano_network_fits_five_megabytes_of_float32(nano: Any) -> None:
    assert sum(tensor.numel() * 4 for tensor in nano.state_dict().values()) < 5_000_000


@pytest.mark.parametrize("name", SPECS)
def test_an_image_becomes_one_logit_for_each_class(name: str) -> None:
    with torch.device("meta"):
        model = EfficientNet(SPECS[name], classes=7)
        logits = model(torch.empty(2, 3, 64, 64))

    assert tuple(logits.shape) == (2, 7)


def test_the_features_are_what_the_classifier_sees(nano: Any) -> None:
    nano.eval()
    images = torch.randn(2, 3, 32, 32)

    assert tuple(nano.features(images).shape) == (2, TOP_OF_NANO)
    assert torch.equal(nano(images), nano.classifier(nano.features(images)))


@pytest.mark.parametrize("side", [7, 8, 9])
@pytest.mark.parametrize("kernel", [3, 5])
def test_late_padding_is_what_tensorflow_does(side: int, kernel: int) -> None:
    """SAME of TensorFlow: ceil(side / stride) outputs; the odd pixel of padding goes right and below."""
    convolution = LatePadding(1, 1, kernel, 2, bias=False)
    image = torch.randn(1, 1, side, side)
    outputs = -(-side // 2)
    total = (outputs - 1) * 2 + kernel - side
    before, after = total // 2, total - total // 2
    padded = torch.zeros(side + total, side + total)
    padded[before : side + total - after, before : side + total - after] = image[0, 0]
    expected = [
        (padded[row : row + kernel, column : column + kernel] * convolution.weight[0, 0]).sum().item()
        for row in range(0, outputs * 2, 2)
        for column in range(0, outputs * 2, 2)
    ]

    assert expected == pytest.approx(convolution(image).flatten().tolist(), abs=1e-5)


def test_a_block_is_skipped_as_often_as_asked_and_kept_in_the_mean() -> None:
    shortcut = Shortcut(Stage(block="plain", repeats=1, stride=1, channels=1), 1, 1, 0.25).train()
    before, after = torch.zeros(20_000, 1, 1, 1), torch.ones(20_000, 1, 1, 1)

    found = shortcut(before, after)

    assert [0.0, pytest.approx(1 / 0.75)] == found.unique().tolist()
    assert torch.equal(shortcut.eval()(before, after), after)
    assert pytest.approx(1, abs=0.02) == found.mean().item()


def test_drop_path_grows_from_nothing_to_what_was_asked(nano: Any) -> None:
    rates = [block.shortcut.drop_path for stage in nano.blocks for block in stage]

    assert rates[0] == 0
    assert sorted(set(rates)) == rates
    assert pytest.approx(0.2 * (len(rates) - 1) / len(rates)) == rates[-1]


def test_gradients_reach_every_parameter(nano: Any) -> None:
    nano.dropout = 0.0
    nano(torch.randn(4, 3, 32, 32)).square().sum().backward()

    assert [name for name, p in nano.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_channels_last_changes_no_answer(nano: Any) -> None:
    nano.eval()
    images = torch.randn(2, 3, 32, 32)
    expected = nano(images)
    found = nano.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["nano", "tf_efficientnet_b0"])
def test_the_whole_network_compiles_into_one_graph(name: str) -> None:
    model = EfficientNet(SPECS[name], classes=3, drop_path=0.1).eval()
    images = torch.randn(2, 3, 33, 33)

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")

    torch.testing.assert_close(compiled(images), model(images))


@pytest.mark.parametrize("name", RECORDED)
def test_outputs_of_equal_weights_equal_those_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    theirs = timm.create_model(name, pretrained=False, num_classes=10).eval()
    ours = EfficientNet(SPECS[name], classes=10).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(1, 3, 97, 97)

    with torch.inference_mode():
        assert torch.equal(theirs(images), ours(images))
