"""Draw the bundled sample and its example runs, or check that the files on disk are theirs.

    rocov2_eval/sample/
        {train,valid,test}/<ID>.jpg
        {train,valid,test}_{captions,concepts,concepts_manual}.csv
        cui_mapping.csv  license_information.csv
    submissions/example-team/
        {most-frequent,nearest-picture,nearest-caption}/{run.csv,submission.json}

Usage: python tools/make_sample.py [--check] [--out FOLDER] [--runs FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from phantoms.canvas import make_plane
from PIL import Image
from specimens import CUIS, SPECIMENS, Specimen

ROOT = Path(__file__).resolve().parent.parent
SPLITS = ("train", "valid", "test")
ATTRIBUTION = "rocov2-eval sample, drawn by tools/make_sample.py"
LINK = "https://www.apache.org/licenses/LICENSE-2.0"
QUALITY = 72
TOLERANCE = 4.5  # mean absolute difference in grey levels: JPEG alone costs 1 to 3
FREQUENT = 2  # concepts that the most-frequent run predicts
THUMBNAIL = (16, 16)

Pixels = npt.NDArray[np.uint8]


def main(arguments: list[str] | None = None) -> int:
    """Write the sample, or compare it with what would be written; 1 if they differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "rocov2_eval/sample")
    parser.add_argument("--runs", type=Path, default=ROOT / "submissions/example-team")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    pictures = {specimen.image_id: draw(specimen) for specimen in SPECIMENS}
    texts = {options.out / name: text for name, text in dataset_texts().items()}
    texts |= {options.runs / name: text for name, text in run_texts(pictures).items()}
    if options.check:
        faults = [*stale_texts(texts), *stale_pictures(options.out, pictures)]
        print("\n".join(faults) or f"{options.out}: up to date", file=sys.stderr)
        return 1 if faults else 0
    for path, text in texts.items():
        write(path, text.encode())
    for specimen in SPECIMENS:
        write(picture_path(options.out, specimen.image_id), encode(pictures[specimen.image_id]))
    print(f"{options.out}: {len(pictures)} pictures", file=sys.stderr)
    return 0


def draw(specimen: Specimen) -> Pixels:
    """Draw a specimen; its seed is its id, so that rows may be added and moved."""
    seed = zlib.crc32(specimen.image_id.encode())
    picture = specimen.draw(make_plane(specimen.size, seed, specimen.bend))
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def dataset_texts() -> dict[str, str]:
    """Make every CSV of the dataset folder, by file name."""
    texts = {}
    for split in SPLITS:
        rows = [specimen for specimen in SPECIMENS if specimen.split == split]
        texts[f"{split}_captions.csv"] = to_csv(
            ("ID", "Caption"), ((row.image_id, row.caption) for row in rows)
        )
        texts[f"{split}_concepts.csv"] = to_csv(
            ("ID", "CUIs"), ((row.image_id, ";".join(row.concepts)) for row in rows)
        )
        texts[f"{split}_concepts_manual.csv"] = to_csv(
            ("ID", "CUIs"), ((row.image_id, ";".join(row.manual_concepts)) for row in rows)
        )
    used = {cui for specimen in SPECIMENS for cui in specimen.concepts}
    names = sorted((cui, name) for name, cui in CUIS.items() if cui in used)
    texts["cui_mapping.csv"] = to_csv(("CUI", "Canonical name"), names)
    texts["license_information.csv"] = to_csv(
        ("ID", "PMCID", "Attribution", "Link"),
        ((specimen.image_id, "", ATTRIBUTION, LINK) for specimen in SPECIMENS),
    )
    return texts


def run_texts(pictures: Mapping[str, Pixels]) -> dict[str, str]:
    """Make the example runs on the valid split, by path below the team's folder."""
    train = [specimen for specimen in SPECIMENS if specimen.split == "train"]
    valid = [specimen for specimen in SPECIMENS if specimen.split == "valid"]
    counts = Counter(cui for specimen in train for cui in specimen.concepts)
    frequent = sorted(counts, key=lambda cui: (-counts[cui], cui))[:FREQUENT]
    nearest = {row.image_id: nearest_picture(row, train, pictures) for row in valid}
    runs = (
        (
            "most-frequent",
            "concepts",
            f"Predicts the {FREQUENT} most frequent concepts of train for every image.",
            [(row.image_id, ";".join(frequent)) for row in valid],
        ),
        (
            "nearest-picture",
            "concepts",
            "Copies the concepts of the training image with the nearest 16 x 16 thumbnail.",
            [(row.image_id, ";".join(nearest[row.image_id].concepts)) for row in valid],
        ),
        (
            "nearest-caption",
            "captions",
            "Copies the caption of the training image with the nearest 16 x 16 thumbnail.",
            [(row.image_id, nearest[row.image_id].caption) for row in valid],
        ),
    )
    texts = {}
    for run, task, method, rows in runs:
        column = "CUIs" if task == "concepts" else "Caption"
        texts[f"{run}/run.csv"] = to_csv(("ID", column), rows)
        texts[f"{run}/submission.json"] = submission(run, task, method)
    return texts


def nearest_picture(specimen: Specimen, train: list[Specimen], pictures: Mapping[str, Pixels]) -> Specimen:
    """Find the training specimen with the most similar thumbnail, the first of equals."""
    own = thumbnail(pictures[specimen.image_id])
    return min(train, key=lambda row: float(((thumbnail(pictures[row.image_id]) - own) ** 2).sum()))


def thumbnail(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Reduce a picture to a few grey levels, whatever its size and colour."""
    grey = Image.fromarray(pixels).convert("L").resize(THUMBNAIL, Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float64)


def submission(run: str, task: str, method: str) -> str:
    """Describe a run as participants do."""
    fields = {
        "schema_version": 1,
        "team": "example-team",
        "run": run,
        "task": task,
        "edition": "rocov2",
        "split": "valid",
        "method": method,
        "external_data": [],
        "contact": "organisers@example.org",
    }
    return json.dumps(fields, indent=2) + "\n"


def to_csv(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write rows as the release does: comma, LF, quotes only where needed."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return lines.getvalue()


def stale_texts(texts: Mapping[Path, str]) -> list[str]:
    """Name the files that are missing or hold another text."""
    return [
        f"{path}: differs from what tools/make_sample.py writes"
        for path, text in texts.items()
        if not path.is_file() or path.read_bytes() != text.encode()
    ]


def stale_pictures(folder: Path, pictures: Mapping[str, Pixels]) -> list[str]:
    """Name the pictures that are missing, unexpected, or not what would be drawn."""
    expected = {picture_path(folder, image_id): pixels for image_id, pixels in pictures.items()}
    faults = [
        f"{path}: belongs to no specimen"
        for split in SPLITS
        for path in sorted((folder / split).glob("*"))
        if path not in expected
    ]
    for path, pixels in expected.items():
        if not path.is_file():
            faults.append(f"{path}: missing")
            continue
        with Image.open(path) as image:
            found = np.asarray(image)
        if found.shape != pixels.shape:
            faults.append(f"{path}: shape {found.shape}, expected {pixels.shape}")
            continue
        difference = float(np.abs(found.astype(int) - pixels.astype(int)).mean())
        if difference > TOLERANCE:
            faults.append(f"{path}: differs by {difference:.1f} grey levels")
    return faults


def picture_path(folder: Path, image_id: str) -> Path:
    """Name the file of an image in a dataset folder."""
    return folder / image_id.split("_")[1] / f"{image_id}.jpg"


def encode(pixels: Pixels) -> bytes:
    """Encode as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write a whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
