"""A dataset to audit, whose truth is known, and raters who answer by it, with known errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dataset_builder.study.annotations import Annotation
from dataset_builder.study.audit_sample import AuditedImage, Item, Key
from dataset_builder.study.audit_tasks import CONCEPT, MOST_MISSED, NO, YES, missed_facet

CT, XRAY = "C0040405", "C1306645"
TUIS = ("T023", "T047", "T037", "T074")
PRECISION: Mapping[str, float] = {"T023": 0.95, "T047": 0.8, "T037": 0.6, "T074": 0.9}
MISSED: Mapping[str, float] = {"T023": 0.3, "T047": 0.2, "T037": 0.05, "T074": 0.1}  # an image, at least one


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the images of a dataset show.

    Attributes:
        right: Whether each automatic concept is shown, by image and CUI.
        missed: Number of concepts that are shown and missing, by image and type.
        types: Semantic type by CUI.
    """

    right: Mapping[tuple[str, str], bool]
    missed: Mapping[tuple[str, str], int]
    types: Mapping[str, str]

    def false_positives(self, *tuis: str) -> float:
        """Return the true false positive rate of some types."""
        return float(
            np.mean([not right for (_, cui), right in self.right.items() if self.types[cui] in tuis])
        )

    def false_negatives(self, *tuis: str) -> float:
        """Return the true false negative rate of some types."""
        missed = sum(number for (_, tui), number in self.missed.items() if tui in tuis)
        right = sum(right for (_, cui), right in self.right.items() if self.types[cui] in tuis)
        return missed / (missed + right)


def population(n_images: int = 600, seed: int = 1) -> tuple[list[AuditedImage], dict[str, str]]:
    """Return images with up to five automatic concepts of four types, the types of unlike frequency."""
    generator = np.random.default_rng(seed)
    types = {f"C{number:07d}": TUIS[number % 4] for number in range(40)}
    weights = np.array([(1.0, 0.3, 0.1, 0.03)[i % 4] / (1 + i // 4) for i in range(40)])
    cuis = list(types)
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
    return images, types


def truth_of(images: Iterable[AuditedImage], types: Mapping[str, str], seed: int = 2) -> Truth:
    """Return a truth with the rates above, as nearly as chance has it."""
    generator = np.random.default_rng(seed)
    images = list(images)
    return Truth(
        right={
            (image.image_id, cui): bool(generator.random() < PRECISION[types[cui]])
            for image in images
            for cui in image.automatic
        },
        missed={
            (image.image_id, tui): int(generator.random() < MISSED[tui]) * int(generator.integers(1, 3))
            for image in images
            for tui in TUIS
        },
        types=types,
    )


def answers(
    key: Key,
    truth: Truth,
    rater: str = "rater-1",
    *,
    items: Iterable[Item] | None = None,
    error: float = 0.0,
    yes: float = 0.0,
) -> list[Annotation]:
    """Return what a rater answers.

    Args:
        key: What was drawn.
        truth: What the images show.
        rater: Who answers.
        items: The items that the rater answers; None for all.
        error: Chance of the opposite of what is shown.
        yes: Chance of yes whatever is shown.
    """
    generator = np.random.default_rng(0)
    given = []
    for item in key.items if items is None else items:
        if item.kind == "missed":
            numbers = {
                missed_facet(tui).name: min(truth.missed[item.image, tui], MOST_MISSED) for tui in key.asked
            }
            given += [
                Annotation(image=item.item, facet=facet, cui=str(number), rater=rater)
                for facet, number in numbers.items()
            ]
            continue
        shown = truth.right.get((item.image, item.cui), False) != (generator.random() < error)
        verdict = YES if shown or generator.random() < yes else NO
        given.append(Annotation(image=item.item, facet=CONCEPT.name, cui=verdict, rater=rater))
    return given
