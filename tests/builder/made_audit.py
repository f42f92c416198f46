"""A dataset to audit, whose truth is known, and raters who answer by it, with known errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dataset_builder.audit.population import AuditedImage, Concept
from dataset_builder.audit.questions import CONCEPT, MOST_MISSED, NO, YES, missed_facet
from dataset_builder.audit.sampling import Item
from dataset_builder.study.annotations import Annotation

CT, XRAY = "C0040405", "C1306645"
TYPES = ("T023", "T047", "T037", "T074")
PRECISION: Mapping[str, float] = {"T023": 0.95, "T047": 0.8, "T037": 0.6, "T074": 0.9}
MISSED: Mapping[str, float] = {"T023": 0.3, "T047": 0.2, "T037": 0.05, "T074": 0.1}  # an image, at least one


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the images of a dataset show.

    Attributes:
        right: Whether each automatic concept is shown, by image and CUI.
        missed: Concepts that are shown and missing, by image and type.
        types: Type by CUI.
    """

    right: Mapping[tuple[str, str], bool]
    missed: Mapping[tuple[str, str], int]
    types: Mapping[str, str]

    def precision(self, *types: str) -> float:
        """Return the true precision of some types."""
        return float(np.mean([right for (_, cui), right in self.right.items() if self.types[cui] in types]))

    def false_negatives(self, *types: str) -> float:
        """Return the true false negative rate of some types."""
        missed = sum(number for (_, tui), number in self.missed.items() if tui in types)
        right = sum(right for (_, cui), right in self.right.items() if self.types[cui] in types)
        return missed / (missed + right)


def population(n_images: int = 600, seed: int = 1) -> tuple[list[AuditedImage], dict[str, Concept]]:
    """Return images with up to five automatic concepts of four types, the types of unlike frequency."""
    generator = np.random.default_rng(seed)
    cuis = [f"C{number:07d}" for number in range(40)]
    types = ("T023", "T047", "T037", "T074")
    concepts = {cui: Concept(cui=cui, type=types[i % 4], name=f"name {cui}") for i, cui in enumerate(cuis)}
    weights = np.array([(1.0, 0.3, 0.1, 0.03)[i % 4] / (1 + i // 4) for i in range(40)])
    images = [
        AuditedImage(
            image_id=f"image_{number:05d}",
            automatic=tuple(
                cuis[index]
                for index in generator.choice(
                    40, generator.integers(0, 6), replace=False, p=weights / weights.sum()
                )
            ),
            manual=(CT,) if number % 3 else (XRAY,),
        )
        for number in range(n_images)
    ]
    return images, concepts


def truth_of(images: list[AuditedImage], concepts: Mapping[str, Concept], seed: int = 2) -> Truth:
    """Return a truth with the rates above, as nearly as chance has it."""
    generator = np.random.default_rng(seed)
    types = {cui: concept.type for cui, concept in concepts.items()}
    return Truth(
        right={
            (image.image_id, cui): bool(generator.random() < PRECISION[types[cui]])
            for image in images
            for cui in image.automatic
        },
        missed={
            (image.image_id, tui): int(generator.random() < MISSED[tui]) * int(generator.integers(1, 3))
            for image in images
            for tui in TYPES
        },
        types=types,
    )


def answers(
    items: list[Item],
    truth: Truth,
    rater: str = "rater-1",
    *,
    error: float = 0.0,
    yes: float = 0.0,
    seed: int = 0,
) -> list[Annotation]:
    """Return what a rater answers.

    Args:
        items: In any order.
        truth: What they show.
        rater: Who answers.
        error: Chance of the opposite of what is shown.
        yes: Chance of yes whatever is shown.
        seed: Of the chances.
    """
    generator = np.random.default_rng(seed)
    given = []
    for item in items:
        if item.kind == "missed":
            given += [
                Annotation(
                    image=item.item,
                    facet=missed_facet(tui).name,
                    cui=str(min(truth.missed[item.image, tui], MOST_MISSED)),
                    rater=rater,
                )
                for tui in item.types
            ]
        elif item.kind in ("automatic", "decoy"):
            shown = truth.right.get((item.image, item.cui), False) != (generator.random() < error)
            verdict = YES if shown or generator.random() < yes else NO
            given.append(Annotation(image=item.item, facet=CONCEPT.name, cui=verdict, rater=rater))
    return given
