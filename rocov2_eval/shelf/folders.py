"""Folders that are published as a whole: the old one stays until the new one is complete, kill or no kill.

parent/
  NAME/                     what everybody sees
  .NAME.building-…/         what a process is writing; removed when it fails, or by the next one
  .NAME.ready/              complete; what is still in it takes its place, now or by the next process
    content/                the new folder
    stale                   the inode of the new folder, by which it is known in its place; the paths of what
                            in the old folder was ours and is no more
    old/                    the old folder, once the new one has its place

A folder that cannot be renamed (a mount point, one in a read-only place, the working directory) keeps its
place: both hidden folders lie in it as `.rocov2.…`, and each new file takes the place of the old one. Readers
then may see files of both until all have moved, and a kill in that moment is mended by the next process.

Files that are not ours are never deleted: they move into the new folder.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.locks import locked

_CONTENT = "content"
_STALE = "stale"
_OLD = "old"
_ABSENT = ".absent"  # ending of an empty file: the one beside the folder is to go
# What a killed `write_bytes` leaves of a file: letters and others drawn at random, no word and no date.
_LEFTOVER = re.compile(r"\.(.+)\.(?=[a-z]*[0-9_])(?=[0-9_]*[a-z])[a-z0-9_]{8}")
_MOUNTS = Path("/proc/self/mountinfo")


def all_is_ours(_name: str) -> bool:
    """Say of any file that it is ours: of a folder of which this program alone knows."""
    return True


@contextmanager
def publishing(
    target: Path, ours: Callable[[str], bool] | None, beside: Collection[Path] = ()
) -> Iterator[Path]:
    """Hand out an empty folder to write; it takes the place of the target if the context ends without error.

    Args:
        target: The folder, which may be there, or a link to one.
        ours: Tells of a file's path in the old folder whether it was ours: then it is replaced or removed.
            None for a folder that stays: files are added to it, and take the place of those of their names.
        beside: Files in the target's parent that belong to it. What is written under such a name beside the
            folder handed out takes its place too; what is not written is removed.

    Raises:
        UsageFault: The target is a file, another process is writing it, or what is not ours is in the way.
        OSError: It cannot be written.
    """
    settle(target, beside)
    outside, inside = _places(target)
    place = inside if inside.target.is_dir() and (ours is None or _is_fixed(inside.target)) else outside
    place.holder.mkdir(parents=True, exist_ok=True)
    for path in beside:
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageFault(f"{path} cannot be written: its folder is read-only")
    with ExitStack() as claim:
        with _held(place.holder):
            _settle(place, beside)
            building = Path(tempfile.mkdtemp(prefix=place.prefix, dir=place.holder))
            _claim(claim, building)
        try:
            content = building / _CONTENT
            content.mkdir()
            yield content
            stale = _stale(place.target, content, ours)
            names = [str(content.stat().st_ino), *stale]
            (building / _STALE).write_bytes(b"\0".join(map(os.fsencode, names)))
            for path in beside:
                if not (building / path.name).exists():
                    (building / f"{path.name}{_ABSENT}").touch()
            if place.target.is_dir():
                shutil.copymode(place.target, content)
        except BaseException:
            claim.close()
            shutil.rmtree(building, ignore_errors=True)
            raise
        with _held(place.holder):
            claim.close()  # Windows moves no folder in which a file is open
            building.rename(place.ready)
            try:
                _install(place, beside)
            except KeyboardInterrupt:  # what is complete is not left half in its place
                _install(place, beside)
                raise


def settle(target: Path, beside: Collection[Path] = ()) -> None:
    """Finish what a killed process had written to the end, and remove what it had not.

    Raises:
        UsageFault: The target is a file, or another process is writing it.
        OSError: What is left cannot be moved or removed.
    """
    for place in _places(target):
        if place.holder.is_dir() and (place.ready.is_dir() or any(_buildings(place))):
            with _held(place.holder):
                _settle(place, beside)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a folder is written, and where it goes.

    Attributes:
        target: The folder, no link.
        holder: Folder that holds the hidden ones.
        stem: How their names begin.
    """

    target: Path
    holder: Path
    stem: str

    @property
    def prefix(self) -> str:
        return f"{self.stem}.building-"

    @property
    def ready(self) -> Path:
        return self.holder / f"{self.stem}.ready"

    @property
    def is_inside(self) -> bool:
        return self.holder == self.target


def _places(target: Path) -> tuple[_Place, _Place]:
    """Return how a folder is written beside its place, and how inside of it.

    Raises:
        UsageFault: It is a file.
        OSError: It cannot be reached.
    """
    with suppress(FileNotFoundError):
        target.stat()  # links in a circle are refused here, by every version of Python
    real = Path(os.path.realpath(target))
    if real.exists() and not real.is_dir():
        raise UsageFault(f"{target} is a file, expected a folder or nothing")
    outside = _Place(target=real, holder=real.parent, stem=f".{real.name}")
    return outside, _Place(target=real, holder=real, stem=".rocov2")


def _is_fixed(folder: Path) -> bool:
    """Tell whether a folder must keep its place."""
    if folder in {Path.cwd(), *Path.cwd().parents} or not os.access(folder.parent, os.W_OK | os.X_OK):
        return True
    return os.path.ismount(folder) or os.fsencode(folder) in _mounts()


def _mounts() -> set[bytes]:
    """Return the mount points, those within one file system too; empty where the system tells none."""
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:  # no Linux: `ismount` knows all of them
        return set()
    octal = re.compile(rb"\\([0-7]{3})")
    return {octal.sub(lambda code: bytes([int(code[1], 8)]), line.split(b" ")[4]) for line in lines}


def _buildings(place: _Place) -> Iterator[Path]:
    with os.scandir(place.holder) as entries:
        folders = (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        names = sorted(name for name in folders if name.startswith(place.prefix))
    for name in names:
        yield place.holder / name


def _settle(place: _Place, beside: Collection[Path]) -> None:
    for leftover in _buildings(place):
        with ExitStack() as claim:
            is_held = _claim(claim, leftover)
        # Without locks nobody knows whether the process that writes it lives: it stays.
        if is_held:
            shutil.rmtree(leftover)
    _install(place, beside)


def _install(place: _Place, beside: Collection[Path]) -> None:
    """Move what is ready to its place: each step can be repeated, and the folder goes last."""
    ready, content, old = place.ready, place.ready / _CONTENT, place.ready / _OLD
    if not ready.is_dir():
        return
    number, *names = _told(ready)
    for path in beside:
        if (ready / f"{path.name}{_ABSENT}").exists():
            path.unlink(missing_ok=True)
        elif (ready / path.name).exists():
            _move(ready / path.name, path)
    if number:  # else a process was killed that had removed nearly all of what was ready
        stale = frozenset(names)
        if place.is_inside:
            _move_files(content, place.target)
            _remove_files(place.target, stale)
        else:
            _swap(content, place.target, old, int(number))
            if old.is_dir():
                _carry(old, place.target, {old / name for name in stale})
    shutil.rmtree(ready)


def _told(ready: Path) -> list[str]:
    """Return the inode of a new folder and the paths that go; an empty inode where all of it has its place.

    Raises:
        UsageFault: It says neither: a disk has lost it, or it is not ours.
    """
    path = ready / _STALE
    told = [os.fsdecode(part) for part in path.read_bytes().split(b"\0")] if path.is_file() else [""]
    is_whole = told[0].isascii() and told[0].isdigit()
    if ready.is_symlink() or not (is_whole or not path.exists()):
        raise UsageFault(
            f"{ready} is damaged or belongs to another program: copy what you need from it, and remove it"
        )
    return told


def _swap(content: Path, target: Path, old: Path, number: int) -> None:
    """Put a new folder in its place and the one that was there aside; a kill in between can be repeated."""
    is_placed = target.exists() and target.stat().st_ino == number
    if content.exists() and not is_placed:
        if target.exists() and not _exchange(content, target):
            target.rename(old)
        if not target.exists():
            content.rename(target)
    if content.exists():  # the old folder, after an exchange
        content.rename(old)


def _exchange(first: Path, second: Path) -> bool:
    """Let two folders change places in one step; False where the system has none that does it."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return call is not None and call(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0


def _stale(target: Path, content: Path, ours: Callable[[str], bool] | None) -> list[str]:
    """Return the paths of the old files that are ours and have no successor.

    Raises:
        UsageFault: A new file would take the place of one that is not ours.
    """
    new = frozenset(_files(content))
    before = [name for name in _files(target) if not name.startswith(".rocov2.")]
    folders = {str(parent) for name in new for parent in PurePosixPath(name).parents}
    for name in before:
        if name in folders or any(str(parent) in new for parent in PurePosixPath(name).parents):
            raise UsageFault(f"{target / name} has the name of a file to write: move it to another folder")
        if name in new and ours is not None and not _is_ours(name, ours):
            raise UsageFault(
                f"{target / name} was not written by this program and would be lost: move it to another "
                "folder"
            )
    return [name for name in before if name not in new and ours is not None and _is_ours(name, ours)]


def _is_ours(name: str, ours: Callable[[str], bool]) -> bool:
    """Tell whether a file is ours, or what a kill left of one."""
    folder, mark, last = name.rpartition("/")
    leftover = _LEFTOVER.fullmatch(last)
    return ours(name) or (leftover is not None and ours(f"{folder}{mark}{leftover[1]}"))


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of whatever lies below a folder and is no folder; a link is not followed."""
    for root, folders, files in os.walk(folder):
        links = (name for name in folders if os.path.islink(os.path.join(root, name)))  # noqa: PTH114,PTH118
        for name in (*files, *links):
            yield Path(root, name).relative_to(folder).as_posix()


def _move(source: Path, target: Path) -> None:
    """Move a file in one step, to another file system too: the target may be named by a link's side."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)


def _move_files(source: Path, target: Path) -> None:
    for name in sorted(_files(source)):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _move(source / name, target / name)


def _remove_files(folder: Path, names: Collection[str]) -> None:
    """Remove files, and the folders that are empty then."""
    for name in sorted(names):
        path = folder / name
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == folder or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()


def _carry(old: Path, new: Path, stale: Collection[Path]) -> None:
    """Move what is not ours into the new folder: it is not stale, and nothing has its name there."""
    for entry in sorted(old.iterdir()):
        place = new / entry.name
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and (place.is_dir() or any(path.is_relative_to(entry) for path in stale)):
            _carry(entry, place, stale)
        elif entry not in stale and not os.path.lexists(place):
            new.mkdir(parents=True, exist_ok=True)
            entry.rename(place)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Wait until no other process settles or installs in a folder; without locks nothing is waited for."""
    with locked(folder, wait=True):
        yield


def _claim(claim: ExitStack, folder: Path) -> bool:
    """Hold what a process writes, so that another can tell it from the remains of one; False without locks.

    Raises:
        UsageFault: Another process has it.
    """
    try:
        return claim.enter_context(locked(folder, wait=False))
    except BlockingIOError:
        raise UsageFault(f"{folder}: another process is writing to it; wait until it ends") from None
