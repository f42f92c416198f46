"""What a build holds so far: how far each stage is, what was left out, and which figures are still in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import msgspec

from dataset_builder.gates import WARNED, Gate
from dataset_builder.record_lines import from_lines
from dataset_builder.records import Drop, Figure, StageCount
from dataset_builder.running.account import (
    drops_name,
    joined_counts,
    read_records,
    records_name,
)
from dataset_builder.running.config import Build
from dataset_builder.running.plan import accounts_of, option_digests, read_plan, tasks_of
from dataset_builder.running.table_matches import matches_of
from dataset_builder.running.worker import source_of
from dataset_builder.stages import STAGES, radiology
from dataset_builder.stages.package import GATES
from dataset_builder.stages.stage import Stage
from dataset_builder.store import Store, open_store
from rocov2_eval.errors import RocoError
from rocov2_eval.rendering.document import Column, Document, Note, Section, Table
from rocov2_eval.shelf.words import counted

_MOST_WARNED = 20  # figures that are named


@dataclass(frozen=True, kw_only=True)
class StageState:
    """How far a stage is.

    Attributes:
        stage: The stage that the state is of.
        done: Names of the shards that would not be run again.
        shards: Number of shards in all; None where it is not known before the stage before is done.
        counts: What the stage took and dropped of the shards that are done.
    """

    stage: Stage
    done: tuple[str, ...] = ()
    shards: int | None = None
    counts: tuple[StageCount, ...] = ()


def state_of_build(build: Build) -> Iterator[StageState]:
    """Yield how far each stage is, without running anything or asking a service."""
    store = open_store(build.work)
    past = read_plan(store, partial(source_of, build, 1))
    for stage in STAGES:
        if past is None:
            yield StageState(stage=stage)
            continue
        options = _lenient_digests(stage, build)
        tasks = tasks_of(stage, past, build, options, store=store)
        accounts = accounts_of(tasks, store)
        yield StageState(
            stage=stage,
            done=tuple(accounts),
            shards=len(tasks),
            counts=joined_counts(accounts.values()),
        )
        past = past.after(stage, accounts, options) if len(accounts) == len(tasks) else None


def drops_of_build(build: Build) -> Iterator[Drop]:
    """Yield what the stages have left out so far, in their order; nothing of another configuration."""
    store = open_store(build.work)
    for state in state_of_build(build):
        for shard in state.done:
            yield from read_records(store, drops_name(state.stage.name, shard), Drop)


def figures_of_build(build: Build) -> Iterator[tuple[str, Figure]]:
    """Yield each figure that is still in, with the name of the last stage that it has passed."""
    store = open_store(build.work)
    seen: set[str] = set()
    for state in reversed(list(state_of_build(build))):
        if state.stage.gives is not Figure:
            return
        for shard in state.done:
            for figure in read_records(store, records_name(state.stage.name, shard), Figure):
                if figure.key not in seen:
                    seen |= {figure.key, figure.whole}
                    yield state.stage.name, figure


def radiology_figures(build: Build) -> list[Figure]:
    """Return the figures that are radiology images, whatever later stages made of them, in order of key."""
    store = open_store(build.work)
    state = next(state for state in state_of_build(build) if state.stage is radiology.STAGE)
    names = [records_name(state.stage.name, shard) for shard in state.done]
    figures = [figure for name in names for figure in read_records(store, name, Figure)]
    return sorted(figures, key=lambda figure: figure.key)


def status_document(build: Build) -> Document:
    """Return how far a build is, what each stage took and dropped and why, and what the gates said."""
    columns = (
        Column(title="stage"),
        Column(title="shards"),
        Column(title="in", kind="count"),
        Column(title="kept", kind="count"),
        Column(title="dropped", kind="count"),
        Column(title="unit or reason"),
    )
    states, gates = list(state_of_build(build)), _gates_of_build(build)
    notes = [
        Note(label=gate.outcome, text=f"{gate.name}: {gate.message}")
        for gate in gates
        if gate.outcome != "pass"
    ]
    store = open_store(build.work)
    notes += [
        Note(label="table", text=f"{match.name}: {match.words}")
        for state in states
        if state.done
        for match in matches_of(state.stage, store)
    ]
    if any(gate.name == WARNED for gate in gates):
        notes += _warned_notes(states, store)
    table = Table(columns=columns, rows=[row for state in states for row in _status_rows(state)])
    return Document(
        sections=[Section(tables=[table], notes=notes)],
        data={"stages": [_state_data(state) for state in states], "gates": msgspec.to_builtins(gates)},
        summary=f"{sum(len(state.done) == state.shards for state in states)} of {len(states)} stages done",
    )


def drops_document(key: str, drops: Sequence[Drop], figures: Sequence[tuple[str, Figure]] = ()) -> Document:
    """Return what was left out: for a key what became of it, else how many things for which reason.

    Rows and data have each thing that was left out, with the score that a filter gave it.

    Args:
        key: PMCID, or PMCID and file, as the user wrote it; empty for the whole build.
        drops: What was left out of it, in the order of the stages.
        figures: Figures that are still in, with the last stage that each has passed.
    """
    names = ("stage", "key", "reason", "detail", "score")
    rows = [[getattr(drop, name) for name in names] for drop in drops]
    return Document(
        title="" if key or drops else "nothing was dropped",
        sections=[_fate(key, drops, figures) if key else _reasons(drops)],
        data={
            "drops": [dict(zip(names, row, strict=True)) for row in rows],
            "kept": [{"key": figure.key, "stage": stage} for stage, figure in figures],
        },
        summary=counted(len(drops), "drop"),
        rows=Table(columns=[Column(title=name) for name in names], rows=rows),
    )


def _reasons(drops: Sequence[Drop]) -> Section:
    """Return how many things were left out, by stage and reason, in the order of the stages."""
    counts = Counter((drop.stage, drop.reason) for drop in drops)
    columns = (Column(title="dropped", kind="count"), Column(title="stage"), Column(title="reason"))
    rows = [(number, stage, reason) for (stage, reason), number in counts.items()]
    return Section(tables=[Table(columns=columns, rows=rows)] if rows else [])


def _fate(key: str, drops: Sequence[Drop], figures: Sequence[tuple[str, Figure]]) -> Section:
    """Return what became of an article or a figure."""
    notes = [
        *(_drop_note(drop) for drop in drops),
        *(_figure_note(stage, figure) for stage, figure in figures),
    ]
    return Section(notes=notes or [Note(text=f"{key}: not found in this build")])


def _lenient_digests(stage: Stage, build: Build) -> dict[str, str]:
    """Return the digests of options; a stage whose options cannot work is one that is not done."""
    try:
        return option_digests(stage, build)
    except RocoError as error:
        return {"cannot work": str(error)}


def _gates_of_build(build: Build) -> list[Gate]:
    """Return what the quality gates came to when the dataset was last written."""
    content = open_store(build.work).read(GATES) or b""
    return from_lines(content, Gate, f"{build.work}/{GATES}")


def _warned_notes(states: Sequence[StageState], store: Store) -> Iterator[Note]:
    """Yield the first figures of the dataset whose file warns of something."""
    last = states[-1]
    names = [records_name(last.stage.name, shard) for shard in last.done]
    figures = (figure for name in names for figure in read_records(store, name, Figure))
    for figure in islice((figure for figure in figures if figure.warnings), _MOST_WARNED):
        place = f"{figure.assignment.split} {figure.assignment.image_id}"
        yield Note(label="check", text=f"{figure.key} ({place}): {', '.join(figure.warnings)}")


def _status_rows(state: StageState) -> Iterator[tuple[str | int | None, ...]]:
    shards = "not yet" if state.shards is None else f"{len(state.done):,}/{state.shards:,}"
    if not state.counts:
        yield state.stage.name, shards, None, None, None, None
    for count in state.counts:
        yield state.stage.name, shards, count.taken, count.kept, count.taken - count.kept, count.unit
        for reason, number in count.dropped:
            yield None, None, None, None, number, reason


def _state_data(state: StageState) -> dict[str, Any]:
    counts = [
        {
            "unit": count.unit,
            "taken": count.taken,
            "kept": count.kept,
            "dropped": dict(count.dropped),
        }
        for count in state.counts
    ]
    return {"name": state.stage.name, "done": len(state.done), "shards": state.shards, "counts": counts}


def _drop_note(drop: Drop) -> Note:
    score = "" if drop.score is None else f" (score {drop.score:.3f})"
    detail = f": {drop.detail}" if drop.detail else ""
    return Note(text=f"{drop.key}: dropped by {drop.stage}, {drop.reason}{detail}{score}")


def _figure_note(stage: str, figure: Figure) -> Note:
    there = figure.assignment
    place = f"in {there.split} as {there.image_id}" if there.image_id else f"has passed {stage}"
    return Note(text=f"{figure.key}: {place}")
