"""The arithmetic of experiments: means of arms with their intervals, differences, confusion of modalities.

Scores are arrays of shape (seeds, n): of each image, as the training of each seed answers it. An interval is
of the mean over seeds. It is a percentile bootstrap over articles; with several seeds it is widened by their
spread, since another training would have given another mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from baselines.concepts import Cells
from baselines.experiments.questions import MOST_SEEDS
from baselines.preparation import restricted
from rocov2_eval.align import concept_sets
from rocov2_eval.metrics import concept_f1
from rocov2_eval.records import FloatArray, IntArray, Interval, SampleScores
from rocov2_eval.resampling import FEWEST_IMAGES, Bootstrap, ends_of, interval, resampled_parts

# 97.5 % quantile of Student's t, by the number of seeds.
STUDENT: Mapping[int, float] = dict(
    zip(
        range(2, MOST_SEEDS + 1),
        (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262),
        strict=True,
    )
)
SCORES, DIFFERENCES = (0.0, 1.0), (-1.0, 1.0)
_LEVEL = 0.95
_RESAMPLES = 5000  # for the rare ends of many intervals at once


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean over images.

    Attributes:
        mean: The mean over images and seeds.
        interval: 95 % interval of the mean; None for fewer than two articles.
        images: Number of images.
        seeds: The mean of each seed.
    """

    mean: float
    interval: Interval | None
    images: int
    seeds: tuple[float, ...]

    @property
    def is_found(self) -> bool:
        """Whether a difference is told from 0."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high

    def data(self) -> dict[str, Any]:
        """Return the mean as JSON has it."""
        ends = [self.interval.low, self.interval.high] if self.interval else None
        return {"mean": self.mean, "interval": ends, "images": self.images, "seeds": list(self.seeds)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Classified:
    """What an arm makes of the images of exactly one modality; its first answer counts.

    Attributes:
        classes: CUI of each of k modalities.
        accuracy: Share of the images whose modality is answered.
        macro_f1: F1 of each modality that an image has, averaged over these, then over seeds.
        confusion: Number of images, over all seeds, by modality and answer, shape (k, k + 1); the last column
            counts images without an answer.
    """

    classes: tuple[str, ...]
    accuracy: Mean
    macro_f1: float
    confusion: IntArray


def f1_scores(cells: Sequence[Sequence[str]], truth: Cells, only: Sequence[str]) -> FloatArray:
    """Return the F1 of each image, shape (seeds, n).

    Args:
        cells: By seed, the answer to each image, such as `C0040405;C0817096`.
        truth: Concepts of each image.
        only: Concepts that alone count; all if empty.
    """
    wanted = [";".join(image) for image in truth]
    rows = []
    for answers in cells:
        said = restricted([cell.split(";") if cell else () for cell in answers], only)
        candidates, references = concept_sets([";".join(image) for image in said], wanted)
        rows.append(concept_f1.score(candidates, references)["concept_f1"].values)
    return np.array(rows)


def mean_of(scores: FloatArray, articles: IntArray | None, bounds: tuple[float, float] = SCORES) -> Mean:
    """Return the mean of scores, shape (seeds, n) with n at least 1.

    Args:
        scores: Of each image, as each seed answers it; or their difference to those of another arm.
        articles: Number of the article of each image, shape (n,); None to draw single images.
        bounds: What a mean can be: `SCORES` or `DIFFERENCES`.
    """
    values = scores.mean(axis=0)
    whole = SampleScores(values=values, scored=np.ones(len(values), np.bool_))
    ends = interval(whole, Bootstrap(), articles)
    return _widened(scores.mean(axis=1), len(values), ends, bounds=bounds)


def against_others(scores: FloatArray, groups: Sequence[str], articles: IntArray | None) -> dict[str, Mean]:
    """Return how far the mean of each group lies above that of all other images; none for a single group.

    The intervals hold for all groups at once (Bonferroni).

    Args:
        scores: Shape (seeds, n).
        groups: Group of each image.
        articles: Number of the article of each image; None to draw single images.
    """
    drawn = np.arange(scores.shape[1]) if articles is None else articles
    names = sorted(set(groups)) if len(set(groups)) > 1 else []
    options = Bootstrap(resamples=_RESAMPLES, level=1 - (1 - _LEVEL) / max(len(names), 1))
    found = {}
    for name in names:
        inside = np.array([group == name for group in groups])
        parts = np.stack([inside, ~inside], axis=1)
        by_seed = scores[:, inside].mean(axis=1) - scores[:, ~inside].mean(axis=1)
        values = scores.mean(axis=0)
        means = resampled_parts(values, parts, drawn, options)
        fewest = min(len(np.unique(drawn[part])) for part in (inside, ~inside))
        ends = ends_of(means[:, 0] - means[:, 1], options) if fewest >= FEWEST_IMAGES else None
        found[name] = _widened(by_seed, int(inside.sum()), ends, bounds=DIFFERENCES, level=options.level)
    return found


def first_answers(cells: Sequence[Sequence[str]], classes: Sequence[str]) -> IntArray:
    """Return the class that is answered first, the most probable one, by its place; -1 for no answer.

    Args:
        cells: By seed, the answer to each image; the most probable concept stands first.
        classes: CUI of each class.

    Returns:
        Shape (seeds, n).
    """
    place = {cui: i for i, cui in enumerate(classes)}
    return np.array(
        [[next((place[cui] for cui in cell.split(";") if cui in place), -1) for cell in row] for row in cells]
    )


def single_classes(truth: Cells, classes: Sequence[str]) -> IntArray:
    """Return the class of each image by its place, -1 for none or several; shape (n,)."""
    place = {cui: i for i, cui in enumerate(classes)}
    found = [[place[cui] for cui in image if cui in place] for image in truth]
    return np.array([image[0] if len(image) == 1 else -1 for image in found])


def classified(answers: IntArray, truth: IntArray, classes: Sequence[str], accuracy: Mean) -> Classified:
    """Return macro F1 and confusion beside the accuracy.

    Args:
        answers: Class that is answered, -1 for none, shape (seeds, n).
        truth: Class of each image, shape (n,), n at least 1.
        classes: CUI of each class.
        accuracy: The share of equal ones.
    """
    tables = [_confusion(row, truth, len(classes)) for row in answers]
    return Classified(
        classes=tuple(classes),
        accuracy=accuracy,
        macro_f1=float(np.mean([_macro_f1(table) for table in tables])),
        confusion=np.sum(tables, axis=0),
    )


def _widened(
    by_seed: FloatArray,
    images: int,
    ends: Interval | None,
    *,
    bounds: tuple[float, float],
    level: float = _LEVEL,
) -> Mean:
    """Return a mean whose interval has the spread of seeds in it, and no end beyond what a mean can be.

    Half the width of the bootstrap and that of Student's t over seeds are two independent errors: their
    squares add up. For a level other than 95 %, t is scaled as the normal distribution is.
    """
    mean, seeds = float(by_seed.mean()), tuple(by_seed.tolist())
    if ends is not None and len(seeds) > 1:
        normal = NormalDist()
        scale = normal.inv_cdf((1 + level) / 2) / normal.inv_cdf((1 + _LEVEL) / 2)
        spread = scale * STUDENT[len(seeds)] * float(by_seed.std(ddof=1)) / math.sqrt(len(seeds))
        low, high = (math.hypot(abs(mean - end), spread) for end in (ends.low, ends.high))
        ends = Interval(low=max(mean - low, bounds[0]), high=min(mean + high, bounds[1]))
    return Mean(mean=mean, interval=ends, images=images, seeds=seeds)


def _confusion(answers: IntArray, truth: IntArray, k: int) -> IntArray:
    columns = np.where(answers < 0, k, answers)
    table: IntArray = np.bincount(truth * (k + 1) + columns, minlength=k * (k + 1)).reshape(k, k + 1)
    return table


def _macro_f1(table: IntArray) -> float:
    hits, wanted, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)[:-1]
    occurs = wanted > 0
    scores: FloatArray = 2 * hits[occurs] / (wanted + said)[occurs]
    return float(scores.mean())
