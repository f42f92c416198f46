"""One figure of each that show the same picture: of an earlier edition before new ones, then the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dataset_builder.duplicates import DEFAULT_DISTANCE, MOST_DISTANCE, Fingerprint, select
from dataset_builder.duplicates import STAGE as NAME
from dataset_builder.records import Figure
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.errors import UsageFault


@dataclass(frozen=True, kw_only=True)
class DuplicateOptions:
    """What counts as the same picture.

    Attributes:
        distance: Most of the 64 bits in which the perceptual hashes of near duplicates differ.
    """

    distance: int = DEFAULT_DISTANCE

    def __post_init__(self) -> None:
        if not 0 <= self.distance <= MOST_DISTANCE:
            raise UsageFault(f"distance: {self.distance}, expected 0 to {MOST_DISTANCE} bits")


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Keep the first of each cluster, with the articles of the others beside it."""
    options: DuplicateOptions = context.tables["duplicates"]
    ordered = sorted(figures, key=lambda figure: context.earlier.images.of(figure) is None)
    selection = select([(figure.key, _fingerprint(figure)) for figure in ordered], options.distance)
    articles = defaultdict(set)
    pmcid = {figure.key: figure.pmcid for figure in figures}
    for dropped, kept in selection.shown_by.items():
        articles[kept].add(pmcid[dropped])
    stay = frozenset(selection.kept)
    return Result(
        kept=[
            replace(figure, duplicate_articles=tuple(sorted(articles[figure.key] - {figure.pmcid})))
            for figure in figures
            if figure.key in stay
        ],
        drops=selection.drops,
    )


def _fingerprint(figure: Figure) -> Fingerprint:
    assert figure.image is not None, "the images stage has decoded it"
    image = figure.image
    return Fingerprint(sha256=image.sha256, pixels=image.pixels, perceptual=image.perceptual)


STAGE = Stage(
    name=NAME,
    revision=1,
    title="shown once",
    tables=("duplicates",),
    takes=Figure,
    gives=Figure,
    run=run,
    scope="all",
)
