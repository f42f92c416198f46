"""Turn what was found in captions, and what a model pack holds, into text, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from dataset_builder.concepts.concept_names import Nameless
from dataset_builder.concepts.extraction import REASONS, ExtractionSummary
from dataset_builder.concepts.model_pack import DESCRIPTION, PackSummary
from rocov2_eval import __version__
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_MOST_SHOWN = 20
_MOST_EXAMPLES = 5

Reporter = Callable[[ExtractionSummary, str], str]


def extraction_document(summary: ExtractionSummary, identity: str) -> dict[str, Any]:
    """Return the counts of an extraction, with every concept and every removed type, for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "model_pack": identity,
        "captions": summary.captions,
        "covered": summary.covered,
        "mentions": summary.mentions,
        "untyped": summary.untyped,
        "concepts": [{"cui": cui, "name": name, "captions": n} for (cui, name), n in _most(summary.concepts)],
        "removed": {reason: summary.reasons.get(reason, 0) for reason in REASONS},
        "removed_types": [
            {**asdict(line), "examples": [{"name": name, "mentions": n} for name, n in line.examples]}
            for line in summary.removed_types
        ],
    }


def extraction_json(summary: ExtractionSummary, identity: str) -> str:
    """Return the document as text."""
    document = extraction_document(summary, identity)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def extraction_text(summary: ExtractionSummary, identity: str) -> str:
    """Return the counts for a terminal."""
    lines = [_headline(summary, identity), _sentence(summary), ""]
    lines += [
        f"  {n:>8,}  {cui}  {shorten(name)}" for (cui, name), n in _most(summary.concepts)[:_MOST_SHOWN]
    ]
    if summary.concepts:
        lines += [f"  {'':>8}  {_rest(len(summary.concepts))}", ""]
    lines.append("removed mentions:")
    lines += [f"  {summary.reasons.get(reason, 0):>8,}  {words}" for reason, words in REASONS.items()]
    if summary.by_type:
        lines += ["", "left out by semantic type:", f"  {'mentions':>8}  {'concepts':>8}"]
    for line in summary.removed_types:
        examples = ", ".join(f"{shorten(name, 30)} {n:,}" for name, n in line.examples)
        lines.append(f"  {line.mentions:>8,}  {line.concepts:>8,}  {line.tui} {line.name}: {examples}")
    if summary.untyped:
        lines += ["", f"{summary.untyped:,} kept mentions have no semantic type in this model pack."]
    return "\n".join(lines) + "\n"


def extraction_markdown(summary: ExtractionSummary, identity: str) -> str:
    """Return the counts as Markdown."""
    lines = [f"**{_cell(_headline(summary, identity))}**", "", _sentence(summary), ""]
    lines += ["| CUI | concept | captions |", "|---|---|---|"]
    lines += [
        f"| {cui} | {_cell(shorten(name))} | {n:,} |"
        for (cui, name), n in _most(summary.concepts)[:_MOST_SHOWN]
    ]
    lines += ["", "| removed mentions | |", "|---|---|"]
    lines += [f"| {words} | {summary.reasons.get(reason, 0):,} |" for reason, words in REASONS.items()]
    if summary.by_type:
        lines += ["", "| left out: type | mentions | concepts | examples |", "|---|---|---|---|"]
    for line in summary.removed_types:
        examples = ", ".join(f"{_cell(shorten(name, 30))} {n:,}" for name, n in line.examples)
        lines.append(f"| {line.tui} {line.name} | {line.mentions:,} | {line.concepts:,} | {examples} |")
    return "\n".join(lines) + "\n"


REPORTERS: Mapping[str, Reporter] = {
    "text": extraction_text,
    "json": extraction_json,
    "markdown": extraction_markdown,
}


def pack_text(summary: PackSummary, identity: str) -> str:
    """Return what a model pack holds, for a terminal."""
    lines = [
        f"{identity}: {summary.concepts:,} concepts, {summary.names:,} names",
        f"  {summary.made:>8,}  names made: plurals, words without a hyphen",
        f"  {summary.yielded:>8,}  names left to another concept: it prefers them, or goes before",
        f"  {summary.unseen:>8,}  names left out: MedCAT would drop letters of them",
        f"  {len(summary.nameless):>8,}  concepts left without a name, so that they are not in the pack",
        *(f"  {'':>8}    {_nameless(each)}" for each in summary.nameless[:_MOST_EXAMPLES]),
        *_more_nameless(len(summary.nameless)),
        f"  {summary.untyped:>8,}  concepts without a semantic type",
        f"  {summary.trained_on:>8,}  captions trained on",
    ]
    return "\n".join(lines) + "\n"


def _nameless(concept: Nameless) -> str:
    reason = f"went to {concept.holder}" if concept.holder else "cannot be read by MedCAT"
    return f"{concept.cui}: {shorten(concept.name, 40)} {reason}"


def _more_nameless(n: int) -> list[str]:
    rest = n - _MOST_EXAMPLES
    return [f"  {'':>8}    … and {rest:,} more; {DESCRIPTION} in the pack has all"] if rest > 0 else []


def _headline(summary: ExtractionSummary, identity: str) -> str:
    share = summary.covered / summary.captions if summary.captions else 0.0
    return f"{identity}: {summary.captions:,} captions, {summary.covered:,} ({share:.1%}) with a concept"


def _sentence(summary: ExtractionSummary) -> str:
    return f"{summary.mentions:,} mentions of {len(summary.concepts):,} concepts"


def _rest(n: int) -> str:
    return (
        f"… and {n - _MOST_SHOWN:,} more; --format json has all" if n > _MOST_SHOWN else "captions, concept"
    )


def _most(concepts: Mapping[tuple[str, str], int]) -> list[tuple[tuple[str, str], int]]:
    return sorted(concepts.items(), key=lambda item: (-item[1], item[0]))


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
