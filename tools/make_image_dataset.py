"""Lay out openly licensed pictures as a dataset folder in the ROCOv2 layout, labels as concepts.

    OUT/
      {train,valid,test}/<ID>.jpg
      {train,valid,test}_{captions,concepts,concepts_manual}.csv
      cui_mapping.csv  license_information.csv

Modality, and region and direction of X-rays, are the concepts, as in ROCOv2. A group, which is a patient, an
article or a series, stays in one split; a hash of its name and the seed draws the split. With sources left
out, the test split is those sources, and the others are trained on; a modality that one source alone has is
split by group nevertheless, or it would be missing on one side. Pictures without a modality are left out.

Captions are made of the labels by templates, or with --captions are real ones, of other pictures: each
picture gets a caption that names its modality and no other; but for PET, which is rarely named without CT.
No article has captions in two splits.

Usage: python tools/make_image_dataset.py IMAGES [IMAGES ...] OUT [--leave-out SOURCE ...] [--captions ROCO]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path

from baselines.looking import MODALITY_WORDS, named
from rocov2_eval.editions import DIRECTION_CUIS, LABELS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.shelf.csv_files import read_rows, write_csv

# Upper ends of the shares of the groups. With sources left out, no other is tested on.
SHARES: Mapping[str, float] = {"train": 0.7, "valid": 0.8, "test": 1.0}
COLUMNS = ("file", "source", "group", "licence", "modality", "region", "direction", "credit")
TEMPLATES = (
    "{modality}{region}{direction}.",
    "{modality} image{region}{direction}.",
    "An image by {modality}{region}{direction}.",
    "This {modality}{region}{direction}.",
)
XRAY, PET = "C1306645", "C0032743"

Row = Mapping[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Write the dataset folder and say how many pictures of which source went where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+", help="folders with images.csv and files/")
    parser.add_argument("out", type=Path, help="folder to write, which must not exist")
    parser.add_argument(
        "--leave-out", metavar="SOURCE", nargs="+", default=[], help="test on these, train on the others"
    )
    parser.add_argument("--most", type=int, help="largest number of pictures of one source and one label set")
    parser.add_argument("--captions", type=Path, help="folder with captions.csv and figures.csv of ROCO")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    options = parser.parse_args(arguments)
    rows = [row for folder in options.images for row in pictures_of(folder)]
    sources = sorted({row["source"] for row in rows})
    for source in set(options.leave_out) - set(sources):
        parser.error(f"--leave-out {source}: no such source, expected {', '.join(sources)}")
    if options.out.exists():
        parser.error(f"{options.out} exists already: name a new folder")
    rows = fewer(rows, options.most, options.seed)
    splits = splits_of(rows, options.seed, options.leave_out)
    captions = real_captions(options.captions, rows, splits, options.seed) if options.captions else {}
    for split in SHARES:
        chosen = [row for row, place in zip(rows, splits, strict=True) if place == split]
        write_split(options.out, split, chosen, captions)
    write_csv(options.out / "cui_mapping.csv", ("CUI", "Canonical name"), sorted(names().items()))
    attributions = [(Path(row["file"]).stem, "", f"{row['licence']} [{row['credit']}]", "") for row in rows]
    write_csv(options.out / "license_information.csv", ("ID", "PMCID", "Attribution", "Link"), attributions)
    counts = Counter(
        (split, row["source"], LABELS[row["modality"]]) for split, row in zip(splits, rows, strict=True)
    )
    for place, count in sorted(counts.items()):
        print(*place, count, sep="\t", file=sys.stderr)
    return 0


def pictures_of(folder: Path) -> list[Row]:
    """Return the rows with a modality, with the path of each picture; another table ends the script."""
    path = folder / "images.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lacking = [name for name in COLUMNS if not rows or name not in rows[0]]
    if lacking:
        sys.exit(f"{path}: no column {', '.join(lacking)}")
    return [{**row, "path": str(folder / "files" / row["file"])} for row in rows if row["modality"]]


def fewer(rows: Sequence[Row], most: int | None, seed: int) -> list[Row]:
    """Return at most so many pictures of each source and label set, drawn by a hash of their names."""
    kept: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: drawn(seed, row["file"])):
        kept[row["source"], *concepts_of(row)].append(row)
    return [row for alike in kept.values() for row in alike[:most]]


def splits_of(rows: Sequence[Row], seed: int, left_out: Sequence[str]) -> list[str]:
    """Return the split of each picture."""
    sources = defaultdict(set)
    for row in rows:
        sources[row["modality"]].add(row["source"])
    return [_split_of(row, seed, left_out if len(sources[row["modality"]]) > 1 else ()) for row in rows]


def _split_of(row: Row, seed: int, left_out: Sequence[str]) -> str:
    if row["source"] in left_out:
        return "test"
    place = drawn(seed, f"{row['source']}:{row['group']}")
    if left_out:
        place *= SHARES["valid"]
    return next(split for split, end in SHARES.items() if place < end)


def drawn(seed: int, name: str) -> float:
    """Return a number in [0, 1) that depends on the seed and a name alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def real_captions(folder: Path, rows: Sequence[Row], splits: Sequence[str], seed: int) -> dict[str, str]:
    """Return a caption by file: of the modality of the picture, and of an article of its split alone.

    Where a split has fewer captions of a modality than pictures, captions stand at several pictures.
    """
    articles = {row["roco_id"]: row["pmcid"] for _, row in read_rows(folder / "figures.csv")}
    pool: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, row in read_rows(folder / "captions.csv", ("ID", "Caption")):
        modalities = named(row["Caption"], MODALITY_WORDS)
        if PET in modalities:
            modalities = frozenset({PET})
        if len(modalities) == 1:
            place = drawn(seed, articles[row["ID"]])
            split = next(split for split, end in SHARES.items() if place < end)
            pool[split, *modalities].append(row["Caption"])
    endless: dict[tuple[str, str], Iterator[str]] = {key: cycle(captions) for key, captions in pool.items()}
    return {
        row["file"]: next(endless[split, row["modality"]]) for row, split in zip(rows, splits, strict=True)
    }


def write_split(out: Path, split: str, rows: Sequence[Row], captions: Mapping[str, str]) -> None:
    """Write the pictures and tables of one split."""
    (out / split).mkdir(parents=True)
    for row in rows:
        shutil.copyfile(row["path"], out / split / row["file"])
    ids = [Path(row["file"]).stem for row in rows]
    cells = [";".join(concepts_of(row)) for row in rows]
    for table in ("concepts", "concepts_manual"):
        write_csv(out / f"{split}_{table}.csv", ("ID", "CUIs"), list(zip(ids, cells, strict=True)))
    said = [captions.get(row["file"]) or caption_of(row) for row in rows]
    write_csv(out / f"{split}_captions.csv", ("ID", "Caption"), list(zip(ids, said, strict=True)))


def concepts_of(row: Row) -> list[str]:
    """Return the CUIs of a picture."""
    columns = ("modality", "region", "direction") if row["modality"] == XRAY else ("modality",)
    return [row[name] for name in columns if row[name]]


def caption_of(row: Row) -> str:
    """Return a caption that says what the labels say; which template is used depends on the file's name."""
    digest = hashlib.sha256(row["file"].encode()).digest()
    region = f" of the {LABELS[row['region']]}" if row["region"] else ""
    direction = f", {LABELS[row['direction']]} view" if row["direction"] else ""
    return TEMPLATES[digest[0] % len(TEMPLATES)].format(
        modality=LABELS[row["modality"]], region=region, direction=direction
    )


def names() -> dict[str, str]:
    """Return the canonical name of every concept that may occur."""
    return {**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS}


if __name__ == "__main__":
    sys.exit(main())
