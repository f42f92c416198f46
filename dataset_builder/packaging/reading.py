"""Read a finished dataset, and the archive of its held-out truth."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from dataset_builder.dataset_tables import ASSIGNMENTS, articles_of, truth_rows
from dataset_builder.fingerprints import DEFAULT_DISTANCE, MOST_DISTANCE
from dataset_builder.records import SPLITS, StageCount
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.parsing import Malformed, json_as, read_plain
from rocov2_eval.shelf.words import shorten

TRUTH_TABLES = ("captions", "concepts", "concepts_manual")
_MOST_TRUTH_BYTES = 1 << 30  # of one file of the archive: far more than a truth of a million images
_ROWS = 100  # of Parquet at a time

Rows = list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image of the dataset.

    Attributes:
        split: Split of the folder or archive that it lies in.
        image_id: Name of its file without the ending.
        read: Returns the bytes of the file.
    """

    split: str
    image_id: str
    read: Callable[[], bytes]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the tables of a dataset say.

    Attributes:
        ids: Ids by name of the table and split, such as `captions` and `train`.
        licences: Rows of `attribution.csv`, of the held-out archive too where that is at hand.
        articles: PMCID by image id, as far as it is known.
        held_out: The split whose truth is kept apart; empty for none.
        has_truth: Whether the archive of the held-out truth is at hand.
        secrets: PMCIDs and DOIs of held-out images.
    """

    ids: Mapping[tuple[str, str], list[str]]
    licences: Rows
    articles: Mapping[str, str]
    held_out: str
    has_truth: bool
    secrets: frozenset[str]


class DatasetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The object `dataset` of a manifest, as far as it is read.

    Attributes:
        held_out: The split whose truth is kept apart; empty for none.
    """

    held_out: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the manifest of a finished dataset.

    Attributes:
        dataset: Names and numbers of the dataset.
        counts: What each stage took, kept and dropped.
        near_duplicate_distance: Most bits in which the hashes of near duplicates differed in the build.
        truth_sha256: SHA-256 of the archive of the held-out truth, None without one.
    """

    dataset: DatasetFacts
    counts: tuple[StageCount, ...] = ()
    near_duplicate_distance: Annotated[int, Meta(ge=0, le=MOST_DISTANCE)] = DEFAULT_DISTANCE
    truth_sha256: str | None = None


class ImageFiles:
    """The images of a dataset, in folders or in archives, which stay open as long as it is."""

    def __init__(self, folder: Path) -> None:
        self._archives: list[zipfile.ZipFile] = []
        self.files = [image for split in SPLITS for image in self._of_split(folder, split)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._archives:
            archive.close()

    def _of_split(self, folder: Path, split: str) -> Iterator[ImageFile]:
        for path in sorted((folder / split).glob("*")):
            yield ImageFile(split=split, image_id=path.stem, read=path.read_bytes)
        packed = folder / f"{split}_images.zip"
        if packed.is_file():
            try:
                archive = zipfile.ZipFile(packed)
            except UNREADABLE as error:
                raise RejectedInput(f"{packed}: {error}; write the dataset again") from None
            self._archives.append(archive)
            for name in sorted(archive.namelist()):
                yield ImageFile(split=split, image_id=Path(name).stem, read=partial(archive.read, name))


def read_manifest(folder: Path) -> Manifest:
    """Return what the manifest of a finished dataset says.

    Raises:
        UsageFault: There is none.
        RejectedInput: It is broken.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise UsageFault(f"{folder}: no manifest.json, expected the folder of a finished dataset")
    try:
        return json_as(read_plain(path), Manifest)
    except Malformed as error:
        raise RejectedInput(f"{path}: {error}") from None


def read_truth(path: Path) -> dict[str, bytes]:
    """Return the files of the archive of the held-out truth."""
    try:
        with zipfile.ZipFile(path) as archive:
            large = [item.filename for item in archive.infolist() if item.file_size > _MOST_TRUTH_BYTES]
            if large:
                raise RejectedInput(f"{path}: {shorten(large[0])} has more than {_MOST_TRUTH_BYTES:,} bytes")
            return {item.filename: archive.read(item) for item in archive.infolist()}
    except UNREADABLE as error:
        raise RejectedInput(f"{path}: cannot be unpacked: {error}") from None


def truth_beside(dataset: Path) -> Path | None:
    """Return the archive of the truth that a build leaves beside a dataset, None where there is none."""
    path = Path(f"{dataset.resolve()}-truth.zip")
    return path if dataset.is_dir() and path.is_file() else None


def figure_keys(dataset: Path) -> dict[str, str]:
    """Return the keys of the figures, `PMCID/file`, by image id: from the assignments of a dataset.

    They lie in the archive of its truth; in its folder where nothing is held out. Nothing where neither is
    there.
    """
    public, secret = dataset / ASSIGNMENTS, truth_beside(dataset)
    if public.is_file():
        rows = [row for _, row in read_rows(public, ("ID", "PMCID", "file"))]
    else:
        rows = truth_rows(read_truth(secret) if secret else {}, ASSIGNMENTS, "PMCID", "file")
    return {row["ID"]: f"{row['PMCID']}/{row['file']}" for row in rows}


def read_tables(folder: Path, held_out: str, secret: Mapping[str, bytes]) -> Tables:
    """Read the tables of the folder, and of the archive as far as there is one."""
    ids: dict[tuple[str, str], list[str]] = {}
    for split in SPLITS:
        wanted = ("images",) if split == held_out else TRUTH_TABLES
        for name in wanted:
            path = folder / f"{split}_{name}.csv"
            if path.is_file():
                ids[name, split] = [row["ID"] for _, row in read_rows(path, ("ID",))]
    licences: Rows = []
    public = folder / "attribution.csv"
    if public.is_file():
        licences += [row for _, row in read_rows(public, ("ID",))]
    hidden = truth_rows(secret, "attribution.csv")
    return Tables(
        ids=ids,
        licences=licences + hidden,
        articles=articles_of(licences + hidden, secret),
        held_out=held_out,
        has_truth=bool(secret),
        secrets=frozenset(row[name] for row in hidden for name in ("PMCID", "DOI") if row.get(name)),
    )


def shard_rows(shards: Sequence[Path]) -> tuple[list[tuple[str, str]], set[str]]:
    """Return id and SHA-256 of the picture of each row, and the columns that there are."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        message = f"Parquet files cannot be read without pyarrow: {install_command('builder')}"
        raise MissingResource(message) from None
    rows: list[tuple[str, str]] = []
    columns: set[str] = set()
    for shard in shards:
        try:
            with pq.ParquetFile(shard, pre_buffer=False) as file:
                columns |= set(file.schema_arrow.names)
                for batch in file.iter_batches(_ROWS, columns=["image", "image_id"]):
                    rows += [
                        (row["image_id"], hashlib.sha256(row["image"]["bytes"] or b"").hexdigest())
                        for row in batch.to_pylist()
                    ]
        except (pa.ArrowException, KeyError, TypeError, OSError) as error:
            raise RejectedInput(f"{shard}: cannot be read: {shorten(str(error), 100)}") from None
    return rows, columns
