"""Concepts without training a network: by the nearest training pictures, a linear probe, or mere frequency.

All of them answer with probabilities, so that the same decisions apply to them as to a trained network.

folder/
  frozen.json       what sees the pictures, and which neighbours are asked
  best.safetensors  vectors of the training pictures and which has which label, or weights of the probe
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from baselines.concepts import DecisionOptions, Labelled, frequent_labels
from baselines.data.cache import PictureCache
from baselines.data.labels import label_matrix
from baselines.decisions import Choice, Decision, RuleName, choose, decide, fit, sample_f1
from baselines.decisions.files import read_decision, read_labels, save_decision
from baselines.documents import read_document, write_document
from baselines.frozen.features import FROZEN, NOTHING, FeatureOptions, Sight, reopened
from baselines.frozen.neighbours import Features, Neighbours, nearest, vote
from baselines.frozen.probe import Probe, fit_probe
from baselines.training import checkpoint
from baselines.training.loop import BEST
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.shelf.progress import Progress, silent

NUMBERS = (1, 3, 5, 9, 15, 25, 49)  # of neighbours
SHARPNESS = (0.0, 10.0, 30.0)
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)  # of the probe; of equal ones the strongest
_JUDGED = 2000  # validation pictures that are enough to choose among these


class AnswerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What answers for the vector of a picture.

    Attributes:
        by: The labels of its `neighbours`, or a linear `probe`.
    """

    by: Literal["neighbours", "probe"] = "neighbours"


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `frozen.json` holds; no neighbours where a probe answers."""

    features: FeatureOptions
    weights: str
    neighbours: Neighbours | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Voters:
    """Training pictures that vote for their labels.

    Attributes:
        known: Their vectors, shape (m, width).
        truth: Which of them has which label, shape (m, labels).
        neighbours: Which of them are asked.
    """

    known: Features
    truth: BoolArray
    neighbours: Neighbours

    def probabilities(self, vectors: Features, device: Any, progress: Progress = silent) -> FloatArray:  # noqa: ANN401
        """Return the share of the neighbours that have each label, shape (n, labels)."""
        rows, cosines = nearest(self.known, vectors, self.neighbours.k, device, progress)
        return vote(rows, cosines, self.truth, self.neighbours)


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenDetector:
    """What detects concepts by vectors of a network that stays as it is.

    Attributes:
        sight: What sees the pictures.
        answers: What answers for their vectors.
        labels: The label order.
        decision: The rule, fitted on the validation split.
    """

    sight: Sight
    answers: Voters | Probe
    labels: tuple[str, ...]
    decision: Decision

    def probabilities(self, pictures: PictureCache, device: Any, progress: Progress = silent) -> FloatArray:  # noqa: ANN401
        """Return the probability of each label, shape (n, labels)."""
        return self.answers.probabilities(self.sight.vectors(pictures, device, progress), device, progress)


def fit_frozen(
    sight: Sight,
    answering: AnswerOptions,
    deciding: DecisionOptions,
    train: Labelled,
    valid: Labelled,
    *,
    seed: int = 0,
    device: Any = "cpu",  # noqa: ANN401  torch is Any
    progress: Progress = silent,
) -> tuple[FrozenDetector, Choice]:
    """Return what answers for pictures; what it needs to be told is chosen by F1 on the validation split.

    Args:
        sight: What sees the pictures.
        answering: What answers for their vectors.
        deciding: Which concepts are labels, and how many of them an image gets.
        train: Pictures to answer with; broken ones are left out.
        valid: Pictures to choose by.
        seed: Of what is random.
        device: Where it is computed.
        progress: Called with the number of pictures, or of steps, done and of all.

    Raises:
        RejectedInput: There is no training picture, or no concept is frequent enough.
    """
    labels = frequent_labels(train.learnable, deciding.fewest)
    rows = train.pictures.intact
    known = sight.vectors(train.pictures, device, progress)[rows]
    truth = label_matrix(train.concepts, labels)[0][rows]
    asked = sight.vectors(valid.pictures, device, progress)
    seen, outside = label_matrix(valid.concepts, labels)
    judged = np.linspace(0, len(asked) - 1, min(len(asked), _JUDGED)).astype(np.int64)

    def f1(probabilities: FloatArray) -> float:
        return _f1(probabilities, seen[judged], deciding.rule, outside[judged])

    answers: Voters | Probe
    if answering.by == "probe":
        fitting = partial(fit_probe, known, truth, seed=seed, device=device, progress=progress)
        probes = map(fitting, PENALTIES)
        answers = max(probes, key=lambda probe: f1(probe.probabilities(asked[judged], device)))
        found = answers.probabilities(asked, device)
    else:
        near = nearest(
            known, asked, 0 if sight.options.encoder == NOTHING else max(NUMBERS), device, progress
        )
        some = near[0][judged], near[1][judged]
        kinds = [Neighbours(k=k, sharpness=sharpness) for k in NUMBERS for sharpness in SHARPNESS]
        best = max(kinds if some[0].size else [Neighbours()], key=lambda kind: f1(vote(*some, truth, kind)))
        answers = Voters(known=known, truth=truth, neighbours=best)
        found = vote(*near, truth, best)
    choice = choose(found, seen, deciding.rule, outside, valid.articles)
    return FrozenDetector(sight=sight, answers=answers, labels=labels, decision=choice.decision), choice


def save_frozen(folder: Path, detector: FrozenDetector, choice: Choice, names: Mapping[str, str]) -> None:
    """Write what `open_frozen` reads, and what every rule is worth; `names` has canonical names by CUI."""
    save_decision(folder, detector.labels, names, choice)
    answers, sight = detector.answers, detector.sight
    arrays: dict[str, Any]
    if isinstance(answers, Probe):
        arrays, neighbours = {"weights": answers.weights, "bias": answers.bias}, None
    else:
        pictures, places = np.nonzero(answers.truth)
        arrays = {"vectors": answers.known, "pictures": pictures, "labels": places}
        neighbours = answers.neighbours
    held = {name: torch.from_numpy(array) for name, array in arrays.items()}
    checkpoint.write(folder / BEST, held, {"scores": dict(choice.scores)})
    write_document(
        folder / FROZEN, _Facts(features=sight.options, weights=sight.digest, neighbours=neighbours)
    )


def open_frozen(folder: Path) -> FrozenDetector:
    """Return what answers of a run folder.

    Raises:
        MissingResource: A file is missing, or the encoder.
        RejectedInput: A file is damaged, or the weights of the encoder are others than they were.
    """
    facts, labels = read_document(folder / FROZEN, _Facts), read_labels(folder)
    tensors, _ = checkpoint.read(folder / BEST)
    try:
        held = {name: tensor.numpy() for name, tensor in tensors.items()}
        answers = _answers(held, len(labels), facts.neighbours)
    except (KeyError, IndexError):
        raise RejectedInput(f"{folder / BEST}: changed or damaged; copy the folder again") from None
    return FrozenDetector(
        sight=reopened(facts.features, facts.weights, folder),
        answers=answers,
        labels=labels,
        decision=read_decision(folder),
    )


def _answers(held: Mapping[str, Any], labels: int, neighbours: Neighbours | None) -> Voters | Probe:
    if neighbours is None:
        return Probe(weights=held["weights"][:labels], bias=held["bias"][:labels])
    truth = np.zeros((len(held["vectors"]), labels), np.bool_)
    truth[held["pictures"], held["labels"]] = True
    return Voters(known=held["vectors"], truth=truth, neighbours=neighbours)


def _f1(probabilities: FloatArray, truth: BoolArray, rule: RuleName, outside: IntArray) -> float:
    chosen = decide(probabilities, fit(probabilities, truth, rule, outside))
    return float(sample_f1(chosen, truth, outside).mean())
