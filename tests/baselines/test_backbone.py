"""Any vision model of transformers as a network of concepts, frozen or whole, and the losses of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MobileNetV1Config, MobileNetV1Model
from vision_models import CONFIGS, SIDE, made, saved

from baselines.classifiers import Classifier
from baselines.concepts import LossOptions, NetworkOptions, asymmetric_loss
from baselines.models.backbone import Backbone, open_backbone, rebuild_backbone, stretched
from baselines.models.weights import Normalisation
from baselines.onnx_files import export_onnx
from rocov2_eval.errors import UsageFault

CLASSES = 5
OURS = (
    "dinov3",
    "siglip",
)  # transformers has no model of these, the second without its texts, that classifies


def opened(folder: Path, family: str, **options: Any) -> Backbone:
    torch.manual_seed(0)
    return open_backbone(str(made(family, folder)), CLASSES, **options)[0]


def pictures(side: int = SIDE) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def trained(network: Backbone) -> list[str]:
    return [name for name, each in network.named_parameters() if each.requires_grad]


@pytest.mark.parametrize("family", CONFIGS)
def test_a_model_of_any_family_comes_back_from_its_configuration_and_weights(
    tmp_path: Path, family: str
) -> None:
    network = opened(tmp_path, family)
    again = rebuild_backbone(json.loads(json.dumps(network.described())), CLASSES, SIDE)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(network(pictures()), again(pictures()))
    assert network.is_native is (family not in OURS)


@pytest.mark.parametrize("family", ["vit", "resnet", "dinov3"])
def test_of_a_frozen_model_the_head_alone_is_trained(tmp_path: Path, family: str) -> None:
    network = opened(tmp_path, family, frozen=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    network(pictures()).sum().backward()

    assert all("classifier." in name for name in trained(network))
    assert len(trained(network)) == len(("weight", "bias"))
    changed = [name for name, tensor in network.state_dict().items() if not torch.equal(before[name], tensor)]
    assert changed == []  # running statistics neither


def test_dropout_is_before_the_head_and_in_training_alone(tmp_path: Path) -> None:
    network = opened(tmp_path, "vit", dropout=0.5, frozen=True)
    with torch.no_grad():
        assert torch.equal(network(pictures()), network(pictures()))
        network.train()
        assert not torch.equal(network(pictures()), network(pictures()))


def test_what_no_logit_depends_on_is_not_trained(tmp_path: Path) -> None:
    network = opened(tmp_path, "dinov2 with registers")
    idle = {name for name, _ in network.named_parameters()} - set(trained(network))
    assert {"model.dinov2_with_registers.embeddings.mask_token"} == idle


def test_a_momentum_of_tensorflow_is_turned_to_what_torch_means(tmp_path: Path) -> None:
    config = MobileNetV1Config(depth_multiplier=0.25, image_size=32)
    folder = saved(MobileNetV1Model(config), tmp_path)
    network, _ = open_backbone(str(folder), CLASSES)
    found = {each.momentum for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)}
    assert [pytest.approx(1 - 0.9997)] == list(found)


@pytest.mark.parametrize("family", ["vit", "clip, both halves", "swin", "beit", "resnet"])
def test_a_model_stretched_for_good_answers_as_one_that_is_told_to_stretch(
    tmp_path: Path, family: str
) -> None:
    network = opened(tmp_path, family)
    with torch.no_grad():
        alone = stretched(network.model, SIDE)(pixel_values=pictures()).logits
        torch.testing.assert_close(network(pictures()), alone, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", CONFIGS)
def test_a_model_of_any_family_is_written_as_onnx(tmp_path: Path, family: str) -> None:
    assert export_onnx(opened(tmp_path, family), tmp_path / "n.onnx", side=SIDE, metadata={}) < 1e-5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"spec": "resnet"}, "spec: 'resnet', expected one of nano, plain, efficientnet_b0"),
        ({"spec": "a/b", "init": "x.safetensors"}, "a/b starts from its own weights"),
        ({"spec": "nano", "frozen": True}, "frozen: nano cannot be frozen"),
    ],
)
def test_a_network_that_cannot_be_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        NetworkOptions(**options)


class Sided(torch.nn.Module):
    """A network that answers by the left half of a picture."""

    def forward(self, images: Any) -> Any:
        return images[..., : images.shape[-1] // 2].mean((1, 2, 3))[:, None]


def test_mirrored_answers_are_the_mean_over_both_sides() -> None:
    look = Normalisation(mean=(0, 0, 0), std=(1, 1, 1), size=8, source="", licence="")
    images = np.zeros((1, 8, 8, 3), np.uint8)
    images[:, :, :4] = 255
    found = {
        mirrors: Classifier(
            model=Sided(), spec="nano", size=8, normalisation=look, mirrors=mirrors
        ).probabilities(images, torch.device("cpu"))
        for mirrors in (False, True)
    }
    one, nothing = torch.tensor([1.0, 0.0]).sigmoid().tolist()
    assert found[False].tolist() == [[pytest.approx(one)]]
    assert found[True].tolist() == [[pytest.approx((one + nothing) / 2)]]


@pytest.mark.parametrize("gammas", [(0.0, 4.0), (1.0, 4.0), (0.5, 0.5), (2.0, 1.0)])
@pytest.mark.parametrize("clip", [0.0, 0.05, 0.3])
def test_the_asymmetric_loss_is_the_published_formula(gammas: tuple[float, float], clip: float) -> None:
    options = LossOptions(kind="asymmetric", gamma_positive=gammas[0], gamma_negative=gammas[1], clip=clip)
    logits = torch.linspace(-30, 30, 241)[:, None].expand(-1, 2)
    targets = torch.tensor([0.0, 1.0]).expand(241, 2)
    likely = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    unlikely = 1 / (1 + np.exp(logits.numpy().astype(np.float64)))  # 1 - likely loses digits
    lowered = np.maximum(likely - clip, 0)
    left = np.where(likely > clip, unlikely + clip, 1)
    absent = -(lowered ** gammas[1]) * np.log(left)
    present = -(unlikely ** gammas[0]) * np.log(likely)
    expected = np.stack([absent[:, 0], present[:, 1]], 1)

    np.testing.assert_allclose(
        asymmetric_loss(logits, targets, options).numpy(), expected, rtol=2e-6, atol=1e-6
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_the_asymmetric_loss_teaches_what_is_surely_wrong(gamma: float, clip: float) -> None:
    options = LossOptions(kind="asymmetric", gamma_positive=gamma, gamma_negative=gamma, clip=clip)
    logits = torch.tensor([[-200.0, 200.0, 0.0, -200.0, 200.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0]])
    asymmetric_loss(logits, targets, options).sum().backward()
    assert logits.grad is not None
    pulls = logits.grad[0]

    assert bool(pulls.isfinite().all())
    assert float(pulls[0]) == pytest.approx(-1)  # missed for sure
    assert float(pulls[3]) == 0  # rightly not there
    if clip == 0:
        assert float(pulls[4]) == pytest.approx(1)  # invented for sure
