"""Give every figure its split: articles whole, manual concepts in proportion, earlier assignments kept.

Iterative stratification over groups. A group is what must not be torn apart: the images of an article, and of
every article that shares a near-duplicate image with it. The rarest label goes first; the groups that hold it
go, fullest first, to the split that still lacks most images with it. Nothing here depends on the order in
which the images are given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.earlier import Earlier
from dataset_builder.fingerprints import first_of_each
from dataset_builder.records import SPLITS, Assignment, Drop, Figure, StageCount
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.shelf.words import shorten

Share = Annotated[float, Meta(ge=0, le=1)] | Annotated[int, Meta(ge=0)] | Literal["rest"]

NAME = "split"
IN_CONFLICT = "belongs to two splits of the earlier edition"
DEFAULT_SHARES: Mapping[str, Share] = {"train": "rest", "valid": 0.125, "test": 0.125}  # much as ROCOv2's
_NO_LABEL = ""  # stands for images without a manual concept, so that they stay in proportion too
_FREE = -1
_LEFT_OUT = -2
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Member:
    """An image as the split sees it.

    Attributes:
        image_id: Id of the image, unique in the dataset.
        article: Article of the image; empty where it is not known, and the image then stands for itself.
        labels: Manual concepts of the image, in any order.
    """

    image_id: str
    article: str
    labels: tuple[str, ...] = ()


class SplitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How many images go where.

    Attributes:
        shares: Size of each split: a fraction of all images (a float, up to 1.0), a number of images (an
            integer), or `rest` for one split that takes what remains.
        seed: Decides between groups and between splits that are alike.
    """

    shares: Mapping[str, Share] = msgspec.field(default_factory=lambda: dict(DEFAULT_SHARES))
    seed: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        if not self.shares:
            raise UsageFault("shares: expected at least one split, such as train = 'rest'")
        for name in self.shares:
            if name not in SPLITS:
                raise UsageFault(f"shares: {shorten(name)!r} is no split, expected {', '.join(SPLITS)}")
        if sum(share == "rest" for share in self.shares.values()) > 1:
            raise UsageFault("shares: only one split can take the rest")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Marks:
    """Which image holds which label, one mark each: indices of equal length."""

    names: tuple[str, ...]
    images: IntArray
    labels: IntArray


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Divide the figures; those that an earlier edition had keep their split."""
    fixed, disputed = _fixed(figures, context.earlier)
    splits = divide(
        [
            Member(image_id=figure.key, article=figure.pmcid, labels=figure.concepts.manual)
            for figure in figures
            if figure.key not in disputed
        ],
        context.tables["split"],
        linked_articles=[(figure.pmcid, *figure.duplicate_articles) for figure in figures],
        fixed=fixed,
    )
    left_out = sorted(figure.key for figure in figures if figure.key not in splits)
    return Result(
        kept=[
            replace(figure, assignment=Assignment(split=splits[figure.key]))
            for figure in figures
            if figure.key in splits
        ],
        drops=[Drop(stage=NAME, key=key, reason=IN_CONFLICT) for key in left_out],
    )


def divide(
    members: Iterable[Member],
    options: SplitOptions,
    *,
    linked_articles: Iterable[Sequence[str]] = (),
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the split of each image, by image id, in ascending order of the ids.

    No split ends with more than one group above its wanted size, unless more than that is fixed. An image
    that is fixed keeps its split, and new images of its group follow it. Where a group is fixed in several
    splits, its new images have none: whichever split took them, they would leak into the other.

    Args:
        members: Images to divide.
        options: Wanted sizes of the splits, and the seed.
        linked_articles: Articles to keep together, because one showed a picture of the other before it was
            dropped; they need not have an image left.
        fixed: Split by image id of an earlier version; ids that are no longer there are passed over.

    Raises:
        RejectedInput: An id stands twice, or an image is fixed in an unknown split.
        UsageFault: The shares do not add up to the dataset.
    """
    images = sorted(members, key=lambda member: member.image_id)
    row = _rows(images)
    names = list(options.shares)
    targets = _targets(options.shares, len(images))
    group_of = _groups(images, linked_articles)
    splits = _fixed_splits(row, names, fixed or {})
    _follow(group_of, splits, len(names))
    _fill(group_of, splits, _label_marks(images), targets, options.seed)
    chosen = zip(images, splits.tolist(), strict=True)
    return {member.image_id: names[split] for member, split in chosen if split >= 0}


def _fixed(figures: Sequence[Figure], earlier: Earlier) -> tuple[dict[str, str], set[str]]:
    """Return the split of each figure that an earlier edition decides, and new figures that it puts in two.

    An image stays where it was. A new image goes where its article was, even if nothing of that is left.
    """
    fixed: dict[str, str] = {}
    disputed: set[str] = set()
    for figure in figures:
        known = earlier.images.of(figure)
        if known:
            fixed[figure.key] = known.split
            continue
        articles = (figure.pmcid, *figure.duplicate_articles)
        splits = {split for pmcid in articles for split in earlier.splits.get(pmcid, ())}
        if len(splits) == 1:
            (fixed[figure.key],) = splits
        elif splits:
            disputed.add(figure.key)
    return fixed, disputed


def _rows(images: Sequence[Member]) -> dict[str, int]:
    """Return the place of each image; ids are sorted, so a repeated one stands beside itself."""
    row = {member.image_id: i for i, member in enumerate(images)}
    if len(row) < len(images):
        image_id, times = Counter(member.image_id for member in images).most_common(1)[0]
        raise RejectedInput(f"the image id {shorten(image_id)!r} occurs {times} times, expected once")
    return row


def _targets(shares: Mapping[str, Share], images: int) -> FloatArray:
    """Return the wanted size of each split; they add up to the number of images."""
    sizes = [
        np.nan if share == "rest" else share * images if isinstance(share, float) else float(share)
        for share in shares.values()
    ]
    targets = np.array(sizes)
    rest = images - float(np.nansum(targets))
    is_rest = np.isnan(targets)
    too_many = rest < -_ROUNDING * max(images, 1)
    if too_many or (not is_rest.any() and rest > _ROUNDING * max(images, 1)):
        listed = ", ".join(f"{name} = {share}" for name, share in shares.items())
        raise UsageFault(
            f"shares: {listed} add up to {images - rest:,.0f} images, but the dataset has {images:,}; "
            "give one split 'rest'"
        )
    targets[is_rest] = max(rest, 0.0)
    return targets


def _groups(images: Sequence[Member], linked_articles: Iterable[Sequence[str]]) -> IntArray:
    """Return the group of each image, numbered from 0 in the order of their first image ids."""
    # Articles come behind the images, so that one whose images are all gone still links two others.
    number: dict[str, int] = defaultdict(lambda: len(images) + len(number))
    pairs = [(i, number[member.article]) for i, member in enumerate(images) if member.article]
    for linked in linked_articles:
        pairs += [(number[first], number[second]) for first, second in pairwise(filter(None, linked))]
    firsts = first_of_each(len(images) + len(number), np.array(pairs, np.int64).reshape(-1, 2))
    return np.unique(firsts[: len(images)], return_inverse=True)[1].astype(np.int64)


def _fixed_splits(row: Mapping[str, int], names: Sequence[str], fixed: Mapping[str, str]) -> IntArray:
    """Return the index of the split of each image, `_FREE` where it has none yet."""
    number = {name: i for i, name in enumerate(names)}
    splits = np.full(len(row), _FREE, np.int64)
    for image_id, name in fixed.items():
        if name not in number:
            known = ", ".join(names)
            raise RejectedInput(
                f"{shorten(image_id)!r} is fixed in the split {shorten(name)!r}, expected one of {known}"
            )
        if image_id in row:
            splits[row[image_id]] = number[name]
    return splits


def _label_marks(images: Sequence[Member]) -> _Marks:
    label_sets = [set(member.labels) or {_NO_LABEL} for member in images]
    names = sorted(set().union(*label_sets))
    number = {name: i for i, name in enumerate(names)}
    return _Marks(
        names=tuple(names),
        images=np.repeat(np.arange(len(images)), [len(labels) for labels in label_sets]),
        labels=np.array([number[label] for labels in label_sets for label in labels], np.int64),
    )


def _follow(group_of: IntArray, splits: IntArray, n_splits: int) -> None:
    """Let the new images of a group follow those that are fixed; leave them out where these disagree."""
    occupied = np.zeros((int(group_of.max(initial=-1)) + 1, n_splits), np.bool_)
    is_fixed = splits >= 0
    occupied[group_of[is_fixed], splits[is_fixed]] = True
    n_splits_of = occupied.sum(axis=1)
    first = np.where(n_splits_of == 0, _FREE, occupied.argmax(axis=1))
    split_of_group = np.where(n_splits_of > 1, _LEFT_OUT, first)
    splits[~is_fixed] = split_of_group[group_of[~is_fixed]]


def _fill(group_of: IntArray, splits: IntArray, marks: _Marks, targets: FloatArray, seed: int) -> None:
    """Give each free group its split, rarest label first."""
    n_groups = int(group_of.max(initial=-1)) + 1
    counts = _tally(group_of[marks.images], marks.labels, (n_groups, len(marks.names)))
    sizes = np.bincount(group_of, minlength=n_groups)
    is_free = np.zeros(n_groups, np.bool_)
    is_free[group_of[splits == _FREE]] = True
    room = targets - np.bincount(splits[splits >= 0], minlength=len(targets))
    demand = np.outer(targets / max(targets.sum(), 1.0), counts.sum(axis=0)) - _label_counts(
        splits, marks, targets
    )
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(n_groups)
    preference = generator.random((n_groups, len(targets)))
    chosen = np.full(n_groups, _FREE, np.int64)
    for label, holders in _rarest_first(counts, is_free):
        for group in holders[np.lexsort((shuffled[holders], -counts[holders, label]))].tolist():
            # A full split takes no more, so that none ends more than one group above its size.
            wish = np.where(room > 0, demand[:, label], -np.inf)
            split = chosen[group] = np.lexsort((preference[group], room, wish))[-1]
            room[split] -= sizes[group]
            demand[split] -= counts[group]
    free = splits == _FREE
    splits[free] = chosen[group_of[free]]


def _rarest_first(counts: IntArray, is_free: BoolArray) -> Iterator[tuple[int, IntArray]]:
    """Yield the label that fewest images of waiting groups hold, and those groups, until none waits."""
    waiting = is_free.copy()
    remaining = counts[waiting].sum(axis=0)
    while remaining.any():
        label = int(np.where(remaining > 0, remaining, remaining.max() + 1).argmin())
        holders = np.flatnonzero(waiting & (counts[:, label] > 0))
        yield label, holders
        waiting[holders] = False
        remaining = remaining - counts[holders].sum(axis=0)


def _label_counts(splits: IntArray, marks: _Marks, targets: FloatArray) -> IntArray:
    """Return how many images with each label each split holds, shape (splits, labels)."""
    split_of_mark = splits[marks.images]
    assigned = split_of_mark >= 0
    return _tally(split_of_mark[assigned], marks.labels[assigned], (len(targets), len(marks.names)))


def _tally(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> IntArray:
    return (
        np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
    )


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what the stage did."""
    del tables
    who = "group" if count.unit == "images" else "article"
    return f"Each {who} is in one split, together with those that share near duplicates."


STAGE = Stage(
    name=NAME,
    revision=1,
    title="assigned to a split",
    tables=("split",),
    takes=Figure,
    gives=Figure,
    run=run,
    says=says,
    scope="all",
    libraries=("numpy",),
)
