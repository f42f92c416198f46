"""Concepts of every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from dataset_builder.concepts.table import STAGE as NAME
from dataset_builder.concepts.table import ConceptOptions, FigureConcepts, read_names, read_table, select
from dataset_builder.figure_tables import FigureTable
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.option_tables import file_digest


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Look up every figure."""
    options: ConceptOptions = context.tables["concepts"]
    kept, drops = select(figures, _table(options.table, file_digest(options.table)), options)
    return Result(kept=kept, drops=drops)


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Look at both tables before anything is fetched for them."""
    options: ConceptOptions = tables["concepts"]
    _table(options.table, file_digest(options.table))
    read_names(options.names)
    return ()


@lru_cache(maxsize=1)
def _table(path: Path, digest: str) -> FigureTable[FigureConcepts]:
    """Return a table, read once a process while its content stays."""
    del digest
    return read_table(path)


STAGE = Stage(
    name=NAME,
    title="has concepts",
    tables=("concepts",),
    takes=Figure,
    gives=Figure,
    run=run,
    inputs=inputs,
)
