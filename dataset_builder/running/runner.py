"""Run the stages of a build one after the other: plan a stage, see what is done, run the rest, record it.

A stage is done for a shard when the account of it carries the fingerprint of the task: everything else is run
again. Records are trusted by their digest, the files of the finished dataset by their size.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NoReturn

from dataset_builder.pmc.s3_source import forget_answers
from dataset_builder.running.account import Account
from dataset_builder.running.config import Build
from dataset_builder.running.filter_review import model_of, review, sheet_path
from dataset_builder.running.plan import (
    Past,
    ShardTask,
    accounts_of,
    option_digests,
    plan_shards,
    remove_strangers,
    tasks_of,
)
from dataset_builder.running.ray_pool import RayPool
from dataset_builder.running.table_matches import match_tables
from dataset_builder.running.worker import source_of, work
from dataset_builder.stages import STAGES
from dataset_builder.stages.package import SALT
from dataset_builder.stages.stage import Stage
from dataset_builder.store import FolderStore, Store, open_store
from rocov2_eval.errors import MissingResource, RejectedInput, RocoError, UsageFault
from rocov2_eval.shelf.locks import locked
from rocov2_eval.shelf.processes import Pool

_SALT_BYTES = 32
_LEAST_SALT_BYTES = 16

# Takes a stage, how much of it is done, and how much there is.
StageProgress = Callable[[Stage, int, int], None]


def run_build(
    build: Build,
    pool: Pool | RayPool,
    progress: StageProgress,
    *,
    until: str | None = None,
    again: bool = False,
    refresh: bool = False,
    rehash: bool = False,
    tell: Callable[[str], None] = lambda _line: None,
) -> None:
    """Run what is not done of the stages.

    Args:
        build: What build.toml asks for.
        pool: Open pool of workers.
        progress: Called with a stage and how many of its shards, or of its images, are done.
        until: Name of the last stage to run, None for all.
        again: Run the last stage again even where it is done.
        refresh: Ask the service anew which versions of the articles are the newest and which were retracted.
        rehash: Read the files of the source to see which have changed, and not their sizes and times alone.
        tell: Called with a line on each image filter that went by a model.

    Raises:
        RocoError: Something is wrong with what the build reads; the shards that could be done are done.
        MissingResource: Another run is at work on this build.
    """
    store = open_store(build.work)
    stages = STAGES[: [stage.name for stage in STAGES].index(until or STAGES[-1].name) + 1]
    options = {stage.name: option_digests(stage, build) for stage in stages}  # before anything is fetched
    with _alone(store):
        if refresh:
            forget_answers(store)
            _forget(store, stages[0])
        if again:
            _forget(store, stages[-1])
        past = _plan(build, store, pool.workers, rehash=rehash)
        for stage in stages:
            digests = options[stage.name]
            tasks = tasks_of(stage, past, build, digests, store=store, workers=pool.workers)
            remove_strangers(store, stage.name, [task.shard for task in tasks])
            done = accounts_of(tasks, store)
            lacking = [task for task in tasks if task.shard not in done]
            if lacking:
                match_tables(stage, past, build, store)
            done |= _run(stage, lacking, len(tasks), pool, progress)
            has_sheet = not model_of(stage, build.tables) or sheet_path(build, stage).is_file()
            if lacking or not has_sheet:
                source = source_of(build, pool.workers)
                line = review(stage, past.stage, done, build=build, store=store, source=source)
                if line:
                    tell(line)
            past = past.after(stage, {task.shard: done[task.shard] for task in tasks}, digests)


def _plan(build: Build, store: Store, workers: int, *, rehash: bool) -> Past:
    """Cut the articles into shards; make the secret of the build, where there is none."""
    _ensure_salt(store)
    source = source_of(build, workers)
    return plan_shards(build, store, source, rehash=rehash)


def _run(
    stage: Stage, tasks: Sequence[ShardTask], shards: int, pool: Pool | RayPool, progress: StageProgress
) -> dict[str, Account]:
    """Run tasks of a stage and return their accounts; if some fail, the others are done first."""
    progress(stage, shards - len(tasks), shards)
    accounts: dict[str, Account] = {}
    errors: dict[str, RocoError] = {}
    # A single task is done here, where it can say how far it is.
    alone = (work(task, partial(progress, stage)) for task in tasks)
    for shard, outcome in alone if len(tasks) == 1 else pool.map(work, tasks):
        if isinstance(outcome, RocoError):
            errors[shard] = outcome
        else:
            accounts[shard] = outcome
            progress(stage, shards - len(tasks) + len(accounts), shards)
    if errors:
        _raise_first(stage, errors, shards)
    return accounts


def _raise_first(stage: Stage, errors: Mapping[str, RocoError], shards: int) -> NoReturn:
    """Raise the error of the first shard with where it happened; what could be done is done."""
    error = errors[min(errors)]
    more = f" ({len(errors)} of {shards} shards stopped)" if shards > 1 else ""
    text = f"stage {stage.name}: {error}{more}"
    if isinstance(error, MissingResource):
        raise MissingResource(f"{text}; run again to continue")
    if isinstance(error, UsageFault):
        raise UsageFault(text)
    raise RejectedInput(text, error.findings if isinstance(error, RejectedInput) else ())


def _forget(store: Store, stage: Stage) -> None:
    """Forget that a stage is done."""
    for name in list(store.names(f"stages/{stage.name}")):
        if name.endswith(".done.json"):
            store.remove(name)


def _ensure_salt(store: Store) -> None:
    """Make the secret that the order of the held-out images comes from, readable for its owner alone."""
    salt = store.read(SALT)
    if salt is None:
        store.write(SALT, secrets.token_bytes(_SALT_BYTES))
        if isinstance(store, FolderStore):
            store.path(SALT).chmod(0o600)
    elif len(salt) < _LEAST_SALT_BYTES:
        raise RejectedInput(
            f"{SALT} in the work folder has {len(salt)} bytes, expected {_LEAST_SALT_BYTES} or more; "
            f"remove it to create a new one"
        )


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Refuse to run while another run is at work in the same folder; the lock goes with its process."""
    if not isinstance(store, FolderStore):
        yield
        return
    store.folder.mkdir(parents=True, exist_ok=True)
    lock = store.folder / ".lock"
    lock.touch()
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError:
            raise MissingResource(f"{store.folder}: another run uses this build") from None
        yield
