"""Captions without training a network: told again from the nearest training pictures.

Of the captions of the neighbours that one is told which has the most words in common with all of them, nearer
ones counting more; of no neighbours, the one with the most in common with a sample of all training captions.

folder/
  frozen.json       what sees the pictures, and how many neighbours are asked
  best.safetensors  vectors of the training pictures
  captions.json     their captions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from baselines.data.cache import PictureCache
from baselines.data.dataset import Concepts
from baselines.documents import read_document, write_document
from baselines.frozen.features import FROZEN, NOTHING, FeatureOptions, Sight, reopened
from baselines.frozen.neighbours import Features, nearest, weights_of
from baselines.looking import looks, vocabulary
from baselines.training import checkpoint
from baselines.training.loop import BEST
from rocov2_eval.errors import RejectedInput
from rocov2_eval.metrics import rouge
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.progress import Progress, silent
from rocov2_eval.textnorm import normalise

CAPTIONS = "captions.json"
NUMBERS = (1, 3, 5, 9, 15, 25)  # of neighbours: of more the captions say what is true of any picture
SHARPNESS = 5.0  # how much nearer ones count, see `Neighbours`
_JUDGED = 2000  # validation pictures that are enough to choose among these
_SAMPLE = 2000  # training captions that stand for all
_NORM = "clef2023"  # that of the official caption scores


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `frozen.json` holds; no neighbours for one caption that is told of every picture."""

    features: FeatureOptions
    weights: str
    neighbours: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """The pictures of a split with their captions.

    Attributes:
        pictures: Decoded pictures.
        captions: Caption of each picture, in the same order.
        manual: Manual concepts of each picture, None where they were not read.
    """

    pictures: PictureCache
    captions: Sequence[str]
    manual: Concepts | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenCaptioner:
    """What tells captions again, by vectors of a network that stays as it is.

    Attributes:
        sight: What sees the pictures.
        known: Vectors of the training pictures, shape (m, width).
        captions: Their captions.
        neighbours: How many of them are asked; 0 for one caption that is told of every picture.
    """

    sight: Sight
    known: Features
    captions: tuple[str, ...]
    neighbours: int

    def tell(
        self,
        pictures: PictureCache,
        device: Any,  # noqa: ANN401  torch is Any
        progress: Progress = silent,
    ) -> list[str]:
        """Return a caption for each picture."""
        vectors = self.sight.vectors(pictures, device, progress)
        near = nearest(self.known, vectors, self.neighbours, device, progress)
        return _retold(*near, self.captions, word_sets(self.captions))


def fit_captions(
    sight: Sight,
    train: Told,
    valid: Told,
    *,
    device: Any = "cpu",  # noqa: ANN401  torch is Any
    progress: Progress = silent,
) -> tuple[FrozenCaptioner, dict[str, float]]:
    """Return what tells captions again, and its scores on the validation split.

    The number of neighbours is that of the largest ROUGE-1 there. The scores are it and those of `looking`.

    Args:
        sight: What sees the pictures.
        train: Captions to tell; those of broken pictures are left out.
        valid: Pictures to choose by; broken ones are left out.
        device: Where it is computed.
        progress: Called with the number of pictures done and of all.

    Raises:
        RejectedInput: No picture of one of the splits can be read.
    """
    learnt, judged = train.pictures.intact, valid.pictures.intact
    if not len(learnt) or not len(judged):
        raise RejectedInput("no picture of the training split, or none of the validation split, can be read")
    judged = judged[np.linspace(0, len(judged) - 1, min(len(judged), _JUDGED)).astype(np.int64)]
    known = sight.vectors(train.pictures, device, progress)[learnt]
    asked = sight.vectors(valid.pictures, device, progress)[judged]
    captions = tuple(train.captions[row] for row in learnt)
    references = [valid.captions[row] for row in judged]
    words = word_sets(captions)
    numbers = (0,) if sight.options.encoder == NOTHING else NUMBERS
    rows, cosines = nearest(known, asked, max(numbers), device, progress)

    told = {k: _retold(rows[:, :k], cosines[:, :k], captions, words) for k in numbers}
    scores = {k: rouge.score(each, references)["rouge1"].mean or 0.0 for k, each in told.items()}
    best = max(numbers, key=lambda k: scores[k])
    captioner = FrozenCaptioner(sight=sight, known=known, captions=captions, neighbours=best)
    manual = None if valid.manual is None else [valid.manual[row] for row in judged]
    return captioner, {"rouge1": scores[best], **looks(told[best], references, manual, vocabulary(captions))}


def save_captions(folder: Path, captioner: FrozenCaptioner, scores: dict[str, float]) -> None:
    """Write what `open_captions` reads."""
    sight = captioner.sight
    checkpoint.write(folder / BEST, {"vectors": torch.from_numpy(captioner.known)}, {"scores": scores})
    write_document(folder / CAPTIONS, captioner.captions)
    write_document(
        folder / FROZEN,
        _Facts(features=sight.options, weights=sight.digest, neighbours=captioner.neighbours),
    )


def open_captions(folder: Path) -> FrozenCaptioner:
    """Return what tells the captions of a run folder again.

    Raises:
        MissingResource: A file is missing, or the encoder.
        RejectedInput: A file is damaged, or the weights of the encoder are others than they were.
    """
    facts = read_document(folder / FROZEN, _Facts)
    captions = read_document(folder / CAPTIONS, tuple[str, ...])
    tensors, _ = checkpoint.read(folder / BEST)
    if "vectors" not in tensors or not 0 < len(captions) == len(tensors["vectors"]):
        raise RejectedInput(f"{folder / BEST}: not the vectors of {CAPTIONS}; copy the folder again")
    return FrozenCaptioner(
        sight=reopened(facts.features, facts.weights, folder),
        known=tensors["vectors"].numpy(),
        captions=captions,
        neighbours=facts.neighbours,
    )


def word_sets(captions: Sequence[str]) -> list[IntArray]:
    """Return the distinct words of each caption, as numbers."""
    numbers: dict[str, int] = {}
    return [
        np.array([numbers.setdefault(word, len(numbers)) for word in dict.fromkeys(text.split())], np.int64)
        for text in normalise(captions, _NORM)
    ]


def most_common(words: Sequence[IntArray], weights: FloatArray) -> int:
    """Return the place of the caption that has most in common with all, the first of equals.

    What two have in common is the F measure of their sets of words, which is ROUGE-1 but for repeated words.

    Args:
        words: Distinct words of each caption, from `word_sets`.
        weights: How much it counts to have words in common with each caption, shape (n,).
    """
    sizes = np.array([len(each) for each in words])
    _, places = np.unique(np.concatenate(words), return_inverse=True)
    has = np.zeros((len(words), int(places.max(initial=-1)) + 1), np.float32)
    has[np.repeat(np.arange(len(words)), sizes), places] = 1
    shared = 2 * (has @ has.T) / np.maximum(sizes[:, None] + sizes, 1)
    return int((shared @ weights).argmax())


def _retold(
    rows: IntArray, cosines: FloatArray, captions: Sequence[str], words: Sequence[IntArray]
) -> list[str]:
    """Return the caption told of each picture, given its nearest training pictures, both of shape (n, k)."""
    if not rows.shape[1]:
        sample = np.linspace(0, len(captions) - 1, min(len(captions), _SAMPLE)).astype(np.int64)
        place = sample[most_common([words[row] for row in sample], np.ones(len(sample)))]
        return [" ".join(captions[place].split())] * len(rows)
    return [
        " ".join(captions[near[most_common([words[row] for row in near], each)]].split())
        for near, each in zip(rows, weights_of(cosines, SHARPNESS), strict=True)
    ]
