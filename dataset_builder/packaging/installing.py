"""Put a finished dataset in its place, all of it or nothing, whenever the process is killed.

parent/
  NAME/                     the dataset
  NAME-truth.zip            the held-out truth, and its checksum
  NAME-truth.zip.sha256
  .NAME.building-…/         what a run is writing; removed when it fails, or by the next run
  .NAME.ready/              complete; what is still in it takes its place, now or in the next run
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rocov2_eval.errors import UsageFault

DATASET = "dataset"
TRUTH = "truth.zip"
CHECKSUM = "truth.zip.sha256"
MANIFEST = "manifest.json"  # what a dataset of ours is known by
_NO_TRUTH = "no-truth"
_REPLACED = "replaced"


def truth_path(target: Path) -> Path:
    """Return where the archive of the held-out truth lies: beside the dataset, never in it."""
    return target.with_name(f"{target.name}-truth.zip")


def checksum_path(target: Path) -> Path:
    """Return where the checksum of that archive lies."""
    return target.with_name(f"{target.name}-truth.zip.sha256")


@contextmanager
def installing(target: Path) -> Iterator[Path]:
    """Hand out a folder to write into; its content takes its place when the context ends without error.

    The folder holds an empty `DATASET`. `TRUTH` and `CHECKSUM` may be added; where they are not, an older
    archive of the dataset is removed with the dataset that it belongs to.

    Raises:
        UsageFault: The target has no name, is no folder, or another process is writing it.
    """
    if target.name in ("", ".."):
        raise UsageFault(f"{target}: expected the name of a folder, which is replaced as a whole")
    require_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(target)
    building = Path(tempfile.mkdtemp(prefix=_building_prefix(target), dir=target.parent))
    try:
        with _locked(building, target):
            (building / DATASET).mkdir()
            yield building
            if not (building / TRUTH).exists():
                (building / _NO_TRUTH).touch()
            building.rename(_ready_path(target))
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    _install(target)


def require_replaceable(target: Path) -> None:
    """Refuse to replace what is no dataset of ours: nothing else of the user's may be lost.

    Raises:
        UsageFault: The target is a file, or a folder that holds something else.
    """
    if target.exists() and not target.is_dir():
        raise UsageFault(f"{target} is a file, expected a folder or nothing")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UsageFault(
            f"{target} would be replaced as a whole, and holds something else than a dataset of ours: "
            f"{MANIFEST} is absent; name another folder with out"
        )


def settle(target: Path) -> None:
    """Finish what a killed run had written to the end, and remove what it had not.

    Raises:
        UsageFault: Another process is writing the target.
    """
    if not target.parent.is_dir():
        return
    for leftover in sorted(target.parent.glob(f"{_escaped(_building_prefix(target))}*")):
        with _locked(leftover, target):
            shutil.rmtree(leftover)
    _install(target)


def _install(target: Path) -> None:
    """Move what is ready to its place: each step can be repeated, and the folder goes last."""
    ready = _ready_path(target)
    if not ready.is_dir():
        return
    for name, place in ((TRUTH, truth_path(target)), (CHECKSUM, checksum_path(target))):
        if (ready / _NO_TRUTH).exists():
            place.unlink(missing_ok=True)
        elif (ready / name).exists():
            (ready / name).replace(place)
    if (ready / DATASET).exists():
        if target.exists():
            shutil.rmtree(ready / _REPLACED, ignore_errors=True)
            target.rename(ready / _REPLACED)
        (ready / DATASET).rename(target)
    shutil.rmtree(ready)


@contextmanager
def _locked(folder: Path, target: Path) -> Iterator[None]:
    """Hold a folder, so that another process can tell a run from the remains of one."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageFault(
                f"{target}: another process is writing it ({folder.name}); wait for it"
            ) from None
        yield
    finally:
        os.close(handle)


def _building_prefix(target: Path) -> str:
    return f".{target.name}.building-"


def _ready_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.ready")


def _escaped(name: str) -> str:
    """Return a name with nothing in it that a pattern of file names would take for more than itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
