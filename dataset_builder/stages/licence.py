"""Figures that may be redistributed."""

from __future__ import annotations

from collections.abc import Sequence

from dataset_builder.filters import licences
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Result, Stage


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Decide the licence of every figure."""
    kept, drops = licences.select(figures, context.tables["licence"])
    return Result(kept=kept, drops=drops)


STAGE = Stage(
    name=licences.STAGE,
    revision=1,
    title="licence allows redistribution",
    tables=("licence",),
    takes=Figure,
    gives=Figure,
    run=run,
)
