"""Answers of several raters as one array a facet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dataset_builder.facets import FACETS, UNSURE
from dataset_builder.study.annotations import Annotation, Export
from dataset_builder.study.collecting import collect
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.words import shorten

Unsure = Literal["class", "exclude"]

_MOST_CLASSES = 100  # a table has the square of it; nobody chooses from more
_ABSENT = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratings:
    """What raters answered to one facet, on the images that at least two of them answered.

    Attributes:
        facet: Its name.
        classes: The answers that occur, in the order in which the facet offers them, else by name.
        raters: Who answered any of the images, by name.
        codes: Index of each answer in `classes`, -1 for none; shape (images, raters).
        alone: Images left out because only one rater answered.
        unsure: Answers left out because the rater could not tell.
        replaced: Answers left out because the same rater gave another one later, or the same again.
        undecided: Answers left out because the same rater gave different ones, and no time tells the latest.
    """

    facet: str
    classes: tuple[str, ...]
    raters: tuple[str, ...]
    codes: IntArray
    alone: int
    unsure: int
    replaced: int
    undecided: int


def tabulate(annotations: Iterable[Annotation], *, unsure: Unsure = "class") -> list[Ratings]:
    """Return the ratings of each facet: modality, region and direction first, then further ones by name.

    Of several answers of a rater to the same question the latest counts, and none where no time tells it.

    Args:
        annotations: In any order; times in UTC and of one form, as `study.annotations.utc_time` returns them.
        unsure: Whether "cannot tell" is a class of its own or no answer.

    Raises:
        RejectedInput: A value is no answer to its facet, or there are too many to choose from.
    """
    by_facet: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        by_facet[annotation.facet].append(annotation)
    names = [*(name for name in FACETS if name in by_facet), *sorted(by_facet.keys() - FACETS.keys())]
    return [_ratings(name, by_facet[name], unsure) for name in names]


def label_of(facet: str, value: str) -> str:
    """Return what raters read for a value."""
    labels = {choice.value: choice.label for choice in FACETS[facet].choices} if facet in FACETS else {}
    return labels.get(value, value)


def _ratings(facet: str, annotations: list[Annotation], unsure: Unsure) -> Ratings:
    answers, replaced, undecided = _latest(annotations)
    told = {key: cui for key, cui in answers.items() if unsure == "class" or cui != UNSURE}
    by_image: dict[str, dict[str, str]] = defaultdict(dict)
    for (image, rater), cui in told.items():
        by_image[image][rater] = cui
    shared = {image: given for image, given in sorted(by_image.items()) if len(given) > 1}
    classes = _ordered(facet, {cui for given in shared.values() for cui in given.values()})
    raters = tuple(sorted({rater for given in shared.values() for rater in given}))
    return Ratings(
        facet=facet,
        classes=classes,
        raters=raters,
        codes=_codes(shared, classes, raters),
        alone=len(by_image) - len(shared),
        unsure=len(answers) - len(told),
        replaced=replaced,
        undecided=undecided,
    )


def _latest(annotations: list[Annotation]) -> tuple[dict[tuple[str, str], str], int, int]:
    """Return the answer by image and rater, how many others were replaced, and how many are undecided."""
    for annotation in annotations:
        _require_answer(annotation)
    collected = collect([Export(annotations=tuple(annotations), left_out={})])
    open_ = {(change.image, change.rater) for change in collected.changes if not change.counts}
    undecided = sum((each.image, each.rater) in open_ for each in annotations)
    answers = {(each.image, each.rater): each.cui for each in collected.annotations}
    return answers, len(annotations) - undecided - len(answers), undecided


def _require_answer(annotation: Annotation) -> None:
    """Refuse a value that its facet does not offer; a facet of one's own offers whatever is said."""
    facet = FACETS.get(annotation.facet)
    offered = [choice.value for choice in facet.choices] if facet else [annotation.cui]
    if annotation.cui not in offered:
        raise RejectedInput(
            f"image {shorten(annotation.image)}, {shorten(annotation.rater)}: {shorten(annotation.cui)!r} is "
            f"no answer to {annotation.facet}, expected one of {', '.join(offered)}"
        )


def _ordered(facet: str, values: set[str]) -> tuple[str, ...]:
    if len(values) > _MOST_CLASSES:
        raise RejectedInput(
            f"facet {shorten(facet)} has {len(values):,} different answers, expected at most {_MOST_CLASSES} "
            f"to choose from"
        )
    offered = [choice.value for choice in FACETS[facet].choices] if facet in FACETS else []
    return (*(value for value in offered if value in values), *sorted(values - set(offered)))


def _codes(
    shared: Mapping[str, Mapping[str, str]], classes: tuple[str, ...], raters: tuple[str, ...]
) -> IntArray:
    row_of = {image: row for row, image in enumerate(shared)}
    code_of = {value: code for code, value in enumerate(classes)}
    column_of = {rater: column for column, rater in enumerate(raters)}
    codes = np.full((len(row_of), len(column_of)), _ABSENT, dtype=np.int64)
    for image, given in shared.items():
        for rater, cui in given.items():
            codes[row_of[image], column_of[rater]] = code_of[cui]
    return codes
