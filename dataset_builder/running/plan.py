"""What is to be done: articles into shards, and for each stage one task a shard, with its fingerprint.

The PMCID of an article decides its shard, so that a list that grows changes few of them. The fingerprint of a
task holds everything that decides its result: revision and libraries of the stage, options with the files
they name, the records that go in, and what the source says of the files of their articles. The source text of
this program is not in it: whoever changes what a stage makes raises its revision.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from dataset_builder.record_lines import from_lines, to_lines
from dataset_builder.records import Entry, Media, StageCount
from dataset_builder.running.account import (
    Account,
    current_account,
    joined_content,
    joined_counts,
    json_digest,
    records_name,
    sha256,
)
from dataset_builder.running.config import Build
from dataset_builder.sources import Source
from dataset_builder.stages.package import SALT
from dataset_builder.stages.stage import Candidate, Stage
from dataset_builder.store import Store
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.options import options_digest

_CONTENTS = "contents"  # what was in the files of the articles of each shard, where somebody asked
PLAN = "plan"  # stands where the stage before the first would
ALL = "all"  # the one shard of a stage that sees all records together
_ARTICLES_A_SHARD = 200


@dataclass(frozen=True, kw_only=True)
class Past:
    """What the stages so far came to: the next one depends on nothing else that ran before it.

    Attributes:
        stage: Name of the last stage; PLAN where none has run.
        records: Digest of its records, by shard.
        states: Digest of what the source says of the files of the articles, by shard of the plan.
        counts: What each stage took and dropped.
        provenance: How each stage made its records: goes into the manifest of the dataset.
    """

    stage: str
    records: Mapping[str, str]
    states: Mapping[str, str]
    counts: tuple[StageCount, ...] = ()
    provenance: Mapping[str, Any]

    def after(self, stage: Stage, accounts: Mapping[str, Account], options: Mapping[str, str]) -> Past:
        """Return what is past when one more stage is done, with its accounts by shard."""
        made = {
            "records": joined_content(account.content for account in accounts.values()),
            "options": dict(options),
            "revision": stage.revision,
            "libraries": library_versions(stage),
        }
        return replace(
            self,
            stage=stage.name,
            records={shard: account.records for shard, account in accounts.items()},
            counts=self.counts + joined_counts(accounts.values()),
            provenance={**self.provenance, stage.name: made},
        )


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """One stage over one shard, as it is sent to a worker.

    Attributes:
        stage: Name of the stage.
        shard: Name of the shard.
        sources: Shards of the stage before whose records go in.
        before: Name of the stage before.
        build: What build.toml asks for.
        fingerprint: Digest of all that decides the result.
        workers: Number of tasks at once, which share the rate at which a service is asked.
        counts: What the stages before took and dropped, for a stage that sees all records.
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


def plan_shards(build: Build, store: Store, source: Source, *, rehash: bool = False) -> Past:
    """Write the candidates of each shard, where they changed, and return the past of the first stage.

    The candidates of a shard are kept as the bytes of its file: as objects, those of all PMC would not fit.

    Args:
        build: What build.toml asks for.
        store: The files of the build.
        source: Where the articles come from.
        rehash: Read every file of the source, and remember the digest of what is in them: from then on it is
            part of what the source says.

    Raises:
        RejectedInput: The source has no candidate.
    """
    total = sum(1 for _ in source.candidates())
    if not total:
        raise RejectedInput(f"{build.path} [source]: no article found")
    n = build.shards or _power_of_two(total / _ARTICLES_A_SHARD)
    lines = [bytearray() for _ in range(n)]
    for pmcid in source.candidates():
        lines[zlib.crc32(pmcid.encode()) % n] += to_lines((Candidate(pmcid=pmcid),))
    shards = {f"{i:05d}-of-{n:05d}": content for i, content in enumerate(lines)}
    remove_strangers(store, PLAN, shards)
    for shard, content in shards.items():
        name, plain = records_name(PLAN, shard), bytes(content)
        if store.read(name) != plain:
            store.write(name, plain)
    remove_strangers(store, _CONTENTS, shards)
    if rehash:
        for shard, content in shards.items():
            changes = source.state(_pmcids(content, shard)) != ""
            digest = _contents(source, _pmcids(content, shard)) if changes else ""
            store.write(f"stages/{_CONTENTS}/{shard}.txt", digest.encode())
    return _past_of_plan(shards.items(), source, store)


def read_plan(store: Store, open_source: Callable[[], Source]) -> Past | None:
    """Return the past of the first stage as the last run planned it, None where nothing was planned."""
    names = [name for name in store.names(f"stages/{PLAN}") if name.endswith(".jsonl")]
    if not names:
        return None
    return _past_of_plan(((_shard_of(name), store.read(name) or b"") for name in names), open_source(), store)


def tasks_of(
    stage: Stage, past: Past, build: Build, options: Mapping[str, str], *, store: Store, workers: int = 1
) -> tuple[ShardTask, ...]:
    """Return the tasks of the stage that comes next.

    Args:
        stage: The stage whose tasks are wanted.
        past: What the stages before it came to.
        build: What build.toml asks for.
        options: Digests of the options of the stage, see `option_digests`.
        store: The files of the build.
        workers: Number of tasks that run at once.
    """
    sees_all = stage.scope == "all"
    groups = {ALL: tuple(past.records)} if sees_all else {shard: (shard,) for shard in past.records}
    common = [stage.name, stage.revision, library_versions(stage), dict(options)]
    whole = _whole(past, build, store) if sees_all else []
    return tuple(
        ShardTask(
            stage=stage.name,
            shard=shard,
            sources=sources,
            before=past.stage,
            build=build,
            fingerprint=json_digest(
                [
                    common,
                    [past.records[source] for source in sources],
                    _states(past, shard) if "source" in stage.tables else [],
                    whole,
                ]
            ),
            workers=workers,
            counts=past.counts if sees_all else (),
            provenance=past.provenance if sees_all else {},
        )
        for shard, sources in groups.items()
    )


def accounts_of(tasks: Iterable[ShardTask], store: Store) -> dict[str, Account]:
    """Return the accounts of the tasks that are done, by shard."""
    accounts = {
        task.shard: current_account(store, task.stage, task.shard, task.fingerprint) for task in tasks
    }
    return {shard: account for shard, account in accounts.items() if account is not None}


def option_digests(stage: Stage, build: Build) -> dict[str, str]:
    """Return the digest of every table and of every other file that a stage reads.

    Raises:
        RocoError: Something in the options cannot work.
    """
    tables = {name: build.tables[name] for name in stage.tables}
    digests = {name: _digest(name, options, build) for name, options in tables.items()}
    return digests | {path.name: file_digest(path) for path in stage.inputs(tables)}


def _digest(name: str, options: object, build: Build) -> str:
    try:
        return options_digest(options)
    except MissingResource as error:
        advice = "put it there, or name another one"
        raise MissingResource(f"{build.path} [{name}]: {error}; {advice}") from None


def library_versions(stage: Stage) -> dict[str, str]:
    """Return the versions of the libraries that can move the result of a stage."""
    return {name: _version(name) for name in stage.libraries}


def remove_strangers(store: Store, stage: str, shards: Iterable[str]) -> None:
    """Remove the files of shards that are no more: whoever counts must not count them."""
    known = set(shards)
    for name in list(store.names(f"stages/{stage}")):
        if _shard_of(name) not in known:
            store.remove(name)


def _past_of_plan(shards: Iterable[tuple[str, bytes | bytearray]], source: Source, store: Store) -> Past:
    """Return the past of the first stage from the candidates of each shard, as lines."""
    records, states = {}, {}
    for shard, content in shards:
        records[shard] = sha256(content)
        read = store.read(f"stages/{_CONTENTS}/{shard}.txt") or b""
        states[shard] = source.state(_pmcids(content, shard)) + read.decode("ascii", "replace")
    return Past(stage=PLAN, records=records, states=states, provenance={})


def _contents(source: Source, pmcids: Iterable[str]) -> str:
    """Return the digest of all that a source has of articles, byte for byte."""
    facts = hashlib.sha256()
    for pmcid in pmcids:
        entry = source.entry(pmcid)
        facts.update(msgspec.json.encode(entry))
        if isinstance(entry, Entry):
            files = (entry.xml, *entry.media, *(figure.media for figure in entry.figures))
            for media in dict.fromkeys(file for file in files if file is not None):
                facts.update(_digest_of(source, media).encode())
    return facts.hexdigest()


def _digest_of(source: Source, media: Media) -> str:
    """Return the digest of a file of a source, or why it cannot be read: a stage that needs it says so."""
    try:
        return sha256(source.read(media) or b"")
    except RejectedInput as error:
        return str(error)


def _pmcids(content: bytes | bytearray, shard: str) -> Iterator[str]:
    """Yield the PMCIDs of lines, which are not even read for a source that asks for none."""
    yield from (each.pmcid for each in from_lines(bytes(content), Candidate, records_name(PLAN, shard)))


def _whole(past: Past, build: Build, store: Store) -> list[object]:
    """Return what a stage that sees all records depends on besides them."""
    return [
        [[count.stage, count.unit, list(count.dropped)] for count in past.counts],
        past.provenance,
        file_digest(build.earlier) if build.earlier else None,
        str(build.out),
        sha256(store.read(SALT) or b""),
    ]


def _states(past: Past, shard: str) -> list[str]:
    return list(past.states.values()) if shard == ALL else [past.states[shard]]


def _version(library: str) -> str:
    """Return the version of a library; one that a build does without may be absent."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _shard_of(name: str) -> str:
    """Return the shard that a file of a stage belongs to."""
    return name.rpartition("/")[2].split(".")[0]


def _power_of_two(least: float) -> int:
    """Return the smallest power of two that is not less: a list that grows a little keeps its shards."""
    n = 1
    while n < least:
        n *= 2
    return n
