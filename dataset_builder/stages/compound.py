"""Figures that are one picture, not several in one.

Without a model it goes by three hints, each with a weight that is our guess of how likely the figure is
compound if the hint is there; their score is 1 - (1 - caption)(1 - layout)(1 - graphics):

| hint | weight |
|---|---|
| the caption describes panels A, B, …, or names a panel | 0.8 |
| the caption has the letters A and B behind words, or tells left from right | 0.45 |
| a white or black gutter cuts the picture | 0.9 |
| a seam cuts the picture | 0.6 |
| the figure consists of several graphics | 0.9 |

Any of them but the second is enough at the default threshold. `benchmarks/bench_filters.py` measures them,
for want of labelled figures mostly on made ones. Panels that touch, and CT or MRI side by side on black, are
often missed, and charts and schemes are often taken for compound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.records import Drop, Figure, StageCount
from dataset_builder.stages.caption_panels import Hint, panels_named
from dataset_builder.stages.image_classifier import (
    OnnxClassifier,
    find_model,
    model_in_words,
    open_classifier,
)
from dataset_builder.stages.overrides import DECIDED_BY_HAND, Opinion, decide, overrides_of, read_overrides
from dataset_builder.stages.picture_panels import SIDE, panels_seen
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.pictures import UNREADABLE, PixelArray, Unreadable, read_pixels

NAME = "compound"
COMPOUND = "compound figure"
SEVERAL_GRAPHICS = 0.9
DEFAULT_THRESHOLD = 0.5


class CompoundOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How compound figures are told.

    Attributes:
        method: `priors` goes by the hints above, `model` by a model, `both` by whichever is surer; with `off`
            every figure stays that the overrides do not drop.
        model: An ONNX file as `onnx_contract` describes it; None for the one of the package, if any.
        threshold: A figure goes whose score is at least this; None for 0.5, and for a model alone its own.
        several_graphics: Whether every picture of a figure with several counts as compound. If not, the
            caption of such a figure is passed over, because its letters name the pictures.
        overrides: CSV of decisions on single figures, see `overrides`.
        threads: Threads of the model. Another number may move the last digits of a score.
    """

    method: Literal["priors", "model", "both", "off"] = "priors"
    model: Path | None = None
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    several_graphics: bool = True
    overrides: Path | None = None
    threads: Annotated[int, Meta(ge=1)] = 1

    def __post_init__(self) -> None:
        if self.model is not None and self.method not in ("model", "both"):
            raise UsageFault(f"model: named, but method is {self.method!r}, expected 'model' or 'both'")


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Judge every picture."""
    kept, drops = select(figures, context.read, context.tables["compound"])
    return Result(kept=kept, drops=drops)


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say who told figures of several pictures."""
    options: CompoundOptions = tables[NAME]
    by_hand = DECIDED_BY_HAND if options.overrides else ""
    if options.method == "off":
        return f"No filter looked for figures of several pictures in one: such may be here.{by_hand}"
    hints, model = "captions and layout", model_in_words(options.model)
    who = {"priors": hints, "model": model, "both": f"{model}, or {hints}"}[options.method]
    told = f"{who[0].upper()}{who[1:]} told figures of several pictures in one"
    return f"{told}: {share_dropped(count)} were dropped.{by_hand}"


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the model, where one is asked; look at it and at the overrides."""
    options: CompoundOptions = tables["compound"]
    read_overrides(options.overrides)
    if options.method not in ("model", "both"):
        return ()
    model = find_model("compound", options.model)
    open_classifier(model, "compound", options.threads)
    return (model,)


def select(
    figures: Sequence[Figure], read: Callable[[Figure], bytes], options: CompoundOptions
) -> tuple[list[Figure], list[Drop]]:
    """Return the figures that are one picture, with their score, and a drop for each other one.

    Args:
        figures: Figures of any number of articles; the score of each depends on no other.
        read: Returns the file of a figure.
        options: Method, model, threshold and overrides of the filter.

    Raises:
        MissingResource: There is no model for a method that needs one.
        RejectedInput: The model or the overrides are broken.
    """
    overrides = read_overrides(options.overrides)
    if options.method == "off":
        return decide((Opinion(figure=figure, keeps=True) for figure in figures), overrides, NAME, COMPOUND)
    classifier = None
    if options.method != "priors":
        path = find_model("compound", options.model)
        classifier = open_classifier(path, "compound", options.threads)
    outcomes = (_judge(figure, read(figure), options, classifier) for figure in figures)
    return decide(outcomes, overrides, NAME, COMPOUND)


def prior(figure: Figure, pixels: PixelArray, *, several_graphics: bool = True) -> Hint:
    """Return the score of the hints, in [0, 1], and what was found.

    Args:
        figure: The figure with its caption.
        pixels: RGB, shape (height, width, 3).
        several_graphics: Whether every picture of a figure with several counts as compound.
    """
    hints = [panels_seen(pixels)]
    if several_graphics or figure.n_graphics == 1:
        hints.append(panels_named(figure.text.caption))
    if several_graphics and figure.n_graphics > 1:
        hints.append(Hint(weight=SEVERAL_GRAPHICS, words=f"the figure has {figure.n_graphics} graphics"))
    return Hint(
        weight=round(1 - math.prod(1 - hint.weight for hint in hints), 6),
        words="; ".join(hint.words for hint in hints if hint.weight),
    )


def _judge(
    figure: Figure, content: bytes, options: CompoundOptions, classifier: OnnxClassifier | None
) -> Opinion | Drop:
    pixels = read_pixels(content, SIDE)
    if isinstance(pixels, Unreadable):
        return Drop(stage=NAME, key=figure.key, reason=UNREADABLE, detail=pixels.detail)
    threshold = DEFAULT_THRESHOLD
    hint = Hint(weight=0.0)
    if options.method != "model":
        hint = prior(figure, pixels, several_graphics=options.several_graphics)
    if classifier is not None:
        likely = round(float(classifier.scores([content])[0]), 6)
        if options.method == "model":
            threshold = classifier.threshold
        else:
            likely = _rescaled(likely, classifier.threshold)
        if likely > hint.weight:
            hint = Hint(weight=likely, words="the model says so")
    threshold = threshold if options.threshold is None else options.threshold
    return Opinion(
        figure=replace(figure, scores=replace(figure.scores, compound=hint.weight)),
        keeps=hint.weight < threshold,
        score=hint.weight,
        detail=f"score {hint.weight:.3f}, from {threshold:.3f} on compound: {hint.words}",
    )


def _rescaled(likely: float, threshold: float) -> float:
    """Return a probability stretched so that the model's threshold comes to the default one.

    The order stays, and so do 0 and 1.
    """
    if likely >= threshold:
        above = (likely - threshold) / (1 - threshold) if threshold < 1 else 1.0
        return round(DEFAULT_THRESHOLD + (1 - DEFAULT_THRESHOLD) * above, 6)
    return round(DEFAULT_THRESHOLD * likely / threshold, 6)


STAGE = Stage(
    name=NAME,
    revision=2,
    title="filter of several pictures in one",
    tables=("source", "compound"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("pillow", "numpy", "onnxruntime"),
    says=says,
    figure_tables=overrides_of(NAME),
    inputs=inputs,
)
