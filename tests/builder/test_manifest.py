from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.record_lines import to_lines
from dataset_builder.records import Drop
from dataset_builder.running import manifest
from dataset_builder.running.manifest import Done, Tally
from dataset_builder.stages.stage import Product
from dataset_builder.store import FolderStore

DROPS = [Drop(stage="a", key=str(i), reason="r") for i in range(4)]


def done(store: FolderStore, *, products: tuple[Product, ...] = ()) -> Done:
    records, drops, content = manifest.write_shard(store, "a", "0", DROPS[:2], DROPS[2:])
    account = Done(
        fingerprint="f",
        tallies=(Tally(unit="figures", taken=4, kept=2, dropped=(("r", 2),)),),
        records=records,
        drops=drops,
        content=content,
        products=products,
    )
    manifest.write_done(store, "a", "0", account)
    return account


def test_what_is_done_is_current(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert done(store) == manifest.is_current(store, "a", "0", "f")


def test_another_fingerprint_is_not_current(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    done(store)

    assert manifest.is_current(store, "a", "0", "g") is None


@pytest.mark.parametrize("name", ["0.jsonl", "0.drops.jsonl"])
@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_a_file_that_was_harmed_is_not_current(tmp_path: Path, name: str, harm: str) -> None:
    store = FolderStore(tmp_path)
    done(store)
    path = tmp_path / "stages/a" / name
    path.write_bytes(path.read_bytes()[:-1]) if harm == "changed" else path.unlink()

    assert manifest.is_current(store, "a", "0", "f") is None


def test_a_product_that_was_changed_is_not_current(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    product = tmp_path / "SHA256SUMS"
    product.write_text("1")
    done(store, products=(Product(path=str(product), size=1, sha256=manifest.sha256(b"1")),))
    assert manifest.is_current(store, "a", "0", "f") is not None

    product.write_text("2")

    assert manifest.is_current(store, "a", "0", "f") is None


@given(st.permutations(range(4)), st.integers(0, 4))
def test_the_digest_of_content_is_the_same_in_any_order_and_any_shards(order: list[int], cut: int) -> None:
    ordered = to_lines(DROPS)
    mixed = [DROPS[i] for i in order]
    parts = [manifest.content_digest(to_lines(mixed[:cut])), manifest.content_digest(to_lines(mixed[cut:]))]

    assert manifest.content_digest(ordered) == manifest.joined_content(parts)


def test_the_digest_of_content_tells_a_repeated_record() -> None:
    assert manifest.content_digest(to_lines(DROPS)) != manifest.content_digest(to_lines([*DROPS, DROPS[0]]))


def test_the_digest_of_code_follows_what_a_module_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "dataset_builder_probe"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(manifest, "_PACKAGES", (folder.name,))
    (folder / "__init__.py").write_text("")
    (folder / "top.py").write_text(f"def f():\n    from {folder.name} import deep\n    return deep\n")
    (folder / "deep.py").write_text("VALUE = 1\n")
    before = manifest.code_digest(f"{folder.name}.top", ())
    manifest.code_digest.cache_clear()

    (folder / "deep.py").write_text("VALUE = 2\n")

    assert before != manifest.code_digest(f"{folder.name}.top", ())


def test_counts_of_shards_add_up_with_the_most_frequent_reason_first(tmp_path: Path) -> None:
    account = done(FolderStore(tmp_path))
    other = Done(
        fingerprint="f",
        tallies=(Tally(unit="figures", taken=5, kept=1, dropped=(("q", 4),)),),
        records="",
        drops="",
        content="0",
    )

    (count,) = manifest.stage_counts("a", "title", [account, other])

    assert (count.taken, count.kept, count.dropped) == (9, 3, (("q", 4), ("r", 2)))
