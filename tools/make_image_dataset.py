"""Lay out the openly licensed pictures as a dataset folder in the ROCOv2 layout, labels as concepts.

    OUT/
      {train,valid,test}/<ID>.jpg
      {train,valid,test}_{captions,concepts,concepts_manual}.csv
      cui_mapping.csv  license_information.csv

Modality, region and direction of `images.csv` are the concepts; captions are made of them by templates. A
group, which is a patient or a series, stays in one split; a hash of its name and the seed draws the split.
Pictures without a modality, which show no radiology, are left out.

Usage: python tools/make_image_dataset.py IMAGES OUT [--leave-out SOURCE] [--seed N]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rocov2_eval.editions import DIRECTION_CUIS, LABELS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.shelf.csv_files import write_csv

# Upper ends of the shares of the groups. With a source left out, no other is tested on.
SHARES: Mapping[str, float] = {"train": 0.7, "valid": 0.8, "test": 1.0}
COLUMNS = ("file", "source", "group", "licence", "modality", "region", "direction", "credit")
TEMPLATES = (
    "{modality} of the {region}{direction}.",
    "{modality} image showing the {region}{direction}.",
    "The {region} in {modality}{direction}.",
    "{region} {modality}{direction}.",
)

Row = Mapping[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Write the dataset folder and say how many pictures of which source went where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, help="folder with images.csv and files/")
    parser.add_argument("out", type=Path, help="folder to write, which must not exist")
    parser.add_argument("--leave-out", metavar="SOURCE", help="test on this source, train on the others")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    options = parser.parse_args(arguments)
    rows = read_rows(options.images / "images.csv")
    sources = sorted({row["source"] for row in rows})
    if options.leave_out and options.leave_out not in sources:
        parser.error(f"--leave-out {options.leave_out}: no such source, expected {', '.join(sources)}")
    if options.out.exists():
        parser.error(f"{options.out} exists already: name a new folder")
    splits = [split_of(row, options.seed, options.leave_out) for row in rows]
    for split in SHARES:
        chosen = [row for row, place in zip(rows, splits, strict=True) if place == split]
        write_split(options.out, options.images / "files", split, chosen)
    write_csv(options.out / "cui_mapping.csv", ("CUI", "Canonical name"), sorted(names().items()))
    attributions = [(Path(row["file"]).stem, "", f"{row['licence']} [{row['credit']}]", "") for row in rows]
    write_csv(options.out / "license_information.csv", ("ID", "PMCID", "Attribution", "Link"), attributions)
    counts = Counter(zip(splits, (row["source"] for row in rows), strict=True))
    for (split, source), count in sorted(counts.items()):
        print(f"{split}\t{source}\t{count}", file=sys.stderr)
    return 0


def read_rows(path: Path) -> list[Row]:
    """Return the rows with a modality; a table of another kind ends the script."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lacking = [name for name in COLUMNS if not rows or name not in rows[0]]
    if lacking:
        sys.exit(f"{path}: no column {', '.join(lacking)}")
    return [row for row in rows if row["modality"]]


def split_of(row: Row, seed: int, left_out: str | None) -> str:
    """Return the split of a picture; with a source left out the others have no test part."""
    if row["source"] == left_out:
        return "test"
    digest = hashlib.sha256(f"{seed}:{row['source']}:{row['group']}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if left_out:
        place *= SHARES["valid"]
    return next(split for split, end in SHARES.items() if place < end)


def write_split(out: Path, files: Path, split: str, rows: Sequence[Row]) -> None:
    """Write the pictures and tables of one split."""
    (out / split).mkdir(parents=True)
    for row in rows:
        shutil.copyfile(files / row["file"], out / split / row["file"])
    ids = [Path(row["file"]).stem for row in rows]
    cells = [";".join(concepts_of(row)) for row in rows]
    for table in ("concepts", "concepts_manual"):
        write_csv(out / f"{split}_{table}.csv", ("ID", "CUIs"), list(zip(ids, cells, strict=True)))
    captions = [caption_of(row) for row in rows]
    write_csv(out / f"{split}_captions.csv", ("ID", "Caption"), list(zip(ids, captions, strict=True)))


def concepts_of(row: Row) -> list[str]:
    """Return the CUIs of a picture."""
    return [row[name] for name in ("modality", "region", "direction") if row[name]]


def caption_of(row: Row) -> str:
    """Return a caption that says what the labels say; which template is used depends on the file's name."""
    digest = hashlib.sha256(row["file"].encode()).digest()
    direction = f", {LABELS[row['direction']]} view" if row["direction"] else ""
    text = TEMPLATES[digest[0] % len(TEMPLATES)].format(
        modality=LABELS[row["modality"]], region=LABELS[row["region"]], direction=direction
    )
    return text[0].upper() + text[1:]


def names() -> dict[str, str]:
    """Return the canonical name of every concept that may occur."""
    return {**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS}


if __name__ == "__main__":
    sys.exit(main())
