"""MedCATtrainer: a data set of texts out, its annotation export in.

out/
  dataset.csv               name,text: the documents, named after the keys of the images
  cuis.json                 CUIs to search for: the CUI file of a project

It shows texts alone. An annotation answers a facet by its CUI, or by a meta-annotation that is named like the
facet, the only way to a word such as `none`. An annotation counts if a person validated it, and found it
correct, corrected it to another concept or made it by hand, and did not delete or kill it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.curation.annotations import Annotation, Task, answered
from dataset_builder.curation.exchange import Export, named_image, named_rater, utc_time, value_of
from dataset_builder.curation.facets import Facets, facets_offering
from dataset_builder.curation.json_values import as_list, as_object
from dataset_builder.curation.tool_files import Delivery, Format, Opened
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

NAME = "medcattrainer"
_ACCEPTED = ("correct", "alternative", "manually_created")
_REFUSED = ("deleted", "killed", "irrelevant")


def recognises(opened: Opened, facets: Facets) -> bool:
    """Tell whether a file is JSON with projects of MedCATtrainer."""
    del facets
    return isinstance(opened.parsed, dict) and isinstance(opened.parsed.get("projects"), list)


def read(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of an export; those that are not validated or were refused are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, or nobody knows who answered.
    """
    if opened.json_fault:
        raise RejectedInput(opened.json_fault)
    left_out: Counter[str] = Counter()
    found: list[Annotation] = []
    for place, image, annotation in _annotations(opened):
        if not annotation.get("validated"):
            left_out["annotations that nobody validated"] += 1
        elif any(annotation.get(name) for name in _REFUSED):
            left_out["annotations that were refused"] += 1
        elif not any(annotation.get(name) for name in _ACCEPTED):
            left_out["annotations that were not accepted"] += 1
        else:
            answers = dict.fromkeys(_answers(annotation, facets, place))
            left_out["concepts of no facet"] += not answers
            if answers:
                who = named_rater(annotation.get("user"), rater, place)
                when = utc_time(annotation.get("last_modified"), place)
                found += answered(image, answers, rater=who, time=when, tool=NAME)
    return Export(annotations=tuple(found), left_out=left_out)


def write(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write the texts of tasks.

    Raises:
        UsageFault: A task has no text, or an option of pictures is given.
    """
    if delivery.address or delivery.link:
        raise UsageFault("MedCATtrainer shows no pictures: leave the options of pictures out")
    for task in tasks:
        if not task.text.strip():
            raise UsageFault(f"{shorten(task.image)} has no text, and MedCATtrainer shows nothing else")
    write_csv(out / "dataset.csv", ("name", "text"), ((task.image, task.text) for task in tasks))
    cuis = [choice.value for facet in facets.values() for choice in facet.choices if choice.name]
    write_text(out / "cuis.json", json.dumps(cuis) + "\n")


FORMAT = Format(
    title="MedCATtrainer JSON",
    expected='an object with "projects", each with "documents" and their "annotations"',
    recognises=recognises,
    read=read,
    write=write,
)


def _annotations(opened: Opened) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the annotations with what messages call them and the key of their image."""
    projects = as_object(opened.parsed, str(opened.path)).get("projects")
    for i, project in enumerate(as_list(projects, f"{opened.path}: projects"), start=1):
        place = f"{opened.path}: project {i}"
        documents = as_list(as_object(project, place).get("documents"), f"{place}, documents")
        for j, each in enumerate(documents, start=1):
            where = f"{place}, document {j}"
            document = as_object(each, where)
            image = named_image(document.get("name"), f"{where}, name")
            annotations = as_list(document.get("annotations"), f"{where}, annotations")
            for k, annotation in enumerate(annotations, start=1):
                at = f"{where}, annotation {k}"
                yield at, image, as_object(annotation, at)


def _answers(annotation: Mapping[str, Any], facets: Facets, place: str) -> Iterator[tuple[str, str]]:
    """Yield facet and value: of the concept, and of meta-annotations, a list once and an object since."""
    cui = str(annotation.get("cui") or "")
    for facet in facets_offering(cui, facets):
        yield facet.name, value_of(facet, cui, place)
    told = annotation.get("meta_anns")
    items = list(told.values()) if isinstance(told, dict) else as_list(told, f"{place}, meta_anns")
    for item in items:
        meta = as_object(item, f"{place}, meta_anns")
        name = str(meta.get("name"))
        if name in facets and meta.get("validated", True):
            yield name, value_of(facets[name], meta.get("value"), f"{place}, {name}")
