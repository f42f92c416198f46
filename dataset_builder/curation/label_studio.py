"""Label Studio: tasks and labelling interface out, its JSON export in.

out/
  tasks.json                to import into a project
  labels.xml                its labelling interface
  images/

An export is a list of tasks, each with annotations of one or several people. What a person skipped has
`was_cancelled`; `completed_by` is a number in one kind of export and an object in another. Cloud storages get
single annotations with their task inside. JSON-MIN is a list of annotations without their structure: the data
of the task with each answer under the name of its question, and `annotator`. Described in the guide of Label
Studio, "Task format" and "Export annotations".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from dataset_builder.curation.annotations import Annotation, Task, answered
from dataset_builder.curation.exchange import Export, named_image, named_rater, utc_time, value_of
from dataset_builder.curation.facets import MODALITY, Facet, Facets, choice_named
from dataset_builder.curation.json_values import as_list, as_object
from dataset_builder.curation.pictures_out import FOLDER, image_key, write_pictures
from dataset_builder.curation.tool_files import Delivery, Format, Opened
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

NAME = "label-studio"
_ANSWERS = ("annotations", "completions")  # the second before version 1.0
_UPLOADED = "/upload/"  # Label Studio puts eight letters and a hyphen before names of files uploaded to it
_PREFIX = 9
_KINDS = ("choices", "taxonomy")  # of answers; a taxonomy has the path to each
_MINIMAL_WARNING = (
    "this is JSON-MIN, which loses drafts, skipped tasks and, in older versions, who answered; "
    "export JSON where you can"
)


def recognises(opened: Opened, facets: Facets) -> bool:
    """Tell whether a file is JSON with tasks of Label Studio, or JSON-MIN."""
    document = opened.parsed
    first = document[0] if isinstance(document, list) and document else document
    if not isinstance(first, dict):
        return False
    is_task = isinstance(first.get("data"), dict) and "answer" not in first
    return is_task or _is_single(first) or _is_minimal(document, facets)


def read(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of an export.

    Cancelled annotations, drafts, predictions and answers to other questions are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, nobody knows who answered, or
            people annotated and none of it is an answer.
    """
    left_out: Counter[str] = Counter()
    found: list[Annotation] = []
    annotated = 0
    for place, task in _tasks(opened, facets):
        image = _image(task, place)
        left_out["drafts"] += len(as_list(task.get("drafts"), f"{place}, drafts"))
        left_out["predictions"] += len(as_list(task.get("predictions"), f"{place}, predictions"))
        answers = next((task[name] for name in _ANSWERS if name in task), None)
        listed = as_list(answers, f"{place}, annotations")
        left_out["tasks without an annotation"] += not listed
        for number, each in enumerate(listed, start=1):
            where = f"{place}, annotation {number}"
            annotation = as_object(each, where)
            if annotation.get("was_cancelled"):
                left_out["cancelled annotations"] += 1
                continue
            annotated += 1
            answers = dict(_answers(annotation, facets, where, left_out))
            left_out["annotations without an answer"] += not answers
            if answers:
                who = named_rater(annotation.get("completed_by"), rater, where)
                when = utc_time(annotation.get("updated_at") or annotation.get("created_at"), where)
                found += answered(image, answers.items(), rater=who, time=when, tool=NAME)
    if annotated and not found:
        told = ", ".join(f"{reason} {n:,}" for reason, n in left_out.items() if n)
        raise RejectedInput(
            f"{opened.path}: {annotated:,} annotations and no answer to {', '.join(facets)} ({told}); the "
            f"questions of the labelling interface must have these names, as in labels.xml"
        )
    minimal = _is_minimal(opened.parsed, facets)
    return Export(
        annotations=tuple(found),
        left_out=left_out,
        warnings=(f"{opened.path}: {_MINIMAL_WARNING}",) if minimal else (),
    )


def write(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write tasks and a labelling interface.

    Args:
        tasks: All with a picture, or none.
        facets: The questions; each task asks those of its own.
        out: The folder.
        delivery: How pictures reach raters. Without an address they are named by the path under which Label
            Studio serves local files, where its document root is the delivery's, else the folder that holds
            `out`.

    Raises:
        UsageFault: Some tasks have pictures and some have none, or `out` is not below the document root.
    """
    pictured = {task.picture is not None for task in tasks}
    if len(pictured) > 1:
        raise UsageFault("some tasks have a picture and some have none; export them separately")
    names = write_pictures(tasks, out, delivery)
    before = delivery.address or _local_address(out.resolve(), delivery.root)
    documents = []
    for task in tasks:
        data = {"key": task.image}
        if task.image in names:
            data["image"] = before + names[task.image]
        if task.text or task.image not in names:
            data["text"] = task.text
        documents.append({"data": data})
    asked = [facet for name, facet in facets.items() if any(name in task.facets for task in tasks)]
    has_text = any("text" in document["data"] for document in documents)
    if has_text:
        for document in documents:
            document["data"].setdefault("text", "")  # an interface that shows a text refuses tasks without
    write_text(out / "tasks.json", json.dumps(documents, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "labels.xml", _interface(asked, with_picture=pictured == {True}, with_text=has_text))


FORMAT = Format(
    title="Label Studio JSON",
    expected='a list of tasks with "data" and "annotations" (Export, JSON; not CSV or TSV)',
    recognises=recognises,
    read=read,
    write=write,
    is_empty=lambda opened: opened.parsed == [],
)


def _is_single(document: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is an annotation with its task inside."""
    return "result" in document and isinstance(document.get("task"), dict)


def _is_minimal(document: object, facets: Facets) -> bool:
    """Tell whether a JSON document is JSON-MIN: no task has its data apart, and one answers a facet."""
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        return False
    others = ("data", "result", "answer")
    return (
        all("key" in row or "image" in row for row in document)
        and all(row.keys().isdisjoint(others) for row in document)
        and not all(row.keys().isdisjoint(facets) for row in document)
    )


def _tasks(opened: Opened, facets: Facets) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks with what messages call them; an annotation with its task inside as its task."""
    if opened.json_fault:
        raise RejectedInput(opened.json_fault)
    document = opened.parsed if isinstance(opened.parsed, list) else [opened.parsed]
    is_minimal = _is_minimal(document, facets)
    for number, each in enumerate(document, start=1):
        place = f"{opened.path}: task {number}"
        task = as_object(each, place)
        if is_minimal:
            yield place, _of_minimal(task, facets)
        elif _is_single(task):
            yield place, {**task["task"], "annotations": [task]}
        else:
            yield place, task


def _of_minimal(row: Mapping[str, Any], facets: Facets) -> Mapping[str, Any]:
    """Return the task of a row of JSON-MIN, which is a task with one annotation."""
    told = {name: row[name] for name in facets if row.get(name) not in (None, "")}
    result = [{"from_name": name, "value": _of_cell(cell)} for name, cell in told.items()]
    times = {name: row[name] for name in ("created_at", "updated_at") if name in row}
    return {"data": row, "annotations": [{**times, "completed_by": row.get("annotator"), "result": result}]}


def _of_cell(cell: object) -> Mapping[str, Any]:
    """Return the value of an answer in JSON-MIN: one by itself, several in an object, paths in a list."""
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
    for each in as_list(annotation.get("result") or None, f"{place}, result"):
        result = as_object(each, f"{place}, result")
        facet = facets.get(str(result.get("from_name")))
        if facet is None:
            left_out["answers to other questions"] += 1
            continue
        where = f"{place}, {facet.name}"
        value = as_object(result.get("value"), where)
        kind = next((name for name in _KINDS if name in value), None)
        if kind is None:
            if value:
                left_out[f"answers of the type {shorten(str(result.get('type')), 30)}, not read"] += 1
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


def _local_address(out: Path, root: Path | None) -> str:
    """Return what stands before the name of a picture that Label Studio serves from its document root."""
    above = root.resolve() if root else out.parent
    if not out.is_relative_to(above):
        raise UsageFault(f"{out} is not below {above}, from which Label Studio is to serve the images")
    return f"/data/local-files/?d={quote((out.relative_to(above) / FOLDER).as_posix())}/"


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
        choices = ET.SubElement(
            block,
            "Choices",
            name=facet.name,
            toName="image" if with_picture else "text",
            choice="single",
            showInline="true",
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
