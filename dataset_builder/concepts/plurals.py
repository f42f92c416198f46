"""Plurals of names: captions have them, and tables of concepts have not.

MedCAT's tokenizer has no lemmatiser: "radiographs" is found only if it is a name. inflect knows the plurals
of English; those of medical Latin and Greek that it lacks are listed here. A form that is no word finds
nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from dataset_builder.concepts.concept_names import AUTOMATIC, PREFERRED, ConceptName, name_key

if TYPE_CHECKING:
    import inflect

# The noun before the first of these is the one with a plural: diseases of the lung, fractures due to stress.
_AFTER_HEAD = re.compile(r"\s+(?:of|in|with|without|to|from|for|by|at|on|due|as|and|or)\s", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+\Z")
# A name that is not all in capitals is found in any case: CMs in cms, MRs in Mrs, PETs in pets. So an acronym
# gets an s if it has three letters and nobody can say it as a word, such as MRIs.
_ACRONYM = re.compile(r"[A-Z]{3,5}")
_SAYABLE = re.compile(r"[^AEIOU]*[AEIOU]+[^AEIOU]+")
_SHORTEST = 3  # letters of a noun with a plural
_PLURAL_ENDINGS = ("ae", "mata", "s")
_SINGULAR_IN_S = ("is", "us", "ss", "os", "as")
_MOST_WORDS = 6  # longer names are sentences: nobody writes their plural
_MEDICAL_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "a": ("ae", "as"),
    "ax": ("aces",),
    "ex": ("ices",),
    "is": ("es",),
    "itis": ("itides",),
    "ix": ("ices",),
    "men": ("mina", "mens"),
    "nx": ("nges",),
    "oma": ("omata",),
    "on": ("a",),
    "um": ("a", "ums"),
    "ur": ("ora",),
    "us": ("i", "uses"),
}


def with_plurals(rows: Iterable[ConceptName]) -> list[ConceptName]:
    """Return names, each followed by its plurals where they are free to take.

    A plural that is a name of another concept is left out; of concepts whose plurals are the same, those get
    it whose preferred name it is the plural of, if there are any.
    """
    given = [(row, {name_key(form): form for form in plurals(row.name)}) for row in rows]
    taken = {name_key(row.name) for row, _ in given}
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for row, forms in given:
        for key in forms if row.status == PREFERRED else ():
            owners[key].add(row.cui)
    result = []
    for row, forms in given:
        result.append(row)
        status = AUTOMATIC if row.status == PREFERRED else row.status
        for key, form in forms.items():
            if key not in taken and row.cui in owners.get(key, {row.cui}):
                result.append(replace(row, name=form, status=status))
    return result


def plurals(name: str) -> Iterator[str]:
    """Yield the plurals of a name, none for one that is a plural already, ends in a digit, or is long."""
    head = _AFTER_HEAD.split(name, maxsplit=1)[0]
    noun = _WORD.search(head)
    if not noun or "," in name or len(name.split()) > _MOST_WORDS:
        return
    for plural in _plural_nouns(noun.group()):
        yield head[: noun.start()] + plural + name[len(head) :]


@lru_cache(maxsize=1 << 16)
def _plural_nouns(noun: str) -> tuple[str, ...]:
    if noun.isupper():
        return (f"{noun}s",) if _ACRONYM.fullmatch(noun) and not _SAYABLE.fullmatch(noun) else ()
    word = noun.lower()
    is_plural = word.endswith(_PLURAL_ENDINGS) and not word.endswith(_SINGULAR_IN_S)
    if len(word) < _SHORTEST or is_plural:
        return ()
    forms = [engine.plural_noun(word) for engine in _engines()]
    for ending, plural_endings in _MEDICAL_ENDINGS.items():
        if word.endswith(ending):
            forms += [word.removesuffix(ending) + each for each in plural_endings]
    return tuple(dict.fromkeys(forms))


@lru_cache(maxsize=1)
def _engines() -> tuple[inflect.engine, inflect.engine]:
    """Return two makers of plurals, one that prefers carcinomas and one that prefers carcinomata."""
    import inflect

    modern, classical = inflect.engine(), inflect.engine()
    classical.classical(all=True)
    return modern, classical
