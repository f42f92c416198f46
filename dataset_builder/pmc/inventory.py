"""Every article of the service, from the newest of its daily inventories.

An inventory has some seven million rows in 230 MB; it is fetched part by part into a temporary folder and
read as a stream, and of each key only the number of its PMCID is kept.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote_plus

import numpy as np

from dataset_builder.pmc.client import FetchFailed, PmcClient
from dataset_builder.pmc.layout import (
    LayoutChanged,
    Manifest,
    article_and_version,
    manifest_key,
    read_manifest,
)
from dataset_builder.records import Media
from dataset_builder.store import Store
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.words import shorten

CHOICE = "cache/inventory"
NUMBERS = "cache/inventory.npy"
_MOST_DAYS_BACK = 8  # the newest manifest may still be missing, and one before it as well
_MOST_UNKNOWN = 0.01  # of the keys; more of them are another layout


def inventory_numbers(client: PmcClient, store: Store, *, today: date) -> IntArray:
    """Return the numbers of all PMCIDs of the service, ascending, each once, shape (n,).

    The inventory chosen first is remembered in the store and used again, whatever has been published since.

    Args:
        client: Open connection to the service.
        store: Files of the build.
        today: The inventory of this day is asked for first, then those of the days before.

    Raises:
        FetchFailed: There is no inventory, or it cannot be had.
        LayoutChanged: It is not what this program knows.
        RejectedInput: What the store remembers is damaged.
    """
    chosen = store.read(CHOICE)
    numbers = store.read(NUMBERS) if chosen else None
    if numbers is not None:
        return _saved(numbers)
    if chosen:
        key = chosen.decode(errors="replace")
    else:
        key = _newest(client, today)
        store.remove(NUMBERS)  # of one that was forgotten
        store.write(CHOICE, key.encode())
    found = _numbers(client, key)
    buffer = io.BytesIO()
    np.save(buffer, found, allow_pickle=False)
    store.write(NUMBERS, buffer.getvalue())
    return found


def forget_inventory(store: Store) -> None:
    """Forget which inventory was chosen: the next time the newest one is."""
    store.remove(CHOICE)
    store.remove(NUMBERS)


def _saved(content: bytes) -> IntArray:
    try:
        numbers: IntArray = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise RejectedInput(f"{NUMBERS}: {error}; remove it to read the inventory again") from None
    return numbers


def _newest(client: PmcClient, today: date) -> str:
    """Return the key of the newest manifest."""
    for days in range(_MOST_DAYS_BACK + 1):
        key = manifest_key(today - timedelta(days=days))
        if client.read(key) is not None:
            return key
    first = manifest_key(today - timedelta(days=_MOST_DAYS_BACK))
    raise LayoutChanged(f"no inventory from {first} to {today.isoformat()}; give a list of articles instead")


def _numbers(client: PmcClient, key: str) -> IntArray:
    """Return the numbers in all parts of an inventory."""
    content = client.read(key)
    if content is None:
        message = f"{key}: the service does not keep this inventory any more"
        raise FetchFailed(f"{message}; remove {CHOICE} from the build to choose a newer one")
    manifest = read_manifest(content, key)
    numbers = array("q")
    n_unknown = 0
    unknown = ""
    with tempfile.TemporaryDirectory(prefix="rocov2-inventory-") as folder:
        for part in manifest.files:
            for row_key in _keys(client, part, manifest, Path(folder)):
                known = article_and_version(row_key)
                if known is None:
                    n_unknown, unknown = n_unknown + 1, row_key
                else:
                    numbers.append(known[0])
    if n_unknown > _MOST_UNKNOWN * (n_unknown + len(numbers)):
        message = f"{n_unknown:,} of {n_unknown + len(numbers):,} keys are no metadata of an article"
        raise LayoutChanged(f"{key}: {message}, such as {shorten(unknown)!r}")
    if not numbers:
        raise LayoutChanged(f"{key}: the inventory contains no article")
    return np.unique(np.array(numbers, np.int64))


def _keys(client: PmcClient, part: Media, manifest: Manifest, folder: Path) -> Iterator[str]:
    """Yield the keys of one part of an inventory, which spells blanks and the like as addresses do."""
    path = folder / "part.csv.gz"
    if not client.fetch(part, path):
        raise FetchFailed(f"{part.key}: the manifest names it, but it cannot be fetched")
    line = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for line, cells in enumerate(csv.reader(file), start=1):
                if len(cells) != manifest.n_columns:
                    message = f"{len(cells)} columns, expected {manifest.n_columns}"
                    raise LayoutChanged(f"{part.key}:{line}: {message}")
                yield unquote_plus(cells[manifest.key_column])
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError, csv.Error) as error:
        raise LayoutChanged(f"{part.key}:{line + 1}: {error}, expected gzipped CSV") from None
