"""Give every figure its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    division = divide(
        members,
        options,
        linked_articles=[(figure.pmcid, *figure.duplicate_articles) for figure in figures],
        fixed={key: earlier.split for key, earlier in context.earlier.items()},
    )
    splits = division.splits
    return Result(
        kept=[replace(figure, split=splits[figure.key]) for figure in figures if figure.key in splits],
        drops=[Drop(stage=NAME, key=key, reason=IN_CONFLICT) for key in division.left_out],
    )


STAGE = Stage(
    name=NAME,
    title="in a split",
    tables=("split",),
    takes=Figure,
    gives=Figure,
    run=run,
    scope="all",
    libraries=("numpy",),
)
