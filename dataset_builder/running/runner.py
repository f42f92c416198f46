"""Run the stages of a build over their shards, and only those that are not done.

A stage is done for a shard when the account of it carries the digest of the records that went in, of the
options and of the code: everything else is run again. Nothing that was written is trusted without its digest.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataset_builder.option_tables import file_digest, options_digest
from dataset_builder.record_lines import from_lines
from dataset_builder.records import Drop, Figure, StageCount
from dataset_builder.running import manifest
from dataset_builder.running.config import Build
from dataset_builder.running.executors import Executor
from dataset_builder.running.manifest import Done
from dataset_builder.running.plan import PLAN, remove_strangers, shard_of, write_plan
from dataset_builder.running.worker import Failure, Task, source_of, work, work_on
from dataset_builder.stages import STAGES
from dataset_builder.stages.package import GATES, SALT
from dataset_builder.stages.stage import Stage
from dataset_builder.store import FolderStore, Store, open_store
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault

ALL = "all"  # the one shard of a stage that sees all records together
_SALT_BYTES = 32

Report = Callable[[Stage, int, int], None]


@dataclass(frozen=True, kw_only=True)
class StageState:
    """How far a stage is.

    Attributes:
        stage: The stage.
        done: Shards that would not be run again.
        shards: Shards in all; None where it is not known before the stage before is done.
        counts: What the shards that are done took and dropped.
    """

    stage: Stage
    done: int
    shards: int | None
    counts: tuple[StageCount, ...]


def run_build(build: Build, executor: Executor, report: Report, *, last: str | None = None) -> None:
    """Run what is not done of the stages, up to a last one.

    Args:
        build: What is asked for.
        executor: Open executor.
        report: Called with a stage and how many of its shards, or of its images, are done.
        last: Name of the last stage to run, None for all.

    Raises:
        RocoError: Something is wrong with what the build reads; the shards that could be done are done.
        MissingResource: Another run is at work on this build.
    """
    store = open_store(build.work)
    stages = _stages_up_to(last)
    history = _History(build, stages)
    with _alone(store):
        if store.read(SALT) is None:
            store.write(SALT, secrets.token_bytes(_SALT_BYTES))
        pmcids = source_of(build, executor.workers).candidates()
        if not pmcids:
            raise RejectedInput(f"{build.path} [source]: there is no article")
        shards = write_plan(pmcids, build.shards, store)
        for stage in stages:
            tasks = history.tasks(stage, shards, store, executor.workers)
            shards = history.add(stage, tasks, _run_stage(stage, tasks, store, executor, report))


def forget(build: Build, stage: str) -> None:
    """Forget that a stage is done."""
    store = open_store(build.work)
    for name in list(store.names(f"stages/{stage}")):
        if name.endswith(".done.json"):
            store.remove(name)


def state_of_build(build: Build) -> Iterator[StageState]:
    """Yield how far each stage is, without running anything or asking the source."""
    store = open_store(build.work)
    names = store.names(f"stages/{PLAN}")
    shards = tuple(shard_of(name) for name in names if name.endswith(".jsonl"))
    history = _History(build, STAGES)
    is_known = bool(shards)
    for stage in STAGES:
        if not is_known:
            yield StageState(stage=stage, done=0, shards=None, counts=())
            continue
        tasks = history.tasks(stage, shards, store)
        found = [manifest.is_current(store, stage.name, task.shard, task.fingerprint) for task in tasks]
        dones = [done for done in found if done is not None]
        counts = manifest.stage_counts(stage.name, stage.title, dones)
        yield StageState(stage=stage, done=len(dones), shards=len(tasks), counts=counts)
        is_known = len(dones) == len(tasks)
        shards = history.add(stage, tasks, dones) if is_known else shards


def drops_of_build(build: Build) -> Iterator[Drop]:
    """Yield what the stages have left out so far, in their order."""
    store = open_store(build.work)
    for stage in STAGES:
        for name in store.names(f"stages/{stage.name}"):
            if name.endswith(".drops.jsonl"):
                yield from from_lines(store.read(name) or b"", Drop, name)


def figures_of_build(build: Build) -> Iterator[tuple[str, Figure]]:
    """Yield each figure that is still in, with the name of the last stage that it has passed."""
    store = open_store(build.work)
    seen: set[str] = set()
    for stage in reversed(STAGES):
        if stage.gives is not Figure:
            return
        for name in store.names(f"stages/{stage.name}"):
            if name.endswith(".jsonl") and not name.endswith(".drops.jsonl"):
                for figure in from_lines(store.read(name) or b"", Figure, name):
                    if figure.key not in seen:
                        seen.add(figure.key)
                        yield stage.name, figure


def gates_of_build(build: Build) -> list[dict[str, Any]]:
    """Return what the quality gates came to when the dataset was last written, one object a gate."""
    content = open_store(build.work).read(GATES) or b""
    return [json.loads(line) for line in content.splitlines()]


class _History:
    """What is known of the stages that are done: counts, provenance, and what went into each.

    Whatever in the options of the stages cannot work is found when it is made, before anything is fetched.
    """

    def __init__(self, build: Build, stages: Sequence[Stage]) -> None:
        self._build = build
        self._options = {stage.name: _digests(stage, build) for stage in stages}
        self._before = PLAN
        self._records: dict[str, str] = {}
        self._counts: tuple[StageCount, ...] = ()
        self._provenance: dict[str, Any] = {}

    def tasks(self, stage: Stage, shards: Sequence[str], store: Store, workers: int = 1) -> list[Task]:
        """Return the tasks of the next stage."""
        options = self._options[stage.name]
        code = manifest.code_digest(stage.module, stage.libraries)
        groups = {ALL: tuple(shards)} if stage.scope == "all" else {shard: (shard,) for shard in shards}
        return [
            Task(
                stage=stage.name,
                shard=shard,
                sources=sources,
                before=self._before,
                build=self._build,
                fingerprint=self._fingerprint(stage, sources, options, code, store),
                workers=workers,
                counts=self._counts if stage.scope == "all" else (),
                provenance=self._provenance if stage.scope == "all" else {},
            )
            for shard, sources in groups.items()
        ]

    def add(self, stage: Stage, tasks: Sequence[Task], dones: Sequence[Done]) -> tuple[str, ...]:
        """Note that a stage is done; return its shards."""
        shards = tuple(task.shard for task in tasks)
        self._records = dict(zip(shards, (done.records for done in dones), strict=True))
        self._before = stage.name
        self._counts += manifest.stage_counts(stage.name, stage.title, dones)
        self._provenance[stage.name] = manifest.provenance(
            manifest.joined_content(done.content for done in dones),
            self._options[stage.name],
            manifest.code_digest(stage.module, stage.libraries),
        )
        return shards

    def _fingerprint(
        self, stage: Stage, sources: Sequence[str], options: Mapping[str, str], code: str, store: Store
    ) -> str:
        parts: list[object] = [stage.name, options, code, [self._input(shard, store) for shard in sources]]
        if stage.scope == "all":
            earlier = self._build.earlier
            parts += [
                [list(count.dropped) for count in self._counts],
                file_digest(earlier) if earlier else None,
                str(self._build.out),
            ]
        return manifest.joined_digest(parts)

    def _input(self, shard: str, store: Store) -> str:
        """Return the digest of the records of a shard that go in."""
        if self._before == PLAN:
            return manifest.sha256(store.read(manifest.records_name(PLAN, shard)) or b"")
        return self._records[shard]


def _stages_up_to(last: str | None) -> tuple[Stage, ...]:
    names = [stage.name for stage in STAGES]
    return STAGES if last is None else STAGES[: names.index(last) + 1]


def _digests(stage: Stage, build: Build) -> dict[str, str]:
    """Return the digest of every table and of every other file that a stage reads."""
    digests = {name: options_digest(build.tables[name]) for name in stage.tables}
    inputs = stage.inputs({name: build.tables[name] for name in stage.tables})
    return digests | {path.name: file_digest(path) for path in inputs}


def _run_stage(
    stage: Stage, tasks: Sequence[Task], store: Store, executor: Executor, report: Report
) -> list[Done]:
    """Run the tasks of a stage that are not done; return what all of them came to, in their order."""
    remove_strangers(store, stage.name, [task.shard for task in tasks])
    dones = {
        task.shard: manifest.is_current(store, stage.name, task.shard, task.fingerprint) for task in tasks
    }
    waiting = [task for task in tasks if dones[task.shard] is None]
    finished = len(tasks) - len(waiting)
    report(stage, finished, len(tasks))
    failures: list[Failure] = []
    for shard, outcome in _outcomes(stage, waiting, executor, report):
        if isinstance(outcome, Failure):
            failures.append(outcome)
            continue
        dones[shard] = outcome
        finished += 1
        report(stage, finished, len(tasks))
    if failures:
        _raise_first(stage, failures, len(tasks))
    return [done for done in dones.values() if done is not None]


def _outcomes(
    stage: Stage, tasks: Sequence[Task], executor: Executor, report: Report
) -> Iterator[tuple[str, Done | Failure]]:
    """Yield what tasks come to, with their shards; a single one is done here, and tells how far it is."""
    if len(tasks) == 1:
        yield tasks[0].shard, work(tasks[0], lambda done, total: report(stage, done, total))
        return
    yield from executor.map(work_on, tasks)


def _raise_first(stage: Stage, failures: Sequence[Failure], shards: int) -> None:
    """Raise the first error with where it happened; what could be done is done."""
    first = min(failures, key=lambda failure: failure.shard)
    more = f" ({len(failures)} of {shards} shards stopped)" if shards > 1 else ""
    text = f"stage {stage.name}: {first.error}{more}"
    if isinstance(first.error, MissingResource):
        raise MissingResource(f"{text}; run again to go on from here")
    if isinstance(first.error, UsageFault):
        raise UsageFault(text)
    findings = first.error.findings if isinstance(first.error, RejectedInput) else ()
    raise RejectedInput(text, findings)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Refuse to run while another run is at work in the same folder; the lock goes with its process."""
    if not isinstance(store, FolderStore):
        yield
        return
    import fcntl

    store.folder.mkdir(parents=True, exist_ok=True)
    with (store.folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MissingResource(f"{store.folder}: another run is at work on this build") from None
        yield
