"""Where training runs: the device, its precision, and the processes that share a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
from torch import distributed, nn

from baselines.training.objective import Share
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.surroundings import variable_number
from rocov2_eval.shelf.words import counted

Precision = Literal["auto", "bf16", "fp32"]
_PATIENCE = timedelta(hours=12)  # of those that wait while one writes captions for a whole split


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how a step is computed.

    Attributes:
        device: Device of this process.
        bf16: Whether forward passes run in bfloat16 under autocast.
        share: Part of this process in every batch.
        fused: Whether the optimiser moves all weights in one kernel, as on GPUs.
    """

    device: Any
    bf16: bool
    share: Share
    fused: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports for all."""
        return self.share.rank == 0

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def wrapped(self, model: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return the model so that gradients are averaged over all processes."""
        if self.share.world == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def mean(self, value: float) -> float:
        """Return the mean of what every process has."""
        return self._agreed(value, distributed.ReduceOp.SUM) / self.share.world

    def most(self, value: float) -> float:
        """Return the largest of what every process has, so that all decide alike."""
        return self._agreed(value, distributed.ReduceOp.MAX)

    def together(self, model: Any, *, is_last: bool) -> AbstractContextManager[Any]:  # noqa: ANN401
        """Return the context of one part of a batch: gradients are averaged over processes at the last."""
        return nullcontext() if self.share.world == 1 or is_last else model.no_sync()

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.share.world > 1:
            distributed.barrier()

    def _agreed(self, value: float, how: Any) -> float:  # noqa: ANN401  torch is Any
        if self.share.world == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(held, how)
        return float(held)


@contextmanager
def opened(device: str, precision: Precision) -> Iterator[Runtime]:
    """Yield the runtime: of one process, or of one among those that torchrun has started.

    Args:
        device: `auto`, or what torch calls it, such as `cpu` or `cuda:1`.
        precision: `auto` takes bfloat16 on GPUs that have it.

    Raises:
        MissingResource: The device is not there.
        UsageFault: It is none, or bfloat16 is asked of a GPU that has it not.
    """
    world = variable_number("WORLD_SIZE", 1)
    place = _device(device, variable_number("LOCAL_RANK", 0))
    if world > 1:
        distributed.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        share = Share(rank=distributed.get_rank(), world=world) if world > 1 else Share()
        if place.type == "cuda":
            torch.cuda.set_device(place)
            torch.backends.cudnn.benchmark = True
        yield Runtime(device=place, bf16=_bf16(precision, place), share=share, fused=place.type == "cuda")
    finally:
        if world > 1:
            distributed.destroy_process_group()


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the whole batch, whichever process holds which part.

    torch's own `SyncBatchNorm` does this on GPUs alone; this one runs on any backend.
    """

    def forward(self, x: Any) -> Any:  # noqa: ANN401  torch is Any
        """Normalise a feature map, shape (b, c, h, w)."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
        count = values.numel() // values.shape[1] * distributed.get_world_size()
        mean, square = (_Sum.apply(sums) / count).chunk(2)
        variance = (square - mean.square()).clamp_min(0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; what one of them sends back concerns all."""

    @staticmethod
    def forward(_context: Any, tensor: Any) -> Any:  # noqa: ANN401  torch is Any
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Any) -> Any:  # noqa: ANN401  torch is Any
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def share_batch_norm(model: Any) -> None:  # noqa: ANN401  torch is Any
    """Let every batch normalisation of a model see the whole batch; parameters and names stay."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm


def _device(name: str, local_rank: int) -> Any:  # noqa: ANN401  torch is Any
    if name == "auto":
        name = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageFault(f"device: {name!r}, expected auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageFault(f"device: {name!r}, expected auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MissingResource(f"{name}: torch finds no GPU here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = counted(torch.cuda.device_count(), "GPU")
        raise MissingResource(f"{name}: torch finds {there} here; the first is cuda:0")
    return device


def _bf16(precision: Precision, device: Any) -> bool:  # noqa: ANN401  torch is Any
    has = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bf16" and device.type == "cuda" and not has:
        raise UsageFault("precision: this GPU has no bfloat16; set precision = 'fp32'")
    return precision == "bf16" or (precision == "auto" and has)
