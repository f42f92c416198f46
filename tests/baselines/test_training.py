"""The loop: what stops it, what it leaves behind, and that nothing of that changes a bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from baselines.cli import run
from baselines.training import checkpoint
from baselines.training.loop import TrainingOptions, scheduled
from rocov2_eval.cli import invoke as evaluate

pytestmark = pytest.mark.slow  # networks are trained

QUICK = ("--set", "training.epochs=3", "--set", "training.batch=12", "--set", "data.workers=1")
Train = Callable[..., int]


@pytest.fixture
def train(tiny_dataset: Path, tmp_path: Path) -> Train:
    """Return a function that trains a nano network, `train("name", …)`, and tells the exit code."""

    def make(name: str, *options: str, recipe: str = "concepts_nano") -> int:
        arguments = ["train", recipe, "--data", str(tiny_dataset), "--out", str(tmp_path / name), "--quiet"]
        return run([*arguments, *QUICK, *options])

    return make


@pytest.fixture(scope="module")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of a nano network."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert run(_command(tiny_dataset, folder)[3:]) == 0
    return folder


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    """Return a finished run that a test may spoil, and that `train("run", …)` finds."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}.safetensors")


def differing(first: Path, second: Path) -> list[str]:
    """Return the names of tensors that differ in any bit."""
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    return [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(train: Train, tmp_path: Path) -> None:
    short = ("--set", "training.epochs=1")
    assert (train("a", *short), train("b", *short), train("c", *short, "--set", "run.seed=1")) == (0, 0, 0)
    assert differing(tmp_path / "a", tmp_path / "b") == []
    assert differing(tmp_path / "a", tmp_path / "c")


def test_a_run_killed_and_resumed_ends_in_the_same_bits(
    train: Train, tiny_dataset: Path, tmp_path: Path
) -> None:
    assert train("whole", "--set", "training.save_every=1") == 0
    command = _command(tiny_dataset, tmp_path / "parts", "--set", "training.save_every=1")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _wait_for(tmp_path / "parts/last.safetensors", process)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert train("parts", "--set", "training.save_every=1", "--resume") == 0
    assert differing(tmp_path / "whole", tmp_path / "parts") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_leaves_a_checkpoint_to_go_on_from(
    train: Train, tiny_dataset: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = _command(tiny_dataset, tmp_path / "parts", "--set", "training.epochs=12")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    _wait_for(tmp_path / "parts/metrics.jsonl", process, least=1)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)

    assert (process.returncode, told.strip().splitlines()[-1]) == (130, b"interrupted")
    assert train("parts", "--set", "training.epochs=12", "--resume") == 0
    assert train("whole", "--set", "training.epochs=12") == 0
    assert differing(tmp_path / "whole", tmp_path / "parts") == []


@pytest.mark.parametrize("parts", [1, 2])
def test_two_processes_end_where_one_does_but_for_rounding(
    tiny_dataset: Path, tmp_path: Path, parts: int
) -> None:
    alike = ("--set", "network.dropout=0", "--set", "network.drop_path=0", "--set", "training.batch=36")
    alike += ("--set", f"training.accumulate={parts}")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("one", []), ("two", torchrun)):
        command = [sys.executable, *launcher, *_command(tiny_dataset, tmp_path / name, *alike)[1:]]
        subprocess.run(
            [*command, "--device", "cpu"],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            timeout=120,
        )
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    # Single weights differ by more: the first steps of AdamW have one length, however small the gradient.
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    one, two = (_flat(weights(tmp_path / name, "best")) for name in ("one", "two"))
    assert float((one - two).norm() / one.norm()) < 1e-3


def test_two_processes_asked_to_stop_leave_a_checkpoint_of_the_same_step(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    command = _command(tiny_dataset, tmp_path / "run", "--set", "training.epochs=400", "--device", "cpu")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = subprocess.Popen(
        [sys.executable, *torchrun, *command[1:]], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _wait_for(tmp_path / "run/metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)

    _, header = checkpoint.read(tmp_path / "run/last.safetensors")
    assert header["state"]["step"] % 10 == 0  # where processes ask each other
    assert header["state"]["finished"] is False


def test_a_network_learns_what_can_be_seen_and_its_run_file_passes(
    train: Train, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = ("--set", "training.epochs=24", "--set", "training.rate=4e-3", "--set", "training.average=0.9")
    assert train("run", *longer) == 0
    out = str(tmp_path / "run.csv")
    predicted = ["predict", str(tmp_path / "run"), "--data", str(tiny_dataset), "--out", out, "--quiet"]
    assert run(predicted) == 0
    capsys.readouterr()

    assert evaluate(["validate", out, "--strict", "--truth", str(tiny_dataset), "--split", "test"]) == 0
    capsys.readouterr()
    assert evaluate(["score", out, "--truth", str(tiny_dataset), "--split", "test", "--format", "json"]) == 0
    mean = json.loads(capsys.readouterr().out)["metrics"]["concept_f1"]["mean"]
    assert mean > 0.6  # the most frequent labels alone come to about 0.5


def test_an_ensemble_of_a_run_with_itself_answers_every_image(
    finished: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    folder, out = str(finished), tmp_path / "run.csv"
    arguments = [
        "predict",
        folder,
        "--ensemble",
        folder,
        "--data",
        str(tiny_dataset),
        "--out",
        str(out),
        "--quiet",
    ]
    assert run(arguments) == 0
    assert len(out.read_text().splitlines()) == 1 + 18


def test_a_run_folder_says_all_that_is_needed_to_repeat_it(trained: Path) -> None:
    folder = trained
    record = json.loads((folder / "run.json").read_text())
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]

    assert record["recipe"]["training"]["epochs"] == 3
    assert record["data"]["train"]["images"] == 36
    assert len(record["data"]["train"]["pixels_sha256"]) == 64
    assert {"torch", "numpy"} <= record["versions"].keys()
    assert [row["step"] for row in metrics] == [3, 6, 9]
    assert 0 <= record["scores"]["valid_concept_f1"] <= 1
    card = (folder / "README.md").read_text()
    assert "not for diagnosis" in card
    assert "| expected-f |" in card


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--set", "training.epoch=3"), 2, "did you mean epochs?"),
        (("--set", "epochs=3"), 2, "expected TABLE.KEY=VALUE"),
        (("--set", "training.rate='fast'"), 2, "rate: 'fast', expected a number"),
        (("--set", "run.task='x'"), 2, "expected concepts or frozen-concepts"),
        (("--set", "nets.a=1"), 2, "'nets' is not a table of concepts"),
        (("--set", "network.spec='resnet'"), 2, "spec: 'resnet'"),
        (
            ("--set", "training.batch=7", "--set", "training.accumulate=9"),
            2,
            "accumulate: 9 parts of 7 images",
        ),
        (("--set", "decision.fewest=99"), 1, "no concept has 99 or more training images"),
        (("--resume",), 3, "name the folder of a finished run"),
        (("--device", "warp"), 2, "device: 'warp'"),
        (("--device", "mps"), 2, "device: 'mps'"),
        (("--set", "network.size=128"), 2, "64 pixels are decoded, but the network reads 128"),
    ],
)
def test_what_cannot_work_is_told(
    train: Train, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, told: str
) -> None:
    assert (train("run", *options), told in capsys.readouterr().err) == (code, True)


@pytest.mark.usefixtures("finished")
def test_a_finished_run_is_not_overwritten(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("run") == 2
    assert "contains a run already" in capsys.readouterr().err


@pytest.mark.usefixtures("finished")
def test_a_run_is_resumed_by_its_own_recipe_alone(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("run", "--set", "training.rate=0.1", "--resume") == 2
    assert "training.rate is 0.1, but this run began with 0.002" in capsys.readouterr().err


def test_a_run_is_resumed_wherever_its_data_lie_now(
    finished: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(tiny_dataset, moved)
    arguments = [
        "train",
        "concepts_nano",
        "--data",
        str(moved),
        "--out",
        str(finished),
        "--quiet",
        "--resume",
    ]
    assert run([*arguments, *QUICK, "--set", "data.workers=2"]) == 0


def test_a_folder_that_holds_something_else_is_left_alone(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/README.md").write_text("years of work")

    assert train("thesis") == 2
    assert "contains other files than a run" in capsys.readouterr().err
    assert (tmp_path / "thesis/README.md").read_text() == "years of work"


def test_another_run_starts_from_the_weights_of_one(finished: Path, train: Train, tmp_path: Path) -> None:
    assert train("next", "--set", f"network.init={finished / 'best.safetensors'}") == 0
    assert "best.safetensors" in (tmp_path / "next/README.md").read_text()


def test_pixels_that_were_changed_behind_its_back_are_decoded_again(
    own_dataset: Path, tmp_path: Path
) -> None:
    arguments = ["train", "concepts_nano", "--data", str(own_dataset), "--quiet", *QUICK]
    assert run([*arguments, "--out", str(tmp_path / "a")]) == 0
    (pixels,) = (tmp_path / "cache").glob("*-train-*/pixels.u8")
    with pixels.open("r+b") as file:
        file.write(bytes(5000))

    assert run([*arguments, "--out", str(tmp_path / "b")]) == 0
    assert differing(tmp_path / "a", tmp_path / "b") == []


def test_broken_pictures_are_left_out_where_that_is_allowed(own_dataset: Path, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        next((own_dataset / split).iterdir()).write_bytes(b"no picture")
    arguments = ["train", "concepts_nano", "--data", str(own_dataset), "--quiet", *QUICK]
    assert run([*arguments, "--out", str(tmp_path / "a")]) == 1
    assert run([*arguments, "--out", str(tmp_path / "a"), "--set", "data.allow_broken=true"]) == 0


def test_a_damaged_checkpoint_is_refused(
    finished: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-100])

    assert train("run", "--resume") == 1
    assert "expected a complete safetensors file" in capsys.readouterr().err


def test_the_rate_rises_to_its_largest_and_falls_to_nothing() -> None:
    options = TrainingOptions(rate=1.0, warmup=0.1)
    rates = [scheduled(step, 100, options) for step in range(100)]

    assert rates.index(max(rates)) == 10
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def _command(data: Path, out: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "baselines.cli", "train", "concepts_nano"),
        *("--data", str(data), "--out", str(out), "--quiet", *QUICK, *options),
    ]


def _flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in tensors.values()])


def _wait_for(path: Path, process: subprocess.Popen[bytes], least: int = 1) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.is_file() and path.stat().st_size >= least:
            return
        time.sleep(0.01)
