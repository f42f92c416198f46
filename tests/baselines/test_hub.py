"""Run folders as folders of transformers: opened by it alone, they answer as the run does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoImageProcessor, AutoModelForImageClassification
from vision_models import SIDE, made

from baselines.captions import open_ready
from baselines.classifiers import open_classifier
from baselines.cli import run
from baselines.decisions.files import read_labels
from baselines.generation import GenerationOptions, said, settings_of
from baselines.hub import efficientnet_of
from baselines.models.captioner import merge_adapters
from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.models.text import decode, tidy
from baselines.training.loop import BEST
from rocov2_eval.errors import ExitCode
from rocov2_eval.shelf.csv_files import read_rows

BRIEF = ("--set", "training.epochs=1", "--set", "training.batch=12", "--set", "data.workers=1")
Train = Callable[..., Path]
# A program that has nothing of this project: it prints what transformers answers to the pictures in a file.
ALONE = """
import json, sys
sys.modules["baselines"] = sys.modules["rocov2_eval"] = None
import torch
from transformers import AutoModelForImageClassification, AutoTokenizer, VisionEncoderDecoderModel
folder, kind = sys.argv[1:]
pictures = torch.tensor(json.load(sys.stdin))
with torch.no_grad():
    if kind == "concepts":
        model = AutoModelForImageClassification.from_pretrained(folder)
        print(json.dumps([model(pixel_values=pictures).logits.tolist(), model.config.id2label]))
    else:
        model = VisionEncoderDecoderModel.from_pretrained(folder)
        tokens = model.generate(pictures, num_beams=1, early_stopping=False, no_repeat_ngram_size=0)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        print(json.dumps(tokenizer.batch_decode(tokens, skip_special_tokens=True)))
"""


@pytest.fixture(scope="module")
def train(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Return what trains for an epoch, `train("vit", "network.frozen=true")`, and returns the run folder."""
    folder = tmp_path_factory.mktemp("runs")

    def trained(family: str, *overrides: str, recipe: str = "concepts_convnext") -> Path:
        out = folder / "-".join((family, *overrides)).replace(" ", "_").replace("/", "_")[:60]
        network = [f"network.spec={made(family, folder / f'of-{out.name}')}", f"network.size={SIDE}"]
        sets = [*(network if recipe.startswith("concepts") else []), "data.side=64", *overrides]
        options = [part for each in sets for part in ("--set", each)]
        assert (
            run(["train", recipe, "--data", str(tiny_dataset), "-o", str(out), "-q", *BRIEF, *options]) == 0
        )
        return out

    return trained


@pytest.fixture(scope="module")
def vit(train: Train) -> Path:
    """Return a run of a frozen ViT, whose positions are stretched."""
    return train("vit", "network.frozen=true", "loss.kind=asymmetric")


def alone(folder: Path, kind: str, pictures: torch.Tensor) -> list[object]:
    """Return what transformers answers without this program."""
    found = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), kind],
        input=json.dumps(pictures.tolist()),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PATH": "", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    answer: list[object] = json.loads(found.stdout)
    return answer


def pictures(side: int) -> torch.Tensor:
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", ["dinov2 with registers", "convnext"])
def test_concepts_leave_as_a_model_of_their_family(train: Train, tmp_path: Path, family: str) -> None:
    folder, out = train(family), tmp_path / "out"
    assert run(["export", str(folder), "-o", str(out)]) == ExitCode.OK
    ours = open_classifier(folder, len(read_labels(folder))).model
    theirs = AutoModelForImageClassification.from_pretrained(out)
    with torch.no_grad():
        torch.testing.assert_close(
            theirs(pixel_values=pictures(SIDE)).logits, ours(pictures(SIDE)), rtol=0, atol=1e-5
        )


@pytest.mark.slow
def test_transformers_alone_answers_as_a_run_of_concepts(vit: Path, tmp_path: Path) -> None:
    assert run(["export", str(vit), "-o", str(tmp_path / "out")]) == ExitCode.OK
    labels = read_labels(vit)
    logits, names = alone(tmp_path / "out", "concepts", pictures(SIDE))
    with torch.no_grad():
        expected = open_classifier(vit, len(labels)).model(pictures(SIDE))
    np.testing.assert_allclose(np.array(logits), expected.numpy(), rtol=0, atol=1e-5)
    assert names == {str(place): cui for place, cui in enumerate(labels)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "adapters", [(), ("captioner.frozen=both", "captioner.lora_rank=2", "captioner.base=bf16")]
)
def test_transformers_alone_says_what_a_captioner_says(
    train: Train, tmp_path: Path, adapters: tuple[str, ...]
) -> None:
    seen_by = "captioner.encoder=random/nano"  # a ViT: transformers opens no captioner of another kind
    folder = train("vit", "training.epochs=4", seen_by, *adapters, recipe="captions_nano")
    assert run(["export", str(folder), "-o", str(tmp_path / "out")]) == ExitCode.OK
    ready = open_ready(folder, folder / BEST)
    seen = pictures(ready.normalisation.size)
    merge_adapters(ready.captioner)
    one = GenerationOptions(beams=1, no_repeat=0, most_tokens=ready.generation.most_tokens)
    settings = settings_of(ready.captioner, ready.text, one)
    with torch.no_grad():
        tokens = said(ready.captioner, ready.text, ready.captioner.see(seen), settings)
    assert decode(ready.text, tokens) == [
        tidy(str(each)) for each in alone(tmp_path / "out", "captions", seen)
    ]


def test_b0_of_tensorflow_is_one_of_transformers() -> None:
    torch.manual_seed(0)
    ours = EfficientNet(SPECS["tf_efficientnet_b0"], 5)
    with torch.no_grad():
        for module in ours.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # those of no training change nothing
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        ours.eval()
        theirs = efficientnet_of(ours, 64).eval()
        found, expected = theirs(pixel_values=pictures(64)).logits, ours(pictures(64))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_processor_scales_pictures_as_training_did(vit: Path, tmp_path: Path) -> None:
    assert run(["export", str(vit), "-o", str(tmp_path / "out")]) == ExitCode.OK
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    grey = np.full((SIDE, SIDE, 3), 51, np.uint8)
    found = processor(grey, return_tensors="pt").pixel_values
    assert tuple(found.shape) == (1, 3, SIDE, SIDE)
    assert found[0, :, 0, 0].tolist() == pytest.approx(
        [(0.2 - 0.4) / 0.1, (0.2 - 0.5) / 0.2, (0.2 - 0.6) / 0.3]
    )


def test_the_card_has_what_the_hub_reads(vit: Path, tmp_path: Path) -> None:
    assert run(["export", str(vit), "-o", str(tmp_path / "out"), "--licence", "CC BY-NC 4.0"]) == ExitCode.OK
    card = ModelCard.load(tmp_path / "out/README.md")
    score = card.data.eval_results[0]
    assert (card.data.license, card.data.library_name) == ("cc-by-nc-4.0", "transformers")
    assert (card.data.pipeline_tag, card.data.metrics) == ("image-classification", ["f1"])
    scores = json.loads((vit / "run.json").read_text())["scores"]
    assert (score.dataset_split, score.metric_value) == ("valid", scores["valid_concept_f1"])
    assert "not for diagnosis" in card.text
    assert "unknown: see the page of these weights" in card.text
    assert "need `" not in card.text  # the frozen weights are in the folder
    assert (tmp_path / "out/decision.json").read_bytes() == (vit / "decision.json").read_bytes()


def test_a_licence_that_the_hub_has_no_word_for_stands_there_by_its_name(vit: Path, tmp_path: Path) -> None:
    assert run(["export", str(vit), "-o", str(tmp_path / "out"), "--licence", "ours: ask"]) == ExitCode.OK
    data = ModelCard.load(tmp_path / "out/README.md").data
    assert (data.license, data.license_name) == ("other", "ours: ask")


def test_files_that_are_not_ours_stay_in_the_folder(vit: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert run(["export", str(vit), "-o", str(tmp_path)]) == ExitCode.OK
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_opens_without_what_it_began_with_unless_that_was_frozen(
    train: Train, tmp_path: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_frozen in ("false", "true"):
        folder = train("swin", f"network.frozen={is_frozen}")
        base = Path(json.loads((folder / "network.json").read_text())["spec"])
        shutil.rmtree(base)
        out = tmp_path / f"{is_frozen}.csv"
        code = run(["predict", str(folder), "--data", str(tiny_dataset), "-o", str(out), "-q"])
        assert code == (ExitCode.MISSING_RESOURCE if is_frozen == "true" else ExitCode.OK)
    assert f"contains what training changed of {base}, but that folder is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "out", "told"),
    [
        ("dinov3", "out", "no classifier of the kind dinov3_vit; use -o FILE.onnx for ONNX"),
        ("vit", "model.safetensors", "expected a file that ends in .onnx, or a new folder"),
    ],
)
def test_what_cannot_leave_is_told(  # noqa: PLR0917  fixtures and parameters
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str, out: str, told: str
) -> None:
    assert run(["export", str(train(family)), "-o", str(tmp_path / out)]) == ExitCode.USAGE
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", ["concepts_nano", "floor_most_frequent"])
def test_what_transformers_has_no_model_of_is_told(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str
) -> None:
    brief = BRIEF if recipe == "concepts_nano" else ()
    folder = str(tmp_path / "run")
    assert run(["train", recipe, "--data", str(tiny_dataset), "-o", folder, "-q", *brief]) == ExitCode.OK
    assert run(["export", folder, "-o", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "transformers" in capsys.readouterr().err


def test_the_concepts_of_a_run_by_a_frozen_model_are_a_run_file(
    vit: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.csv"
    assert run(["predict", str(vit), "--data", str(tiny_dataset), "-o", str(out), "-q"]) == ExitCode.OK
    assert len(list(read_rows(out, ("ID", "CUIs")))) == 18
