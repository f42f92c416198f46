"""One value as text: the only place that rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rocov2_eval.records import Interval
from rocov2_eval.rendering.document import Kind, Value

_SMALLEST_P = 0.0001


def is_number(kind: Kind) -> bool:
    """Tell whether values of a kind stand to the right of their column."""
    return kind not in {"text", "code"}


def value_text(value: Value, kind: Kind, decimals: int = 4) -> str:
    """Return a value as a table shows it; None is `-` in a column of scores, else empty.

    Args:
        value: Any value.
        kind: What its column holds.
        decimals: Decimals of a score or of the ends of an interval.
    """
    if value is None:
        return "-" if kind == "score" else ""
    if isinstance(value, Interval):
        end: Kind = "difference" if kind == "difference_interval" else "score"
        low, high = (value_text(number, end, decimals).strip() for number in (value.low, value.high))
        return f"[{low}, {high}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if kind == "score":
        return f"{value:.{decimals}f}"
    return _NUMBERS[kind](value) if kind in _NUMBERS else str(value)


def _difference(value: float) -> str:
    text = f"{value:+.4f}"
    return " 0.0000" if text in {"+0.0000", "-0.0000"} else text


def _p(value: float) -> str:
    return f"<{_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.4f}"


_NUMBERS: Mapping[Kind, Callable[[float], str]] = {
    "difference": _difference,
    "p": _p,
    "count": lambda value: f"{value:,}",
    "percent": lambda value: f"{100 * value:.1f} %",
    "tiny": lambda value: f"{value:.1e}",
}
