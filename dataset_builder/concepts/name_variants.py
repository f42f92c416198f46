"""Forms of names that captions have and tables of concepts have not: plurals, and words without a hyphen.

MedCAT's tokenizer has no lemmatiser: "radiographs" is found only if it is a name. The rules are those of
English nouns and of the Latin and Greek ones of medicine; a form that is no word finds nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from dataset_builder.concepts.concept_names import AUTOMATIC, PREFERRED, ConceptName, Status, name_key

# The noun before the first of these is the one with a plural: diseases of the lung, fractures due to stress.
_AFTER_HEAD = re.compile(r"\s+(?:of|in|with|without|to|from|for|by|at|on|due|as|and|or)\s", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+$")
# A name that is not all in capitals is found in any case: CMs in cms, MRs in Mrs, PETs in pets. So an acronym
# gets an s if it has three letters and nobody can say it as a word, such as MRIs.
_ACRONYM = re.compile(r"[A-Z]{3,5}")
_SAYABLE = re.compile(r"[^AEIOU]*[AEIOU]+[^AEIOU]+")
_JOINED = re.compile(
    r"\b(x|extra|infra|inter|intra|non|para|peri|post|pre|retro|sub|supra|trans)-(?=[a-z])", re.IGNORECASE
)
_SHORTEST = 3  # letters of a noun with a plural
_MOST_WORDS = 6  # longer names are sentences: nobody writes their plural

_IRREGULAR: Mapping[str, tuple[str, ...]] = {
    "abdomen": ("abdomens", "abdomina"),
    "axis": ("axes",),
    "calf": ("calves",),
    "child": ("children",),
    "cornu": ("cornua",),
    "corpus": ("corpora",),
    "crus": ("crura",),
    "femur": ("femurs", "femora"),
    "foot": ("feet",),
    "foramen": ("foramina", "foramens"),
    "ganglion": ("ganglia", "ganglions"),
    "genu": ("genua",),
    "iris": ("irises", "irides"),
    "larynx": ("larynges", "larynxes"),
    "leaf": ("leaves",),
    "lumen": ("lumens", "lumina"),
    "man": ("men",),
    "meninx": ("meninges",),
    "os": ("ossa",),
    "pelvis": ("pelvises", "pelves"),
    "phalanx": ("phalanges",),
    "pharynx": ("pharynges", "pharynxes"),
    "pons": ("pontes",),
    "thorax": ("thoraxes", "thoraces"),
    "tooth": ("teeth",),
    "vas": ("vasa",),
    "viscus": ("viscera",),
    "woman": ("women",),
}
# Of the fourth declension, or at home in English: no -i.
_ENGLISH_US = (
    "coitus",
    "ductus",
    "fetus",
    "fundus",
    "hiatus",
    "ictus",
    "meatus",
    "plexus",
    "sinus",
    "tractus",
    "virus",
)
# Ending, what it becomes; the first that fits.
_ENDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("oma", ("omas", "omata")),
    ("ma", ("mas", "mata")),
    ("itis", ("itides", "itises")),
    ("is", ("es",)),
    ("us", ("i", "uses")),
    ("ium", ("ia", "iums")),
    ("um", ("a", "ums")),
    ("ia", ("ias",)),
    ("ea", ("eas",)),
    ("a", ("ae", "as")),
    ("ex", ("ices", "exes")),
    ("ix", ("ices", "ixes")),
    ("ax", ("aces", "axes")),
    ("ch", ("ches",)),
    ("sh", ("shes",)),
    ("ss", ("sses",)),
    ("x", ("xes",)),
    ("z", ("zes",)),
)
_PLURAL_ENDINGS = ("ae", "mata", "s")
_SINGULAR_IN_S = ("is", "us", "ss", "os", "as")
_VOWELS = "aeiou"


def with_plurals(rows: Iterable[ConceptName]) -> list[ConceptName]:
    """Return names with their plurals after them.

    A plural that is a name of another concept is left out; of concepts whose plurals are the same, those get
    it whose preferred name it is the plural of, if there are any.
    """
    return _with_forms(rows, plurals)


def with_joined(rows: Iterable[ConceptName]) -> list[ConceptName]:
    """Return names with those after them that have no hyphen after a prefix: `X-ray`, `Xray`."""
    return _with_forms(rows, joined)


def plurals(name: str) -> Iterator[str]:
    """Yield the plurals of a name, none for one that is a plural already, ends in a digit, or is long."""
    parts = _AFTER_HEAD.split(name, maxsplit=1)
    head = parts[0]
    rest = name[len(head) :]
    found = _WORD.search(head)
    if not found or "," in name or len(name.split()) > _MOST_WORDS:
        return
    for plural in _plural_nouns(found.group()):
        yield head[: found.start()] + plural + rest


def joined(name: str) -> Iterator[str]:
    """Yield the name without the hyphen of a prefix, nothing if there is none."""
    form = _JOINED.sub(r"\1", name)
    if form != name:
        yield form


def _plural_nouns(noun: str) -> tuple[str, ...]:
    lower = noun.lower()
    if noun.isupper():
        return (f"{noun}s",) if _ACRONYM.fullmatch(noun) and not _SAYABLE.fullmatch(noun) else ()
    if lower in _IRREGULAR:
        return tuple(_in_case_of(noun, plural) for plural in _IRREGULAR[lower])
    if len(noun) < _SHORTEST or (lower.endswith(_PLURAL_ENDINGS) and not lower.endswith(_SINGULAR_IN_S)):
        return ()
    return _regular_plurals(noun, lower)


def _regular_plurals(noun: str, lower: str) -> tuple[str, ...]:
    if lower.endswith(_ENGLISH_US):
        return (f"{noun}es",)
    for ending, plural_endings in _ENDINGS:
        if lower.endswith(ending):
            return tuple(noun[: -len(ending)] + plural for plural in plural_endings)
    if lower.endswith("y") and lower[-2] not in _VOWELS:
        return (f"{noun[:-1]}ies",)
    return (f"{noun}es",) if lower.endswith("s") else (f"{noun}s",)


def _in_case_of(noun: str, plural: str) -> str:
    return plural.capitalize() if noun[0].isupper() else plural


def _with_forms(rows: Iterable[ConceptName], forms: Callable[[str], Iterator[str]]) -> list[ConceptName]:
    """Return names, each followed by its forms where they are free to take."""
    given = list(rows)
    keys = [name_key(row.name) for row in given]
    taken = set(keys)
    made = [
        [(name_key(form), replace(row, name=form, status=_status(row))) for form in forms(row.name)]
        for row in given
    ]
    by_preferred: defaultdict[str, set[str]] = defaultdict(set)
    for row, row_forms in zip(given, made, strict=True):
        if row.status == PREFERRED:
            for key, _ in row_forms:
                by_preferred[key].add(row.cui)
    result = []
    for row, row_forms in zip(given, made, strict=True):
        result.append(row)
        for key, form in row_forms:
            owners = by_preferred.get(key)
            if key not in taken and (not owners or row.cui in owners):
                result.append(form)
    return result


def _status(row: ConceptName) -> Status:
    return AUTOMATIC if row.status == PREFERRED else row.status
