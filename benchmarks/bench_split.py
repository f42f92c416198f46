"""Our split against iterative-stratification and StratifiedGroupKFold, and 80,000 image hashes.

The first library knows labels but no groups, the second groups but one class an image. All three divide the
same made dataset: articles whose images are mostly of one kind, 21 labels counted like ROCOv2's.

Hashes of random bits share few bands of bits; those of real pictures share many, above all X-rays of one part
of the body. So each band is also drawn from those of real pictures. Of these there are some hundreds or
thousands only, and what is drawn from so few repeats more than 80,000 pictures do: that errs against us.
"""

from __future__ import annotations

import argparse
import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from measure import SHARED, machine, seconds, table
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

from dataset_builder.fingerprints import (
    BITS,
    DEFAULT_DISTANCE,
    examine,
    first_of_each,
    near_pairs,
)
from dataset_builder.records import ImageFacts
from dataset_builder.stages.split import Member, SplitOptions, divide

SPLITS = ("train", "valid", "test")
SHARES = (0.75, 0.125, 0.125)
FOLDS = 8  # two of them make valid and test
# Chance of each modality, of each region and direction of an X-ray.
MODALITIES = {
    "CT": 0.354,
    "X-ray": 0.27,
    "ultrasound": 0.148,
    "MRI": 0.141,
    "angiogram": 0.0413,
    "combined": 0.034,
    "PET": 0.0105,
    "OCT": 0.0012,
}
REGIONS = {
    "chest": 0.357,
    "lower limb": 0.16,
    "skull": 0.141,
    "abdomen": 0.104,
    "upper limb": 0.069,
    "spine": 0.056,
    "pelvis": 0.053,
    "breast": 0.0085,
}
DIRECTIONS = {"AP": 0.46, "PA": 0.165, "sagittal": 0.105, "oblique": 0.02, "transverse": 0.0048}
PREFER_SAME = 0.7  # chance that an image is of the kind of the article's first


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=80_000)
    parser.add_argument("--articles", type=int, default=47_000)
    arguments = parser.parse_args()
    members = dataset(arguments.images, arguments.articles)
    print(machine())
    methods: list[tuple[str, Callable[[Sequence[Member]], np.ndarray]]] = [
        ("rocov2-build", ours),
        ("iterative-stratification 0.1.9, by image", by_image),
        (f"StratifiedGroupKFold({FOLDS}) on the combined labels", by_group),
    ]
    rows = [measured(name, method, members) for name, method in methods]
    print(table(["split", "largest label deviation", "mean", "leaked articles", "seconds"], rows))
    header = [
        f"{arguments.images:,} hashes like those of",
        "distance",
        "pairs compared",
        "clusters",
        "seconds",
    ]
    models: dict[str, np.ndarray | None] = {"random bits": None}
    if SHARED.is_dir():
        models |= {f"{len(hashes):,} {name}": hashes for name, hashes in real_hashes().items()}
    rows = [
        hashes_row(arguments.images, distance, name, hashes)
        for name, hashes in models.items()
        for distance in (2, DEFAULT_DISTANCE, 8)
    ]
    print(table(header, rows))
    if SHARED.is_dir():
        print(
            table(["X-rays", "change", "median distance", "90 %", f"at most {DEFAULT_DISTANCE}"], changed())
        )
        print(
            table(["distance", "same X-ray found in the other collection", "other pairs"], two_collections())
        )


def dataset(images: int, articles: int) -> list[Member]:
    """Return images of articles whose sizes fall off geometrically, every article with at least one."""
    chance = np.random.default_rng(1)
    extra = chance.geometric(0.35, articles)
    owner = np.concatenate([np.arange(articles), np.repeat(np.arange(articles), extra)[: images - articles]])
    owner = np.concatenate([owner, chance.integers(articles, size=max(images - len(owner), 0))])[:images]
    kind_of = chance.choice(list(MODALITIES), articles, p=normalised(MODALITIES))
    own = chance.choice(list(MODALITIES), images, p=normalised(MODALITIES))
    kinds = np.where(chance.random(images) < PREFER_SAME, kind_of[owner], own)
    return [
        Member(image_id=f"image_{i:06d}", article=f"PMC{article}", labels=labels(str(kind), chance))
        for i, (article, kind) in enumerate(zip(owner, kinds, strict=True))
    ]


def normalised(chances: dict[str, float]) -> list[float]:
    """Return chances that add up to 1."""
    return [value / sum(chances.values()) for value in chances.values()]


def labels(kind: str, chance: np.random.Generator) -> tuple[str, ...]:
    """Return the modality and, of an X-ray, perhaps its region and its direction."""
    if kind != "X-ray":
        return (kind,)
    drawn = [kind]
    for chances in (REGIONS, DIRECTIONS):
        place = int(np.searchsorted(np.cumsum(list(chances.values())), chance.random()))
        drawn += list(chances)[place : place + 1]
    return tuple(drawn)


def ours(members: Sequence[Member]) -> np.ndarray:
    """Return the split of each image, as an index."""
    splits = divide(members, SplitOptions(shares=dict(zip(SPLITS, SHARES, strict=True)), seed=1))
    return np.array([SPLITS.index(splits[member.image_id]) for member in members])


def by_image(members: Sequence[Member]) -> np.ndarray:
    """Split by labels alone: two folds of eight are valid and test."""
    marks = marked(members)[0]
    folds = MultilabelStratifiedKFold(FOLDS, shuffle=True, random_state=1).split(marks, marks)
    return from_folds([test for _, test in folds], len(members))


def by_group(members: Sequence[Member]) -> np.ndarray:
    """Split by the combination of labels as one class, articles whole."""
    combined = [";".join(sorted(member.labels)) for member in members]
    groups = [member.article for member in members]
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=1).split(combined, combined, groups)
    return from_folds([test for _, test in folds], len(members))


def from_folds(folds: Sequence[np.ndarray], images: int) -> np.ndarray:
    """Take the first fold for valid and the second for test."""
    splits = np.zeros(images, np.int64)
    splits[folds[0]], splits[folds[1]] = 1, 2
    return splits


def marked(members: Sequence[Member]) -> tuple[np.ndarray, list[str]]:
    """Return which image has which label, shape (images, labels), and the labels."""
    names = sorted({label for member in members for label in member.labels})
    marks = np.zeros((len(members), len(names)), np.int64)
    for i, member in enumerate(members):
        for label in member.labels:
            marks[i, names.index(label)] = 1
    return marks, names


def measured(
    name: str, method: Callable[[Sequence[Member]], np.ndarray], members: Sequence[Member]
) -> list[str]:
    """Return a row: deviations and leaks, counted here and not by the method itself."""
    results: list[np.ndarray] = []
    took = seconds(lambda: results.append(method(members)))
    splits, marks = results[0], marked(members)[0]
    held = np.stack([marks[splits == split].sum(axis=0) for split in range(len(SPLITS))])
    deviations = np.abs(held / marks.sum(axis=0) - np.array(SHARES)[:, None])
    seen = defaultdict(set)
    for member, split in zip(members, splits.tolist(), strict=True):
        seen[member.article].add(split)
    leaked = sum(len(places) > 1 for places in seen.values())
    return [name, f"{deviations.max():.4f}", f"{deviations.mean():.4f}", f"{leaked:,}", f"{took:.2f}"]


def hashes_row(images: int, distance: int, name: str, model: np.ndarray | None) -> list[str]:
    """Cluster made hashes of which one in forty is another with one bit changed."""
    chance = np.random.default_rng(2)
    if model is None:
        hashes = chance.integers(0, 1 << 64, images, dtype=np.uint64)
    else:
        hashes = drawn(model, images, distance, chance)
    copies = images // 40
    bits = np.uint64(1) << chance.integers(0, 64, copies, dtype=np.uint64)
    hashes[-copies:] = hashes[:copies] ^ bits
    results: list[np.ndarray] = []
    took = seconds(lambda: results.append(first_of_each(images, near_pairs(hashes, distance))))
    clusters = len(np.unique(results[0]))
    return [name, str(distance), f"{compared(hashes, distance):,}", f"{clusters:,}", f"{took:.2f}"]


def drawn(model: np.ndarray, images: int, distance: int, chance: np.random.Generator) -> np.ndarray:
    """Return hashes whose bands are each drawn from those of the model, one independent of the other."""
    hashes = np.zeros(images, np.uint64)
    for mask in bands(distance):
        hashes |= chance.choice(model, images) & mask
    return hashes


def compared(hashes: np.ndarray, distance: int) -> int:
    """Return how many pairs of different hashes share a band, those that share several counted as often."""
    distinct = np.unique(hashes)
    counts = [np.unique(distinct & mask, return_counts=True)[1] for mask in bands(distance)]
    return sum(int((count * (count - 1) // 2).sum()) for count in counts)


def bands(distance: int) -> list[np.uint64]:
    """Return the mask of each band of bits that `near_pairs` looks for at a distance."""
    edges = np.linspace(0, BITS, distance + 2).round().astype(int).tolist()
    return [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]


def real_hashes() -> dict[str, np.ndarray]:
    """Return different hashes of real pictures: X-rays of the chest, and whatever there is."""
    xrays = [*collection("hannover_").values(), *collection("covid_").values()]
    every = [*collection("").values()]
    return {
        name: np.unique(hashes_of([path.read_bytes() for path in paths]))
        for name, paths in (("pictures of many kinds", every), ("chest X-rays", xrays))
    }


def changed() -> list[list[str]]:
    """Show how far a change moves the hash of a real X-ray."""
    pictures = [path.read_bytes() for path in collection("hannover_").values()]
    before = hashes_of(pictures)
    rows = []
    for change, call in (("half the size, JPEG 40", halved), ("2.5 % cut off each side", cropped)):
        moved = np.bitwise_count(before ^ hashes_of([call(picture) for picture in pictures]))
        found = f"{(moved <= DEFAULT_DISTANCE).mean():.0%}"
        rows.append(
            [f"{len(pictures)}", change, *(f"{np.quantile(moved, q):.0f}" for q in (0.5, 0.9)), found]
        )
    return rows


def two_collections() -> list[list[str]]:
    """Show how many X-rays that two collections have both, one of them cropped, are found at which distance.

    The same X-ray has the same name in both. Any two others of both collections together must stay apart.
    """
    paths = {prefix: collection(prefix) for prefix in ("hannover_", "covid_")}
    names = [name for each in paths.values() for name in each]
    hashes = hashes_of([path.read_bytes() for each in paths.values() for path in each.values()])
    first, second = np.triu_indices(len(names), 1)
    apart = np.bitwise_count(hashes[first] ^ hashes[second])
    same = np.array([names[i] == names[j] for i, j in zip(first.tolist(), second.tolist(), strict=True)])
    return [
        [str(most), f"{(same & (apart <= most)).sum()} of {same.sum()}", f"{(~same & (apart <= most)).sum()}"]
        for most in (2, 4, 6, 8, 10)
    ]


def collection(prefix: str) -> dict[str, Path]:
    """Return the image files of a collection by their name without its prefix."""
    paths = sorted(SHARED.glob(f"images/files/{prefix}*"))
    return {path.stem.removeprefix(prefix): path for path in paths}


def hashes_of(pictures: Sequence[bytes]) -> np.ndarray:
    """Return the perceptual hash of each image file that has one."""
    found = [examine(picture) for picture in pictures]
    hashes = [each.perceptual for each in found if isinstance(each, ImageFacts)]
    return np.array([each for each in hashes if each is not None], np.uint64)


def halved(content: bytes) -> bytes:
    """Return the picture at half its size, strongly compressed."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return saved(picture.resize((picture.width // 2, picture.height // 2)), 40)


def cropped(content: bytes) -> bytes:
    """Return the picture without a thin margin."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    across, down = round(picture.width * 0.025), round(picture.height * 0.025)
    return saved(picture.crop((across, down, picture.width - across, picture.height - down)), 90)


def saved(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
