"""Scores that are known already: one SQLite file, keyed by the content of everything that went into them.

Each submission is written in a transaction of its own, so that a killed process loses at most the one it was
at, and several processes may score the same folder at once. Nothing in it is precious, but it is secret: it
holds the score of every image.

Each row has a checksum of its key and its content. It detects damage, and what somebody edited by mistake or
by hand. It does not stop an attacker: who can write the file can write a checksum that fits.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from rocov2_eval.concept_errors import ConceptErrors
from rocov2_eval.errors import MissingResource
from rocov2_eval.records import Finding, IntArray, MetricResult, SampleScores, Task
from rocov2_eval.scoring import Group, Report
from rocov2_eval.truth import Truth

FILE_NAME = "scores.sqlite3"
_OWNER = 0x526F4376  # "RoCv": by this number a store of ours is told from another program's database
_LAYOUT = 3  # raised when a row changes its meaning: older rows are then dropped
_BUSY_SECONDS = 120.0
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS scores (
    run TEXT NOT NULL,
    truth TEXT NOT NULL,
    edition TEXT NOT NULL,
    signature TEXT NOT NULL,
    document TEXT NOT NULL,
    samples BLOB,
    checksum TEXT NOT NULL,
    PRIMARY KEY (run, truth, edition, signature)
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS ranked (
    edition TEXT NOT NULL,
    team TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (edition, team, run)
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS pairs (
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    trials INTEGER NOT NULL,
    extreme INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (a, b)
) WITHOUT ROWID
""",
)


@dataclass(frozen=True, kw_only=True)
class Key:
    """Everything that decides the scores of a run.

    Attributes:
        run: SHA-256 of the bytes of its CSV file.
        truth: SHA-256 over the digests of the truth files.
        edition: Name of the edition whose rules it is scored by.
        signature: Signature of every metric, and how intervals and groups are made.
    """

    run: str
    truth: str
    edition: str
    signature: str


class _Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a report neither the key nor the truth says, but for the score of each image."""

    edition: str
    task: Task
    split: str | None
    notes: tuple[str, ...]
    metrics: dict[str, MetricResult]
    not_computed: dict[str, str]
    concept_errors: ConceptErrors | None
    breakdowns: dict[str, tuple[Group, ...]]


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the store.

    Attributes:
        place: Path by which the findings name the run.
        findings: Findings of the run and of the truth.
        result: The scores; None for a run that was rejected.
    """

    place: str
    findings: tuple[Finding, ...]
    result: _Result | None


def truth_digest(truth: Truth) -> str:
    """Return one SHA-256 for all the files of a truth, which says nothing of where they lie."""
    return hashlib.sha256("\n".join(sha256 for _, sha256 in truth.inputs).encode()).hexdigest()


class ScoreStore:
    """The open file, a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it, readable by its owner alone.

        Raises:
            MissingResource: It cannot be opened or written, or is damaged.
        """
        self._path = path
        self.damaged: list[str] = []  # places of the runs whose rows did not fit their checksums
        try:
            _ensure_file(path)
            self._connection = _connect(path)
        except OSError as error:
            raise MissingResource(
                f"{path} cannot be written ({error.strerror}): name another file with --store"
            ) from None
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def read(self, key: Key, *, place: str, truth: Truth) -> Report | tuple[Finding, ...] | None:
        """Return what is known of a run: its report, the findings that rejected it, or None.

        A row that does not fit its checksum is not known, and `damaged` names it.

        Args:
            key: What decides the scores of the run.
            place: Path that findings and report shall name: the same run may have moved.
            truth: The truth of the key.

        Raises:
            MissingResource: The file is damaged.
        """
        try:
            row = self._connection.execute(
                "SELECT CAST(document AS BLOB), CAST(samples AS BLOB), CAST(checksum AS BLOB) FROM scores "
                "WHERE run = ? AND truth = ? AND edition = ? AND signature = ?",
                astuple(key),
            ).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        if row is None:
            return None
        document, samples, checksum = row
        if document is None or _checksum(key, document, samples) != checksum:
            self.damaged.append(place)
            return None
        return _outcome(key, document, samples, place=place, truth=truth)

    def write(self, key: Key, known: Report | Sequence[Finding], *, place: str) -> None:
        """Keep the scores of a run, or the findings that rejected it.

        Args:
            key: What decides the scores of the run.
            known: The report of the run, or its findings.
            place: Path by which they name the run.

        Raises:
            MissingResource: The file cannot be written.
        """
        if isinstance(known, Report):
            values = {name: getattr(known, name) for name in _Result.__struct_fields__}
            document = _Document(place=place, findings=known.findings, result=_Result(**values))
            samples = _packed(known.samples)
        else:
            document, samples = _Document(place=place, findings=tuple(known), result=None), None
        text = json.dumps(msgspec.to_builtins(document), allow_nan=False)
        checksum = _checksum(key, text.encode(), samples).decode()
        row = (*astuple(key), text, samples, checksum)
        self._execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)", [row])

    def ranked(self, edition: str) -> frozenset[tuple[str, str]]:
        """Return team and run of everything that was ever on a board of an edition.

        Raises:
            MissingResource: The file is damaged.
        """
        try:
            rows = self._connection.execute("SELECT team, run FROM ranked WHERE edition = ?", (edition,))
            return frozenset(rows.fetchall())
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def keep_ranked(self, edition: str, names: Iterable[tuple[str, str]]) -> None:
        """Keep team and run of what is on the board.

        Raises:
            MissingResource: The file cannot be written.
        """
        self._execute("INSERT OR IGNORE INTO ranked VALUES (?, ?, ?)", [(edition, *name) for name in names])

    def known_pairs(self, names: Sequence[str]) -> tuple[IntArray, IntArray]:
        """Return the trials of each pair of runs, and how many were extreme; see `significance.PairMemory`.

        Raises:
            MissingResource: The file is damaged.
        """
        k = len(names)
        trials, extremes = np.zeros((k, k), np.int64), np.zeros((k, k), np.int64)
        statement = "SELECT b, trials, extreme, checksum FROM pairs WHERE a = ?"
        try:
            rows = {
                (a, b): values
                for a in dict.fromkeys(names)
                for b, *values in self._connection.execute(statement, (a,))
            }
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        for i, j in combinations(range(k), 2):
            pair = (min(names[i], names[j]), max(names[i], names[j]))
            drawn, extreme, checksum = rows.get(pair, (0, 0, ""))
            if checksum == _pair_checksum(*pair, drawn, extreme):
                trials[i, j], extremes[i, j] = drawn, extreme
        return trials, extremes

    def keep_pairs(self, names: Sequence[str], trials: IntArray, extremes: IntArray) -> None:
        """Keep the trials of pairs of runs; 0 trials are none.

        Raises:
            MissingResource: The file cannot be written.
        """
        rows = []
        for i, j in np.argwhere(np.triu(trials, 1) > 0):
            row = (*sorted((names[i], names[j])), int(trials[i, j]), int(extremes[i, j]))
            rows.append((*row, _pair_checksum(*row)))
        self._execute("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?, ?, ?)", rows)

    def _execute(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Change several rows in one transaction."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> MissingResource:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:  # perhaps a precious file that was named by mistake
            return MissingResource(f"{self._path} is no store of scores: name another file with --store")
        remedy = (
            "mend that"
            if code not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, None}
            else "delete it: its runs are scored again"
        )
        return MissingResource(
            f"{self._path} cannot be used ({error}): {remedy}, or name another file with --store"
        )


def _checksum(key: Key, document: bytes, samples: bytes | None) -> bytes:
    digest = hashlib.sha256()
    for part in (*map(str.encode, astuple(key)), document, b"" if samples is None else samples):
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest().encode()


def _pair_checksum(*row: object) -> str:
    return hashlib.sha256(repr(row).encode()).hexdigest()


def _outcome(
    key: Key, document: bytes, samples: bytes | None, *, place: str, truth: Truth
) -> Report | tuple[Finding, ...]:
    """Return what a row holds; its checksum fits, so that it is as this program wrote it."""
    row = msgspec.convert(json.loads(document), _Document)
    findings = tuple(replace(item, path=place) if item.path == row.place else item for item in row.findings)
    if row.result is None:
        return findings
    assert samples is not None, "a report has scores"
    scores = _unpacked(samples)
    return Report(
        run=(place, key.run),
        truth=truth.inputs,
        samples={name: scores[name] for name in row.result.metrics},
        image_ids=truth.table.image_ids,
        findings=findings,
        **msgspec.structs.asdict(row.result),
    )


def _packed(samples: Mapping[str, SampleScores]) -> bytes:
    buffer = io.BytesIO()
    arrays = {name: np.where(scores.scored, scores.values, np.nan) for name, scores in samples.items()}
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options
    return buffer.getvalue()


def _unpacked(content: bytes) -> dict[str, SampleScores]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: _scores(arrays[name]) for name in arrays.files}


def _scores(values: Any) -> SampleScores:  # noqa: ANN401  an array out of a file
    scored = ~np.isnan(values)
    return SampleScores(values=np.where(scored, values, 0.0), scored=scored)


def _ensure_file(path: Path) -> None:
    """Make a file that its owner alone can read, if there is none; a link is refused."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    # Between the look and the opening the system keeps watch, where it can.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file and see that its table is there, in one transaction: others may open it at the same time.

    Raises:
        MissingResource: It is the database of another program.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        _require_ours(connection, path)
        (layout,) = connection.execute("PRAGMA user_version").fetchone()
        if layout not in {0, _LAYOUT}:
            connection.execute("DROP TABLE IF EXISTS scores")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_OWNER}")
        connection.execute(f"PRAGMA user_version = {_LAYOUT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != _OWNER and tables:
        raise MissingResource(f"{path} is no store of scores: name another file with --store")
