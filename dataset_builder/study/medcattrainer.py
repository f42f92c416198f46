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

from dataset_builder.facets import Facets, choice_named, value_of
from dataset_builder.study.annotations import (
    Annotation,
    Export,
    RatingTask,
    named_image,
    named_rater,
    utc_time,
)
from dataset_builder.study.tool_files import Format, ToolFile, as_list, as_object
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

NAME = "medcattrainer"
_ACCEPTED = ("correct", "alternative", "manually_created")
_REFUSED = ("deleted", "killed", "irrelevant")


def recognises(file: ToolFile) -> bool:
    """Tell whether a file is JSON with projects of MedCATtrainer."""
    return isinstance(file.document, dict) and isinstance(file.document.get("projects"), list)


def read(file: ToolFile, facets: Facets, rater: str) -> Export:
    """Return the answers of an export; those that are not validated or were refused are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, or no rater is named.
    """
    left_out: Counter[str] = Counter()
    annotations: list[Annotation] = []
    for place, image, annotation in _annotations(file):
        if not annotation.get("validated"):
            left_out["annotations not validated"] += 1
        elif any(annotation.get(name) for name in _REFUSED):
            left_out["annotations refused"] += 1
        elif not any(annotation.get(name) for name in _ACCEPTED):
            left_out["annotations not accepted"] += 1
        else:
            answers = dict.fromkeys(_answers(annotation, facets, place))
            left_out["concepts of no facet"] += not answers
            if answers:
                name = named_rater(annotation.get("user"), rater, place)
                time = utc_time(annotation.get("last_modified"), place)
                annotations += [
                    Annotation(image=image, facet=facet, cui=cui, rater=name, time=time)
                    for facet, cui in answers
                ]
    return Export(annotations=tuple(annotations), left_out=left_out)


def write(tasks: Sequence[RatingTask], facets: Facets, out: Path, pictures: Mapping[str, str]) -> None:
    """Write the texts of tasks.

    Raises:
        UsageFault: A task has no text.
    """
    del pictures
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
    shows_pictures=False,
)


def _annotations(file: ToolFile) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the annotations with what messages call them and the key of their image."""
    projects = as_object(file.document, str(file.path)).get("projects")
    for i, project in enumerate(as_list(projects, f"{file.path}: projects"), start=1):
        place = f"{file.path}: project {i}"
        documents = as_list(as_object(project, place).get("documents"), f"{place}, documents")
        for j, each in enumerate(documents, start=1):
            where = f"{place}, document {j}"
            document = as_object(each, where)
            image = named_image(document.get("name"), f"{where}, name")
            annotations = as_list(document.get("annotations"), f"{where}, annotations")
            for k, annotation in enumerate(annotations, start=1):
                yield f"{where}, annotation {k}", image, as_object(annotation, f"{where}, annotation {k}")


def _answers(annotation: Mapping[str, Any], facets: Facets, place: str) -> Iterator[tuple[str, str]]:
    """Yield facet and value: of the concept, and of meta-annotations, a list once and an object since."""
    cui = str(annotation.get("cui") or "")
    for facet in facets.values():
        choice = choice_named(facet, cui)
        if choice:
            yield facet.name, choice.value
    entries = annotation.get("meta_anns")
    where = f"{place}, meta_anns"
    for entry in list(entries.values()) if isinstance(entries, dict) else as_list(entries, where):
        meta = as_object(entry, where)
        name = str(meta.get("name"))
        if name in facets and meta.get("validated", True):
            yield name, value_of(facets[name], meta.get("value"), f"{place}, {name}")
