"""Answers as CSV with one row an answer: the form that this toolkit keeps them in, and that people fill in.

image,facet,CUI,rater[,time]

Further columns are passed over. An answer is a CUI, its label or its canonical name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dataset_builder.facets import MANUAL_HEADER, Facets, facet_named, value_of
from dataset_builder.study.annotations import (
    Annotation,
    Export,
    RatingTask,
    named_image,
    named_rater,
    refuse_formulas,
    utc_time,
)
from dataset_builder.study.tool_files import Format, ToolFile
from rocov2_eval.shelf.csv_files import formula_safe, rows_of, write_csv

NAME = "csv"
_HEADER = (*MANUAL_HEADER, "rater", "time")


def recognises(file: ToolFile) -> bool:
    """Tell whether the header has the columns of one row an answer."""
    return set(MANUAL_HEADER) <= set(file.header)


def read(file: ToolFile, facets: Facets, rater: str) -> Export:
    """Return the answers of a table; rows without one are left out.

    Raises:
        RejectedInput: A row is not understood, or no rater is named.
    """
    left_out: Counter[str] = Counter()
    annotations = []
    for line, row in rows_of(file.text, str(file.path), MANUAL_HEADER):
        place = f"{file.path}:{line}"
        facet = facet_named(row["facet"].strip(), facets, place)
        if not row["CUI"].strip():
            left_out["rows without an answer"] += 1
            continue
        annotations.append(
            Annotation(
                image=named_image(row["image"], place),
                facet=facet.name,
                cui=value_of(facet, row["CUI"], place),
                rater=named_rater(row.get("rater"), rater, place),
                time=utc_time(row.get("time"), place),
            )
        )
    return Export(annotations=tuple(annotations), left_out=left_out)


def write(tasks: Sequence[RatingTask], facets: Facets, out: Path, pictures: Mapping[str, str]) -> None:
    """Write `tasks.csv` with an empty row for each image and facet.

    Raises:
        RejectedInput: A spreadsheet would take the key of an image for a formula.
    """
    refuse_formulas(images=(task.image for task in tasks))
    rows = (
        (task.image, facet, "", "", pictures.get(task.image, ""), formula_safe(task.text))
        for task in tasks
        for facet in task.facets
        if facet in facets
    )
    write_csv(out / "tasks.csv", (*MANUAL_HEADER, "rater", "picture", "text"), rows)


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write answers, one row each.

    Raises:
        RejectedInput: A spreadsheet would take an image or a rater for a formula.
    """
    rows = [(each.image, each.facet, each.cui, each.rater, each.time) for each in annotations]
    refuse_formulas(images=(row[0] for row in rows), raters=(row[3] for row in rows))
    write_csv(path, _HEADER, rows)


FORMAT = Format(
    title="CSV with one row an answer",
    expected="a header with image,facet,CUI,rater",
    recognises=recognises,
    read=read,
    write=write,
)
