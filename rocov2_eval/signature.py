"""Signatures: one line that names everything that can move a number.

`rouge|rev:1|norm:clef2023|both_empty:1.0|skip_id_rows:no|stem:no|v:0.1.0`: the metric, its revision, its
options in the order of their declaration, the version of this package last. Known before anything is scored.
"""

from __future__ import annotations

from dataclasses import fields

from rocov2_eval import __version__
from rocov2_eval.metric import Metric, Options


def signature(metric: Metric, options: Options) -> str:
    """Return the signature of a metric under options."""
    parts = [metric.name, f"rev:{metric.revision}"]
    parts += [f"{f.name}:{_spell(getattr(options, f.name))}" for f in fields(options)]
    return "|".join([*parts, f"v:{__version__}"])


def parse(text: str) -> dict[str, str]:
    """Return the parts of a signature by name, the metric under `metric`.

    Raises:
        ValueError: The text is not a signature.
    """
    name, *rest = text.split("|")
    pairs = [part.partition(":") for part in rest]
    if not name or not all(separator for _, separator, _ in pairs):
        raise ValueError(f"not a signature: {text!r}")
    return {"metric": name} | {key: value for key, _, value in pairs}


def comparable(first: str, second: str) -> bool:
    """Tell whether two scores may share a table: equal in all but the version of this package."""
    return parse(first) | {"v": ""} == parse(second) | {"v": ""}


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "+".join(_spell(item) for item in value) or "none"
    text = "none" if value is None else str(value)
    return text.replace("|", "/")
