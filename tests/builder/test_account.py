from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dataset_builder.record_lines import to_lines
from dataset_builder.records import Drop, StageCount
from dataset_builder.running import account
from dataset_builder.running.account import Account
from dataset_builder.stages.stage import Product, Result
from dataset_builder.store import FolderStore

COUNT = StageCount(stage="a", title="", unit="figures", taken=4, kept=2, dropped=(("r", 2),))
DROPS = [Drop(stage="a", key=str(i), reason="r") for i in range(4)]


def done(store: FolderStore, *, products: tuple[Product, ...] = ()) -> Account:
    return account.write_shard(
        store,
        "a",
        "0",
        fingerprint="f",
        counts=(COUNT,),
        result=Result(kept=DROPS[:2], drops=DROPS[2:], products=products),
    )


def test_what_is_done_is_current(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert done(store) == account.current_account(store, "a", "0", "f")


def test_another_fingerprint_is_not_current(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    done(store)

    assert account.current_account(store, "a", "0", "g") is None


@pytest.mark.parametrize("name", ["0.jsonl", "0.drops.jsonl"])
@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_a_file_that_was_harmed_is_not_current(tmp_path: Path, name: str, harm: str) -> None:
    store = FolderStore(tmp_path)
    done(store)
    path = tmp_path / "stages/a" / name
    path.write_bytes(path.read_bytes()[:-1]) if harm == "changed" else path.unlink()

    assert account.current_account(store, "a", "0", "f") is None


def test_a_product_that_was_changed_is_not_current(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    product = tmp_path / "SHA256SUMS"
    product.write_text("1")
    done(store, products=(Product(path=str(product), size=1, sha256=account.sha256(b"1")),))
    assert account.current_account(store, "a", "0", "f") is not None

    product.write_text("2")

    assert account.current_account(store, "a", "0", "f") is None


@given(st.permutations(range(4)), st.integers(0, 4))
def test_the_digest_of_content_is_the_same_in_any_order_and_any_shards(order: list[int], cut: int) -> None:
    ordered = to_lines(DROPS)
    mixed = [DROPS[i] for i in order]
    parts = [account.content_digest(to_lines(mixed[:cut])), account.content_digest(to_lines(mixed[cut:]))]

    assert account.content_digest(ordered) == account.joined_content(parts)


def test_the_digest_of_content_tells_a_repeated_record() -> None:
    assert account.content_digest(to_lines(DROPS)) != account.content_digest(to_lines([*DROPS, DROPS[0]]))


def test_counts_of_shards_add_up_with_the_most_frequent_reason_first(tmp_path: Path) -> None:
    first = done(FolderStore(tmp_path))
    second = replace(first, counts=(structs.replace(COUNT, taken=5, kept=1, dropped=(("q", 4),)),))

    (count,) = account.joined_counts([first, second])

    assert (count.taken, count.kept, count.dropped) == (9, 3, (("q", 4), ("r", 2)))
