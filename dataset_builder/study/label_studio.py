"""Label Studio: tasks and labelling interface out, its JSON or CSV export in.

out/
  tasks.json                to import into a project
  labels.xml                its labelling interface
  images/

JSON is a list of tasks, each with the annotations of one or several people. A person may skip a task
(`was_cancelled`); `completed_by` is a number in one kind of export and an object in another. CSV has a row
for each annotation, the rater in `annotator`, and a column for each question. Described in the guide of Label
Studio, "Task format" and "Export annotations".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from dataset_builder.facets import MODALITY, Facet, Facets, choice_named, value_of
from dataset_builder.study.annotations import (
    Annotation,
    Export,
    RatingTask,
    named_image,
    named_rater,
    utc_time,
)
from dataset_builder.study.tool_files import Format, ToolFile, as_list, as_object
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import rows_of
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import counted

NAME = "label-studio"
_CSV_HEADER = ("key", "annotator")
LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves what lies below its document root


def recognises(file: ToolFile) -> bool:
    """Tell whether a file is a list of tasks, or a table of annotations."""
    if set(_CSV_HEADER) <= set(file.header):
        return True
    first = file.document[0] if isinstance(file.document, list) and file.document else None
    return isinstance(first, dict) and isinstance(first.get("data"), dict)


def read(file: ToolFile, facets: Facets, rater: str) -> Export:
    """Return the answers of an export.

    Cancelled annotations, drafts, predictions and answers to other questions are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, no rater is named, or
            people annotated and none of it is an answer.
    """
    if file.header:
        return _read_table(file, facets, rater)
    left_out: Counter[str] = Counter()
    annotations: list[Annotation] = []
    n_annotated = 0
    for task_number, document in enumerate(as_list(file.document, str(file.path)), start=1):
        place = f"{file.path}: task {task_number}"
        task = as_object(document, place)
        image = named_image(as_object(task.get("data"), f"{place}, data").get("key"), f"{place}, key")
        for kind in ("drafts", "predictions"):
            left_out[kind] += len(as_list(task.get(kind), f"{place}, {kind}"))
        entries = as_list(task.get("annotations"), f"{place}, annotations")
        left_out["tasks without an annotation"] += not entries
        for number, entry in enumerate(entries, start=1):
            where = f"{place}, annotation {number}"
            if as_object(entry, where).get("was_cancelled"):
                left_out["cancelled annotations"] += 1
                continue
            n_annotated += 1
            answers = dict(_answers(entry, facets, where, left_out))
            left_out["annotations without an answer"] += not answers
            if answers:
                name = named_rater(entry.get("completed_by"), rater, where)
                time = utc_time(entry.get("updated_at") or entry.get("created_at"), where)
                annotations += [
                    Annotation(image=image, facet=facet, cui=cui, rater=name, time=time)
                    for facet, cui in answers.items()
                ]
    return _export(file, facets, annotations, left_out, n_annotated)


def write(tasks: Sequence[RatingTask], facets: Facets, out: Path, pictures: Mapping[str, str]) -> None:
    """Write tasks and a labelling interface.

    Args:
        tasks: All of them have a picture, or none.
        facets: The questions; each task asks those that it names.
        out: Folder that gets the files.
        pictures: Address of each picture by image.

    Raises:
        UsageFault: Some tasks have pictures and some have none.
    """
    if pictures and any(task.image not in pictures for task in tasks):
        raise UsageFault("some tasks have a picture and some have none; export them separately")
    has_text = not pictures or any(task.text for task in tasks)
    documents = []
    for task in tasks:
        data = {"key": task.image}
        if pictures:
            data["image"] = pictures[task.image]
        if has_text:  # an interface that shows a text refuses tasks without
            data["text"] = task.text
        documents.append({"data": data})
    asked = [facet for name, facet in facets.items() if any(name in task.facets for task in tasks)]
    write_text(out / "tasks.json", json.dumps(documents, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "labels.xml", _interface(asked, with_picture=bool(pictures), with_text=has_text))


FORMAT = Format(
    title="a Label Studio export",
    expected='a list of tasks with "data" and "annotations", the export JSON (not JSON-MIN), or its CSV with '
    "key and annotator",
    recognises=recognises,
    read=read,
    write=write,
)


def _read_table(file: ToolFile, facets: Facets, rater: str) -> Export:
    """Return the answers of an export as CSV; a cell is a choice, or JSON where somebody made several."""
    left_out: Counter[str] = Counter()
    annotations: list[Annotation] = []
    n_annotated = 0
    for line, row in rows_of(file.text, str(file.path), _CSV_HEADER):
        place = f"{file.path}:{line}"
        n_annotated += 1
        cells = {name: row[name].strip() for name in facets if row.get(name, "").strip()}
        several = [name for name, cell in cells.items() if cell.startswith(("{", "["))]
        left_out["several answers, expected one"] += len(several)
        left_out["annotations without an answer"] += not cells
        annotations += [
            Annotation(
                image=named_image(row["key"], place),
                facet=name,
                cui=value_of(facets[name], cell, place),
                rater=named_rater(row["annotator"], rater, place),
                time=utc_time(row.get("updated_at") or row.get("created_at"), place),
            )
            for name, cell in cells.items()
            if name not in several
        ]
    return _export(file, facets, annotations, left_out, n_annotated)


def _export(
    file: ToolFile,
    facets: Facets,
    annotations: Sequence[Annotation],
    left_out: Counter[str],
    n_annotated: int,
) -> Export:
    """Return what was read, unless people annotated and none of it is an answer."""
    if n_annotated and not annotations:
        listed = ", ".join(f"{reason} {n:,}" for reason, n in left_out.items() if n)
        raise RejectedInput(
            f"{file.path}: {counted(n_annotated, 'annotation')} and no answer to {', '.join(facets)} "
            f"({listed}); the questions of the labelling interface must have these names, as in labels.xml"
        )
    return Export(annotations=tuple(annotations), left_out=left_out)


def _answers(
    annotation: Mapping[str, Any], facets: Facets, place: str, left_out: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Yield facet and value of what one person answered; an empty result may be an object."""
    for entry in as_list(annotation.get("result") or None, f"{place}, result"):
        result = as_object(entry, f"{place}, result")
        facet = facets.get(str(result.get("from_name")))
        if facet is None:
            left_out["answers to other questions"] += 1
            continue
        where = f"{place}, {facet.name}"
        value = as_object(result.get("value"), where)
        if "choices" not in value:
            left_out["answers of another type, such as boxes"] += bool(value)
            continue
        chosen = as_list(value["choices"], where)
        if len(chosen) == 1:
            yield facet.name, value_of(facet, chosen[0], where)
        else:
            left_out["several answers, expected one"] += bool(chosen)


def _interface(facets: Sequence[Facet], *, with_picture: bool, with_text: bool) -> str:
    """Return the labelling interface: the picture, then a question after the other."""
    view = ET.Element("View")
    if with_picture:
        ET.SubElement(view, "Image", name="image", value="$image", zoom="true", zoomControl="true")
    if with_text:
        ET.SubElement(view, "Text", name="text", value="$text")
    names = {facet.name for facet in facets}
    for facet in facets:
        block = ET.SubElement(view, "View", _shown_for(facet, names))
        ET.SubElement(block, "Header", value=facet.title)
        to_name = "image" if with_picture else "text"
        choices = ET.SubElement(
            block, "Choices", name=facet.name, toName=to_name, choice="single", showInline="true"
        )
        for choice in facet.choices:
            ET.SubElement(choices, "Choice", value=choice.label)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def _shown_for(facet: Facet, names: set[str]) -> dict[str, str]:
    """Return what shows a question only after the answer that it goes with."""
    choice = choice_named(MODALITY, facet.only_for) if facet.only_for else None
    if choice is None or MODALITY.name not in names:
        return {}
    return {
        "visibleWhen": "choice-selected",
        "whenTagName": MODALITY.name,
        "whenChoiceValue": choice.label,
    }
