"""What an import collected and what an adjudication settled: as text, as JSON, as Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dataset_builder.curation.adjudication import Adjudication, AdjudicationOptions, counted
from dataset_builder.curation.collecting import Collected
from dataset_builder.curation.facets import Facets, choice_named
from rocov2_eval import __version__
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_SHOWN_CHANGES = 10
_NONE_COUNTS = "none counts, for want of times"

Document = Mapping[str, Any]


def collected_document(collected: Collected, files: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what was collected, for JSON.

    Args:
        collected: What the files say.
        files: Path and format of each.
    """
    raters: dict[str, Counter[str]] = {}
    for each in collected.annotations:
        raters.setdefault(each.rater, Counter())[each.facet] += 1
    return {
        **_head(),
        "files": [{"path": path, "format": name} for path, name in files],
        "answers": len(collected.annotations),
        "images": len({each.image for each in collected.annotations}),
        "raters": {rater: dict(raters[rater]) for rater in sorted(raters)},
        "repeated": collected.repeated,
        "left_out": dict(collected.left_out),
        "warnings": list(collected.warnings),
        "changes": [
            {
                **{key: value for key, value in asdict(change).items() if key != "answers"},
                "answers": [{"time": time, "cui": cui} for time, cui in change.answers],
            }
            for change in collected.changes
        ],
    }


def collected_text(document: Document, facets: Facets) -> str:
    """Return what was collected for a terminal, with the first answers that a rater changed."""
    lines = [f"{each['path']}: {each['format']}" for each in document["files"]]
    lines += [f"warning: {warning}" for warning in document["warnings"]]
    lines += ["", f"{document['answers']:,} answers about {document['images']:,} images"]
    lines += [f"  {shorten(rater, 40)}: {_listed(told)}" for rater, told in document["raters"].items()]
    if document["repeated"]:
        lines.append(f"  {document['repeated']:,} stood more than once and count once")
    if document["left_out"]:
        lines += ["", "left out:", *(f"  {reason}: {n:,}" for reason, n in document["left_out"].items())]
    if document["changes"]:
        lines += ["", f"{len(document['changes']):,} questions that a rater answered in different ways:"]
        lines += [f"  {_change(each, facets)}" for each in document["changes"][:_SHOWN_CHANGES]]
        if len(document["changes"]) > _SHOWN_CHANGES:
            lines.append(f"  … and {len(document['changes']) - _SHOWN_CHANGES:,} more; --report json has all")
    return "\n".join(lines) + "\n"


def collected_markdown(document: Document, facets: Facets) -> str:
    """Return what was collected as Markdown: a table of raters and facets, then the rest."""
    lines = [
        f"**{document['answers']:,} answers about {document['images']:,} images**",
        "",
        f"| rater | {' | '.join(facets)} |",
        f"|---|{'---|' * len(facets)}",
    ]
    for rater, told in document["raters"].items():
        cells = " | ".join(f"{told.get(facet, 0):,}" for facet in facets)
        lines.append(f"| {_cell(shorten(rater, 40))} | {cells} |")
    if document["warnings"]:
        lines += ["", *(f"- Warning: {_cell(warning)}" for warning in document["warnings"])]
    if document["left_out"]:
        lines += ["", "| left out | number |", "|---|---|"]
        lines += [f"| {reason} | {n:,} |" for reason, n in document["left_out"].items()]
    if document["changes"]:
        lines += ["", "| answered in different ways |", "|---|"]
        lines += [f"| {_cell(_change(each, facets))} |" for each in document["changes"]]
    return "\n".join(lines) + "\n"


def adjudication_document(adjudication: Adjudication, options: AdjudicationOptions) -> dict[str, Any]:
    """Return what was settled, for JSON."""
    return {
        **_head(),
        "options": asdict(options),
        "images": len(
            {each.image for each in adjudication.settled} | {each.image for each in adjudication.open}
        ),
        "settled": dict(Counter(each.facet for each in adjudication.settled)),
        "open": [
            {"facet": facet, "reason": reason, "count": n}
            for (facet, reason), n in counted(adjudication.open).items()
        ],
        "pointless": adjudication.pointless,
    }


def adjudication_text(document: Document, facets: Facets) -> str:
    """Return what was settled for a terminal."""
    lines = [f"{document['images']:,} images, policy {_policy(document)}", ""]
    for facet in facets:
        waiting = sum(each["count"] for each in document["open"] if each["facet"] == facet)
        lines.append(f"{facet}: {document['settled'].get(facet, 0):,} settled, {waiting:,} open")
        lines += [
            f"  {each['reason']}: {each['count']:,}" for each in document["open"] if each["facet"] == facet
        ]
    if document["pointless"]:
        lines += [
            "",
            f"{document['pointless']:,} questions about X-rays, answered none or unsure of others: left out",
        ]
    return "\n".join(lines) + "\n"


def adjudication_markdown(document: Document, facets: Facets) -> str:
    """Return what was settled as Markdown."""
    lines = [f"**{document['images']:,} images, policy {_cell(_policy(document))}**", ""]
    lines += ["| facet | settled | open | of these |", "|---|---|---|---|"]
    for facet in facets:
        mine = [each for each in document["open"] if each["facet"] == facet]
        reasons = ", ".join(f"{each['reason']} {each['count']:,}" for each in mine)
        waiting = sum(each["count"] for each in mine)
        lines.append(f"| {facet} | {document['settled'].get(facet, 0):,} | {waiting:,} | {_cell(reasons)} |")
    return "\n".join(lines) + "\n"


def as_json(document: Document, facets: Facets) -> str:
    """Return a document as JSON; it has everything."""
    del facets
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


COLLECTED: Mapping[str, Callable[[Document, Facets], str]] = {
    "text": collected_text,
    "json": as_json,
    "markdown": collected_markdown,
}
ADJUDICATED: Mapping[str, Callable[[Document, Facets], str]] = {
    "text": adjudication_text,
    "json": as_json,
    "markdown": adjudication_markdown,
}


def _head() -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "tool": {"name": "rocov2-build", "version": __version__}}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _change(change: Mapping[str, Any], facets: Facets) -> str:
    """Return one change as a sentence, with labels for values."""

    def label(cui: str) -> str:
        choice = choice_named(facets[change["facet"]], cui) if change["facet"] in facets else None
        return choice.label if choice else cui

    answers = ", then ".join(label(each["cui"]) for each in change["answers"])
    verdict = f"{label(change['counts'])} counts" if change["counts"] else _NONE_COUNTS
    place = f"{shorten(change['image'])}, {change['facet']}, {shorten(change['rater'], 40)}"
    return f"{place}: {answers}; {verdict}"


def _policy(document: Document) -> str:
    options = document["options"]
    senior = f" {shorten(options['senior'], 40)}" if options["senior"] else ""
    least = f", at least {options['least']} raters" if options["least"] > 1 else ""
    return f"{options['policy']}{senior}{least}"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
