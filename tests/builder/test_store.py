from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from dataset_builder.store import FolderStore, Store, open_store
from rocov2_eval.errors import UsageFault


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        pytest.importorskip("fsspec")
        return open_store(f"memory://{uuid.uuid4().hex}/work")
    return open_store(str(tmp_path / "work"))


def test_what_was_written_is_read(store: Store) -> None:
    store.write("a/b.jsonl", b"1")
    store.write("a/b.jsonl", b"2")

    assert store.read("a/b.jsonl") == b"2"


def test_a_file_that_is_not_there_is_none(store: Store) -> None:
    assert store.read("a/b") is None


def test_names_are_those_below_the_folder_in_order(store: Store) -> None:
    for name in ("a/z", "a/b/c", "b/d"):
        store.write(name, b"")

    assert list(store.names("a")) == ["a/b/c", "a/z"]


def test_a_folder_that_is_not_there_has_no_names(store: Store) -> None:
    assert list(store.names("nowhere")) == []


def test_a_removed_file_is_gone_and_may_be_removed_again(store: Store) -> None:
    store.write("a", b"1")

    store.remove("a")
    store.remove("a")

    assert store.read("a") is None


def test_a_name_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out of the store"):
        FolderStore(tmp_path).write("../a", b"")


def test_a_half_written_file_of_a_killed_run_has_no_name(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("a/b", b"1")
    (tmp_path / "a" / ".b.tmp").write_bytes(b"half")

    assert list(store.names("a")) == ["a/b"]


def test_a_file_address_is_a_folder(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}").write("a", b"1")

    assert (tmp_path / "a").read_bytes() == b"1"


def test_an_address_that_nobody_knows_is_told() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(UsageFault, match="nowhere://"):
        open_store("nowhere://a/b")
