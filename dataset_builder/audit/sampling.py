"""Draw what raters judge: automatic concepts by stratum, decoys among them, and images for missed concepts.

A stratum is a semantic type, or a type within a modality. Images for missed concepts come first, each image
of a stratum with the same chance; concepts are drawn from the other images alone, because the concepts of an
image stand beside it when raters look for missed ones, and would tell them which of its concepts elsewhere is
a decoy.
Nothing here depends on the order in which the images are given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeVar

import numpy as np

from dataset_builder.audit.population import NO_TYPE, AuditedImage, Concept
from dataset_builder.audit.strata import Stratum, allocate
from rocov2_eval.errors import UsageFault

Kind = Literal["automatic", "decoy", "missed", "unseen", "unseen-images"]
_ID_BYTES = 6
_MOST_DECOYS = 0.5

Pair = tuple[str, str]  # image id, CUI
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Item:
    """What a rater judges, with what no rater may know.

    Attributes:
        item: Its id, which tells nothing; empty for `unseen` and `unseen-images`.
        kind: `automatic`: a concept of the image. `decoy`: a concept that the image does not have. `missed`:
            an image and all its concepts. `unseen`: no item, but a stratum of which no concept was drawn.
            `unseen-images`: likewise a modality of which no image was.
        image: Id of the image in the dataset.
        cui: The concept; else empty.
        types: Semantic type of the concept; of images those that are asked about.
        modality: Of the stratum.
        population: Automatic concepts of the stratum in the whole dataset; of images those of it.
    """

    item: str
    kind: Kind
    image: str
    cui: str
    types: tuple[str, ...]
    modality: str
    population: int

    @property
    def stratum(self) -> Stratum:
        """What it was drawn from."""
        is_image = self.kind in ("missed", "unseen-images")
        return Stratum(type="" if is_image else self.types[0], modality=self.modality)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How many are drawn; the numbers are our own.

    Attributes:
        concepts: Automatic concepts in all.
        least: From each stratum, as far as it has them.
        most: From each stratum; None for no limit.
        decoys: Their share of the concepts that raters see, up to one half.
        images: Images for missed concepts.
        least_images: From each modality where these are strata, up to half of its images.
        asked: Semantic types that are asked about in each of these, the most frequent ones.
        ask: These types instead.
        by_modality: A stratum is a type within a modality.
        seed: Who has it and the dataset can draw the sample again, and so knows the decoys.
    """

    concepts: int = 1000
    least: int = 20
    most: int | None = None
    decoys: float = 0.2
    images: int = 100
    least_images: int = 5
    asked: int = 10
    ask: tuple[str, ...] = ()
    by_modality: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("concepts", "least", "images", "least_images", "asked", "seed"):
            if getattr(self, name) < 0:
                raise UsageFault(f"{name} is {getattr(self, name)}, expected 0 or more")
        if self.most is not None and self.most < max(self.least, 1):
            raise UsageFault(f"most is {self.most}, expected at least {max(self.least, 1)} as least says")
        if not 0 <= self.decoys <= _MOST_DECOYS:
            raise UsageFault(f"decoys is {self.decoys:g}, expected a share from 0 to {_MOST_DECOYS:g}")
        if not self.concepts and not self.images:
            raise UsageFault("neither concepts nor images are to be drawn, expected some of either")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was drawn.

    Attributes:
        items: By id, which is no order at all; then the strata of which nothing was drawn.
        decoys_short: Decoys that could not be had, because every image has the concepts of the stratum.
    """

    items: tuple[Item, ...]
    decoys_short: int = 0

    def of_kind(self, kind: Kind) -> list[Item]:
        """Return the items of one kind."""
        return [item for item in self.items if item.kind == kind]


@dataclass(kw_only=True)
class _Draw:
    """The state of one draw: its source of chance and the ids it has handed out."""

    generator: np.random.Generator
    ids: set[str] = field(default_factory=set)

    def shuffled(self, things: Sequence[T]) -> Iterator[T]:
        for index in self.generator.permutation(len(things)):
            yield things[index]

    def some(self, things: Sequence[T], number: int) -> list[T]:
        return [things[index] for index in self.generator.choice(len(things), number, replace=False)]

    def new_id(self) -> str:
        while (item := self.generator.bytes(_ID_BYTES).hex()) in self.ids:
            pass
        self.ids.add(item)
        return f"q{item}"  # the letter keeps spreadsheets from taking it for a number


def draw_sample(
    images: Sequence[AuditedImage], concepts: Mapping[str, Concept], options: SampleOptions
) -> Sample:
    """Draw a sample.

    Args:
        images: The whole dataset, as far as its concepts are known.
        concepts: Type by CUI; a concept that is not in it has none.
        options: How many.

    Raises:
        UsageFault: There are fewer things than asked for, or the numbers do not go together.
    """
    draw = _Draw(generator=np.random.default_rng(options.seed))
    images = sorted(images, key=lambda image: image.image_id)
    strata = _pairs_by_stratum(images, concepts, by_modality=options.by_modality)
    if not strata:
        raise UsageFault("no image has an automatic concept: there is nothing to audit")
    missed, unseen_images = _missed(images, _asked(strata, options), options, draw)
    looked_at = {item.image for item in missed}
    rest = {image.image_id: image for image in images if image.image_id not in looked_at}
    left = {
        stratum: [pair for pair in pairs if pair[0] not in looked_at] for stratum, pairs in strata.items()
    }
    automatic = _automatic(strata, left, options, draw)
    decoys, short = _decoys(automatic, left, rest, options, draw)
    items = sorted((*missed, *automatic, *decoys), key=lambda item: item.item)
    return Sample(items=(*items, *_unseen(strata, automatic), *unseen_images), decoys_short=short)


def _pairs_by_stratum(
    images: Sequence[AuditedImage], concepts: Mapping[str, Concept], *, by_modality: bool
) -> dict[Stratum, list[Pair]]:
    pairs = defaultdict(list)
    for image in images:
        modality = image.modality if by_modality else ""
        for cui in image.automatic:
            kind = concepts[cui].type if cui in concepts else NO_TYPE
            pairs[Stratum(type=kind, modality=modality)].append((image.image_id, cui))
    return {stratum: pairs[stratum] for stratum in sorted(pairs, key=lambda it: (it.type, it.modality))}


def _asked(strata: Mapping[Stratum, Sequence[Pair]], options: SampleOptions) -> tuple[str, ...]:
    """Return the types that are asked about: as named, or the most frequent ones."""
    sizes: Counter[str] = Counter()
    for stratum, pairs in strata.items():
        sizes[stratum.type] += len(pairs)
    del sizes[NO_TYPE]
    unknown = [name for name in options.ask if name not in sizes]
    if unknown:
        known = ", ".join(sorted(sizes)) or "none"
        raise UsageFault(f"no automatic concept is of the type {', '.join(unknown)}; there are {known}")
    if options.ask:
        return tuple(dict.fromkeys(options.ask))
    return tuple(sorted(sorted(sizes), key=lambda name: -sizes[name])[: options.asked])


def _missed(
    images: Sequence[AuditedImage], types: tuple[str, ...], options: SampleOptions, draw: _Draw
) -> tuple[list[Item], list[Item]]:
    """Return the images to look through, and the modalities of which none was drawn."""
    if not options.images:
        return [], []
    if not types:
        raise UsageFault(
            "no semantic type is known, so that nobody can be asked for missed concepts of one: name a table "
            "of types with --types, or ask for no images"
        )
    groups = defaultdict(list)
    for image in images:
        groups[Stratum(modality=image.modality if options.by_modality else "")].append(image)
    if options.images >= len(images) and options.concepts:
        raise UsageFault(
            f"{options.images:,} images for missed concepts leave none of {len(images):,} for the concepts: "
            "ask for fewer"
        )
    sizes = {stratum: len(groups[stratum]) for stratum in sorted(groups, key=str)}
    least = options.least_images if options.by_modality else 0
    numbers = allocate(sizes, options.images, least=least, halved=True)
    drawn = [
        _image_item("missed", stratum, types, sizes[stratum], (draw.new_id(), image.image_id))
        for stratum, number in numbers.items()
        for image in draw.some(groups[stratum], number)
    ]
    unseen = [
        _image_item("unseen-images", stratum, types, sizes[stratum])
        for stratum, number in numbers.items()
        if not number
    ]
    return drawn, unseen


def _image_item(
    kind: Kind,
    stratum: Stratum,
    types: tuple[str, ...],
    population: int,
    drawn: tuple[str, str] = ("", ""),
) -> Item:
    """Return an item about an image; `drawn` is its id and that of the image."""
    return Item(
        item=drawn[0],
        kind=kind,
        image=drawn[1],
        cui="",
        types=types,
        modality=stratum.modality,
        population=population,
    )


def _automatic(
    strata: Mapping[Stratum, Sequence[Pair]],
    left: Mapping[Stratum, Sequence[Pair]],
    options: SampleOptions,
    draw: _Draw,
) -> list[Item]:
    if not options.concepts:
        return []
    sizes = {stratum: len(pairs) for stratum, pairs in left.items()}
    numbers = allocate(sizes, options.concepts, least=options.least, most=options.most)
    return [
        _concept_item("automatic", pair, stratum, len(strata[stratum]), draw)
        for stratum, number in numbers.items()
        for pair in draw.some(left[stratum], number)
    ]


def _decoys(
    automatic: Sequence[Item],
    left: Mapping[Stratum, Sequence[Pair]],
    images: Mapping[str, AuditedImage],
    options: SampleOptions,
    draw: _Draw,
) -> tuple[list[Item], int]:
    """Return decoys in proportion to the concepts drawn of each stratum, and how many could not be had."""
    drawn = Counter(item.stratum for item in automatic)
    total = round(len(automatic) * options.decoys / (1 - options.decoys))
    items = []
    for stratum, number in allocate(drawn, total).items():
        held = {image for image, _ in left[stratum]}
        elsewhere = [
            image.image_id
            for image in images.values()
            if image.image_id not in held and stratum.modality in ("", image.modality)
        ]
        used: set[Pair] = set()
        for _ in range(number):
            pair = _decoy(left[stratum], elsewhere, images, used, draw)
            if pair is None:
                break
            used.add(pair)
            items.append(_concept_item("decoy", pair, stratum, 0, draw))
    return items, total - len(items)


def _decoy(
    pairs: Sequence[Pair],
    elsewhere: Sequence[str],
    images: Mapping[str, AuditedImage],
    used: set[Pair],
    draw: _Draw,
) -> Pair | None:
    """Return a concept of the stratum by frequency, and an image without it that has another of the stratum.

    So neither the concept nor the image gives the decoy away. Where all images of the stratum have the
    concept, another image is taken.
    """
    for cui in dict.fromkeys(cui for _, cui in draw.shuffled(pairs)):
        within = (image_id for image_id, _ in draw.shuffled(pairs))
        for image_id in chain(within, draw.shuffled(elsewhere)):
            image = images[image_id]
            if cui not in image.automatic and cui not in image.manual and (image_id, cui) not in used:
                return image_id, cui
    return None


def _concept_item(kind: Kind, pair: Pair, stratum: Stratum, population: int, draw: _Draw) -> Item:
    image, cui = pair
    return Item(
        item=draw.new_id(),
        kind=kind,
        image=image,
        cui=cui,
        types=(stratum.type,),
        modality=stratum.modality,
        population=population,
    )


def _unseen(strata: Mapping[Stratum, Sequence[Pair]], automatic: Sequence[Item]) -> list[Item]:
    """Return the strata of which no concept was drawn, so that a score can say what it does not cover."""
    drawn = {item.stratum for item in automatic}
    return [
        Item(
            item="",
            kind="unseen",
            image="",
            cui="",
            types=(stratum.type,),
            modality=stratum.modality,
            population=len(pairs),
        )
        for stratum, pairs in strata.items()
        if stratum not in drawn
    ]
