"""How long work tells the user how far it is, or something beside the answer."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # so many of so many are done
Notify = Callable[[str], None]  # takes a sentence for the user


def silent(*_: object) -> None:
    """Take progress or a sentence without showing it."""
