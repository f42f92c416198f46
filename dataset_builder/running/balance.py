"""Hold every stage to it: whatever goes in comes out or is dropped, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dataset_builder.records import Drop, Figure
from dataset_builder.running.manifest import Tally
from dataset_builder.stages.stage import Result, Stage


def tallies(stage: Stage, records: Sequence[Any], result: Result) -> tuple[Tally, ...]:
    """Count what a stage did.

    Raises:
        AssertionError: It lost something or made something up, which is a bug of the stage.
    """
    if stage.takes is stage.gives or stage.gives is not Figure:
        taken = Counter(record.key for record in records)
        out = Counter(record.key for record in result.kept) + Counter(drop.key for drop in result.drops)
        _require_balance(stage, taken, out)
        unit = "figures" if stage.gives is Figure else "articles"
        return (_tally(unit, len(result.kept), result.drops),)
    whole = [drop for drop in result.drops if "/" not in drop.key]
    parts = [drop for drop in result.drops if "/" in drop.key]
    opened = {figure.pmcid for figure in result.kept} | {drop.key.partition("/")[0] for drop in parts}
    _require_balance(
        stage,
        Counter(record.key for record in records),
        Counter(opened) + Counter(drop.key for drop in whole),
    )
    return _tally("articles", len(opened), whole), _tally("figures", len(result.kept), parts)


def _tally(unit: str, kept: int, drops: Sequence[Drop]) -> Tally:
    reasons = Counter(drop.reason for drop in drops)
    return Tally(unit=unit, taken=kept + len(drops), kept=kept, dropped=tuple(sorted(reasons.items())))


def _require_balance(stage: Stage, taken: Counter[str], out: Counter[str]) -> None:
    lost, invented = taken - out, out - taken
    if lost or invented:
        (key, *_) = [*lost, *invented]
        raise AssertionError(
            f"stage {stage.name}: {lost.total()} things went in and neither on nor out, "
            f"{invented.total()} came of nothing, such as {key}"
        )
