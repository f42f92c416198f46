"""Train the two small image filters that come with the builder, and write their model cards.

    dataset_builder/stages/models/
        radiology.onnx  radiology.md
        compound.onnx   compound.md

Usage: python tools/train_default_filters.py IMAGES [--work FOLDER] [--out FOLDER] [--only TASK]

IMAGES holds `images.csv` (columns file, source, group, licence, modality, region, radiology, credit) and the
pictures in `files/`. Each finished training stays in the working folder, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import importlib.util
import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import torch
from filter_cards import Judgement, Row, Training, card
from PIL import Image

from baselines.data.decoding import decode
from baselines.filter_pictures import ClassedPictures, divide
from baselines.filters import (
    FilterOptions,
    FilterTraining,
    ImageFilter,
    export_filter,
    judge,
    open_filter,
)
from baselines.training.loop import LAST, TrainingOptions, train
from baselines.training.runtime import opened
from dataset_builder.stages.compound import DEFAULT_THRESHOLD
from dataset_builder.stages.picture_panels import SIDE, panels_seen
from rocov2_eval.command import progress_bar
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.pictures import PixelArray, Unreadable, read_pixels

from compounds import made_figures
from drawings import draw
from make_compounds import figure_pictures

ROOT = Path(__file__).resolve().parent.parent
THRESHOLD = 0.5
SEED = 0
ASIDE = 0.25  # share of the groups that no training sees
CHOSEN_BY = 0.15  # share of the other groups that the best epoch is chosen by
DRAWN = 400
MADE, MADE_ASIDE = 4000, 400
# One collection repeats pictures of another: of one hospital, partly the same files. They are left out.
REPEATED = ("covid_chestxray", "https://github.com/ml-workgroup/covid-19-image-repository")
SHARE_ALIKE = "CC BY-SA 4.0"
# What compound figures are made of. The figures of jose are not single. Share-alike mednist is kept to judge.
POOLS = {"hannover": "chest X-rays", "articles": "chest X-rays", "bccd": "blood smears", "mednist": "mednist"}
HELD_OUT = ("mednist",)
# Sources that a radiology filter is trained without, to see what it makes of them.
LEFT_OUT = ("hannover", "mednist", "bccd", "jose")
# The figures of JOSE that show several pictures, by our eye.
COMPOUND_OF_JOSE = (
    "00185_media_images_fig1",
    "00185_media_images_fig2",
    "00185_media_images_fig3",
    "00185_media_images_fig7",
    "00205_media_Figure1",
    "00240_paper_jats_responses",
    "00286_paper_jats_orbitals",
)
# Squashed, because proportions give sources away: where one is always square, black bars would be a sign.
RADIOLOGY = FilterOptions(task="radiology", side=64, fit="squash", pictures=3072)
COMPOUND = FilterOptions(task="compound", side=128, fit="letterbox", pictures=MADE)
TRAINING = {
    "radiology": TrainingOptions(epochs=8, batch=32, rate=2e-3, average=0.99, warmup=0.1, precision="fp32"),
    "compound": TrainingOptions(epochs=6, batch=32, rate=2e-3, average=0.99, warmup=0.1, precision="fp32"),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where things lie, and what has been trained."""

    images: Path
    work: Path
    out: Path

    def picture(self, row: Row) -> bytes:
        """Return the file of a row."""
        return (self.images / "files" / row["file"]).read_bytes()


def main() -> int:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, help="folder with images.csv and files/")
    parser.add_argument(
        "--work", type=Path, default=Path("default-filters"), help="folder of finished trainings"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dataset_builder/stages/models")
    parser.add_argument("--only", choices=("radiology", "compound"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    place = Place(images=arguments.images, work=arguments.work, out=arguments.out)
    rows = read_rows(place)
    for task, make in (("radiology", train_radiology), ("compound", train_compound)):
        if arguments.only in {None, task}:
            print(make(rows, place))
    return 0


def read_rows(place: Place) -> list[Row]:
    """Return the rows of the table that are used, by a source that stands for itself."""
    with (place.images / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["source"], row["credit"]) != REPEATED]
    return [row | {"source": "articles"} if row["source"] == REPEATED[0] else row for row in rows]


def train_radiology(rows: Sequence[Row], place: Place) -> str:
    """Write the radiology filter and its card; return the card."""
    examples, sources = radiology_examples(rows, place)
    train, aside = divide(examples.groups, ASIDE, seed=0)

    def trained(without: str) -> ImageFilter:
        seen = examples.take(train[sources[train] != without])
        learnt, chosen_by = divide(seen.groups, CHOSEN_BY, seed=1)
        return fitted(RADIOLOGY, seen.take(learnt), seen.take(chosen_by), place, without)

    def judged(judge_name: str, model: ImageFilter, pictures: str, chosen: IntArray) -> Judgement:
        quality = judge(model.scores(examples.pixels[chosen]), examples.answers[chosen], THRESHOLD)
        return Judgement(pictures=pictures, judge=judge_name, quality=quality)

    shipped = trained("nothing")
    table = [judged("this model", shipped, "all, held-out groups", aside)]
    table += [
        judged("this model", shipped, f"{name}, held-out groups", aside[sources[aside] == name])
        for name in dict.fromkeys(sources.tolist())
    ]
    for name in LEFT_OUT:
        left = np.flatnonzero(sources == name)
        others = aside[examples.answers[aside] != examples.answers[left[0]]]
        both = np.concatenate([left, others])
        pictures = f"all of {name}, and held-out groups of the other answer"
        table.append(judged(f"a model that never saw {name}", trained(name), pictures, both))
    for name, files, is_radiology in strangers():
        scores = shipped.scores(np.stack([squared(content, RADIOLOGY) for content in files]))
        quality = judge(scores, np.full(len(files), int(is_radiology)), THRESHOLD)
        table.append(Judgement(pictures=name, judge="this model", quality=quality))
    return ship(shipped, SHARE_ALIKE, place, rows, table, pictures=len(train))


def radiology_examples(rows: Sequence[Row], place: Place) -> tuple[ClassedPictures, np.ndarray]:
    """Return the pictures of the table and drawn ones, and the source of each."""
    files = [place.picture(row) for row in rows] + list(drawn_charts(DRAWN))
    kinds = [(row["source"], row["modality"], row["region"]) for row in rows] + [("drawn", "", "")] * DRAWN
    names = [row["group"] for row in rows] + [str(number) for number in range(DRAWN)]
    sizes = Counter(kinds)
    examples = ClassedPictures(
        pixels=np.stack([squared(content, RADIOLOGY) for content in files]),
        answers=np.array([int(row["radiology"]) for row in rows] + [0] * DRAWN),
        groups=tuple(f"{kind[0]}/{name}" for kind, name in zip(kinds, names, strict=True)),
        weights=np.array([1 / sizes[kind] for kind in kinds]),
    )
    return examples, np.array([kind[0] for kind in kinds])


def train_compound(rows: Sequence[Row], place: Place) -> str:
    """Write the compound filter and its card; return the card."""
    singles = single_pictures(rows, place)
    pools = [name for name in singles if name not in HELD_OUT]

    def trained(without: str) -> ImageFilter:
        seen = [singles[name] for name in pools if name != without]
        learnt = join([figures_of(pool["train"], MADE // len(seen), at) for at, pool in enumerate(seen)])
        chosen_by = join([figures_of(pool["choose"], MADE_ASIDE, 9) for pool in seen])
        return fitted(COMPOUND, learnt, chosen_by, place, without)

    shipped = trained("nothing")
    table = []
    for name in pools:
        made = list(made_figures(singles[name]["aside"], MADE_ASIDE, 10))
        table += judged_figures(shipped, "this model", f"{name}, held-out groups", made)
    for name in HELD_OUT:
        made = list(made_figures(everything(singles[name]), MADE_ASIDE, 10))
        table += judged_figures(shipped, "this model, which never saw them", name, made)
    for name in pools:
        made = list(made_figures(everything(singles[name]), MADE_ASIDE, 10))
        table += judged_figures(trained(name), "a model that never saw them", name, made)[:1]
    real = [
        (place.picture(row), any(part in row["file"] for part in COMPOUND_OF_JOSE))
        for row in rows
        if row["source"] == "jose"
    ]
    table += judged_figures(shipped, "this model", "real figures of jose, none of them seen", real)
    used = [row for row in rows if POOLS.get(row["source"]) in pools]
    return ship(shipped, "Apache-2.0", place, used, table, pictures=MADE)


def single_pictures(rows: Sequence[Row], place: Place) -> dict[str, dict[str, list[Image.Image]]]:
    """Return pictures by pool and by what they are for: to train, to choose the epoch, to judge."""
    used = [row for row in rows if row["source"] in POOLS]
    groups = [f"{row['source']}/{row['group']}" for row in used]
    aside = set(divide(groups, ASIDE, seed=0)[1].tolist())
    choose = set(divide(groups, CHOSEN_BY, seed=1)[1].tolist())
    found: dict[str, dict[str, list[Image.Image]]] = {}
    for number, row in enumerate(used):
        purpose = "aside" if number in aside else "choose" if number in choose else "train"
        pool = found.setdefault(POOLS[row["source"]], {"train": [], "choose": [], "aside": []})
        with Image.open(io.BytesIO(place.picture(row))) as picture:
            pool[purpose].append(picture.convert("RGB"))
    return found


def everything(pool: Mapping[str, list[Image.Image]]) -> list[Image.Image]:
    """Return all pictures of a pool."""
    return [picture for pictures in pool.values() for picture in pictures]


def figures_of(pictures: Sequence[Image.Image], n: int, seed: int) -> ClassedPictures:
    """Return made figures as the compound filter sees them."""
    return figure_pictures(pictures, n, side=COMPOUND.side, fit=COMPOUND.fit, seed=seed)


def join(parts: Sequence[ClassedPictures]) -> ClassedPictures:
    """Return the examples of several pools as one."""
    return ClassedPictures(
        pixels=np.concatenate([part.pixels for part in parts]),
        answers=np.concatenate([part.answers for part in parts]),
        groups=tuple(group for part in parts for group in part.groups),
        weights=np.concatenate([part.weights for part in parts]),
    )


def fitted(
    options: FilterOptions, learnt: ClassedPictures, chosen_by: ClassedPictures, place: Place, without: str
) -> ImageFilter:
    """Return a filter trained on examples, from the working folder where it has been."""
    training = TRAINING[options.task]
    digest = hashlib.sha256(msgspec.json.encode([options, training]))
    for examples in (learnt, chosen_by):
        for part in (examples.pixels, examples.answers, examples.weights):
            digest.update(np.ascontiguousarray(part))
    name = f"{options.task}-without-{without.replace(' ', '-')}"
    folder = place.work / f"{name}-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with opened("cpu", "fp32") as runtime:
        train(
            FilterTraining(options, learnt, chosen_by, SEED),
            training,
            runtime,
            folder,
            SEED,
            lambda facts: print(name, dict(facts), file=sys.stderr),
            progress=progress_bar(f"{name}: steps", every=10),
            resume=(folder / LAST).is_file(),
        )
    return open_filter(folder)


def judged_figures(
    trained: ImageFilter, judge_name: str, pictures: str, figures: Sequence[tuple[bytes, bool]]
) -> list[Judgement]:
    """Return how the network judges figures, and how the builder's hint of layout does."""
    answers = np.array([int(is_compound) for _, is_compound in figures])
    scores = trained.scores(np.stack([squared(content, trained.options) for content, _ in figures]))
    hints = np.array([layout_hint(content) for content, _ in figures])
    hint = "the builder's hint of layout"
    return [
        Judgement(pictures=pictures, judge=judge_name, quality=judge(scores, answers, THRESHOLD)),
        Judgement(pictures=pictures, judge=hint, quality=judge(hints, answers, DEFAULT_THRESHOLD)),
    ]


def ship(
    trained: ImageFilter,
    licence: str,
    place: Place,
    rows: Sequence[Row],
    table: Sequence[Judgement],
    *,
    pictures: int,
) -> str:
    """Write the model file and its card; return the card."""
    task = trained.options.task
    path = place.out / f"{task}.onnx"
    difference = export_filter(trained, path, licence)
    text = card(
        Training(
            filter=trained.options,
            training=TRAINING[task],
            pictures=pictures,
            rows=rows,
            size=path.stat().st_size,
            difference=difference,
            seed=SEED,
            judgements=table,
        )
    )
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    return text


def squared(content: bytes, options: FilterOptions) -> PixelArray:
    """Return a picture file as the network sees it."""
    pixels = decode(content, options.side, options.fit)
    if not isinstance(pixels, np.ndarray):
        raise SystemExit(f"a picture cannot be read: {pixels.detail}")
    return pixels


def drawn_charts(n: int) -> Iterator[bytes]:
    """Yield drawings as JPEG files."""
    for number in range(n):
        random = Random(f"drawn/{number}")  # noqa: S311  no secret
        size = (random.randint(200, 640), random.randint(160, 640))
        file = io.BytesIO()
        draw(random, size).save(file, "JPEG", quality=random.randint(60, 95))
        yield file.getvalue()


def strangers() -> Iterator[tuple[str, list[bytes], bool]]:
    """Yield name, files and answer of pictures that come with packages and are used for nothing but this."""
    for package, read, name, is_radiology in (
        ("skimage", sample_pictures, "photographs and micrographs of scikit-image", False),
        ("nilearn", brain_slices, "slices of the average brain (MR) of nilearn", True),
    ):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            print(f"{package} is not installed: the card will lack {name}", file=sys.stderr)
            continue
        yield name, list(read(Path(spec.submodule_search_locations[0]))), is_radiology


def sample_pictures(package: Path) -> Iterator[bytes]:
    """Yield the pictures of scikit-image, but for the drawn ones and the second of a pair."""
    for path in sorted((package / "data").glob("*")):
        is_left_out = path.stem in {"phantom", "motorcycle_right"} or path.stem.startswith("chessboard")
        if path.suffix in {".png", ".jpg"} and not is_left_out:
            yield path.read_bytes()


def brain_slices(package: Path) -> Iterator[bytes]:
    """Yield slices of the MNI ICBM152 average in three directions, as PNG files."""
    packed = package / "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    with gzip.open(packed) as file:
        content = file.read()
    lengths = np.frombuffer(content[42:48], "<i2")  # NIfTI-1: header of 352 bytes, first axis fastest
    volume = np.frombuffer(content[352:], np.uint8).reshape(tuple(lengths), order="F")
    for axis, length in enumerate(lengths):
        for place in range(length // 4, 3 * length // 4, length // 20):
            file = io.BytesIO()
            Image.fromarray(np.rot90(volume.take(place, axis)).copy()).save(file, "PNG")
            yield file.getvalue()


def layout_hint(content: bytes) -> float:
    """Return the weight that the builder's hint of layout gives a figure."""
    pixels = read_pixels(content, SIDE)
    return 0.0 if isinstance(pixels, Unreadable) else panels_seen(pixels).weight


if __name__ == "__main__":
    sys.exit(main())
