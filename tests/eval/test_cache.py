"""The embedding cache: what goes in comes out, whatever happens to the file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rocov2_eval.cache import FILE_NAME, EmbeddingCache, entry_key

KEYS = [entry_key(bytes([number])) for number in range(200)]


def open_cache(folder: Path, notify: Callable[[str], None] = pytest.fail, **limits: int) -> EmbeddingCache:
    return EmbeddingCache(folder, notify=notify, **limits)


def write(folder: Path, entries: list[tuple[bytes, bytes]], **limits: int) -> None:
    with open_cache(folder, **limits) as cache:
        cache.write(entries)


def test_what_was_written_is_read_in_a_later_run(tmp_path: Path) -> None:
    write(tmp_path, [(KEYS[0], b"zero"), (KEYS[1], b"one")])
    with open_cache(tmp_path) as cache:
        assert sorted(cache.read([KEYS[1], KEYS[7], KEYS[0]])) == [(0, b"one"), (2, b"zero")]


def test_more_keys_than_fit_a_query_are_all_found(tmp_path: Path) -> None:
    write(tmp_path, [(key, key) for key in KEYS])
    with open_cache(tmp_path) as cache:
        assert dict(cache.read(KEYS)) == dict(enumerate(KEYS))


def test_a_key_depends_on_where_its_parts_are_cut() -> None:
    assert entry_key(b"ab", b"c") != entry_key(b"a", b"bc")


def test_a_damaged_entry_is_dropped_and_told(tmp_path: Path) -> None:
    write(tmp_path, [(KEYS[0], b"good"), (KEYS[1], b"right")])
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE entries SET content = ? WHERE key = ?", (b"wrong", KEYS[1]))
    told: list[str] = []
    with open_cache(tmp_path, told.append) as cache:
        assert list(cache.read(KEYS[:2])) == [(0, b"good")]
    assert [message.partition(": ")[2] for message in told] == [
        "1 damaged entry removed; the values are computed again"
    ]
    with open_cache(tmp_path) as cache:
        assert list(cache.read(KEYS[:2])) == [(0, b"good")]


def test_an_entry_of_another_shape_than_expected_counts_as_damaged(tmp_path: Path) -> None:
    write(tmp_path, [(KEYS[0], b"four"), (KEYS[1], b"fives")])
    told: list[str] = []
    with open_cache(tmp_path, told.append) as cache:
        assert list(cache.read(KEYS[:2], lambda _, content: len(content) == 4)) == [(0, b"four")]
        assert list(cache.read(KEYS[:2])) == [(0, b"four")]
    assert [message.partition(": ")[2] for message in told] == [
        "1 damaged entry removed; the values are computed again"
    ]


def test_an_entry_under_a_foreign_key_counts_as_damaged(tmp_path: Path) -> None:
    write(tmp_path, [(KEYS[0], b"good")])
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE entries SET key = ?", (KEYS[1],))
    with open_cache(tmp_path, lambda _: None) as cache:
        assert list(cache.read(KEYS[:2])) == []


def test_a_file_that_is_no_database_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all" * 100)
    told: list[str] = []
    with open_cache(tmp_path, told.append) as cache:
        cache.write([(KEYS[0], b"zero")])
        assert list(cache.read(KEYS[:1])) == [(0, b"zero")]
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes().startswith(b"not a database")
    assert len(told) == 1


def test_a_file_damaged_in_the_middle_is_replaced_when_it_shows(tmp_path: Path) -> None:
    write(tmp_path, [(key, key * 100) for key in KEYS])
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    told: list[str] = []
    with open_cache(tmp_path, told.append) as cache:
        found = dict(cache.read(KEYS))
        cache.write([(key, key * 100) for key in KEYS])
        assert len(dict(cache.read(KEYS))) == len(KEYS)
    assert all(content == KEYS[position] * 100 for position, content in found.items())
    assert any("damaged" in message for message in told)


def test_a_file_of_an_unknown_layout_is_emptied(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript("CREATE TABLE entries (other); PRAGMA user_version = 99;")
    write(tmp_path, [(KEYS[0], b"zero")])


def test_the_least_recently_used_entries_go_first(tmp_path: Path) -> None:
    write(tmp_path, [(key, bytes(100)) for key in KEYS[:10]])
    with open_cache(tmp_path) as cache:
        list(cache.read(KEYS[:5]))
    with open_cache(tmp_path, limit_bytes=1000) as cache:
        cache.write([(KEYS[10], bytes(100)), (KEYS[11], bytes(100))])
        kept = {position for position, _ in cache.read(KEYS[:12])}
    assert kept == {0, 1, 2, 3, 4, 8, 9, 10, 11}


def test_the_contents_never_exceed_the_limit(tmp_path: Path) -> None:
    with open_cache(tmp_path, limit_bytes=2000) as cache:
        for key in KEYS:
            cache.write([(key, bytes(100))])
            assert sum(len(content) for _, content in cache.read(KEYS)) <= 2000


def test_the_file_shrinks_when_the_limit_does(tmp_path: Path) -> None:
    write(tmp_path, [(key, bytes(20_000)) for key in KEYS])
    write(tmp_path, [(KEYS[0], b"")], limit_bytes=100_000)
    assert (tmp_path / FILE_NAME).stat().st_size < 1_000_000


WRITER = """
import sys
from pathlib import Path
from rocov2_eval.cache import EmbeddingCache, entry_key
with EmbeddingCache(Path(sys.argv[1]), notify=sys.exit) as cache:
    for number in range(int(sys.argv[2]), 200, 2):
        key = entry_key(bytes([number]))
        cache.write([(key, key * 50), (entry_key(b"shared"), b"same")])
        assert dict(cache.read([key])) == {0: key * 50}
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(first)]) for first in (0, 1)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    with open_cache(tmp_path) as cache:
        assert dict(cache.read(KEYS)) == {position: key * 50 for position, key in enumerate(KEYS)}


KILLED = """
import os, signal, sys
from pathlib import Path
from rocov2_eval.cache import EmbeddingCache, entry_key
cache = EmbeddingCache(Path(sys.argv[1]), notify=sys.exit)
cache.write([(entry_key(bytes([0])), b"kept")])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_what_a_killed_process_had_written_is_kept(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -9
    with open_cache(tmp_path) as cache:
        assert list(cache.read(KEYS[:1])) == [(0, b"kept")]


def in_the_way(folder: Path) -> Path:
    (folder / "file").write_text("", encoding="utf-8")
    return folder / "file" / "cache"


def of_another_layout(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.executescript("CREATE TABLE entries (other); PRAGMA user_version = 1;")
    return folder


def a_folder(folder: Path) -> Path:
    (folder / FILE_NAME).mkdir()
    return folder


@pytest.mark.parametrize("spoil", [in_the_way, of_another_layout, a_folder])
def test_a_cache_that_cannot_be_used_is_told_once_and_done_without(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    told: list[str] = []
    with open_cache(spoil(tmp_path), told.append) as cache:
        for _ in range(2):
            cache.write([(KEYS[0], b"zero")])
            assert list(cache.read(KEYS[:1])) == []
    (message,) = told
    assert "results are not stored: set ROCOV2_CACHE to another folder" in message


def test_a_cache_that_another_process_keeps_locked_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [(KEYS[0], b"zero")])
    monkeypatch.setattr("rocov2_eval.cache._BUSY_SECONDS", 0.02)
    told: list[str] = []
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other, open_cache(tmp_path, told.append) as cache:
        other.execute("BEGIN IMMEDIATE")
        cache.write([(KEYS[1], b"one")])
        assert list(cache.read(KEYS[:2])) == []
    assert "database is locked" in told[0]
    with open_cache(tmp_path) as cache:
        assert list(cache.read(KEYS[:2])) == [(0, b"zero")]
