"""One stage over one shard: what an executor sends to its workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dataset_builder.earlier import Earlier, read_earlier
from dataset_builder.pmc.opening import open_source
from dataset_builder.record_lines import from_lines
from dataset_builder.records import Figure, StageCount
from dataset_builder.running import manifest
from dataset_builder.running.balance import tallies
from dataset_builder.running.config import Build
from dataset_builder.running.manifest import Done
from dataset_builder.sources import Source
from dataset_builder.stages import STAGES
from dataset_builder.stages.stage import Context, Progress, Stage
from dataset_builder.store import Store, open_store
from rocov2_eval.errors import MissingResource, RocoError, is_disk_full


@dataclass(frozen=True, kw_only=True)
class Task:
    """One stage over one shard, as it is sent to a worker.

    Attributes:
        stage: Name of the stage.
        shard: Name of the shard.
        sources: The shards of the stage before whose records go in.
        before: Name of the stage before.
        build: The build.
        fingerprint: Of records, options and code.
        workers: How many run at once: they share the rate at which a service is asked.
        counts: What the stages before took and dropped.
        provenance: How the records were made, for a stage that sees all of them.
    """

    stage: str
    shard: str
    sources: tuple[str, ...]
    before: str
    build: Build
    fingerprint: str
    workers: int
    counts: tuple[StageCount, ...]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A shard that could not be done.

    Attributes:
        shard: Its name.
        error: What a user is told.
    """

    shard: str
    error: RocoError


def work_on(task: Task) -> tuple[str, Done | Failure]:
    """Run one stage over one shard and return the shard with what it came to: for an executor to map."""
    return task.shard, work(task, lambda _done, _total: None)


def work(task: Task, progress: Progress) -> Done | Failure:
    """Run one stage over one shard and write what comes of it, telling how far it is."""
    stage = next(stage for stage in STAGES if stage.name == task.stage)
    try:
        return _work(stage, task, progress)
    except RocoError as error:
        return Failure(shard=task.shard, error=error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        advice = ": make room" if is_disk_full(error) else ""
        message = f"{place}{error.strerror or error}{advice}"
        return Failure(shard=task.shard, error=MissingResource(message))


def source_of(build: Build, workers: int) -> Source:
    """Return the source of a build, opened once a process."""
    options = build.tables["source"]
    if options.path:
        options = replace(options, path=str(build.folder / options.path))
    return _opened(options, workers, build.work)


def _work(stage: Stage, task: Task, progress: Progress) -> Done:
    store = open_store(task.build.work)
    records = [record for shard in task.sources for record in _records(store, task.before, shard, stage)]
    if stage.scope == "all":
        records.sort(key=_in_order)
    result = stage.run(records, _context(stage, task, store, progress))
    counted = tallies(stage, records, result)
    written = manifest.write_shard(store, stage.name, task.shard, result.kept, result.drops)
    done = Done(
        fingerprint=task.fingerprint,
        tallies=counted,
        records=written[0],
        drops=written[1],
        content=written[2],
        products=tuple(result.products),
    )
    manifest.write_done(store, stage.name, task.shard, done)
    return done


def _records(store: Store, before: str, shard: str, stage: Stage) -> list[Any]:
    name = manifest.records_name(before, shard)
    content = store.read(name)
    if content is None:
        raise MissingResource(f"{name} is gone")
    return from_lines(content, stage.takes, name)


def _in_order(figure: Figure) -> tuple[int, int, int, str]:
    """Return what figures are sorted by: the place in the article, and articles by number."""
    return int(figure.pmcid.removeprefix("PMC")), figure.number, figure.graphic.index, figure.graphic.name


def _context(stage: Stage, task: Task, store: Store, progress: Progress) -> Context:
    build = task.build
    return Context(
        tables={name: build.tables[name] for name in stage.tables},
        open_source=lambda: source_of(build, task.workers),
        store=store,
        out=build.out,
        earlier=read_earlier(build.earlier) if stage.scope == "all" and build.earlier else Earlier(),
        counts=task.counts,
        provenance=task.provenance,
        progress=progress,
    )


@lru_cache(maxsize=2)
def _opened(options: Any, workers: int, work: str) -> Source:  # noqa: ANN401  hashable options of the source
    return open_source(options, open_store(work), workers=workers)
