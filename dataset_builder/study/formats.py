"""The exchange formats: which one a file is of, and the way in and out that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dataset_builder.facets import FACETS, Facets
from dataset_builder.study import answer_tables, label_studio, medcattrainer
from dataset_builder.study.annotations import Annotation, Export, Task
from dataset_builder.study.pictures_out import FOLDER, write_pictures
from dataset_builder.study.tool_files import Format, ToolFile, open_file
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.words import shorten

FORMATS: Mapping[str, Format] = {
    label_studio.NAME: label_studio.FORMAT,
    medcattrainer.NAME: medcattrainer.FORMAT,
    answer_tables.NAME: answer_tables.FORMAT,
}


def read(path: Path, facets: Facets = FACETS, *, name: str = "", rater: str = "") -> list[Annotation]:
    """Return the answers of a file; what `read_export` returns says what was left out as well."""
    return list(read_export(path, facets, name=name, rater=rater).annotations)


def read_export(path: Path, facets: Facets = FACETS, *, name: str = "", rater: str = "") -> Export:
    """Read a file of an annotation tool.

    Args:
        path: The file.
        facets: What was asked.
        name: Name of the format; empty if the content of the file is to tell it.
        rater: Name of the rater of files that name none.

    Raises:
        RejectedInput: It cannot be read, is of another format, or an answer is not understood.
    """
    file = open_file(path)
    name = name or _detected(file, facets)
    if not (FORMATS[name].recognises(file, facets) or file.document == []):  # no task looks like nothing
        other = next((other for other in FORMATS if FORMATS[other].recognises(file, facets)), "")
        hint = f"it is {FORMATS[other].title}: use --from {other}" if other else _beginning(file)
        raise RejectedInput(f"{path}: no {FORMATS[name].title}, expected {FORMATS[name].expected}; {hint}")
    export = FORMATS[name].read(file, facets, rater)
    left_out = {reason: n for reason, n in export.left_out.items() if n}
    empty = () if export.annotations or left_out else (f"{path}: a file without a task",)
    return replace(export, left_out=left_out, format=name, warnings=(*export.warnings, *empty))


def write(
    tasks: Sequence[Task],
    facets: Facets,
    out: Path,
    *,
    name: str,
    address: str = "",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write tasks for a tool, and their pictures.

    Args:
        tasks: What is asked about which picture.
        facets: The questions; each task asks those that it names.
        out: Folder that gets the tasks; made if it is not there.
        name: Name of the format.
        address: Address of the folder of pictures, with a slash at its end, where the tool loads them; empty
            for the path from the tasks.
        progress: Called with the number of pictures that are written and of all.

    Raises:
        UsageFault: The tool cannot show the tasks, or a file cannot be written.
        RejectedInput: A picture cannot be read.
    """
    form = FORMATS[name]
    if address and not form.shows_pictures:
        raise UsageFault(f"{name} shows no pictures: leave --address out")
    names = write_pictures(tasks, out, progress) if form.shows_pictures else {}
    addresses = {image: (address or f"{FOLDER}/") + name for image, name in names.items()}
    form.write(tasks, facets, out, addresses)


def _detected(file: ToolFile, facets: Facets) -> str:
    for name, form in FORMATS.items():
        if form.recognises(file, facets):
            return name
    known = "; ".join(f"{name}: {form.expected}" for name, form in FORMATS.items())
    raise RejectedInput(f"{file.path}: of no format known here: {_beginning(file)}. Known are {known}")


def _beginning(file: ToolFile) -> str:
    """Return what a file of no known format seems to be, so that its owner knows what to do."""
    text = file.text.lstrip()
    if not text:
        return "it is empty"
    if file.document == []:
        return "it is an empty list; if it has no task, name its format with --from"
    line = text.partition("\n")[0]
    return f"it begins with {shorten(line, 60)!r}"
