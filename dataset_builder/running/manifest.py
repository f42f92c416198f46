"""What a stage made of a shard, and digests that tell whether it would make the same again.

stages/<stage>/<shard>.jsonl         records that go on
stages/<stage>/<shard>.drops.jsonl   what was left out, with reasons
stages/<stage>/<shard>.done.json     written last: until it is there, the shard counts as not done
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dataset_builder.record_lines import from_lines, to_lines
from dataset_builder.records import Drop, StageCount
from dataset_builder.stages.stage import Product
from dataset_builder.store import Store
from rocov2_eval.shelf.files import file_digest

_PACKAGES = ("dataset_builder", "rocov2_eval")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many things of one unit went in, on and out.

    Attributes:
        unit: Such as `articles`.
        taken: Things that went in.
        kept: Things that went on.
        dropped: Number by reason.
    """

    unit: str
    taken: int
    kept: int
    dropped: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Done:
    """The account of one stage over one shard.

    Attributes:
        fingerprint: Digest of the records that went in, the options and the code.
        tallies: One for each unit.
        records: SHA-256 of the file of records.
        drops: SHA-256 of the file of drops.
        content: Digest of the records whatever their order and shards.
        products: What was written outside the store.
    """

    fingerprint: str
    tallies: tuple[Tally, ...]
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


def done_name(stage: str, shard: str) -> str:
    """Return the name of the account of a shard."""
    return f"stages/{stage}/{shard}.done.json"


def read_done(store: Store, stage: str, shard: str) -> Done | None:
    """Return the account of a shard, None if there is none."""
    name = done_name(stage, shard)
    content = store.read(name)
    if content is None:
        return None
    (done,) = from_lines(content, Done, name)
    return done


def write_shard(
    store: Store, stage: str, shard: str, records: Iterable[object], drops: Iterable[Drop]
) -> tuple[str, str, str]:
    """Write records and drops; return the digests of both and that of the records whatever their order."""
    lines, lost = to_lines(records), to_lines(drops)
    store.write(records_name(stage, shard), lines)
    store.write(drops_name(stage, shard), lost)
    return sha256(lines), sha256(lost), content_digest(lines)


def write_done(store: Store, stage: str, shard: str, done: Done) -> None:
    """Write the account of a shard: it is done now."""
    store.write(done_name(stage, shard), to_lines([done]))


def is_current(store: Store, stage: str, shard: str, fingerprint: str) -> Done | None:
    """Return the account of a shard if running it again would make what is there, byte for byte."""
    done = read_done(store, stage, shard)
    if done is None or done.fingerprint != fingerprint:
        return None
    written = {records_name(stage, shard): done.records, drops_name(stage, shard): done.drops}
    for name, digest in written.items():
        content = store.read(name)
        if content is None or sha256(content) != digest:
            return None
    for product in done.products:
        path = Path(product.path)
        if not path.is_file() or path.stat().st_size != product.size:
            return None
        if product.sha256 and file_digest(path) != product.sha256:
            return None
    return done


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def content_digest(lines: bytes) -> str:
    """Return a digest of lines that does not depend on their order: the sum of their SHA-256."""
    return _hex(sum(int.from_bytes(hashlib.sha256(line).digest()) for line in lines.splitlines()))


def joined_content(digests: Iterable[str]) -> str:
    """Return the digest of all lines from those of some of them."""
    return _hex(sum(int(digest, 16) for digest in digests))


def joined_digest(parts: object) -> str:
    """Return the SHA-256 of what JSON can hold."""
    return sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode())


@lru_cache(maxsize=64)
def code_digest(module: str, libraries: Sequence[str]) -> str:
    """Return the SHA-256 of a module of ours, of all ours that it imports, and of the libraries' versions."""
    sources = {name: sha256(_source(name)) for name in _reached(module)}
    versions = {name: _version(name) for name in libraries}
    return joined_digest([sources, versions])


def stage_counts(stage: str, title: str, dones: Iterable[Done]) -> tuple[StageCount, ...]:
    """Return what a stage took and dropped over all shards, one for each unit."""
    taken: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    dropped: dict[str, Counter[str]] = {}
    for done in dones:
        for tally in done.tallies:
            taken[tally.unit] += tally.taken
            kept[tally.unit] += tally.kept
            dropped.setdefault(tally.unit, Counter()).update(dict(tally.dropped))
    return tuple(
        StageCount(
            stage=stage,
            title=title,
            unit=unit,
            taken=taken[unit],
            kept=kept[unit],
            dropped=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        )
        for unit, reasons in dropped.items()
    )


def provenance(content: str, options: Mapping[str, str], code: str) -> dict[str, object]:
    """Return what the manifest of the dataset says of how a stage was made."""
    return {"records": content, "options": dict(options), "code": code}


def _hex(number: int) -> str:
    return f"{number % (1 << 256):064x}"


def _version(library: str) -> str:
    """Return the version of a library; one that a build does without may be absent."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _reached(module: str) -> Iterator[str]:
    """Yield a module of ours and all ours that it imports, at its top or inside functions."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += _imports(name)
    yield from sorted(seen)


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _PACKAGES:
            yield node.module or ""
            # `from package import module` names a module too.
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if _is_module(name))


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package: the name is a function's
        return False


def _source(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} is imported by us"
    assert spec.origin is not None, f"{module} is a file"
    return Path(spec.origin).read_bytes()
