"""What an audit says about concepts that a dataset lacks: how many, of which types, and what it cannot cover.

The false negative rate sets missed concepts beside right ones. They are drawn apart, so that a modality may
have answers about the one and none about the other; a type of it then is no part of the rate, on either side,
and is named as a gap.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dataset_builder.audit.intervals import Estimate, Judged, proportion, undefined
from dataset_builder.audit.missed_rate import Counted, false_negative_rate
from dataset_builder.audit.questions import missed_facet
from dataset_builder.audit.sampling import Item
from dataset_builder.audit.strata import Stratum

Question = tuple[str, str]  # item, facet
Settled = Mapping[Question, str | None]  # what the raters say by majority, None where that is not known

NO_IMAGE = "no image was judged for missed ones"
NO_CONCEPT = "no automatic concept was judged"
_NOBODY = "nobody was asked for missed ones"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A type within a modality that a false negative rate does not cover.

    Attributes:
        type: Such as `T047`.
        modality: Empty where modalities are not told apart.
        automatic: Automatic concepts of it in the dataset.
        images: Images of the modality; None where the key does not tell.
        why: What was not judged.
    """

    type: str
    modality: str
    automatic: int
    images: int | None
    why: str


@dataclass(frozen=True, kw_only=True)
class MissedScore:
    """What was found about the missed concepts of some types.

    Attributes:
        false_negatives: Concepts that the image shows and the dataset lacks, among all that it shows.
        images_missing: Share of the images that lack at least one concept that they show.
        gaps: What the false negatives do not cover, of the types that were asked about.
    """

    false_negatives: Estimate
    images_missing: Estimate
    gaps: tuple[Gap, ...] = ()


def missed_score(
    items: Sequence[Item], tuis: Sequence[str], settled: Settled, right: Mapping[Stratum, Judged]
) -> MissedScore:
    """Return what was found about the missed concepts of types, as far as raters were asked about them.

    Args:
        items: All of the key.
        tuis: The types.
        settled: The answers.
        right: Whether automatic concepts are right, of the strata of which any was judged.
    """
    asked = [tui for tui in tuis if any(item.kind == "missed" and tui in item.types for item in items)]
    if not asked:
        return MissedScore(false_negatives=undefined(_NOBODY), images_missing=undefined(_NOBODY))
    counted = _counted(items, asked, settled)
    gaps = _gaps(items, asked, counted, right)
    without = {(gap.type, gap.modality) for gap in gaps}
    strata = [
        Counted(
            rows=tuple(
                tuple(
                    None if (tui, modality) in without else number
                    for tui, number in zip(asked, row, strict=True)
                )
                for row in stratum.rows
            ),
            population=stratum.population,
        )
        for modality, stratum in counted.items()
    ]
    covered = [
        judged
        for stratum, judged in right.items()
        if stratum.type in asked and (stratum.type, stratum.modality) not in without
    ]
    rate = false_negative_rate(strata, covered)
    return MissedScore(
        false_negatives=rate if any(it.images for it in strata) else undefined(_why_nothing(gaps)),
        images_missing=_images_missing(counted.values()),
        gaps=tuple(gaps),
    )


def concept_populations(items: Sequence[Item]) -> dict[Stratum, int]:
    """Return the automatic concepts of each stratum in the dataset."""
    return {item.stratum: item.population for item in items if item.kind in ("automatic", "unseen")}


def image_populations(items: Sequence[Item]) -> dict[str, int]:
    """Return the images of each modality in the dataset that missed concepts were drawn from."""
    return {item.modality: item.population for item in items if item.kind in ("missed", "unseen-images")}


def uncovered_images(items: Sequence[Item], settled: Settled) -> dict[str, int]:
    """Return the images of each modality of which no answer about missed concepts is settled."""
    judged = {
        item.modality
        for item in items
        if item.kind == "missed"
        and any(settled.get((item.item, missed_facet(tui).name)) is not None for tui in item.types)
    }
    return {name: n for name, n in sorted(image_populations(items).items()) if name not in judged}


def _counted(items: Sequence[Item], asked: Sequence[str], settled: Settled) -> dict[str, Counted]:
    """Return how many concepts of each type the images of each modality lack, None where not judged."""
    names = [missed_facet(tui).name for tui in asked]
    rows = defaultdict(list)
    for item in items:
        if item.kind == "missed":
            verdicts = [settled.get((item.item, name)) for name in names]
            rows[item.modality].append(tuple(None if it is None else int(it) for it in verdicts))
    return {
        modality: Counted(rows=tuple(rows[modality]), population=population)
        for modality, population in image_populations(items).items()
    }


def _gaps(
    items: Sequence[Item],
    asked: Sequence[str],
    counted: Mapping[str, Counted],
    right: Mapping[Stratum, Judged],
) -> list[Gap]:
    """Return the types and modalities of which one side was not judged.

    A type without any automatic concept in a modality needs no answer about them: none of them is right.
    """
    automatic = concept_populations(items)
    modalities = sorted({*counted, *(stratum.modality for stratum in automatic)})
    gaps = []
    for modality in modalities:
        images = counted.get(modality)
        for place, tui in enumerate(asked):
            stratum = Stratum(type=tui, modality=modality)
            is_counted = images is not None and any(row[place] is not None for row in images.rows)
            if is_counted and (stratum in right or stratum not in automatic):
                continue
            gaps.append(
                Gap(
                    type=tui,
                    modality=modality,
                    automatic=automatic.get(stratum, 0),
                    images=images.population if images else None,
                    why=NO_CONCEPT if is_counted else NO_IMAGE,
                )
            )
    return gaps


def _why_nothing(gaps: Sequence[Gap]) -> str:
    reasons = Counter(gap.why for gap in gaps)
    if len(reasons) == 1:
        return next(iter(reasons))
    return "of no stratum were both images and automatic concepts judged"


def _images_missing(strata: Iterable[Counted]) -> Estimate:
    known = [
        Judged(
            values=tuple(float(any(row)) for row in stratum.rows if None not in row),
            population=stratum.population,
        )
        for stratum in strata
    ]
    return proportion(known, NO_IMAGE)
