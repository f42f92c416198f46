"""CVAT: pictures and labels out, "CVAT for images 1.1" in, as XML or as the archive that CVAT hands out.

out/
  labels.json               to paste into the raw labels of a task or project
  images/

A tag of a picture has an attribute for each facet, or is itself named like an answer. CVAT writes the first
value of an attribute that nobody has touched, so the first is one that means nothing. It tells neither when
a tag was set nor who set it, but who a job or task is assigned to, and when the file was written.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.curation.annotations import Annotation, Task, answered
from dataset_builder.curation.exchange import Export, named_image, named_rater, utc_time, value_of
from dataset_builder.curation.facets import Facets, facets_offering
from dataset_builder.curation.pictures_out import image_key, write_pictures
from dataset_builder.curation.tool_files import Delivery, Format, Opened
from dataset_builder.pmc.xml_input import Element, parse
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

NAME = "cvat"
TAG = "curation"
UNTOUCHED = "__undefined__"
_ROOT = re.compile(r"\A\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)*<annotations[\s>]", re.DOTALL)
_SHAPES = ("box", "polygon", "polyline", "points", "cuboid", "mask", "ellipse", "skeleton")


def recognises(opened: Opened, facets: Facets) -> bool:
    """Tell whether a file is XML with annotations of CVAT."""
    del facets
    return bool(_ROOT.match(opened.text[:10_000]))


def read(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of an export.

    Attributes that nobody touched, shapes and tags that answer nothing are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, or nobody knows who answered.
        MissingResource: lxml is not installed.
    """
    root = parse(opened.text.encode(), str(opened.path))
    if root.find("track") is not None:
        raise RejectedInput(
            f"{opened.path}: this is CVAT for video 1.1; export the task as CVAT for images 1.1"
        )
    left_out: Counter[str] = Counter()
    assigned = _assigned(root)
    when = utc_time(root.findtext("meta/dumped"), f"{opened.path}: meta/dumped")
    found: list[Annotation] = []
    for picture in root.iterfind("image"):
        name = picture.get("name") or ""
        place = f"{opened.path}:{picture.sourceline}"
        if not name:
            raise RejectedInput(f"{place}: an image without a name")
        left_out["shapes"] += sum(1 for shape in picture if shape.tag in _SHAPES)
        answers = [
            each for tag in picture.iterfind("tag") for each in _answers(tag, facets, opened, left_out)
        ]
        left_out["images without an answer"] += not answers
        if answers:
            told = assigned.get(picture.get("task_id") or "") or assigned.get("")
            who = named_rater(told, rater, place)
            key = named_image(image_key(name), place)
            found += answered(key, answers, rater=who, time=when, tool=NAME)
    return Export(annotations=tuple(found), left_out=left_out)


def write(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write pictures to upload and labels to paste.

    Raises:
        UsageFault: A task has no picture or has a text, which CVAT cannot show, or an address is given.
    """
    if delivery.address:
        raise UsageFault("CVAT takes the pictures themselves: leave the address out")
    for task in tasks:
        if task.picture is None or task.text:
            lack = "has no picture" if task.picture is None else "has a text, which CVAT does not show"
            raise UsageFault(f"{shorten(task.image)} {lack}; take another format")
    write_pictures(tasks, out, delivery)
    asked = [facet for name, facet in facets.items() if any(name in task.facets for task in tasks)]
    attributes = [
        {
            "name": facet.name,
            "mutable": False,
            "input_type": "select",
            "default_value": UNTOUCHED,
            "values": [UNTOUCHED, *(choice.label for choice in facet.choices)],
        }
        for facet in asked
    ]
    labels = [{"name": TAG, "type": "tag", "attributes": attributes}]
    write_text(out / "labels.json", json.dumps(labels, indent=1, ensure_ascii=False) + "\n")


FORMAT = Format(
    title="CVAT for images 1.1",
    expected="XML with <annotations> and <image> elements, or the zip archive that holds it",
    recognises=recognises,
    read=read,
    write=write,
)


def _assigned(root: Element) -> Mapping[str, Any]:
    """Return who each task is assigned to, by its number; of the only job or task by the empty one."""
    found: dict[str, Any] = {}
    jobs = [
        *root.iterfind("meta/job"),
        *root.iterfind("meta/task"),
        *root.iterfind("meta/project/tasks/task"),
    ]
    for job in jobs:
        assignee = job.find("assignee")
        if assignee is None:
            continue
        told = {key: assignee.findtext(key) for key in ("email", "username")}
        name = told["email"] or told["username"] or assignee.text or ""
        found[job.findtext("id") or ""] = name.strip()
    if len(jobs) == 1 and found:
        found[""] = next(iter(found.values()))
    return found


def _answers(
    tag: Element, facets: Facets, opened: Opened, left_out: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Yield facet and value of what a tag answers: by its attributes, or by its own name."""
    place = f"{opened.path}:{tag.sourceline}"
    attributes = [(item.get("name") or "", (item.text or "").strip()) for item in tag.iterfind("attribute")]
    asked = [(facets[name], text) for name, text in attributes if name in facets]
    for facet, text in asked:
        if text in ("", UNTOUCHED):
            left_out["attributes that nobody touched"] += 1
        else:
            yield facet.name, value_of(facet, text, f"{place}, {facet.name}")
    if asked:
        return
    label = tag.get("label") or ""
    offering = facets_offering(label, facets)
    if len(offering) > 1:
        names = " and ".join(facet.name for facet in offering)
        raise RejectedInput(f"{place}: the tag {shorten(label)!r} could answer {names}; use an attribute")
    if offering:
        yield offering[0].name, value_of(offering[0], label, place)
    else:
        left_out["other tags"] += 1
