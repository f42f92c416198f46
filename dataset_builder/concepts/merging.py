"""Manual and automatic concepts of one image into one list, as ROCOv2 has them.

The rule was read from the released tables: manual concepts stand first, as modality, body region, direction;
automatic ones follow in order of mention. Beside a manual modality there is no automatic modality and no
procedure; combined modalities, which have no CUI, keep both. Anatomy that contradicts was not resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dataset_builder.concepts.identifiers import cui_fault, tui_fault
from dataset_builder.facets import XRAY
from dataset_builder.records import Conflict
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.editions import DIRECTION_CUIS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.errors import UsageFault

# In the order of their CUIs among the concepts of an image.
ORDER: Mapping[str, Mapping[str, str]] = {
    "modality": MODALITY_CUIS,
    "region": REGION_CUIS,
    "direction": DIRECTION_CUIS,
}
_ONLY_FOR_XRAYS = ("region", "direction")


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What gives way to a manual concept.

    Attributes:
        procedure_types: Semantic types of automatic concepts that are left out beside a manual modality with
            a CUI. T060, Diagnostic Procedure, and the default of `procedure_concepts` reproduce ROCOv2.
        procedure_concepts: CUIs of automatic concepts that are left out beside a manual modality with a CUI.
            C0449900 is Contrast used.
        resolve_anatomy: Whether automatic regions and directions other than the manual one of an X-ray are
            left out; ROCOv2 keeps them.
    """

    procedure_types: tuple[str, ...] = ("T060",)
    procedure_concepts: tuple[str, ...] = ("C0449900",)
    resolve_anatomy: bool = False

    def __post_init__(self) -> None:
        for name, faults in (
            ("procedure_types", map(tui_fault, self.procedure_types)),
            ("procedure_concepts", map(cui_fault, self.procedure_concepts)),
        ):
            if fault := next(filter(None, faults), ""):
                raise UsageFault(f"{name}: {fault}")


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The concepts of one image.

    Attributes:
        concepts: CUIs of all concepts, the manual ones first, none twice.
        manual: CUIs of modality, region and direction; empty for combined modalities.
        dropped: CUIs of automatic concepts that gave way to manual ones, in order of mention.
        conflicts: Manual answers that do not go with other concepts of the image.
    """

    concepts: tuple[str, ...]
    manual: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


DEFAULT = MergeOptions()


def merge(manual: Mapping[str, str], automatic: Sequence[Mention], options: MergeOptions = DEFAULT) -> Merged:
    """Merge the concepts of one image.

    Args:
        manual: Value by facet: a CUI of the facet, or a word such as `combined` or `none`, which has no
            concept. Facets without an answer are absent.
        automatic: Mentions of the caption, in order.
        options: What gives way to a manual concept.
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
    answers: Mapping[str, str], automatic: Sequence[Mention], options: MergeOptions
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


def _procedures(automatic: Sequence[Mention], options: MergeOptions) -> set[str]:
    """Return the CUIs that do not stand beside a manual modality."""
    types = set(options.procedure_types)
    named = {*MODALITY_CUIS, *options.procedure_concepts}
    return {mention.cui for mention in automatic if mention.cui in named or types & set(mention.types)}
