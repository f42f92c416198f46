"""What the report counts: pure functions of figures, each of which sees only what it is given."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dataset_builder.concepts.extraction import CaptionConcepts, ExtractionSummary, summarise
from dataset_builder.gates import in_usual_order, modality_of
from dataset_builder.records import SPLITS, Figure
from rocov2_eval.rendering.svg import Bin
from rocov2_eval.shelf.words import n_words

_MOST_CONCEPTS = 15  # the last bar takes those and more
_WORDS_A_BIN, _MOST_WORDS = 5, 100
_SIDES = (0, 256, 512, 768, 1024, 1536, 2048, 4096)
_MOST_YEARS = 20


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
        summary: Counts of mentions, kept and removed.
        gave_way: Number of concepts of images that gave way to a manual modality.
        conflicts: Number of manual answers that do not go with what else is known of the image.
        resolved: Number of conflicts of which the weaker side was left out.
        rare: Number of different concepts that too few images have.
        rare_pairs: Number of concepts of images that were left out because too few images have them.
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
        known: Number of images that have the number.
        unknown: Number of images that do not have it.
        mean: Mean of the known numbers, None where there are none.
        median: Median of the known numbers, None where there are none.
        low: Smallest known number, None where there are none.
        high: Largest known number, None where there are none.
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
        splits: Names of the splits in the usual order.
        rows: By group, one count for each split, as a share of the split.
        totals: By group, the count of all images, as a share of all images.
    """

    splits: tuple[str, ...]
    rows: Mapping[str, tuple[Count, ...]]
    totals: Mapping[str, Count]


@dataclass(frozen=True, kw_only=True)
class SplitSize:
    """A split.

    Attributes:
        split: Name of the split; empty for figures without one.
        images: Number of images in the split.
        articles: Number of articles that these images come from.
        concepts: Number of different concepts of these images.
        deviation: Images with the manual concept that deviates most, beyond what would be in proportion to
            the split's size, as a fraction of all images with it; None where there is no manual concept.
        label: CUI of the manual concept that deviates most; None where there is no manual concept.
        holders: Number of images of all splits with that concept.
    """

    split: str
    images: int
    articles: int
    concepts: int
    deviation: float | None
    label: str | None
    holders: int


@dataclass(frozen=True, kw_only=True)
class ConceptCounts:
    """How many concepts the images of a modality have.

    Attributes:
        name: Name of the modality; `all` for all images.
        images: Number of images of the modality.
        assignments: Number of concepts of each image, added up.
        distinct: Number of different concepts.
        single: Number of images with one concept alone.
        manual_alone: Number of images with manual concepts and no automatic one.
        without: Number of images without any concept.
    """

    name: str
    images: int
    assignments: int
    distinct: int
    single: int
    manual_alone: int
    without: int

    @property
    def mean(self) -> float | None:
        """Concepts per image, None where there is no image."""
        return self.assignments / self.images if self.images else None


def licences(figures: Sequence[Figure]) -> tuple[Count, ...]:
    """Return the licences, the most frequent first."""
    return _ranked(Counter(figure.licence.code for figure in figures), len(figures))


def splits_of(figures: Iterable[Figure]) -> tuple[str, ...]:
    """Return the splits that occur: train, valid and test first, then others by name."""
    names = {figure.assignment.split for figure in figures}
    return (*(split for split in SPLITS if split in names), *sorted(names.difference(SPLITS)))


def modalities_by_split(figures: Sequence[Figure]) -> Crossed:
    """Return the images of each modality in each split, in the usual order of modalities."""
    modalities = list(map(modality_of, figures))
    splits = splits_of(figures)
    sizes = Counter(figure.assignment.split for figure in figures)
    cells = Counter(
        (modality, figure.assignment.split) for modality, figure in zip(modalities, figures, strict=True)
    )
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
        parts[figure.assignment.split].append(figure)
    holders = _label_counts(figures)
    return tuple(_split_size(split, part, holders, len(figures)) for split, part in parts.items())


def concepts_per_image(figures: Sequence[Figure]) -> Distribution:
    """Return how many different concepts the images have; an image without any has 0."""
    edges = range(_MOST_CONCEPTS + 1)
    return _distribution([len(figure.concepts.cuis) for figure in figures], edges, 0)


def caption_words(figures: Sequence[Figure]) -> Distribution:
    """Return how many words the captions have."""
    edges = range(0, _MOST_WORDS + 1, _WORDS_A_BIN)
    return _distribution([n_words(figure.text.caption) for figure in figures], edges, 0)


def longer_sides(figures: Sequence[Figure]) -> Distribution:
    """Return the longer sides of the images, in pixels."""
    seen = [figure.image for figure in figures if figure.image is not None]
    return _distribution([max(image.width, image.height) for image in seen], _SIDES, len(figures) - len(seen))


def years(figures: Sequence[Figure]) -> Distribution:
    """Return the years in which the articles of the images appeared; the first bar takes all earlier ones."""
    known = [figure.article.year for figure in figures if figure.article.year is not None]
    unknown = len(figures) - len(known)
    if not known:
        return _distribution([], (), unknown)
    first = max(min(known), max(known) - _MOST_YEARS + 1)
    edges = range(first, max(known) + 1)
    return _distribution(known, edges, unknown, has_last=True)


def concept_counts(figures: Sequence[Figure]) -> tuple[ConceptCounts, ...]:
    """Return how many concepts the images have: all of them first, then by modality in the usual order."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(modality_of(figure), []).append(figure)
    rows = ((name, groups[name]) for name in in_usual_order(list(groups)))
    return tuple(_concept_counts(name, group) for name, group in (("all", figures), *rows))


def extraction(figures: Sequence[Figure]) -> Extraction | None:
    """Return what was found in the captions and what became of it; None where nothing was looked for."""
    if not any(figure.concepts.mentions or figure.concepts.removed for figure in figures):
        return None
    outcomes = (
        CaptionConcepts(kept=figure.concepts.mentions, removed=figure.concepts.removed) for figure in figures
    )
    conflicts = [conflict for figure in figures for conflict in figure.concepts.conflicts]
    return Extraction(
        summary=summarise(outcomes),
        gave_way=sum(len(figure.concepts.gave_way) for figure in figures),
        conflicts=len(conflicts),
        resolved=sum(conflict.resolved for conflict in conflicts),
        rare=len({cui for figure in figures for cui in figure.concepts.rare}),
        rare_pairs=sum(len(figure.concepts.rare) for figure in figures),
    )


def frequent_concepts(figures: Sequence[Figure], most: int) -> tuple[Count, ...]:
    """Return the concepts that most images have, by CUI."""
    images = Counter(cui for figure in figures for cui in figure.concepts.cuis)
    return _ranked(images, len(figures))[:most]


def _concept_counts(name: str, group: Sequence[Figure]) -> ConceptCounts:
    concepts = [figure.concepts for figure in group]
    return ConceptCounts(
        name=name,
        images=len(group),
        assignments=sum(len(each.cuis) for each in concepts),
        distinct=len({cui for each in concepts for cui in each.cuis}),
        single=sum(len(each.cuis) == 1 for each in concepts),
        manual_alone=sum(bool(each.manual) and not each.automatic for each in concepts),
        without=sum(not each.cuis for each in concepts),
    )


def _split_size(split: str, part: Sequence[Figure], holders: Mapping[str, int], n_figures: int) -> SplitSize:
    images = _label_counts(part)
    deviations = {
        label: (images[label] - total * len(part) / n_figures) / total for label, total in holders.items()
    }
    label = max(sorted(deviations), key=lambda name: abs(deviations[name]), default=None)
    return SplitSize(
        split=split,
        images=len(part),
        articles=len({figure.pmcid for figure in part}),
        concepts=len({cui for figure in part for cui in figure.concepts.cuis}),
        deviation=None if label is None else deviations[label],
        label=label,
        holders=0 if label is None else holders[label],
    )


def _label_counts(figures: Iterable[Figure]) -> Counter[str]:
    return Counter(cui for figure in figures for cui in set(figure.concepts.manual))


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
