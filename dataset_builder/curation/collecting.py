"""Answers of many files into one table: one a rater, image and facet, and raters renamed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_builder.curation.annotations import Annotation
from dataset_builder.curation.exchange import Export
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

_LISTED = 5  # raters named in a message


@dataclass(frozen=True, kw_only=True)
class Change:
    """A rater who answered one question in different ways.

    Attributes:
        image: Key of the image.
        facet: What was asked.
        rater: Who answered.
        answers: Time and value of each, from the earliest.
        counts: The value that counts, that of the latest; empty where the times do not tell which it is, and
            then none counts.
    """

    image: str
    facet: str
    rater: str
    answers: tuple[tuple[str, str], ...]
    counts: str


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What several exports say together.

    Attributes:
        annotations: One a rater, image and facet, by image, facet, rater.
        repeated: Answers that stood more than once.
        changes: Where a rater answered in different ways.
        left_out: What of the exports is no answer, with its number.
        warnings: What to mind about the exports.
    """

    annotations: tuple[Annotation, ...]
    repeated: int
    changes: tuple[Change, ...]
    left_out: Mapping[str, int]
    warnings: tuple[str, ...] = ()


def collect(exports: Sequence[Export], names: Mapping[str, str] | None = None) -> Collected:
    """Merge exports; their order does not matter.

    Args:
        exports: What was read.
        names: New name by rater; None keeps the names.

    Raises:
        RejectedInput: A rater has no new name, which would tell who they are.
    """
    everything = [each for export in exports for each in export.annotations]
    if names is not None:
        everything = _renamed(everything, names)
    groups: dict[tuple[str, str, str], list[Annotation]] = defaultdict(list)
    for each in sorted(everything, key=lambda it: (it.image, it.facet, it.rater, it.time, it.cui, it.tool)):
        groups[each.image, each.facet, each.rater].append(each)
    kept, changes = [], []
    for (image, facet, rater), group in groups.items():
        values = {each.cui for each in group}
        last = {each.cui for each in group if each.time == group[-1].time and _is_dated(group)}
        clear = len(values) == 1 or len(last) == 1
        if clear:
            kept.append(group[-1])
        if len(values) > 1:
            answers = tuple(dict.fromkeys((each.time, each.cui) for each in group))
            counts = group[-1].cui if clear else ""
            changes.append(Change(image=image, facet=facet, rater=rater, answers=answers, counts=counts))
    left_out: Counter[str] = Counter()
    for export in exports:
        left_out.update(export.left_out)
    return Collected(
        annotations=tuple(kept),
        repeated=sum(len(group) - len({each.cui for each in group}) for group in groups.values()),
        changes=tuple(changes),
        left_out=dict(left_out.most_common()),
        warnings=tuple(warning for export in exports for warning in export.warnings),
    )


def read_names(path: Path) -> dict[str, str]:
    """Return the new name of each rater from a CSV file with the columns rater and name.

    Several may have one new name: a tool may call the same person by number and by address.

    Raises:
        RejectedInput: A column is missing, a cell is empty, or a rater stands twice.
    """
    names: dict[str, str] = {}
    for line, row in read_rows(path, ("rater", "name")):
        rater, name = row["rater"].strip(), row["name"].strip()
        if not (rater and name):
            raise RejectedInput(f"{path}:{line}: a row without {'name' if rater else 'rater'}")
        if names.setdefault(rater, name) != name:
            raise RejectedInput(f"{path}:{line}: {shorten(rater)} stands above with another name")
    return names


def _renamed(annotations: Iterable[Annotation], names: Mapping[str, str]) -> list[Annotation]:
    annotations = list(annotations)
    unnamed = sorted({each.rater for each in annotations} - names.keys())
    if unnamed:
        listed = ", ".join(shorten(rater, 40) for rater in unnamed[:_LISTED])
        more = f" and {len(unnamed) - _LISTED} more" if len(unnamed) > _LISTED else ""
        raise RejectedInput(f"no name in the map of raters for {listed}{more}; add a row for each")
    return [replace(each, rater=names[each.rater]) for each in annotations]


def _is_dated(group: Sequence[Annotation]) -> bool:
    """Tell whether every answer has its time: one without may be the latest."""
    return all(each.time for each in group)
