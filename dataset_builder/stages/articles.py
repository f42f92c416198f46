"""Which articles may be used at all: what the source offers of each candidate."""

from __future__ import annotations

from collections.abc import Sequence

from dataset_builder.records import Entry, kept_and_drops
from dataset_builder.stages.stage import Candidate, Context, Result, Stage


def run(candidates: Sequence[Candidate], context: Context) -> Result:
    """Ask the source for every candidate."""
    source = context.open_source()
    outcomes = []
    for done, candidate in enumerate(candidates, start=1):
        outcomes.append(source.entry(candidate.pmcid))
        context.progress(done, len(candidates))
    kept, drops = kept_and_drops(outcomes)
    return Result(kept=kept, drops=drops)


STAGE = Stage(
    name="articles",
    revision=2,
    title="articles with full text",
    own_title="groups of the table",
    tables=("source",),
    takes=Candidate,
    gives=Entry,
    run=run,
)
