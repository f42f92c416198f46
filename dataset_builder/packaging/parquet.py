"""Write a split as Parquet in the Hugging Face convention, which the library `datasets` shows as images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.records import Figure
from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command

SPLIT_NAMES = {"train": "train", "valid": "validation", "test": "test"}  # as that library calls them
MOST_SHARD_BYTES = 500_000_000
_ROWS_PER_GROUP = 100  # what a viewer must read for one image


@dataclass(frozen=True, kw_only=True)
class ParquetSplit:
    """What was written of a split.

    Attributes:
        name: Name of the split, as the library `datasets` calls it.
        files: Names of the files below the dataset folder.
        rows: Number of images of the split.
        content_bytes: Size of the rows in memory.
        file_bytes: Size of the files together.
    """

    name: str
    files: tuple[str, ...]
    rows: int
    content_bytes: int
    file_bytes: int


class ParquetWriter:
    """The shards of one split in the making."""

    def __init__(self, folder: Path, split: str, *, is_held_out: bool, most_bytes: int) -> None:
        self._arrow, self._parquet = _libraries()
        self._folder = folder
        self._name = SPLIT_NAMES[split]
        self._is_held_out = is_held_out
        self._most_bytes = most_bytes
        self._schema = _schema(self._arrow, is_held_out=is_held_out)
        self._file: Any = None
        self._group: list[dict[str, Any]] = []
        self._shards = 0
        self._shard_bytes = 0
        self._rows = 0
        self._content_bytes = 0

    def add(self, figure: Figure, content: bytes) -> None:
        """Add an image with what is public of it."""
        image_id = figure.assignment.image_id
        row: dict[str, Any] = {
            "image": {"bytes": content, "path": f"{image_id}.jpg"},
            "image_id": image_id,
        }
        if not self._is_held_out:
            row |= {"caption": figure.text.caption, "cui": list(figure.concepts.cuis)}
        if self._shard_bytes and self._shard_bytes + len(content) > self._most_bytes:
            self.close()
        self._group.append(row)
        self._shard_bytes += len(content)
        if len(self._group) == _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Complete the shard in the making, if there is one."""
        self._flush()
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
            self._shards += 1
        self._shard_bytes = 0

    def abandon(self) -> None:
        """Give up the shard in the making, whatever its file says to that: another error is on its way."""
        if self._file is not None:
            with suppress(OSError, self._arrow.ArrowException):
                self._file.close()
            self._file = None

    def finish(self) -> ParquetSplit:
        """Complete the split: only now the names can say how many shards there are."""
        self.close()
        names = [f"data/{self._name}-{i:05d}-of-{self._shards:05d}.parquet" for i in range(self._shards)]
        for i, name in enumerate(names):
            self._shard(i).rename(self._folder / name)
        return ParquetSplit(
            name=self._name,
            files=tuple(names),
            rows=self._rows,
            content_bytes=self._content_bytes,
            file_bytes=sum((self._folder / name).stat().st_size for name in names),
        )

    def _flush(self) -> None:
        if not self._group:
            return
        if self._file is None:
            path = self._shard(self._shards)
            path.parent.mkdir(exist_ok=True)
            self._file = self._parquet.ParquetWriter(
                path,
                self._schema,
                compression={name: "none" if name == "image.bytes" else "snappy" for name in self._columns()},
                use_dictionary=False,
                write_statistics=["image_id"],
            )
        table = self._arrow.Table.from_pylist(self._group, schema=self._schema)
        self._file.write_table(table, row_group_size=_ROWS_PER_GROUP)
        self._rows += len(self._group)
        self._content_bytes += table.nbytes
        self._group = []

    def _columns(self) -> list[str]:
        columns = ["image.bytes", "image.path", "image_id"]
        return columns if self._is_held_out else [*columns, "caption", "cui.list.element"]

    def _shard(self, i: int) -> Path:
        return self._folder / f"data/{self._name}-{i:05d}.parquet"


@contextmanager
def parquet_writer(
    folder: Path, split: str, *, is_held_out: bool, most_bytes: int = MOST_SHARD_BYTES
) -> Iterator[ParquetWriter]:
    """Open the shards of a split for writing below a folder's `data`.

    Args:
        folder: Folder of the dataset.
        split: Name of the split in the layout of ROCOv2.
        is_held_out: Leave captions and concepts away.
        most_bytes: Most bytes of images in one shard, unless a single image has more.

    Raises:
        MissingResource: pyarrow is not installed.
    """
    writer = ParquetWriter(folder, split, is_held_out=is_held_out, most_bytes=most_bytes)
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def features(*, is_held_out: bool) -> dict[str, Any]:
    """Return the columns as the library `datasets` describes them in the footer of a file."""
    text = {"dtype": "string", "_type": "Value"}
    known: dict[str, Any] = {"image": {"_type": "Image"}, "image_id": text}
    if is_held_out:
        return known
    return {**known, "caption": text, "cui": {"feature": text, "_type": "Sequence"}}


def _schema(arrow: Any, *, is_held_out: bool) -> Any:  # noqa: ANN401  pyarrow is untyped
    fields = [
        ("image", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])),
        ("image_id", arrow.string()),
    ]
    if not is_held_out:
        fields += [("caption", arrow.string()), ("cui", arrow.list_(arrow.string()))]
    described = {"info": {"features": features(is_held_out=is_held_out)}}
    return arrow.schema(fields, metadata={"huggingface": json.dumps(described)})


def _libraries() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        message = f"Parquet needs pyarrow: set parquet = false, or {install_command('builder')}"
        raise MissingResource(message) from None
    return pa, pq
