"""Pack the pictures of a split once into a flat file of uint8, from which batches are read at memory speed.

folder/
  pixels.u8   n x side x side x 3, black where a picture is broken
  pack.json   what is in it, written last; see `pack_records`

The pixels depend neither on the number of workers nor on interruptions. A finished pack is opened at once; a
changed picture is noticed by its stamp, and its block is packed again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from baselines.data.decoding import Broken, Fit, PixelArray, decode
from baselines.data.pack_records import (
    Block,
    Blocks,
    Plan,
    content_digest,
    ledger_line,
    ledger_of,
    open_ledger,
    read_ledger,
    read_record,
    write_record,
)
from baselines.data.picture_files import close_archives, read_picture, stamp
from rocov2_eval.command import silent
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.processes import run_tasks
from rocov2_eval.shelf.words import shorten

_BLOCK = 128  # pictures that are done, or done again, together
_NAMED = 10  # broken pictures that a message lists
_CHANNELS = 3
_PIXELS = "pixels.u8"

File = tuple[str, Path]


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """The pictures of a split.

    Attributes:
        folder: Where they lie.
        ids: In the order of the rows.
        images: Shape (n, side, side, 3), mapped from the disk, read-only.
        fit: How a picture came to a square.
        digest: SHA-256 of ids and pixels.
        broken: What is wrong with each picture that could not be decoded, by id; its row is black.
    """

    folder: Path
    ids: tuple[str, ...]
    images: PixelArray
    fit: Fit
    digest: str
    broken: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def side(self) -> int:
        """Height and width in pixels."""
        return int(self.images.shape[1])

    @property
    def intact(self) -> IntArray:
        """Rows of the pictures to train on: those that are not broken."""
        return np.flatnonzero([image_id not in self.broken for image_id in self.ids])


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A block to be packed into its place of the file of pixels."""

    number: int
    first: int  # row
    files: tuple[File, ...]
    stamps: tuple[str, ...]
    pixels: Path
    side: int
    fit: Fit


def pack_images(
    files: Sequence[File],
    folder: Path,
    side: int,
    *,
    fit: Fit = "letterbox",
    allow_broken: bool = False,
    workers: int = 1,
    progress: Callable[[int, int], None] = silent,
) -> Packed:
    """Pack pictures, or those that are not packed yet, and open the pack.

    Args:
        files: Id and path of each picture; see `picture_files` for what a path may be.
        folder: Of the pack; belongs to these pictures alone.
        side: Of the packed squares, in pixels.
        fit: See `decoding.decode`.
        allow_broken: Keep a broken picture as a black row: left out of training (`Packed.intact`), answered
            like any other in prediction, since a run needs a row for every image.
        workers: Processes.
        progress: Called with the number of pictures done and of all.

    Raises:
        UsageFault: There is no picture, an id stands twice, or the side is not positive.
        RejectedInput: Pictures are broken and not allowed, or a file cannot be read.
        MissingResource: The disk has no room.
    """
    _check(files, side)
    plan = Plan(ids=tuple(image_id for image_id, _ in files), side=side, fit=fit)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        tasks = _tasks(files, folder / _PIXELS, plan)
        blocks = _valid_blocks(folder, plan, tasks)
        if len(blocks) < len(tasks) or read_record(folder) is None:
            _pack(folder, plan, tasks, blocks, workers=workers, progress=progress)
    return open_packed(folder, allow_broken=allow_broken)


def open_packed(folder: Path, *, allow_broken: bool = False) -> Packed:
    """Open a finished pack.

    Raises:
        MissingResource: There is none.
        RejectedInput: Its files do not belong together, or pictures are broken and not allowed.
    """
    record = read_record(folder)
    if record is None:
        raise MissingResource(f"{folder}: no finished pack; pack the pictures first")
    plan, blocks = record
    images = _mapped(folder / _PIXELS, plan)
    if images is None:
        raise RejectedInput(
            f"{folder / _PIXELS}: not the size that pack.json says; delete {folder}, pack again"
        )
    faults = {image_id: fault for block in blocks.values() for image_id, fault in block.faults.items()}
    if faults and not allow_broken:
        raise RejectedInput(_broken_message(faults, len(plan.ids)))
    return Packed(
        folder=folder,
        ids=plan.ids,
        images=images,
        fit=plan.fit,
        digest=content_digest(plan, blocks),
        broken=faults,
    )


def check_pixels(packed: Packed) -> None:
    """Compare every block with its sum.

    Raises:
        RejectedInput: Pixels are not those that were packed.
    """
    _, blocks = read_record(packed.folder) or (None, {})
    for number, block in blocks.items():
        if not _is_whole(block, packed.images):
            first = shorten(packed.ids[number * _BLOCK])
            raise RejectedInput(
                f"{packed.folder / _PIXELS}: the block that begins with {first!r} is damaged; "
                f"delete {packed.folder} and pack again"
            )


def _check(files: Sequence[File], side: int) -> None:
    if not files:
        raise UsageFault("there is no picture to pack")
    if side < 1:
        raise UsageFault(f"side: {side} pixels, expected 1 or more")
    seen: set[str] = set()
    for image_id, _ in files:
        if image_id in seen:
            raise UsageFault(f"{shorten(image_id)!r} stands twice among the pictures to pack")
        seen.add(image_id)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process packs into the folder; the system frees the lock of a process that ends."""
    with (folder / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse_own_worker(file)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            close_archives()


def _refuse_own_worker(lock: TextIO) -> None:
    """Refuse a worker that runs the script which started it: it and its parent would wait for each other."""
    lock.seek(0)
    if lock.read() == str(os.getppid()):
        raise UsageFault("a script that packs with workers needs: if __name__ == '__main__':")


def _tasks(files: Sequence[File], pixels: Path, plan: Plan) -> list[_Task]:
    return [
        _Task(
            number=number,
            first=first,
            files=tuple(files[first : first + _BLOCK]),
            stamps=tuple(stamp(path) for _, path in files[first : first + _BLOCK]),
            pixels=pixels,
            side=plan.side,
            fit=plan.fit,
        )
        for number, first in enumerate(range(0, len(files), _BLOCK))
    ]


def _valid_blocks(folder: Path, plan: Plan, tasks: Sequence[_Task]) -> Blocks:
    """Return the blocks that need not be packed again, of a finished pack or an interrupted one."""
    images = _mapped(folder / _PIXELS, plan)
    if images is None:
        return {}
    record = read_record(folder)
    if record is not None:
        blocks = record[1] if record[0] == plan else {}
    else:
        # Power may have failed between pixels and ledger.
        noted = read_ledger(folder, plan)
        blocks = {number: block for number, block in noted.items() if _is_whole(block, images)}
    stamps = {task.number: task.stamps for task in tasks}
    return {number: block for number, block in blocks.items() if block.stamps == stamps.get(number)}


def _pack(
    folder: Path,
    plan: Plan,
    tasks: Sequence[_Task],
    blocks: Blocks,
    *,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    """Pack the blocks that are missing, and write the record."""
    open_ledger(folder, plan, blocks.values())
    if not blocks:
        _make_room(folder / _PIXELS, _size(plan))
    missing = [task for task in tasks if task.number not in blocks]
    done = len(plan.ids) - sum(len(task.files) for task in missing)
    with ledger_of(folder).open("a", encoding="utf-8") as ledger:
        for block in run_tasks(_pack_block, missing, workers):
            blocks[block.number] = block
            ledger.write(ledger_line(plan, block))
            ledger.flush()
            done += len(block.stamps)
            progress(done, len(plan.ids))
    _flush(folder / _PIXELS)
    write_record(folder, plan, [blocks[task.number] for task in tasks])


def _pack_block(task: _Task) -> Block:
    """Decode the pictures of a block and write them to their place."""
    pixels = np.zeros((len(task.files), task.side, task.side, _CHANNELS), np.uint8)
    sources = []
    faults = {}
    for row, (image_id, path) in enumerate(task.files):
        content = read_picture(path)
        sources.append(hashlib.sha256(content).hexdigest())
        picture = decode(content, task.side, task.fit)
        if isinstance(picture, Broken):
            faults[image_id] = f"{path}: {picture.detail}"
        else:
            pixels[row] = picture
    # Not through a memory map: there a full disk would end the process by a signal.
    with task.pixels.open("r+b") as file:
        file.seek(task.first * pixels[0].nbytes)
        file.write(pixels.data)
    return Block(
        number=task.number,
        stamps=task.stamps,
        sources=tuple(sources),
        faults=faults,
        pixels=hashlib.sha256(pixels.data).hexdigest(),
    )


def _mapped(path: Path, plan: Plan) -> PixelArray | None:
    """Return the pixels, None where the file is absent or of another size."""
    if not path.is_file() or path.stat().st_size != _size(plan):
        return None
    return np.memmap(path, np.uint8, "r", shape=(len(plan.ids), plan.side, plan.side, _CHANNELS))


def _size(plan: Plan) -> int:
    return len(plan.ids) * plan.side * plan.side * _CHANNELS


def _is_whole(block: Block, images: PixelArray) -> bool:
    pixels = np.ascontiguousarray(images[block.number * _BLOCK : (block.number + 1) * _BLOCK])
    return hashlib.sha256(pixels.data).hexdigest() == block.pixels


def _make_room(path: Path, size: int) -> None:
    """Create the file at its full size, or refuse where the disk has not as much left."""
    path.unlink(missing_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise MissingResource(
            f"{path.parent}: the packed pictures need {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "make room, or name another folder"
        )
    with path.open("wb") as file:
        file.truncate(size)


def _flush(path: Path) -> None:
    """Return when the pixels are on the disk, so that no record speaks of pixels that are not."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _broken_message(faults: Mapping[str, str], n: int) -> str:
    lines = [f"  {shorten(image_id)}  {fault}" for image_id, fault in list(faults.items())[:_NAMED]]
    more = [f"  and {len(faults) - _NAMED:,} more"] if len(faults) > _NAMED else []
    return "\n".join(
        [
            f"{len(faults):,} of {n:,} pictures cannot be decoded:",
            *lines,
            *more,
            "Replace them, or allow them (train --set data.allow_broken=true, pack --allow-broken): training",
            "leaves them out, validation and prediction see them black.",
        ]
    )
