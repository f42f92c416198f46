"""Figures that are radiology images, as a model tells them.

There are no hints that would do without a model, so without one the stage refuses to run unless it is
switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.records import Drop, Figure, StageCount
from dataset_builder.stages.image_classifier import (
    OnnxClassifier,
    find_model,
    model_in_words,
    open_classifier,
)
from dataset_builder.stages.overrides import DECIDED_BY_HAND, Opinion, decide, overrides_of, read_overrides
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.pictures import UNREADABLE, Unreadable, read_pixels

NAME = "radiology"
NOT_RADIOLOGY = "not a radiology image"
_SIDE = 1  # a JPEG decoded as coarsely as can be tells as well whether it is whole


class RadiologyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How radiology images are detected.

    Attributes:
        filter: `model` judges every figure; `off` keeps all that the overrides do not drop, without a score.
        model: An ONNX file as `onnx_contract` describes it; None for the one of the package, if any.
        threshold: A figure stays whose score is at least this; None for the model's own.
        overrides: CSV of decisions on single figures, see `overrides`.
        threads: Threads of the model. Another number may move the last digits of a score.
    """

    filter: Literal["model", "off"] = "model"
    model: Path | None = None
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    overrides: Path | None = None
    threads: Annotated[int, Meta(ge=1)] = 1

    @property
    def goes_by_model(self) -> bool:
        """Whether a model judges the figures."""
        return self.filter == "model"

    def __post_init__(self) -> None:
        if self.model is not None and not self.goes_by_model:
            raise UsageFault("model: named, but filter is 'off', expected 'model'")


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Judge every picture."""
    kept, drops = select(figures, context.read, context.tables["radiology"])
    return Result(kept=kept, drops=drops)


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what detected radiology images."""
    options: RadiologyOptions = tables[NAME]
    by_hand = DECIDED_BY_HAND if options.overrides else ""
    if options.filter == "off":
        return f"No filter for radiology images was used: the images may be of any kind.{by_hand}"
    model = model_in_words(options.model)
    return f"Radiology images detected by {model}. Dropped: {share_dropped(count)}.{by_hand}"


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the model, where one is asked; look at it and at the overrides."""
    options: RadiologyOptions = tables["radiology"]
    read_overrides(options.overrides)
    if not options.goes_by_model:
        return ()
    model = find_model("radiology", options.model)
    open_classifier(model, "radiology", options.threads)
    return (model,)


def select(
    figures: Sequence[Figure], read: Callable[[Figure], bytes], options: RadiologyOptions
) -> tuple[list[Figure], list[Drop]]:
    """Return the radiology images, with their score, and a drop for each other figure.

    Args:
        figures: Figures of any number of articles; the score of each depends on no other.
        read: Returns the file of a figure.
        options: Model, threshold and overrides of the filter.

    Raises:
        MissingResource: There is no model, and the filter is not switched off.
        RejectedInput: The model or the overrides are broken.
    """
    overrides = read_overrides(options.overrides)
    if not options.goes_by_model:
        keeping = (Opinion(figure=figure, keeps=True) for figure in figures)
        return decide(keeping, overrides, NAME, NOT_RADIOLOGY)
    classifier = open_classifier(find_model("radiology", options.model), "radiology", options.threads)
    threshold = classifier.threshold if options.threshold is None else options.threshold
    outcomes = (_judge(figure, read(figure), classifier, threshold) for figure in figures)
    return decide(outcomes, overrides, NAME, NOT_RADIOLOGY)


def _judge(figure: Figure, content: bytes, classifier: OnnxClassifier, threshold: float) -> Opinion | Drop:
    pixels = read_pixels(content, _SIDE)
    if isinstance(pixels, Unreadable):
        return Drop(stage=NAME, key=figure.key, reason=UNREADABLE, detail=pixels.detail)
    score = round(float(classifier.scores([content])[0]), 6)
    return Opinion(
        figure=replace(figure, scores=replace(figure.scores, radiology=score)),
        keeps=score >= threshold,
        score=score,
        detail=f"score {score:.3f}, expected at least {threshold:.3f}",
    )


STAGE = Stage(
    name=NAME,
    revision=3,
    title="filter of radiology images",
    tables=("source", "radiology"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("pillow", "numpy", "onnxruntime"),
    says=says,
    figure_tables=overrides_of(NAME),
    inputs=inputs,
)
