"""How many images two raters must answer for kappa to be told well enough, and which ones.

Both raters are taken to use the classes equally often and to agree equally well on each: a share kappa of the
images is agreed upon, the rest by chance. Whatever is planned from it is measured afterwards without it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from dataset_builder.agreement.coefficients import kappa_variance
from dataset_builder.agreement.report import FLOOR
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray

_MOST_IMAGES = 100_000_000
_TWO_CLASSES = 2
_WIDEST = 2  # kappa lies between -1 and 1
_HALVINGS = 40  # of an interval of kappa: to 1e-12


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What is expected and what is wanted.

    Attributes:
        kappa: Expected, at least 0 and below 1.
        width: Of the whole interval of kappa, from end to end.
        level: Of the interval.
        floor: Kappa that the interval shall lie above.
        power: Chance that it does; not planned for where kappa is not expected above the floor.
        images: How many to draw in proportion; None for as many as width and power need.
        per_class: Images of each class at least, so that rare ones are covered.
    """

    kappa: float = 0.8
    width: float = 0.1
    level: float = 0.95
    floor: float = FLOOR
    power: float = 0.9
    images: int | None = None
    per_class: int = 0

    def __post_init__(self) -> None:
        _require(0 <= self.kappa < 1, "kappa", self.kappa, "a number from 0 to below 1")
        _require(0 < self.width <= _WIDEST, "width", self.width, "a number above 0, at most 2")
        _require(0 < self.level < 1, "level", self.level, "a number between 0 and 1")
        _require(0 <= self.floor < 1, "floor", self.floor, "a number from 0 to below 1")
        _require(0 < self.power < 1, "power", self.power, "a number between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class ClassPlan:
    """One class of a plan.

    Attributes:
        value: The class.
        share: Of the images from which is drawn.
        available: How many there are; None where only shares are known.
        images: How many to draw.
        width: Expected of the interval of its kappa against all other classes; None without an image of it.
        images_for_width: How many of all classes, drawn in proportion, would tell it as well as is wanted.
    """

    value: str
    share: float
    available: int | None
    images: int
    width: float | None
    images_for_width: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many images to draw and what they will tell.

    Attributes:
        options: What was expected and wanted.
        images_for_width: How many, drawn in proportion, give the interval its width.
        images_for_power: How many show that kappa lies above the floor; None where it is not expected to.
        classes: In the order in which they were given.
        images: To draw in all.
        width: Expected of the interval of kappa over these images.
        power: Chance that their interval lies above the floor.
    """

    options: PlanOptions
    images_for_width: int
    images_for_power: int | None
    classes: tuple[ClassPlan, ...]
    images: int
    width: float
    power: float


def plan(classes: Mapping[str, float], options: PlanOptions, *, are_counts: bool = False) -> Plan:
    """Return how many images to draw.

    Args:
        classes: How frequent each class is among the images from which is drawn, in any unit.
        options: What is expected and wanted.
        are_counts: The numbers are those of the images there are: no more can be drawn.

    Raises:
        UsageFault: There are fewer than two classes, a share is no positive number, or so many images would
            be needed that the study cannot be meant.
    """
    shares = _shares(classes)
    variance = model_variance(options.kappa, shares)
    for_width = images_for_width(variance, options.width, options.level)
    for_power = None
    if options.kappa > options.floor:
        for_power = images_for_power(options, shares)
    wanted = max(for_width, for_power or 0) if options.images is None else options.images
    available = (
        [round(number) for number in classes.values()] if are_counts else [_MOST_IMAGES] * len(classes)
    )
    drawn = _allocated(shares, wanted, available, options.per_class)
    total = sum(drawn)
    composition = _composition(drawn)
    return Plan(
        options=options,
        images_for_width=for_width,
        images_for_power=for_power,
        classes=tuple(
            ClassPlan(
                value=value,
                share=float(share),
                available=there if are_counts else None,
                images=number,
                width=_class_width(options, number, total),
                images_for_width=images_for_width(
                    model_variance(options.kappa, np.array([share, 1 - share])), options.width, options.level
                ),
            )
            for value, share, there, number in zip(classes, shares, available, drawn, strict=True)
        ),
        images=total,
        width=_width(options, composition, total),
        power=power_of(options, composition, total),
    )


def model_variance(kappa: float, shares: FloatArray) -> float:
    """Return the variance of kappa times the number of images, as the raters are taken to answer.

    Of two classes this is what Bloch and Kraemer (1989) give.

    Args:
        kappa: At least 0, below 1.
        shares: Of the classes, shape (k,), of sum 1.
    """
    return kappa_variance((1 - kappa) * np.outer(shares, shares) + kappa * np.diag(shares))


def images_for_width(variance: float, width: float, level: float) -> int:
    """Return the least number of images whose interval is expected to be no wider, from end to end.

    Raises:
        UsageFault: It is beyond what anybody could answer.
    """
    exact = variance * (2 * _quantile(level) / width) ** 2
    if exact > _MOST_IMAGES:
        raise _too_many(f"an interval of width {width:g}")
    return max(math.ceil(exact), 1)


def images_for_power(options: PlanOptions, shares: FloatArray) -> int:
    """Return the least number of images whose interval lies above the floor with the power that is wanted.

    Args:
        options: Their kappa is above their floor.
        shares: Of the classes, shape (k,), of sum 1.

    Raises:
        UsageFault: It is beyond what anybody could answer.
    """
    most = 1
    while power_of(options, shares, most) < options.power:
        most *= 2
        if most > _MOST_IMAGES:
            raise _too_many(f"kappa {options.kappa:g} to be shown above {options.floor:g}")
    return bisect_left(range(1, most), options.power, key=lambda n: power_of(options, shares, n)) + 1


def power_of(options: PlanOptions, shares: FloatArray, images: int) -> float:
    """Return the chance that the interval of a study lies above the floor.

    The kappa that is found is taken as normal about the expected one, and its interval as wide as its own
    value makes it: the lower kappa, the wider. So there is a least kappa whose interval lies above the floor,
    and the power is the chance to find more.
    """
    quantile = _quantile(options.level)
    low, high = options.floor, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_above = middle - quantile * math.sqrt(model_variance(middle, shares) / images) > options.floor
        low, high = (low, middle) if is_above else (middle, high)
    spread = math.sqrt(model_variance(options.kappa, shares) / images)
    return NormalDist().cdf((options.kappa - high) / spread)


def draw(strata: Mapping[str, str], planned: Plan, seed: int) -> list[tuple[str, str]]:
    """Return the images to show with their classes, in an order that does not tell the class.

    Args:
        strata: Class of each image from which is drawn.
        planned: How many of each class.
        seed: Equal seeds draw equal images, whatever the order of the strata.
    """
    generator = np.random.default_rng(seed)
    drawn: list[tuple[str, str]] = []
    for each in sorted(planned.classes, key=lambda item: item.value):
        images = sorted(image for image, value in strata.items() if value == each.value)
        chosen = generator.choice(len(images), size=each.images, replace=False)
        drawn += [(images[i], each.value) for i in chosen]
    return [drawn[i] for i in generator.permutation(len(drawn))]


def frequencies(strata: Mapping[str, str]) -> dict[str, float]:
    """Return how many images each class has, the most frequent first."""
    counted = Counter(strata.values())
    return {
        value: float(counted[value]) for value in sorted(counted, key=lambda value: (-counted[value], value))
    }


def _shares(classes: Mapping[str, float]) -> FloatArray:
    for value, number in classes.items():
        if not (math.isfinite(number) and number > 0):
            raise UsageFault(f"share of {value}: {number:g}, expected a number above 0")
    if len(classes) < _TWO_CLASSES:
        raise UsageFault(f"{len(classes)} class, expected at least two: kappa of one is undefined")
    numbers = np.array(list(classes.values()), dtype=np.float64)
    shares: FloatArray = numbers / numbers.sum()
    return shares


def _allocated(shares: FloatArray, images: int, available: Sequence[int], per_class: int) -> tuple[int, ...]:
    """Return how many of each class: in proportion by largest remainder, then no fewer than the minimum."""
    exact = shares * images
    numbers = np.floor(exact).astype(np.int64)
    missing = images - int(numbers.sum())
    numbers[np.argsort(numbers - exact, kind="stable")[:missing]] += 1
    return tuple(
        min(max(int(number), per_class), there) for number, there in zip(numbers, available, strict=True)
    )


def _composition(drawn: Sequence[int]) -> FloatArray:
    """Return the shares of the classes among the images drawn."""
    numbers = np.array(drawn, dtype=np.float64)
    if np.count_nonzero(numbers) < _TWO_CLASSES:
        raise UsageFault("the images drawn are of one class, expected two: draw more or set a least number")
    shares: FloatArray = numbers / numbers.sum()
    return shares


def _class_width(options: PlanOptions, number: int, total: int) -> float | None:
    """Return the expected width of a class against all others; None where all images are of one side."""
    if not 0 < number < total:
        return None
    return _width(options, np.array([number, total - number]) / total, total)


def _width(options: PlanOptions, shares: FloatArray, images: int) -> float:
    return 2 * _quantile(options.level) * math.sqrt(model_variance(options.kappa, shares) / images)


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _too_many(wish: str) -> UsageFault:
    return UsageFault(f"{wish} needs more than {_MOST_IMAGES:,} images: expect less of the study")


def _require(condition: bool, name: str, value: float, expected: str) -> None:  # noqa: FBT001  a check, not a switch
    if not condition:
        raise UsageFault(f"{name}: {value:g}, expected {expected}")
