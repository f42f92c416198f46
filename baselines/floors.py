"""Floors of concept detection that no network may fall below: frequent concepts, and the nearest pictures.

Both give probabilities, so that the same decisions apply to them as to a network. A floor answers with the
labels of the nearest training pictures; without neighbours, it answers with the frequency of each label.

folder/
  best.safetensors  thumbnails of the training pictures, and which has which label
  floor.json        number of neighbours and distance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from baselines.concepts import DecisionOptions, Labelled, frequent_labels
from baselines.data.labels import label_matrix
from baselines.decisions import Choice, Decision, RuleName, choose, decide, fit, sample_f1
from baselines.decisions.files import read_decision, read_labels, save_decision
from baselines.documents import read_document, write_document
from baselines.training import checkpoint
from baselines.training.loop import BEST
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.shelf.pictures import PixelArray
from rocov2_eval.shelf.progress import Progress, silent

Distance = Literal["euclidean", "cosine"]
FloorKind = Literal["most-frequent", "nearest-pixels"]
Features = npt.NDArray[np.float32]

FLOOR = "floor.json"
NEIGHBOURS = (1, 3, 5, 9, 15, 25, 49)
DISTANCES: tuple[Distance, ...] = ("euclidean", "cosine")
_AT_ONCE = 256  # pictures
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class FloorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a floor answers with.

    Attributes:
        kind: `most-frequent` labels, the same for every image, or those of the `nearest-pixels`.
    """

    kind: FloorKind


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """Which training pictures are asked; what `floor.json` holds.

    Attributes:
        k: Number of the nearest pictures; 0 for the frequency of labels alone.
        distance: Distance between pictures.
    """

    k: int = 0
    distance: Distance = "euclidean"


@dataclass(frozen=True, kw_only=True, eq=False)
class Floor:
    """A floor that is fitted.

    Attributes:
        known: Thumbnails of the training pictures, shape (images, features).
        truth: Which training picture has which label, shape (images, labels).
        neighbours: Which training pictures are asked.
        labels: The label order.
        decision: The rule, fitted on the validation split.
    """

    known: Features
    truth: BoolArray
    neighbours: Neighbours
    labels: tuple[str, ...]
    decision: Decision

    def probabilities(
        self,
        images: PixelArray,
        _device: Any = None,  # noqa: ANN401  a floor needs none
        progress: Progress = silent,
    ) -> FloatArray:
        """Return the share of the neighbours that have each label, shape (n, labels)."""
        found = neighbour_shares(self.known, self.truth, thumbnails(images), self.neighbours)
        progress(len(images), len(images))
        return found


def fit_floor(
    options: FloorOptions, deciding: DecisionOptions, train: Labelled, valid: Labelled
) -> tuple[Floor, Choice]:
    """Return a floor, its neighbours and its decision chosen by F1 on the validation split.

    Args:
        options: Which floor to fit, and how.
        deciding: Which concepts are labels, and how many of them an image gets.
        train: Pictures to answer with; broken ones are left out.
        valid: Pictures to choose by.

    Raises:
        RejectedInput: There is no training picture, or no concept is frequent enough.
    """
    labels = frequent_labels(train.learnable, deciding.fewest)
    rows = train.pictures.intact
    known, truth = thumbnails(train.pictures.images)[rows], label_matrix(train.concepts, labels)[0][rows]
    seen, outside = label_matrix(valid.concepts, labels)
    asked, best = thumbnails(valid.pictures.images), Neighbours()
    if options.kind == "nearest-pixels":
        best = fit_neighbours((known, truth), (asked, seen), rule=deciding.rule, outside=outside)
    shares = neighbour_shares(known, truth, asked, best)
    choice = choose(shares, seen, deciding.rule, outside)
    floor = Floor(known=known, truth=truth, neighbours=best, labels=labels, decision=choice.decision)
    return floor, choice


def save_floor(folder: Path, floor: Floor, choice: Choice, names: Mapping[str, str]) -> None:
    """Write what `open_floor` reads, and what every rule is worth; `names` has canonical names by CUI."""
    save_decision(folder, floor.labels, names, choice)
    pictures, places = map(torch.from_numpy, np.nonzero(floor.truth))
    tensors = {"thumbnails": torch.from_numpy(floor.known), "pictures": pictures, "labels": places}
    checkpoint.write(folder / BEST, tensors, {"scores": dict(choice.scores)})
    write_document(folder / FLOOR, floor.neighbours)


def open_floor(folder: Path) -> Floor:
    """Return the floor of a run folder.

    Raises:
        MissingResource: A file is missing.
        RejectedInput: A file is damaged.
    """
    neighbours, labels = read_document(folder / FLOOR, Neighbours), read_labels(folder)
    tensors, _ = checkpoint.read(folder / BEST)
    known = tensors["thumbnails"].numpy()
    truth = np.zeros((len(known), len(labels)), np.bool_)
    truth[tensors["pictures"].numpy(), tensors["labels"].numpy()] = True
    decision = read_decision(folder)
    return Floor(known=known, truth=truth, neighbours=neighbours, labels=labels, decision=decision)


def thumbnails(images: PixelArray, side: int = 16) -> Features:
    """Return pictures as small grey ones, each level the mean of the pixels under it.

    Args:
        images: Decoded pictures, shape (n, height, width, 3); at least `side` pixels high and wide.
        side: Height and width of the small ones.

    Returns:
        Levels from 0 to 1, shape (n, side·side).
    """
    height, width = images.shape[1:3]
    if min(height, width) < side:
        raise RejectedInput(f"pictures of {height}x{width} pixels, expected {side} or more")
    rows, columns = (np.arange(side) * length // side for length in (height, width))
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width)) * np.float32(255)
    small = np.empty((len(images), side * side), np.float32)
    for i in range(0, len(images), _AT_ONCE):
        grey = images[i : i + _AT_ONCE].astype(np.float32) @ _LUMA
        sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
        small[i : i + _AT_ONCE] = (sums / areas).reshape(len(grey), -1)
    return small


def fit_neighbours(
    known: tuple[Features, BoolArray],
    valid: tuple[Features, BoolArray],
    *,
    rule: RuleName,
    outside: IntArray | None = None,
    numbers: Sequence[int] = NEIGHBOURS,
) -> Neighbours:
    """Return the distance and number of neighbours with the largest F1 on the validation split.

    Args:
        known: Features and labels of the training split.
        valid: Features and labels of the validation split.
        rule: How shares become concepts, key of `decisions.RULES`.
        outside: Number of concepts of each validation image that are no label, shape (n,); None for none.
        numbers: Numbers of neighbours to choose from.
    """
    _refuse_none(known[1])
    found: dict[Neighbours, float] = {}
    for distance in DISTANCES:
        rows = nearest(known[0], valid[0], max(numbers), distance)
        for k in numbers:
            shares = _shares(rows[:, :k], known[1])
            chosen = decide(shares, fit(shares, valid[1], rule, outside))
            found[Neighbours(k=k, distance=distance)] = float(sample_f1(chosen, valid[1], outside).mean())
    return max(found, key=lambda neighbours: found[neighbours])


def neighbour_shares(
    known: Features, truth: BoolArray, asked: Features, neighbours: Neighbours
) -> FloatArray:
    """Return the share of the nearest known pictures that have each label.

    One frequency of the label over all known pictures is added as if it were one more neighbour, so that
    labels which no neighbour has keep their order.

    Args:
        known: Features of the training pictures, shape (images, features).
        truth: Which training picture has which label, shape (images, labels).
        asked: Features of other pictures, shape (n, features).
        neighbours: How many are asked, all of them where there are fewer, and by which distance.

    Returns:
        Shares, shape (n, labels).
    """
    _refuse_none(truth)
    return _shares(nearest(known, asked, neighbours.k, neighbours.distance), truth)


def nearest(known: Features, asked: Features, k: int, distance: Distance) -> IntArray:
    """Return the rows of the k nearest known pictures, the nearest first, equal ones by row; shape (n, k)."""
    k = min(k, len(known))
    rows = np.empty((len(asked), k), np.int64)
    if not k:
        return rows
    first, second = (_directions(known), _directions(asked)) if distance == "cosine" else (known, asked)
    lengths = (first**2).sum(axis=1)
    for i in range(0, len(second), _AT_ONCE):
        far = lengths - 2 * (second[i : i + _AT_ONCE] @ first.T)  # without what is the same for all of a row
        limits = np.partition(far, k - 1, axis=1)[:, k - 1]  # sorting all of them would take most of the time
        for row, (distances, limit) in enumerate(zip(far, limits, strict=True), start=i):
            near = np.flatnonzero(distances <= limit)
            rows[row] = near[np.argsort(distances[near], kind="stable")[:k]]
    return rows


def _shares(rows: IntArray, truth: BoolArray) -> FloatArray:
    votes = np.empty((len(rows), truth.shape[1]))
    for i in range(0, len(rows), _AT_ONCE):
        votes[i : i + _AT_ONCE] = truth[rows[i : i + _AT_ONCE]].sum(axis=1)
    shares: FloatArray = (votes + truth.mean(axis=0)) / (rows.shape[1] + 1)
    return shares


def _directions(features: Features) -> Features:
    """Return features about their mean, of length 1: how light a picture is does not count."""
    centred = features - features.mean(axis=1, keepdims=True)
    directions: Features = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return directions


def _refuse_none(truth: BoolArray) -> None:
    if not len(truth):
        raise RejectedInput("no training image to learn from")
