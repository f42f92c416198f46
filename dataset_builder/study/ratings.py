"""Answers of several raters: read from their table, and as one array a facet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_builder.facets import FACETS, value_of
from dataset_builder.study.annotations import Annotation, Export, named_image, utc_time
from dataset_builder.study.collecting import collect
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

Question = tuple[str, str, str]  # image, facet, rater

_MOST_CLASSES = 100  # a table has the square of it; nobody chooses from more


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratings:
    """What raters answered to one facet, on the images that at least two of them answered.

    Attributes:
        facet: Name of the facet.
        classes: The answers that occur, in the order in which the facet offers them, else by name.
        raters: Who answered any of these images, by name.
        codes: Index of each answer in `classes`, -1 for no answer; shape (images, raters).
        alone: Number of images left out because only one rater answered.
        undecided: Number of answers left out because the same rater gave different ones, and no time tells
            which is the latest.
    """

    facet: str
    classes: tuple[str, ...]
    raters: tuple[str, ...]
    codes: IntArray
    alone: int
    undecided: int

    @property
    def numbers(self) -> list[int]:
        """Number of answers of each class."""
        return [int((self.codes == code).sum()) for code in range(len(self.classes))]


def read_answers(path: Path, *, need_raters: bool = True) -> list[Annotation]:
    """Return the answers of a table, one a row; a facet of the user's own takes any value.

    Args:
        path: CSV with the columns image, facet, CUI and rater, and perhaps time.
        need_raters: The table must say who answered.

    Raises:
        RejectedInput: The table is broken or empty, or a value is no answer to its facet.
    """
    needed = ("facet", "CUI", "rater") if need_raters else ("facet", "CUI")
    answers = []
    for line, row in read_rows(path, ("image", *needed)):
        place = f"{path}:{line}"
        if not all(row[name].strip() for name in needed):
            raise RejectedInput(f"{place}: expected {', '.join(needed)}, found an empty cell")
        facet, value = row["facet"].strip(), row["CUI"].strip()
        answers.append(
            Annotation(
                image=named_image(row["image"], place),
                facet=facet,
                cui=value_of(FACETS[facet], value, place) if facet in FACETS else value,
                rater=row.get("rater", "").strip(),
                time=utc_time(row.get("time"), place),
            )
        )
    if not answers:
        raise RejectedInput(f"{path}: no answer, expected one a row below the header")
    return answers


def latest_answers(answers: Iterable[Annotation]) -> tuple[tuple[Annotation, ...], set[Question]]:
    """Return the latest answer of each rater to each question, and the questions where no time tells it."""
    collected = collect([Export(annotations=tuple(answers), left_out={})])
    undecided = {(each.image, each.facet, each.rater) for each in collected.changes if not each.counts}
    return collected.annotations, undecided


def tabulate(answers: Iterable[Annotation]) -> list[Ratings]:
    """Return the ratings of each facet: modality, region and direction first, then further ones by name.

    Args:
        answers: In any order; several of one rater to one question are allowed.

    Raises:
        RejectedInput: A facet has too many different answers to choose from.
    """
    return [_ratings(facet, each) for facet, each in by_facet(answers).items()]


def by_facet(answers: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    """Return the answers to each facet: modality, region and direction first, then further ones by name."""
    groups: dict[str, list[Annotation]] = defaultdict(list)
    for answer in answers:
        groups[answer.facet].append(answer)
    names = [*(name for name in FACETS if name in groups), *sorted(groups.keys() - FACETS.keys())]
    return {name: groups[name] for name in names}


def label_of(facet: str, value: str) -> str:
    """Return what raters read for a value."""
    labels = {choice.value: choice.label for choice in FACETS[facet].choices} if facet in FACETS else {}
    return labels.get(value, value)


def _ratings(facet: str, answers: list[Annotation]) -> Ratings:
    latest, undecided = latest_answers(answers)
    by_image: dict[str, dict[str, str]] = defaultdict(dict)
    for answer in latest:
        by_image[answer.image][answer.rater] = answer.cui
    shared = {image: given for image, given in sorted(by_image.items()) if len(given) > 1}
    classes = classes_of(facet, {value for given in shared.values() for value in given.values()})
    raters = tuple(sorted({rater for given in shared.values() for rater in given}))
    return Ratings(
        facet=facet,
        classes=classes,
        raters=raters,
        codes=_codes(shared, classes, raters),
        alone=len(by_image) - len(shared),
        undecided=sum((each.image, each.facet, each.rater) in undecided for each in answers),
    )


def classes_of(facet: str, values: set[str]) -> tuple[str, ...]:
    """Return values in the order in which the facet offers them, then others by name.

    Raises:
        RejectedInput: There are too many to choose from.
    """
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
    code_of = {value: code for code, value in enumerate(classes)} | {"": -1}
    rows = [[code_of[given.get(rater, "")] for rater in raters] for given in shared.values()]
    return np.array(rows, dtype=np.int64).reshape(len(shared), len(raters))
