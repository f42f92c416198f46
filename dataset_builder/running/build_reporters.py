"""A build as text: how far it is, what was left out and why."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dataset_builder.records import Drop, Figure
from dataset_builder.running.runner import StageState

_DROP_HEADER = ("stage", "key", "reason", "detail", "score")


def status_text(states: Iterable[StageState]) -> str:
    """Return one line for each stage and unit, reasons below it."""
    lines = [f"{'stage':<12}{'shards':>12}{'in':>12}{'on':>12}{'dropped':>12}"]
    for state in states:
        name = state.stage.name
        shards = "not yet" if state.shards is None else f"{len(state.done):,}/{state.shards:,}"
        if not state.counts:
            lines.append(f"{name:<12}{shards:>12}")
        for count in state.counts:
            dropped = count.taken - count.kept
            lines.append(
                f"{name:<12}{shards:>12}{count.taken:>12,}{count.kept:>12,}{dropped:>12,}  {count.unit}"
            )
            lines += [f"{'':<48}{number:>12,}  {reason}" for reason, number in count.dropped]
    return "\n".join(lines) + "\n"


def gates_text(gates: Iterable[Mapping[str, Any]]) -> str:
    """Return one line for each quality gate that did not pass."""
    return "".join(
        f"{gate['outcome']}: {gate['name']}: {gate['message']}\n"
        for gate in gates
        if gate["outcome"] != "pass"
    )


def counts_text(drops: Iterable[Drop]) -> str:
    """Return how many things were left out, by stage and reason, in the order of the stages."""
    counts = Counter((drop.stage, drop.reason) for drop in drops)
    if not counts:
        return "nothing was left out\n"
    return "".join(f"{number:>10,}  {stage}: {reason}\n" for (stage, reason), number in counts.items())


def fate_text(key: str, drops: Sequence[Drop], kept: Sequence[tuple[str, Figure]]) -> str:
    """Return what became of an article or a figure.

    Args:
        key: What was asked for.
        drops: What of it was left out.
        kept: What of it is still in, with the last stage that it has passed.
    """
    lines = []
    for drop in drops:
        score = "" if drop.score is None else f" (score {drop.score:.3f})"
        detail = f": {drop.detail}" if drop.detail else ""
        lines.append(f"{drop.key}: left out by {drop.stage}, {drop.reason}{detail}{score}")
    for stage, figure in kept:
        there = figure.assignment
        place = f"in {there.split} as {there.image_id}" if there.image_id else f"has passed {stage}"
        lines.append(f"{figure.key}: {place}")
    return "\n".join(lines or [f"{key}: this build has not come across it"]) + "\n"


def drops_csv(drops: Iterable[Drop]) -> str:
    """Return one row for each thing that was left out."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_DROP_HEADER)
    for drop in drops:
        score = "" if drop.score is None else repr(drop.score)
        writer.writerow([drop.stage, drop.key, drop.reason, drop.detail, score])
    return buffer.getvalue()
