"""Cut the articles of a source into shards.

The PMCID of an article decides its shard, so that a list that grows changes few of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from dataset_builder.record_lines import to_lines
from dataset_builder.running import manifest
from dataset_builder.stages.stage import Candidate
from dataset_builder.store import Store

PLAN = "plan"  # stands where the stage before the first would
_ARTICLES_A_SHARD = 200


def write_plan(pmcids: Sequence[str], shards_wanted: int, store: Store) -> tuple[str, ...]:
    """Write the candidates of each shard, where they changed, and return the names of the shards.

    Args:
        pmcids: All candidates.
        shards_wanted: Number of shards; 0 for one in some 200 articles.
        store: Where the build keeps its files.
    """
    n = shards_wanted or _power_of_two(len(pmcids) / _ARTICLES_A_SHARD)
    shards: dict[str, list[Candidate]] = {f"{i:05d}-of-{n:05d}": [] for i in range(n)}
    names = tuple(shards)
    for pmcid in pmcids:
        shards[names[zlib.crc32(pmcid.encode()) % n]].append(Candidate(pmcid=pmcid))
    remove_strangers(store, PLAN, names)
    for shard, candidates in shards.items():
        name = manifest.records_name(PLAN, shard)
        lines = to_lines(candidates)
        if store.read(name) != lines:
            store.write(name, lines)
    return names


def remove_strangers(store: Store, stage: str, shards: Iterable[str]) -> None:
    """Remove the files of shards that are no more: whoever counts must not count them."""
    known = set(shards)
    for name in list(store.names(f"stages/{stage}")):
        if shard_of(name) not in known:
            store.remove(name)


def shard_of(name: str) -> str:
    """Return the shard that a file of a stage belongs to."""
    return name.rpartition("/")[2].split(".")[0]


def _power_of_two(least: float) -> int:
    """Return the smallest power of two that is not less: a list that grows a little keeps its shards."""
    n = 1
    while n < least:
        n *= 2
    return n
