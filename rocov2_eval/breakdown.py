"""Groups of images within which scores are averaged again: modality, region, direction, concept count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from rocov2_eval.concept_cells import Cell
from rocov2_eval.editions import DIRECTION_CUIS, LABELS, MODALITY_CUIS, REGION_CUIS
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten, suggestion
from rocov2_eval.truth import Truth

SEVERAL_MODALITIES = "several modalities"  # in one cell, such as those of PET/CT; ROCOv2 leaves it empty
NOT_ANNOTATED = "not annotated"  # the truth names no concept of the facet for the image

_CELLS = 1 << 18  # remembered: a board groups the cells of one truth for every run
_COUNT_BINS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 1 << 62))


def group_images(facet: str, truth: Truth) -> list[str]:
    """Return the group of each image, in truth order.

    Raises:
        UsageFault: There is no such facet, or the truth has no file that tells the groups.
    """
    if facet not in FACETS:
        raise UsageFault(f"--by {shorten(facet)}: {suggestion(facet, FACETS)}")
    needs, group = FACETS[facet]
    cells = truth.manual if needs == "manual" else truth.concepts
    if cells is None:
        name = "concepts_manual.csv" if needs == "manual" else "concepts.csv"
        raise UsageFault(f"--by {facet} requires the file {name} beside {truth.table.path}")
    return [group(cell) for cell in cells]


def facets_of(truth: Truth) -> tuple[str, ...]:
    """Return the facets that tell the images of a truth apart: those with two groups or more."""
    cells = {"manual": truth.manual, "concepts": truth.concepts}
    known = [name for name, (needs, _) in FACETS.items() if cells[needs] is not None]
    return tuple(name for name in known if len(set(group_images(name, truth))) > 1)


def order_of(facet: str, groups: Sequence[str]) -> list[str]:
    """Return the groups that occur, in the order in which the facet lists them."""
    occurring = set(groups)
    return [label for label in _labels(facet) if label in occurring]


def _labels(facet: str) -> list[str]:
    if facet == "concepts":
        return [_bin_label(low, high) for low, high in _COUNT_BINS]
    cuis = {"modality": MODALITY_CUIS, "region": REGION_CUIS, "direction": DIRECTION_CUIS}[facet]
    return [*(LABELS[cui] for cui in cuis), _SEVERAL[facet], NOT_ANNOTATED]


def _by_cuis(facet: str, cuis: Mapping[str, str]) -> Callable[[Cell], str]:
    @lru_cache(_CELLS)
    def group(cell: Cell) -> str:
        members = _concepts(cell) & cuis.keys()
        if len(members) > 1:
            return _SEVERAL[facet]
        return LABELS[members.pop()] if members else NOT_ANNOTATED

    return group


@lru_cache(_CELLS)
def _by_count(cell: Cell) -> str:
    count = len(_concepts(cell) - {""})
    return next(_bin_label(low, high) for low, high in _COUNT_BINS if low <= count <= high)


def _concepts(cell: Cell) -> set[str]:
    return {text.strip().upper() for text in (cell or "").split(";")}


def _bin_label(low: int, high: int) -> str:
    if low == high:
        return f"{low}"
    return f"{low} or more" if high == _COUNT_BINS[-1][1] else f"{low}-{high}"


_SEVERAL: Mapping[str, str] = {
    "modality": SEVERAL_MODALITIES,
    "region": "several regions",
    "direction": "several directions",
}

FACETS: Mapping[str, tuple[str, Callable[[Cell], str]]] = {
    "modality": ("manual", _by_cuis("modality", MODALITY_CUIS)),
    "region": ("manual", _by_cuis("region", REGION_CUIS)),
    "direction": ("manual", _by_cuis("direction", DIRECTION_CUIS)),
    "concepts": ("concepts", _by_count),
}
