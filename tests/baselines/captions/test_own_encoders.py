"""A captioner whose encoder has learnt concepts first: the folder of a run, frozen or trained on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import ResNetConfig

from baselines.captions import open_ready
from baselines.classifiers import Classifier, build_classifier
from baselines.config import read_recipe
from baselines.models.backbone import rebuild_backbone
from baselines.models.vision import plain_config
from baselines.models.weights import Normalisation
from baselines.training import checkpoint
from baselines.training.loop import BEST, TrainingOptions, train
from baselines.training.objective import Share
from baselines.training.runtime import Runtime
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

LOOK = Normalisation(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), size=32, source="ours", licence="CC0")
RUNTIME = Runtime(device=torch.device("cpu"), bf16=False, share=Share())


def concepts(folder: Path, seed: int = 0) -> Any:
    """Write what a run of concept detection leaves of its network; return the network."""
    torch.manual_seed(seed)
    built = build_classifier("plain", 3, init="", size=32, dropout=0.0, drop_path=0.0)
    return written(Classifier(model=built.model, spec="plain", size=32, normalisation=LOOK), folder)


def written(classifier: Classifier, folder: Path) -> Any:
    checkpoint.write(folder / BEST, classifier.model.state_dict(), {})
    classifier.save(folder)
    return classifier.model.eval()


@pytest.fixture
def trained_on(tmp_path: Path, new_captioner: Any, new_objective: Any) -> Callable[[str], Any]:
    """Return what trains a captioner upon the run in `concepts` for a step, its run beside it in `run`."""

    def trained(frozen: str) -> Any:
        concepts(tmp_path / "concepts")
        ready = new_captioner(encoder=str(tmp_path / "concepts"), frozen=frozen)
        options = TrainingOptions(epochs=1, batch=8)
        train(new_objective(ready), options, RUNTIME, tmp_path / "run", 0, lambda _: None)
        return ready

    return trained


def reopened(folder: Path) -> Any:
    return open_ready(folder, folder / BEST)


def test_a_run_of_concept_detection_sees_for_a_captioner_what_its_head_saw(
    tmp_path: Path, new_captioner: Any
) -> None:
    network = concepts(tmp_path)
    pixels = torch.randn(2, 3, 32, 32)
    ready = new_captioner(encoder=str(tmp_path))
    with torch.inference_mode():
        whole, patches = ready.captioner.eval().encoder(pixels)
        expected = network.features(pixels)
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(patches.mean(1), expected)
    assert patches.shape == (2, 4, 256)


def test_pictures_look_for_the_captioner_as_for_the_run(tmp_path: Path, new_captioner: Any) -> None:
    concepts(tmp_path)
    ready = new_captioner(encoder=str(tmp_path), size=48)
    assert (ready.normalisation.mean, ready.normalisation.size) == (LOOK.mean, 48)
    assert ready.licences[str(tmp_path)] == "CC0"


@pytest.mark.parametrize("frozen", ["encoder", "none"])
def test_a_captioner_upon_a_run_is_opened_as_it_was(
    frozen: str, tmp_path: Path, trained_on: Callable[[str], Any]
) -> None:
    ready = trained_on(frozen)
    held, _ = checkpoint.read(tmp_path / "run" / BEST)
    names = {name for name, each in ready.captioner.named_parameters() if not each.requires_grad}
    found = reopened(tmp_path / "run").captioner.state_dict()
    assert names.isdisjoint(held)
    assert all(each.equal(found[name]) for name, each in held.items())
    assert all(found[name].equal(ready.captioner.state_dict()[name]) for name in names)


def test_a_captioner_that_trained_the_network_on_stands_alone(
    tmp_path: Path, trained_on: Callable[[str], Any]
) -> None:
    trained_on("none")
    shutil.rmtree(tmp_path / "concepts")
    assert reopened(tmp_path / "run").captioner.encoder.width == 256


def test_a_captioner_upon_a_run_is_not_opened_upon_another(
    tmp_path: Path, trained_on: Callable[[str], Any]
) -> None:
    trained_on("encoder")
    concepts(tmp_path / "concepts", seed=1)
    with pytest.raises(RejectedInput, match="concepts, which is different now"):
        reopened(tmp_path / "run")


def test_a_captioner_upon_a_run_says_when_that_is_missing(
    tmp_path: Path, trained_on: Callable[[str], Any]
) -> None:
    trained_on("encoder")
    shutil.rmtree(tmp_path / "concepts")
    with pytest.raises(MissingResource, match="concepts, but that folder is missing; restore it"):
        reopened(tmp_path / "run")


def test_a_run_of_a_model_of_transformers_is_refused_with_what_to_do(
    tmp_path: Path, new_captioner: Any
) -> None:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    model = rebuild_backbone(plain_config(config), 3, 32)
    written(Classifier(model=model, spec="a/resnet", size=32, normalisation=LOOK), tmp_path)
    with pytest.raises(UsageFault, match="`rocov2-baselines export` makes a folder of it"):
        new_captioner(encoder=str(tmp_path))


def test_an_efficientnet_that_timm_has_not_is_refused(new_captioner: Any) -> None:
    with pytest.raises(UsageFault, match=r"timm/efficientnet_b9 is not known, expected one of timm/"):
        new_captioner(encoder="timm/efficientnet_b9")


def test_the_recipe_upon_a_run_of_concepts_shows_it_pictures_as_that_run_saw_them() -> None:
    first, second = read_recipe("concepts_nano").tables, read_recipe("captions_from_concepts").tables
    assert first["data"] == second["data"]
    assert first["network"].size == second["captioner"].size
