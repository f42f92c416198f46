from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from baselines.models.efficientnet import SPECS, EfficientNet  # noqa: E402
from baselines.models.weights import KNOWN, Normalisation, header_of, load_init  # noqa: E402
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault  # noqa: E402

OURS = Normalisation(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), size=64, source="a test", licence="CC0-1.0")


@pytest.fixture
def model() -> Any:
    return EfficientNet(SPECS["nano"], classes=3)


def saved(path: Path, tensors: dict[str, Any], header: dict[str, str] | None = None) -> str:
    safetensors.save_file(tensors, path, metadata=header_of(OURS) if header is None else header)
    return str(path)


def test_without_weights_the_network_stays_as_it_was_drawn(model: Any) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    found = load_init(model, None)

    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert (found.source, found.size) == ("random weights", 96)


def test_a_file_of_ours_comes_back_with_its_normalisation(tmp_path: Path, model: Any) -> None:
    other = EfficientNet(SPECS["nano"], classes=3)

    found = load_init(model, saved(tmp_path / "best.safetensors", other.state_dict()))

    assert found == OURS
    assert all(torch.equal(other.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_the_classifier_stays_random_where_the_classes_differ(tmp_path: Path, model: Any) -> None:
    other = EfficientNet(SPECS["nano"], classes=9)
    head = model.classifier.weight.clone()

    load_init(model, saved(tmp_path / "best.safetensors", other.state_dict()))

    assert torch.equal(head, model.classifier.weight)
    assert torch.equal(other.conv_head.weight, model.conv_head.weight)


def test_a_parameter_that_is_missing_is_named(tmp_path: Path, model: Any) -> None:
    tensors = model.state_dict()
    del tensors["bn1.weight"]

    with pytest.raises(RejectedInput, match=r"the file lacks bn1\.weight"):
        load_init(model, saved(tmp_path / "w.safetensors", tensors))


def test_a_classifier_that_is_missing_is_no_classifier_that_differs(tmp_path: Path, model: Any) -> None:
    tensors = model.state_dict()
    del tensors["classifier.bias"]

    with pytest.raises(RejectedInput, match=r"lacks classifier\.bias"):
        load_init(model, saved(tmp_path / "w.safetensors", tensors))


def test_weights_of_another_network_are_refused_with_names(tmp_path: Path, model: Any) -> None:
    renamed = {name.replace("blocks.4", "blocks.5"): tensor for name, tensor in model.state_dict().items()}
    tensors = renamed | {"conv_stem.weight": torch.zeros(1)}

    with pytest.raises(
        RejectedInput, match=r"(?s)belong to another network; the file lacks .*and \d+ more.*other shapes"
    ):
        load_init(model, saved(tmp_path / "w.safetensors", tensors))


def test_a_file_that_says_nothing_of_scaling_is_refused(tmp_path: Path, model: Any) -> None:
    with pytest.raises(RejectedInput, match="the scaling of its images is missing"):
        load_init(model, saved(tmp_path / "w.safetensors", model.state_dict(), {}))


@pytest.mark.parametrize(
    "place", ["efficientnet_b0.ra_in1k.safetensors", "efficientnet_b0.ra_in1k/model.safetensors"]
)
def test_a_file_that_keeps_its_hub_name_is_scaled_as_known(tmp_path: Path, place: str) -> None:
    model = EfficientNet(SPECS["efficientnet_b0"], classes=3)
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)

    found = load_init(model, saved(path, model.state_dict(), {"format": "pt"}))

    assert found == KNOWN["timm/efficientnet_b0.ra_in1k"]


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", "no json", '{"mean": [0, 0], "std": [1, 1, 1], "size": 1, "source": "", "licence": ""}'],
)
def test_a_normalisation_that_is_none_is_refused(tmp_path: Path, model: Any, text: str) -> None:
    with pytest.raises(RejectedInput, match="expected mean and std"):
        load_init(model, saved(tmp_path / "w.safetensors", model.state_dict(), {"normalisation": text}))


def test_a_pickle_is_never_read(tmp_path: Path, model: Any) -> None:
    path = tmp_path / "w.safetensors"
    torch.save(model.state_dict(), path)

    with pytest.raises(RejectedInput, match="expected a complete safetensors file"):
        load_init(model, str(path))


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, model: Any) -> None:
    path = Path(saved(tmp_path / "w.safetensors", model.state_dict()))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(RejectedInput, match="expected a complete safetensors file"):
        load_init(model, str(path))


def test_a_name_that_is_no_file_and_not_of_the_hub_is_refused(model: Any) -> None:
    with pytest.raises(UsageFault, match="no such file, expected a safetensors file, or weights of the Hub"):
        load_init(model, "weights.safetensors")


def test_an_unknown_name_of_the_hub_is_answered_with_the_known_ones(model: Any) -> None:
    with pytest.raises(UsageFault, match=r"is not known, expected one of timm/efficientnet_b0\.ra_in1k, "):
        load_init(model, "timm/resnet50.a1_in1k")


def test_hub_weights_of_another_network_are_refused_before_they_are_fetched(model: Any) -> None:
    with pytest.raises(UsageFault, match="belongs to the network efficientnet_b0, expected weights of nano"):
        load_init(model, "timm/efficientnet_b0.ra_in1k")


def test_hub_weights_that_are_not_here_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = EfficientNet(SPECS["efficientnet_b0"], classes=3)

    with pytest.raises(
        MissingResource, match=r"hf download timm/efficientnet_b0\.ra_in1k model\.safetensors"
    ):
        load_init(model, "timm/efficientnet_b0.ra_in1k")


def test_hub_weights_in_the_cache_are_loaded_without_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    name, revision = "timm/tf_efficientnet_b0.in1k", "0" * 40
    folder = tmp_path / "models--timm--tf_efficientnet_b0.in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(revision)
    (folder / "snapshots" / revision).mkdir(parents=True)
    theirs = EfficientNet(SPECS["tf_efficientnet_b0"], classes=4)
    saved(folder / "snapshots" / revision / "model.safetensors", theirs.state_dict(), {"format": "pt"})
    model = EfficientNet(SPECS["tf_efficientnet_b0"], classes=3)

    found = load_init(model, name)

    assert found == KNOWN[name]
    assert torch.equal(theirs.conv_head.weight, model.conv_head.weight)


def test_every_known_weight_belongs_to_a_network_of_ours() -> None:
    assert {"efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnetv2_s", "tf_efficientnetv2_m"} == {
        name.removeprefix("timm/").partition(".")[0] for name in KNOWN
    }
