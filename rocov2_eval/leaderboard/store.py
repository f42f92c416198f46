"""Scores that are known already: one SQLite file, keyed by the content of everything that went into them.

Each submission is written in a transaction of its own, so that a killed process loses at most the one it was
at, and several processes may score the same folder at once. Nothing in it is precious, but it is secret: it
holds the score of every image.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from rocov2_eval.concept_errors import ConceptErrors
from rocov2_eval.errors import MissingResource
from rocov2_eval.records import Finding, MetricResult, SampleScores, Task
from rocov2_eval.scoring import Group, Report
from rocov2_eval.shelf.parsing import json_of
from rocov2_eval.truth import Truth

FILE_NAME = "scores.sqlite3"
_OWNER = 0x526F4376  # "RoCv": by this number a store of ours is told from another program's database
_LAYOUT = 2  # raised when a row changes its meaning: older rows are then dropped
_BUSY_SECONDS = 120.0
_UNREADABLE = (
    msgspec.MsgspecError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    zlib.error,
    zipfile.BadZipFile,
)
_TABLE = """
CREATE TABLE IF NOT EXISTS scores (
    run TEXT NOT NULL,
    truth TEXT NOT NULL,
    edition TEXT NOT NULL,
    signature TEXT NOT NULL,
    document TEXT NOT NULL,
    samples BLOB,
    PRIMARY KEY (run, truth, edition, signature)
) WITHOUT ROWID;
"""


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
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
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

        Args:
            key: What decides the scores of the run.
            place: Path that findings and report shall name: the same run may have moved.
            truth: The truth of the key.

        Raises:
            MissingResource: The file is damaged.
        """
        try:
            row = self._connection.execute(
                "SELECT document, samples FROM scores "
                "WHERE run = ? AND truth = ? AND edition = ? AND signature = ?",
                (key.run, key.truth, key.edition, key.signature),
            ).fetchone()
            if row is None:
                return None
            document = msgspec.convert(json_of(row[0]), _Document)
            findings = tuple(
                replace(item, path=place) if item.path == document.place else item
                for item in document.findings
            )
            if document.result is None:
                return findings
            samples = _unpacked(row[1])
            return Report(
                run=(place, key.run),
                truth=truth.inputs,
                samples={name: samples[name] for name in document.result.metrics},
                image_ids=truth.table.image_ids,
                findings=findings,
                **msgspec.structs.asdict(document.result),
            )
        except (sqlite3.DatabaseError, msgspec.ValidationError, *_UNREADABLE) as error:
            raise self._unusable(error) from None

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
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)",
                (*astuple(key), text, samples),
            )
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> MissingResource:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:  # perhaps a precious file that was named by mistake
            return MissingResource(f"{self._path} is no store of scores: name another file with --store")
        remedy = (
            "mend that"
            if code not in {sqlite3.SQLITE_CORRUPT, None}
            else "delete it: its runs are scored again"
        )
        return MissingResource(
            f"{self._path} cannot be used ({error}): {remedy}, or name another file with --store"
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
        connection.execute(_TABLE)
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
