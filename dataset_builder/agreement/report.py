"""The agreement of raters on each facet and each of its classes, with intervals and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from dataset_builder.agreement import coefficients
from dataset_builder.agreement.evidence import (
    Coefficient,
    Evidence,
    Method,
    estimates,
    evidence_of,
    unless_nan,
)
from dataset_builder.agreement.ratings import Ratings, Unsure, label_of, tabulate
from dataset_builder.study.annotations import Annotation
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import IntArray, Interval
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.shelf.words import shorten

FLOOR = 0.6  # below it ROCOv2 counts a facet as not agreed upon
_PAIR = 2
_FEW_IMAGES = 30
_HIGH_RAW = 0.8
_LOW_CEILING = 0.8


@dataclass(frozen=True, kw_only=True)
class AgreementOptions:
    """What the figures depend on.

    Attributes:
        unsure: Whether "cannot tell" is a class of its own or no answer.
        floor: Least kappa of a facet.
        by_lower: Hold the lower end of the interval, not kappa itself, against the floor.
        bootstrap: How intervals are made.
    """

    unsure: Unsure = "class"
    floor: float = FLOOR
    by_lower: bool = False
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    def __post_init__(self) -> None:
        if not -1 <= self.floor <= 1:
            raise UsageFault(f"floor: {self.floor:g}, expected a number from -1 to 1")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One coefficient and what is read beside it.

    Attributes:
        kappa: None where it is undefined.
        reason: Why it is.
        raw: Share of pairs of answers that agree.
        adjusted: Kappa of the same raw agreement if all classes were equally frequent; PABAK of two classes.
        greatest: Kappa that two raters could reach who use the classes as often as they do.
        standard_error: Of large samples; of two raters.
        interval: None where it cannot be told.
        method: How the interval was made.
        notes: What a reader might overlook.
    """

    kappa: float | None = None
    reason: str = ""
    raw: float | None = None
    adjusted: float | None = None
    greatest: float | None = None
    standard_error: float | None = None
    interval: Interval | None = None
    method: Method = "none"
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What Landis and Koch (1977) call it."""
        return "undefined" if self.kappa is None else coefficients.landis_koch(self.kappa)


@dataclass(frozen=True, kw_only=True)
class ClassAgreement:
    """Agreement on one class against all others.

    Attributes:
        value: The class.
        label: What raters read.
        answers: How often it was given.
        share: Of all answers, its prevalence.
        agreement: On whether an image is of the class.
    """

    value: str
    label: str
    answers: int
    share: float
    agreement: Agreement


@dataclass(frozen=True, kw_only=True)
class RaterPair:
    """Cohen's kappa of two raters among several.

    Attributes:
        first: Name.
        second: Name.
        images: Answered by both.
        kappa: None where it is undefined.
        reason: Why it is.
        raw: Share of images on which they agree; None without images.
        standard_error: Of kappa, of large samples.
    """

    first: str
    second: str
    images: int
    kappa: float | None
    reason: str
    raw: float | None
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class FacetAgreement:
    """Agreement on one facet.

    Attributes:
        facet: Its name.
        coefficient: What kappa is here.
        raters: Names; of two the first has the rows of the table.
        images: Answered by at least two raters.
        alone: Left out because one rater answered.
        unsure: Answers left out because the rater could not tell.
        replaced: Answers left out because the same rater answered again.
        undecided: Answers left out because the same rater gave different ones, and no time tells the latest.
        agreement: On the class.
        classes: Each class against all others.
        table: Of two raters the images by the class of the first (row) and of the second (column); of more
            the pairs of answers to an image by their classes, symmetric.
        pairs: Of more than two raters, those who share images.
        meets_floor: Whether kappa, or its lower end, reaches the floor; False without kappa or its interval.
    """

    facet: str
    coefficient: Coefficient
    raters: tuple[str, ...]
    images: int
    alone: int
    unsure: int
    replaced: int
    undecided: int
    agreement: Agreement
    classes: tuple[ClassAgreement, ...]
    table: tuple[tuple[int, ...], ...]
    pairs: tuple[RaterPair, ...]
    meets_floor: bool


@dataclass(frozen=True, kw_only=True)
class AgreementReport:
    """Agreement on every facet of a file.

    Attributes:
        source: Where the answers come from.
        options: What the figures depend on.
        facets: In the order of curation.
    """

    source: str
    options: AgreementOptions
    facets: tuple[FacetAgreement, ...]

    @property
    def meets_floor(self) -> bool:
        """Whether every facet does."""
        return all(facet.meets_floor for facet in self.facets)


def measure(
    annotations: Iterable[Annotation], source: str, options: AgreementOptions | None = None
) -> AgreementReport:
    """Return the agreement of raters on each facet.

    Args:
        annotations: In any order.
        source: What the report calls them.
        options: What the figures depend on.

    Raises:
        RejectedInput: The annotations contradict each other or their facets.
    """
    options = options or AgreementOptions()
    ratings = tabulate(annotations, unsure=options.unsure)
    return AgreementReport(
        source=source, options=options, facets=tuple(_facet(each, options) for each in ratings)
    )


def _facet(ratings: Ratings, options: AgreementOptions) -> FacetAgreement:
    k = len(ratings.classes)
    answers = np.bincount(ratings.codes[ratings.codes >= 0], minlength=k)
    evidence = evidence_of(ratings.codes, k) if k else None
    agreements = _agreements(ratings, evidence, options.bootstrap) if evidence else [_nothing_shared()]
    pairs = tuple(_pairs(ratings)) if len(ratings.raters) > _PAIR else ()
    return FacetAgreement(
        facet=ratings.facet,
        coefficient=evidence.coefficient if evidence else "Cohen's kappa",
        raters=ratings.raters,
        images=len(ratings.codes),
        alone=ratings.alone,
        unsure=ratings.unsure,
        replaced=ratings.replaced,
        undecided=ratings.undecided,
        agreement=replace(agreements[0], notes=(*agreements[0].notes, *_switched(evidence, pairs))),
        classes=tuple(
            ClassAgreement(
                value=value,
                label=label_of(ratings.facet, value),
                answers=int(number),
                share=float(number / answers.sum()),
                agreement=agreement,
            )
            for value, number, agreement in zip(ratings.classes, answers, agreements[1:], strict=True)
        ),
        table=tuple(tuple(map(int, row)) for row in evidence.table) if evidence else (),
        pairs=pairs,
        meets_floor=_meets(agreements[0], options),
    )


def _agreements(ratings: Ratings, evidence: Evidence, options: Bootstrap) -> list[Agreement]:
    """Return the agreement on the facet, then on each class."""
    k = len(ratings.classes)
    found = []
    for i, estimate in enumerate(estimates(evidence, options)):
        if estimate.kappa is None:
            only = label_of(ratings.facet, ratings.classes[0])
            reason = f"every answer is {only}, so that chance alone would agree as well"
            found.append(Agreement(reason=reason, raw=estimate.raw))
            continue
        bare = Agreement(
            kappa=estimate.kappa,
            raw=estimate.raw,
            adjusted=float(coefficients.adjusted_kappa(estimate.raw, 2 if i else k)),
            greatest=estimate.greatest,
            standard_error=estimate.standard_error,
            interval=estimate.interval,
            method=estimate.method,
        )
        few = i == 0 and evidence.images < _FEW_IMAGES
        remarks = [estimate.remark, f"{evidence.images} images are few: errors are rough" if few else ""]
        found.append(replace(bare, notes=tuple(filter(None, (*remarks, *_causes(bare))))))
    return found


def _causes(agreement: Agreement) -> Iterator[str]:
    """Yield why kappa is low in spite of high raw agreement, or cannot be high."""
    kappa, raw, adjusted = agreement.kappa, agreement.raw, agreement.adjusted
    assert kappa is not None
    assert raw is not None
    assert adjusted is not None
    if kappa < FLOOR <= adjusted and raw >= _HIGH_RAW:
        yield (
            f"prevalence: chance agrees nearly as often as the raters; were the classes equally frequent, "
            f"raw agreement of {raw:.3f} would mean kappa {adjusted:.3f}"
        )
    if agreement.greatest is not None and agreement.greatest <= _LOW_CEILING:
        yield (
            f"bias: the raters do not use the classes equally often, "
            f"so that kappa could not exceed {agreement.greatest:.3f}"
        )


def _pairs(ratings: Ratings) -> Iterator[RaterPair]:
    k = len(ratings.classes)
    for i, j in combinations(range(len(ratings.raters)), 2):
        first, second = ratings.codes[:, i], ratings.codes[:, j]
        both = (first >= 0) & (second >= 0)
        if not both.any():
            continue
        table = coefficients.contingency(first[both], second[both], k)
        kappa = unless_nan(coefficients.cohen_kappa(table))
        yield RaterPair(
            first=ratings.raters[i],
            second=ratings.raters[j],
            images=int(both.sum()),
            kappa=kappa,
            reason="" if kappa is not None else "every answer of both is the same",
            raw=float(coefficients.raw_agreement(table)),
            standard_error=_pair_error(table),
        )


def _pair_error(table: IntArray) -> float | None:
    """Return the standard error of two raters; None where it would be 0, for nothing in the table varies."""
    diagonal, n = int(np.trace(table)), int(table.sum())
    says_one_thing = n in table.sum(0) or n in table.sum(1)
    return None if says_one_thing or diagonal in (0, n) else unless_nan(coefficients.standard_error(table))


def _switched(evidence: Evidence | None, pairs: Sequence[RaterPair]) -> Iterator[str]:
    """Yield how the two raters with most images agree, where answers of others decide on the coefficient."""
    if evidence is None or evidence.coefficient != "Krippendorff's alpha":
        return
    most = max(pairs, key=lambda pair: pair.images)
    kappa = "undefined" if most.kappa is None else f"{most.kappa:.3f}"
    yield (
        f"not every rater answered every image, hence Krippendorff's alpha; raters "
        f"{shorten(most.first, 30)}, {shorten(most.second, 30)} alone: kappa {kappa} on {most.images:,} "
        "images (--rater looks at some)"
    )


def _nothing_shared() -> Agreement:
    return Agreement(reason="no image has answers of two raters")


def _meets(agreement: Agreement, options: AgreementOptions) -> bool:
    if agreement.kappa is None or agreement.interval is None:
        return False
    return (agreement.interval.low if options.by_lower else agreement.kappa) >= options.floor
