"""What the report counts: pure functions of figures, each of which sees only what it is given."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dataset_builder.concepts.extraction import CaptionConcepts, ExtractionSummary, summarise
from dataset_builder.filters.captions import n_words
from dataset_builder.gates import in_usual_order, modality_of
from dataset_builder.records import Figure
from rocov2_eval.rendering.svg import Bin

RARE = 0.01  # a modality with a smaller share of the images is listed as rare; our own bound
USUAL_SPLITS = ("train", "valid", "test")
_MOST_CONCEPTS = 15  # the last bar takes those and more
_WORDS_A_BIN, _MOST_WORDS = 5, 100
_SIDES = (0, 256, 512, 768, 1024, 1536, 2048, 4096)
_MOST_YEARS = 20
_IMAGES_OF_A_CONCEPT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many there are of something, and their share of all; 0 where there is nothing at all."""

    name: str
    number: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What was found in captions, and what became of it.

    Attributes:
        summary: Mentions, kept and removed.
        gave_way: Automatic concepts of images that gave way to a manual modality.
        conflicts: Manual answers that do not go with what else is known of the image.
        resolved: Those of them of which the weaker side was left out.
        rare: Different concepts that too few images have.
        rare_pairs: Concepts of images that were left out for that.
    """

    summary: ExtractionSummary
    gave_way: int
    conflicts: int
    resolved: int
    rare: int
    rare_pairs: int


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A number that each image has.

    Attributes:
        bins: Ascending, without gaps; none where no image has the number.
        known: Images that have it.
        unknown: Images that do not.
        mean, median, low, high: Of the known ones, None where there are none.
    """

    bins: tuple[Bin, ...]
    known: int
    unknown: int
    mean: float | None
    median: float | None
    low: int | None
    high: int | None


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """Images by group and split.

    Attributes:
        splits: In the usual order.
        rows: By group, one count for each split: the share is of the split.
        totals: By group: the share is of all images.
    """

    splits: tuple[str, ...]
    rows: Mapping[str, tuple[Count, ...]]
    totals: Mapping[str, Count]


@dataclass(frozen=True, kw_only=True)
class SplitSize:
    """A split.

    Attributes:
        split: Its name; empty for figures without one.
        images: Its images.
        articles: Articles they come from.
        concepts: Different concepts of its images.
        deviation: The largest deviation of a manual concept, as `split.LabelShare` has it, from what would
            be in proportion to the split's actual size; None where there is no manual concept.
        label: The manual concept that deviates most; None as above.
        holders: Images of all splits with it.
    """

    split: str
    images: int
    articles: int
    concepts: int
    deviation: float | None
    label: str | None
    holders: int


@dataclass(frozen=True, kw_only=True)
class RareModality:
    """A modality that few images show: their number, share, and the articles they come from."""

    name: str
    images: int
    share: float
    articles: int


@dataclass(frozen=True, kw_only=True)
class ConceptCounts:
    """How many concepts the images of a modality have.

    Attributes:
        name: The modality; `all` for all images.
        images: Its images.
        assignments: Concepts of each image, added up.
        distinct: Different concepts.
        manual_alone: Images with manual concepts and no automatic one.
        without: Images without any concept.
    """

    name: str
    images: int
    assignments: int
    distinct: int
    manual_alone: int
    without: int

    @property
    def mean(self) -> float | None:
        """Concepts per image, None where there is no image."""
        return self.assignments / self.images if self.images else None


def licences(figures: Sequence[Figure]) -> tuple[Count, ...]:
    """Return the licences, the most frequent first."""
    return _ranked(Counter(figure.licence for figure in figures), len(figures))


def splits_of(figures: Iterable[Figure]) -> tuple[str, ...]:
    """Return the splits that occur: train, valid and test first, then others by name."""
    held = {figure.split for figure in figures}
    return (*(split for split in USUAL_SPLITS if split in held), *sorted(held.difference(USUAL_SPLITS)))


def modalities_by_split(figures: Sequence[Figure]) -> Crossed:
    """Return the images of each modality in each split, in the usual order of modalities."""
    modalities = list(map(modality_of, figures))
    splits = splits_of(figures)
    sizes = Counter(figure.split for figure in figures)
    cells = Counter((modality, figure.split) for modality, figure in zip(modalities, figures, strict=True))
    totals = Counter(modalities)
    order = in_usual_order(modalities)
    return Crossed(
        splits=splits,
        rows={
            name: tuple(_count(split, cells[name, split], sizes[split]) for split in splits) for name in order
        },
        totals={name: _count(name, totals[name], len(figures)) for name in order},
    )


def split_sizes(figures: Sequence[Figure]) -> tuple[SplitSize, ...]:
    """Return the splits, in the usual order."""
    parts: dict[str, list[Figure]] = {split: [] for split in splits_of(figures)}
    for figure in figures:
        parts[figure.split].append(figure)
    holders = _label_counts(figures)
    return tuple(_split_size(split, part, holders, len(figures)) for split, part in parts.items())


def concepts_per_image(figures: Sequence[Figure]) -> Distribution:
    """Return how many different concepts the images have; an image without any has 0."""
    edges = range(_MOST_CONCEPTS + 1)
    return _distribution([len(set(figure.concepts)) for figure in figures], edges, 0)


def caption_words(figures: Sequence[Figure]) -> Distribution:
    """Return how many words the captions have."""
    edges = range(0, _MOST_WORDS + 1, _WORDS_A_BIN)
    return _distribution([n_words(figure.caption) for figure in figures], edges, 0)


def longer_sides(figures: Sequence[Figure]) -> Distribution:
    """Return the longer sides of the images, in pixels."""
    seen = [figure.image for figure in figures if figure.image is not None]
    return _distribution([max(image.width, image.height) for image in seen], _SIDES, len(figures) - len(seen))


def years(figures: Sequence[Figure]) -> Distribution:
    """Return the years in which the articles of the images appeared; the first bar takes all earlier ones."""
    known = [figure.year for figure in figures if figure.year is not None]
    unknown = len(figures) - len(known)
    if not known:
        return _distribution([], (), unknown)
    first = max(min(known), max(known) - _MOST_YEARS + 1)
    edges = range(first, max(known) + 1)
    return _distribution(known, edges, unknown, has_last=True)


def single_concept(figures: Sequence[Figure]) -> tuple[Count, tuple[Count, ...]]:
    """Return the images with one concept alone: all of them, and by modality with the share of each."""
    single = [figure for figure in figures if len(set(figure.concepts)) == 1]
    of = Counter(map(modality_of, figures))
    held = Counter(map(modality_of, single))
    rows = tuple(_count(name, held[name], of[name]) for name in in_usual_order(list(of)))
    return _count("all", len(single), len(figures)), rows


def concept_counts(figures: Sequence[Figure]) -> tuple[ConceptCounts, ...]:
    """Return how many concepts the images have: all of them first, then by modality in the usual order."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(modality_of(figure), []).append(figure)
    rows = ((name, groups[name]) for name in in_usual_order(list(groups)))
    return tuple(_concept_counts(name, group) for name, group in (("all", figures), *rows))


def images_per_concept(figures: Sequence[Figure]) -> Distribution:
    """Return how many images the concepts have: a distribution over concepts, not over images."""
    held = Counter(cui for figure in figures for cui in set(figure.concepts))
    return _distribution(list(held.values()), _IMAGES_OF_A_CONCEPT, 0)


def extraction(figures: Sequence[Figure]) -> Extraction | None:
    """Return what was found in the captions and what became of it; None where nothing was looked for."""
    if not any(figure.mentions or figure.removed for figure in figures):
        return None
    outcomes = (CaptionConcepts(kept=figure.mentions, removed=figure.removed) for figure in figures)
    conflicts = [conflict for figure in figures for conflict in figure.conflicts]
    return Extraction(
        summary=summarise(outcomes),
        gave_way=sum(len(figure.gave_way) for figure in figures),
        conflicts=len(conflicts),
        resolved=sum(conflict.resolved for conflict in conflicts),
        rare=len({cui for figure in figures for cui in figure.rare}),
        rare_pairs=sum(len(figure.rare) for figure in figures),
    )


def rare_modalities(figures: Sequence[Figure], bound: float = RARE) -> tuple[RareModality, ...]:
    """Return the modalities with a share of the images below a bound, the rarest first."""
    images = Counter(map(modality_of, figures))
    articles = Counter(modality for modality, _ in {(modality_of(each), each.pmcid) for each in figures})
    rare = [name for name in in_usual_order(list(images)) if images[name] < bound * len(figures)]
    return tuple(
        RareModality(
            name=name, images=images[name], share=images[name] / len(figures), articles=articles[name]
        )
        for name in sorted(rare, key=images.__getitem__)
    )


def frequent_concepts(figures: Sequence[Figure], most: int) -> tuple[Count, ...]:
    """Return the concepts that most images have, by CUI."""
    held = Counter(cui for figure in figures for cui in set(figure.concepts))
    return _ranked(held, len(figures))[:most]


def _concept_counts(name: str, group: Sequence[Figure]) -> ConceptCounts:
    concepts = [set(figure.concepts) for figure in group]
    return ConceptCounts(
        name=name,
        images=len(group),
        assignments=sum(map(len, concepts)),
        distinct=len(set().union(*concepts)),
        manual_alone=sum(
            bool(held) and held <= set(figure.manual_concepts)
            for held, figure in zip(concepts, group, strict=True)
        ),
        without=sum(not held for held in concepts),
    )


def _split_size(split: str, part: Sequence[Figure], holders: Mapping[str, int], n_figures: int) -> SplitSize:
    held = _label_counts(part)
    deviations = {
        label: (held[label] - total * len(part) / n_figures) / total for label, total in holders.items()
    }
    label = max(sorted(deviations), key=lambda name: abs(deviations[name]), default=None)
    return SplitSize(
        split=split,
        images=len(part),
        articles=len({figure.pmcid for figure in part}),
        concepts=len({cui for figure in part for cui in figure.concepts}),
        deviation=None if label is None else deviations[label],
        label=label,
        holders=0 if label is None else holders[label],
    )


def _label_counts(figures: Iterable[Figure]) -> Counter[str]:
    return Counter(cui for figure in figures for cui in set(figure.manual_concepts))


def _ranked(counts: Counter[str], of: int) -> tuple[Count, ...]:
    """Return counts, the largest first, equal ones by name."""
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return tuple(_count(name, counts[name], of) for name in ordered)


def _count(name: str, number: int, of: int) -> Count:
    return Count(name=name, number=number, share=number / of if of else 0.0)


def _distribution(
    values: Sequence[int], edges: Sequence[int], unknown: int, *, has_last: bool = False
) -> Distribution:
    """Return values in bins.

    Args:
        values: One for each image that has one.
        edges: Lower ends, ascending; the last bin is open, and the first takes what is lower.
        unknown: Images without a value.
        has_last: The last bin ends at the last edge: no value is larger.
    """
    numbers = Counter(max(bisect_right(edges, value) - 1, 0) for value in values)
    return Distribution(
        bins=tuple(
            Bin(label=label, words=words, number=numbers[i])
            for i, (label, words) in enumerate(_labels(edges, min(values), has_last=has_last))
        )
        if values
        else (),
        known=len(values),
        unknown=unknown,
        mean=statistics.fmean(values) if values else None,
        median=statistics.median(values) if values else None,
        low=min(values, default=None),
        high=max(values, default=None),
    )


def _labels(edges: Sequence[int], lowest: int, *, has_last: bool) -> list[tuple[str, str]]:
    """Return label and words of each bin."""
    labels = [
        (str(low), str(low) if high - low == 1 else f"{low:,} to {high - 1:,}")
        for low, high in pairwise(edges)
    ]
    last = str(edges[-1])
    labels.append((last, last) if has_last else (f"{last}+", f"{edges[-1]:,} or more"))
    if lowest < edges[0]:
        labels[0] = (f"\N{LESS-THAN OR EQUAL TO}{edges[0]}", f"{edges[0]} or earlier")
    return labels
