"""The semantic types of UMLS: those that can be seen in an image, and the words that choose among them.

semantic_types.csv has the 127 types of the UMLS Semantic Network in the semantic groups of McCray, Burgun and
Bodenreider (2001). The list that ROCOv2 kept is not published in full; the column `default` is ours: what a
picture can show, and how it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dataset_builder.concepts.identifiers import tui_fault
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

DEFAULT = "default"
ALL = "all"

_ROWS = [row for _, row in read_rows(Path(__file__).with_name("semantic_types.csv"))]
NAMES: Mapping[str, str] = {row["tui"]: row["name"] for row in _ROWS}
GROUPS: Mapping[str, tuple[str, ...]] = {
    group: tuple(row["tui"] for row in _ROWS if row["group"] == group)
    for group in dict.fromkeys(row["group"] for row in _ROWS)
}
DEFAULT_TYPES = tuple(sorted(row["tui"] for row in _ROWS if row["default"] == "yes"))


def chosen_types(words: Sequence[str]) -> tuple[str, ...]:
    """Return the types that words name, sorted; none stands for every type.

    Args:
        words: Each is `default`, `all`, an identifier such as `T023`, or a group such as `ANAT`.

    Raises:
        UsageFault: A word is none of these, or `all` stands beside others.
    """
    if ALL in words:
        if len(words) > 1:
            raise UsageFault(f"types: {ALL} includes every type; remove the others")
        return ()
    return tuple(sorted({tui for word in words for tui in _types_of(word)}))


def type_name(tui: str) -> str:
    """Return the name of a type, empty where it is not one of UMLS."""
    return NAMES.get(tui, "")


def _types_of(word: str) -> tuple[str, ...]:
    if word == DEFAULT:
        return DEFAULT_TYPES
    if word in GROUPS:
        return GROUPS[word]
    if word in NAMES:
        return (word,)
    if not tui_fault(word):
        raise UsageFault(
            f"types: {word} is none of the {len(NAMES)} semantic types of UMLS, "
            f"which go from {min(NAMES)} to {max(NAMES)} with gaps"
        )
    raise UsageFault(
        f"types: {shorten(word)!r} is neither {DEFAULT} nor {ALL}, no type such as T023, "
        f"and no group ({', '.join(GROUPS)})"
    )
