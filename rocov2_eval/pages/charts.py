"""Pictures of the scores of runs and teams: intervals, ranks, their change, significance of differences."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from itertools import pairwise

from markupsafe import Markup

from rocov2_eval.ranking import Event, RankChange
from rocov2_eval.records import FloatArray, MetricResult
from rocov2_eval.rendering.svg import Scale, axis, joined, mark, pixel, svg, text
from rocov2_eval.shelf.words import shorten

_LABEL = 190  # width kept for the name of a run, and how much of the name fits it, in usual letters
_LABEL_ROOM = 28
_TAIL_ROOM = 10
_WIDE_LETTERS = "mwMW@%&"
_MOST_TEAMS = 30  # lines that can be told apart
_SIDE_WIDTH, _SIDE_ROW = 340, 18  # a chart that fits a phone of 390 pixels, and stands beside another one
_HISTORY_LEFT, _HISTORY_NAMES, _HISTORY_ROOM = 12, 154, 16
_SLOPE_ENDS, _SLOPE_ROOM = (132, 208), 15
_SLANT = 6  # pixels of a change of place, so that two teams that change places can be told apart
_LINES = 6  # styles of lines
_WIDTH = 720
_ROW = 22
_NARROW, _NARROW_ROW = 320, 36  # fits a phone of 360 pixels
_MARK_WIDTH, _MARK_HEIGHT = 132, 16
_SMALLEST_P = 0.0001
_HEAD = 26  # height of the numbers above a matrix
_SMALLEST_DISC = 0.9
_ROOM_FOR_NUMBER = 20  # columns narrower than that are numbered by turns


def span(results: Iterable[MetricResult], *, zero: bool = False) -> tuple[float, float]:
    """Return the ends of an axis that shows all scores and intervals, 0 too if asked, with room around."""
    ends = [end for result in results for end in (result.mean, *_ends(result)) if end is not None]
    ends += [0.0] if zero else []
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    room = (high - low) * 0.06 or 0.01
    return low - room, high + room


def interval_mark(result: MetricResult, ends: tuple[float, float]) -> Markup:
    """Return an interval without words, for a table cell that stands beside the numbers."""
    scale = Scale(low=ends[0], high=ends[1], left=5, right=_MARK_WIDTH - 5)
    return mark(_MARK_WIDTH, _MARK_HEIGHT, [_whisker(result, scale, _MARK_HEIGHT / 2, 2.8)])


def interval_plot(results: Mapping[str, MetricResult], *, title: str, key: str, zero: bool = False) -> Markup:
    """Return the scores of runs with their intervals on a common axis, one row a run.

    Args:
        results: Score by name of the run, in the order of the rows.
        title: What is drawn.
        key: Makes the ids unique within a page.
        zero: Draw a line at 0, as differences need one.
    """
    low, high = span(results.values(), zero=zero)
    scale = Scale(low=low, high=high, left=_LABEL + 12, right=_WIDTH - 70)
    bottom = len(results) * _ROW + 6
    parts = [axis(scale, bottom), _zero_line(scale, 0, bottom) if zero else Markup("")]
    for i, (label, result) in enumerate(results.items()):
        middle = i * _ROW + _ROW / 2 + 3
        parts += [_row_label(label, middle), _whisker(result, scale, middle)]
        parts.append(text(_WIDTH - 60, middle + 4, score_text(result.mean, result.decimals), "value"))
    return svg(_WIDTH, bottom + 26, parts, title=title, description=_in_words(results), key=key)


def narrow_interval_plot(
    results: Mapping[str, MetricResult], *, title: str, key: str, zero: bool = False
) -> Markup:
    """Return the interval plot for a phone: each name above its interval."""
    low, high = span(results.values(), zero=zero)
    scale = Scale(low=low, high=high, left=8, right=_NARROW - 8)
    bottom = len(results) * _NARROW_ROW + 8
    parts = [axis(scale, bottom, grid=False)]
    for i, (label, result) in enumerate(results.items()):
        base = i * _NARROW_ROW + 14
        parts.append(text(4, base, cut(label), "label"))
        parts.append(text(_NARROW - 4, base, score_text(result.mean, result.decimals), "value end"))
        parts += [_zero_line(scale, base + 4, base + 18)] if zero else []  # not through the numbers
        parts.append(_whisker(result, scale, base + 11))
    return svg(_NARROW, bottom + 26, parts, title=title, description=_in_words(results), key=key)


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
        parts.append(line.format(_column(low - 1, cell), _column(high - 1, cell), *2 * [pixel(middle)]))
        for rank, share in enumerate(shares[i].tolist()):
            if share > 0:
                words = f"{shorten(label, 80)}: rank {rank + 1} in {_percent(share)}"
                parts.append(_disc(_column(rank, cell), middle, (cell / 2 - 1) * math.sqrt(share), words))
    description = "; ".join(
        f"{cut(label)} rank {low} to {high}" for label, (low, high) in zip(labels, ends, strict=True)
    )
    return svg(*_square(k, cell), parts, title=title, description=description, key=key)


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
    description = f"{shown // 2} of {k * (k - 1) // 2} pairs differ at {alpha:g}; the table below says which"
    return svg(*_square(k, cell), parts, title=title, description=description, key=key)


def history_chart(
    events: Sequence[Event],
    names: Mapping[str, str],
    *,
    title: str,
    key: str,
    team: str = "",
    is_narrow: bool = False,
) -> Markup:
    """Return the places of the teams by the time of the uploads, one line a team, a dot an upload.

    Args:
        events: Uploads that changed the order or a best score, at least one, in the order of time.
        names: How pages call each team, by the name of its folder.
        title: What is drawn.
        key: Makes the ids unique within a page.
        team: The team whose line stands out and which is always drawn; empty for none.
        is_narrow: Draw it for a phone.
    """
    last = [place.team for place in events[-1].teams]
    drawn = last[:_MOST_TEAMS]
    drawn += [team] if team and team not in drawn else []
    times = [event.submitted_at.timestamp() for event in events]
    width = _SIDE_WIDTH if is_narrow else _WIDTH
    left, right = _HISTORY_LEFT, width - _HISTORY_NAMES
    scale = Scale(low=times[0], high=max(times[-1], times[0] + 1), left=left, right=right - 8)
    lines: dict[str, list[tuple[float, int]]] = {name: [] for name in drawn}
    dots: list[Markup] = []
    for event, time in zip(events, times, strict=True):
        order = [place.team for place in event.teams if place.team in lines]
        for row, name in enumerate(order):
            lines[name].append((float(scale.at(time)), row))
        if event.team in lines:
            dots.append(_upload(event, float(scale.at(time)), order.index(event.team), names))
    ranks = {place.team: place.rank for place in events[-1].teams}
    parts = []
    for i, name in enumerate(drawn):
        kind = f"line line-{i % _LINES}" if not team else "line chosen" if name == team else "line other"
        words = f"{ranks[name]} {cut(names.get(name, name), _HISTORY_ROOM)}"
        parts.append(Markup('<path class="{}" d="{}"/>').format(kind, _steps(lines[name], right)))
        parts.append(text(right + 6, _side(i) + 4, words, "label strong" if name == team else "label"))
    bottom = _side(len(drawn)) - 4
    first, end = (f"{event.submitted_at.astimezone(UTC):%Y-%m-%d}" for event in (events[0], events[-1]))
    parts += [*dots, text(left - 8, bottom + 14, first, "tick")]
    parts += [text(right, bottom + 14, end, "tick end")] if end != first else []
    description = "; ".join(f"{cut(names.get(name, name))} rank {ranks[name]}" for name in drawn)
    return svg(width, bottom + 20, parts, title=title, description=f"At the end: {description}", key=key)


def rank_change_chart(changes: Sequence[RankChange], *, title: str, key: str) -> Markup:
    """Return the ranks of teams by two truths side by side, with a line for each team.

    Args:
        changes: The ranks of the teams by both truths, at least one.
        title: What is drawn.
        key: Makes the ids unique within a page.
    """
    first = sorted(changes, key=lambda item: (item.public_rank, item.hidden_rank, item.team))[:_MOST_TEAMS]
    second = sorted(first, key=lambda item: (item.hidden_rank, item.public_rank, item.team))
    left, right = _SLOPE_ENDS
    parts = [text(left, 14, "public", "tick end"), text(right, 14, "hidden", "tick")]
    for row, item in enumerate(first):
        above, below = _side(row + 1), _side(second.index(item) + 1)
        name = cut(item.display_name, _SLOPE_ROOM)
        parts.append(text(left, above + 4, f"{name} {item.public_rank}", "label end"))
        parts.append(text(right, below + 4, f"{item.hidden_rank} {name}", "label"))
        kind = "same" if not item.change else "gain" if item.change > 0 else "loss"
        line = Markup('<path class="line {}" d="M{} {}L{} {}"/>')
        parts.append(line.format(kind, left + 6, pixel(above), right - 6, pixel(below)))
    description = "; ".join(
        f"{cut(item.display_name)} from {item.public_rank} to {item.hidden_rank}" for item in first
    )
    height = _side(len(first) + 1)
    return svg(_SIDE_WIDTH, height, parts, title=title, description=description, key=key)


def p_text(value: float) -> str:
    """Return a p-value in two significant digits, or the bound below which it is not told apart."""
    return f"p < {_SMALLEST_P}" if value < _SMALLEST_P else f"p = {value:.2g}"


def score_text(value: float | None, decimals: int = 4) -> str:
    """Return a score to so many digits, a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{value:.{decimals}f}"


def _cell_size(k: int) -> float:
    """Return the side of a cell: large for few runs, and fifty on one screen."""
    return min(max(620 / k, 15.0), 34.0)


def _square(k: int, cell: float) -> tuple[float, float]:
    return _LABEL + 30 + k * cell + 4, _HEAD + k * cell + 6


def _column(index: int, cell: float) -> str:
    return pixel(_LABEL + 30 + (index + 0.5) * cell)


def _column_numbers(k: int, cell: float) -> list[Markup]:
    step = 1 if cell >= _ROOM_FOR_NUMBER else 2
    shown = range(0, k, step)
    return [text(float(_column(i, cell)), _HEAD - 9, str(i + 1), "tick middle") for i in shown]


def _grid(k: int, cell: float) -> Markup:
    """Return hairlines around the cells."""
    left, right, bottom = _LABEL + 30, _LABEL + 30 + k * cell, _HEAD + k * cell
    steps = [i * cell for i in range(k + 1)]
    path = "".join(f"M{pixel(left)} {pixel(_HEAD + y)}H{pixel(right)}" for y in steps)
    path += "".join(f"M{pixel(left + x)} {_HEAD}V{pixel(bottom)}" for x in steps)
    return Markup('<path class="grid" d="{}"/>').format(path)


def _kind(gain: float, *, is_shown: bool) -> str:
    if not is_shown:
        return "tie"
    return "better" if gain > 0 else "worse"


def _disc(x: str, y: float, radius: float, words: str) -> Markup:
    disc = Markup('<circle class="share" cx="{}" cy="{}" r="{}"><title>{}</title></circle>')
    return disc.format(x, pixel(y), pixel(max(radius, _SMALLEST_DISC)), words)


def _sign(kind: str, x: float, y: float, cell: float, words: str) -> Markup:
    half = cell * 0.32
    left, top, bottom = pixel(x - half), pixel(y - half), pixel(y + half)
    paths = {
        "better": f"M{left} {bottom}h{pixel(2 * half)}L{pixel(x)} {top}z",
        "worse": f"M{left} {top}h{pixel(2 * half)}L{pixel(x)} {bottom}z",
        "tie": f"M{pixel(x - 1.2)} {pixel(y - 1.2)}h2.4v2.4h-2.4z",
    }
    return Markup('<path class="{}" d="{}"><title>{}</title></path>').format(kind, paths[kind], words)


def _ends(result: MetricResult) -> tuple[float, float] | tuple[()]:
    return (result.interval.low, result.interval.high) if result.interval else ()


def _zero_line(scale: Scale, top: float, bottom: float) -> Markup:
    return Markup('<path class="axis" d="M{} {}V{}"/>').format(scale.at(0.0), pixel(top), pixel(bottom))


def _whisker(result: MetricResult, scale: Scale, middle: float, radius: float = 3.5) -> Markup:
    """Return the line of an interval and the dot of its mean."""
    if result.mean is None:
        return Markup("")
    parts = []
    if result.interval:
        line = Markup('<path class="whisker" d="M{0} {2}H{1}M{0} {3}v6M{1} {3}v6"/>')
        ends = scale.at(result.interval.low), scale.at(result.interval.high)
        parts.append(line.format(*ends, pixel(middle), pixel(middle - 3)))
    dot = Markup('<circle class="dot" cx="{}" cy="{}" r="{}"/>')
    return joined([*parts, dot.format(scale.at(result.mean), pixel(middle), radius)])


def _row_label(label: str, middle: float, number: int | None = None) -> Markup:
    parts = [text(_LABEL, middle + 4, cut(label), "label end")]
    if number is not None:
        parts.append(text(_LABEL + 24, middle + 4, str(number), "tick end"))
    return joined(parts)


def cut(label: str, room: float = _LABEL_ROOM) -> str:
    """Return a name that fits beside a row, its end kept: runs of one team differ there.

    Args:
        label: Any name.
        room: Width of the place, in letters of usual width.
    """
    safe = shorten(label, 200)
    if sum(map(_width_of, safe)) <= room:
        return safe
    tail = _fitting(safe[::-1], min(_TAIL_ROOM, 0.4 * room))[::-1]
    return f"{_fitting(safe, room - 1 - sum(map(_width_of, tail)))}…{tail}"


def _fitting(letters: str, room: float) -> str:
    """Return the first letters, as many as fit."""
    taken = 0
    for letter in letters:
        room -= _width_of(letter)
        if room < 0:
            break
        taken += 1
    return letters[:taken]


def _width_of(letter: str) -> float:
    """Return about how wide a letter is, in letters of usual width."""
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 2.0
    return 1.8 if letter in _WIDE_LETTERS else 1.25 if letter.isupper() else 1.0


def _side(row: int) -> float:
    """Return the middle of a row of a chart that stands beside another one."""
    return row * _SIDE_ROW + 12.0


def _steps(points: Sequence[tuple[float, int]], right: float) -> str:
    """Return a path through the places of a team, each held until the next one."""
    path = f"M{pixel(points[0][0])} {pixel(_side(points[0][1]))}"
    for (x, row), (next_x, next_row) in pairwise(points):
        if next_row != row:
            start = max(x, next_x - _SLANT)
            path += f"H{pixel(start)}L{pixel(next_x)} {pixel(_side(next_row))}"
    return f"{path}H{pixel(right)}"


def _upload(event: Event, x: float, row: int, names: Mapping[str, str]) -> Markup:
    place = next(place for place in event.teams if place.team == event.team)
    when = f"{event.submitted_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    label = f"{shorten(names.get(event.team, event.team), 80)} / {event.run}"
    words = f"{label}: {place.best:g}, rank {place.rank}, {when}"
    dot = Markup('<circle class="upload" cx="{}" cy="{}" r="3"><title>{}</title></circle>')
    return dot.format(pixel(x), pixel(_side(row)), words)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"  # noqa: PLR2004  two digits in either case


def _in_words(results: Mapping[str, MetricResult]) -> str:
    return "; ".join(
        f"{cut(label)} {', '.join([score_text(result.mean, result.decimals), *_interval_words(result)])}"
        for label, result in results.items()
    )


def _interval_words(result: MetricResult) -> list[str]:
    ends = [score_text(end, result.interval_decimals) for end in _ends(result)] if result.interval else []
    return [" to ".join(ends)] if ends else []
