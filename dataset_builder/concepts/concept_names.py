"""Names of concepts as rows: read from any CSV, made ready for MedCAT.

MedCAT compares names token by token in small letters and without punctuation; `name_key` says what of a name
it sees. What is settled here, before it sees them, is what it would settle badly: names that two concepts
share, acronyms that are words, and names of which its tokenizer would drop a part.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dataset_builder.concepts.identifiers import cui_fault, tui_fault
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
        cui: CUI of the concept.
        name: Name as a caption may have it.
        status: `P`: the preferred name; `A`: another name; `N`: a name that MedCAT takes only if the context
            tells it.
        types: Semantic types of the concept, such as `T023`; empty if they are not known.
        source: Vocabulary that has the name.
    """

    cui: str
    name: str
    status: Status = AUTOMATIC
    types: tuple[str, ...] = ()
    source: str = ""


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
    if fault := cui_fault(cui):
        raise RejectedInput(f"{where}: {fault}")
    words = " ".join(name.split())
    if not words:
        raise RejectedInput(f"{where}: {cui} without a name, expected one in each row")
    letter = status.strip().upper() or AUTOMATIC
    if letter not in _STATUSES:
        raise RejectedInput(f"{where}: name_status {shorten(letter)!r}, expected one of P, A, N")
    tuis = tuple(sorted({tui.upper() for tui in _BETWEEN_TYPES.split(types) if tui}))
    if fault := next(filter(None, map(tui_fault, tuis)), ""):
        raise RejectedInput(f"{where}: {fault}")
    return ConceptName(cui=cui, name=words, status=letter, types=tuis, source=source.strip())


def name_key(name: str) -> str:
    """Return what MedCAT sees of a name: two names of one key are one to it; empty if it sees nothing."""
    return _SEPARATOR.join(token for token in _tokens(name) if _is_seen(token))


def everyday_names() -> Iterator[ConceptName]:
    """Yield the preferred and the everyday names of the 18 concepts that ROCOv2 curates by hand.

    The preferred ones are those of ROCOv2's cui_mapping.csv, the others are ours. No caption says "X-Ray
    Computed Tomography": without these names the modality is the first thing that is lost. PA is left out, as
    it is the pulmonary artery as often.
    """
    yield from read_concept_table(Path(__file__).with_name("everyday_names.csv"))


def with_everyday_names(rows: Iterable[ConceptName]) -> Iterator[ConceptName]:
    """Yield the everyday names, then the others but those that mean a modality.

    A name of a modality is the modality's, whatever else it abbreviates: `CT` is no calcitonin in a caption
    of a radiology image. The names of regions and directions take nothing away from other concepts.
    """
    ours = list(everyday_names())
    modalities = {name_key(row.name) for row in ours if row.cui in MODALITY_CUIS}
    yield from ours
    for row in rows:
        if row.cui in MODALITY_CUIS or name_key(row.name) not in modalities:
            yield row


def ready(rows: Iterable[ConceptName]) -> tuple[ConceptName, ...]:
    """Return names fit for MedCAT, which finds no name of several concepts; each concept has a preferred one.

    A name of several concepts goes to one that prefers it, then to one that ROCOv2 curates by hand, then to
    that of the lowest CUI: of two CUIs that a source gives one thing the lower is the older one, and more
    often the one in use. So the order of the rows does not matter.

    Names of which MedCAT would drop letters are left out. A concept may be left without any name.
    """
    best: dict[tuple[str, str], ConceptName] = {}
    for row in rows:
        if key := _sound_key(row.name):
            best[row.cui, key] = min(best.get((row.cui, key), row), row, key=_rank)
    _give_types(best)
    owners: dict[str, str] = {}
    for cui, key in sorted(best, key=lambda place: _turn(best[place])):
        owners.setdefault(key, cui)
    owned = {(cui, key): row for (cui, key), row in best.items() if owners[key] == cui}
    _give_preferred(
        owned
    )  # after the names have owners: whoever prefers none must not win by the order of rows
    return tuple(owned.values())


def _rank(row: ConceptName) -> tuple[int, bool]:
    """Return what is least for the best of equal names; one in capitals is looked for in capitals alone."""
    return _STATUSES.index(row.status), row.name.isupper()


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


def _give_types(names: dict[tuple[str, str], ConceptName]) -> None:
    """Give every name all types of its concept."""
    types: defaultdict[str, set[str]] = defaultdict(set)
    for row in names.values():
        types[row.cui].update(row.types)
    for place, row in names.items():
        if len(row.types) != len(types[row.cui]):
            names[place] = replace(row, types=tuple(sorted(types[row.cui])))


def _give_preferred(names: dict[tuple[str, str], ConceptName]) -> None:
    """Prefer the first name of a concept that has no preferred one; MedCAT would show any."""
    named = {row.cui for row in names.values() if row.status == PREFERRED}
    for place, row in names.items():
        if row.cui not in named:
            named.add(row.cui)
            names[place] = replace(row, status=PREFERRED)


def _turn(row: ConceptName) -> tuple[bool, bool, str]:
    """Return what is least for the concept that a name goes to."""
    return row.status != PREFERRED, row.cui not in _CURATED, row.cui
