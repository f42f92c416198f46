"""How much a study of agreement on so many images would tell, before anybody answers them.

The model: two raters use the classes equally often, and agree equally well on each. They agree on a share
kappa of the images because they know the answer, and on the rest by chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from dataset_builder.study.annotations import Annotation
from dataset_builder.study.coefficients import NORMAL, Z, cohen_kappa
from dataset_builder.study.ratings import by_facet, classes_of, label_of
from rocov2_eval import __version__
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray, Interval
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.shelf.words import counted

EXPECTED = 0.8  # kappa of raters who were trained
POWER = 0.9  # chance of a study to show that kappa lies above the floor
_MODEL = (
    "expected of two raters who use the classes as often as the table, and agree equally well on each; "
    "images count as independent of each other"
)


@dataclass(frozen=True, kw_only=True)
class FacetPlan:
    """What a study would tell about one facet.

    Attributes:
        interval: Expected 95 % interval of kappa.
        power: Chance that the interval lies above the floor.
        images_for_floor: Images that give this chance `POWER`; None where kappa is not expected above it.
        shares: How frequent each class is among the known answers.
        classes: Expected 95 % interval of kappa of each class against all others.
    """

    interval: Interval
    power: float
    images_for_floor: int | None
    shares: Mapping[str, float]
    classes: Mapping[str, Interval]


def plan_document(
    answers: Iterable[Annotation], source: str, *, images: int, kappa: float, floor: float
) -> Document:
    """Return what a study would tell, with the classes as frequent as among known answers.

    Args:
        answers: Known answers, of raters or of a dataset.
        source: What the document calls their table.
        images: Number of images that two raters are to answer, for each facet; at least 1.
        kappa: Kappa that the raters are expected to reach, at least 0 and below 1.
        floor: Kappa that its interval is to lie above, at least 0 and below 1.

    Raises:
        UsageFault: A number is out of bounds, or every answer to a facet is the same.
        RejectedInput: A facet has too many different answers.
    """
    for name, value in (("kappa", kappa), ("floor", floor)):
        if not 0 <= value < 1:
            raise UsageFault(f"{name}: {value:g}, expected a number from 0 to below 1 for a plan")
    facets = {
        facet: _facet_plan(_shares(facet, [each.cui for each in given]), images, kappa, floor)
        for facet, given in by_facet(answers).items()
    }
    table = Table(
        columns=(
            Column(title="facet"),
            Column(title="expected interval", kind="interval"),
            Column(title=f"chance to lie above {floor:g}", kind="percent", key="power"),
            Column(title=f"images for {100 * POWER:g} %", kind="count", key="images_for_floor"),
        ),
        rows=[(facet, each.interval, each.power, each.images_for_floor) for facet, each in facets.items()],
    )
    tables = [table, *(_class_table(facet, each, images) for facet, each in facets.items())]
    return Document(
        title=f"{source}: {counted(images, 'image')} of each facet, expected kappa {kappa:g}",
        sections=[Section(tables=tables, notes=[Note(text=_MODEL)])],
        data={
            "schema_version": 1,
            "tool": {"name": "rocov2-build", "version": __version__},
            "source": source,
            "images": images,
            "expected_kappa": kappa,
            "floor": floor,
            "facets": {facet: asdict(each) for facet, each in facets.items()},
        },
    )


def standard_error(kappa: float, shares: FloatArray, images: int) -> float:
    """Return the standard error of Cohen's kappa under the model.

    Args:
        kappa: Kappa of the two raters, at least 0 and below 1.
        shares: How frequent the classes are, shape (k,), of sum 1.
        images: Number of images.
    """
    return cohen_kappa(images * ((1 - kappa) * np.outer(shares, shares) + kappa * np.diag(shares)))[1]


def images_for_floor(kappa: float, shares: FloatArray, floor: float) -> int:
    """Return how many images show, with a chance of `POWER`, that kappa lies above a floor (Cantor 1996)."""
    at_floor, expected = (standard_error(value, shares, 1) for value in (floor, kappa))
    return math.ceil(((Z * at_floor + NORMAL.inv_cdf(POWER) * expected) / (kappa - floor)) ** 2)


def power_of(kappa: float, shares: FloatArray, floor: float, images: int) -> float:
    """Return the chance that the interval of a study lies above a floor (Cantor 1996)."""
    at_floor, expected = (standard_error(value, shares, images) for value in (floor, kappa))
    return NORMAL.cdf((kappa - floor - Z * at_floor) / expected)


def _shares(facet: str, values: Iterable[str]) -> dict[str, float]:
    numbers = Counter(values)
    classes = classes_of(facet, set(numbers))
    if len(classes) == 1:
        raise UsageFault(f"every answer to {facet} is {classes[0]}: kappa needs two classes, leave it out")
    return {value: numbers[value] / numbers.total() for value in classes}


def _facet_plan(shares: Mapping[str, float], images: int, kappa: float, floor: float) -> FacetPlan:
    known = np.array([*shares.values()])
    return FacetPlan(
        interval=_interval(kappa, known, images),
        power=power_of(kappa, known, floor, images),
        images_for_floor=images_for_floor(kappa, known, floor) if kappa > floor else None,
        shares=shares,
        classes={
            value: _interval(kappa, np.array([share, 1 - share]), images) for value, share in shares.items()
        },
    )


def _interval(kappa: float, shares: FloatArray, images: int) -> Interval:
    reach = Z * standard_error(kappa, shares, images)
    return Interval(low=max(kappa - reach, -1.0), high=min(kappa + reach, 1.0))


def _class_table(facet: str, plan: FacetPlan, images: int) -> Table:
    return Table(
        columns=(
            Column(title=facet),
            Column(title="share", kind="percent"),
            Column(title="images", kind="count"),
            Column(title="expected interval", kind="interval"),
        ),
        rows=[
            (label_of(facet, value), share, round(share * images), plan.classes[value])
            for value, share in plan.shares.items()
        ],
    )
