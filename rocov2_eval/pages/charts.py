"""Pictures of scores as SVG: intervals, distributions, stability of ranks, significance of differences.

Pure functions of numbers and labels. Colours are classes that `templates/style.css` fills from its variables,
so that one picture serves light, dark and print; nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.words import shorten

_LABEL = 190  # width kept for the name of a run, and how much of the name fits it
_LABEL_CHARACTERS = 28
_TAIL = 10
_WIDTH = 720
_ROW = 22
_NARROW, _NARROW_ROW = 320, 36  # fits a phone of 360 pixels
_MARK_WIDTH, _MARK_HEIGHT = 132, 16
_FEW_TICKS = 5
_TALL = 130  # height of the bars of a histogram, which fits a phone too
_SMALLEST_P = 0.0001
_HEAD = 26  # height of the numbers above a matrix
_SMALLEST_DISC = 0.9
_ROOM_FOR_NUMBER = 20  # columns narrower than that are numbered by turns


@dataclass(frozen=True, kw_only=True)
class Range:
    """A score and the interval around it.

    Attributes:
        label: Whose score.
        mean: None where there is none to show.
        low, high: Ends of the interval, None where there is none.
    """

    label: str
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps scores from `low` to `high` onto pixels from `left` to `right`."""

    low: float
    high: float
    left: float
    right: float

    def at(self, value: float) -> str:
        """Return the pixel of a score, which may lie outside."""
        share = (value - self.low) / (self.high - self.low)
        return _pixel(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left))


def span(ranges: Iterable[Range]) -> tuple[float, float]:
    """Return the ends of an axis that shows all ranges, with some room around."""
    ends = [value for item in ranges for value in (item.mean, item.low, item.high) if value is not None]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    room = (high - low) * 0.06 or 0.01
    return low - room, high + room


def interval_mark(item: Range, ends: tuple[float, float]) -> Markup:
    """Return an interval without words, for a table cell that stands beside the numbers."""
    scale = Scale(low=ends[0], high=ends[1], left=5, right=_MARK_WIDTH - 5)
    return Markup(
        '<svg class="mark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" aria-hidden="true">{2}</svg>'
    ).format(_MARK_WIDTH, _MARK_HEIGHT, _whisker(item, scale, _MARK_HEIGHT / 2, 2.8))


def interval_plot(ranges: Sequence[Range], *, title: str, key: str) -> Markup:
    """Return the scores of runs with their intervals on a common axis, one row a run.

    Args:
        ranges: In the order of the rows.
        title: What is drawn.
        key: Makes the ids unique within a page.
    """
    low, high = span(ranges)
    scale = Scale(low=low, high=high, left=_LABEL + 12, right=_WIDTH - 70)
    bottom = len(ranges) * _ROW + 6
    parts = [_axis(scale, bottom)]
    for i, item in enumerate(ranges):
        middle = i * _ROW + _ROW / 2 + 3
        parts += [_row_label(item.label, middle), _whisker(item, scale, middle)]
        parts.append(_text(_WIDTH - 60, middle + 4, score_text(item.mean), "value"))
    return _svg(_WIDTH, bottom + 26, parts, title=title, description=_listed(ranges), key=key)


def narrow_interval_plot(ranges: Sequence[Range], *, title: str, key: str) -> Markup:
    """Return the same for a phone: each name above its interval."""
    low, high = span(ranges)
    scale = Scale(low=low, high=high, left=8, right=_NARROW - 8)
    bottom = len(ranges) * _NARROW_ROW + 8
    parts = [_axis(scale, bottom, grid=False)]
    for i, item in enumerate(ranges):
        base = i * _NARROW_ROW + 14
        parts.append(_text(4, base, _cut(item.label), "label"))
        parts.append(_text(_NARROW - 4, base, score_text(item.mean), "value end"))
        parts.append(_whisker(item, scale, base + 11))
    return _svg(_NARROW, bottom + 26, parts, title=title, description=_listed(ranges), key=key)


def histogram(counts: Sequence[int], ends: tuple[float, float], *, title: str, key: str) -> Markup:
    """Return how many images have a score in each of equally wide bins.

    Args:
        counts: Images in each bin.
        ends: Lower end of the first bin, upper end of the last.
        title: What is drawn.
        key: Makes the ids unique within a page.
    """
    left, right, top = 40, 336, 18
    width = (right - left) / len(counts)
    most = max(*counts, 1)
    scale = Scale(low=ends[0], high=ends[1], left=left, right=right)
    bars: list[Markup] = []
    said = []
    step = (ends[1] - ends[0]) / len(counts)
    for i, count in enumerate(counts):
        height = _TALL * count / most
        place = f"{ends[0] + i * step:.2f} to {ends[0] + (i + 1) * step:.2f}"
        said.append(f"{place}: {count:,}")
        bars.append(
            Markup(
                '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}: {} images</title></rect>'
            ).format(
                _pixel(left + i * width + 1),
                _pixel(top + _TALL - height),
                _pixel(width - 2),
                _pixel(height),
                place,
                f"{count:,}",
            )
        )
        if count and len(counts) <= 10:  # noqa: PLR2004  as many numbers as stand beside each other
            middle = left + (i + 0.5) * width
            bars.append(_text(middle, top + _TALL - height - 5, f"{count:,}", "value middle"))
    side = [_text(left - 8, top + 5, f"{most:,}", "tick end"), _text(left - 8, top + _TALL, "0", "tick end")]
    parts = [_axis(scale, top + _TALL, grid=False), *side, *bars]
    return _svg(right + 12, top + _TALL + 26, parts, title=title, description="; ".join(said), key=key)


def rank_stability(
    labels: Sequence[str], shares: FloatArray, ends: Sequence[tuple[int, int]], *, title: str, key: str
) -> Markup:
    """Return how often each run takes each rank: the area of a disc is the share of the resamples.

    Args:
        labels: Names of the k runs.
        shares: Shape (k, k), run by rank.
        ends: Interval of the rank of each run, drawn as a line.
        title: What is drawn.
        key: Makes the ids unique within a page.
    """
    k = len(labels)
    cell = _cell_size(k)
    parts = [_grid(k, cell), *_column_numbers(k, cell)]
    for i, label in enumerate(labels):
        middle = _HEAD + (i + 0.5) * cell
        low, high = ends[i]
        line = Markup('<line class="ends" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        parts.append(_row_label(label, middle))
        parts.append(line.format(_column(low - 1, cell), _column(high - 1, cell), *2 * [_pixel(middle)]))
        for rank, share in enumerate(shares[i].tolist()):
            if share > 0:
                words = f"{shorten(label, 80)}: rank {rank + 1} in {_percent(share)}"
                parts.append(_disc(_column(rank, cell), middle, (cell / 2 - 1) * math.sqrt(share), words))
    said = "; ".join(
        f"{_cut(label)} rank {low} to {high}" for label, (low, high) in zip(labels, ends, strict=True)
    )
    return _svg(*_square(k, cell), parts, title=title, description=said, key=key)


def significance_matrix(
    labels: Sequence[str],
    difference: FloatArray,
    p_values: FloatArray,
    alpha: float,
    *,
    title: str,
    key: str,
) -> Markup:
    """Return which run beats which: ▲ the run of the row is better, ▼ worse, a dot where neither is shown.

    Args:
        labels: Names of the k runs; columns are numbered in the order of the rows.
        difference: Shape (k, k), mean of the column's run minus mean of the row's.
        p_values: Shape (k, k), corrected.
        alpha: Bound below which a difference counts.
        title: What is drawn.
        key: Makes the ids unique within a page.
    """
    k = len(labels)
    cell = _cell_size(k)
    names = [shorten(label, 40) for label in labels]
    parts = [_grid(k, cell), *_column_numbers(k, cell)]
    shown = 0
    for a in range(k):
        middle = _HEAD + (a + 0.5) * cell
        parts.append(_row_label(labels[a], middle, number=a + 1))
        for b in range(k):
            if a == b:
                continue
            gain = -float(difference[a, b])
            is_shown = bool(p_values[a, b] < alpha)
            shown += is_shown
            kind = _kind(gain, is_shown=is_shown)
            words = f"{names[a]} against {names[b]}: {gain:+.4f}, {p_text(float(p_values[a, b]))}"
            parts.append(_sign(kind, _LABEL + 30 + (b + 0.5) * cell, middle, cell, words))
    said = f"{shown // 2} of {k * (k - 1) // 2} pairs differ at {alpha:g}; the table below says which"
    return _svg(*_square(k, cell), parts, title=title, description=said, key=key)


def p_text(value: float) -> str:
    """Return a p-value in two significant digits, or the bound below which it is not told apart."""
    return f"p < {_SMALLEST_P}" if value < _SMALLEST_P else f"p = {value:.2g}"


def score_text(value: float | None) -> str:
    """Return a score to four digits, a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{value:.4f}"


def _cell_size(k: int) -> float:
    """Return the side of a cell: large for few runs, and fifty on one screen."""
    return min(max(620 / k, 15.0), 34.0)


def _square(k: int, cell: float) -> tuple[float, float]:
    return _LABEL + 30 + k * cell + 4, _HEAD + k * cell + 6


def _column(index: int, cell: float) -> str:
    return _pixel(_LABEL + 30 + (index + 0.5) * cell)


def _column_numbers(k: int, cell: float) -> list[Markup]:
    step = 1 if cell >= _ROOM_FOR_NUMBER else 2
    shown = range(0, k, step)
    return [_text(float(_column(i, cell)), _HEAD - 9, str(i + 1), "tick middle") for i in shown]


def _grid(k: int, cell: float) -> Markup:
    """Return hairlines around the cells."""
    left, right, bottom = _LABEL + 30, _LABEL + 30 + k * cell, _HEAD + k * cell
    steps = [i * cell for i in range(k + 1)]
    path = "".join(f"M{_pixel(left)} {_pixel(_HEAD + y)}H{_pixel(right)}" for y in steps)
    path += "".join(f"M{_pixel(left + x)} {_HEAD}V{_pixel(bottom)}" for x in steps)
    return Markup('<path class="grid" d="{}"/>').format(path)


def _kind(gain: float, *, is_shown: bool) -> str:
    if not is_shown:
        return "tie"
    return "better" if gain > 0 else "worse"


def _disc(x: str, y: float, radius: float, words: str) -> Markup:
    disc = Markup('<circle class="share" cx="{}" cy="{}" r="{}"><title>{}</title></circle>')
    return disc.format(x, _pixel(y), _pixel(max(radius, _SMALLEST_DISC)), words)


def _sign(kind: str, x: float, y: float, cell: float, words: str) -> Markup:
    half = cell * 0.32
    left, top, bottom = _pixel(x - half), _pixel(y - half), _pixel(y + half)
    paths = {
        "better": f"M{left} {bottom}h{_pixel(2 * half)}L{_pixel(x)} {top}z",
        "worse": f"M{left} {top}h{_pixel(2 * half)}L{_pixel(x)} {bottom}z",
        "tie": f"M{_pixel(x - 1.2)} {_pixel(y - 1.2)}h2.4v2.4h-2.4z",
    }
    return Markup('<path class="{}" d="{}"><title>{}</title></path>').format(kind, paths[kind], words)


def _whisker(item: Range, scale: Scale, middle: float, radius: float = 3.5) -> Markup:
    """Return the line of an interval and the dot of its mean."""
    if item.mean is None:
        return Markup("")
    parts = []
    if item.low is not None and item.high is not None:
        line = Markup('<path class="whisker" d="M{0} {2}H{1}M{0} {3}v6M{1} {3}v6"/>')
        ends = scale.at(item.low), scale.at(item.high)
        parts.append(line.format(*ends, _pixel(middle), _pixel(middle - 3)))
    dot = Markup('<circle class="dot" cx="{}" cy="{}" r="{}"/>')
    return Markup("").join([*parts, dot.format(scale.at(item.mean), _pixel(middle), radius)])


def _axis(scale: Scale, bottom: float, *, grid: bool = True) -> Markup:
    """Return a baseline with its numbers, and lines up from them where there is a grid."""
    parts = [
        Markup('<path class="axis" d="M{} {}H{}"/>').format(
            _pixel(scale.left), _pixel(bottom), _pixel(scale.right)
        )
    ]
    step = _step(scale.high - scale.low)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for i in range(math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9) + 1):
        x = scale.at(i * step)
        top = 0 if grid else bottom
        parts.append(Markup('<path class="grid" d="M{} {}V{}"/>').format(x, _pixel(top), _pixel(bottom + 4)))
        parts.append(_text(float(x), bottom + 18, f"{i * step:.{digits}f}", "tick middle"))
    return Markup("").join(parts)


def _step(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten, so that a few of them make the width."""
    rough = width / _FEW_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.75)


def _row_label(label: str, middle: float, number: int | None = None) -> Markup:
    parts = [_text(_LABEL, middle + 4, _cut(label), "label end")]
    if number is not None:
        parts.append(_text(_LABEL + 24, middle + 4, str(number), "tick end"))
    return Markup("").join(parts)


def _cut(label: str) -> str:
    """Return a name that fits beside a row, its end kept: runs of one team differ there."""
    safe = shorten(label, 200)
    if len(safe) <= _LABEL_CHARACTERS:
        return safe
    return f"{safe[: _LABEL_CHARACTERS - _TAIL - 1]}…{safe[-_TAIL:]}"


def _text(x: float, y: float, words: str, classes: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(classes, _pixel(x), _pixel(y), words)


def _svg(
    width: float, height: float, parts: Iterable[Markup], *, title: str, description: str, key: str
) -> Markup:
    """Return a picture that names itself to those who do not see it."""
    head = Markup(
        '<svg class="chart" role="img" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
        'aria-labelledby="{2}-title" aria-describedby="{2}-desc">'
        '<title id="{2}-title">{3}</title><desc id="{2}-desc">{4}</desc>'
    ).format(_pixel(width), _pixel(height), key, title, description)
    return head + Markup("").join(parts) + Markup("</svg>")


def _pixel(value: float) -> str:
    """Return a coordinate with at most one digit after the point."""
    return f"{value:.1f}".removesuffix(".0")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"  # noqa: PLR2004  two digits in either case


def _listed(ranges: Iterable[Range]) -> str:
    return "; ".join(f"{_cut(item.label)} {_spoken(item)}" for item in ranges)


def _spoken(item: Range) -> str:
    if item.low is None or item.high is None:
        return score_text(item.mean)
    return f"{score_text(item.mean)}, {item.low:.4f} to {item.high:.4f}"
