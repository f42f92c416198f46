"""Draw what raters of a blind audit judge: automatic concepts, decoys among them, and images.

The strata are semantic types. Images that raters search for missed concepts come first, a simple random
sample. Concepts are drawn from the other images alone: the list of concepts beside an image would tell which
concept of it is a decoy elsewhere. Nothing depends on the order in which the images are given.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import numpy as np

from dataset_builder.concepts.identifiers import cui_fault, cuis_of_cell, tui_fault
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import counted, shorten

NO_TYPE = "untyped"  # of a concept whose semantic type no table names
DECOYS = 0.2  # of the concepts that raters see; our own number, as are the next two
LEAST = 20  # automatic concepts of each type, as far as it has them
ASKED = 10  # semantic types, the most frequent ones, that raters are asked about in an image
_ID_BYTES = 6

Kind = Literal["automatic", "decoy", "missed"]
Pair = tuple[str, str]  # image id, CUI
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class AuditedImage:
    """An image of the dataset.

    Attributes:
        image_id: Id of the image in the dataset.
        automatic: CUIs of the image that are not manual, in their order.
        manual: CUIs of the image that raters of the dataset chose.
    """

    image_id: str
    automatic: tuple[str, ...]
    manual: tuple[str, ...] = ()


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a rater judges at once, with what no rater may know.

    Attributes:
        item: Id of the item, which tells nothing about it.
        kind: `automatic`: a concept of the image. `decoy`: a concept that the image does not have. `missed`:
            an image that is searched for concepts that are missing.
        image: Id of the image in the dataset.
        cui: The concept that is judged; empty for `missed`.
        type: Semantic type of the concept; empty for `missed`.
        automatic: For `missed`, the number of automatic concepts of the image by semantic type.
    """

    item: str
    kind: Kind
    image: str
    cui: str = ""
    type: str = ""
    automatic: dict[str, int] = {}


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was drawn, and so which item is which: secret until all answers are in.

    Attributes:
        schema_version: Version of this document.
        seed: Seed of the draw; who has it and the dataset can draw the sample again.
        population: Number of automatic concepts in the dataset by semantic type.
        asked: Semantic types that raters are asked about in each image that they search.
        items: What was drawn, by id, which is no order at all.
    """

    schema_version: Literal[1] = 1
    seed: int
    population: dict[str, int]
    asked: tuple[str, ...]
    items: tuple[Item, ...]

    def of_kind(self, kind: Kind) -> list[Item]:
        """Return the items of one kind."""
        return [item for item in self.items if item.kind == kind]


def read_images(folder: Path) -> list[AuditedImage]:
    """Return the images of a dataset in the ROCOv2 layout, of the splits whose concepts it holds, by id.

    Raises:
        UsageFault: The folder has no tables of concepts.
        RejectedInput: A table is broken, an image stands twice, or a manual table lacks one.
    """
    tables = sorted(folder.glob("*_concepts.csv"))
    if not tables:
        raise UsageFault(f"{folder}: no table such as train_concepts.csv, expected a dataset folder")
    concepts: dict[str, tuple[str, ...]] = {}
    manual: dict[str, tuple[str, ...]] = {}
    for table in tables:
        manual_table = table.with_name(f"{table.stem}_manual.csv")
        if not manual_table.is_file():
            raise UsageFault(f"{manual_table}: no such table, expected it beside {table.name}")
        _read_cells(table, concepts)
        _read_cells(manual_table, manual)
        lacking = sorted(concepts.keys() - manual.keys())
        if lacking:
            raise RejectedInput(
                f"{manual_table}: no row of {counted(len(lacking), 'image')} of {table.name}, such as "
                f"{shorten(lacking[0])}, expected one for each"
            )
    return [
        AuditedImage(
            image_id=image_id,
            automatic=tuple(cui for cui in concepts[image_id] if cui not in manual[image_id]),
            manual=manual[image_id],
        )
        for image_id in sorted(concepts)
    ]


def read_types(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the semantic type and the name of concepts, by CUI; of several types the first in order.

    Args:
        path: CSV file with the columns `cui` and `types`, and perhaps `name`: a table of concepts, or what
            `concepts extract` wrote, where a concept stands as often as it was found.

    Raises:
        RejectedInput: The file is broken, or has two rows about one concept with different types.
    """
    types: dict[str, str] = {}
    names: dict[str, str] = {}
    for line, row in read_rows(path, ("cui", "types")):
        place, cui = f"{path}:{line}", row["cui"].strip()
        tuis = sorted(filter(None, re.split(r"[;|,\s]+", row["types"])))
        if fault := cui_fault(cui) or next(filter(None, map(tui_fault, tuis)), ""):
            raise RejectedInput(f"{place}: {fault}")
        tui = tuis[0] if tuis else NO_TYPE
        if types.setdefault(cui, tui) != tui:
            raise RejectedInput(
                f"{place}: {cui} is of type {tui}, above of {types[cui]}; expected rows that agree"
            )
        if name := row.get("name", "").strip():
            names[cui] = name
    return types, names


def draw(images: Sequence[AuditedImage], types: Mapping[str, str], *, n: int, missed: int, seed: int) -> Key:
    """Draw a sample.

    Args:
        images: All images of the dataset.
        types: Semantic type by CUI; a concept that is not in it counts as `untyped`.
        n: Number of automatic concepts to draw, as far as there are so many.
        missed: Number of images to search for missed concepts.
        seed: Equal seeds draw equal samples of equal datasets.

    Raises:
        UsageFault: There is nothing to draw from, or the images leave none for the concepts.
    """
    generator = np.random.default_rng(seed)
    images = sorted(images, key=lambda image: image.image_id)
    population = Counter(types.get(cui, NO_TYPE) for image in images for cui in image.automatic)
    if not population:
        raise UsageFault("no image has an automatic concept: nothing to audit")
    by_size = sorted(population.keys() - {NO_TYPE}, key=lambda name: (-population[name], name))
    asked = tuple(by_size[:ASKED])
    if missed and not asked:
        raise UsageFault("no concept has a semantic type: name a table of types with --types")
    if missed >= len(images):
        raise UsageFault(
            f"{counted(missed, 'image')} for missed concepts leave none of {len(images):,} for the concepts: "
            "lower --missed"
        )
    mixed = [images[index] for index in generator.permutation(len(images))]
    searched, others = mixed[:missed], {image.image_id: image for image in mixed[missed:]}
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for image in others.values():
        for cui in image.automatic:
            pairs[types.get(cui, NO_TYPE)].append((image.image_id, cui))
    numbers = allocate({name: len(pairs[name]) for name in sorted(pairs)}, n, LEAST)
    automatic = [
        (name, pairs[name][index])
        for name, number in numbers.items()
        for index in generator.choice(len(pairs[name]), number, replace=False)
    ]
    judged: list[tuple[Kind, str, Pair]] = [("automatic", *each) for each in automatic]
    judged += [("decoy", *each) for each in _decoys(numbers, pairs, others, generator)]
    ids = iter(_ids(len(searched) + len(judged), generator))
    items = [
        *(
            Item(item=next(ids), kind="missed", image=image.image_id, automatic=_numbers(image, types))
            for image in searched
        ),
        *(
            Item(item=next(ids), kind=kind, image=image_id, cui=cui, type=name)
            for kind, name, (image_id, cui) in judged
        ),
    ]
    return Key(
        seed=seed,
        population=dict(population.most_common()),
        asked=asked if missed else (),
        items=tuple(sorted(items, key=lambda item: item.item)),
    )


def allocate(sizes: Mapping[str, int], total: int, least: int = 0) -> dict[str, int]:
    """Share out a number of draws: some to each stratum, and the rest in proportion to what the strata have.

    Args:
        sizes: What each stratum has.
        total: Number of draws; fewer where the strata have not so many.
        least: Draws of each stratum, as far as it has them and the total is enough for all.
    """
    least = min(least, total // len(sizes)) if sizes else 0
    given = {name: min(size, least) for name, size in sizes.items()}
    rest = {name: size - given[name] for name, size in sizes.items()}
    left = min(total - sum(given.values()), sum(rest.values()))
    of = max(sum(rest.values()), 1)
    shares = {name: left * size // of for name, size in rest.items()}
    by_remainder = sorted(rest, key=lambda name: (-(left * rest[name] % of), name))
    for name in by_remainder[: left - sum(shares.values())]:
        shares[name] += 1
    return {name: given[name] + shares[name] for name in sizes}


def _decoys(
    drawn: Mapping[str, int],
    pairs: Mapping[str, Sequence[Pair]],
    images: Mapping[str, AuditedImage],
    generator: np.random.Generator,
) -> Iterator[tuple[str, Pair]]:
    """Yield decoys with their types, in proportion to the automatic concepts that were drawn of each type."""
    used: set[Pair] = set()
    total = round(sum(drawn.values()) * DECOYS / (1 - DECOYS))
    for name, number in allocate(drawn, total, 0).items():
        for _ in range(number):
            pair = _decoy(pairs[name], images, used, generator)
            if pair is None:
                break
            used.add(pair)
            yield name, pair


def _decoy(
    pairs: Sequence[Pair],
    images: Mapping[str, AuditedImage],
    used: set[Pair],
    generator: np.random.Generator,
) -> Pair | None:
    """Return a concept of a type by frequency, and an image without it that has another concept of the type.

    So neither the concept nor the image gives the decoy away. Where there is no such image, any other without
    the concept is taken. None where there is none at all.
    """
    for cui in dict.fromkeys(cui for _, cui in _shuffled(pairs, generator)):
        of_type = (image_id for image_id, _ in _shuffled(pairs, generator))
        for image_id in chain(of_type, _shuffled([*images], generator)):
            image = images[image_id]
            if cui not in (*image.automatic, *image.manual) and (image_id, cui) not in used:
                return image_id, cui
    return None


def _shuffled(things: Sequence[T], generator: np.random.Generator) -> Iterator[T]:
    return (things[index] for index in generator.permutation(len(things)))


def _numbers(image: AuditedImage, types: Mapping[str, str]) -> dict[str, int]:
    return dict(Counter(types.get(cui, NO_TYPE) for cui in image.automatic))


def _ids(number: int, generator: np.random.Generator) -> list[str]:
    """Return different ids that tell nothing; the letter keeps spreadsheets from taking one for a number."""
    ids: dict[str, None] = {}
    while len(ids) < number:
        ids[f"q{generator.bytes(_ID_BYTES).hex()}"] = None
    return list(ids)


def _read_cells(table: Path, cells: dict[str, tuple[str, ...]]) -> None:
    """Add the CUIs of each image of a table."""
    for line, row in read_rows(table, ("ID", "CUIs")):
        place = f"{table}:{line}"
        image_id = row["ID"].strip()
        if not image_id:
            raise RejectedInput(f"{place}: a row without an image id in the column ID")
        if image_id in cells:
            raise RejectedInput(f"{place}: {shorten(image_id)} occurs twice, expected once")
        cells[image_id] = cuis_of_cell(row["CUIs"], place)
