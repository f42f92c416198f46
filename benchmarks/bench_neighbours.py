"""Exact nearest neighbours: ours, plain numpy, and the product of matrices that neither can do without.

Usage: python benchmarks/bench_neighbours.py [--known 80000] [--asked 17000] [--width 768] [--k 49]

Plain numpy multiplies, sorts a part of every row and takes the first k of it: it holds the cosines of a block
in float32 and has no rule for equal ones. Its rows are compared with ours where rounding does not decide. The
vectors are drawn, since the time does not depend on what they say. Processor seconds are those of all
threads: on a machine that others use too, they tell more than the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from measure import machine, seconds, table

from baselines.frozen.neighbours import Features, directions, nearest
from rocov2_eval.records import IntArray

BLOCK = 256  # asked vectors at a time


def main() -> None:
    """Time the three ways in turn and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, value in (("known", 80_000), ("asked", 17_000), ("width", 768), ("k", 49)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    known, asked = (
        generator.standard_normal((n, given.width), dtype=np.float32) for n in (given.known, given.asked)
    )
    found: dict[str, IntArray] = {}

    def ours() -> None:
        found["ours"] = nearest(known, asked, given.k)[0]

    def plain() -> None:
        found["plain"] = plain_numpy(known, asked, given.k)

    ways: dict[str, Callable[[], None]] = {
        "ours": ours,
        "plain numpy": plain,
        "the product alone": lambda: product(known, asked),
    }
    times = {name: timed(way) for name, way in ways.items()}
    agree = np.mean([np.array_equal(*map(np.sort, pair)) for pair in zip(*found.values(), strict=True)])
    print(f"{machine()}; torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    size = f"{given.known:,} x {given.asked:,} x {given.width}, k {given.k}"
    rows = [
        [name, f"{wall:.1f}", f"{spent:.1f}", f"{spent / times['ours'][1]:.2f}"]
        for name, (wall, spent) in times.items()
    ]
    print(table([size, "seconds", "processor seconds", "times ours"], rows))
    print(f"Sets of neighbours that are equal: {100 * agree:.2f} % of the vectors.")


def timed(way: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of the clock and those of the processors."""
    before = time.process_time()
    wall = seconds(way)
    return wall, time.process_time() - before


def plain_numpy(known: Features, asked: Features, k: int) -> IntArray:
    """Return the nearest rows as anybody would write it."""
    mean = known.mean(axis=0, dtype=np.float64)
    ours, theirs = directions(known, mean), directions(asked, mean)
    rows = np.empty((len(asked), k), np.int64)
    for i in range(0, len(asked), BLOCK):
        cosines = theirs[i : i + BLOCK] @ ours.T
        part = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(cosines, part, axis=1), axis=1)
        rows[i : i + BLOCK] = np.take_along_axis(part, order, axis=1)
    return rows


def product(known: Features, asked: Features) -> None:
    """Multiply the matrices block by block and keep nothing."""
    matrix = torch.from_numpy(known).T
    for i in range(0, len(asked), BLOCK):
        torch.from_numpy(asked[i : i + BLOCK]) @ matrix


if __name__ == "__main__":
    main()
