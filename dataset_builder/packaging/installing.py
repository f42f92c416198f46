"""Put a finished dataset in its place, all of it or nothing, whenever the process is killed.

parent/
  NAME/                     the dataset
  NAME-truth.zip            the held-out truth, and its checksum
  NAME-truth.zip.sha256

`rocov2_eval/shelf/folders.py` says how; what the list of sums does not name is not ours, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataset_builder.packaging.sums import SUMS, read_sums
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf import folders

MANIFEST = "manifest.json"  # what a dataset of ours is known by


def truth_path(target: Path) -> Path:
    """Return where the archive of the held-out truth lies: beside the dataset, never in it."""
    return target.with_name(f"{target.name}-truth.zip")


def checksum_path(target: Path) -> Path:
    """Return where the checksum of that archive lies."""
    return target.with_name(f"{target.name}-truth.zip.sha256")


@contextmanager
def installing(target: Path) -> Iterator[Path]:
    """Hand out a folder to write into; its content takes its place when the context ends without error.

    The archive and its checksum may be written beside that folder, by the names that they shall have; where
    they are not, those of an older dataset are removed with it.

    Raises:
        UsageFault: The target has no name, is no folder, holds something else than a dataset of ours, or
            another process is writing it.
        RejectedInput: The list of sums of the older dataset is damaged.
    """
    if target.name in ("", ".."):
        raise UsageFault(f"{target}: expected the name of a folder, which is replaced as a whole")
    settle(target)
    _require_replaceable(target)
    sums = target / SUMS
    ours = {SUMS, MANIFEST, *(read_sums(sums) if sums.is_file() else ())}
    with folders.publishing(target, ours.__contains__, beside=_beside(target)) as folder:
        yield folder


def settle(target: Path) -> None:
    """Finish what a killed run had written to the end, and remove what it had not.

    Raises:
        UsageFault: The target is a file, or another process is writing it.
    """
    folders.settle(target, beside=_beside(target))


def _beside(target: Path) -> tuple[Path, Path]:
    return truth_path(target), checksum_path(target)


def _require_replaceable(target: Path) -> None:
    """Refuse to replace what is no dataset of ours.

    Raises:
        UsageFault: It is a folder that holds something else.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UsageFault(
            f"{target} would be replaced as a whole, but it is no dataset of rocov2-build: "
            f"{MANIFEST} is missing; name another folder with out"
        )
