"""Manual and automatic concepts of one image into one list, as ROCOv2 has them.

The rule was read from the released tables: manual concepts stand first, as modality, body region, direction;
automatic ones follow in order of mention. Beside a manual modality there is no automatic modality and no
procedure; combined modalities, which have no CUI, keep both. Anatomy that contradicts was not resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dataset_builder.records import Conflict
from rocov2_eval.editions import DIRECTION_CUIS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

XRAY = "C1306645"

# In the order of their CUIs among the concepts of an image.
ORDER: Mapping[str, Mapping[str, str]] = {
    "modality": MODALITY_CUIS,
    "region": REGION_CUIS,
    "direction": DIRECTION_CUIS,
}
_ONLY_FOR_XRAYS = ("region", "direction")
_TYPE = re.compile(r"T\d{3}")
_CUI = re.compile(r"C\d{7}")


class Mentioned(Protocol):
    """What is asked of an automatic concept here."""

    @property
    def cui(self) -> str:
        """Of the concept."""
        ...

    @property
    def types(self) -> tuple[str, ...]:
        """Its semantic types; empty where they are not known."""
        ...


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What gives way to a manual concept.

    Attributes:
        procedure_types: Semantic types of automatic concepts that go where a manual modality with a CUI
            stands. T060, Diagnostic Procedure, and the concept below reproduce ROCOv2.
        procedure_concepts: Single concepts that go as well. C0449900 is Contrast used.
        resolve_anatomy: Leave out automatic regions and directions other than the manual one of an X-ray,
            which ROCOv2 keeps.
    """

    procedure_types: tuple[str, ...] = ("T060",)
    procedure_concepts: tuple[str, ...] = ("C0449900",)
    resolve_anatomy: bool = False

    def __post_init__(self) -> None:
        for name, values, pattern, expected in (
            ("procedure_types", self.procedure_types, _TYPE, "T and three digits"),
            ("procedure_concepts", self.procedure_concepts, _CUI, "C and seven digits"),
        ):
            for value in values:
                if not pattern.fullmatch(value):
                    raise UsageFault(f"{name}: {shorten(value)!r}, expected {expected}")


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The concepts of one image.

    Attributes:
        concepts: CUIs, the manual ones first, none twice.
        manual: CUIs of modality, region and direction; empty for combined modalities.
        dropped: CUIs of automatic concepts that gave way, in order of mention.
        conflicts: What a person should look at.
    """

    concepts: tuple[str, ...]
    manual: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


DEFAULT = MergeOptions()


def merge(
    manual: Mapping[str, str], automatic: Sequence[Mentioned], options: MergeOptions = DEFAULT
) -> Merged:
    """Merge the concepts of one image.

    Args:
        manual: Value by facet: a CUI of the facet, or a word such as `combined` or `none`, which has no
            concept. Facets without an answer are absent.
        automatic: In order of mention.
        options: What gives way.
    """
    answers = {facet: manual[facet] for facet, cuis in ORDER.items() if manual.get(facet) in cuis}
    is_xray = answers.get("modality") == XRAY
    strays = {} if is_xray else {name: answers.pop(name) for name in _ONLY_FOR_XRAYS if name in answers}
    conflicts = [
        *(Conflict(facet=facet, manual=cui, resolved=True) for facet, cui in strays.items()),
        *_contradictions(answers, automatic, options),
    ]
    gone = {cui for conflict in conflicts if conflict.resolved for cui in conflict.others}
    if "modality" in answers:
        gone |= _procedures(automatic, options)
    firm = tuple(answers.values())
    mentioned = tuple(dict.fromkeys(mention.cui for mention in automatic if mention.cui not in firm))
    return Merged(
        concepts=(*firm, *(cui for cui in mentioned if cui not in gone)),
        manual=firm,
        dropped=tuple(cui for cui in mentioned if cui in gone),
        conflicts=tuple(conflicts),
    )


def _contradictions(
    answers: Mapping[str, str], automatic: Sequence[Mentioned], options: MergeOptions
) -> Iterator[Conflict]:
    for facet in _ONLY_FOR_XRAYS:
        if facet not in answers:
            continue
        mentioned = dict.fromkeys(mention.cui for mention in automatic if mention.cui in ORDER[facet])
        others = tuple(cui for cui in mentioned if cui != answers[facet])
        if others:
            yield Conflict(
                facet=facet, manual=answers[facet], others=others, resolved=options.resolve_anatomy
            )


def _procedures(automatic: Sequence[Mentioned], options: MergeOptions) -> set[str]:
    """Return the CUIs that do not stand beside a manual modality."""
    types = set(options.procedure_types)
    named = {*MODALITY_CUIS, *options.procedure_concepts}
    return {mention.cui for mention in automatic if mention.cui in named or types & set(mention.types)}
