"""What raters are asked about an image: the facets that ROCOv2 curates by hand, and the table of answers.

Source of the CUIs: ROCOv2 (Rückert et al. 2024) and the evaluator of ImageCLEFmedical Caption 2023; the order
of the facets is the order of their CUIs in `concepts_manual`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rocov2_eval.editions import DIRECTION_CUIS, LABELS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.csv_files import read_rows
from rocov2_eval.shelf.words import shorten

COMBINED = "combined"  # the seventh modality, such as PET/CT: it has no CUI and an empty manual cell
NONE = "none"  # looked at, and nothing of the facet is to be seen
UNSURE = "unsure"  # looked at, and not to be told

XRAY = "C1306645"
MANUAL_HEADER = ("image", "facet", "CUI")  # of the table of settled answers that a build reads


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One answer to a facet.

    Attributes:
        value: The CUI that stands in tables, or a word such as `combined` where there is no CUI.
        label: The words that raters read, such as `chest`.
        name: Canonical name of the CUI in ROCOv2; empty for a word.
    """

    value: str
    label: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A question about an image that has one answer.

    Attributes:
        name: Name of the facet in files, such as `modality`.
        title: Question that raters read above the choices.
        choices: Possible answers, in the order in which raters see them.
        only_for: CUI of the only modality whose images have this facet; empty if all images have it.
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


def value_of(facet: Facet, text: object, place: str) -> str:
    """Return the value of an answer, which may be written as value, label or canonical name.

    Raises:
        RejectedInput: It is no answer to the facet; the message begins with `place`.
    """
    choice = choice_named(facet, str(text)) if isinstance(text, str | int) else None
    if choice is None:
        offered = ", ".join(choice.label for choice in facet.choices)
        raise RejectedInput(
            f"{place}: {shorten(str(text))!r} is no {facet.name}, expected a CUI of it or one of: {offered}"
        )
    return choice.value


def facet_named(name: str, facets: Facets, place: str) -> Facet:
    """Return the facet of this name.

    Raises:
        RejectedInput: There is none; the message begins with `place`.
    """
    if name not in facets:
        raise RejectedInput(f"{place}: the facet is {shorten(name)!r}, expected one of {', '.join(facets)}")
    return facets[name]


def read_manual(path: Path) -> dict[str, dict[str, str]]:
    """Return the settled value of each facet by image, from CSV with the columns image, facet and CUI.

    Raises:
        RejectedInput: A column is missing, or a row is not understood or stands twice.
    """
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for line, row in read_rows(path, MANUAL_HEADER):
        place = f"{path}:{line}"
        image, facet = row["image"].strip(), facet_named(row["facet"].strip(), FACETS, place)
        if not image:
            raise RejectedInput(f"{place}: the image is empty, expected its key")
        if facet.name in answers[image]:
            raise RejectedInput(f"{place}: {facet.name} of {shorten(image)} occurs twice, expected once")
        answers[image][facet.name] = value_of(facet, row["CUI"], place)
    return dict(answers)


def choice_named(facet: Facet, text: str) -> Choice | None:
    """Return the choice whose value, label or canonical name a text is; case and blanks do not count."""
    return _by_name(facet).get(_plain(text))


@lru_cache(maxsize=64)
def _by_name(facet: Facet) -> Mapping[str, Choice]:
    """Return the choices by everything that they go by; where two share a name, a value beats a label."""
    choices: dict[str, Choice] = {}
    for field in ("value", "label", "name"):
        for choice in facet.choices:
            choices.setdefault(_plain(getattr(choice, field)), choice)
    choices.pop("", None)  # the name of a word
    return choices


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
