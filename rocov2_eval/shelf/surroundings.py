"""What the environment says: folders and numbers, or a message that names the variable.

A value is taken as it is. An empty one counts as none; one that cannot be meant ends the command, because
something else in its place would go unnoticed.
"""

from __future__ import annotations

import os
from pathlib import Path

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten


def variable(name: str) -> str:
    """Return the value of a variable of the environment, empty where it is not set."""
    return os.environ.get(name, "")


def variable_path(name: str) -> Path | None:
    """Return the path that a variable names, None where it is empty or not set.

    Raises:
        UsageFault: It begins with the home of a user that there is not.
    """
    value = variable(name)
    return named_path(value, f"${name}") if value else None


def variable_number(name: str, default: int) -> int:
    """Return the whole number that a variable holds, from 0; the default where it is empty or not set.

    Raises:
        UsageFault: It holds something else.
    """
    value = variable(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10):  # noqa: PLR2004
        raise UsageFault(f"${name} is {shorten(value)!r}: expected a whole number")
    return int(value)


def named_path(text: str, origin: str) -> Path:
    """Return the path that somebody named, with `~` at its beginning as the home that it stands for.

    Args:
        text: What was named.
        origin: Who named it, such as `--weights` or `$ROCOV2_DATA`.

    Raises:
        UsageFault: No path can be spelt so, or there is no such home.
    """
    if "\0" in text or not text:
        raise UsageFault(f"{origin} is {shorten(text)!r}: expected a path")
    path = os.path.expanduser(text)  # noqa: PTH111  Path.expanduser has an error of its own for each system
    if path.startswith("~") and text.startswith("~") and not Path(text).exists():
        raise UsageFault(f"{origin} is {shorten(text)}: that user has no home folder; write the whole path")
    return Path(path)


def home() -> Path:
    """Return the home of the user.

    Raises:
        UsageFault: The environment names none.
    """
    path = Path(os.path.expanduser("~"))  # noqa: PTH111  as above
    if not path.is_absolute():
        raise UsageFault(f"$HOME is {shorten(variable('HOME'))!r}: expected the whole path of a folder")
    return path
