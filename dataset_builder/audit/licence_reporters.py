"""Turn a report of licences into text: for a terminal, as JSON, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from dataset_builder.audit.licences import Group, LicenceReport, Loss
from dataset_builder.gates import share_text
from rocov2_eval import __version__
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_PLURALS: Mapping[str, str] = {"modality": "modalities", "split": "splits"}
_COLUMNS = ("CC BY", "CC BY-NC", "other", "all", "lost without NC")


def licences_document(report: LicenceReport) -> dict[str, Any]:
    """Return a report for JSON, with every group and concept."""
    losses = {"images": report.images, "articles": report.articles, "concepts": report.concepts}
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "dataset": report.dataset,
        "licences": dict(report.licences),
        "by": {name: [asdict(group) for group in groups] for name, groups in report.tables.items()},
        "not_told": dict(report.absent),
        "without_nc": {
            **{
                name: None if loss is None else {**asdict(loss), "lost": loss.lost}
                for name, loss in losses.items()
            },
            "floor": report.floor,
            "images_with_concepts": report.with_concepts,
            "fallen_concepts": [asdict(concept) for concept in report.fallen],
            "gone": {name: list(names) for name, names in report.gone.items()},
        },
    }


def licences_json(report: LicenceReport, examples: int) -> str:
    """Return the document as text; it has everything, however few examples are asked for."""
    del examples
    return json.dumps(licences_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def licences_text(report: LicenceReport, examples: int) -> str:
    """Return a report for a terminal, with that many journals and concepts."""
    lines = [f"{report.dataset}: {report.images.before:,} images"]
    lines += [
        f"  {name}: {n:,} ({share_text(n / report.images.before)})" for name, n in report.licences.items()
    ]
    for name, groups in report.tables.items():
        rows = [(name, *_COLUMNS), *((shorten(group.name, 40), *_numbers(group)) for group in groups)]
        shown = rows[: 1 + examples] if name == "journal" else rows
        widths = [max(len(row[place]) for row in shown) for place in range(len(rows[0]))]
        lines += ["", *(_aligned(row, widths) for row in shown)]
        if len(shown) < len(rows):
            lines.append(f"… and {len(rows) - len(shown):,} more; --format json has all")
    lines += ["", "without licences that forbid commercial use:", *_losses(report, examples)]
    return "\n".join(lines) + "\n"


def licences_markdown(report: LicenceReport, examples: int) -> str:
    """Return a report as Markdown, with that many journals and concepts."""
    lines = [
        f"**{_cell(report.dataset)}: {report.images.before:,} images**",
        "",
        "| licence | images | share |",
    ]
    lines += ["|---|---|---|"]
    lines += [
        f"| {_cell(name)} | {n:,} | {share_text(n / report.images.before)} |"
        for name, n in report.licences.items()
    ]
    for name, groups in report.tables.items():
        shown = groups[:examples] if name == "journal" else groups
        lines += ["", f"| {name} | {' | '.join(_COLUMNS)} |", "|---" * (1 + len(_COLUMNS)) + "|"]
        lines += [f"| {_cell(shorten(each.name))} | {' | '.join(_numbers(each))} |" for each in shown]
    lines += ["", "Without licences that forbid commercial use:", ""]
    return "\n".join([*lines, *(f"- {_cell(line.strip())}" for line in _losses(report, examples))]) + "\n"


REPORTERS: Mapping[str, Callable[[LicenceReport, int], str]] = {
    "text": licences_text,
    "json": licences_json,
    "markdown": licences_markdown,
}


def _numbers(group: Group) -> tuple[str, ...]:
    lost = group.total - group.without_nc
    return (
        *(f"{number:,}" for number in (group.cc_by, group.cc_by_nc, group.other, group.total)),
        f"{lost:,} ({share_text(lost / group.total)})",
    )


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )


def _losses(report: LicenceReport, examples: int) -> Iterator[str]:
    yield _loss("images", report.images)
    if report.articles:
        yield _loss("articles", report.articles)
    if report.concepts:
        yield _loss(f"concepts of {report.floor} images or more", report.concepts) + _limits(report)
        for concept in report.fallen[:examples]:
            yield f"    {concept.cui} from {concept.before:,} to {concept.after:,} images"
        if examples and len(report.fallen) > examples:
            yield f"    … and {len(report.fallen) - examples:,} more; --format json has all"
    for name, names in report.gone.items():
        yield f"  {_PLURALS[name]} left without an image: {', '.join(map(shorten, names)) or 'none'}"
    for name, remedy in report.absent.items():
        yield f"  {name} not told: that needs {remedy}"


def _loss(name: str, loss: Loss) -> str:
    share = share_text(loss.lost / loss.before) if loss.before else "nothing"
    return f"  {name}: {loss.lost:,} of {loss.before:,} lost ({share})"


def _limits(report: LicenceReport) -> str:
    if report.with_concepts == report.images.before:
        return ""
    return f"; concepts are told of {report.with_concepts:,} images alone"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
