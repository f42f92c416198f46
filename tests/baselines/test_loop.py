"""The loop on a problem small enough to be known: a line through points."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from baselines.training import checkpoint
from baselines.training.changed import sizes
from baselines.training.loop import BEST, LAST, TrainingOptions, _Trainer, train
from baselines.training.objective import ParameterGroup, Share, split_by_decay
from baselines.training.runtime import Runtime
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.records import IntArray

CPU = Runtime(device=torch.device("cpu"), bf16=False, share=Share())
OPTIONS = TrainingOptions(epochs=4, batch=8, rate=0.05, average=0.0)


class Line:
    """An objective: y = 2 x + 1 over 24 points."""

    main = "fit"
    n = 24
    bases: Mapping[str, str] = {}

    def __init__(self, outlier: float = 0.0) -> None:
        torch.manual_seed(0)
        self.model: Any = torch.nn.Linear(1, 1)
        self.validations = 0
        self._x = torch.linspace(-1, 1, self.n)[:, None]
        self._y = 2 * self._x + 1 + outlier

    def groups(self) -> tuple[ParameterGroup, ...]:
        return split_by_decay(list(self.model.named_parameters()))

    def fetch(self, indices: IntArray) -> Any:
        return self._x[indices], self._y[indices]

    def loss(self, model: Any, fetched: Any, generator: Any, device: Any, share: Share) -> Any:
        del generator, device, share
        x, y = fetched
        return (model(x) - y).square().mean()

    def validate(self, device: Any) -> Mapping[str, float]:
        del device
        self.validations += 1
        return {"fit": -float((self.model(self._x) - self._y).square().mean())}

    def header(self) -> Mapping[str, str]:
        return {}

    def save(self, folder: Path) -> None:
        (folder / "said.txt").write_text("a line", encoding="utf-8")


Fit = Callable[..., list[Mapping[str, Any]]]


@pytest.fixture(params=[False, True], ids=["plain", "fused"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Return a runtime with the optimiser of CPUs, and one with that of GPUs."""
    return replace(CPU, fused=request.param)


@pytest.fixture
def fit(runtime: Runtime) -> Fit:
    """Return what trains a line, `fit(folder, options)`, and returns the facts of its epochs."""

    def trained(
        folder: Path, options: TrainingOptions = OPTIONS, *, outlier: float = 0.0
    ) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        train(Line(outlier), options, runtime, folder, 0, rows.append)
        return rows

    return trained


def with_options(**changed: Any) -> TrainingOptions:
    return msgspec.structs.replace(OPTIONS, **changed)


def best(folder: Path) -> dict[str, Any]:
    return checkpoint.read(folder / BEST)[0]


@pytest.mark.slow
def test_it_finds_the_line(fit: Fit, tmp_path: Path) -> None:
    fit(tmp_path, with_options(epochs=60))

    found = best(tmp_path)
    assert (float(found["weight"]), float(found["bias"])) == pytest.approx((2, 1), abs=0.05)


@pytest.mark.parametrize("parts", [3, 4])
def test_parts_of_a_batch_add_up_to_the_whole(fit: Fit, tmp_path: Path, parts: int) -> None:
    fit(tmp_path / "whole")
    fit(tmp_path / "parts", with_options(accumulate=parts))

    for name, tensor in best(tmp_path / "whole").items():
        assert torch.allclose(best(tmp_path / "parts")[name], tensor, rtol=1e-5)


def test_it_stops_when_patience_is_out(fit: Fit, tmp_path: Path) -> None:
    rows = fit(tmp_path, with_options(epochs=20, rate=0.0, patience=3))

    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_it_stops_in_time_with_what_there_is(fit: Fit, tmp_path: Path) -> None:
    rows = fit(tmp_path, with_options(epochs=1000, minutes=1e-9))

    assert [row["step"] for row in rows] == [1]
    assert (tmp_path / "said.txt").is_file()


def test_without_an_average_the_weights_themselves_are_kept(fit: Fit, tmp_path: Path) -> None:
    fit(tmp_path)

    last, header = checkpoint.read(tmp_path / LAST)
    assert header["state"]["finished"] is True
    assert not checkpoint.part(last, "average.")
    for name, tensor in best(tmp_path).items():
        assert tensor.equal(last[f"model.{name}"])


def test_an_average_is_kept_beside_the_weights_that_training_goes_on_with(fit: Fit, tmp_path: Path) -> None:
    fit(tmp_path / "plain")
    fit(tmp_path / "averaged", with_options(average=0.9))

    plain, averaged = (checkpoint.read(tmp_path / name / LAST)[0] for name in ("plain", "averaged"))
    assert plain["model.weight"].equal(averaged["model.weight"])
    assert best(tmp_path / "averaged")["weight"].equal(averaged["average.weight"])
    assert not averaged["average.weight"].equal(averaged["model.weight"])


def test_a_loss_that_is_no_number_ends_the_run(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="the loss is nan at step 3; use a lower rate"):
        fit(tmp_path, outlier=float("nan"))


def test_a_finished_run_is_not_trained_again(fit: Fit, runtime: Runtime, tmp_path: Path) -> None:
    fit(tmp_path)
    objective = Line()
    state = train(objective, OPTIONS, runtime, tmp_path, 0, lambda _: None, resume=True)

    assert (state.step, objective.validations) == (12, 0)


def test_a_checkpoint_of_other_data_is_refused(fit: Fit, runtime: Runtime, tmp_path: Path) -> None:
    fit(tmp_path)
    objective = Line()
    objective.n = 23

    with pytest.raises(RejectedInput, match="n was 24, and is 23 now"):
        train(objective, OPTIONS, runtime, tmp_path, 0, lambda _: None, resume=True)


class Pictures(Line):
    """An objective with kernels, which lie in memory otherwise than they count, and a frozen first layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        first, second = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3)
        first.requires_grad_(requires_grad=False)
        norm, head = torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 1)
        self.model = torch.nn.Sequential(first, norm, second, torch.nn.Flatten(), torch.nn.Dropout(0.1), head)
        self._x = torch.randn(self.n, 3, 5, 5, generator=torch.Generator().manual_seed(0))
        self._y = self._x.mean((1, 2, 3))[:, None]


class Based(Pictures):
    """The same with a first layer that can be had again."""

    bases: Mapping[str, str] = {"0.": "the/first"}


def interrupt(objective: Line, runtime: Runtime, folder: Path, options: TrainingOptions = OPTIONS) -> None:
    """Train two epochs, with a checkpoint of every step, and end as if killed."""

    def kill(done: int, _: int) -> None:
        if done == 2 * 3:
            raise KeyboardInterrupt

    each_step = msgspec.structs.replace(options, save_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(objective, each_step, runtime, folder, 0, lambda _: None, progress=kill)


@pytest.mark.parametrize("kind", [Pictures, Based])
def test_a_resumed_run_ends_in_the_same_bits(runtime: Runtime, kind: type[Pictures], tmp_path: Path) -> None:
    options = with_options(average=0.9)
    train(kind(), options, runtime, tmp_path / "whole", 0, lambda _: None)
    interrupt(kind(), runtime, tmp_path / "parts", options)
    train(kind(), options, runtime, tmp_path / "parts", 0, lambda _: None, resume=True)

    whole, parts = (checkpoint.read(tmp_path / name / LAST)[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert [name for name, tensor in whole.items() if not tensor.equal(parts[name])] == []


def test_restored_moments_lie_as_their_parameters_do(tmp_path: Path, runtime: Runtime) -> None:
    interrupt(Pictures(), runtime, tmp_path)
    objective = Pictures()
    objective.model.to(memory_format=torch.channels_last)
    trainer = _Trainer(objective, OPTIONS, runtime, tmp_path, 0)
    trainer.load()

    kernel = objective.model[2].weight
    held = trainer._optimiser.state[kernel]
    assert {held[name].stride() for name in ("exp_avg", "exp_avg_sq")} == {kernel.stride()}
    assert not kernel.is_contiguous()


def test_a_frozen_base_is_not_in_the_checkpoints(tmp_path: Path) -> None:
    train(Based(), OPTIONS, CPU, tmp_path, 0, lambda _: None)

    for name in (LAST, BEST):
        tensors, header = checkpoint.read(tmp_path / name)
        assert not [key for key in tensors if key.removeprefix("model.").startswith("0.")]
        assert {"0."} == header["bases"].keys()


def test_a_run_is_not_resumed_on_another_base(tmp_path: Path) -> None:
    interrupt(Based(), CPU, tmp_path)

    with pytest.raises(RejectedInput, match="what training changed of the/first, which is different now"):
        train(Based(seed=1), OPTIONS, CPU, tmp_path, 0, lambda _: None, resume=True)


@pytest.mark.slow
def test_the_average_of_bfloat16_weights_follows_small_steps(tmp_path: Path) -> None:
    objective = Line()
    objective.model.to(torch.bfloat16)
    objective._x, objective._y = objective._x.bfloat16(), objective._y.bfloat16()
    train(objective, with_options(epochs=60, average=0.99), CPU, tmp_path, 0, lambda _: None)

    assert float(best(tmp_path)["weight"]) == pytest.approx(2, abs=0.1)
    assert {torch.float32} == {tensor.dtype for tensor in best(tmp_path).values()}


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("kind", [Pictures, Based])
def test_checkpoints_are_as_large_as_they_were_computed(
    kind: type[Pictures], average: float, tmp_path: Path
) -> None:
    objective = kind()
    size = sizes(objective.model, objective.bases, averages=average > 0)
    train(objective, with_options(epochs=1, average=average), CPU, tmp_path, 0, lambda _: None)

    for name, expected in ((LAST, size.last), (BEST, size.best)):
        numbers = checkpoint.read(tmp_path / name)[0].items()
        assert expected == sum(each.nbytes for key, each in numbers if not key.endswith(".step"))


def test_training_does_not_begin_without_room_for_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(MissingResource, match=r"need [0-9.]+ MB and the disk has 0\.0 MB free"):
        train(Pictures(), OPTIONS, CPU, tmp_path, 0, lambda _: None)


def test_more_parts_than_images_are_refused(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="accumulate: 9 parts of 8 images"):
        fit(tmp_path, with_options(accumulate=9))


def test_every_parameter_of_a_checkpoint_has_its_moments(fit: Fit, tmp_path: Path) -> None:
    fit(tmp_path)

    moments = checkpoint.part(checkpoint.read(tmp_path / LAST)[0], "optimiser.")
    assert sorted(moments) == [
        f"{name}.{key}" for name in ("bias", "weight") for key in ("exp_avg", "exp_avg_sq", "step")
    ]
    assert np.isfinite(sum(float(each.sum()) for each in moments.values()))


def test_a_failed_write_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    path = tmp_path / LAST
    checkpoint.write(path, {"a": torch.ones(2)}, {"step": 1})
    with pytest.raises(TypeError):
        checkpoint.write(path, {"a": torch.zeros(2)}, {"step": object()})

    assert checkpoint.read(path)[1] == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [LAST]


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_a_checkpoint_holds_tensors_of_any_type_shape_and_layout(kind: Any, tmp_path: Path) -> None:
    numbers = torch.arange(120).reshape(2, 3, 4, 5)
    tensors = {
        "kernel": numbers.to(kind).to(memory_format=torch.channels_last),
        "turned": numbers.to(kind).permute(3, 2, 1, 0),
        "scalar": torch.tensor(3).to(kind),
        "empty": torch.empty(0, 2, dtype=kind),
        "byte": torch.tensor([7], dtype=torch.uint8),
    }
    checkpoint.write(tmp_path / LAST, tensors, {"step": 1})

    read = load_file(tmp_path / LAST)
    assert {name: each.dtype for name, each in tensors.items()} == {name: read[name].dtype for name in read}
    assert all(read[name].equal(each) for name, each in tensors.items())


def test_tensors_that_share_their_numbers_are_written_apart(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    checkpoint.write(tmp_path / LAST, {"a": shared, "b": shared}, {})
    shared.zero_()

    read, _ = checkpoint.read(tmp_path / LAST)
    assert (read["a"].tolist(), read["b"].tolist()) == ([0, 1, 2, 3], [0, 1, 2, 3])
