"""Which images make which batch: pure functions of seed and step, so that a resumed run goes on exactly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rocov2_eval.errors import UsageFault
from rocov2_eval.records import IntArray


@lru_cache(maxsize=2)
def epoch_order(n: int, seed: int, epoch: int) -> IntArray:
    """Return the order of n images in an epoch, shape (n,).

    Sorting raw words of Philox, whose stream numpy promises to keep, gives one order under every version.
    """
    words = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(n)
    order: IntArray = np.argsort(words, kind="stable").astype(np.int64)
    return order


def steps_in_epoch(n: int, batch: int) -> int:
    """Return the number of batches of an epoch.

    What does not fill a batch waits for another epoch, whose order is another. Fewer images than a batch make
    one batch.
    """
    return max(n // batch, 1)


def batch_indices(n: int, batch: int, seed: int, step: int) -> IntArray:
    """Return the images of a step, counted from 0 over all epochs; shape (batch,), or (n,) if n is less."""
    epoch, place = divmod(step, steps_in_epoch(n, batch))
    indices: IntArray = epoch_order(n, seed, epoch)[place * batch : (place + 1) * batch].copy()
    return indices


def shard(indices: IntArray, rank: int, world: int) -> IntArray:
    """Return what one of several processes takes of a batch: every world-th image, from its rank on.

    Raises:
        UsageFault: The parts would differ in size, so that their mean gradient would not be the batch's.
    """
    if len(indices) % world:
        raise UsageFault(
            f"a batch of {len(indices):,} images cannot be split equally among {world} processes: use "
            f"a multiple of {world}"
        )
    return indices[rank::world]
