"""Text for messages: safe to print, singular or plural, and the word that was probably meant."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

# Small letters that look like Latin ones, and Latin ones and digits that look like each other in many fonts.
_CYRILLIC = str.maketrans("авеёзіјкмнорсԁѕтухһԛԝү", "abee3ijkmhopcdstyxhqwy")
_GREEK = str.maketrans("αβγεηικνορτυχω", "abyenikvoptuxw")
_LATIN = str.maketrans("i\u01311|0", "llllo")
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # fillers of Hangul and of Braille: printable, and blank


def shorten(text: str, width: int = 60) -> str:
    """Return text fit for a message: control characters escaped, cut at `width` characters."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: width + 1])
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def short_id(text: str, width: int = 60) -> str:
    """Return an id fit for a message: cut in the middle, since ids of a data set differ at their ends."""
    if len(text) <= width:
        return shorten(text, width)
    half = (width - 1) // 2
    return f"{shorten(text[: width - 1 - half], width)}…{shorten(text[-half:], width)}"


def look(name: str) -> str:
    """Return what a reader sees of a name: equal for names that differ by case, form or alike letters."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter) and letter.isprintable())
    return bare.translate(_CYRILLIC | _GREEK).translate(_LATIN).replace("rn", "m").replace("vv", "w")


def is_shown(name: str) -> bool:
    """Tell whether a name can be shown as it is: printable, not blank at its ends, and something to see."""
    return name.isprintable() and name == name.strip() and bool(look(name).strip(_BLANK_LETTERS))


def path_text(path: object) -> str:
    """Return a path as text that every file and stream takes: of bytes that are no UTF-8, the escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, `1 image` or `2,000 images`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def file_name(path: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]", path)[-1]


def n_words(text: str) -> int:
    """Return how many parts between blanks have a letter or a digit."""
    return sum(any(map(str.isalnum, part)) for part in text.split())


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the word that was meant, else the known ones."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
