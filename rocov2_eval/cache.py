"""Token embeddings kept on disk between runs, keyed by content.

One SQLite file: several processes may read and write it at once, and a process that is killed leaves at
most its last chunk unwritten. Nothing in it is precious: what is damaged is dropped and computed again, and
where the file cannot be used at all (a read-only folder, a full disk, a file system without locks) nothing is
kept.
"""

from __future__ import annotations

import errno
import hashlib
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rocov2_eval.shelf.progress import Notify
from rocov2_eval.shelf.words import counted

T = TypeVar("T")

FILE_NAME = "embeddings.sqlite3"
DEFAULT_LIMIT_BYTES = 8 * 2**30
_LAYOUT = 1  # raised when the tables change: an older file is then replaced
_BUSY_SECONDS = 120.0
_KEYS_AT_ONCE = 64  # entries in memory at a time: some megabytes
_KEPT_SHARE = 0.9  # of the limit after pruning, so that not every chunk has to prune
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    checksum INTEGER NOT NULL,
    used INTEGER NOT NULL,
    size INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used, id, size);
"""


def entry_key(*parts: bytes) -> bytes:
    """Return the key of an entry: SHA-256 over the parts, each with its length before it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class EmbeddingCache:
    """Open cache, a context manager.

    `read` and `write` may be mixed freely. Entries that no recent opening has asked for go first when the
    limit is reached.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES, notify: Notify) -> None:
        """Open or create the cache.

        Args:
            folder: Where the file lies; made if absent.
            limit_bytes: Largest sum of the contents.
            notify: Called with a sentence whenever something damaged was dropped, or nothing can be kept.
        """
        self._path = folder / FILE_NAME
        self._limit = limit_bytes
        self._notify = notify
        self._connection: sqlite3.Connection | None = None
        self._is_usable = True
        self._survive(self._open, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(
        self, keys: Sequence[bytes], fits: Callable[[int, bytes], bool] = lambda _position, _content: True
    ) -> Iterator[tuple[int, bytes]]:
        """Yield position in `keys` and content of every entry that is there and intact.

        Args:
            keys: Keys of entries.
            fits: Tells of position and content whether the content is of the shape that is expected there;
                an entry that is not is dropped like a damaged one.
        """
        nothing: Sequence[tuple[bytes, bytes]] = ()
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            chunk = keys[start : start + _KEYS_AT_ONCE]
            positions = {key: position for position, key in enumerate(chunk, start)}
            for key, content in self._survive(partial(self._read_chunk, positions, fits), nothing):
                yield positions[key], content

    def write(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Store pairs of key and content, in one transaction."""
        self._survive(partial(self._write_chunk, entries), None)

    def _read_chunk(
        self, positions: Mapping[bytes, int], fits: Callable[[int, bytes], bool]
    ) -> Sequence[tuple[bytes, bytes]]:
        marks = ",".join("?" * len(positions))
        rows = self._opened.execute(
            f"SELECT key, checksum, content FROM entries WHERE key IN ({marks})",  # noqa: S608 - only marks
            tuple(positions),
        ).fetchall()
        intact = [
            (key, content)
            for key, checksum, content in rows
            if isinstance(content, bytes)
            and _checksum(key, content) == checksum
            and fits(positions[key], content)
        ]
        damaged = {key for key, _, _ in rows} - {key for key, _ in intact}
        with self._opened:
            self._opened.executemany(
                "UPDATE entries SET used = ? WHERE key = ? AND used < ?",
                [(self._generation, key, self._generation) for key, _ in intact],
            )
            self._opened.executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in damaged])
        if damaged:
            entries = counted(len(damaged), "damaged entry", "damaged entries")
            self._notify(f"{self._path}: {entries} removed; the values are computed again")
        return intact

    def _write_chunk(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        with self._opened:
            self._opened.executemany(
                "INSERT OR REPLACE INTO entries (key, checksum, used, size, content) VALUES (?, ?, ?, ?, ?)",
                [
                    (key, _checksum(key, content), self._generation, len(content), content)
                    for key, content in entries
                ],
            )
        self._size += sum(len(content) for _, content in entries)
        if self._size > self._limit:
            self._prune()

    def _prune(self) -> None:
        self._size = self._stored_size()  # other processes write and prune as well
        excess = self._size - int(self._limit * _KEPT_SHARE)
        if self._size <= self._limit:
            return
        oldest = self._opened.execute("SELECT id, size FROM entries ORDER BY used, id")
        dropped = []
        for identifier, size in oldest:
            if excess <= 0:
                break
            dropped.append((identifier,))
            excess -= size
            self._size -= size
        oldest.close()
        with self._opened:
            self._opened.executemany("DELETE FROM entries WHERE id = ?", dropped)
        # As a script: `execute` would give back a single page.
        self._opened.executescript("PRAGMA incremental_vacuum;")

    def _stored_size(self) -> int:
        (size,) = self._opened.execute("SELECT COALESCE(SUM(size), 0) FROM entries").fetchone()
        return int(size)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _require_locks(self._path.parent)
        self._close()  # what a replacement has opened
        self._connection, self._generation = _connect(self._path)
        self._size = self._stored_size()

    @property
    def _opened(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _survive(self, action: Callable[[], T], otherwise: T) -> T:
        """Do something with the file; one that is damaged is replaced first, one of no use done without."""
        if not self._is_usable:
            return otherwise
        try:
            try:
                return action()
            except sqlite3.DatabaseError as error:
                if not _is_corruption(error):
                    raise
                self._replace()
                return action()
        except (sqlite3.Error, OSError) as error:
            self._is_usable = False
            self._close()
            reason = getattr(error, "strerror", None) or error
            self._notify(
                f"the cache {self._path} cannot be used ({reason}), so results are not stored: set "
                "ROCOV2_CACHE to another folder, or add --no-cache"
            )
            return otherwise

    def _replace(self) -> None:
        self._close()
        # Another process may have replaced the file already: a sound one is not moved.
        if not _is_sound(self._path):
            self._move_aside()
        self._open()

    def _move_aside(self) -> None:
        aside = self._path.with_name(f"{FILE_NAME}.damaged")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(f"{FILE_NAME}{suffix}").unlink(missing_ok=True)
        self._notify(
            f"the cache {self._path} is damaged: it was renamed to {aside.name}, and a new one was created"
        )


def _connect(path: Path) -> tuple[sqlite3.Connection, int]:
    """Open the file; return the connection and the number of this opening, by which use is dated."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = NORMAL")
        (layout,) = connection.execute("PRAGMA user_version").fetchone()
        if layout not in {0, _LAYOUT}:
            connection.execute("DROP TABLE IF EXISTS entries")
        connection.executescript(f"{_TABLES} PRAGMA user_version = {_LAYOUT};")
        (last,) = connection.execute("SELECT COALESCE(MAX(used), 0) FROM entries").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection, int(last) + 1


def _require_locks(folder: Path) -> None:
    """Lock a file of a moment: SQLite takes a file system without locks for one that is busy, and waits.

    Raises:
        OSError: There are no locks, or no file can be made.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place, FILE_NAME)
        path.touch()
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise OSError(errno.ENOLCK, f"files cannot be locked there: {error}") from None


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
    except sqlite3.DatabaseError as error:
        if not _is_corruption(error):
            raise
        return False


def _is_corruption(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT  # the rest says what of it is damaged


def _checksum(key: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key))
