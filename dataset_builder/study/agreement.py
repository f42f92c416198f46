"""How far raters agree on each facet and each of its classes, and the document that reports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dataset_builder.facets import FACETS
from dataset_builder.study.annotations import Annotation
from dataset_builder.study.coefficients import Estimate, confusion, estimate
from dataset_builder.study.ratings import Ratings, label_of, tabulate
from rocov2_eval import __version__
from rocov2_eval.errors import UsageFault
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table, Value
from rocov2_eval.shelf.words import shorten

FLOOR = 0.6  # below it ROCOv2 takes raters not to agree on a facet
SEED = 20260101
_PAIR = 2
_ESTIMATE_COLUMNS = (
    Column(title="kappa", kind="score"),
    Column(title="95 % interval", kind="interval", key="kappa"),
    Column(title="raw agreement", kind="score", key="raw"),
)


@dataclass(frozen=True, kw_only=True)
class FacetAgreement:
    """Agreement on one facet.

    Attributes:
        ratings: The answers that are compared.
        estimate: Agreement on the class.
        classes: Agreement on whether an image is of a class, by class.
        meets_floor: Kappa reaches the floor; False where kappa or its interval is missing.
    """

    ratings: Ratings
    estimate: Estimate
    classes: Mapping[str, Estimate]
    meets_floor: bool


@dataclass(frozen=True, kw_only=True)
class AgreementReport:
    """Agreement on every facet of a table of answers.

    Attributes:
        source: Path of the table.
        floor: Least kappa of a facet that counts as agreed upon.
        seed: Seed of the bootstrap.
        facets: In the order in which they are curated.
    """

    source: str
    floor: float
    seed: int
    facets: tuple[FacetAgreement, ...]

    @property
    def meets_floor(self) -> bool:
        """Whether kappa of every facet reaches the floor."""
        return all(facet.meets_floor for facet in self.facets)


def measure(
    answers: Iterable[Annotation], source: str, *, floor: float = FLOOR, seed: int = SEED
) -> AgreementReport:
    """Return the agreement of raters on each facet.

    Args:
        answers: Answers of all raters, in any order.
        source: What the report calls their table.
        floor: Least kappa, from -1 to 1.
        seed: Seed of the bootstrap.

    Raises:
        UsageFault: The floor is out of bounds.
        RejectedInput: A facet has too many different answers.
    """
    if not -1 <= floor <= 1:
        raise UsageFault(f"floor: {floor:g}, expected a number from -1 to 1")
    facets = tuple(_facet(ratings, floor, seed) for ratings in tabulate(answers))
    return AgreementReport(source=source, floor=floor, seed=seed, facets=facets)


def agreement_document(report: AgreementReport, *, is_bar: bool = False) -> Document:
    """Return what a report says; its rows are those that the gate of a build reads from CSV.

    Args:
        report: How far raters agree.
        is_bar: Whether a facet below the floor makes the command fail.
    """
    missed = [facet for facet in report.facets if not facet.meets_floor]
    listed = ", ".join(f"{shorten(each.ratings.facet)} ({_value(each.estimate)})" for each in missed)
    verdict = (
        f"does not reach {report.floor:g}: {listed}" if missed else f"reaches {report.floor:g} everywhere"
    )
    return Document(
        title=f"{report.source}: kappa {verdict}",
        sections=(
            Section(tables=[facet_table(report)]),
            *(_section(facet) for facet in report.facets),
        ),
        data={
            "schema_version": 1,
            "tool": {"name": "rocov2-build", "version": __version__},
            "source": report.source,
            "floor": {"kappa": report.floor, "met": report.meets_floor},
            "seed": report.seed,
            "facets": {facet.ratings.facet: _data(facet) for facet in report.facets},
        },
        rows=facet_table(report),
        misses=[f"kappa {verdict}"] * (is_bar and bool(missed)),
    )


def facet_table(report: AgreementReport) -> Table:
    """Return a table with a row a facet."""
    return Table(
        columns=(
            Column(title="facet"),
            Column(title="coefficient"),
            *_ESTIMATE_COLUMNS,
            Column(title="images", kind="count"),
            Column(title="raters", kind="count"),
            Column(title=f"reaches {report.floor:g}", key="meets_floor"),
        ),
        rows=[
            (
                each.ratings.facet,
                each.estimate.coefficient,
                *_cells(each.estimate),
                len(each.ratings.codes),
                len(each.ratings.raters),
                each.meets_floor,
            )
            for each in report.facets
        ],
    )


def _facet(ratings: Ratings, floor: float, seed: int) -> FacetAgreement:
    codes = ratings.codes
    overall = estimate(codes, seed=seed)
    return FacetAgreement(
        ratings=ratings,
        estimate=overall,
        classes={
            value: estimate(np.where(codes < 0, -1, codes == code), seed=seed)  # the class against the rest
            for code, value in enumerate(ratings.classes)
        },
        meets_floor=overall.kappa is not None and overall.interval is not None and overall.kappa >= floor,
    )


def _section(facet: FacetAgreement) -> Section:
    ratings = facet.ratings
    left_out = {
        "images with one rater only": ratings.alone,
        "answers ignored: different ones of a rater, without times": ratings.undecided,
    }
    title = f"{FACETS[ratings.facet].title} ({ratings.facet})" if ratings.facet in FACETS else ratings.facet
    return Section(
        title=title,
        facts=[
            Fact(name="raters", value=", ".join(shorten(rater, 30) for rater in ratings.raters) or "none"),
            *(Fact(name=name, value=number, kind="count") for name, number in left_out.items() if number),
        ],
        tables=[*_tables(facet)],
        notes=[Note(text=text) for text in _remarks(facet)],
    )


def _tables(facet: FacetAgreement) -> Iterator[Table]:
    labels = [label_of(facet.ratings.facet, value) for value in facet.classes]
    if not labels:
        return
    numbers = facet.ratings.numbers
    yield Table(
        columns=(
            Column(title="class"),
            Column(title="answers", kind="count"),
            Column(title="share", kind="percent"),
            *_ESTIMATE_COLUMNS,
        ),
        rows=[
            (label, number, number / sum(numbers), *_cells(each))
            for label, number, each in zip(labels, numbers, facet.classes.values(), strict=True)
        ],
    )
    if table := _confusion(facet.ratings):
        corner = Column(title=" \\ ".join(facet.ratings.raters))
        yield Table(
            columns=(corner, *(Column(title=label, kind="count") for label in labels)),
            rows=[(label, *row) for label, row in zip(labels, table, strict=True)],
        )


def _remarks(facet: FacetAgreement) -> Iterator[str]:
    """Yield what a reader of the numbers might overlook."""
    name = facet.ratings.facet
    estimates = {name: facet.estimate} | {
        label_of(name, value): each for value, each in facet.classes.items()
    }
    yield from (f"{name}: {each.reason}" for name, each in estimates.items() if each.reason)
    if facet.estimate.coefficient == "Krippendorff's alpha":
        yield "not every rater answered every image, hence Krippendorff's alpha; --rater compares some raters"


def _confusion(ratings: Ratings) -> list[list[int]]:
    """Return the images by the class to each of two raters; empty for more raters, or without an image."""
    if len(ratings.raters) != _PAIR:
        return []
    return [[int(number) for number in row] for row in confusion(*ratings.codes.T)]


def _cells(estimate: Estimate) -> tuple[Value, ...]:
    return estimate.kappa, estimate.interval, estimate.raw


def _value(estimate: Estimate) -> str:
    if estimate.kappa is None:
        return "undefined"
    return f"{estimate.kappa:.4f}" + ("" if estimate.interval else " without an interval")


def _data(facet: FacetAgreement) -> dict[str, Any]:
    ratings = facet.ratings
    return {
        **asdict(facet.estimate),
        "meets_floor": facet.meets_floor,
        "images": len(ratings.codes),
        "alone": ratings.alone,
        "undecided": ratings.undecided,
        "raters": list(ratings.raters),
        "classes": [
            {"class": value, "label": label_of(ratings.facet, value), "answers": number, **asdict(each)}
            for number, (value, each) in zip(ratings.numbers, facet.classes.items(), strict=True)
        ],
        "table": {"classes": list(ratings.classes), "rows": _confusion(ratings)},
    }
