"""The declaration of a metric: what it is called, needs, returns and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from rocov2_eval.records import SampleScores, Task


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of every metric's options: each field can move a number, so each reaches the signature."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of `metrics.METRICS`.

    Attributes:
        name: Key of the table.
        outputs: Names under which the scores appear in `result.json`, the main one first.
        score: `score(candidates, references, options, resource=None)`, pure: `ConceptSets` for concepts,
            sequences of captions otherwise, both in truth order and of equal length (ValueError if not);
            returns one `SampleScores` for each of `outputs`.
        options: The frozen dataclass of its options.
        revision: Raised whenever a number changes.
        bounds: Smallest and largest possible score.
        identity: Score of a non-empty candidate equal to its reference, None where it depends on the data.
        needs: The task it scores.
        load: Opens the model, a context manager whose value is passed as `resource`; None if there is none.
        identify: `identify(options, resource)` returns the options with the identity of what was loaded, as
            the signature shows them; goes with `load`.
        source: Paper or upstream code that defines it.
    """

    name: str
    outputs: tuple[str, ...]
    score: Callable[..., Mapping[str, SampleScores]]
    options: type[Options]
    revision: int
    bounds: tuple[float, float]
    identity: float | None
    needs: Task
    source: str
    load: Callable[..., AbstractContextManager[Any]] | None = None
    identify: Callable[..., Options] | None = None
