"""Turn the outcome of an audit into text: for a terminal, as JSON, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dataset_builder.audit.intervals import Estimate
from dataset_builder.audit.missed_concepts import Gap
from dataset_builder.audit.scoring import AuditReport, RaterScore, TypeScore
from dataset_builder.concepts.semantic_types import type_name
from rocov2_eval import __version__
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
DEFINITIONS: Mapping[str, str] = {
    "precision": "automatic concepts that the image shows, among automatic concepts",
    "false_positive_rate": "automatic concepts that the image does not show, among automatic concepts",
    "false_negative_rate": "concepts that the image shows and the dataset lacks, among all that it shows",
    "images_missing": "images that lack at least one concept that they show, among images",
    "false_alarms": "decoys that a rater takes for shown, among the decoys that the rater judged",
    "interval": "95 %, Wilson at the effective sample size of the stratified sample; of the false negative "
    "rate from the limits of both its parts (method of variance estimates recovery)",
}
_COLUMNS = ("type", "automatic", "drawn", "precision", "false positives", "false negatives", "images missing")


def audit_document(report: AuditReport) -> dict[str, Any]:
    """Return the outcome for JSON, nothing rounded."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "definitions": dict(DEFINITIONS),
        "overall": _score(report.overall),
        "types": [_score(score) for score in report.types],
        "raters": [_rater(rater) for rater in report.raters],
        "most_false_alarms": report.limit,
        "left_out": list(report.left_out),
        "agreement": {
            part: {"pairs": agreement.judged, **_value(agreement)}
            for part, agreement in report.agreement.items()
        },
        "questions": report.questions,
        "open": dict(report.open),
        "uncovered": dict(report.uncovered),
        "uncovered_images": dict(report.uncovered_images),
        "superseded": report.superseded,
        "undecided": report.undecided,
    }


def audit_json(report: AuditReport) -> str:
    """Return the document as text."""
    return json.dumps(audit_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def audit_text(report: AuditReport) -> str:
    """Return the outcome for a terminal."""
    rows = [_COLUMNS, *map(_cells, (report.overall, *report.types))]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    lines = [_headline(report), ""]
    lines += ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", *_reasons(report)]
    lines += ["raters:", *(f"  {_rater_line(rater, report.limit)}" for rater in report.raters)]
    lines += ["", *_notes(report)]
    return "\n".join(lines) + "\n"


def audit_markdown(report: AuditReport) -> str:
    """Return the outcome as Markdown."""
    lines = [f"**{_headline(report)}**", "", *_table(_COLUMNS, map(_cells, (report.overall, *report.types)))]
    raters = [
        (
            *(_safe(rater.rater), f"{rater.answers:,}", f"{rater.unsure:,}"),
            *(f"{rater.false_alarms.judged:,}", _shown(rater.false_alarms), _flag(rater)),
        )
        for rater in report.raters
    ]
    lines += [
        "",
        *_table(("rater", "answers", "unsure", "decoys judged", "taken for shown", ""), raters),
        "",
    ]
    lines += [f"- {note}" for note in (*filter(None, _reasons(report)), *_notes(report))]
    return "\n".join(lines) + "\n"


REPORTERS: Mapping[str, Callable[[AuditReport], str]] = {
    "text": audit_text,
    "json": audit_json,
    "markdown": audit_markdown,
}


def _score(score: TypeScore) -> dict[str, Any]:
    return {
        "type": score.type,
        "name": type_name(score.type),
        "automatic": score.automatic,
        "drawn": score.drawn,
        "precision": _estimate(score.precision),
        "false_positive_rate": _estimate(score.false_positives),
        "false_negative_rate": _estimate(score.false_negatives),
        "images_missing": _estimate(score.images_missing),
        "false_negatives_without": [asdict(gap) for gap in score.gaps],
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "low": estimate.low,
        "high": estimate.high,
        "judged": estimate.judged,
        **_value(estimate),
        "why_no_interval": None if estimate.value is None else estimate.why or None,
    }


def _value(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "why_undefined": estimate.why if estimate.value is None else None,
    }


def _rater(rater: RaterScore) -> dict[str, Any]:
    return {
        "rater": rater.rater,
        "answers": rater.answers,
        "unsure": rater.unsure,
        "false_alarms": _estimate(rater.false_alarms),
        "is_flagged": rater.is_flagged,
    }


def _headline(report: AuditReport) -> str:
    judged = report.questions - sum(report.open.values())
    raters = f"{len(report.raters)} rater" + ("" if len(report.raters) == 1 else "s")
    return f"{judged:,} of {report.questions:,} questions judged, {raters}"


def _cells(score: TypeScore) -> tuple[str, ...]:
    name = type_name(score.type)
    return (
        *(f"{score.type} {name}".strip(), f"{score.automatic:,}", f"{score.drawn:,}"),
        *(_shown(score.precision), _shown(score.false_positives)),
        *(_shown(score.false_negatives), _shown(score.images_missing)),
    )


def _shown(estimate: Estimate) -> str:
    """Return a figure with its interval; the reason of none is told below the table."""
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _reasons(report: AuditReport) -> list[str]:
    """Return why figures or intervals are undefined, with the types that it is true of."""
    reasons: dict[str, list[str]] = {}
    for score in (report.overall, *report.types):
        for name, estimate in (
            ("precision and false positives", score.precision),
            ("false negatives", score.false_negatives),
            ("images missing", score.images_missing),
        ):
            if estimate.why:
                lacking = "undefined" if estimate.value is None else "without interval"
                reasons.setdefault(f"{name} {lacking}, {estimate.why}", []).append(score.type)
    lines = [f"{reason}: {', '.join(types)}" for reason, types in reasons.items()]
    return [*lines, ""] if lines else []


def _rater_line(rater: RaterScore, limit: float) -> str:
    alarms = rater.false_alarms
    told = alarms.why or f"{_shown(alarms)} of {alarms.judged:,} decoys taken for shown"
    flag = f"; FLAGGED: more than {limit:g}" if rater.is_flagged else ""
    return f"{shorten(rater.rater)}: {rater.answers:,} answers, {rater.unsure:,} unsure; {told}{flag}"


def _flag(rater: RaterScore) -> str:
    return "flagged" if rater.is_flagged else ""


def _notes(report: AuditReport) -> list[str]:
    notes = [
        f"raters agree about {part} in {agreement.value:.3f} of {agreement.judged:,} pairs of answers"
        if agreement.value is not None
        else f"agreement about {part} undefined: {agreement.why}"
        for part, agreement in report.agreement.items()
    ]
    notes += [f"{number:,} questions not judged: {reason}" for reason, number in report.open.items()]
    if report.uncovered:
        listed = ", ".join(f"{tui} {number:,}" for tui, number in report.uncovered.items())
        notes.append(f"not covered, for nothing of their stratum was judged: automatic concepts of {listed}")
    if report.uncovered_images:
        listed = ", ".join(f"{name or 'all'} {n:,}" for name, n in report.uncovered_images.items())
        notes.append(f"not covered, for none of them was judged for missed concepts: images of {listed}")
    notes += _gap_notes(report.overall.gaps)
    if report.superseded:
        notes.append(
            f"{report.superseded:,} answers were replaced by a later one of the same rater, or stood twice"
        )
    if report.undecided:
        notes.append(
            f"{report.undecided:,} questions were answered in different ways by one rater, and no time tells "
            "which answer is the latest: none of them counts"
        )
    if report.left_out:
        notes.append(f"left out: all answers of {', '.join(map(shorten, report.left_out))}")
    notes += [f"{name.replace('_', ' ')}: {text}" for name, text in DEFINITIONS.items()]
    return notes


def _gap_notes(gaps: Sequence[Gap]) -> list[str]:
    """Return what the false negatives do not cover, the types of a modality together."""
    grouped: dict[tuple[str, str, int | None], list[Gap]] = {}
    for gap in gaps:
        grouped.setdefault((gap.modality, gap.why, gap.images), []).append(gap)
    notes = []
    for (modality, why, images), found in grouped.items():
        of = f" of {modality}" if modality else ""
        size = "" if images is None else f" and {images:,} images"
        automatic = sum(gap.automatic for gap in found)
        listed = ", ".join(gap.type for gap in found)
        notes.append(
            f"false negatives do not cover {listed}{of} ({automatic:,} automatic concepts{size}): {why}"
        )
    return notes


def _table(header: Sequence[str], rows: Any) -> list[str]:  # noqa: ANN401  any iterable of cells
    return [
        f"| {' | '.join(header)} |",
        "|" + "---|" * len(header),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _safe(text: str) -> str:
    return shorten(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
