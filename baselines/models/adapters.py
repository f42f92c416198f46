"""Low-rank adapters: a frozen matrix learns a small correction, the product of two thin ones.

Hu et al. (2022), "LoRA: low-rank adaptation of large language models": W + (alpha / rank) A B, where B
begins at 0, so that nothing changes at first. GPT-2 keeps its matrices as (in, out), and so do these.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from rocov2_eval.errors import UsageFault

MARK = "low_rank_"  # in the name of every parameter of an adapter

# The matrices of a block of GPT-2 that read or write the residual stream. Those of cross-attention are new
# themselves and are trained in full: a correction of random numbers teaches nothing.
_ADAPTED = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


class Adapted(nn.Module):
    """A matrix of GPT-2 with its correction.

    Attributes:
        base: The matrix itself, frozen.
        scale: Factor of the adapter, alpha / rank.
    """

    def __init__(self, base: Any, rank: int, alpha: float) -> None:  # noqa: ANN401  Conv1D of transformers
        super().__init__()
        self.base = base.requires_grad_(requires_grad=False)
        self.scale = alpha / rank
        rows, columns = base.weight.shape
        self.low_rank_in = nn.Parameter(torch.empty(rows, rank))
        self.low_rank_out = nn.Parameter(torch.zeros(rank, columns))
        nn.init.kaiming_uniform_(self.low_rank_in.T, a=math.sqrt(5))  # as the authors' code draws it

    def forward(self, x: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return x W + b with W corrected, shape (..., columns)."""
        narrow = x.to(self.low_rank_in.dtype) @ self.low_rank_in
        return self.base(x) + (narrow @ self.low_rank_out * self.scale)

    def merged(self) -> Any:  # noqa: ANN401  Conv1D of transformers
        """Return the matrix with the correction added to it."""
        with torch.no_grad():
            weight = self.base.weight
            weight.copy_(weight.float() + self.scale * (self.low_rank_in @ self.low_rank_out).float())
        return self.base


def add_adapters(decoder: Any, rank: int, alpha: float) -> None:  # noqa: ANN401  GPT-2 of transformers
    """Give every block of a GPT-2 its adapters, in place.

    Raises:
        UsageFault: The rank is not positive.
    """
    if rank < 1:
        raise UsageFault(f"lora_rank: {rank}, expected 1 or more")
    for block in decoder.transformer.h:
        for place in _ADAPTED:
            block.set_submodule(place, Adapted(block.get_submodule(place), rank, alpha))


def merge_adapters(decoder: Any) -> None:  # noqa: ANN401  GPT-2 of transformers
    """Add the corrections to the matrices, in place: the decoder is then as fast as one without adapters."""
    for block in decoder.transformer.h:
        for place in _ADAPTED:
            module = block.get_submodule(place)
            if isinstance(module, Adapted):
                block.set_submodule(place, module.merged())
