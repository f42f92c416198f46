"""Figures that are one picture, not several in one.

By default a model looks at the picture, and the hints below are evidence beside it: each shifts the log odds
by how much more often it is there, or not there, in compound figures than in others (`EVIDENCE`).

Without a model the stage goes by the hints alone, each with a weight that is our guess of how likely the
figure is compound if the hint is there; their score is 1 - (1 - caption)(1 - layout)(1 - graphics):

| hint | weight |
|---|---|
| the caption describes panels A, B, …, or names a panel | 0.8 |
| the caption has the letters A and B behind words, or tells left from right | 0.45 |
| a white or black gutter cuts the picture | 0.9 |
| a grey one does | 0.95 |
| a seam cuts the picture | 0.6 |
| the figure consists of several graphics | 0.9 |

Any of them but the second is enough at the default threshold. By the hints alone, panels that touch and CT or
MRI side by side on black are often missed, and charts and schemes are often taken for compound.
`benchmarks/bench_filters.py` measures the model, the hints and both.

A compound figure is dropped, or with `action = "split"` taken apart where it is certain what its panels are:
they stand in one row or column between gutters, and the letters of the caption each lead one description, as
many as there are panels. Each is a figure of its own from then on, with its part of the caption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.fingerprints import examine
from dataset_builder.panels import cut_out, upright_pixels
from dataset_builder.records import Drop, Figure, Panel, Scores, StageCount
from dataset_builder.stages.caption_panels import CERTAIN, POSSIBLE, Hint, caption_parts, panels_named
from dataset_builder.stages.captions import CaptionOptions
from dataset_builder.stages.image_classifier import (
    OnnxClassifier,
    find_model,
    model_in_words,
    open_classifier,
)
from dataset_builder.stages.images import ImageOptions
from dataset_builder.stages.overrides import (
    BY_HAND,
    DECIDED_BY_HAND,
    Opinion,
    decide,
    overrides_of,
    read_overrides,
)
from dataset_builder.stages.picture_panels import GREY_GUTTER, GUTTER, SEAM, SIDE, panels_of, panels_seen
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.pictures import UNREADABLE, PixelArray, Unreadable, read_pixels

NAME = "compound"
COMPOUND = "compound figure"
SEVERAL_GRAPHICS = 0.9
DEFAULT_THRESHOLD = 0.5
# Log likelihood ratios of the hints, by their weight: how much more often each is there in compound figures.
# Measured by benchmarks/bench_filters.py and rounded towards nothing, because captions and layouts of other
# journals differ. That a caption names no panels says little: many captions of compound figures name none.
EVIDENCE: Mapping[str, Mapping[float, float]] = {
    "caption": {CERTAIN: 4.0, POSSIBLE: 2.0, 0.0: -0.3},
    "layout": {GREY_GUTTER: 3.0, GUTTER: 1.5, SEAM: 1.5, 0.0: -0.3},
}
_FARTHEST = 30.0  # log odds; beyond it a probability is 0 or 1


class CompoundOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How compound figures are detected.

    Attributes:
        method: `both` goes by a model and the hints above, `model` by a model, `priors` by the hints; with
            `off` every figure stays that the overrides do not drop.
        action: What becomes of a compound figure: `drop`, or `split`, which takes it apart into its panels
            where these are certain and drops it elsewhere.
        model: An ONNX file as `onnx_contract` describes it; None for the one of the package, if any.
        threshold: A figure goes whose score is at least this; None for 0.5, and for a model alone its own.
        several_graphics: Whether every picture of a figure with several counts as compound. If not, the
            caption of such a figure is passed over, because its letters name the pictures.
        overrides: CSV of decisions on single figures, see `overrides`.
        threads: Threads of the model. Another number may move the last digits of a score.
    """

    method: Literal["priors", "model", "both", "off"] = "both"
    action: Literal["drop", "split"] = "drop"
    model: Path | None = None
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    several_graphics: bool = True
    overrides: Path | None = None
    threads: Annotated[int, Meta(ge=1)] = 1

    @property
    def goes_by_model(self) -> bool:
        """Whether a model has a say."""
        return self.method in ("model", "both")

    def __post_init__(self) -> None:
        if self.model is not None and not self.goes_by_model:
            raise UsageFault(f"model: named, but method is {self.method!r}, expected 'model' or 'both'")


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Judge every picture, and take compound ones apart where that is asked for."""
    options: CompoundOptions = context.tables["compound"]
    kept, drops = select(figures, context.read, options)
    if options.action == "drop":
        return Result(kept=kept, drops=drops)
    least, words = context.tables["images"], context.tables["captions"]
    whole = {figure.key: figure for figure in figures}
    records = {figure.key: [figure] for figure in kept}
    for drop in drops:
        if drop.reason == COMPOUND and drop.detail != BY_HAND:
            figure = whole[drop.key]
            panels = panels_apart(figure, context.read(figure), least, words)
            # A panel that is compound itself shows that its box or its part of the caption is not all.
            single, _ = select(panels, context.read, replace(options, overrides=None))
            records[drop.key] = single if len(single) == len(panels) else []
    return Result(
        kept=[record for figure in figures for record in records.get(figure.key, ())],
        drops=[drop for drop in drops if not records.get(drop.key)],
    )


def panels_apart(figure: Figure, content: bytes, least: ImageOptions, words: CaptionOptions) -> list[Figure]:
    """Return the panels of a compound figure as figures, in the order of their letters.

    Args:
        figure: The compound figure.
        content: Bytes of its file.
        least: How large a picture must be.
        words: How long a caption must be.

    Returns:
        Nothing where it is not certain which panels there are, or one of them is too small or has too few
        words.
    """
    pixels = upright_pixels(content)
    boxes = () if isinstance(pixels, Unreadable) or figure.n_graphics > 1 else panels_of(pixels)
    parts = caption_parts(figure.text.caption, len(boxes))
    if parts is None or any(len(part.split()) < words.min_words for part in parts):
        return []
    panels = [
        _panel(figure, content, Panel(box=box, index=index, of=len(boxes)), part)
        for index, (box, part) in enumerate(zip(boxes, parts, strict=True), start=1)
    ]
    fitting = [
        panel
        for panel in panels
        if panel.image is not None and min(panel.image.width, panel.image.height) >= least.min_side
    ]
    return fitting if len(fitting) == len(boxes) else []


def _panel(figure: Figure, content: bytes, panel: Panel, caption: str) -> Figure:
    """Return a panel as a figure; without facts of its image where it cannot be cut out."""
    cut = cut_out(content, panel.box)
    facts = cut if isinstance(cut, Unreadable) else examine(cut)
    letter = chr(ord("A") + panel.index - 1)
    return replace(
        figure,
        panel=panel,
        text=replace(
            figure.text,
            label=f"{figure.text.label}, panel {letter}" if figure.text.label else f"Panel {letter}",
            caption=caption,
        ),
        image=None if isinstance(facts, Unreadable) else facts,
        scores=Scores(),
    )


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what detected compound figures."""
    options: CompoundOptions = tables[NAME]
    by_hand = DECIDED_BY_HAND if options.overrides else ""
    if options.method == "off":
        return f"No filter for compound figures was used: the images may include some.{by_hand}"
    hints, model = "captions and layout", model_in_words(options.model)
    who = {"priors": hints, "model": model, "both": f"{model}, {hints}"}[options.method]
    apart = " Certain panels are separate images." if options.action == "split" else ""
    return f"Compound figures detected by {who}. Dropped: {share_dropped(count)}.{apart}{by_hand}"


def inputs(tables: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the model, where one is asked; look at it and at the overrides."""
    options: CompoundOptions = tables["compound"]
    read_overrides(options.overrides)
    if not options.goes_by_model:
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
    if options.goes_by_model:
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


def weighed(
    figure: Figure, pixels: PixelArray, likely: float, threshold: float, *, several_graphics: bool = True
) -> Hint:
    """Return the score of a model's answer and the hints together, in [0, 1], and what was found.

    Args:
        figure: The figure with its caption.
        pixels: RGB, shape (height, width, 3).
        likely: Probability that the model gives.
        threshold: Probability from which on the model alone says yes: it counts as even odds.
        several_graphics: Whether every picture of a figure with several counts as compound.
    """
    if several_graphics and figure.n_graphics > 1:
        return prior(figure, pixels)
    hints = {"layout": panels_seen(pixels)}
    if figure.n_graphics == 1:
        hints["caption"] = panels_named(figure.text.caption)
    odds = _log_odds(likely) - _log_odds(threshold)
    odds += sum(EVIDENCE[name][hint.weight] for name, hint in hints.items())
    words = [f"the model gives {likely:.3f}, its threshold is {threshold:.3f}"]
    return Hint(
        weight=round(1 / (1 + math.exp(-max(min(odds, _FARTHEST), -_FARTHEST))), 6),
        words="; ".join([*words, *(hint.words for hint in hints.values() if hint.weight)]),
    )


def _judge(
    figure: Figure, content: bytes, options: CompoundOptions, classifier: OnnxClassifier | None
) -> Opinion | Drop:
    pixels = read_pixels(content, SIDE)
    if isinstance(pixels, Unreadable):
        return Drop(stage=NAME, key=figure.key, reason=UNREADABLE, detail=pixels.detail)
    threshold = DEFAULT_THRESHOLD
    if classifier is None:
        hint = prior(figure, pixels, several_graphics=options.several_graphics)
    else:
        likely = round(float(classifier.scores([content])[0]), 6)
        if options.method == "model":
            threshold = classifier.threshold
            hint = Hint(weight=likely, words="by the model")
        else:
            hint = weighed(
                figure, pixels, likely, classifier.threshold, several_graphics=options.several_graphics
            )
    threshold = threshold if options.threshold is None else options.threshold
    return Opinion(
        figure=replace(figure, scores=replace(figure.scores, compound=hint.weight)),
        keeps=hint.weight < threshold,
        score=hint.weight,
        detail=f"score {hint.weight:.3f}, expected less than {threshold:.3f}: {hint.words}",
    )


def _log_odds(likely: float) -> float:
    """Return the logarithm of the odds, within `_FARTHEST`."""
    if likely in (0.0, 1.0):
        return _FARTHEST if likely else -_FARTHEST
    return math.log(likely / (1 - likely))


STAGE = Stage(
    name=NAME,
    revision=4,
    title="filter of compound figures",
    tables=("source", "captions", "images", "compound"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("pillow", "numpy", "onnxruntime"),
    says=says,
    figure_tables=overrides_of(NAME),
    splits=True,
    inputs=inputs,
)
