"""Names of concepts as rows: read from any CSV, made ready for MedCAT.

MedCAT compares names token by token in small letters and without punctuation; `name_key` says what of a name
it sees. What is settled here, before it sees them, is what it would settle badly: names that two concepts
share, acronyms that are words, and names of which its tokenizer would drop a part.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rocov2_eval.editions import DIRECTION_CUIS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

Status = Literal["P", "A", "N"]
PREFERRED: Status = "P"
AUTOMATIC: Status = "A"
MUST_DISAMBIGUATE: Status = "N"

_STATUSES = (PREFERRED, AUTOMATIC, MUST_DISAMBIGUATE)
_TYPE_COLUMNS = ("type_ids", "tui", "types")  # the first that is there
_CUI = re.compile(r"C\d{7}")
_TUI = re.compile(r"T\d{3}")
_BETWEEN_TYPES = re.compile(r"[|;, ]+")
# As MedCAT's regex tokenizer and tagger cut and skip.
_TOKEN = re.compile(r"[^a-zA-Z0-9\s]+|\b\w+\b|\S+")
_SKIPPED = re.compile(r"[^a-z0-9]+")
_KEPT_PUNCTUATION = (".", ":")
_SKIPPED_WORDS = ("nos",)
_SEPARATOR = "~"
_CURATED = frozenset({**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS})


@dataclass(frozen=True, kw_only=True, slots=True)
class ConceptName:
    """A name of a concept.

    Attributes:
        cui: Of the concept.
        name: As a text may have it.
        status: `P`: the preferred one; `A`: another; `N`: taken only where the context tells it.
        types: Semantic types of the concept, such as `T023`; empty where they are not known.
        source: Where the name comes from.
    """

    cui: str
    name: str
    status: Status = AUTOMATIC
    types: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nameless:
    """A concept that is left without a name.

    Attributes:
        cui: Of the concept.
        name: The one it prefers.
        holder: The concept that has this name now; empty where MedCAT would drop letters of it.
    """

    cui: str
    name: str
    holder: str


@dataclass(frozen=True, kw_only=True)
class Readied:
    """Names fit for MedCAT, and what was left out.

    Attributes:
        names: Each concept has a preferred one; acronyms first.
        unseen: Number of names of which the tokenizer would drop letters, such as those that begin with `β`.
        yielded: Number of names left to another concept, to one that prefers them or goes before.
        nameless: Concepts that have no other names than these, by CUI.
    """

    names: tuple[ConceptName, ...]
    unseen: int
    yielded: int
    nameless: tuple[Nameless, ...]


def read_concept_table(path: Path) -> Iterator[ConceptName]:
    """Yield the names of a CSV file with the columns cui and name.

    The columns name_status, type_ids (or tui, or types; joined by `|`, `;` or `,`) and source are read where
    they are there.

    Raises:
        RejectedInput: A column is missing, or a cell holds something else.
    """
    for line, row in read_rows(path, ("cui", "name")):
        types = next((row[column] for column in _TYPE_COLUMNS if column in row), "")
        yield concept_name(
            row["cui"],
            row["name"],
            where=f"{path}:{line}",
            status=row.get("name_status", ""),
            types=types,
            source=row.get("source", ""),
        )


def concept_name(
    cui: str, name: str, *, where: str, status: str = "", types: str = "", source: str = ""
) -> ConceptName:
    """Return a name from the text of its cells.

    Raises:
        RejectedInput: A cell holds something else; the message begins with `where`.
    """
    cui = cui.strip().upper()
    if not _CUI.fullmatch(cui):
        raise RejectedInput(f"{where}: {shorten(cui)!r} is no CUI, expected C and seven digits")
    words = " ".join(name.split())
    if not words:
        raise RejectedInput(f"{where}: {cui} without a name, expected one in each row")
    letter = status.strip().upper() or AUTOMATIC
    if letter not in _STATUSES:
        raise RejectedInput(f"{where}: name_status {shorten(letter)!r}, expected one of P, A, N")
    tuis = tuple(sorted({tui.upper() for tui in _BETWEEN_TYPES.split(types) if tui}))
    for tui in tuis:
        if not _TUI.fullmatch(tui):
            raise RejectedInput(f"{where}: {shorten(tui)!r} is no semantic type, expected T and three digits")
    return ConceptName(cui=cui, name=words, status=letter, types=tuis, source=source.strip())


def name_key(name: str) -> str:
    """Return what MedCAT sees of a name: two names of one key are one to it; empty if it sees nothing."""
    return _SEPARATOR.join(token for token in _tokens(name) if _is_seen(token))


def is_acronym(name: str) -> bool:
    """Tell whether a name has no small letter, so that it is looked for in capitals alone."""
    return name.isupper()


def ready(rows: Iterable[ConceptName], *, preferred_wins: bool = True, lowest_wins: bool = False) -> Readied:
    """Make names ready for MedCAT.

    Which concept gets a name does not depend on the order of the rows.

    Args:
        rows: Names in any order. Of equal ones of a concept, the best status wins.
        preferred_wins: A name that one concept prefers, and another merely has, goes to the first. Without
            training MedCAT would find neither.
        lowest_wins: A name that still belongs to several concepts goes to one of them: to one that prefers
            it, then to one that ROCOv2 curates by hand, then to that of the lowest CUI. Of two CUIs that a
            source gives one thing the lower is the older one, and more often the one in use.
    """
    seen: dict[tuple[str, str], ConceptName] = {}
    shown: dict[str, ConceptName] = {}
    unseen = 0
    for row in rows:
        if _rank(row) < _rank(shown.setdefault(row.cui, row)):
            shown[row.cui] = row
        key = _sound_key(row.name)
        if not key:
            unseen += 1
            continue
        known = seen.setdefault((row.cui, key), row)
        if _rank(row) < _rank(known):
            seen[row.cui, key] = row
    _give_types(seen)
    _give_preferred(seen)
    yielded = 0
    for wanted, losers in ((preferred_wins, _outranked), (lowest_wins, _later)):
        for place in losers(seen) if wanted else ():
            del seen[place]
            yielded += 1
    _give_preferred(seen)  # to those that yielded the name that they preferred
    # Of names with one key MedCAT takes the last one's capitals: an acronym must not hide a word (ARM, arm).
    names = sorted(seen.values(), key=lambda row: not is_acronym(row.name))
    return Readied(
        names=tuple(names), unseen=unseen, yielded=yielded, nameless=_nameless(shown.values(), names)
    )


def _rank(row: ConceptName) -> tuple[int, bool]:
    return _STATUSES.index(row.status), is_acronym(row.name)


def _tokens(name: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(name)]


def _is_seen(token: str) -> bool:
    if token in _SKIPPED_WORDS:
        return False
    return token in _KEPT_PUNCTUATION or not _SKIPPED.match(token)


def _sound_key(name: str) -> str:
    """Return the key, empty where MedCAT would drop letters: `β-thalassaemia` is no thalassaemia."""
    lost = (token for token in _tokens(name) if not _is_seen(token) and token not in _SKIPPED_WORDS)
    if any(character.isalpha() for token in lost for character in token):
        return ""
    return name_key(name)


def _give_types(seen: dict[tuple[str, str], ConceptName]) -> None:
    """Give every name all types of its concept."""
    types: defaultdict[str, set[str]] = defaultdict(set)
    for row in seen.values():
        types[row.cui].update(row.types)
    for place, row in seen.items():
        if len(row.types) != len(types[row.cui]):
            seen[place] = replace(row, types=tuple(sorted(types[row.cui])))


def _give_preferred(seen: dict[tuple[str, str], ConceptName]) -> None:
    """Prefer the first name of a concept that has no preferred one; MedCAT would show any."""
    named = {row.cui for row in seen.values() if row.status == PREFERRED}
    for place, row in seen.items():
        if row.cui not in named:
            named.add(row.cui)
            seen[place] = replace(row, status=PREFERRED)


def _outranked(seen: Mapping[tuple[str, str], ConceptName]) -> list[tuple[str, str]]:
    """Return the places of names that another concept, and only one, prefers."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for (cui, key), row in seen.items():
        if row.status == PREFERRED:
            owners[key].add(cui)
    return [(cui, key) for cui, key in seen if len(owners.get(key, ())) == 1 and cui not in owners[key]]


def _later(seen: Mapping[tuple[str, str], ConceptName]) -> list[tuple[str, str]]:
    """Return the places of names that a concept has that goes before."""
    best: dict[str, tuple[bool, bool, str]] = {}
    for (cui, key), row in seen.items():
        best[key] = min(_turn(cui, row), best.get(key, _turn(cui, row)))
    return [(cui, key) for cui, key in seen if cui != best[key][-1]]


def _turn(cui: str, row: ConceptName) -> tuple[bool, bool, str]:
    """Return what is least for the concept that a name goes to."""
    return row.status != PREFERRED, cui not in _CURATED, cui


def _nameless(shown: Iterable[ConceptName], names: Iterable[ConceptName]) -> tuple[Nameless, ...]:
    """Return the concepts that none of the names is of."""
    holders = {name_key(row.name): row.cui for row in names}
    named = set(holders.values())
    lost = sorted((row for row in shown if row.cui not in named), key=lambda row: row.cui)
    return tuple(
        Nameless(cui=row.cui, name=row.name, holder=holders.get(_sound_key(row.name), "")) for row in lost
    )
