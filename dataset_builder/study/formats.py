"""The exchange formats: which one a file is of, and the way in and out that all of them share."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from dataset_builder.facets import FACETS, Facets
from dataset_builder.study import answer_tables, label_studio, medcattrainer
from dataset_builder.study.annotations import Annotation, Export, RatingTask
from dataset_builder.study.tool_files import Format, ToolFile, open_file
from rocov2_eval.errors import RejectedInput, UsageFault, is_disk_full
from rocov2_eval.shelf.folders import publishing
from rocov2_eval.shelf.words import counted, shorten

_FOLDER = "images"
_LISTED = 5  # raters named in a message
_LONGEST_NAME = 255  # bytes, on every file system in use
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")

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
        facets: Facets that the raters were asked about.
        name: Name of the format; empty if the content of the file is to tell it.
        rater: Name of the rater of files that name none.

    Raises:
        RejectedInput: It cannot be read, is of another format, or an answer is not understood.
    """
    file = open_file(path)
    name = name or _detected(file)
    if not (FORMATS[name].recognises(file) or file.document == []):  # no task looks like nothing
        other = next((other for other in FORMATS if FORMATS[other].recognises(file)), "")
        hint = f"it is {FORMATS[other].title}: use --from {other}" if other else _beginning(file)
        raise RejectedInput(f"{path}: no {FORMATS[name].title}, expected {FORMATS[name].expected}; {hint}")
    export = FORMATS[name].read(file, facets, rater)
    annotations = tuple(replace(each, file=str(path)) for each in export.annotations)
    left_out = {reason: n for reason, n in export.left_out.items() if n}
    return Export(annotations=annotations, left_out=left_out, format=name)


def read_exports(
    paths: Sequence[Path], facets: Facets = FACETS, *, raters: Mapping[Path, str], name: str = ""
) -> list[Export]:
    """Read files of annotation tools, some of which have a rater whom the user names.

    Args:
        paths: The files.
        facets: Facets that the raters were asked about.
        raters: By file, the one rater whose answers it has.
        name: Name of the format; empty if the content of each file is to tell it.

    Raises:
        RejectedInput: A file cannot be read, or one with a rater named has the answers of several.
    """
    exports = []
    spelled: dict[str, Path] = {}
    for given in paths:
        path = spelled.setdefault(os.path.realpath(given), given)  # one file may be named in two ways
        rater = raters.get(given, "")
        export = read_export(path, facets, name=name, rater=rater)
        if rater:
            found = sorted({each.rater for each in export.annotations})
            if len(found) > 1:
                listed = ", ".join(shorten(each, 40) for each in found[:_LISTED])
                raise RejectedInput(
                    f"{path}: it contains answers of {counted(len(found), 'rater')} ({listed}), but --rater "
                    f"{shorten(rater, 40)} names one; give each a name with --rename"
                )
            named = tuple(replace(each, rater=rater, is_named=True) for each in export.annotations)
            export = replace(export, annotations=named)
        exports.append(export)
    return exports


def write(tasks: Sequence[RatingTask], facets: Facets, out: Path, *, name: str, place: str = "") -> None:
    """Write tasks for a tool, and their pictures.

    Args:
        tasks: What is asked about which picture.
        facets: The questions; each task asks those that it names.
        out: Folder that gets the tasks; made if it is not there.
        name: Name of the format.
        place: Path of `out` below the folder that Label Studio serves.

    Raises:
        UsageFault: The tool cannot show the tasks, or a file cannot be written.
        RejectedInput: A picture cannot be read.
    """
    form = FORMATS[name]
    served = f"{label_studio.LOCAL_FILES}{quote(place)}/" if name == label_studio.NAME else ""
    with publishing(out, None) as folder:
        pictures = _write_pictures(tasks, folder) if form.shows_pictures else {}
        addresses = {image: f"{served}{_FOLDER}/{picture}" for image, picture in pictures.items()}
        form.write(tasks, facets, folder, addresses)


def picture_name(image: str, picture: Path) -> str:
    """Return the name of the picture of an image in the folder of the tasks; no other key has it.

    It is the key with everything but letters, digits, `.`, `-` and `_` written as `~` and the hexadecimal of
    its UTF-8 bytes, and the ending of the picture after it: `PMC7/a b.jpg` is `PMC7~2Fa~20b.jpg.jpg`.
    """
    quoted = _UNSAFE.sub(lambda match: "".join(f"~{byte:02X}" for byte in match[0].encode()), image)
    suffix = picture.suffix.lower()
    return quoted + (suffix if _SUFFIX.fullmatch(suffix) else ".bin")


def _write_pictures(tasks: Iterable[RatingTask], out: Path) -> dict[str, str]:
    """Copy the pictures of tasks into `out/images`, and return their names by image.

    Raises:
        RejectedInput: A picture cannot be read, an image has two, or two names differ in nothing but case.
        UsageFault: A picture cannot be written.
    """
    pictures: dict[str, Path] = {}
    for task in tasks:
        if task.picture is not None and pictures.setdefault(task.image, task.picture) != task.picture:
            raise RejectedInput(f"{task.picture} and {pictures[task.image]} are both {shorten(task.image)}")
    names = {image: picture_name(image, picture) for image, picture in pictures.items()}
    _check(names)
    (out / _FOLDER).mkdir(parents=True, exist_ok=True)
    for image, picture in pictures.items():
        _copy(picture, out / _FOLDER / names[image])
    return names


def _check(names: Mapping[str, str]) -> None:
    """Refuse names that a file system cannot hold or would take for one."""
    images: dict[str, str] = {}
    for image, name in names.items():
        if len(name) > _LONGEST_NAME:
            raise RejectedInput(f"{shorten(image)}: its key is too long to be the name of a file")
        other = images.setdefault(name.casefold(), image)
        if other != image:
            raise RejectedInput(
                f"{shorten(image)} and {shorten(other)} differ in nothing but case, which not every file "
                f"system keeps apart; export them separately"
            )


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise RejectedInput(f"{source}: no such picture")
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UsageFault(f"{source} cannot be written to {target}: {error.strerror or error}") from None


def _detected(file: ToolFile) -> str:
    for name, form in FORMATS.items():
        if form.recognises(file):
            return name
    known = "; ".join(f"{name}: {form.expected}" for name, form in FORMATS.items())
    raise RejectedInput(f"{file.path}: unknown format: {_beginning(file)}. Known are {known}")


def _beginning(file: ToolFile) -> str:
    """Return what a file of no known format seems to be, so that its owner knows what to do."""
    text = file.text.lstrip()
    if not text:
        return "it is empty"
    if file.document == []:
        return "it is an empty list; if it has no task, name its format with --from"
    line = text.partition("\n")[0]
    return f"it begins with {shorten(line, 60)!r}"
