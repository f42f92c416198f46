"""Probabilities of several models as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from baselines.decisions.calibration import logit, sigmoid
from baselines.decisions.ranked import Probabilities
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray


def ensemble(
    members: Sequence[Probabilities],
    labels: Sequence[Sequence[str]],
    method: Literal["mean", "logit-mean"] = "mean",
) -> FloatArray:
    """Return the mean of the probabilities of several models, or of their logits; shape (n, labels).

    Args:
        members: Probabilities of each model for the same images.
        labels: The label order of each.
        method: What the mean is taken of.

    Raises:
        UsageFault: There is no model, or label orders or shapes differ.
    """
    if not members or len(members) != len(labels):
        raise UsageFault(f"{len(members)} models and {len(labels)} label orders, expected one order a model")
    for number, (member, order) in enumerate(zip(members, labels, strict=True), start=1):
        _refuse_other_order(number, labels[0], order)
        wanted = (len(members[0]), len(order))
        if member.shape != wanted:
            raise UsageFault(f"model {number}: probabilities of shape {member.shape}, expected {wanted}")
    stacked = np.stack([np.asarray(member, np.float64) for member in members])
    mean: FloatArray = stacked.mean(axis=0) if method == "mean" else sigmoid(logit(stacked).mean(axis=0))
    return mean


def _refuse_other_order(number: int, first: Sequence[str], order: Sequence[str]) -> None:
    if len(first) != len(order):
        raise UsageFault(
            f"model {number} has {len(order):,} labels, the first {len(first):,}: an ensemble needs the same "
            "labels in all its models"
        )
    for place, (one, two) in enumerate(zip(first, order, strict=True)):
        if one != two:
            raise UsageFault(
                f"label {place} is {two} in model {number} and {one} in the first: orders differ"
            )
