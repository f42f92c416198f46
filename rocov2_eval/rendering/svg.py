"""Pictures as SVG: the frame, words, axes, bars, histograms; `pages/charts.py` draws runs with them.

Pure functions of numbers and labels. Colours are classes that the style of the page fills, so that one
picture serves light, dark and print; nothing is shown by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

Spacing = Literal["linear", "log"]

_FEW_TICKS = 5
_BAR_WIDTH, _BAR_HEIGHT = 120, 8
_SHORTEST_BAR = 1.5  # what is there at all must be seen
_WIDE_RANGE = 100  # counts further apart than that are drawn on a logarithmic scale
_LEFT, _RIGHT, _TOP, _TALL = 48, 336, 18, 130  # a histogram fits a phone of 360 pixels
_ROOM_FOR_LABEL = 34
_MOST_NUMBERS = 10  # as many numbers as stand beside each other above the bars


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `left` to `right`."""

    low: float
    high: float
    left: float
    right: float

    def at(self, value: float) -> str:
        """Return the pixel of a value; one outside the scale falls on its nearest end."""
        share = (value - self.low) / (self.high - self.low)
        return pixel(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left))


@dataclass(frozen=True, kw_only=True)
class Bin:
    """A bar of a histogram.

    Attributes:
        label: Value of the bin, or the lower end of its values; stands below the bar.
        words: All values of the bin in words, such as `5 to 9`.
        number: Number of images in the bin.
    """

    label: str
    words: str
    number: int


def svg(
    width: float, height: float, parts: Iterable[Markup], *, title: str, description: str, key: str
) -> Markup:
    """Return a picture that names itself to those who do not see it.

    Args:
        width: Width of the picture, in pixels.
        height: Height of the picture, in pixels.
        parts: What is drawn, from back to front.
        title: What the picture shows.
        description: The numbers of the picture, in words.
        key: Makes the ids unique within a page.
    """
    return Markup(
        '<svg class="chart" role="img" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
        'aria-labelledby="{2}-title" aria-describedby="{2}-desc">'
        '<title id="{2}-title">{3}</title><desc id="{2}-desc">{4}</desc>{5}</svg>'
    ).format(pixel(width), pixel(height), key, title, description, joined(parts))


def mark(width: int, height: int, parts: Iterable[Markup], *, stretches: bool = False) -> Markup:
    """Return a small picture without words, for a table row that has the numbers.

    Args:
        width: Width of the picture, in pixels.
        height: Height of the picture, in pixels.
        parts: What is drawn, from back to front.
        stretches: The style may change the width alone, as that of a bar.
    """
    fit = Markup('preserveAspectRatio="none" ') if stretches else ""
    return Markup(
        '<svg class="mark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" {2}aria-hidden="true">{3}</svg>'
    ).format(width, height, fit, joined(parts))


def joined(parts: Iterable[Markup]) -> Markup:
    """Return parts of a picture as one."""
    return Markup("").join(parts)


def text(x: float, y: float, words: str, classes: str) -> Markup:
    """Return words at a place; markup in them is shown as it is written."""
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(classes, pixel(x), pixel(y), words)


def pixel(value: float) -> str:
    """Return a coordinate with at most one digit after the point."""
    return f"{value:.1f}".removesuffix(".0")


def axis(scale: Scale, bottom: float, *, grid: bool = True) -> Markup:
    """Return a baseline with its numbers, and lines up from them where there is a grid."""
    parts = [_baseline(scale.left, scale.right, bottom)]
    step = _step(scale.high - scale.low)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for i in range(math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9) + 1):
        x = scale.at(i * step)
        top = 0 if grid else bottom
        parts.append(Markup('<path class="grid" d="M{} {}V{}"/>').format(x, pixel(top), pixel(bottom + 4)))
        parts.append(text(float(x), bottom + 18, f"{i * step:.{digits}f}", "tick middle"))
    return joined(parts)


def fitting_spacing(counts: Sequence[int]) -> Spacing:
    """Return the spacing by which counts can be told apart: logarithmic where they range widely."""
    present = [count for count in counts if count > 0]
    return "log" if present and max(present) > _WIDE_RANGE * min(present) else "linear"


def length_of(count: float, most: float, spacing: Spacing) -> float:
    """Return the length of a bar as a share of the longest, in [0, 1]; by either spacing 0 has none."""
    if most <= 0:
        return 0.0
    return math.log1p(count) / math.log1p(most) if spacing == "log" else count / most


def bar_mark(length: float, behind: float = 0.0) -> Markup:
    """Return a bar for a table row.

    Args:
        length: Length of the bar, in [0, 1].
        behind: Length of a paler bar behind it, in [0, 1].
    """
    bar = Markup('<rect class="{}" width="{}" height="{}"/>')
    lengths = (("behind", behind), ("bar", length))
    parts = [bar.format(name, _bar_width(value), _BAR_HEIGHT) for name, value in lengths]
    return mark(_BAR_WIDTH, _BAR_HEIGHT, parts, stretches=True)


def histogram(
    bins: Sequence[Bin],
    *,
    title: str,
    key: str,
    ends: tuple[float, float] | None = None,
    edges: bool = False,
) -> Markup:
    """Return how many images fall into each bin.

    Args:
        bins: One bar each, all equally wide.
        title: What is drawn.
        key: Makes the ids unique within a page.
        ends: Lower end of the first bin and upper end of the last, for an axis of numbers; None for the
            labels of the bins.
        edges: Labels are lower ends and stand under the left end of a bar, not under its middle; but for the
            last, which is open.
    """
    width = (_RIGHT - _LEFT) / max(len(bins), 1)
    most = max((item.number for item in bins), default=0)
    bottom = _TOP + _TALL
    parts = [
        _labels(bins, width, edges=edges)
        if ends is None
        else axis(Scale(low=ends[0], high=ends[1], left=_LEFT, right=_RIGHT), bottom, grid=False),
        text(_LEFT - 8, _TOP + 5, f"{max(most, 1):,}", "tick end"),
        text(_LEFT - 8, bottom, "0", "tick end"),
    ]
    for i, item in enumerate(bins):
        left, height = _LEFT + i * width, _TALL * length_of(item.number, most, "linear")
        parts.append(_bar(item, left, height, width))
        if item.number and len(bins) <= _MOST_NUMBERS:
            parts.append(text(left + width / 2, bottom - height - 5, f"{item.number:,}", "value middle"))
    description = "; ".join(f"{item.words}: {item.number:,}" for item in bins)
    return svg(_RIGHT + 12, bottom + 26, parts, title=title, description=description, key=key)


def _baseline(left: float, right: float, y: float) -> Markup:
    return Markup('<path class="axis" d="M{} {}H{}"/>').format(pixel(left), pixel(y), pixel(right))


def _step(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten, so that a few of them make the width."""
    rough = width / _FEW_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.75)


def _labels(bins: Sequence[Bin], width: float, *, edges: bool) -> Markup:
    """Return a baseline with as many labels as have room; that of the last bin is always there."""
    parts = [_baseline(_LEFT, _RIGHT, _TOP + _TALL)]
    step = max(math.ceil(_ROOM_FOR_LABEL / width), 1)
    last = len(bins) - 1
    for i, item in enumerate(bins):
        if i == last or (i % step == 0 and last - i >= step):
            shift = 0.0 if edges and i != last else width / 2
            parts.append(text(_LEFT + i * width + shift, _TOP + _TALL + 18, item.label, "tick middle"))
    return joined(parts)


def _bar(item: Bin, left: float, height: float, width: float) -> Markup:
    gap = min(1.0, width / 6)
    return Markup(
        '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}: {} images</title></rect>'
    ).format(
        pixel(left + gap),
        pixel(_TOP + _TALL - height),
        pixel(width - 2 * gap),
        pixel(height),
        item.words,
        f"{item.number:,}",
    )


def _bar_width(length: float) -> str:
    """Return the pixels of a bar; whatever is not nothing can be seen."""
    return pixel(max(length * _BAR_WIDTH, _SHORTEST_BAR) if length > 0 else 0.0)
