"""Fetch the file of every figure and decode it once: only whole pictures of a fair size go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.fingerprints import examine
from dataset_builder.records import Drop, Figure, kept_and_drops
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.pictures import UNREADABLE, Unreadable

NAME = "images"
NOT_THERE = "file not at the source"
DAMAGED = "file damaged or not decodable"
TOO_SMALL = "image too small"


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which pictures go on.

    Attributes:
        min_side: Least pixels of the shorter side. The number is ours: below it hardly anything can be seen.
    """

    min_side: Annotated[int, Meta(ge=1)] = 64


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Fetch and decode every file."""
    options: ImageOptions = context.tables["images"]
    outcomes = []
    for done, figure in enumerate(figures, start=1):
        outcomes.append(_examined(figure, context, options))
        context.progress(done, len(figures))
    kept, drops = kept_and_drops(outcomes)
    return Result(kept=kept, drops=drops)


def _examined(figure: Figure, context: Context, options: ImageOptions) -> Figure | Drop:
    assert figure.media is not None, "the figures stage has looked it up"
    try:
        content = context.open_source().read(figure.media)
    except RejectedInput as error:
        return Drop(stage=NAME, key=figure.key, reason=DAMAGED, detail=str(error))
    if content is None:
        return Drop(stage=NAME, key=figure.key, reason=NOT_THERE, detail=figure.media.key)
    facts = examine(content)
    if isinstance(facts, Unreadable):
        return Drop(stage=NAME, key=figure.key, reason=UNREADABLE, detail=facts.detail)
    if min(facts.width, facts.height) < options.min_side:
        return Drop(
            stage=NAME,
            key=figure.key,
            reason=TOO_SMALL,
            detail=f"{facts.width}x{facts.height} pixels, expected {options.min_side} each way",
        )
    return replace(figure, image=facts)


STAGE = Stage(
    name=NAME,
    revision=3,
    title="readable image file",
    tables=("source", "images"),
    takes=Figure,
    gives=Figure,
    run=run,
    libraries=("pillow", "numpy"),
)
