"""Turn a leak report into text: for a terminal, as JSON, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dataset_builder.leaks import Check, Leak, LeakReport
from rocov2_eval import __version__
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_SHOWN_IDS = 3
_ONE = {"articles": "article", "images": "picture", "captions": "caption"}


def leaks_document(report: LeakReport) -> dict[str, Any]:
    """Return a report with every leak, for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "dataset": report.dataset,
        "columns": dict(report.columns),
        "splits": dict(report.splits),
        "has_leaks": report.has_leaks,
        "checks": {
            check.kind: {
                "not_checked": check.not_checked,
                "unknown_splits": list(check.unknown_splits),
                "looked_at": check.looked_at,
                "without": check.without,
                "distinct": check.distinct,
                "in_several_splits": len(check.leaks),
                "between": [{"splits": list(pair), "count": n} for pair, n in check.between().items()],
                "leaks": [
                    {"key": leak.key, "images": {split: list(ids) for split, ids in leak.images.items()}}
                    for leak in check.leaks
                ],
            }
            for check in report.checks
        },
    }


def leaks_json(report: LeakReport, examples: int) -> str:
    """Return the document as text; it has every leak, however few examples are asked for."""
    del examples
    return json.dumps(leaks_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def leaks_text(report: LeakReport, examples: int) -> str:
    """Return a report for a terminal, with that many examples of each kind."""
    lines = [_headline(report)]
    if report.columns:
        lines.append("columns: " + ", ".join(f"{role} = {name}" for role, name in report.columns.items()))
    for check in report.checks:
        lines += ["", f"{check.kind}: {_sentence(check)}"]
        lines += [f"  {first} and {second}: {n:,}" for (first, second), n in check.between().items()]
        lines += [f"    {shorten(leak.key)}: {_places(leak)}" for leak in check.leaks[:examples]]
        if examples and len(check.leaks) > examples:
            lines.append(f"    … and {len(check.leaks) - examples:,} more; --format json has all")
    return "\n".join([*lines, "", _verdict(report)]) + "\n"


def leaks_markdown(report: LeakReport, examples: int) -> str:
    """Return a report as Markdown, with that many examples of each kind."""
    lines = [
        f"**{_cell(_headline(report))}**",
        "",
        "| | in several splits | of | images without |",
        "|---|---|---|---|",
    ]
    for check in report.checks:
        if check.not_checked:
            lines.append(f"| {check.kind} | not checked: {_cell(check.not_checked)} | | |")
        else:
            lines.append(f"| {check.kind} | {len(check.leaks):,} | {check.distinct:,} | {check.without:,} |")
    for check in report.checks:
        if check.leaks:
            lines += ["", f"| {_ONE[check.kind]} | where |", "|---|---|"]
            lines += [
                f"| {_cell(shorten(leak.key))} | {_cell(_places(leak))} |" for leak in check.leaks[:examples]
            ]
    return "\n".join([*lines, "", _verdict(report)]) + "\n"


REPORTERS: Mapping[str, Callable[[LeakReport, int], str]] = {
    "text": leaks_text,
    "json": leaks_json,
    "markdown": leaks_markdown,
}


def _headline(report: LeakReport) -> str:
    splits = ", ".join(f"{shorten(split, 30)} {n:,}" for split, n in report.splits.items())
    return f"{report.dataset}: {sum(report.splits.values()):,} images, {splits}"


def _sentence(check: Check) -> str:
    if check.not_checked:
        return f"not checked: {check.not_checked}"
    without = ""
    if check.without:
        noun = "image has" if check.without == 1 else "images have"
        readable = "readable picture" if check.kind == "images" else _ONE[check.kind]
        without = f"; {check.without:,} {noun} no {readable}"
        if check.unknown_splits:
            without += f", among them all of {_named(check.unknown_splits)}"
    return f"{len(check.leaks):,} of {check.distinct:,} are in several splits{without}"


def _places(leak: Leak) -> str:
    return "; ".join(f"{shorten(split, 30)}: {_ids(ids)}" for split, ids in leak.images.items())


def _ids(ids: tuple[str, ...]) -> str:
    shown = ", ".join(shorten(image_id, 40) for image_id in ids[:_SHOWN_IDS])
    return shown if len(ids) <= _SHOWN_IDS else f"{shown} and {len(ids) - _SHOWN_IDS:,} more"


def _verdict(report: LeakReport) -> str:
    unchecked = [check.kind for check in report.checks if check.not_checked]
    limits = [f"{' and '.join(unchecked)} not checked"] if unchecked else []
    limits += [
        f"{check.kind} of {_named(check.unknown_splits)} not known"
        for check in report.checks
        if check.unknown_splits and not check.not_checked
    ]
    verdict = "The splits leak into each other" if report.has_leaks else "No leaks found"
    return f"{verdict} ({'; '.join(limits)})." if limits else f"{verdict}."


def _named(splits: Sequence[str]) -> str:
    return " and ".join(shorten(split, 30) for split in splits)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
