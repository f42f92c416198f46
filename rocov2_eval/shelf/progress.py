"""How far long work is, as a function that whoever waits hands in."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # takes how much is done and how much there is


def silent(done: int, total: int) -> None:
    """Take progress without showing it."""
