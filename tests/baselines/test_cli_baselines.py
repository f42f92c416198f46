"""The commands around training: what they print, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from baselines.classifiers import build_classifier
from baselines.cli import run
from baselines.concepts import open_detector
from baselines.config import recipe_names
from baselines.documents import write_document
from baselines.filters import FACTS, FilterOptions
from baselines.training import checkpoint
from baselines.training.loop import BEST
from rocov2_eval.errors import ExitCode
from rocov2_eval.shelf.extras import install_command

pytestmark = pytest.mark.slow

SHORT = ("--set", "training.epochs=1", "--set", "training.batch=36", "--set", "data.workers=1")
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def detector(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder of concept detection, trained for one step."""
    folder = tmp_path_factory.mktemp("detector") / "run"
    arguments = ["train", "concepts_nano", "--data", str(tiny_dataset), "--out", str(folder), "--quiet"]
    assert run([*arguments, *SHORT]) == ExitCode.OK
    return folder


def test_every_recipe_is_listed_with_its_purpose(capsys: Output) -> None:
    assert run(["recipes"]) == ExitCode.OK

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(recipe_names())
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    "command",
    [(), ("train",), ("predict",), ("cache",), ("experiment",), ("floors",), ("export",), ("recipes",)],
)
def test_every_command_has_help_with_an_example(command: tuple[str, ...], capsys: Output) -> None:
    assert run([*command, "--help"]) == ExitCode.OK
    assert f"rocov2-baselines {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


def test_decoding_beforehand_is_what_training_finds(
    tiny_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    common = ["--data", str(tiny_dataset), "--cache", str(tmp_path / "cache"), "--quiet"]
    assert run(["cache", "concepts_nano", *common, "--split", "train"]) == ExitCode.OK
    digest = capsys.readouterr().out.split()[-1]
    pixels = next((tmp_path / "cache").glob("*-train-*/pixels.u8"))
    before = pixels.stat().st_mtime_ns

    assert run(["train", "concepts_nano", *common, *SHORT, "--out", str(tmp_path / "run")]) == ExitCode.OK
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["data"]["train"]["pixels_sha256"] == digest
    assert pixels.stat().st_mtime_ns == before


def test_a_broken_picture_is_refused_by_name_or_kept_black(
    own_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    picture = next((own_dataset / "test").iterdir())
    picture.write_bytes(b"no picture")
    command = ["cache", "concepts_nano", "--data", str(own_dataset), "--split", "test"]
    command += ["--cache", str(tmp_path / "cache"), "--quiet"]

    assert run(command) == ExitCode.INPUT_REJECTED
    assert picture.stem in capsys.readouterr().err
    assert run([*command, "--set", "data.allow_broken=true"]) == ExitCode.OK
    assert "18 pictures, 1 broken" in capsys.readouterr().out


def test_an_exported_network_answers_as_torch_does(detector: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "concepts.onnx"
    assert run(["export", str(detector), "--out", str(out), "--licence", "CC BY 4.0"]) == ExitCode.OK

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    stated = session.get_modelmeta().custom_metadata_map
    trained = open_detector(detector)
    images = torch.randn(
        2, 3, trained.classifier.size, trained.classifier.size, generator=torch.Generator().manual_seed(1)
    )
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.inference_mode():
        assert torch.allclose(torch.from_numpy(logits), trained.classifier.model(images), atol=1e-4)
    assert stated["rocov2.classes"].split(",") == list(trained.labels)
    assert (stated["rocov2.task"], stated["rocov2.licence"]) == ("concepts", "CC BY 4.0")
    assert json.loads(stated["rocov2.decision"])["rule"] == trained.decision.rule


def test_an_image_filter_is_exported_by_the_same_command(tmp_path: Path, capsys: Output) -> None:
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "filter"
    classifier = build_classifier("nano", 1, init="", size=32, dropout=0.0, drop_path=0.0)
    checkpoint.write(folder / BEST, classifier.model.state_dict(), {})
    classifier.save(folder)
    write_document(folder / FACTS, FilterOptions(task="radiology", side=32))

    assert run(["export", str(folder), "--out", str(tmp_path / "radiology.onnx")]) == ExitCode.OK
    assert "differs from the run" in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_not_exported(tmp_path: Path, capsys: Output) -> None:
    assert run(["export", str(tmp_path), "--out", str(tmp_path / "x.onnx")]) == ExitCode.MISSING_RESOURCE
    assert "name the folder of a finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("library", "recipe"),
    [("torch", "concepts_nano"), ("safetensors", "concepts_nano"), ("transformers", "captions_nano")],
)
def test_a_library_that_is_missing_is_named_with_the_command_that_gets_it(  # noqa: PLR0917  fixtures
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    library: str,
    recipe: str,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    arguments = ["train", recipe, "--data", str(tiny_dataset), "--out", str(tmp_path / "run")]

    assert run(arguments) == ExitCode.MISSING_RESOURCE
    assert f"{library} is not installed: {install_command('baselines')}" in capsys.readouterr().err


def test_concepts_and_captions_make_no_ensemble(
    detector: Path, tiny_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    record = json.loads((detector / "run.json").read_text())
    record["recipe"]["run"]["task"] = "captions"
    (other / "run.json").write_text(json.dumps(record))
    arguments = ["predict", str(detector), "--ensemble", str(other), "--data", str(tiny_dataset)]

    assert run([*arguments, "--out", str(tmp_path / "run.csv")]) == ExitCode.USAGE
    assert "only for runs of concept detection" in capsys.readouterr().err


def test_captions_that_ignore_their_pictures_are_warned_of_by_train_and_predict(
    tiny_dataset: Path, tmp_path: Path, capsys: Output
) -> None:
    common = ["--data", str(tiny_dataset), "--quiet"]
    assert run(["train", "captions_nano", *common, *SHORT, "--out", str(tmp_path / "run")]) == ExitCode.OK
    trained = capsys.readouterr().err
    command = [
        "predict",
        str(tmp_path / "run"),
        *common,
        "--split",
        "test",
        "--out",
        str(tmp_path / "run.csv"),
    ]
    assert run(command) == ExitCode.OK
    for told in (trained, capsys.readouterr().err):
        assert "warning: captions hardly depend on the picture: " in told
    assert "**These captions hardly depend on the picture:**" in (tmp_path / "run/README.md").read_text()
