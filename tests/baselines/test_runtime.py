"""What is decided by the device, with the answers of a GPU where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed

from baselines.concepts import ConceptDetection, DecisionOptions, Labelled, LossOptions, NetworkOptions
from baselines.data.augment import AugmentOptions
from baselines.data.cache import PictureCache
from baselines.filter_pictures import classed
from baselines.filters import FilterOptions, FilterTraining
from baselines.training import runlog
from baselines.training.loop import _memory, _step_of
from baselines.training.objective import Share
from baselines.training.runtime import Runtime, opened
from rocov2_eval.errors import MissingResource, UsageFault

META = torch.device("meta")  # refuses, as a GPU does, numbers that were left on the CPU
GPU = torch.device("cuda:1")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let torch say that there are two GPUs with bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    return monkeypatch


@pytest.mark.usefixtures("gpus")
def test_auto_takes_a_gpu_its_bfloat16_and_the_fused_optimiser() -> None:
    with opened("auto", "auto") as runtime:
        assert Runtime(device=torch.device("cuda:0"), bf16=True, share=Share(), fused=True) == runtime


def test_auto_takes_the_cpu_in_full_precision_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with opened("auto", "auto") as runtime:
        assert Runtime(device=torch.device("cpu"), bf16=False, share=Share()) == runtime


def test_a_gpu_is_set_up_before_anything_runs_there(gpus: pytest.MonkeyPatch) -> None:
    chosen: list[Any] = []
    gpus.setattr(torch.cuda, "set_device", chosen.append)
    with opened("cuda:1", "fp32") as runtime:
        assert (chosen, torch.backends.cudnn.benchmark) == ([GPU], True)
        assert not runtime.bf16


@pytest.mark.parametrize(("device", "expected"), [("auto", ("nccl", 1)), ("cpu", ("gloo", None))])
def test_each_process_takes_a_gpu_of_its_own(
    gpus: pytest.MonkeyPatch, device: str, expected: tuple[str, int | None]
) -> None:
    backends: list[str] = []
    gpus.setattr(distributed, "init_process_group", lambda backend, **_: backends.append(backend))
    gpus.setattr(distributed, "destroy_process_group", lambda: None)
    gpus.setattr(distributed, "get_rank", lambda: 1)
    gpus.setattr(distributed, "get_world_size", lambda: 2)
    gpus.setenv("WORLD_SIZE", "2")
    gpus.setenv("LOCAL_RANK", "1")
    with opened(device, "auto") as runtime:
        assert (expected, Share(rank=1, world=2)) == ((backends[0], runtime.device.index), runtime.share)


@pytest.mark.usefixtures("gpus")
def test_a_gpu_beyond_those_there_are_is_refused() -> None:
    with pytest.raises(MissingResource, match="cuda:5: torch finds 2 GPUs here; the first is cuda:0"):
        opened("cuda:5", "auto").__enter__()


def test_a_gpu_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingResource, match="use --device cpu"):
        opened("cuda", "auto").__enter__()


@pytest.mark.parametrize(("precision", "bf16"), [("auto", False), ("fp32", False)])
def test_a_gpu_without_bfloat16_runs_in_full_precision(
    gpus: pytest.MonkeyPatch,
    precision: Any,
    bf16: bool,  # noqa: FBT001
) -> None:
    gpus.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with opened("cuda", precision) as runtime:
        assert bf16 == runtime.bf16


def test_bfloat16_is_not_asked_of_a_gpu_that_has_none(gpus: pytest.MonkeyPatch) -> None:
    gpus.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(UsageFault, match="this GPU has no bfloat16"):
        opened("cuda", "bf16").__enter__()


@pytest.mark.usefixtures("gpus")
def test_forward_passes_on_a_gpu_are_cast_there() -> None:
    runtime = Runtime(device=GPU, bf16=True, share=Share(), fused=True)
    assert ("cuda", torch.bfloat16) == (runtime.autocast().device, runtime.autocast().fast_dtype)


def test_memory_is_that_of_the_gpu_and_told_of_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2**30 * (1 + device.index))
    runtimes = (Runtime(device=device, bf16=False, share=Share()) for device in (GPU, torch.device("cpu")))
    assert [_memory(runtime) for runtime in runtimes] == [{"memory_gib": 2.0}, {}]


def test_the_record_names_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert runlog.surroundings(GPU)["device"] == "GPU 1"


@pytest.mark.parametrize(("fused", "place"), [(True, "meta"), (False, "cpu")])
def test_a_fused_optimiser_counts_its_steps_on_the_device(fused: bool, place: str) -> None:  # noqa: FBT001
    counted = _step_of(torch.tensor(3.0), torch.empty(2, device=META), fused=fused)
    assert (place, torch.float32) == (counted.device.type, counted.dtype)


def concept_detection() -> Any:
    n = 4
    pictures = PictureCache(
        folder=None,  # type: ignore[arg-type]
        ids=tuple(map(str, range(n))),
        images=np.zeros((n, 32, 32, 3), np.uint8),
        digest="",
        broken={},
        sums=(),
    )
    side = Labelled(pictures=pictures, concepts=[("C1",), ("C2",)] * 2)
    network = NetworkOptions(spec="nano", size=32)
    return ConceptDetection(network, LossOptions(), AugmentOptions(), DecisionOptions(), side, side, {})


def image_filter() -> Any:
    ids = [f"{kind}/{i}.png" for kind in ("radiology", "other") for i in range(2)]
    pictures = classed(ids, np.zeros((4, 32, 32, 3), np.uint8), "radiology")
    return FilterTraining(FilterOptions(task="radiology", side=32, pictures=4), pictures, pictures)


@pytest.mark.slow
@pytest.mark.parametrize("make", [concept_detection, image_filter])
def test_nothing_of_a_step_stays_on_the_cpu(make: Callable[[], Any]) -> None:
    objective = make()
    model = objective.model.to(META)
    loss = objective.loss(model, objective.fetch(np.arange(4)), torch.Generator(), META, Share())
    loss.backward()
    assert {META} == {loss.device, *(each.grad.device for each in model.parameters())}
