"""Pictures of counts as SVG: bars within the rows of a table, and histograms.

Pure functions of numbers and labels. Colours are classes that the style of the page fills, so that one
picture serves light, dark and print; nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

from dataset_builder.report.statistics import Bin

Scale = Literal["linear", "log"]

_MARK_WIDTH, _MARK_HEIGHT = 120, 8
_LEFT, _RIGHT, _TOP, _TALL = 48, 336, 18, 130  # a histogram fits a phone of 360 pixels
_ROOM_FOR_LABEL = 34
_MOST_NUMBERS = 10  # as many numbers as stand beside each other above the bars
_WIDE_RANGE = 100  # counts further apart than that are drawn on a logarithmic scale
_SHORTEST = 1.5  # what is there at all must be seen


def fitting_scale(counts: Sequence[int]) -> Scale:
    """Return the scale on which counts can be told apart: logarithmic where they range widely."""
    present = [count for count in counts if count > 0]
    return "log" if present and max(present) > _WIDE_RANGE * min(present) else "linear"


def length_of(count: float, most: float, scale: Scale) -> float:
    """Return the length of a bar as a share of the longest, in [0, 1]; on either scale 0 has none."""
    if most <= 0:
        return 0.0
    return math.log1p(count) / math.log1p(most) if scale == "log" else count / most


def bar_mark(length: float, behind: float = 0.0) -> Markup:
    """Return a bar without words, for a table row that has the numbers.

    Args:
        length: Of the bar, in [0, 1].
        behind: Of a paler bar behind it, in [0, 1].
    """
    return Markup(
        '<svg class="mark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
        'preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="behind" width="{2}" height="{1}"/><rect class="bar" width="{3}" height="{1}"/></svg>'
    ).format(_MARK_WIDTH, _MARK_HEIGHT, _width(behind), _width(length))


def columns(bins: Sequence[Bin], *, title: str, key: str, edges: bool = False) -> Markup:
    """Return how many images fall into each bin.

    Args:
        bins: One column each.
        title: What is drawn.
        key: Makes the ids unique within a page.
        edges: Labels are lower ends and stand under the left end of a column, not under its middle; but for
            the last, which is open.
    """
    width = (_RIGHT - _LEFT) / max(len(bins), 1)
    most = max((item.number for item in bins), default=0)
    bottom = _TOP + _TALL
    parts = [
        Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, bottom, _RIGHT),
        _text(_LEFT - 8, _TOP + 5, f"{most:,}", "tick end"),
        _text(_LEFT - 8, bottom, "0", "tick end"),
    ]
    step = max(math.ceil(_ROOM_FOR_LABEL / width), 1)
    for i, item in enumerate(bins):
        left = _LEFT + i * width
        height = _TALL * length_of(item.number, most, "linear")
        parts.append(_column(item, left, height, width))
        if item.number and len(bins) <= _MOST_NUMBERS:
            parts.append(_text(left + width / 2, bottom - height - 5, f"{item.number:,}", "value middle"))
        is_last = i == len(bins) - 1
        if is_last or (i % step == 0 and len(bins) - 1 - i >= step):  # the open end is always labelled
            place = left if edges and not is_last else left + width / 2
            parts.append(_text(place, bottom + 18, item.label, "tick middle"))
    said = "; ".join(f"{item.words}: {item.number:,}" for item in bins)
    return Markup(
        '<svg class="chart" role="img" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
        'aria-labelledby="{2}-title" aria-describedby="{2}-desc">'
        '<title id="{2}-title">{3}</title><desc id="{2}-desc">{4}</desc>{5}</svg>'
    ).format(_RIGHT + 12, bottom + 26, key, title, said, Markup("").join(parts))


def _column(item: Bin, left: float, height: float, width: float) -> Markup:
    gap = min(1.0, width / 6)
    return Markup(
        '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}: {} images</title></rect>'
    ).format(
        _pixel(left + gap),
        _pixel(_TOP + _TALL - height),
        _pixel(width - 2 * gap),
        _pixel(height),
        item.words,
        f"{item.number:,}",
    )


def _width(length: float) -> str:
    """Return the pixels of a bar; whatever is not nothing can be seen."""
    pixels = length * _MARK_WIDTH
    return _pixel(max(pixels, _SHORTEST) if length > 0 else 0.0)


def _text(x: float, y: float, words: str, classes: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(classes, _pixel(x), _pixel(y), words)


def _pixel(value: float) -> str:
    """Return a coordinate with at most one digit after the point."""
    return f"{value:.1f}".removesuffix(".0")
