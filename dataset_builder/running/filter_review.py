"""What an image filter that goes by a model did: said in a line, and shown on a sheet for a person.

report/radiology.html   beside build.toml: the figures nearest to the threshold, on both sides
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.figure_tables import FigureTable
from dataset_builder.gates import share_text
from dataset_builder.records import Drop, Figure
from dataset_builder.report.contact_sheet import Shown, contact_sheet
from dataset_builder.running.account import Account, drops_name, joined_counts, read_records, records_name
from dataset_builder.running.config import Build
from dataset_builder.sources import Source, read_figure
from dataset_builder.stages import radiology
from dataset_builder.stages.compound import CompoundOptions
from dataset_builder.stages.image_classifier import model_in_words
from dataset_builder.stages.overrides import BY_HAND, read_overrides
from dataset_builder.stages.radiology import RadiologyOptions
from dataset_builder.stages.stage import Stage
from dataset_builder.store import Store
from rocov2_eval.shelf.files import write_text

FOLDER = "report"
_SHOWN = 24  # figures on each side


@dataclass(frozen=True, kw_only=True)
class _Near:
    """A figure near the threshold: where its record is, and what the filter gave it."""

    score: float
    shard: str
    key: str
    detail: str = ""


def sheet_path(build: Build, stage: Stage) -> Path:
    """Return where the sheet of a filter is written."""
    return build.folder / FOLDER / f"{stage.name}.html"


def model_of(stage: Stage, tables: Mapping[str, Any]) -> str:
    """Return which model a stage goes by; empty for a stage that goes by none."""
    options = tables.get(stage.name)
    if not isinstance(options, RadiologyOptions | CompoundOptions) or not options.goes_by_model:
        return ""
    return model_in_words(options.model)


def review(
    stage: Stage, before: str, accounts: Mapping[str, Account], *, build: Build, store: Store, source: Source
) -> str:
    """Write the sheet of a filter that goes by a model, and return a line on it; empty for other stages.

    Args:
        stage: The stage, which is done.
        before: Name of the stage before it.
        accounts: Its accounts, by shard.
        build: What build.toml asks for.
        store: The files of the build.
        source: Where the pictures are.
    """
    model = model_of(stage, build.tables)
    if not model:
        return ""
    sign = 1 if stage is radiology.STAGE else -1  # a figure is kept for a high score, or for a low one
    kept: list[_Near] = []
    dropped: list[_Near] = []
    settled = FigureTable(rows=read_overrides(build.tables[stage.name].overrides))
    who = f"{model} and the overrides" if settled.rows else model
    for shard in accounts:
        near = [
            _Near(score=drop.score, shard=shard, key=drop.key, detail=drop.detail)
            for drop in _drops(store, stage, shard)
            if drop.score is not None and drop.detail != BY_HAND
        ]
        dropped = heapq.nlargest(_SHOWN, [*dropped, *near], key=lambda each: (sign * each.score, each.key))
        near = []
        for figure in _figures(store, stage.name, shard):
            score = getattr(figure.scores, stage.name)
            if score is not None and settled.key_of(figure) is None:
                near.append(_Near(score=score, shard=shard, key=figure.key))
        kept = heapq.nsmallest(_SHOWN, [*kept, *near], key=lambda each: (sign * each.score, each.key))
    count = joined_counts(accounts.values())[0]  # of figures; that of panels comes after it
    taken, n_dropped = count.taken, count.taken - count.kept
    page = contact_sheet(
        stage.name,
        who[0].upper() + who[1:],
        list(_shown(dropped, store, before, source)),
        list(_shown(kept, store, stage.name, source)),
        n_dropped=n_dropped,
        taken=taken,
    )
    path = sheet_path(build, stage)
    write_text(path, page)
    share = f" ({share_text(n_dropped / taken)})" if taken else ""
    return (
        f"{stage.name}: {who} dropped {n_dropped:,} of {taken:,} {count.unit}{share}; check {path}, "
        f"which shows the figures nearest to the threshold, and correct wrong decisions by overrides"
    )


def _shown(near: Sequence[_Near], store: Store, stage: str, source: Source) -> Iterator[Shown]:
    """Yield the figures with their pictures, in order; `stage` is the one that has their records."""
    figures = {
        figure.key: figure
        for shard in sorted({each.shard for each in near})
        for figure in _figures(store, stage, shard)
    }
    for each in near:
        figure = figures[each.key]
        yield Shown(
            pmcid=figure.pmcid,
            file=figure.file,
            score=each.score,
            detail=each.detail,
            content=read_figure(source, figure),
        )


def _drops(store: Store, stage: Stage, shard: str) -> Iterator[Drop]:
    for drop in read_records(store, drops_name(stage.name, shard), Drop):
        assert isinstance(drop, Drop), "the file holds nothing else"
        yield drop


def _figures(store: Store, stage: str, shard: str) -> Iterator[Figure]:
    for figure in read_records(store, records_name(stage, shard), Figure):
        assert isinstance(figure, Figure), "the file holds nothing else"
        yield figure
