"""Answers of many files into one table: one a rater, image and facet, and raters renamed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dataset_builder.facets import FACETS, choice_named
from dataset_builder.study.annotations import Annotation, Export
from rocov2_eval import __version__
from rocov2_eval.errors import RejectedInput
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import counted, shorten

_LISTED = 5  # raters named in a message
# What every installation of a tool calls somebody: a number, or the name of a part, also as an address.
_OF_A_FILE = re.compile(
    r"([0-9]+|(admin(istrator)?|annotator|default|guest|labell?er|root|superuser|test|user)[ ._-]?[0-9]*)"
    r"(@.*)?",
    re.IGNORECASE,
)
_SHOWN = 10  # changes in a table


@dataclass(frozen=True, kw_only=True)
class Change:
    """Different answers of a rater to one question.

    Attributes:
        image: Key of the image.
        facet: Name of the facet that was asked.
        rater: Name of the rater.
        answers: Time and value of each answer, the earliest first.
        counts: Value of the latest answer, which counts; empty if the times do not tell which is the latest,
            so that none counts.
    """

    image: str
    facet: str
    rater: str
    answers: tuple[tuple[str, str], ...]
    counts: str


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The answers of several files.

    Attributes:
        annotations: Answers that count, one a rater, image and facet, in this order.
        repeated: Number of answers that are in the files more than once.
        changes: Questions that a rater answered in different ways.
        left_out: Number of entries of the files that are no answer, by reason.
        apart: Names that stand in several files and belong to each of them; with the files.
    """

    annotations: tuple[Annotation, ...]
    repeated: int
    changes: tuple[Change, ...]
    left_out: Mapping[str, int]
    apart: Mapping[str, tuple[str, ...]]


def told_apart(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Return answers with the raters of different files told apart, unless a file names a person.

    A number, or a word such as `admin`, belongs to an installation of a tool: each calls its first user so.
    Where one stands in several files, it gets the name of the file before it, as `b/export.json:1`.
    """
    annotations = list(annotations)
    apart = _apart(annotations)
    labels = _labels({file for files in apart.values() for file in files})
    return [
        replace(each, rater=f"{labels[each.file]}:{each.rater}")
        if each.rater in apart and not each.is_named
        else each
        for each in annotations
    ]


def refuse_contradictions(annotations: Iterable[Annotation]) -> None:
    """Refuse two files that have different answers of one rater to one question.

    Within a file a later answer stands for a change of mind; two files may as well be of two people.

    Raises:
        RejectedInput: There are such files; the message names both with both answers.
    """
    first: dict[tuple[str, str, str], Annotation] = {}
    for each in annotations:
        other = first.setdefault((each.image, each.facet, each.rater), each)
        if other.file != each.file and other.cui != each.cui:
            raise RejectedInput(
                f"{shorten(each.rater, 60)} answers {each.facet} of {shorten(each.image)} with "
                f"{_label(other)} in {other.file} and with {_label(each)} in {each.file}, expected one "
                f"answer: if these are two people, write --rater NAME before each file; if it is one, "
                f"remove the outdated file"
            )


def collect(exports: Sequence[Export], names: Mapping[str, str] | None = None) -> Collected:
    """Merge the content of files; their order does not matter.

    Args:
        exports: Content of each file.
        names: New name by rater; None keeps the names.

    Raises:
        RejectedInput: A rater has no new name, which would tell who they are; or different answers in two
            files.
    """
    given = [each for export in exports for each in export.annotations]
    annotations = told_apart(given)
    if names is not None:
        annotations = _renamed(annotations, names)
    refuse_contradictions(annotations)
    groups: dict[tuple[str, str, str], list[Annotation]] = defaultdict(list)
    for each in sorted(annotations, key=lambda it: (it.image, it.facet, it.rater, it.time, it.cui)):
        groups[each.image, each.facet, each.rater].append(each)
    kept, changes, repeated = [], [], 0
    for group in groups.values():
        last, values = group[-1], {each.cui for each in group}
        repeated += len(group) - len(values)
        is_clear = len(values) == 1 or _is_latest(last, group)
        if is_clear:
            kept.append(last)
        if len(values) > 1:
            answers = tuple(dict.fromkeys((each.time, each.cui) for each in group))
            counts = last.cui if is_clear else ""
            change = Change(
                image=last.image, facet=last.facet, rater=last.rater, answers=answers, counts=counts
            )
            changes.append(change)
    left_out: Counter[str] = Counter()
    for export in exports:
        left_out.update(export.left_out)
    return Collected(
        annotations=tuple(kept),
        repeated=repeated,
        changes=tuple(changes),
        left_out=dict(left_out.most_common()),
        apart=_apart(given),
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
            raise RejectedInput(f"{path}:{line}: {shorten(rater)} occurs above with another name")
    return names


def collected_document(collected: Collected, files: Sequence[tuple[str, Export]]) -> Document:
    """Return what was collected; JSON has every changed answer, the tables have the first ones.

    Args:
        collected: The answers of the files.
        files: Path and content of each file.
    """
    warnings = [
        f"{path}: a file without a task"
        for path, export in files
        if not (export.annotations or export.left_out)
    ]
    warnings += [
        f"rater {shorten(rater, 40)} occurs in {', '.join(files)}: counted as {len(files)} people, one per "
        f"file; if it is one person, write --rater NAME before each file"
        for rater, files in collected.apart.items()
    ]
    raters: dict[str, Counter[str]] = defaultdict(Counter)
    for each in collected.annotations:
        raters[each.rater][each.facet] += 1
    counts = {rater: dict(raters[rater]) for rater in sorted(raters)}
    n_images = len({each.image for each in collected.annotations})
    n_answers = len(collected.annotations)
    return Document(
        title=f"{counted(n_answers, 'answer')} about {counted(n_images, 'image')}",
        sections=_sections(collected, files, counts, warnings),
        data={
            "schema_version": 1,
            "tool": {"name": "rocov2-build", "version": __version__},
            "files": [{"path": path, "format": export.format} for path, export in files],
            "answers": n_answers,
            "images": n_images,
            "raters": counts,
            "repeated": collected.repeated,
            "left_out": dict(collected.left_out),
            "warnings": warnings,
            "changes": [
                {**asdict(each), "answers": [{"time": time, "cui": cui} for time, cui in each.answers]}
                for each in collected.changes
            ],
        },
    )


def _sections(
    collected: Collected,
    files: Sequence[tuple[str, Export]],
    counts: Mapping[str, Mapping[str, int]],
    warnings: Iterable[str],
) -> list[Section]:
    answers = Table(
        columns=[Column(title="rater"), *(Column(title=name, kind="count") for name in FACETS)],
        rows=[[shorten(rater, 40), *(n.get(name, 0) for name in FACETS)] for rater, n in counts.items()],
    )
    repeated = [("repeated answers", collected.repeated)] if collected.repeated else []
    left_out = Table(
        columns=[Column(title="left out"), Column(title="number", kind="count")],
        rows=[*repeated, *collected.left_out.items()],
    )
    changes = Table(
        title=f"{counted(len(collected.changes), 'question')} that a rater answered in different ways",
        columns=[Column(title=name) for name in ("image", "facet", "rater", "answers", "counts")],
        rows=[_change(each) for each in collected.changes[:_SHOWN]],
    )
    n_more = len(collected.changes) - _SHOWN
    return [
        Section(
            facts=[Fact(name=path, value=export.format) for path, export in files],
            notes=[Note(label="warning", text=warning) for warning in warnings],
        ),
        Section(
            tables=[answers, *(table for table in (left_out, changes) if table.rows)],
            notes=[Note(text=f"… and {n_more:,} more; --format json lists all")] if n_more > 0 else [],
        ),
    ]


def _change(change: Change) -> tuple[str, ...]:
    """Return the row of a change, with labels for values."""
    answers = ", then ".join(_label_of(change.facet, cui) for _, cui in change.answers)
    counts = _label_of(change.facet, change.counts) if change.counts else "none, without times"
    return shorten(change.image), change.facet, shorten(change.rater, 40), answers, counts


def _label(annotation: Annotation) -> str:
    return repr(_label_of(annotation.facet, annotation.cui))


def _label_of(facet: str, value: str) -> str:
    """Return what raters read for a value; that of a facet which is not known here stays."""
    choice = choice_named(FACETS[facet], value) if facet in FACETS else None
    return choice.label if choice else value


def _apart(annotations: Iterable[Annotation]) -> dict[str, tuple[str, ...]]:
    """Return the names that belong to a file and stand in several, with these files."""
    files: dict[str, set[str]] = defaultdict(set)
    for each in annotations:
        # What stands before the last colon is the file that an earlier import put there.
        if not each.is_named and _OF_A_FILE.fullmatch(each.rater.rpartition(":")[2]):
            files[each.rater].add(each.file)
    return {rater: tuple(sorted(names)) for rater, names in sorted(files.items()) if len(names) > 1}


def _labels(files: Iterable[str]) -> dict[str, str]:
    """Return the shortest ends of paths that tell files apart."""
    parts = {file: Path(file).parts for file in files}
    n = 1
    while len({each[-n:] for each in parts.values()}) < len(parts):
        n += 1
    return {file: "/".join(each[-n:]).replace("//", "/") for file, each in parts.items()}


def _is_latest(last: Annotation, group: Sequence[Annotation]) -> bool:
    """Tell whether the times of answers say that the last one is the latest; one without may be later."""
    return all(each.time for each in group) and all(
        each.cui == last.cui for each in group if each.time == last.time
    )


def _renamed(annotations: Iterable[Annotation], names: Mapping[str, str]) -> list[Annotation]:
    annotations = list(annotations)
    unnamed = sorted({each.rater for each in annotations} - names.keys())
    if unnamed:
        listed = ", ".join(shorten(rater, 40) for rater in unnamed[:_LISTED])
        more = f" and {len(unnamed) - _LISTED} more" if len(unnamed) > _LISTED else ""
        raise RejectedInput(f"no name in the map of raters for {listed}{more}; add a row for each")
    return [replace(each, rater=names[each.rater]) for each in annotations]
