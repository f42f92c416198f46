"""The sums of a dataset's files, in the form that `sha256sum -c` reads."""

from __future__ import annotations

import re
from pathlib import Path

from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.words import shorten

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\0\n]+)")


def files_below(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by name, `/` between the parts, sorted; without the list of sums."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    paths.pop(SUMS, None)
    return dict(sorted(paths.items()))


def sums_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder by name, sorted; without the list of sums."""
    return {name: file_digest(path) for name, path in files_below(folder).items()}


def sums_text(sums: dict[str, str]) -> str:
    """Return the list of sums as `sha256sum` writes it."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def read_sums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by name, as a list of sums says.

    Raises:
        RejectedInput: A line is of another form, or the file is not UTF-8.
    """
    sums = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise RejectedInput(f"{path}: {error}") from None
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match:
            sums[match[2]] = match[1]
        elif line:
            raise RejectedInput(f"{path}:{number}: {shorten(line)!r}, expected a sum, two blanks and a name")
    return sums
