"""Whether the tables about figures that build.toml names are about the figures of this build."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dataset_builder.earlier import read_earlier
from dataset_builder.figure_tables import TableMatch, match_table
from dataset_builder.record_lines import from_lines, to_lines
from dataset_builder.records import Figure
from dataset_builder.running.account import read_records, records_name
from dataset_builder.running.config import Build
from dataset_builder.running.plan import Past
from dataset_builder.stages import duplicates
from dataset_builder.stages.stage import Stage
from dataset_builder.store import Store


def match_tables(stage: Stage, past: Past, build: Build, store: Store) -> None:
    """Note how the tables of a stage that is about to run go with its figures.

    Raises:
        RejectedInput: A table has rows, and none of them names a figure that the stage takes.
    """
    figures = partial(_figures, past, store)
    tables = stage.figure_tables({name: build.tables[name] for name in stage.tables})
    matches = [match_table(name, table, figures()) for name, table in tables.items()]
    if build.earlier and stage is duplicates.STAGE:  # the first stage that asks for it
        earlier = read_earlier(build.earlier)
        name = f"[build] earlier = {build.earlier.name}"
        matches.append(match_table(name, earlier.images, figures(), articles=frozenset(earlier.splits)))
    if matches:
        store.write(_name(stage), to_lines(matches))
    else:
        store.remove(_name(stage))


def matches_of(stage: Stage, store: Store) -> list[TableMatch]:
    """Return how the tables of a stage went with its figures when it last ran."""
    name = _name(stage)
    return from_lines(store.read(name) or b"", TableMatch, name)


def _name(stage: Stage) -> str:
    return f"tables/{stage.name}.jsonl"


def _figures(past: Past, store: Store) -> Iterator[Figure]:
    for shard in past.records:
        yield from read_records(store, records_name(past.stage, shard), Figure)
