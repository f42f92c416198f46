"""Label Studio: tasks and labelling interface out, its exports in (JSON, JSON-MIN and CSV).

out/
  tasks.json                to import into a project
  labels.xml                its labelling interface
  images/

JSON is a list of tasks, each with the annotations of one or several people. A person may skip a task
(`was_cancelled`); `completed_by` is a number in one kind of export and an object in another. JSON-MIN and CSV
have a row for each annotation: the data of the task, each answer under the name of its question, and
`annotator`. Described in the guide of Label Studio, "Task format" and "Export annotations".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from dataset_builder.facets import MODALITY, Facet, Facets, choice_named, value_of
from dataset_builder.study.annotations import (
    Annotation,
    Export,
    Task,
    answered,
    named_image,
    named_rater,
    utc_time,
)
from dataset_builder.study.pictures_out import FOLDER, image_key
from dataset_builder.study.tool_files import Format, ToolFile, as_list, as_object
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import rows_of
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

NAME = "label-studio"
_LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves what lies below its document root
_UPLOADED = "/upload/"  # Label Studio puts eight letters and a hyphen before names of files uploaded to it
_PREFIX = 9
_KINDS = ("choices", "taxonomy")  # of answers; a taxonomy has the path to each
_FLAT_WARNING = (
    "this export has one row an annotation, without drafts, skipped tasks and, in older versions, the rater; "
    "export JSON where you can"
)


def recognises(file: ToolFile, facets: Facets) -> bool:
    """Tell whether a file is one of the three exports."""
    first = file.document[0] if isinstance(file.document, list) and file.document else None
    return (isinstance(first, dict) and isinstance(first.get("data"), dict)) or _is_flat(file, facets)


def read(file: ToolFile, facets: Facets, rater: str) -> Export:
    """Return the answers of an export.

    Cancelled annotations, drafts, predictions and answers to other questions are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, no rater is named, or
            people annotated and none of it is an answer.
    """
    left_out: Counter[str] = Counter()
    annotations: list[Annotation] = []
    n_annotated = 0
    for place, task in _tasks(file, facets):
        image = _image(task, place)
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
                annotations += answered(image, answers.items(), rater=name, time=time, tool=NAME)
    if n_annotated and not annotations:
        listed = ", ".join(f"{reason} {n:,}" for reason, n in left_out.items() if n)
        raise RejectedInput(
            f"{file.path}: {n_annotated:,} annotations and no answer to {', '.join(facets)} ({listed}); the "
            f"questions of the labelling interface must have these names, as in labels.xml"
        )
    warnings = (f"{file.path}: {_FLAT_WARNING}",) if _is_flat(file, facets) else ()
    return Export(annotations=tuple(annotations), left_out=left_out, warnings=warnings)


def write(tasks: Sequence[Task], facets: Facets, out: Path, pictures: Mapping[str, str]) -> None:
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
    expected='a list of tasks with "data" and "annotations" (JSON), or JSON-MIN or CSV',
    recognises=recognises,
    read=read,
    write=write,
)


def local_address(place: str) -> str:
    """Return the address of the pictures of a folder that Label Studio serves itself.

    Args:
        place: Path of the folder of the tasks, below the document root of Label Studio.
    """
    return f"{_LOCAL_FILES}{quote(place)}/{FOLDER}/"


def _is_flat(file: ToolFile, facets: Facets) -> bool:
    """Tell whether a file has a row for each annotation: an answer to a facet and the data of its task."""
    rows = file.document if isinstance(file.document, list) else [dict.fromkeys(file.header)]
    return (
        all(isinstance(row, dict) and ("key" in row or "image" in row) and "data" not in row for row in rows)
        and "CUI" not in file.header
        and any(not row.keys().isdisjoint(facets) for row in rows)
    )


def _tasks(file: ToolFile, facets: Facets) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks with the start of messages about them."""
    if file.header:
        for line, row in rows_of(file.text, str(file.path)):
            place = f"{file.path}:{line}"
            yield place, _of_row({name: _of_cell(cell, place) for name, cell in row.items()}, facets)
        return
    is_flat = _is_flat(file, facets)
    for number, entry in enumerate(as_list(file.document, str(file.path)), start=1):
        place = f"{file.path}: task {number}"
        task = as_object(entry, place)
        yield place, _of_row(task, facets) if is_flat else task


def _of_cell(cell: str, place: str) -> object:
    """Return a cell of CSV as JSON-MIN has it: several answers and paths of a taxonomy are JSON."""
    if not cell.startswith(("{", "[")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise RejectedInput(f"{place}: {shorten(cell)!r} is no JSON: {shorten(str(error), 80)}") from None


def _of_row(row: Mapping[str, Any], facets: Facets) -> Mapping[str, Any]:
    """Return the task of a row of JSON-MIN or CSV, which is a task with one annotation."""
    result = [
        {"from_name": name, "value": _of_answer(row[name])}
        for name in facets
        if row.get(name) not in (None, "")
    ]
    times = {name: row.get(name) for name in ("created_at", "updated_at")}
    return {"data": row, "annotations": [{**times, "completed_by": row.get("annotator"), "result": result}]}


def _of_answer(cell: object) -> Mapping[str, Any]:
    """Return an answer of a row as a task has it: one by itself, several in an object, paths in a list."""
    if isinstance(cell, dict):
        return cell
    return {"taxonomy": cell} if isinstance(cell, list) else {"choices": [cell]}


def _image(task: Mapping[str, Any], place: str) -> str:
    """Return the key of a task, which a picture that was uploaded by hand has in its name."""
    data = as_object(task.get("data"), f"{place}, data")
    key = data.get("key")
    if key not in (None, ""):
        return named_image(key, place)
    address = data.get("image")
    if not isinstance(address, str) or not address.strip():
        raise RejectedInput(
            f'{place}: its data have neither "key" nor "image", expected the key of the image'
        )
    try:
        parts = urlsplit(address)
    except ValueError as error:  # such as an open bracket in the name of a host
        raise RejectedInput(f"{place}, image: {shorten(address)!r} is no address: {error}") from None
    name = (parse_qs(parts.query).get("d") or [unquote(parts.path)])[0].rpartition("/")[2]
    if _UPLOADED in parts.path and name[_PREFIX - 1 : _PREFIX] == "-":
        name = name[_PREFIX:]
    return named_image(image_key(name), place)


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
        kind = next((name for name in _KINDS if name in value), None)
        if kind is None:
            left_out["answers of another type, such as boxes"] += bool(value)
            continue
        chosen = as_list(value[kind], where)
        if len(chosen) == 1:
            yield facet.name, value_of(facet, _last(chosen[0], where), where)
        else:
            left_out["several answers where one was asked for"] += bool(chosen)


def _last(choice: object, place: str) -> object:
    """Return what was chosen, of a path through a tree of choices its end."""
    if not isinstance(choice, list):
        return choice
    if not choice:
        raise RejectedInput(f"{place}: an empty path, expected the choices down to the one that was made")
    return choice[-1]


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
