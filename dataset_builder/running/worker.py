"""One stage over one shard: what a pool sends to its workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from dataset_builder.earlier import Earlier, read_earlier
from dataset_builder.opening import SourceOptions, open_source
from dataset_builder.panels import split_name
from dataset_builder.record_lines import from_lines
from dataset_builder.records import PANELS, Drop, Figure, StageCount
from dataset_builder.running.account import Account, by_frequency, records_name, write_shard
from dataset_builder.running.config import Build
from dataset_builder.running.plan import ShardTask
from dataset_builder.sources import Source
from dataset_builder.stages import STAGES
from dataset_builder.stages.stage import Context, Result, Stage
from dataset_builder.store import Store, open_store
from rocov2_eval.errors import MissingResource, RocoError, is_disk_full
from rocov2_eval.shelf.progress import Progress, silent


def work(task: ShardTask, progress: Progress = silent) -> tuple[str, Account | RocoError]:
    """Run one stage over one shard, write what comes of it, and return the shard with its account.

    An error is returned, not raised, so that the other shards of the stage go on.
    """
    try:
        return task.shard, _run_stage(task, progress)
    except RocoError as error:
        return task.shard, error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        advice = ": make room" if is_disk_full(error) else ""
        message = f"{place}{error.strerror or error}{advice}"
        return task.shard, MissingResource(message)


def source_of(build: Build, workers: int) -> Source:
    """Return the source of a build, opened once a process."""
    options = build.tables["source"]
    if options.path:
        options = msgspec.structs.replace(options, path=str(build.folder / options.path))
    return _opened(options, workers, build.work)


def counts_of(
    stage: Stage, records: Sequence[Any], result: Result, *, is_own: bool = False
) -> tuple[StageCount, ...]:
    """Count what a stage did: whatever goes in comes out or is dropped, by name.

    Args:
        stage: The stage.
        records: What went in.
        result: What it made of it.
        is_own: Whether the source is a table of the user's own images, not articles.

    Raises:
        AssertionError: It lost something or made something up, which is a bug of the stage.
    """
    taken = Counter(record.key for record in records)
    whole, part = ("groups", "images") if is_own else ("articles", "figures")
    title = stage.title_of(is_own=is_own)
    if stage.takes is stage.gives or stage.gives is not Figure:
        panels = [item for item in result.kept if stage.splits and item.key not in taken]
        split = {split_name(item.key)[0] for item in panels}
        kept = [item.key for item in result.kept if item.key in taken or not stage.splits]
        _require_balance(stage, taken, [*kept, *split, *(item.key for item in result.drops)])
        unit = part if stage.gives is Figure else whole
        counts = (_count(stage.name, title, unit, len(kept) + len(split), result.drops),)
        return (*counts, _count(stage.name, title, PANELS, len(panels), ())) if panels else counts
    # Articles go in and figures come out: an article is opened or dropped as a whole.
    unopened = [drop for drop in result.drops if "/" not in drop.key]
    parts = [drop for drop in result.drops if "/" in drop.key]
    opened = {figure.pmcid for figure in result.kept} | {drop.key.partition("/")[0] for drop in parts}
    _require_balance(stage, taken, [*opened, *(drop.key for drop in unopened)])
    return (
        _count(stage.name, title, whole, len(opened), unopened),
        _count(stage.name, title, part, len(result.kept), parts),
    )


def _run_stage(task: ShardTask, progress: Progress) -> Account:
    stage = next(stage for stage in STAGES if stage.name == task.stage)
    store = open_store(task.build.work)
    records = [record for shard in task.sources for record in _records(store, task.before, shard, stage)]
    if stage.scope == "all":
        records.sort(key=lambda figure: figure.place)
    result = stage.run(records, _context(stage, task, store, progress))
    return write_shard(
        store,
        stage.name,
        task.shard,
        fingerprint=task.fingerprint,
        counts=counts_of(stage, records, result, is_own=task.build.is_own),
        result=result,
    )


def _records(store: Store, before: str, shard: str, stage: Stage) -> list[Any]:
    name = records_name(before, shard)
    content = store.read(name)
    if content is None:
        raise MissingResource(f"{name} is gone; run again")
    return from_lines(content, stage.takes, name)


def _context(stage: Stage, task: ShardTask, store: Store, progress: Progress) -> Context:
    build = task.build
    return Context(
        tables={name: build.tables[name] for name in stage.tables},
        open_source=lambda: source_of(build, task.workers),
        store=store,
        out=build.out,
        earlier=read_earlier(build.earlier) if stage.scope == "all" and build.earlier else Earlier(),
        counts=task.counts,
        statements=tuple(_statements(build, task.counts)),
        provenance=task.provenance,
        progress=progress,
    )


def _statements(build: Build, counts: Sequence[StageCount]) -> Iterator[str]:
    """Yield what the stages that are done say of themselves."""
    by_stage = {count.stage: count for count in counts if count.unit in ("figures", "images")}
    for stage in STAGES:
        if stage.says is not None and stage.name in by_stage:
            yield stage.says({name: build.tables[name] for name in stage.tables}, by_stage[stage.name])


@lru_cache(maxsize=2)
def _opened(options: SourceOptions, workers: int, work_folder: str) -> Source:
    return open_source(options, open_store(work_folder), workers=workers)


def _count(stage: str, title: str, unit: str, kept: int, drops: Sequence[Drop]) -> StageCount:
    return StageCount(
        stage=stage,
        title=title,
        unit=unit,
        taken=kept + len(drops),
        kept=kept,
        dropped=by_frequency(Counter(drop.reason for drop in drops)),
    )


def _require_balance(stage: Stage, taken: Counter[str], keys: Sequence[str]) -> None:
    out = Counter(keys)
    lost, invented = taken - out, out - taken
    if lost or invented:
        (key, *_) = [*lost, *invented]
        raise AssertionError(
            f"stage {stage.name}: {lost.total()} inputs were neither kept nor dropped, "
            f"{invented.total()} outputs have no input, such as {key}"
        )
