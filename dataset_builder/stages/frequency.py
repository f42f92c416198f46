"""Leave out the concepts that too few images have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from dataset_builder.concepts.table import ConceptOptions
from dataset_builder.records import Drop, Figure, kept_and_drops
from dataset_builder.stages.stage import Context, Result, Stage

NAME = "frequency"
ONLY_RARE = "only rare concepts"


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Count the images of every concept; a manual concept stays with its image however rare it is."""
    options: ConceptOptions = context.tables["concepts"]
    images = Counter(cui for figure in figures for cui in figure.concepts.cuis)
    rare = {cui for cui, count in images.items() if count < options.fewest_images}
    kept, drops = kept_and_drops(_without(figure, rare, options) for figure in figures)
    return Result(kept=kept, drops=drops)


def _without(figure: Figure, rare: set[str], options: ConceptOptions) -> Figure | Drop:
    concepts = figure.concepts
    gone = tuple(cui for cui in concepts.automatic if cui in rare)
    left = tuple(cui for cui in concepts.automatic if cui not in rare)
    if gone and not left and not concepts.manual and options.drops_without:
        return Drop(stage=NAME, key=figure.key, reason=ONLY_RARE, detail=", ".join(gone))
    return replace(figure, concepts=replace(concepts, automatic=left, rare=gone))


STAGE = Stage(
    name=NAME,
    revision=1,
    title="rare concepts dropped",
    tables=("concepts",),
    takes=Figure,
    gives=Figure,
    run=run,
    scope="all",
)
