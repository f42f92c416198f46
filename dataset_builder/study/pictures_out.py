"""Pictures for raters, under names that tell the key of the image.

out/
  images/<name>             one for each image, named after its key

A name is the key with everything but letters, digits, `.`, `-` and `_` written as `~` and the hexadecimal of
its UTF-8 bytes, and the ending of the picture after it: `PMC7/a b.jpg` is `PMC7~2Fa~20b.jpg.jpg`, and the id
`ROCOv2_2023_test_000001` is `ROCOv2_2023_test_000001.jpg`. No two keys share a name, and every name tells its
key, because a picture that was uploaded by hand has nothing but its name.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from dataset_builder.study.annotations import Task
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.words import shorten

FOLDER = "images"
_LONGEST_NAME = 255  # bytes, on every file system in use
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ESCAPED = re.compile(r"(?:~[0-9A-F]{2})+")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


def picture_name(image: str, picture: Path) -> str:
    """Return the name of a picture, from which `image_key` returns the key."""
    quoted = _UNSAFE.sub(lambda match: "".join(f"~{byte:02X}" for byte in match[0].encode()), image)
    suffix = picture.suffix.lower()
    return quoted + (suffix if _SUFFIX.fullmatch(suffix) else ".bin")


def image_key(name: str) -> str:
    """Return the key that the name of a picture tells; folders before the name do not count."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return _ESCAPED.sub(lambda match: unquote(match[0].replace("~", "%"), errors="replace"), stem)


def write_pictures(tasks: Iterable[Task], out: Path, progress: Callable[[int, int], None]) -> dict[str, str]:
    """Copy the pictures of tasks into `out/images`, and return their names by image.

    Args:
        tasks: Tasks of the same image share its picture.
        out: Folder of the tasks.
        progress: Called with the number of pictures that are written and of all.

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
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    for number, (image, picture) in enumerate(pictures.items(), start=1):
        _copy(picture, out / FOLDER / names[image])
        progress(number, len(pictures))
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
    """Copy a picture; its final name is there only when all of it is."""
    if not source.is_file():
        raise RejectedInput(f"{source}: no such picture")
    building = target.with_name(f".{target.name[:200]}.part")
    try:
        shutil.copyfile(source, building)
        building.replace(target)
    except OSError as error:
        building.unlink(missing_ok=True)
        raise UsageFault(f"{source} cannot be written to {target}: {error.strerror or error}") from None
