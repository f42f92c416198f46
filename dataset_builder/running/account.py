"""The account of one stage over one shard: what it made, and the digests that tell whether it would again.

stages/<stage>/<shard>.jsonl         records that go on
stages/<stage>/<shard>.drops.jsonl   what was left out, with reasons
stages/<stage>/<shard>.done.json     the account, written last: until it is there, the shard is not done
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from dataset_builder.record_lines import from_lines, to_lines
from dataset_builder.records import StageCount
from dataset_builder.stages.stage import Product, Result
from dataset_builder.store import Store
from rocov2_eval.shelf.files import file_digest

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class Account:
    """What one stage made of one shard.

    Attributes:
        fingerprint: Digest of all that decides what the stage makes of the shard.
        counts: What went in, on and out, one for each unit.
        records: SHA-256 of the file of records.
        drops: SHA-256 of the file of drops.
        content: Digest of the records whatever their order and shards.
        products: Files that the stage wrote outside the store.
    """

    fingerprint: str
    counts: tuple[StageCount, ...]
    records: str
    drops: str
    content: str
    products: tuple[Product, ...] = ()


def records_name(stage: str, shard: str) -> str:
    """Return the name of the records of a shard."""
    return f"stages/{stage}/{shard}.jsonl"


def drops_name(stage: str, shard: str) -> str:
    """Return the name of the drops of a shard."""
    return f"stages/{stage}/{shard}.drops.jsonl"


def account_name(stage: str, shard: str) -> str:
    """Return the name of the account of a shard."""
    return f"stages/{stage}/{shard}.done.json"


def write_shard(
    store: Store, stage: str, shard: str, *, fingerprint: str, counts: tuple[StageCount, ...], result: Result
) -> Account:
    """Write what a stage made of a shard; the account comes last, because it says that the shard is done."""
    records, drops = to_lines(result.kept), to_lines(result.drops)
    store.write(records_name(stage, shard), records)
    store.write(drops_name(stage, shard), drops)
    account = Account(
        fingerprint=fingerprint,
        counts=counts,
        records=sha256(records),
        drops=sha256(drops),
        content=content_digest(records),
        products=tuple(result.products),
    )
    store.write(account_name(stage, shard), to_lines([account]))
    return account


def current_account(store: Store, stage: str, shard: str, fingerprint: str) -> Account | None:
    """Return the account of a shard if running it again would make what is there, byte for byte."""
    name = account_name(stage, shard)
    content = store.read(name)
    if content is None:
        return None
    (account,) = from_lines(content, Account, name)
    written = {records_name(stage, shard): account.records, drops_name(stage, shard): account.drops}
    is_current = (
        account.fingerprint == fingerprint
        and all(_has(store, name, digest) for name, digest in written.items())
        and all(map(_is_there, account.products))
    )
    return account if is_current else None


def read_records(store: Store, name: str, kind: type[Record]) -> list[Record]:
    """Return the records or drops in a file of the store, none if there is no such file."""
    return from_lines(store.read(name) or b"", kind, name)


def joined_counts(accounts: Iterable[Account]) -> tuple[StageCount, ...]:
    """Return what a stage took and dropped over all shards, one for each unit."""
    by_unit: dict[str, list[StageCount]] = {}
    for count in (count for account in accounts for count in account.counts):
        by_unit.setdefault(count.unit, []).append(count)
    return tuple(map(_joined, by_unit.values()))


def by_frequency(reasons: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return reasons with their numbers, the most frequent first."""
    return tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def sha256(content: bytes | bytearray) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def json_digest(parts: object) -> str:
    """Return the SHA-256 of what JSON can hold."""
    return sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode())


def content_digest(lines: bytes) -> str:
    """Return a digest of lines that does not depend on their order: the sum of their SHA-256."""
    return joined_content(sha256(line) for line in lines.splitlines())


def joined_content(digests: Iterable[str]) -> str:
    """Return the digest of all lines from those of some of them."""
    return f"{sum(int(digest, 16) for digest in digests) % (1 << 256):064x}"


def _has(store: Store, name: str, digest: str) -> bool:
    content = store.read(name)
    return content is not None and sha256(content) == digest


def _is_there(product: Product) -> bool:
    path = Path(product.path)
    if not path.is_file() or path.stat().st_size != product.size:
        return False
    return not product.sha256 or file_digest(path) == product.sha256


def _joined(counts: Sequence[StageCount]) -> StageCount:
    dropped: Counter[str] = Counter()
    for count in counts:
        dropped.update(dict(count.dropped))
    return structs.replace(
        counts[0],
        taken=sum(count.taken for count in counts),
        kept=sum(count.kept for count in counts),
        dropped=by_frequency(dropped),
    )
