"""Probabilities into sets of concepts: a rule, fitted on the validation split, and what every rule is worth.

Every rule answers the most probable labels of an image; rules differ in how many. So labels are ranked once,
F1 is looked up in a curve over the number of labels, and fitting is a search over numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

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
    "Choice",
    "Decision",
    "Gain",
    "Probabilities",
    "RuleName",
    "choose",
    "concept_cells",
    "decide",
    "fit",
    "halves",
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
        decision: The rule, fitted on the whole validation split.
        valid: F1 on the validation split, each half decided by what the other half taught, see `halves`.
        gain: How much `valid` lies above that of probabilities cut at 0.5.
    """

    decision: Decision
    valid: float
    gain: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The decision of a run.

    Attributes:
        decision: The rule, fitted on the whole validation split.
        gains: For each rule, what it is worth on the validation split.
        scores: F1 on the validation split: `f1` of the rule and `f1_at_half` of 0.5, each half decided by
            what the other half taught; `f1_gain`, their difference; `concept_f1`, what the scorer gives the
            decision, which has seen the split.
    """

    decision: Decision
    gains: tuple[Gain, ...]
    scores: Mapping[str, float]


def fit(
    probabilities: Probabilities,
    truth: BoolArray,
    rule: RuleName = DEFAULT_RULE,
    outside: IntArray | None = None,
) -> Decision:
    """Fit the parameters of a rule to the largest sample-averaged F1 on a validation split.

    Args:
        probabilities: Probability of each label, shape (n, labels).
        truth: Which image has which label, shape (n, labels).
        rule: Key of `RULES`.
        outside: Number of concepts of each image that are no label, shape (n,); they count as missed.

    Raises:
        ValueError: Shapes differ.
        RejectedInput: There is no image, or a probability is not a number from 0 to 1.
    """
    return _fitted(rank(probabilities), refer(truth, outside), rule)


def decide(probabilities: Probabilities, decision: Decision) -> list[tuple[int, ...]]:
    """Return the labels of each image, the most probable first, at most `MOST`.

    Args:
        probabilities: Probability of each label, shape (n, labels).
        decision: A rule with its parameters, from `fit`.

    Raises:
        RejectedInput: A probability is not a number from 0 to 1.
    """
    ranked = rank(probabilities)
    counts = RULES[decision.rule].counts(ranked, decision.parameters)
    return [tuple(row[:count]) for row, count in zip(ranked.order.tolist(), counts.tolist(), strict=True)]


def halves(articles: IntArray) -> BoolArray:
    """Return which images belong to the first half: an article is never divided, for its figures are alike.

    In the order of the images each article goes to the half that has fewer of them. Images of one single
    article are dealt in turn, since there is no other way to have two halves.

    Args:
        articles: Number of the article of each image, shape (n,).
    """
    _, first, place, sizes = np.unique(articles, return_index=True, return_inverse=True, return_counts=True)
    if len(sizes) == 1:
        place, sizes, first = (np.arange(len(articles)),) * 3
        sizes = np.ones_like(place)
    belongs = np.zeros(len(sizes), np.bool_)
    balance = 0  # images of the first half minus those of the second
    for article in np.argsort(first).tolist():
        belongs[article] = balance <= 0
        balance += int(sizes[article]) if belongs[article] else -int(sizes[article])
    chosen: BoolArray = belongs[place]
    return chosen


def table(
    probabilities: Probabilities,
    truth: BoolArray,
    *,
    outside: IntArray | None = None,
    articles: IntArray | None = None,
) -> tuple[Gain, ...]:
    """Return what each rule is worth.

    Args:
        probabilities: Probabilities of the validation split, shape (n, labels).
        truth: Which image has which label, shape (n, labels).
        outside: Number of concepts of each image that are no label, shape (n,); None for none.
        articles: Number of the article of each image, shape (n,); None where each is one of its own.

    Raises:
        ValueError: Shapes differ.
        RejectedInput: There are fewer than two images, or a probability is not a number from 0 to 1.
    """
    if len(truth) < 2:  # noqa: PLR2004  one half teaches, the other is decided
        raise RejectedInput(
            f"{len(truth)} validation images, expected 2 or more: the rules are fitted on them"
        )
    ranked, reference = rank(probabilities), refer(truth, outside)
    half = halves(np.arange(len(truth)) if articles is None else articles)
    fixed = _worth("fixed", ranked, reference, half)
    rows = []
    for rule in get_args(RuleName):
        valid = _worth(rule, ranked, reference, half)
        rows.append(Gain(decision=_fitted(ranked, reference, rule), valid=valid, gain=valid - fixed))
    return tuple(rows)


def choose(
    probabilities: Probabilities,
    truth: BoolArray,
    rule: RuleName,
    outside: IntArray | None = None,
    articles: IntArray | None = None,
) -> Choice:
    """Return the decision by a rule, and what it and every other is worth; arguments as of `fit`, `table`."""
    gains = table(probabilities, truth, outside=outside, articles=articles)
    of_rule = {gain.decision.rule: gain for gain in gains}
    gain = of_rule[rule]
    final = sample_f1(decide(probabilities, gain.decision), truth, outside)
    scores = {
        "f1": gain.valid,
        "f1_at_half": of_rule["fixed"].valid,
        "f1_gain": gain.gain,
        "concept_f1": float(final.mean()),
    }
    return Choice(decision=gain.decision, gains=gains, scores=scores)


def sample_f1(
    chosen: Sequence[Sequence[int]], truth: BoolArray, outside: IntArray | None = None
) -> FloatArray:
    """Return the F1 of each image as `rocov2_eval.metrics.concept_f1` gives it, shape (n,).

    An image without concepts is the set of the empty string there: answered by an empty cell it scores 1.

    Args:
        chosen: Labels of each image, as places in the label order.
        truth: Which image has which label, shape (n, labels).
        outside: Number of concepts of each image that are no label, shape (n,); None for none.
    """
    shared = [int(row[list(labels)].sum()) for row, labels in zip(truth, chosen, strict=True)]
    counts = [len(labels) for labels in chosen]
    return f1(np.array(shared, np.int64), np.array(counts, np.int64), refer(truth, outside).sizes)


def concept_cells(chosen: Sequence[Sequence[int]], labels: Sequence[str]) -> list[str]:
    """Return the cells of a run file, such as `C0040405;C0817096`."""
    return [";".join(labels[label] for label in image) for image in chosen]


def _fitted(ranked: Ranked, reference: Reference, rule: RuleName) -> Decision:
    if not len(ranked):
        raise RejectedInput("no validation image to fit the decision on")
    return Decision(rule=rule, parameters=RULES[rule].fit(ranked, reference))


def _worth(rule: RuleName, ranked: Ranked, reference: Reference, half: BoolArray) -> float:
    """Return the F1 of a rule, each half of the images decided by what the other half taught."""
    found = np.empty(len(ranked))
    for teaching, decided in ((half, ~half), (~half, half)):
        decision = _fitted(ranked.rows(teaching), reference.rows(teaching), rule)
        counts = RULES[rule].counts(ranked.rows(decided), decision.parameters)
        found[decided] = f1_at(f1_curve(ranked.rows(decided), reference.rows(decided)), counts)
    return float(found.mean())
