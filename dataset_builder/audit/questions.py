"""What raters are asked, and the tasks of each of them: the same words for a concept and for a decoy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dataset_builder.audit.population import AuditedImage, Concept
from dataset_builder.audit.sampling import Item, Kind, Sample
from dataset_builder.concepts.semantic_types import type_name
from dataset_builder.facets import MANUAL_NAMES, UNSURE, Choice, Facet
from rocov2_eval.errors import UsageFault

YES, NO = "yes", "no"
MOST_MISSED = 3  # the last answer to how many are missed takes those and more
_MISSED = "missed"

CONCEPT = Facet(
    name="concept",
    title="Does the image show the concept?",
    choices=(
        Choice(value=YES, label="yes"),
        Choice(value=NO, label="no"),
        Choice(value=UNSURE, label="cannot tell"),
    ),
)
# The two parts of an audit: each has questions of its own, and so a folder of its own.
PARTS: Mapping[str, tuple[Kind, ...]] = {"concepts": ("automatic", "decoy"), "missed": ("missed",)}


def missed_facet(tui: str) -> Facet:
    """Return the question how many visible concepts of a semantic type are missing from the list."""
    labels = ["none", *map(str, range(1, MOST_MISSED)), f"{MOST_MISSED} or more"]
    name = type_name(tui)
    return Facet(
        name=f"{_MISSED}_{tui}",
        title=f"{name} ({tui}): how many does the image show that are not in the list?".lstrip(),
        choices=(
            *(Choice(value=str(number), label=label) for number, label in enumerate(labels)),
            Choice(value=UNSURE, label="cannot tell"),
        ),
    )


def facets_of(items: Iterable[Item]) -> dict[str, Facet]:
    """Return the questions of some items, by name, in the order in which they are asked."""
    facets: dict[str, Facet] = {}
    for item in items:
        if item.kind == "missed":
            facets |= {facet.name: facet for facet in map(missed_facet, item.types)}
        elif item.kind in PARTS["concepts"]:
            facets[CONCEPT.name] = CONCEPT
    return facets


def assign(items: Sequence[Item], raters: int, overlap: float, seed: Sequence[int]) -> list[list[Item]]:
    """Share items out among raters, each rater's in an order of its own.

    Args:
        items: Of one part of the audit.
        raters: How many.
        overlap: Share of the items that every rater sees, rounded up; the others go to one rater each, in
            turn, within each kind and stratum, so that raters have as many decoys as each other.
        seed: Decides which items, and the orders.

    Returns:
        The items of each rater.
    """
    generator = np.random.default_rng(seed)
    grouped: dict[tuple[str, str, str], list[Item]] = {}
    for index in generator.permutation(len(items)):
        item = items[index]
        grouped.setdefault((item.kind, item.stratum.type, item.modality), []).append(item)
    ordered = [item for key in sorted(grouped) for item in grouped[key]]
    n_shared = math.ceil(overlap * len(ordered))
    # Every so many-th is shared, so that each kind and stratum has its part in the overlap.
    shared = {ordered[index].item for index in (len(ordered) * np.arange(n_shared)) // max(n_shared, 1)}
    alone = [item for item in ordered if item.item not in shared]
    both = [item for item in ordered if item.item in shared]
    shares = [[*both, *alone[rater::raters]] for rater in range(raters)]
    return [[share[index] for index in generator.permutation(len(share))] for share in shares]


def text_of(item: Item, image: AuditedImage, concepts: Mapping[str, Concept], *, with_caption: bool) -> str:
    """Return what stands beside the picture of an item: the concept, or all concepts of the image.

    Args:
        item: What is asked.
        image: The image of it.
        concepts: By CUI, with names.
        with_caption: The caption too, which the automatic concepts come from.
    """
    if item.kind == "missed":
        names = [_name(cui, concepts) for cui in _held(image)]
        lines = ["Concepts in the list: " + ("; ".join(names) or "none")]
    else:
        lines = [f"Concept: {_name(item.cui, concepts)} ({item.cui})"]
    if with_caption and image.caption:
        lines.append(f"Caption: {image.caption}")
    return "\n".join(lines)


def refuse_nameless(
    sample: Sample, images: Mapping[str, AuditedImage], concepts: Mapping[str, Concept]
) -> None:
    """Refuse concepts that raters could not read.

    Raises:
        UsageFault: A concept that raters would see has no name.
    """
    seen = {item.cui for item in sample.items if item.cui}
    for item in sample.of_kind("missed"):
        seen.update(_held(images[item.image]))
    nameless = sorted(cui for cui in seen if not _name(cui, concepts))
    if nameless:
        raise UsageFault(
            f"{len(nameless):,} of {len(seen):,} drawn concepts have no name, such as {nameless[0]}: raters "
            "read names; give them with --names, a CSV file with the columns CUI and Canonical name"
        )


def _held(image: AuditedImage) -> tuple[str, ...]:
    return (*image.manual, *image.automatic)


def _name(cui: str, concepts: Mapping[str, Concept]) -> str:
    return concepts[cui].name if cui in concepts and concepts[cui].name else MANUAL_NAMES.get(cui, "")
