"""The loop: batches in, weights out, and stoppable anywhere.

Every random number of a step follows from the seed and the number of the step, the order of the images too.
So nothing of a generator has to be saved, and on the CPU a run that was killed and resumed ends in the same
weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import torch

from baselines.bounds import Amount, AtLeastOne, BelowOne, Count
from baselines.data.order import batch_indices, shard, steps_in_epoch
from baselines.training import changed, checkpoint
from baselines.training.objective import Objective, ParameterGroup
from baselines.training.runtime import Precision, Runtime, share_batch_norm
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.progress import Progress

LAST, BEST = "last.safetensors", "best.safetensors"
_AHEAD = 2  # batches that are fetched before they are needed
_WARM = 20  # steps of a session that are not counted as throughput
_ASKED = 10  # steps after which several processes ask each other whether to stop: it waits for the device

Report = Callable[[Mapping[str, Any]], None]


class TrainingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how fast.

    Attributes:
        epochs: Passes over the training images.
        batch: Number of images in a step, over all processes.
        rate: Largest learning rate of AdamW; groups of parameters may have a multiple of it.
        decay: Decay of weights, per unit of learning rate; none for biases and normalisation.
        warmup: Share of the steps in which the rate rises from 0; then it falls along half a cosine.
        average: Decay of the running average of the weights, which is what is validated and kept; 0 for none.
            Early in a run the average is shorter, min(average, (1 + step) / (10 + step)).
        clip: Largest norm of the gradient; 0 for no limit.
        accumulate: Parts in which a batch is computed, one after the other, to save memory.
        precision: `auto` takes bfloat16 where the device has it.
        compile: Compile the model with torch.compile.
        patience: Stop after so many validations without a better score; 0 for never.
        minutes: Stop in time, validate and keep what there is; 0 for no limit.
        save_every: Steps between two checkpoints within an epoch; 0 for one at the end of each.
    """

    epochs: AtLeastOne = 15
    batch: AtLeastOne = 64
    rate: Amount = 1e-3
    decay: Amount = 0.02
    warmup: BelowOne = 0.05
    average: BelowOne = 0.999
    clip: Amount = 1.0
    accumulate: AtLeastOne = 1
    precision: Precision = "auto"
    compile: bool = False
    patience: Count = 0
    minutes: Amount = 0.0
    save_every: Count = 0


class Stop(IntEnum):
    """Why a run may stop before its end; the larger one holds."""

    NO = 0
    LATE = 1
    ASKED = 2


@dataclass(kw_only=True)
class State:
    """How far a run is.

    Attributes:
        step: Number of steps done.
        best: Best validation score so far, None before the first.
        since_best: Number of validations since the best one.
        finished: Whether nothing is left to do.
        seconds: Time of training, over all sessions.
    """

    step: int = 0
    best: float | None = None
    since_best: int = 0
    finished: bool = False
    seconds: float = 0.0


@dataclass(kw_only=True)
class Meter:
    """What a session has done since it was warm."""

    images: int = 0
    steps: int = 0
    started: float = 0.0
    waited: float = 0.0
    losses: list[Any] = field(default_factory=list)

    def restart(self) -> None:
        """Begin to count now."""
        self.images, self.waited, self.started = 0, 0.0, time.perf_counter()

    def facts(self) -> dict[str, float]:
        """Return images a second and the share of the time spent waiting for data."""
        elapsed = time.perf_counter() - self.started
        if not self.images or elapsed <= 0:
            return {}
        return {"images_per_second": self.images / elapsed, "waiting": self.waited / elapsed}


def train(  # noqa: PLR0917  what, how, where
    objective: Objective,
    options: TrainingOptions,
    runtime: Runtime,
    folder: Path,
    seed: int,
    report: Report,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> State:
    """Train, and write `last` at every epoch and `best` whenever the validation score rises.

    Asked to stop by Ctrl-C or SIGTERM, it finishes the step, writes `last` and raises KeyboardInterrupt.

    Args:
        objective: What is trained.
        options: How long and how fast the model is trained.
        runtime: Device, precision, and the processes that share a batch.
        folder: The run folder.
        seed: Seed of everything random.
        report: Called with the facts of every epoch.
        resume: Go on from the checkpoint `last` of the run folder.
        progress: Called with the number of steps done and of all.

    Raises:
        MissingResource: There is nothing to resume, or the disk has no room for the checkpoints.
        RejectedInput: The checkpoint is of another network or recipe, or the loss is no number any more.
    """
    model = objective.model.to(runtime.device, memory_format=torch.channels_last)
    if runtime.share.world > 1:
        share_batch_norm(model)
    trainer = _Trainer(objective, options, runtime, folder, seed)
    state = trainer.load() if resume else State()
    if runtime.leads and not state.finished:
        size = changed.sizes(model, objective.bases, averages=options.average > 0)
        changed.require_room(folder, {LAST: size.last, BEST: size.best})
    total = options.epochs * trainer.steps_an_epoch
    if state.finished:
        return state
    deadline = time.monotonic() + 60 * options.minutes if options.minutes else math.inf
    meter = Meter()
    session = time.monotonic()
    before = state.seconds
    with _asked_to_stop() as is_asked:
        for step, fetched, waited in trainer.batches(state.step, total):
            trainer.step(step, total, fetched, meter, waited)
            state.step, state.seconds = step + 1, before + time.monotonic() - session
            if progress and runtime.leads:
                progress(state.step, total)
            stops = trainer.stops(state.step, is_asked=is_asked(), is_late=time.monotonic() > deadline)
            is_late = stops is Stop.LATE
            if state.step % trainer.steps_an_epoch == 0 or is_late or state.step == total:
                if trainer.close_epoch(state, total, meter, report, is_late=is_late):
                    break
            elif options.save_every and state.step % options.save_every == 0:
                trainer.save(state)
            if stops is Stop.ASKED:
                trainer.save(state)
                raise KeyboardInterrupt
    return state


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield whether Ctrl-C or SIGTERM came: a step that has begun is finished, a second one stops at once."""
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():  # only there signals arrive
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Trainer:
    """A model with its optimiser and running average."""

    def __init__(
        self, objective: Objective, options: TrainingOptions, runtime: Runtime, folder: Path, seed: int
    ) -> None:
        self._objective = objective
        self._options = options
        self._runtime = runtime
        self._folder = folder
        self._seed = seed
        groups = objective.groups()
        self._names = {name: each for group in groups for name, each in group.parameters}
        self._rates = [group.rate for group in groups]
        self._optimiser = torch.optim.AdamW(
            [_group(group, options) for group in groups], lr=0.0, fused=runtime.fused
        )
        model = objective.model
        compiled = torch.compile(model) if options.compile else model
        self._model = runtime.wrapped(compiled)
        averaged = changed.moving(model) if options.average else {}
        self._average = {
            name: tensor.to(changed.averaged_type(tensor), copy=True) for name, tensor in averaged.items()
        }
        self._bases = changed.recorded(model, objective.bases) if runtime.leads else {}
        self.steps_an_epoch = steps_in_epoch(objective.n, options.batch)

    def batches(self, first: int, total: int) -> Iterator[tuple[int, Any, float]]:
        """Yield steps with what was fetched for them and how long that was waited for, in seconds."""
        with ThreadPoolExecutor(1) as pool:
            ahead: list[Future[Any]] = []
            for step in range(first, total + _AHEAD):
                if step < total:
                    ahead.append(pool.submit(self._fetch, step))
                if step >= first + _AHEAD:
                    started = time.perf_counter()
                    fetched = ahead.pop(0).result()
                    yield step - _AHEAD, fetched, time.perf_counter() - started

    def step(self, step: int, total: int, fetched: Any, meter: Meter, waited: float) -> None:  # noqa: ANN401
        """Compute gradients and move the weights."""
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * scheduled(step, total, self._options)
        self._model.train()
        torch.manual_seed(_mixed(self._seed, step, self._runtime.share.rank))  # of dropout
        for index, (weight, one) in enumerate(fetched):
            generator = torch.Generator().manual_seed(_mixed(self._seed, step, 1 << 20 | index))
            is_last = index == len(fetched) - 1
            with self._runtime.together(self._model, is_last=is_last):
                with self._runtime.autocast():
                    loss = self._objective.loss(
                        self._model, one, generator, self._runtime.device, self._runtime.share
                    )
                (loss * weight).backward()
            meter.losses.append(loss.detach() * (weight * len(fetched)))
        if self._options.clip:
            torch.nn.utils.clip_grad_norm_(self._names.values(), self._options.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._follow(step)
        meter.steps += 1
        meter.images += self._options.batch
        meter.waited += waited
        if meter.steps in (1, _WARM):
            meter.restart()

    def stops(self, step: int, *, is_asked: bool, is_late: bool) -> Stop:
        """Return whether to stop after a step: all processes or none, else some would wait for ever."""
        own = Stop.ASKED if is_asked else Stop.LATE if is_late else Stop.NO
        if self._runtime.share.world == 1:
            return own
        return Stop(int(self._runtime.most(own))) if step % _ASKED == 0 else Stop.NO

    def close_epoch(self, state: State, total: int, meter: Meter, report: Report, *, is_late: bool) -> bool:
        """Validate the average, keep it if it is the best, write where the run is; tell if it is over."""
        facts = meter.facts()
        loss = self._runtime.mean(float(torch.stack(meter.losses).mean()))
        meter.losses.clear()
        if not math.isfinite(loss):
            precision = ", or precision = 'fp32'" if self._runtime.bf16 else ""
            raise RejectedInput(f"the loss is {loss} at step {state.step:,}; use a lower rate{precision}")
        self._runtime.barrier()
        scores = dict(self._validated())
        score = self._runtime.most(scores[self._objective.main])
        is_best = state.best is None or score > state.best
        state.best = score if is_best else state.best
        state.since_best = 0 if is_best else state.since_best + 1
        is_tired = bool(self._options.patience) and state.since_best >= self._options.patience
        state.finished = state.step == total or is_late or is_tired
        if self._runtime.leads:
            if is_best:
                self.save_best(scores, state)
            report(
                {
                    "step": state.step,
                    "epoch": state.step / self.steps_an_epoch,
                    "loss": loss,
                    "rate": scheduled(state.step - 1, total, self._options),
                    "seconds": state.seconds,
                    **facts,
                    **_memory(self._runtime),
                    **scores,
                }
            )
        self.save(state)
        meter.restart()
        return state.finished

    def save(self, state: State) -> None:
        """Write everything that the next session needs."""
        if not self._runtime.leads:
            return
        model = changed.kept(self._objective.model, self._bases)
        tensors = {f"model.{name}": tensor for name, tensor in model.items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self._average.items()}
        for name, each in self._names.items():
            held = self._optimiser.state.get(each, {})
            tensors |= {f"optimiser.{name}.{key}": value for key, value in held.items()}
        header = {
            "state": vars(state),
            "seed": self._seed,
            "batch": self._options.batch,
            "n": self._objective.n,
            changed.BASES: msgspec.to_builtins(self._bases),
        }
        checkpoint.write(self._folder / LAST, tensors, header)

    def save_best(self, scores: Mapping[str, float], state: State) -> None:
        """Write the averaged weights, and beside them what prediction needs."""
        weights = {**changed.kept(self._objective.model, self._bases), **self._average}
        header = {
            "step": state.step,
            "scores": dict(scores),
            changed.BASES: msgspec.to_builtins(self._bases),
        }
        checkpoint.write(self._folder / BEST, weights, header, self._objective.header())
        self._objective.save(self._folder)

    def load(self) -> State:
        """Take up where the last session stopped."""
        path = self._folder / LAST
        tensors, header = checkpoint.read(path)
        wanted = {"seed": self._seed, "batch": self._options.batch, "n": self._objective.n}
        for key, value in wanted.items():
            if header[key] != value:
                raise RejectedInput(f"{path}: {key} was {header[key]}, and is {value} now; begin a new run")
        changed.restore(self._objective.model, checkpoint.part(tensors, "model."), header, path)
        averaged = checkpoint.part(tensors, "average.")
        if lacking := [name for name in self._average if name not in averaged]:
            raise RejectedInput(
                f"{path}: the file belongs to another network; it has no average of {lacking[0]}"
            )
        for name, average in self._average.items():  # earlier versions averaged what is frozen too
            average.copy_(averaged[name])
        for name, each in self._names.items():
            held = checkpoint.part(tensors, f"optimiser.{name}.")
            if held:
                self._optimiser.state[each] = {
                    key: _step_of(value, each, fused=self._runtime.fused)
                    if key == "step"
                    else torch.empty_like(each, memory_format=torch.preserve_format).copy_(value)
                    for key, value in held.items()
                }
        return State(**header["state"])

    def _fetch(self, step: int) -> list[tuple[float, Any]]:
        """Return the parts of a batch that are computed one after the other, with their share of its images.

        The batch is cut into parts first, and then each part among the processes, so that a part holds the
        same images however many processes there are.
        """
        indices = batch_indices(self._objective.n, self._options.batch, self._seed, step)
        share, parts = self._runtime.share, self._options.accumulate
        if len(indices) < parts * share.world:
            raise UsageFault(f"accumulate: {parts} parts of {len(indices) // share.world} images")
        cut = [indices[part::parts] for part in range(parts)]
        return [
            (len(part) / len(indices), self._objective.fetch(shard(part, share.rank, share.world)))
            for part in cut
        ]

    def _follow(self, step: int) -> None:
        """Move the running average towards the weights."""
        if not self._average:
            return
        decay = min(self._options.average, (1 + step) / (10 + step))
        current = changed.moving(self._objective.model)
        weights = [current[name].to(average.dtype) for name, average in self._average.items()]
        torch._foreach_lerp_(list(self._average.values()), weights, 1 - decay)

    def _validated(self) -> Mapping[str, float]:
        """Return the scores of the averaged weights, or of the weights where there is no average."""
        model = self._objective.model
        kept = {name: tensor.clone() for name, tensor in changed.moving(model).items() if self._average}
        _copy(model, self._average)
        model.eval()
        try:
            with torch.inference_mode(), self._runtime.autocast():
                return self._objective.validate(self._runtime.device)
        finally:
            _copy(model, kept)


def scheduled(step: int, total: int, options: TrainingOptions) -> float:
    """Return the learning rate of a step: a linear rise, then half a cosine down to 0."""
    rise = options.warmup * total
    if step < rise:
        return options.rate * (step + 1) / (rise + 1)
    done = (step - rise) / max(total - rise, 1)
    return options.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _group(group: ParameterGroup, options: TrainingOptions) -> dict[str, Any]:
    return {
        "params": [each for _, each in group.parameters],
        "weight_decay": options.decay if group.decays else 0.0,
    }


def _step_of(value: Any, parameter: Any, *, fused: bool) -> Any:  # noqa: ANN401  torch is Any
    """Return the number of steps of a parameter where the optimiser wants it: the fused one on the device."""
    return value.to(parameter.device if fused else "cpu", torch.float32)


def _copy(model: Any, tensors: Mapping[str, Any]) -> None:  # noqa: ANN401  torch is Any
    own = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _mixed(seed: int, step: int, salt: int) -> int:
    """Return a seed for one use of one step: different ones for neighbouring steps and uses."""
    return (seed * 1_000_003 + step) * 2_147_483_629 + salt & (1 << 63) - 1


def _memory(runtime: Runtime) -> dict[str, float]:
    if runtime.device.type != "cuda":
        return {}
    return {"memory_gib": torch.cuda.max_memory_allocated(runtime.device) / 2**30}
