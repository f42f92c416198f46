"""Give every figure its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dataset_builder.earlier import Earlier
from dataset_builder.records import Drop, Figure
from dataset_builder.split import Member, SplitOptions, divide
from dataset_builder.stages.stage import Context, Result, Stage

NAME = "split"
IN_CONFLICT = "belongs to two splits of the earlier edition"


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Divide the figures; those that an earlier edition had keep their split."""
    options: SplitOptions = context.tables["split"]
    members = [
        Member(image_id=figure.key, article=figure.pmcid, labels=figure.manual_concepts) for figure in figures
    ]
    fixed, torn = _fixed(figures, context.earlier)
    division = divide(
        [member for member in members if member.image_id not in torn],
        options,
        linked_articles=[(figure.pmcid, *figure.duplicate_articles) for figure in figures],
        fixed=fixed,
    )
    splits = division.splits
    left_out = sorted({*division.left_out, *torn})
    return Result(
        kept=[replace(figure, split=splits[figure.key]) for figure in figures if figure.key in splits],
        drops=[Drop(stage=NAME, key=key, reason=IN_CONFLICT) for key in left_out],
    )


def _fixed(figures: Sequence[Figure], earlier: Earlier) -> tuple[dict[str, str], set[str]]:
    """Return the split of each figure that an earlier edition decides, and new figures of torn articles.

    An image stays where it was. A new image goes where its article was, even if nothing of that is left.
    """
    fixed: dict[str, str] = {}
    torn: set[str] = set()
    for figure in figures:
        known = earlier.images.of(figure)
        if known:
            fixed[figure.key] = known.split
            continue
        articles = (figure.pmcid, *figure.duplicate_articles)
        splits = {split for pmcid in articles for split in earlier.splits.get(pmcid, ())}
        if len(splits) == 1:
            (fixed[figure.key],) = splits
        elif splits:
            torn.add(figure.key)
    return fixed, torn


STAGE = Stage(
    name=NAME,
    revision=1,
    title="in a split",
    tables=("split",),
    takes=Figure,
    gives=Figure,
    run=run,
    scope="all",
    libraries=("numpy",),
)
