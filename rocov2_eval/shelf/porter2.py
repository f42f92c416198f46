"""Stems of English words as NLTK's Snowball stemmer has them: Porter2 in its version of 2009.

Porter (2001), "Snowball: a language for stemming algorithms". The present version of Porter2 gives other
stems (`added` is `add`, no longer `ad`), and NLTK differs from both where a region is shorter than the suffix
that is taken off the word. The official captions were stemmed with NLTK, so that its every step is followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_VOWELS = "aeiouy"
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b", "'"))
_LI_ENDINGS = "cdeghkmnrt"  # letters that may stand before a final "li"
_SHORTEST = 3  # letters of a word that has a stem of its own
_LONG_STARTS = ("gener", "commun", "arsen")  # the first region begins after these
_UNCHANGED = ("inning", "outing", "canning", "herring", "earring")
_EXCEPTIONS: Mapping[str, str] = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
    **{word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")},
    **{word + end: word for word in _UNCHANGED for end in ("", "s")},
    **{word + end: word for word in ("proceed", "exceed", "succeed") for end in ("", "s", "ed", "ing")},
}


@dataclass(frozen=True)
class _Change:
    """What becomes of a suffix.

    Attributes:
        cut: Letters taken off the end.
        added: Letters put in the place of the suffix.
        rest: Letters left of a region that is shorter than what is cut.
    """

    cut: int
    added: str = ""
    rest: int = 0


_STEP_2: Mapping[str, _Change] = {  # the first suffix that fits is the only one that is tried
    "ization": _Change(7, "ize"),
    "ational": _Change(7, "ate", 1),
    "fulness": _Change(4),
    "ousness": _Change(7, "ous"),
    "iveness": _Change(7, "ive", 1),
    "tional": _Change(2),
    "biliti": _Change(6, "ble"),
    "lessli": _Change(2),
    "entli": _Change(2),
    "ation": _Change(5, "ate", 1),
    "alism": _Change(5, "al"),
    "aliti": _Change(5, "al"),
    "ousli": _Change(5, "ous"),
    "iviti": _Change(5, "ive", 1),
    "fulli": _Change(2),
    "enci": _Change(1, "e"),
    "anci": _Change(1, "e"),
    "abli": _Change(1, "e"),
    "izer": _Change(4, "ize"),
    "ator": _Change(4, "ate", 1),
    "alli": _Change(4, "al"),
    "bli": _Change(3, "ble"),
    "ogi": _Change(1),
    "li": _Change(2),
}
_STEP_3: Mapping[str, _Change] = {
    "ational": _Change(7, "ate"),
    "tional": _Change(2),
    "alize": _Change(3),
    "icate": _Change(5, "ic"),
    "iciti": _Change(5, "ic"),
    "ative": _Change(5),
    "ical": _Change(4, "ic"),
    "ness": _Change(4),
    "ful": _Change(3),
}
_STEP_4 = (
    *("ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive"),
    *("ize", "ion", "al", "er", "ic"),
)


@dataclass
class _Word:
    """A word on its way to its stem; a `y` that is a consonant is a capital.

    Attributes:
        text: What is left of the word.
        first: Length of the region R1 at its end, after the first consonant that follows a vowel.
        second: Length of the region R2 at its end, the same within R1.
    """

    text: str
    first: int
    second: int

    def change(self, change: _Change) -> None:
        """Exchange the end."""
        self.text = self.text[: len(self.text) - change.cut] + change.added
        # Only R2 can be too short for a suffix that leaves a rest: such a suffix stands in R1.
        self.first = _length(self.first, change)
        self.second = _length(self.second, change)

    def holds(self, suffix: str, region: int) -> bool:
        """Tell whether a suffix stands within a region at the end."""
        return len(suffix) <= region and self.text.endswith(suffix)


def _length(region: int, change: _Change) -> int:
    return region - change.cut + len(change.added) if region >= change.cut else change.rest


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """Return the stem of a word, in lower case; it may be empty for a word of apostrophes."""
    text = word.lower()
    if len(text) < _SHORTEST or text in _EXCEPTIONS:
        return _EXCEPTIONS.get(text, text)
    text = _with_consonants(text.translate(_APOSTROPHES).removeprefix("'"))
    item = _Word(text, *_regions(text))
    for step in (_possessive, _plural, _past, _final_y, _step_2, _step_3, _step_4, _final_e_or_l):
        step(item)
    return item.text.replace("Y", "y")


def _with_consonants(text: str) -> str:
    """Return a word with a capital for each `y` that begins it or follows a vowel."""
    letters = list(text)
    for i, letter in enumerate(letters):
        if letter == "y" and (i == 0 or letters[i - 1] in _VOWELS):
            letters[i] = "Y"
    return "".join(letters)


def _regions(text: str) -> tuple[int, int]:
    """Return the lengths of R1 and R2."""
    start = next((len(begin) for begin in _LONG_STARTS if text.startswith(begin)), None)
    first = text[start:] if start else _after_vowel_and_consonant(text)
    return len(first), len(_after_vowel_and_consonant(first))


def _after_vowel_and_consonant(text: str) -> str:
    ends = (i + 1 for i in range(1, len(text)) if text[i] not in _VOWELS and text[i - 1] in _VOWELS)
    return text[next(ends, len(text)) :]


def _has_vowel(text: str) -> bool:
    return not set(_VOWELS).isdisjoint(text)


def _suffix(text: str, suffixes: Mapping[str, _Change] | tuple[str, ...]) -> str:
    """Return the first suffix that a word ends in, empty if there is none."""
    return next((suffix for suffix in suffixes if text.endswith(suffix)), "")


def _possessive(word: _Word) -> None:
    word.change(_Change(len(_suffix(word.text, ("'s'", "'s", "'")))))


def _plural(word: _Word) -> None:
    suffix = _suffix(word.text, ("sses", "ied", "ies", "us", "ss", "s"))
    if suffix == "sses":
        word.change(_Change(2))
    elif suffix in ("ied", "ies"):
        word.change(_Change(2 if len(word.text) > len(suffix) + 1 else 1))
    elif suffix == "s" and _has_vowel(word.text[:-2]):
        word.change(_Change(1))


def _past(word: _Word) -> None:
    suffix = _suffix(word.text, ("eedly", "ingly", "edly", "eed", "ing", "ed"))
    if suffix in ("eed", "eedly"):
        if word.holds(suffix, word.first):
            word.change(_Change(len(suffix), "ee"))
    elif suffix and _has_vowel(word.text[: -len(suffix)]):
        word.change(_Change(len(suffix)))
        _mend(word)


def _mend(word: _Word) -> None:
    """Give a word without its `ed` or `ing` an `e`, or take one of two equal letters."""
    text = word.text
    if text.endswith(("at", "bl", "iz")):
        word.text += "e"
        word.first += 1
        if len(word.text) > 5 or word.first >= 3:  # noqa: PLR2004  as NLTK does
            word.second += 1
    elif text[-2:] in ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"):
        word.change(_Change(1))
    elif word.first == 0 and _ends_short(text):
        word.text += "e"
        word.second += bool(word.second)


def _ends_short(text: str) -> bool:
    """Tell whether a word ends in a short syllable."""
    is_vowel = [letter in _VOWELS for letter in text[-3:]]
    if len(text) == 2:  # noqa: PLR2004
        return is_vowel == [True, False]
    return is_vowel == [False, True, False] and text[-1] not in "wxY"


def _final_y(word: _Word) -> None:
    if len(word.text) > 2 and word.text[-1] in "yY" and word.text[-2] not in _VOWELS:  # noqa: PLR2004
        word.change(_Change(1, "i"))


def _step_2(word: _Word) -> None:
    suffix = _suffix(word.text, _STEP_2)
    before = word.text[: len(word.text) - len(suffix)][-1:]
    may = {"ogi": "l", "li": _LI_ENDINGS}.get(suffix, before)
    if suffix and word.holds(suffix, word.first) and before in may:
        word.change(_STEP_2[suffix])


def _step_3(word: _Word) -> None:
    suffix = _suffix(word.text, _STEP_3)
    if suffix and word.holds(suffix, word.second if suffix == "ative" else word.first):
        word.change(_STEP_3[suffix])


def _step_4(word: _Word) -> None:
    suffix = _suffix(word.text, _STEP_4)
    if suffix and word.holds(suffix, word.second) and (suffix != "ion" or word.text[-4] in "st"):
        word.change(_Change(len(suffix)))


def _final_e_or_l(word: _Word) -> None:
    text = word.text
    is_double = word.holds("l", word.second) and text[-2] == "l"
    is_long = len(text) > _SHORTEST and not _ends_short(text[:-1])
    if is_double or word.holds("e", word.second) or (word.holds("e", word.first) and is_long):
        word.text = text[:-1]
