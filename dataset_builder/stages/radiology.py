"""Figures that are radiology images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.filters import radiology
from dataset_builder.filters.model_contract import find_model
from dataset_builder.filters.overrides import read_overrides
from dataset_builder.filters.radiology import RadiologyOptions
from dataset_builder.filters.vision import open_classifier
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Result, Stage


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Judge every picture."""
    kept, drops = radiology.select(figures, context.read, context.tables["radiology"])
    return Result(kept=kept, drops=drops)


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the model, where one is asked; look at it and at the overrides."""
    options: RadiologyOptions = tables["radiology"]
    read_overrides(options.overrides)
    if options.filter == "off":
        return ()
    model = find_model("radiology", options.model)
    open_classifier(model, "radiology", options.threads)
    return (model,)


STAGE = Stage(
    name=radiology.STAGE,
    revision=1,
    title="a radiology image",
    tables=("source", "radiology"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("pillow", "numpy", "onnxruntime"),
    inputs=inputs,
)
