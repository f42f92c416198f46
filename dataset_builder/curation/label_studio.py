"""Label Studio: tasks and labelling interface out, its JSON export in.

out/
  tasks.json                to import into a project
  labels.xml                its labelling interface
  images/

An export is a list of tasks, each with annotations of one or several people. What a person skipped has
`was_cancelled`; `completed_by` is a number in one kind of export and an object in another. Cloud storages get
single annotations with their task inside. Described in the guide of Label Studio, "Task format".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

from dataset_builder.curation.annotations import Annotation, Task
from dataset_builder.curation.exchange import (
    Delivery,
    Export,
    Facets,
    Format,
    Opened,
    as_list,
    as_object,
    named_image,
    named_rater,
    utc_time,
    value_of,
)
from dataset_builder.curation.facets import MODALITY, Facet, choice_named
from dataset_builder.curation.pictures_out import FOLDER, image_key, write_pictures
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.findings import shorten
from rocov2_eval.formats import write_text

NAME = "label-studio"
_ANSWERS = ("annotations", "completions")  # the second before version 1.0
_UPLOADED = "/upload/"  # Label Studio puts eight letters and a hyphen before names of files uploaded to it
_PREFIX = 9


def recognises(opened: Opened, facets: Facets) -> bool:
    """Tell whether a file is JSON with tasks of Label Studio."""
    del facets
    document = opened.parsed
    first = document[0] if isinstance(document, list) and document else document
    if not isinstance(first, dict):
        return False
    is_task = isinstance(first.get("data"), dict) and "answer" not in first
    is_single = "result" in first and isinstance(first.get("task"), dict)
    return is_task or is_single


def read(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of an export.

    Cancelled annotations, drafts, predictions and answers to other questions are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, or nobody knows who answered.
    """
    left_out: Counter[str] = Counter()
    found: list[Annotation] = []
    for place, task in _tasks(opened):
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
            answers = dict(_answers(annotation, facets, where, left_out))
            left_out["annotations without an answer"] += not answers
            if answers:
                who = named_rater(annotation.get("completed_by"), rater, where)
                when = utc_time(annotation.get("updated_at") or annotation.get("created_at"), where)
                found += [
                    Annotation(image=image, facet=facet, cui=cui, rater=who, time=when, tool=NAME)
                    for facet, cui in answers.items()
                ]
    return Export(annotations=tuple(found), left_out={key: n for key, n in left_out.items() if n})


def write(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write tasks and a labelling interface.

    Args:
        tasks: All with a picture, or none.
        facets: The questions; each task asks those of its own.
        out: The folder.
        delivery: How pictures reach raters. Without an address they are named by the path under which Label
            Studio serves local files, where its document root is the folder that holds `out`.

    Raises:
        UsageFault: Some tasks have pictures and some have none.
    """
    pictured = {task.picture is not None for task in tasks}
    if len(pictured) > 1:
        raise UsageFault("some tasks have a picture and some have none; export them separately")
    names = write_pictures(tasks, out, delivery)
    before = delivery.address or f"/data/local-files/?d={out.resolve().name}/{FOLDER}/"
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
    expected='a list of tasks with "data" and "annotations" (Export, JSON; not JSON-MIN, CSV or TSV)',
    recognises=recognises,
    read=read,
    write=write,
)


def _tasks(opened: Opened) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks with what messages call them; an annotation with its task inside as its task."""
    if opened.json_fault:
        raise RejectedInput(opened.json_fault)
    document = opened.parsed if isinstance(opened.parsed, list) else [opened.parsed]
    for number, each in enumerate(document, start=1):
        place = f"{opened.path}: task {number}"
        task = as_object(each, place)
        if "result" in task and isinstance(task.get("task"), dict):
            yield place, {**task["task"], "annotations": [task]}
        else:
            yield place, task


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
        choices = as_list(as_object(result.get("value"), where).get("choices"), where)
        if len(choices) == 1:
            yield facet.name, value_of(facet, choices[0], where)
        else:
            left_out["several answers where one was asked for"] += bool(choices)


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
