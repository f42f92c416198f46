"""Time the training loop itself, step by step, without validation and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from baselines.training.loop import Meter, TrainingOptions, _Trainer
from baselines.training.runtime import Runtime

WARM = 20  # steps that the loop's meter does not count


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What a loop does.

    Attributes:
        images: A second.
        waiting: Share of the time that the device waits for data.
        memory: Of the GPU at most, in GiB; 0 on a CPU.
    """

    images: float
    waiting: float
    memory: float


def ours(objective: Any, options: TrainingOptions, runtime: Runtime, steps: int) -> Rate:  # noqa: ANN401  torch is Any
    """Train for some steps after `WARM` others."""
    objective.model.to(runtime.device, memory_format=torch.channels_last)
    trainer = _Trainer(objective, options, runtime, Path(), 0)
    meter = Meter()
    forget_memory(runtime.device)
    total = WARM + steps
    for step, fetched, waited in trainer.batches(0, total):
        trainer.step(step, total, fetched, meter, waited)
    finish(runtime.device)
    facts = meter.facts()
    return Rate(
        images=facts["images_per_second"], waiting=facts["waiting"], memory=peak_memory(runtime.device)
    )


def plain(
    fetch: Callable[[], Any],
    step: Callable[[Any], None],
    batch: int,
    steps: int,
    device: Any,  # noqa: ANN401  torch is Any
) -> Rate:
    """Time the same number of steps of another loop, which fetches and then computes."""
    forget_memory(device)
    started = waited = 0.0
    for number in range(WARM + steps):
        if number == WARM:
            finish(device)
            started, waited = time.perf_counter(), 0.0
        before = time.perf_counter()
        fetched = fetch()
        waited += time.perf_counter() - before
        step(fetched)
    finish(device)
    elapsed = time.perf_counter() - started
    return Rate(images=batch * steps / elapsed, waiting=waited / elapsed, memory=peak_memory(device))


def finish(device: Any) -> None:  # noqa: ANN401  torch is Any
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_memory(device: Any) -> None:  # noqa: ANN401  torch is Any
    """Begin to count memory anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: Any) -> float:  # noqa: ANN401  torch is Any
    """Return the most memory used since, in GiB."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def row(name: str, side: str, rate: Rate, other: Rate | None) -> list[str]:
    """Return a line of the table; `other` is what it is compared with, if anything."""
    return [
        name,
        side,
        f"{rate.images:,.1f}",
        f"{100 * rate.waiting:.1f} %",
        f"{rate.memory:.1f} GiB" if rate.memory else "",
        f"{rate.images / other.images:.2f}x" if other else "",
    ]


def device_name(device: Any) -> str:  # noqa: ANN401  torch is Any
    """Return the GPU, or how many threads of the CPU are used."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} threads"
