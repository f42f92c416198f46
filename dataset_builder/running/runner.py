"""Run the stages of a build over their shards, and only those that are not done.

A stage is done for a shard when the account of it carries the digest of the records that went in, of the
options, of the code and of what the source would read: everything else is run again. Records are trusted by
their digest, the files of the finished dataset by their size.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataset_builder.pmc.s3_source import forget_answers
from dataset_builder.record_lines import from_lines
from dataset_builder.records import Drop, Figure, StageCount
from dataset_builder.running import manifest
from dataset_builder.running.config import Build
from dataset_builder.running.executors import Executor
from dataset_builder.running.manifest import Done
from dataset_builder.running.plan import PLAN, remove_strangers, shard_of, write_plan
from dataset_builder.running.worker import Failure, Task, source_of, work, work_on
from dataset_builder.stages import STAGES, radiology
from dataset_builder.stages.package import GATES, SALT
from dataset_builder.stages.stage import Candidate, Stage
from dataset_builder.store import FolderStore, Store, open_store
from rocov2_eval.errors import MissingResource, RejectedInput, RocoError, UsageFault
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.options import options_digest

ALL = "all"  # the one shard of a stage that sees all records together
_SALT_BYTES = 32
_LEAST_SALT_BYTES = 16

Report = Callable[[Stage, int, int], None]


@dataclass(frozen=True, kw_only=True)
class StageState:
    """How far a stage is.

    Attributes:
        stage: The stage.
        done: Names of the shards that would not be run again.
        shards: Shards in all; None where it is not known before the stage before is done.
        counts: What the shards that are done took and dropped.
    """

    stage: Stage
    done: tuple[str, ...]
    shards: int | None
    counts: tuple[StageCount, ...]


def run_build(
    build: Build, executor: Executor, report: Report, *, last: str | None = None, refresh: bool = False
) -> None:
    """Run what is not done of the stages, up to a last one.

    Args:
        build: What is asked for.
        executor: Open executor.
        report: Called with a stage and how many of its shards, or of its images, are done.
        last: Name of the last stage to run, None for all.
        refresh: Ask the service anew which versions of the articles are the newest and which were retracted.

    Raises:
        RocoError: Something is wrong with what the build reads; the shards that could be done are done.
        MissingResource: Another run is at work on this build.
    """
    store = open_store(build.work)
    stages = _stages_up_to(last)
    history = _History(build, stages)
    with _alone(store):
        if refresh:
            forget_answers(store)
            forget(build, STAGES[0].name)
        _require_salt(store)
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
    is_known = bool(shards)
    history = _History(build, STAGES, lenient=True)
    for stage in STAGES:
        if not is_known:
            yield StageState(stage=stage, done=(), shards=None, counts=())
            continue
        tasks = history.tasks(stage, shards, store)
        found = {
            task.shard: manifest.is_current(store, stage.name, task.shard, task.fingerprint) for task in tasks
        }
        dones = {shard: done for shard, done in found.items() if done is not None}
        counts = manifest.stage_counts(stage.name, stage.title, dones.values())
        yield StageState(stage=stage, done=tuple(dones), shards=len(tasks), counts=counts)
        is_known = len(dones) == len(tasks)
        shards = history.add(stage, tasks, list(dones.values())) if is_known else shards


def drops_of_build(build: Build) -> Iterator[Drop]:
    """Yield what the stages have left out so far, in their order; nothing of another configuration."""
    store = open_store(build.work)
    for state in state_of_build(build):
        for shard in state.done:
            name = manifest.drops_name(state.stage.name, shard)
            yield from from_lines(store.read(name) or b"", Drop, name)


def figures_of_build(build: Build) -> Iterator[tuple[str, Figure]]:
    """Yield each figure that is still in, with the name of the last stage that it has passed."""
    store = open_store(build.work)
    seen: set[str] = set()
    for state in reversed(list(state_of_build(build))):
        if state.stage.gives is not Figure:
            return
        for shard in state.done:
            name = manifest.records_name(state.stage.name, shard)
            for figure in from_lines(store.read(name) or b"", Figure, name):
                if figure.key not in seen:
                    seen.add(figure.key)
                    yield state.stage.name, figure


def radiology_figures(build: Build) -> list[Figure]:
    """Return the figures that are radiology images, whatever later stages made of them, in order of key."""
    store = open_store(build.work)
    state = next(state for state in state_of_build(build) if state.stage.name == radiology.STAGE.name)
    names = [manifest.records_name(radiology.STAGE.name, shard) for shard in state.done]
    found = [figure for name in names for figure in from_lines(store.read(name) or b"", Figure, name)]
    return sorted(found, key=lambda figure: figure.key)


def gates_of_build(build: Build) -> list[dict[str, Any]]:
    """Return what the quality gates came to when the dataset was last written, one object a gate."""
    content = open_store(build.work).read(GATES) or b""
    return [json.loads(line) for line in content.splitlines()]


class _History:
    """What is known of the stages that are done: counts, provenance, and what went into each.

    Whatever in the options of the stages cannot work is found when it is made, before anything is fetched;
    a lenient one takes it for a stage that is not done.
    """

    def __init__(self, build: Build, stages: Sequence[Stage], *, lenient: bool = False) -> None:
        self._build = build
        self._options = {stage.name: _digests(stage, build, lenient=lenient) for stage in stages}
        self._states: dict[str, str] = {}
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
        if "source" in stage.tables:
            parts.append([self._state(shard, store) for shard in sources])
        if stage.scope == "all":
            earlier = self._build.earlier
            parts += [
                [list(count.dropped) for count in self._counts],
                file_digest(earlier) if earlier else None,
                str(self._build.out),
                manifest.sha256(store.read(SALT) or b""),
            ]
        return manifest.joined_digest(parts)

    def _state(self, shard: str, store: Store) -> str:
        """Return what the source says of the files of the articles of a shard, of all articles for `ALL`."""
        if shard not in self._states:
            names = [manifest.records_name(PLAN, shard)] if shard != ALL else store.names(f"stages/{PLAN}")
            lines = b"".join(store.read(name) or b"" for name in names)
            pmcids = [candidate.pmcid for candidate in from_lines(lines, Candidate, f"stages/{PLAN}")]
            self._states[shard] = source_of(self._build, 1).state(pmcids)
        return self._states[shard]

    def _input(self, shard: str, store: Store) -> str:
        """Return the digest of the records of a shard that go in."""
        if self._before == PLAN:
            return manifest.sha256(store.read(manifest.records_name(PLAN, shard)) or b"")
        return self._records[shard]


def _stages_up_to(last: str | None) -> tuple[Stage, ...]:
    names = [stage.name for stage in STAGES]
    return STAGES if last is None else STAGES[: names.index(last) + 1]


def _digests(stage: Stage, build: Build, *, lenient: bool) -> dict[str, str]:
    """Return the digest of every table and of every other file that a stage reads."""
    try:
        digests = {name: options_digest(build.tables[name]) for name in stage.tables}
        inputs = stage.inputs({name: build.tables[name] for name in stage.tables})
        return digests | {path.name: file_digest(path) for path in inputs}
    except RocoError as error:
        if lenient:
            return {"cannot work": str(error)}
        raise


def _require_salt(store: Store) -> None:
    """Make the secret that the order of the held-out images comes from, readable for its owner alone."""
    salt = store.read(SALT)
    if salt is None:
        store.write(SALT, secrets.token_bytes(_SALT_BYTES))
        if isinstance(store, FolderStore):
            store.path(SALT).chmod(0o600)
    elif len(salt) < _LEAST_SALT_BYTES:
        raise RejectedInput(
            f"{SALT} in the work folder has {len(salt)} bytes, expected {_LEAST_SALT_BYTES} or more; "
            f"remove it to have another one made"
        )


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
