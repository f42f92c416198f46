"""Captions that say something, in English."""

from __future__ import annotations

from collections.abc import Sequence

from dataset_builder.filters.captions import STAGE as NAME
from dataset_builder.filters.captions import select
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Result, Stage


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Clean and judge every caption."""
    kept, drops = select(figures, context.tables["captions"])
    return Result(kept=kept, drops=drops)


STAGE = Stage(
    name=NAME,
    revision=1,
    title="caption in English and long enough",
    tables=("captions",),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("py3langid", "numpy"),
)
