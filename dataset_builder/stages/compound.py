"""Figures that are one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.filters import compound
from dataset_builder.filters.compound import CompoundOptions
from dataset_builder.filters.model_contract import find_model
from dataset_builder.filters.overrides import read_overrides
from dataset_builder.filters.vision import open_classifier
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Result, Stage


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Judge every picture."""
    kept, drops = compound.select(figures, context.read, context.tables["compound"])
    return Result(kept=kept, drops=drops)


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the model, where one is asked; look at it and at the overrides."""
    options: CompoundOptions = tables["compound"]
    read_overrides(options.overrides)
    if options.method not in ("model", "both"):
        return ()
    model = find_model("compound", options.model)
    open_classifier(model, "compound", options.threads)
    return (model,)


STAGE = Stage(
    name=compound.STAGE,
    revision=1,
    title="one picture, not several in one",
    tables=("source", "compound"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("pillow", "numpy", "onnxruntime"),
    inputs=inputs,
)
