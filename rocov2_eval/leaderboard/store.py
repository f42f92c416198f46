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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from rocov2_eval.concept_errors import ConceptCount, ConceptErrors
from rocov2_eval.errors import MissingResource
from rocov2_eval.records import Finding, Interval, MetricResult, SampleScores
from rocov2_eval.report_document import result_data
from rocov2_eval.scoring import Group, Report
from rocov2_eval.truth import Truth

FILE_NAME = "scores.sqlite3"
_OWNER = 0x526F4376  # "RoCv": by this number a store of ours is told from another program's database
_LAYOUT = 1  # raised when a row changes its meaning: older rows are then dropped
_BUSY_SECONDS = 120.0
_UNREADABLE = (ValueError, KeyError, TypeError, EOFError, OSError, zlib.error, zipfile.BadZipFile)
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
        run: SHA-256 of its CSV's bytes.
        truth: SHA-256 over those of the truth files.
        edition: Whose rules.
        signature: Of every metric, and how intervals and groups are made.
    """

    run: str
    truth: str
    edition: str
    signature: str


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
            key: Whose scores.
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
            document = json.loads(row[0])
            if row[1] is None:
                return _findings(document["findings"], document["place"], place)
            return report_of(document, _unpacked(row[1]), place=place, run=key.run, truth=truth)
        except (sqlite3.DatabaseError, *_UNREADABLE) as error:
            raise self._unusable(error) from None

    def write(self, key: Key, known: Report | Sequence[Finding], *, place: str) -> None:
        """Keep the scores of a run, or the findings that rejected it.

        Args:
            key: Whose scores.
            known: Its report, or its findings.
            place: Path by which they name the run.

        Raises:
            MissingResource: The file cannot be written.
        """
        if isinstance(known, Report):
            document: object = result_data(known)
            samples = _packed(known.samples)
        else:
            document, samples = {"place": place, "findings": [asdict(item) for item in known]}, None
        text = json.dumps(document, allow_nan=False)
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)",
                (key.run, key.truth, key.edition, key.signature, text, samples),
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


def report_of(
    document: Mapping[str, Any], samples: Mapping[str, SampleScores], *, place: str, run: str, truth: Truth
) -> Report:
    """Return the report that `report_document.result_data` made a document of.

    Args:
        document: The result.json.
        samples: Score of each image by output name, in truth order.
        place: Path of the run, which the document does not decide.
        run: SHA-256 of the run.
        truth: The truth it was scored against.
    """
    errors = document["concept_errors"]
    signatures = {name: entry["signature"] for name, entry in document["metrics"].items()}
    return Report(
        edition=document["edition"],
        task=document["task"],
        split=document["split"],
        notes=tuple(document["official"]["notes"]),
        run=(place, run),
        truth=truth.inputs,
        metrics={name: _result(entry, entry["signature"]) for name, entry in document["metrics"].items()},
        samples={name: samples[name] for name in document["metrics"]},
        image_ids=truth.table.image_ids,
        not_computed=document["not_computed"],
        concept_errors=_concept_errors(errors) if errors else None,
        breakdowns={
            facet: tuple(_group(group, signatures) for group in groups)
            for facet, groups in document["breakdowns"].items()
        },
        findings=_findings(document["findings"]["list"], document["inputs"]["run"]["path"], place),
    )


def _result(entry: Mapping[str, Any], signature: str, images: int | None = None) -> MetricResult:
    ends = Interval(low=entry["low"], high=entry["high"]) if entry["low"] is not None else None
    unscored = entry["unscored"] if images is None else images - entry["n"]
    return MetricResult(
        mean=entry["mean"], interval=ends, n=entry["n"], unscored=unscored, signature=signature
    )


def _group(group: Mapping[str, Any], signatures: Mapping[str, str]) -> Group:
    return Group(
        name=group["group"],
        images=group["images"],
        metrics={
            name: _result(entry, signatures[name], group["images"])
            for name, entry in group["metrics"].items()
        },
    )


def _concept_errors(errors: Mapping[str, Any]) -> ConceptErrors:
    return ConceptErrors(
        micro_f1=errors["micro_f1"],
        macro_f1=errors["macro_f1"],
        missed=tuple(ConceptCount(**item) for item in errors["missed"]),
        invented=tuple(ConceptCount(**item) for item in errors["invented"]),
    )


def _findings(items: Sequence[Mapping[str, Any]], recorded: str, place: str) -> tuple[Finding, ...]:
    """Return findings with the present path of the run in the place of the recorded one."""
    found = [Finding(**item) for item in items]
    return tuple(replace(item, path=place) if item.path == recorded else item for item in found)


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
            connection.execute("DROP TABLE scores")
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
