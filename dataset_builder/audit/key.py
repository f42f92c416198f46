"""The key of an audit: which item is which. It is secret until all answers are in."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from dataset_builder.audit.sampling import Item, Kind, Sample, SampleOptions
from rocov2_eval import __version__
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

KEY, DESIGN = "key.csv", "design.json"
HEADER = ("item", "kind", "image", "cui", "types", "modality", "population")
_UNSEEN: tuple[Kind, ...] = ("unseen", "unseen-images")  # strata without an item
_ID = re.compile(r"q[0-9a-f]{12}")
_POPULATION = re.compile(r"[0-9]{1,12}")


def write_secrets(folder: Path, sample: Sample, options: SampleOptions, **facts: Any) -> None:  # noqa: ANN401
    """Write the key and how it was drawn into a folder that only its owner may open.

    folder/
      key.csv        item,kind,image,cui,types,modality,population
      design.json    the options, the seed among them, and what else is told

    Args:
        folder: It is made.
        sample: What was drawn.
        options: How.
        facts: Told beside the options.
    """
    folder.mkdir(mode=0o700, parents=True)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(map(_row, sample.items))
    design = {
        "schema_version": 1,
        "tool": {"name": "rocov2-build", "version": __version__},
        "options": asdict(options),
        **facts,
    }
    for name, text in ((KEY, buffer.getvalue()), (DESIGN, json.dumps(design, indent=2) + "\n")):
        write_text(folder / name, text)
        (folder / name).chmod(0o600)


def read_key(path: Path) -> dict[str, Item]:
    """Return the items of a key by id; a stratum of which nothing was drawn by its number.

    Raises:
        RejectedInput: It is no key, or a row of it is broken.
    """
    items: dict[str, Item] = {}
    for line, row in read_rows(path, HEADER):
        item = _item(f"{path}:{line}", row)
        if item.item in items:
            raise RejectedInput(f"{path}:{line}: item {item.item} stands twice, expected once")
        items[item.item or f"unseen-{line}"] = item
    if not items:
        raise RejectedInput(f"{path}: no item, expected the {KEY} that `audit sample` wrote")
    return items


def _row(item: Item) -> tuple[str, ...]:
    return (
        *(item.item, item.kind, item.image, item.cui, ";".join(item.types), item.modality),
        str(item.population),
    )


def _item(place: str, row: Mapping[str, str]) -> Item:
    kind = next((kind for kind in get_args(Kind) if kind == row["kind"]), None)
    if kind is None:
        listed = ", ".join(get_args(Kind))
        raise RejectedInput(f"{place}: kind {shorten(row['kind'])!r}, expected one of {listed}")
    if not (_ID.fullmatch(row["item"]) or (kind in _UNSEEN and not row["item"])):
        raise RejectedInput(f"{place}: item {shorten(row['item'])!r}, expected q and 12 hexadecimal digits")
    if not _POPULATION.fullmatch(row["population"]):
        raise RejectedInput(f"{place}: population {shorten(row['population'])!r}, expected a whole number")
    if kind != "decoy" and not int(row["population"]):
        raise RejectedInput(f"{place}: population 0, expected 1 or more")
    types = tuple(part for part in row["types"].split(";") if part)
    if not types:
        raise RejectedInput(f"{place}: no semantic type, expected one")
    return Item(
        item=row["item"],
        kind=kind,
        image=row["image"],
        cui=row["cui"],
        types=types,
        modality=row["modality"],
        population=int(row["population"]),
    )
