"""Answers as CSV: one row an answer, the form that this toolkit keeps them in, or one row an image.

long:   image,facet,CUI,rater[,time,tool]
wide:   image[,rater][,time],modality,region,…      a column for each facet, empty for no answer

Further columns are passed over. An answer is a CUI, its label or its canonical name.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from dataset_builder.curation.annotations import Annotation, Task, answered
from dataset_builder.curation.exchange import Export, named_image, named_rater, utc_time, value_of
from dataset_builder.curation.facets import Facets
from dataset_builder.curation.formulas import is_formula, refuse_formulas, shown_text
from dataset_builder.curation.pictures_out import FOLDER, write_pictures
from dataset_builder.curation.tool_files import Delivery, Format, Opened
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows, write_csv
from rocov2_eval.shelf.words import shorten

LONG = "long-csv"
WIDE = "wide-csv"
HEADER = ("image", "facet", "CUI", "rater", "time", "tool")
_LONG = ("image", "facet", "CUI")


def recognises_long(opened: Opened, facets: Facets) -> bool:
    """Tell whether the header has the columns of one row an answer."""
    del facets
    return set(_LONG) <= set(_header(opened))


def recognises_wide(opened: Opened, facets: Facets) -> bool:
    """Tell whether the header has images and a facet."""
    header = set(_header(opened))
    return "image" in header and not set(_LONG) <= header and bool(header & facets.keys())


def read_long(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of a file with one row an answer; rows without one are left out.

    Raises:
        RejectedInput: A row is not understood, or nobody knows who answered.
    """
    left_out: Counter[str] = Counter()
    found: list[Annotation] = []
    for line, row in read_rows(opened.path, _LONG):
        place = f"{opened.path}:{line}"
        name = row["facet"].strip()
        if name not in facets:
            expected = ", ".join(facets)
            raise RejectedInput(f"{place}: the facet is {shorten(name)!r}, expected one of {expected}")
        if not row["CUI"].strip():
            left_out["rows without an answer"] += 1
            continue
        found += answered(
            named_image(row["image"], place),
            [(name, value_of(facets[name], row["CUI"], place))],
            rater=named_rater(row.get("rater"), rater, place),
            time=utc_time(row.get("time"), place),
            tool=row.get("tool", "").strip() or LONG,
        )
    return Export(annotations=tuple(found), left_out=left_out)


def read_wide(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of a file with one row an image; empty cells are left out.

    Raises:
        RejectedInput: A cell is not understood, or nobody knows who answered.
    """
    left_out: Counter[str] = Counter()
    found: list[Annotation] = []
    asked = [facet for name, facet in facets.items() if name in _header(opened)]
    for line, row in read_rows(opened.path, ("image", *(facet.name for facet in asked))):
        place = f"{opened.path}:{line}"
        filled = [facet for facet in asked if row[facet.name].strip()]
        left_out["empty cells"] += len(asked) - len(filled)
        if not filled:
            continue
        who = named_rater(row.get("rater"), rater, place)
        when = utc_time(row.get("time"), place)
        image = named_image(row["image"], place)
        answers = [
            (facet.name, value_of(facet, row[facet.name], f"{place}, {facet.name}")) for facet in filled
        ]
        found += answered(image, answers, rater=who, time=when, tool=WIDE)
    return Export(annotations=tuple(found), left_out=left_out)


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write answers, one row each.

    Raises:
        RejectedInput: A spreadsheet would take an image, a rater or a tool for a formula.
    """
    rows = [(each.image, each.facet, each.cui, each.rater, each.time, each.tool) for each in annotations]
    refuse_formulas(
        images=(row[0] for row in rows), raters=(row[3] for row in rows), tools=(row[5] for row in rows)
    )
    write_csv(path, HEADER, rows)


def write_long(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write `tasks.csv` with an empty row for each picture and facet, and the pictures."""
    names = _pictures(tasks, out, delivery)
    rows = (
        (task.image, facet, "", "", names.get(task.image, ""), shown_text(task.text))
        for task in tasks
        for facet in task.facets
        if facet in facets
    )
    write_csv(out / "tasks.csv", (*_LONG, "rater", "picture", "text"), rows)


def write_wide(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write `tasks.csv` with a row for each picture and an empty cell for each facet, and the pictures."""
    names = _pictures(tasks, out, delivery)
    asked = [name for name in facets if any(name in task.facets for task in tasks)]
    rows = (
        (task.image, names.get(task.image, ""), shown_text(task.text), *("" for _ in asked), "")
        for task in tasks
    )
    write_csv(out / "tasks.csv", ("image", "picture", "text", *asked, "rater"), rows)


LONG_FORMAT = Format(
    title="CSV with one row an answer",
    expected="a header with image,facet,CUI,rater",
    recognises=recognises_long,
    read=read_long,
    write=write_long,
)
WIDE_FORMAT = Format(
    title="CSV with one row an image",
    expected="a header with image and a column for each facet",
    recognises=recognises_wide,
    read=read_wide,
    write=write_wide,
)


def _header(opened: Opened) -> Sequence[str]:
    """Return the first record of a file that looks like CSV."""
    first = opened.text[:10_000].lstrip()
    if first.startswith(("{", "[", "<")):
        return ()
    try:
        return next(csv.reader(io.StringIO(first, newline="")), ())
    except csv.Error:
        return ()


def _pictures(tasks: Sequence[Task], out: Path, delivery: Delivery) -> dict[str, str]:
    """Write the pictures, and return the cell of each by its image."""
    refuse_formulas(images=(task.image for task in tasks))
    address = delivery.address
    if is_formula(address):
        raise UsageFault(f"{shorten(address)}: a spreadsheet would take this address for a formula")
    names = write_pictures(tasks, out, delivery)
    return {image: (address or f"{FOLDER}/") + name for image, name in names.items()}
