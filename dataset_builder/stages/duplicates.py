"""One figure of each that show the same picture: of an earlier edition before new ones, then the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.fingerprints import BITS, DEFAULT_DISTANCE, MOST_DISTANCE, clusters
from dataset_builder.records import Drop, Figure, ImageFacts, StageCount
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped

NAME = "duplicates"
SAME_BYTES = "same bytes as a kept image"
SAME_PIXELS = "same pixels as a kept image"
NEAR_DUPLICATE = "near duplicate of a kept image"


class DuplicateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as the same picture.

    Attributes:
        distance: Most of the 64 bits in which the perceptual hashes of near duplicates differ.
    """

    distance: Annotated[int, Meta(ge=0, le=MOST_DISTANCE)] = DEFAULT_DISTANCE


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Keep the first of each cluster, those of an earlier edition before new ones."""
    ordered = sorted(figures, key=lambda figure: context.earlier.images.of(figure) is None)
    kept, drops = select(ordered, context.tables["duplicates"])
    place = {figure.key: i for i, figure in enumerate(figures)}
    return Result(kept=sorted(kept, key=lambda figure: place[figure.key]), drops=drops)


def select(figures: Sequence[Figure], options: DuplicateOptions) -> tuple[list[Figure], list[Drop]]:
    """Keep the first figure of each cluster, with the articles of the others beside it.

    Args:
        figures: Decoded figures in the order of preference.
        options: What counts as the same picture.
    """
    firsts = clusters([_image(figure) for figure in figures], options.distance).tolist()
    articles: defaultdict[int, set[str]] = defaultdict(set)
    for figure, first in zip(figures, firsts, strict=True):
        articles[first].add(figure.pmcid)
    kept: list[Figure] = []
    drops: list[Drop] = []
    for i, (figure, first) in enumerate(zip(figures, firsts, strict=True)):
        if i == first:
            others = tuple(sorted(articles[i] - {figure.pmcid}))
            kept.append(replace(figure, duplicate_articles=others))
        else:
            drops.append(_drop(figure, figures[first]))
    return kept, drops


def _image(figure: Figure) -> ImageFacts:
    assert figure.image is not None, "the images stage has decoded it"
    return figure.image


def _drop(figure: Figure, kept: Figure) -> Drop:
    ours, theirs = _image(figure), _image(kept)
    reason, difference = NEAR_DUPLICATE, "by way of others between them"
    if ours.sha256 == theirs.sha256:
        reason, difference = SAME_BYTES, f"SHA-256 {ours.sha256}"
    elif ours.pixels == theirs.pixels:
        reason, difference = SAME_PIXELS, f"SHA-256 of the pixels {ours.pixels}"
    elif ours.perceptual is not None and theirs.perceptual is not None:
        difference = f"{(ours.perceptual ^ theirs.perceptual).bit_count()} of {BITS} bits differ"
    return Drop(stage=NAME, key=figure.key, reason=reason, detail=f"kept {kept.key}: {difference}")


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what the stage did."""
    options: DuplicateOptions = tables[NAME]
    most = f"differ in at most {options.distance} of {BITS} bits" if options.distance else "are equal"
    return (
        f"Of images with the same pixels, or whose hashes {most}, one was kept. "
        f"Dropped: {share_dropped(count)}."
    )


STAGE = Stage(
    name=NAME,
    revision=1,
    title="duplicates dropped",
    tables=("duplicates",),
    takes=Figure,
    gives=Figure,
    run=run,
    says=says,
    scope="all",
)
