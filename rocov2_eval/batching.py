"""Sequences of tokens through a model in batches of one length each.

The challenge calls its models one text at a time. Batches of sequences of equal length give what those calls
give, since there is neither padding nor an attention mask that could matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from rocov2_eval.devices import import_library
from rocov2_eval.errors import MissingResource
from rocov2_eval.records import IntArray

Float32Array = npt.NDArray[np.float32]


def run_batches(
    lengths: IntArray,
    wanted: IntArray,
    forward: Callable[[IntArray], Float32Array],
    budget: int,
) -> Iterator[tuple[IntArray, Float32Array]]:
    """Run a model over sequences, those of one length together, the longest first.

    The longest first, so that a machine with too little memory fails early; a batch that does not fit is
    halved, and those after it keep the smaller size.

    Args:
        lengths: Shape (u,), the number of tokens of each sequence, none decreasing.
        wanted: Shape (m,), the sequences to run, in order.
        forward: Takes sequences of one length; returns an array with a first axis for them.
        budget: Largest number of tokens in a batch; one sequence may have more.

    Yields:
        The sequences of a batch, and what the model makes of them.

    Raises:
        MissingResource: The accelerator has too little memory for a single sequence.
    """
    stop = len(wanted)
    while stop > 0:
        length = int(lengths[wanted[stop - 1]])
        first = int(np.searchsorted(lengths[wanted[:stop]], length))
        batch = wanted[max(first, stop - max(1, budget // length)) : stop]
        outputs = _attempt(forward, batch)
        if outputs is not None:
            yield batch, outputs
            stop -= len(batch)
        elif len(batch) == 1:
            raise MissingResource(
                f"the memory of the device is too small for a text of {length} tokens: use `--device cpu`"
            )
        else:
            budget = len(batch) // 2 * length


def _attempt(forward: Callable[[IntArray], Float32Array], batch: IntArray) -> Float32Array | None:
    """Return the outputs, None where the memory does not suffice."""
    torch = import_library("torch")
    try:
        return forward(batch)
    except torch.cuda.OutOfMemoryError:
        pass
    # Outside of the handler, whose exception keeps the tensors of the failed attempt alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
