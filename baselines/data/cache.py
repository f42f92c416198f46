"""The picture cache: the pictures of a split, decoded once into a flat file of uint8.

folder/
  pixels.u8     n x side x side x 3, black where a picture is broken
  blocks.jsonl  one line for each block of 128 pictures that is decoded
  lock          so that processes which share the folder decode one after the other

A block is valid while its pictures keep names, sizes and times and its pixels have the checksum of its line;
any other block is decoded again. So a killed process, a power cut, a damaged file and a changed picture all
end in the same bytes, and nothing depends on the number of workers.
"""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from baselines.data.decoding import Fit, decode
from baselines.data.picture_files import close_archives, read_picture, stamp
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.files import write_bytes
from rocov2_eval.shelf.locks import locked
from rocov2_eval.shelf.parsing import Malformed, json_as, json_bytes
from rocov2_eval.shelf.pictures import PixelArray, Unreadable
from rocov2_eval.shelf.processes import run_tasks
from rocov2_eval.shelf.progress import Progress, silent
from rocov2_eval.shelf.words import counted, shorten

PIXELS, LEDGER = "pixels.u8", "blocks.jsonl"
_REVISION = 1  # raised whenever the same files give other pixels
BLOCK = 128  # pictures that are decoded, or decoded again, together
_NAMED = 10  # broken pictures that a message lists
_CHANNELS = 3

File = tuple[str, Path]


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureCache:
    """The decoded pictures of a split.

    Attributes:
        folder: The folder of the cache.
        ids: Image ids, in the order of the rows.
        images: Pixels of all pictures, shape (n, side, side, 3), mapped from the disk, read-only.
        digest: SHA-256 of ids and pixels.
        broken: What is wrong with each picture that could not be decoded, by id; its row is black.
        sums: SHA-256 of the pixels of each block of `BLOCK` pictures, the last of which may be smaller.
        chosen: Rows to learn from, rising; None for all.
    """

    folder: Path
    ids: tuple[str, ...]
    images: PixelArray
    digest: str
    broken: Mapping[str, str]
    sums: tuple[str, ...]
    chosen: IntArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def intact(self) -> IntArray:
        """Rows of the pictures to train on: those that are chosen and not broken."""
        whole = np.array([image_id not in self.broken for image_id in self.ids])
        return np.flatnonzero(whole) if self.chosen is None else self.chosen[whole[self.chosen]]

    def choosing(self, rows: IntArray) -> Self:
        """Return the same pictures, of which only some are learnt from; a part has a digest of its own."""
        if len(rows) == len(self):
            return self
        lines = [self.digest, *(self.ids[row] for row in rows.tolist())]
        return replace(self, chosen=rows, digest=hashlib.sha256("\n".join(lines).encode()).hexdigest())


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger.

    Attributes:
        number: Place of the block, from 0.
        key: SHA-256 of what the pixels depend on: ids and stamps of the pictures, side, fit, revision.
        faults: What is wrong with each broken picture of the block, by id.
        pixels: SHA-256 of the pixels.
    """

    number: int
    key: str
    faults: dict[str, str]
    pixels: str


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Pictures that are decoded together.

    Attributes:
        number: Place of the block, from 0.
        first: Row of its first picture.
        key: SHA-256 of what the pixels depend on, as `_Record` has it.
        files: Id and path of each picture.
    """

    number: int
    first: int
    key: str
    files: tuple[File, ...]


def open_cache(
    files: Sequence[File],
    folder: Path,
    side: int,
    *,
    fit: Fit = "letterbox",
    allow_broken: bool = False,
    advice: str = "Replace them.",
    workers: int = 1,
    progress: Progress = silent,
) -> PictureCache:
    """Return the cache of some pictures; those that are not in it are decoded first.

    Args:
        files: Id and path of each picture; see `picture_files` for what a path may be.
        folder: Folder of the cache, which belongs to these pictures alone.
        side: Height and width of the decoded squares in pixels.
        fit: How a picture comes to a square, see `decoding.decode`.
        allow_broken: Keep a broken picture as a black row: left out of training (`PictureCache.intact`),
            answered like any other in prediction, since a run needs a row for every image.
        advice: What to do about broken pictures that are not allowed.
        workers: Number of processes that decode.
        progress: Called with the number of pictures in the cache and of all, when some were decoded.

    Raises:
        UsageFault: There is no picture, an id stands twice, or the side is not positive.
        RejectedInput: Pictures are broken and not allowed, or a file cannot be read.
    """
    _check(files, side)
    ids = tuple(image_id for image_id, _ in files)
    shape = (len(ids), side, side, _CHANNELS)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _make_room(folder / PIXELS, int(np.prod(shape)))
        images = np.memmap(folder / PIXELS, np.uint8, "r", shape=shape)
        blocks = _blocks(files, side, fit)
        records = _valid_records(folder / LEDGER, blocks, images)
        write_bytes(folder / LEDGER, b"".join(map(_line, records.values())))
        decode_block = partial(_decode_block, pixels=folder / PIXELS, side=side, fit=fit)
        missing = [block for block in blocks if block.number not in records]
        done = len(ids) - sum(len(block.files) for block in missing)
        with (folder / LEDGER).open("ab", buffering=0) as ledger:
            for record in run_tasks(decode_block, missing, workers):
                records[record.number] = record
                ledger.write(_line(record))
                done += len(blocks[record.number].files)
                progress(done, len(ids))
    ordered = [records[block.number] for block in blocks]
    broken = {image_id: fault for record in ordered for image_id, fault in record.faults.items()}
    if broken and not allow_broken:
        raise RejectedInput(broken_text(broken, "", len(ids), advice))
    return PictureCache(
        folder=folder,
        ids=ids,
        images=images,
        digest=_digest(ids, side, fit, ordered),
        broken=broken,
        sums=tuple(record.pixels for record in ordered),
    )


def _check(files: Sequence[File], side: int) -> None:
    if not files:
        raise UsageFault("there are no pictures to decode")
    if side < 1:
        raise UsageFault(f"side: {side} pixels, expected 1 or more")
    image_id, count = Counter(image_id for image_id, _ in files).most_common(1)[0]
    if count > 1:
        raise UsageFault(f"{shorten(image_id)!r} appears {count} times among the pictures")
    # A worker that runs the script which started it, as multiprocessing itself tells: both would wait.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageFault("a script that decodes with workers must contain: if __name__ == '__main__':")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process decodes into the folder; the system frees the lock of one that ends."""
    lock = folder / "lock"
    lock.touch()
    with locked(lock, wait=True):
        try:
            yield
        finally:
            close_archives()


def _make_room(path: Path, size: int) -> None:
    """Give the file of pixels its size; a disk without room for it is an error before the work."""
    if path.is_file() and path.stat().st_size == size:
        return
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        if shutil.disk_usage(path.parent).free < size:  # macOS and Windows reserve nothing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        file.truncate(size)


def _blocks(files: Sequence[File], side: int, fit: Fit) -> list[_Block]:
    blocks = []
    for number, first in enumerate(range(0, len(files), BLOCK)):
        part = tuple(files[first : first + BLOCK])
        blocks.append(_Block(number=number, first=first, key=_key(part, side, fit), files=part))
    return blocks


def _key(files: Sequence[File], side: int, fit: Fit) -> str:
    stamps = [(image_id, stamp(path)) for image_id, path in files]
    return hashlib.sha256(json_bytes([stamps, side, fit, _REVISION])).hexdigest()


def _valid_records(ledger: Path, blocks: Sequence[_Block], images: PixelArray) -> dict[int, _Record]:
    """Return the records of the blocks that need not be decoded again, by number."""
    records = {}
    for line in ledger.read_bytes().splitlines() if ledger.is_file() else []:
        try:
            record = json_as(line, _Record)
        except Malformed:  # torn by an interruption
            break
        if record.number < len(blocks) and record.key == blocks[record.number].key:
            records[record.number] = record
    return {number: record for number, record in records.items() if _is_whole(record, images)}


def _is_whole(record: _Record, images: PixelArray) -> bool:
    pixels = np.ascontiguousarray(images[record.number * BLOCK : (record.number + 1) * BLOCK])
    return hashlib.sha256(pixels.data).hexdigest() == record.pixels


def _decode_block(block: _Block, *, pixels: Path, side: int, fit: Fit) -> _Record:
    """Decode the pictures of a block and write them to their place."""
    squares = np.zeros((len(block.files), side, side, _CHANNELS), np.uint8)
    faults = {}
    for row, (image_id, path) in enumerate(block.files):
        picture = decode(read_picture(path), side, fit)
        if isinstance(picture, Unreadable):
            faults[image_id] = f"{path}: {picture.detail}"
        else:
            squares[row] = picture
    # Not through a memory map: there a full disk would end the process by a signal.
    with pixels.open("r+b") as file:
        file.seek(block.first * squares[0].nbytes)
        file.write(squares.data)
    digest = hashlib.sha256(squares.data).hexdigest()
    return _Record(number=block.number, key=block.key, faults=faults, pixels=digest)


def _line(record: _Record) -> bytes:
    return json_bytes(record) + b"\n"


def _digest(ids: Sequence[str], side: int, fit: Fit, records: Sequence[_Record]) -> str:
    """Return the SHA-256 of ids and pixels, the same since version 1: a run that began then goes on."""
    plan = json.dumps({"fit": fit, "ids": ids, "revision": _REVISION, "side": side}, sort_keys=True)
    sums = [hashlib.sha256(plan.encode()).hexdigest(), *(record.pixels for record in records)]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def broken_text(broken: Mapping[str, str], of: str, n: int, then: str) -> str:
    """Return what is told of broken pictures: how many there are, the first of them, what comes of it.

    Args:
        broken: What is wrong with each, by id.
        of: Whose pictures they are, such as `test split`; nothing if that is plain.
        n: Number of all pictures.
        then: What comes of it, or what to do.
    """
    whose = f" of the {of}" if of else ""
    lines = [f"  {shorten(image_id)}  {fault}" for image_id, fault in list(broken.items())[:_NAMED]]
    more = [f"  and {len(broken) - _NAMED:,} more"] if len(broken) > _NAMED else []
    first = f"{len(broken):,} of {counted(n, 'picture')}{whose} cannot be decoded:"
    return "\n".join([first, *lines, *more, then])
