"""What raters are asked about an image: the facets that ROCOv2 curates by hand, and their answers.

Source of the CUIs: ROCOv2 (Rückert et al. 2024) and the evaluator of ImageCLEFmedical Caption 2023; the order
of the facets is the order of their CUIs in `concepts_manual`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dataset_builder.concepts import merging
from rocov2_eval.editions import DIRECTION_CUIS, LABELS, MODALITY_CUIS, REGION_CUIS

COMBINED = "combined"  # the seventh modality, such as PET/CT: it has no CUI and an empty manual cell
NONE = "none"  # looked at, and nothing of the facet is to be seen
UNSURE = "unsure"  # looked at, and not to be told

XRAY = merging.XRAY


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One answer to a facet.

    Attributes:
        value: A CUI, or a word where there is none.
        label: What raters read.
        name: Canonical name of the CUI in ROCOv2; empty for a word.
    """

    value: str
    label: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A question about an image that has one answer.

    Attributes:
        name: In files, such as `modality`.
        title: What raters read.
        choices: The answers, in the order in which they are offered.
        only_for: The modality among whose images it is asked; empty for every image.
    """

    name: str
    title: str
    choices: tuple[Choice, ...]
    only_for: str = ""


Facets = Mapping[str, Facet]  # by name


def _choices(names: Mapping[str, str], *words: Choice) -> tuple[Choice, ...]:
    curated = (Choice(value=cui, label=LABELS[cui], name=name) for cui, name in names.items())
    return (
        *curated,
        *words,
        Choice(value=NONE, label="none of these"),
        Choice(value=UNSURE, label="cannot tell"),
    )


MODALITY = Facet(
    name="modality",
    title="Imaging modality",
    choices=_choices(MODALITY_CUIS, Choice(value=COMBINED, label="combined modalities")),
)
REGION = Facet(name="region", title="Body region of the X-ray", choices=_choices(REGION_CUIS), only_for=XRAY)
DIRECTION = Facet(
    name="direction", title="Direction of the X-ray", choices=_choices(DIRECTION_CUIS), only_for=XRAY
)

# In the order of the CUIs in `concepts_manual`.
FACETS: Facets = {facet.name: facet for facet in (MODALITY, REGION, DIRECTION)}

# Canonical names of the CUIs that raters choose from.
MANUAL_NAMES: Mapping[str, str] = {**MODALITY_CUIS, **REGION_CUIS, **DIRECTION_CUIS}


def choice_named(facet: Facet, text: str) -> Choice | None:
    """Return the choice whose value, label or canonical name a text is; case and blanks do not count."""
    return _by_name(facet).get(_plain(text))


def facets_offering(text: str, facets: Facets) -> list[Facet]:
    """Return the facets that have a choice of this value, label or canonical name."""
    return [facet for facet in facets.values() if choice_named(facet, text)]


@lru_cache(maxsize=64)
def _by_name(facet: Facet) -> Mapping[str, Choice]:
    """Return the choices by everything that they go by; where two share a name, a value beats a label."""
    found: dict[str, Choice] = {}
    for names in (
        [choice.value for choice in facet.choices],
        [choice.label for choice in facet.choices],
        [choice.name for choice in facet.choices],
    ):
        for name, choice in zip(names, facet.choices, strict=True):
            if name:
                found.setdefault(_plain(name), choice)
    return found


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
