"""Prodigy: tasks for its `choice` interface out, the JSONL of `prodigy db-out` in.

out/
  tasks.jsonl               one line a picture and facet
  images/

`accept` lists the ids of the options chosen; `answer` is accept, reject or ignore. `_annotator_id` and
`_session_id` are the name of the data set, a hyphen and who opened the session, or when.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.curation.annotations import Annotation, Task, answered
from dataset_builder.curation.exchange import Export, named_image, named_rater, utc_time, value_of
from dataset_builder.curation.facets import Facet, Facets, facets_offering
from dataset_builder.curation.json_values import as_list, as_object
from dataset_builder.curation.pictures_out import FOLDER, image_key, write_pictures
from dataset_builder.curation.tool_files import Delivery, Format, Opened
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

NAME = "prodigy"
_MARKS = ("_input_hash", "_task_hash", "_view_id", "_session_id", "accept")


def recognises(opened: Opened, facets: Facets) -> bool:
    """Tell whether the first line of a file is a task of Prodigy."""
    del facets
    first = opened.text.lstrip().partition("\n")[0]
    if not first.startswith("{"):
        return False
    try:
        line = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return "answer" in line and any(mark in line for mark in _MARKS)


def read(opened: Opened, facets: Facets, rater: str) -> Export:
    """Return the answers of an export; rejected and ignored tasks are left out.

    Raises:
        RejectedInput: It is no such export, an answer is none of the facet's, or nobody knows who answered.
    """
    left_out: Counter[str] = Counter()
    found: list[Annotation] = []
    for place, line in _lines(opened):
        answer = line.get("answer")
        if answer not in ("accept", "reject", "ignore"):
            raise RejectedInput(
                f'{place}: answer is {shorten(repr(answer), 30)}, expected "accept", "reject" or "ignore"'
            )
        chosen = line.get("accept")
        chosen = as_list([chosen] if isinstance(chosen, str | int) else chosen, f"{place}, accept")
        if answer != "accept":
            left_out["rejected tasks" if answer == "reject" else "ignored tasks"] += 1
        elif len(chosen) != 1:
            kind = "several answers where one was asked for" if chosen else "tasks without an answer"
            left_out[kind] += 1
        else:
            facet, cui = _answer(line, chosen[0], facets, place)
            who = named_rater(line.get("_annotator_id") or line.get("_session_id"), rater, place)
            when = utc_time(line.get("_timestamp"), place)
            found += answered(_image(line, place), [(facet.name, cui)], rater=who, time=when, tool=NAME)
    return Export(annotations=tuple(found), left_out=left_out)


def write(tasks: Sequence[Task], facets: Facets, out: Path, delivery: Delivery) -> None:
    """Write one line for each picture and facet, with its options.

    Args:
        tasks: What is asked of which picture.
        facets: The questions.
        out: The folder.
        delivery: How pictures reach raters. Without an address they are named by the path from `out`, which
            a recipe that loads media can read.
    """
    names = write_pictures(tasks, out, delivery)
    lines = []
    for task in tasks:
        for facet in (facets[name] for name in task.facets):
            line: dict[str, Any] = {"key": task.image, "facet": facet.name, "label": facet.title}
            if task.image in names:
                line["image"] = (delivery.address or f"{FOLDER}/") + names[task.image]
            if task.text:
                line["text"] = task.text
            line["options"] = [{"id": choice.value, "text": choice.label} for choice in facet.choices]
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_text(out / "tasks.jsonl", "".join(lines))


FORMAT = Format(
    title="Prodigy JSONL",
    expected='a JSON object a line with "answer" and "accept", as prodigy db-out writes',
    recognises=recognises,
    read=read,
    write=write,
    is_empty=lambda opened: not opened.text.strip(),
)


def _lines(opened: Opened) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # str.splitlines would also cut at line separators of Unicode, which JSON may hold as they are.
    for number, text in enumerate(opened.text.split("\n"), start=1):
        if text.strip():
            place = f"{opened.path}:{number}"
            try:
                yield place, as_object(json.loads(text), place)
            except json.JSONDecodeError as error:
                raise RejectedInput(f"{place}: no well-formed JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise RejectedInput(f"{place}: no JSON that can be read: {shorten(str(error), 80)}") from None


def _image(line: Mapping[str, Any], place: str) -> str:
    """Return the key of a task, which a picture loaded from a folder has in its name."""
    key = line.get("key")
    if key not in (None, ""):
        return named_image(key, f"{place}, key")
    for name in ("path", "image"):
        address = line.get(name)
        if isinstance(address, str) and address and not address.startswith("data:"):
            return named_image(image_key(address), place)
    meta = line.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("file"), str):
        return named_image(image_key(meta["file"]), place)
    raise RejectedInput(f'{place}: neither "key" nor "path" nor "image" tells the key of the image')


def _answer(line: Mapping[str, Any], chosen: object, facets: Facets, place: str) -> tuple[Facet, str]:
    """Return what was answered; an option may go by a number, and then its text tells."""
    named = line.get("facet")
    told = [chosen, *_texts(line, chosen, place)]
    if isinstance(named, str) and named in facets:
        offering = [facets[named]]
    else:
        offering = next(filter(None, (facets_offering(str(text), facets) for text in told)), [])
    if len(offering) != 1:
        could = " and ".join(facet.name for facet in offering) or "nothing that is asked"
        raise RejectedInput(f'{place}: {shorten(str(chosen))!r} answers {could}; name the facet in "facet"')
    text = next((text for text in told if facets_offering(str(text), {"": offering[0]})), chosen)
    return offering[0], value_of(offering[0], text, f"{place}, {offering[0].name}")


def _texts(line: Mapping[str, Any], chosen: object, place: str) -> list[object]:
    options = [as_object(option, f"{place}, options") for option in as_list(line.get("options"), place)]
    return [option.get("text") for option in options if option.get("id") == chosen]
