"""The exchange formats: which one a file is of, and the way in and out that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dataset_builder.curation import cvat, label_studio, medcattrainer, prodigy, sheets
from dataset_builder.curation.annotations import Annotation, Task
from dataset_builder.curation.exchange import Export
from dataset_builder.curation.facets import FACETS, Facets
from dataset_builder.curation.tool_files import Delivery, Format, Opened, open_export
from dataset_builder.curation.unknown_files import described
from rocov2_eval.errors import RejectedInput

FORMATS: Mapping[str, Format] = {
    label_studio.NAME: label_studio.FORMAT,
    cvat.NAME: cvat.FORMAT,
    medcattrainer.NAME: medcattrainer.FORMAT,
    prodigy.NAME: prodigy.FORMAT,
    sheets.LONG: sheets.LONG_FORMAT,
    sheets.WIDE: sheets.WIDE_FORMAT,
}


def detect(path: Path, facets: Facets = FACETS) -> str:
    """Return the name of the format that a file is of.

    Raises:
        RejectedInput: It cannot be read, or is of none.
    """
    return _detected(open_export(path), facets)


def read(path: Path, facets: Facets = FACETS, *, name: str = "", rater: str = "") -> list[Annotation]:
    """Return the answers of an export; what `read_export` returns says what was left out as well."""
    return list(read_export(path, facets, name=name, rater=rater).annotations)


def read_export(path: Path, facets: Facets = FACETS, *, name: str = "", rater: str = "") -> Export:
    """Read an export.

    Args:
        path: The file, or a zip archive with it.
        facets: What was asked.
        name: Of the format; else the file tells.
        rater: Who answered, where the file does not tell.

    Raises:
        RejectedInput: It cannot be read, is of another format, or an answer is not understood.
    """
    opened = open_export(path)
    if name and not _is_of(opened, FORMATS[name], facets):
        found = next((other for other in FORMATS if FORMATS[other].recognises(opened, facets)), "")
        if found:
            raise RejectedInput(
                f"{path}: this is {FORMATS[found].title}, not {FORMATS[name].title}: use --format {found}"
            )
        raise RejectedInput(
            f"{path}: this is no {FORMATS[name].title} but {described(opened)}; "
            f"expected {FORMATS[name].expected}"
        )
    name = name or _detected(opened, facets)
    export = FORMATS[name].read(opened, facets, rater)
    left_out = {reason: n for reason, n in export.left_out.items() if n}
    empty = () if export.annotations or left_out else (f"{path}: an export of 0 tasks",)
    return replace(export, left_out=left_out, format=name, warnings=(*export.warnings, *empty))


def write(
    tasks: Sequence[Task],
    facets: Facets,
    out: Path,
    *,
    name: str,
    address: str = "",
    root: Path | None = None,
    link: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write tasks for a tool.

    Args:
        tasks: What is asked of which picture.
        facets: The questions.
        out: Folder, made where it is not there.
        name: Of the format.
        address: What stands before the name of a picture, where the tool takes addresses.
        root: A folder above `out` that is the document root of Label Studio; None for the one that holds it.
        link: Make hard links of pictures in the place of copies.
        progress: Told how many of how many pictures are there.

    Raises:
        UsageFault: The format cannot show what the tasks have, or a file cannot be written.
        RejectedInput: A picture cannot be read.
    """
    FORMATS[name].write(
        tasks, facets, out, Delivery(address=address, root=root, link=link, progress=progress)
    )


def _is_of(opened: Opened, form: Format, facets: Facets) -> bool:
    """Tell whether a file can be of a format that was named; without a task it may look like nothing."""
    return form.recognises(opened, facets) or form.is_empty(opened)


def _detected(opened: Opened, facets: Facets) -> str:
    for name, each in FORMATS.items():
        if each.recognises(opened, facets):
            return name
    known = "; ".join(f"{name}: {each.expected}" for name, each in FORMATS.items())
    raise RejectedInput(f"{opened.path}: of no format known here: {described(opened)}. Known are {known}")
