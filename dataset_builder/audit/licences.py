"""CC BY against CC BY-NC in a dataset, and what would be lost without licences with NC."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dataset_builder.audit.licensed_images import DIMENSIONS, NOT_TOLD, Licensed, LicensedImage
from rocov2_eval.breakdown import order_of
from rocov2_eval.errors import UsageFault

CC_BY, CC_BY_NC = "CC BY", "CC BY-NC"
FLOOR = 10  # images that a concept must have, as in the build
_USUAL_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The images of one split, modality, year or journal.

    Attributes:
        name: Such as `2019`.
        cc_by: Under CC BY.
        cc_by_nc: Under CC BY-NC.
        other: Under another licence, or none that is told.
        without_nc: Of all these, those whose licence does not forbid commercial use.
    """

    name: str
    cc_by: int
    cc_by_nc: int
    other: int
    without_nc: int

    @property
    def total(self) -> int:
        """All images of the group."""
        return self.cc_by + self.cc_by_nc + self.other


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What there is less of.

    Attributes:
        before: With all licences.
        after: Without those that forbid commercial use.
    """

    before: int
    after: int

    @property
    def lost(self) -> int:
        """The difference."""
        return self.before - self.after


@dataclass(frozen=True, kw_only=True)
class FallenConcept:
    """A concept that would fall below the frequency floor: images before and after."""

    cui: str
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class LicenceReport:
    """The licences of a dataset.

    Attributes:
        dataset: Its path.
        licences: Images by licence, the most frequent first.
        tables: By dimension, groups in their usual order; those that are told alone.
        absent: What is not told, and what would tell it.
        images: Lost.
        articles: Lost; None where no article is told.
        concepts: With at least `floor` images; None where no concept is told.
        with_concepts: Images whose concepts are told.
        fallen: Concepts that fall below the floor, the most frequent first.
        gone: Names of modalities and splits without any image left, by dimension.
        floor: Images that a concept must have.
    """

    dataset: str
    licences: Mapping[str, int]
    tables: Mapping[str, tuple[Group, ...]]
    absent: Mapping[str, str]
    images: Loss
    articles: Loss | None
    concepts: Loss | None
    with_concepts: int
    fallen: tuple[FallenConcept, ...]
    gone: Mapping[str, tuple[str, ...]]
    floor: int


def forbids_commerce(licence: str) -> bool:
    """Tell whether a licence code has the element NC."""
    return "NC" in licence.removeprefix(CC_BY).split("-")


def licence_report(licensed: Licensed, *, floor: int = FLOOR) -> LicenceReport:
    """Return the licences of a dataset, and what would be lost without CC BY-NC and its kin.

    Args:
        licensed: Its images.
        floor: Images that a concept must have.

    Raises:
        UsageFault: The floor is below 1.
    """
    if floor < 1:
        raise UsageFault(f"floor is {floor}, expected 1 or more")
    images = licensed.images
    kept = [image for image in images if not forbids_commerce(image.licence)]
    counts = Counter(image.licence for image in images)
    tables = {name: _groups(name, images) for name in DIMENSIONS if name not in licensed.absent}
    before, after = _holders(images), _holders(kept)
    fallen = [cui for cui, number in before.items() if number >= floor > after[cui]]
    return LicenceReport(
        dataset=licensed.path,
        licences={name: counts[name] for name in sorted(counts, key=lambda name: (-counts[name], name))},
        tables=tables,
        absent=licensed.absent,
        images=Loss(before=len(images), after=len(kept)),
        articles=None
        if "article" in licensed.absent
        else Loss(before=_n_articles(images), after=_n_articles(kept)),
        concepts=None
        if "concepts" in licensed.absent
        else Loss(before=_frequent(before, floor), after=_frequent(after, floor)),
        with_concepts=sum(bool(image.concepts) for image in images),
        fallen=tuple(
            FallenConcept(cui=cui, before=before[cui], after=after[cui])
            for cui in sorted(fallen, key=lambda cui: (-before[cui], cui))
        ),
        gone={
            name: tuple(
                group.name for group in tables[name] if not group.without_nc and group.name != NOT_TOLD
            )
            for name in ("modality", "split")
            if name in tables
        },
        floor=floor,
    )


def _groups(dimension: str, images: Sequence[LicensedImage]) -> tuple[Group, ...]:
    members: dict[str, list[str]] = defaultdict(list)
    for image in images:
        members[getattr(image, dimension)].append(image.licence)
    return tuple(_group(name, members[name]) for name in _ordered(dimension, members))


def _group(name: str, licences: Sequence[str]) -> Group:
    counts = Counter(licences)
    return Group(
        name=name,
        cc_by=counts[CC_BY],
        cc_by_nc=counts[CC_BY_NC],
        other=len(licences) - counts[CC_BY] - counts[CC_BY_NC],
        without_nc=sum(not forbids_commerce(licence) for licence in licences),
    )


def _ordered(dimension: str, members: Mapping[str, Sequence[str]]) -> list[str]:
    """Return splits and modalities in their usual order, years ascending, journals by number of images."""
    if dimension == "journal":
        return sorted(members, key=lambda name: (name == NOT_TOLD, -len(members[name]), name))
    usual = {"split": list(_USUAL_SPLITS), "modality": order_of("modality", list(members))}.get(dimension, [])
    first = [name for name in usual if name in members]
    rest = sorted(members.keys() - set(first) - {NOT_TOLD})
    return [*first, *rest, *([NOT_TOLD] if NOT_TOLD in members else [])]


def _holders(images: Iterable[LicensedImage]) -> Counter[str]:
    return Counter(cui for image in images for cui in image.concepts)


def _n_articles(images: Iterable[LicensedImage]) -> int:
    return len({image.article for image in images if image.article})


def _frequent(holders: Mapping[str, int], floor: int) -> int:
    return sum(number >= floor for number in holders.values())
