"""Probabilities into sets of concepts: a rule, fitted on the validation split, and what every rule is worth.

Every rule answers the most probable labels of an image; rules differ in how many. So labels are ranked once,
F1 is looked up in a curve over the number of labels, and fitting is a search over numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from baselines.decisions.ensembling import ensemble
from baselines.decisions.ranked import (
    MOST,
    Probabilities,
    Ranked,
    Reference,
    f1,
    f1_at,
    f1_curve,
    rank,
    refer,
)
from baselines.decisions.rules import RULES, Parameters, RuleName
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import BoolArray, FloatArray, IntArray

__all__ = [
    "DEFAULT_RULE",
    "MOST",
    "RULES",
    "Decision",
    "Gain",
    "Probabilities",
    "RuleName",
    "concept_cells",
    "decide",
    "decision_document",
    "ensemble",
    "fit",
    "read_decision",
    "sample_f1",
    "table",
]

DEFAULT_RULE: RuleName = "expected-f"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A rule with its parameters.

    Attributes:
        rule: Key of `RULES`.
        parameters: `threshold` of the three rules that cut there, `k` of `top-k`, `temperature` and `bias` of
            the expected-F rules.
    """

    rule: RuleName
    parameters: Parameters

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UsageFault(f"rule: {self.rule!r}, expected {', '.join(RULES)}")
        wanted = RULES[self.rule].parameters
        if set(self.parameters) != set(wanted):
            found = ", ".join(self.parameters) or "nothing"
            raise UsageFault(f"parameters of {self.rule}: {found}, expected {', '.join(wanted)}")
        for name, value in self.parameters.items():
            if not math.isfinite(value):
                raise UsageFault(f"{name} of {self.rule}: {value}, expected a number")


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What a rule is worth.

    Attributes:
        decision: Fitted on the whole validation split.
        valid: F1 on the validation split, each half decided by what the other half taught.
        test: F1 on the test split, None where there is none.
        gain: Over probabilities cut at 0.5: on the test split, else on the validation split.
    """

    decision: Decision
    valid: float
    test: float | None
    gain: float


def fit(
    probabilities: Probabilities,
    truth: BoolArray,
    rule: RuleName = DEFAULT_RULE,
    outside: IntArray | None = None,
) -> Decision:
    """Fit the parameters of a rule to the largest sample-averaged F1 on a validation split.

    Args:
        probabilities: Shape (n, labels).
        truth: Shape (n, labels).
        rule: Key of `RULES`.
        outside: Shape (n,): concepts of each image that are no label; they count as missed.

    Raises:
        ValueError: Shapes differ.
        RejectedInput: There is no image, or a probability is not a number from 0 to 1.
    """
    return _fitted(rank(probabilities), refer(truth, outside), rule)


def decide(probabilities: Probabilities, decision: Decision) -> list[tuple[int, ...]]:
    """Return the labels of each image, the most probable first, at most `MOST`.

    Args:
        probabilities: Shape (n, labels).
        decision: Made by `fit`.

    Raises:
        RejectedInput: A probability is not a number from 0 to 1.
    """
    ranked = rank(probabilities)
    counts = RULES[decision.rule].counts(ranked, decision.parameters)
    return [tuple(row[:count]) for row, count in zip(ranked.order.tolist(), counts.tolist(), strict=True)]


def table(
    probabilities: Probabilities,
    truth: BoolArray,
    *,
    outside: IntArray | None = None,
    test: tuple[Probabilities, BoolArray, IntArray | None] | None = None,
    rules: Sequence[RuleName] = get_args(RuleName),
) -> tuple[Gain, ...]:
    """Return what each rule is worth; nothing is ever fitted on the test split.

    Args:
        probabilities: Of the validation split, shape (n, labels).
        truth: Shape (n, labels).
        outside: As in `fit`.
        test: Probabilities, truth and outside of the test split.
        rules: In the order of the rows.

    Raises:
        ValueError: Shapes differ.
        RejectedInput: There are fewer than two images, or a probability is not a number from 0 to 1.
    """
    if len(truth) < 2:  # noqa: PLR2004  one half teaches, the other is decided
        raise RejectedInput(
            f"{len(truth)} validation images, expected 2 or more: the rules are fitted on them"
        )
    valid = rank(probabilities), refer(truth, outside)
    tested = (rank(test[0]), refer(test[1], test[2])) if test is not None else None
    fixed_valid, fixed_test = _worth(_fitted(*valid, "fixed"), valid, tested)
    rows = []
    for rule in rules:
        decision = _fitted(*valid, rule)
        own, other = _worth(decision, valid, tested)
        gain = own - fixed_valid if other is None or fixed_test is None else other - fixed_test
        rows.append(Gain(decision=decision, valid=own, test=other, gain=gain))
    return tuple(rows)


def sample_f1(
    chosen: Sequence[Sequence[int]], truth: BoolArray, outside: IntArray | None = None
) -> FloatArray:
    """Return the F1 of each image as `rocov2_eval.metrics.concept_f1` gives it, shape (n,).

    An image without concepts is the set of the empty string there: answered by an empty cell it scores 1.

    Args:
        chosen: Labels of each image.
        truth: Shape (n, labels).
        outside: As in `fit`.
    """
    shared = [int(row[list(labels)].sum()) for row, labels in zip(truth, chosen, strict=True)]
    counts = [len(labels) for labels in chosen]
    return f1(np.array(shared, np.int64), np.array(counts, np.int64), refer(truth, outside).sizes)


def concept_cells(chosen: Sequence[Sequence[int]], labels: Sequence[str]) -> list[str]:
    """Return the cells of a run file, such as `C0040405;C0817096`."""
    return [";".join(labels[label] for label in image) for image in chosen]


def decision_document(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON holds it."""
    return {"rule": decision.rule, "parameters": dict(decision.parameters)}


def read_decision(document: object, where: str) -> Decision:
    """Return the decision of a JSON document.

    Args:
        document: Made by `decision_document`.
        where: Its place for messages, such as a path.

    Raises:
        RejectedInput: It is no decision.
    """
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        raise RejectedInput(f"{where}: expected an object with rule and parameters")
    try:
        parameters = {str(name): float(value) for name, value in document["parameters"].items()}
        return Decision(rule=document.get("rule", ""), parameters=parameters)
    except (TypeError, ValueError, UsageFault) as error:
        raise RejectedInput(f"{where}: {error}") from None


def _fitted(ranked: Ranked, reference: Reference, rule: RuleName) -> Decision:
    if not len(ranked):
        raise RejectedInput("no validation image to fit the decision on")
    return Decision(rule=rule, parameters=RULES[rule].fit(ranked, reference))


def _worth(
    decision: Decision, valid: tuple[Ranked, Reference], tested: tuple[Ranked, Reference] | None
) -> tuple[float, float | None]:
    """Return the F1 of a rule on the validation split by halves, and of its decision on the test split."""
    ranked, reference = valid
    own = np.empty(len(ranked))
    halves = slice(0, None, 2), slice(1, None, 2)
    for teaching, decided in (halves, halves[::-1]):
        half = _fitted(ranked.rows(teaching), reference.rows(teaching), decision.rule)
        own[decided] = _scores(half, ranked.rows(decided), reference.rows(decided))
    return float(own.mean()), None if tested is None else float(_scores(decision, *tested).mean())


def _scores(decision: Decision, ranked: Ranked, reference: Reference) -> FloatArray:
    return f1_at(f1_curve(ranked, reference), RULES[decision.rule].counts(ranked, decision.parameters))
