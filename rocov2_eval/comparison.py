"""Compare runs with each other: every pair by paired tests, by group of images, image by image.

Each run is scored once; everything here is arithmetic on the scores of single images. A difference is that of
the second run minus the first, B minus A: positive where the second is better.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rocov2_eval.breakdown import facets_of, group_images, order_of
from rocov2_eval.comparison_document import comparison_document
from rocov2_eval.errors import UsageFault
from rocov2_eval.frames import to_pandas
from rocov2_eval.metrics import main_output, main_outputs
from rocov2_eval.ranking import common_scores, require_same_truth
from rocov2_eval.records import FloatArray, Interval
from rocov2_eval.resampling import FEWEST_IMAGES, Bootstrap, resampled_columns
from rocov2_eval.scoring import Report
from rocov2_eval.shelf.files import short_paths
from rocov2_eval.shelf.words import shorten
from rocov2_eval.significance import PairOptions, on_grid, paired_tests, too_few_images, trials_needed
from rocov2_eval.truth import Truth

if TYPE_CHECKING:
    from rocov2_eval.frames import DataFrame

DEFAULT_FACETS = ("modality", "region")


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """What to compare.

    Attributes:
        pairs: How runs are tested against each other.
        metrics: Names of scores, or of metrics for their main score; empty for the main score of each metric.
        images: Largest number of images to name for each pair, those that differ most.
    """

    pairs: PairOptions = field(default_factory=PairOptions)
    metrics: tuple[str, ...] = ()
    images: int = 10


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The difference of two runs within one group of images.

    Attributes:
        group: Name of the group.
        images: Number of images in the group that are scored for every run, at least one.
        difference: Mean of B minus mean of A.
        interval: Paired bootstrap interval of the difference, None for a single image.
    """

    group: str
    images: int
    difference: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class ImageDifference:
    """One image and what both runs score on it.

    Attributes:
        image_id: Id of the image in the truth.
        a, b: Score of the first and of the second run.
    """

    image_id: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        """Score of B minus score of A."""
        return self.b - self.a


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two runs compared by one score.

    Attributes:
        a, b: Places of the runs in `Comparison.names`, a before b.
        metric: Name of the score.
        n: Number of images that are scored for every run.
        difference: Mean of B minus mean of A.
        interval: Paired bootstrap interval of the difference, None for a single image.
        p_value: Two-sided p-value of the paired randomisation test.
        p_bootstrap: Two-sided p-value of the paired bootstrap.
        p_holm: `p_value` after Holm's correction over all pairs of the metric.
        better: The run that is shown to be better, None where `p_holm` is not below alpha.
        effects: For each facet, the difference within each group that has an image.
        images: The images that differ most, largest first; none where the two agree on every image.
    """

    a: int
    b: int
    metric: str
    n: int
    difference: float
    interval: Interval | None
    p_value: float
    p_bootstrap: float
    p_holm: float
    better: Literal["a", "b"] | None
    effects: Mapping[str, tuple[Effect, ...]]
    images: tuple[ImageDifference, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """All pairs of some runs.

    Attributes:
        names: Paths of the runs, with a number where one path is given twice.
        reports: Reports of the runs, in the order of `names`.
        metrics: Names of the scores compared.
        pairs: All pairs by the first score, then by the next one; within a score in the order of the runs.
        notes: What a reader must know of the comparison as a whole.
        options: What was compared, and how.
    """

    names: tuple[str, ...]
    reports: tuple[Report, ...]
    metrics: tuple[str, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]
    options: ComparisonOptions

    def to_frame(self) -> DataFrame:
        """Return a pandas frame with a row for each pair and score: the difference, b minus a, and its tests.

        Raises:
            MissingResource: pandas is not installed.
        """
        return to_pandas(
            {
                **self._pair_columns([(pair, pair) for pair in self.pairs]),
                "p_value": [pair.p_value for pair in self.pairs],
                "p_holm": [pair.p_holm for pair in self.pairs],
                "p_bootstrap": [pair.p_bootstrap for pair in self.pairs],
                "better": [
                    None if pair.better is None else self.names[pair.a if pair.better == "a" else pair.b]
                    for pair in self.pairs
                ],
            }
        )

    def per_image(self) -> DataFrame:
        """Return a pandas frame with a row for each image and two levels of columns: score and run.

        Raises:
            MissingResource: pandas is not installed.
        """
        columns: dict[Hashable, list[Any]] = {"image_id": list(self.reports[0].image_ids)}
        by_run = [report.image_columns for report in self.reports]
        for metric in self.metrics:
            for name, held in zip(self.names, by_run, strict=True):
                columns[metric, name] = held[metric]
        return to_pandas(columns, "image_id")

    def breakdown(self, facet: str) -> DataFrame:
        """Return a pandas frame with a row for each pair, score and group of images: the difference there.

        Args:
            facet: `modality`, `region`, `direction` or `concepts`, one that the runs were compared `by`.

        Raises:
            UsageFault: The runs were not compared by this facet.
            MissingResource: pandas is not installed.
        """
        known = {name for pair in self.pairs for name in pair.effects}
        if facet not in known:
            raise UsageFault(f"not compared by {shorten(str(facet))!r}: call compare(…, by=[{facet!r}])")
        effects = [(pair, effect) for pair in self.pairs for effect in pair.effects[facet]]
        columns = self._pair_columns(effects)
        return to_pandas({facet: [effect.group for _, effect in effects], **columns}, facet)

    def _pair_columns(self, rows: Sequence[tuple[Pair, Pair | Effect]]) -> dict[Hashable, list[Any]]:
        """Return what a frame says of the pair of each row, and of the difference that the row shows."""
        intervals = [shown.interval for _, shown in rows]
        return {
            "a": [self.names[pair.a] for pair, _ in rows],
            "b": [self.names[pair.b] for pair, _ in rows],
            "score": [pair.metric for pair, _ in rows],
            "images": [shown.n if isinstance(shown, Pair) else shown.images for _, shown in rows],
            "difference": [shown.difference for _, shown in rows],
            "low": [interval and interval.low for interval in intervals],
            "high": [interval and interval.high for interval in intervals],
        }

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the answer of `rocov2-eval compare`."""
        from rocov2_eval.rendering.html import fragment  # a notebook pays for its templates

        return fragment(comparison_document(self))


def require_one_truth(paths: Sequence[str], truths: Sequence[Truth]) -> None:
    """Refuse runs of different tasks or truths, before hours are spent on their scores.

    Args:
        paths: Names of the runs.
        truths: The truth that each of the runs belongs to.

    Raises:
        UsageFault: Two runs differ in task or truth.
    """
    for path, truth in zip(paths[1:], truths[1:], strict=True):
        if truth.task != truths[0].task:
            raise UsageFault(
                f"{paths[0]} contains {truths[0].task}, but {path} contains {truth.task}: compare runs "
                "of one task; if a task was detected wrongly, name it with --task"
            )
        if [sha256 for _, sha256 in truth.inputs] != [sha256 for _, sha256 in truths[0].inputs]:
            raise UsageFault(
                f"{paths[0]} belongs to {truths[0].table.path}, but {path} belongs to "
                f"{truth.table.path}: compare runs of one truth, or name it with --truth and --split"
            )


def groups_of(truth: Truth, by: Sequence[str]) -> dict[str, list[str]]:
    """Return the group of each image by facet: those asked for, else modality and region if the truth tells.

    Raises:
        UsageFault: The truth does not tell a facet that is asked for.
    """
    known = facets_of(truth)
    facets = dict.fromkeys(by or [facet for facet in DEFAULT_FACETS if facet in known])
    return {facet: group_images(facet, truth) for facet in facets}


def compare(
    reports: Sequence[Report], groups: Mapping[str, Sequence[str]], options: ComparisonOptions
) -> Comparison:
    """Compare every pair of runs.

    Args:
        reports: At least two, scored against one truth.
        groups: For each facet, the group of each image in truth order; see `groups_of`.
        options: What to compare.

    Raises:
        UsageFault: The runs were scored differently or not by a score asked for, or no image is scored for
            every run.
    """
    first = reports[0]
    for report in reports[1:]:
        require_same_truth(first, report)
    asked = _asked(options.metrics, first)
    metrics = tuple(metric for metric in asked if len(_common_rows(reports, metric))) or asked
    notes = [
        f"no image has a {metric} in every run, so runs are not compared by it"
        for metric in asked
        if metric not in metrics
    ]
    if not groups:
        notes.append(f"images are not grouped: there is no concepts_manual.csv beside {first.truth[0][0]}")
    pairs = []
    for metric in metrics:
        scores, left_out = common_scores(reports, metric)
        if left_out.any():
            noun = "image" if left_out.sum() == 1 else "images"
            notes.append(f"{metric}: {left_out.sum():,} {noun} without a score in every run, left out")
        notes += too_few_images(metric, scores.shape, options.pairs.alpha)
        pairs += _pairs(reports, metric, scores, groups, options)
    needed = trials_needed(len(reports), options.pairs.alpha)
    if options.pairs.trials < needed:
        notes.append(
            f"too few trials: with {options.pairs.trials:,} trials no corrected p-value can be below "
            f"{options.pairs.alpha:g}; compare fewer runs"
        )
    return Comparison(
        names=distinct_names(short_paths([report.run[0] for report in reports])),
        reports=tuple(reports),
        metrics=metrics,
        pairs=tuple(pairs),
        notes=tuple(notes),
        options=options,
    )


def distinct_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths, each later one of a path that is given again with a number that makes it unlike all."""
    names: list[str] = []
    for path in paths:
        name, number = path, 1
        while name in names or (number > 1 and name in paths):
            number += 1
            name = f"{path} #{number}"
        names.append(name)
    return tuple(names)


def _asked(asked: Sequence[str], report: Report) -> tuple[str, ...]:
    """Return the scores to compare by: a metric stands for its main score."""
    names = dict.fromkeys(map(main_output, asked))
    for name in names:
        if name not in report.metrics:
            raise UsageFault(
                f"--metric {name}: not a score of these runs, expected {', '.join(report.metrics)}"
            )
    return tuple(names) or main_outputs(report.metrics)


def _common_rows(reports: Sequence[Report], metric: str) -> list[int]:
    """Return the places in the truth of the images that every run is scored on."""
    scored = np.logical_and.reduce([report.samples[metric].scored for report in reports])
    rows: list[int] = np.flatnonzero(scored).tolist()
    return rows


def _pairs(
    reports: Sequence[Report],
    metric: str,
    scores: FloatArray,
    groups: Mapping[str, Sequence[str]],
    options: ComparisonOptions,
) -> list[Pair]:
    rows = _common_rows(reports, metric)
    image_ids = [reports[0].image_ids[row] for row in rows]
    tests = paired_tests(scores, options.pairs)
    effects = {
        facet: _effects(facet, [of_image[row] for row in rows], scores, options.pairs.bootstrap)
        for facet, of_image in groups.items()
    }
    pairs = []
    for place, (a, b) in enumerate(combinations(range(len(reports)), 2)):
        difference, p_holm = float(tests.difference[a, b]), float(tests.p_holm[a, b])
        ends = Interval(low=float(tests.low[a, b]), high=float(tests.high[a, b]))
        pairs.append(
            Pair(
                a=a,
                b=b,
                metric=metric,
                n=len(scores),
                difference=difference,
                interval=ends if len(scores) >= FEWEST_IMAGES else None,
                p_value=float(tests.p_value[a, b]),
                p_bootstrap=float(tests.p_bootstrap[a, b]),
                p_holm=p_holm,
                better=_better(difference, p_holm, options.pairs.alpha),
                effects={facet: of_pairs[place] for facet, of_pairs in effects.items()},
                images=_most_different(scores[:, a], scores[:, b], image_ids, options.images),
            )
        )
    return pairs


def _better(difference: float, p_holm: float, alpha: float) -> Literal["a", "b"] | None:
    if p_holm >= alpha:
        return None
    return "b" if difference > 0 else "a"


def _effects(
    facet: str, group_of_row: Sequence[str], scores: FloatArray, bootstrap: Bootstrap
) -> list[tuple[Effect, ...]]:
    """Return the effects of each pair, pairs in the order of `combinations`."""
    labels = np.array(group_of_row)
    by_group = [
        _group_effects(name, scores[labels == name], bootstrap) for name in order_of(facet, group_of_row)
    ]
    return list(zip(*by_group, strict=True))


def _group_effects(name: str, scores: FloatArray, bootstrap: Bootstrap) -> list[Effect]:
    """Return the effect of each pair in one group, one resampling for all runs."""
    n, k = scores.shape
    first, second = np.triu_indices(k, 1)
    means = scores.mean(axis=0)
    differences = means[second] - means[first]
    if n < FEWEST_IMAGES:
        return [Effect(group=name, images=n, difference=float(d), interval=None) for d in differences]
    resampled = resampled_columns(on_grid(scores)[0], bootstrap)
    tail = (1 - bootstrap.level) / 2
    low, high = np.quantile(resampled[:, second] - resampled[:, first], [tail, 1 - tail], axis=0)
    return [
        Effect(
            group=name,
            images=n,
            difference=float(differences[i]),
            interval=Interval(low=float(low[i]), high=float(high[i])),
        )
        for i in range(len(differences))
    ]


def _most_different(
    a: FloatArray, b: FloatArray, image_ids: Sequence[str], most: int
) -> tuple[ImageDifference, ...]:
    """Return the images that differ most, at equal differences in truth order."""
    # 1 - 2/3 and 1/3 - 0 are the same difference, but for its last digit.
    size = np.round(np.abs(b - a), 12)
    order = np.argsort(-size, kind="stable")[:most]
    return tuple(
        ImageDifference(image_id=image_ids[i], a=float(a[i]), b=float(b[i]))
        for i in order.tolist()
        if size[i] > 0
    )
