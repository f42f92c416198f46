"""Text for messages: safe to print, singular or plural, and the word that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def shorten(text: str, width: int = 60) -> str:
    """Return text fit for a message: control characters escaped, cut at `width` characters."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: width + 1])
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def path_text(path: object) -> str:
    """Return a path as text that every file and stream takes: of bytes that are no UTF-8, the escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, `1 image` or `2,000 images`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def n_words(text: str) -> int:
    """Return how many parts between blanks have a letter or a digit."""
    return sum(any(map(str.isalnum, part)) for part in text.split())


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the word that was meant, else the known ones."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
