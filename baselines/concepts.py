"""Concept detection: a network with one logit a concept, each a question of its own.

The concepts of an image are those with the largest probabilities; how many is a decision of its own, fitted
on the validation split (`baselines.decisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from torch.nn import functional

from baselines.bounds import Amount, AtLeastOne, BelowOne, Count, Factor
from baselines.classifiers import Classifier, build_classifier, open_classifier
from baselines.data.augment import AugmentOptions, augment
from baselines.data.cache import PictureCache
from baselines.data.labels import label_matrix, label_order
from baselines.decisions import Choice, Decision, RuleName, choose, sample_f1
from baselines.decisions.files import read_decision, read_labels, save_decision
from baselines.models.backbone import BASE, HEAD
from baselines.models.efficientnet import SPECS
from baselines.models.pretrained import lasting
from baselines.models.weights import Normalisation, header_of
from baselines.training.objective import ParameterGroup, Share, split_by_decay
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.progress import silent
from rocov2_eval.shelf.words import counted, shorten

Cells = Sequence[Sequence[str]]
_NAMED = 5  # concepts that a message lists


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The network of concept detection.

    Attributes:
        spec: Key of `SPECS`; or a vision model of transformers with its weights, a folder or its name on the
            Hub.
        init: Weights that one of `SPECS` starts from: a name of the Hub, a safetensors file, or nothing, see
            `load_init`.
        size: Pixels that the network sees; 0 for those that its weights were trained on.
        dropout: Share of the pooled features that training leaves out.
        drop_path: How often training skips the last block, in networks that can.
        head_rate: The learning rate of the classifier, times that of the rest, which starts from weights.
        frozen: Train the classifier alone; the rest of a model of transformers stays as it is.
    """

    spec: str = "efficientnet_b0"
    init: str = ""
    size: Count = 0
    dropout: BelowOne = 0.2
    drop_path: BelowOne = 0.2
    head_rate: Factor = 3.0
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.spec in SPECS:
            if self.frozen:
                raise UsageFault(
                    f"frozen: {self.spec} cannot be frozen; frozen is only for a model of transformers"
                )
            return
        if "/" not in self.spec and not Path(self.spec).is_dir():
            raise UsageFault(
                f"spec: {shorten(repr(self.spec))}, expected one of {', '.join(SPECS)}, a folder with "
                "a model of transformers, or a name on the Hub, such as facebook/convnext-tiny-224"
            )
        if self.init:
            raise UsageFault(
                f"init: {shorten(self.init)} is only for {', '.join(SPECS)}; {shorten(self.spec)} "
                "starts from its own weights: set init = ''"
            )

    @property
    def starts_from_weights(self) -> bool:
        """Whether all but the classifier has learnt before."""
        return bool(self.init) or self.spec not in SPECS


class LossOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What training makes small.

    Attributes:
        kind: `bce`, binary cross-entropy; or `asymmetric`, see `asymmetric_loss`. What that one learns is no
            probability: the rules that expect one fit temperature and bias first.
        gamma_positive: How fast labels that an image has count less, the surer they are; `asymmetric` alone.
        gamma_negative: The same of labels that an image has not.
        clip: Probability up to which labels that an image has not count nothing at all.
    """

    kind: Literal["bce", "asymmetric"] = "bce"
    gamma_positive: Amount = 0.0
    gamma_negative: Amount = 4.0
    clip: BelowOne = 0.05


class DecisionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How probabilities become concepts.

    Attributes:
        rule: Key of `decisions.RULES`.
        fewest: Concepts that fewer training images have are no label.
        table: Which concepts are learnt: all, or those curated by hand.
        mirrors: Answer by the mean probability over a picture and its mirror image, in validation and
            prediction. Off, because laterality and the direction of an X-ray are concepts.
    """

    rule: RuleName = "expected-f"
    fewest: AtLeastOne = 1
    table: Literal["concepts", "concepts_manual"] = "concepts"
    mirrors: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """The pictures of a split with their concepts.

    Attributes:
        pictures: Decoded pictures.
        concepts: Concepts of each picture, in the same order.
        articles: Number of the article of each picture; None where nothing tells it.
    """

    pictures: PictureCache
    concepts: Cells
    articles: IntArray | None = None

    @property
    def learnable(self) -> Cells:
        """Concepts of the pictures that training sees: what a broken one alone has cannot be learnt."""
        return [self.concepts[row] for row in self.pictures.intact]


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """A trained network with what turns its probabilities into concepts.

    Attributes:
        classifier: The network, in evaluation mode.
        labels: The label order.
        decision: The rule, fitted on the validation split of the training.
    """

    classifier: Classifier
    labels: tuple[str, ...]
    decision: Decision

    def probabilities(self, pictures: PictureCache, device: Any, progress: Any = silent) -> FloatArray:  # noqa: ANN401
        """Return the probability of each label, shape (n, labels)."""
        self.classifier.model.to(device)
        return self.classifier.probabilities(pictures.images, device, progress)


class ConceptDetection:
    """The objective of concept detection."""

    main = "f1"

    def __init__(  # noqa: PLR0917  options by table
        self,
        network: NetworkOptions,
        loss: LossOptions,
        augmenting: AugmentOptions,
        deciding: DecisionOptions,
        train: Labelled,
        valid: Labelled,
        names: Mapping[str, str],
    ) -> None:
        """Build the network.

        Args:
            network: Options of the network.
            loss: What training makes small.
            augmenting: How pictures are varied.
            deciding: Which concepts are labels, and how many of them an image gets.
            train: Pictures to learn from; broken ones are left out.
            valid: Pictures to decide by.
            names: Canonical name by CUI.

        Raises:
            RejectedInput: No concept is frequent enough.
            UsageFault: The network sees more pixels than were decoded.
        """
        self.labels = frequent_labels(train.learnable, deciding.fewest)
        self._classifier = build_classifier(
            network.spec,
            len(self.labels),
            init=network.init,
            size=network.size,
            dropout=network.dropout,
            drop_path=network.drop_path,
            frozen=network.frozen,
            mirrors=deciding.mirrors,
        )
        refuse_small(train.pictures.images.shape[1], self._classifier.size)
        self.model = self._classifier.model
        self.bases = {BASE: lasting(network.spec)} if network.frozen else {}
        self._network, self._loss = network, loss
        self._augmenting = augmenting
        self._rule = deciding.rule
        self._names = names
        self._train, self._valid = train, valid
        self._rows = train.pictures.intact
        matrix, _ = label_matrix(train.concepts, self.labels)
        self._targets = matrix[self._rows].astype(np.float32)
        self._truth, self._outside = label_matrix(valid.concepts, self.labels)
        self._choice: Choice | None = None
        self.n = len(self._rows)
        self._begin_at_frequencies()

    def groups(self) -> tuple[ParameterGroup, ...]:
        """Return the classifier apart: it starts at random where the rest starts from weights."""
        named = [(name, each) for name, each in self.model.named_parameters() if each.requires_grad]
        head = [(name, each) for name, each in named if f"{HEAD}." in name]
        body = [(name, each) for name, each in named if f"{HEAD}." not in name]
        rate = self._network.head_rate if self._network.starts_from_weights else 1.0
        return (*split_by_decay(body), *split_by_decay(head, rate=rate))

    def _begin_at_frequencies(self) -> None:
        """Let a new classifier answer with the frequency of each label before it has seen a picture.

        From 0.5 for every label it would spend its first epochs on learning that most are rare.
        """
        head = [each for name, each in self.model.named_parameters() if f"{HEAD}." in name and each.ndim == 1]
        often = (self._targets.sum(0) + 0.5) / (self.n + 1)
        if not head[-1].any():  # one that has learnt before keeps what it knows
            with torch.no_grad():
                head[-1].copy_(torch.from_numpy(np.log(often / (1 - often))))

    def fetch(self, indices: IntArray) -> tuple[Any, Any]:
        """Return pictures, uint8 of shape (b, side, side, 3), and targets, float32 of shape (b, labels)."""
        pictures = self._train.pictures.images[self._rows[indices]]
        return torch.from_numpy(pictures), torch.from_numpy(self._targets[indices])

    def loss(self, model: Any, fetched: Any, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return the loss, summed over labels and averaged over images.

        The mean over labels too would shrink with their number what each positive label can move.
        """
        pictures, targets = (each.to(device, non_blocking=True) for each in fetched)
        look = self._classifier.normalisation
        varied = augment(
            pictures,
            self._classifier.size,
            self._augmenting,
            generator,
            look.mean,
            look.std,
            rank=share.rank,
            world=share.world,
        )
        return _LOSSES[self._loss.kind](model(varied).float(), targets, self._loss).sum(1).mean()

    def validate(self, device: Any) -> Mapping[str, float]:  # noqa: ANN401  torch is Any
        """Return F1 of the rule and of 0.5, see `Choice.scores`."""
        found = self._classifier.probabilities(self._valid.pictures.images, device)
        self._choice = choose(found, self._truth, self._rule, self._outside, self._valid.articles)
        return self._choice.scores

    @property
    def look(self) -> Normalisation:
        """How images must look, and whose weights want it."""
        return self._classifier.normalisation

    def header(self) -> dict[str, str]:
        """Return how images must look, as `load_init` reads it."""
        return header_of(self._classifier.normalisation)

    def save(self, folder: Path) -> None:
        """Write label order, decision, what every rule is worth, and which network it is."""
        assert self._choice is not None, "validated before it is saved"
        save_decision(folder, self.labels, self._names, self._choice)
        self._classifier.save(folder)


def asymmetric_loss(logits: Any, targets: Any, options: LossOptions) -> Any:  # noqa: ANN401  torch is Any
    """Return the asymmetric loss of each label of each image, shape (b, labels).

    Most labels are absent from most images, and easily so. Their probability is lowered by `clip`, to 0 at
    least, and their loss weighted by its power `gamma_negative`: what is surely absent teaches no more.
    Ridnik et al., Asymmetric Loss for Multi-Label Classification, ICCV 2021; the defaults, 0, 4 and 0.05,
    are those of their experiments.

    Args:
        logits: Logits, shape (b, labels).
        targets: 1 where an image has a label, 0 elsewhere, shape (b, labels).
        options: Both powers, and the clip.
    """
    least = torch.finfo(logits.dtype).tiny  # a power of 0 below 1 has no gradient
    lowered = (torch.sigmoid(logits) - options.clip).clamp_min(least)
    # log(1 - lowered), exact where the network is sure and wrong too
    clip = logits.new_tensor(options.clip).log()
    left = torch.logaddexp(functional.logsigmoid(-logits), clip).clamp_max(0)
    wrong = torch.sigmoid(-logits).clamp_min(least)
    present = wrong**options.gamma_positive * functional.logsigmoid(logits)
    return -(targets * present + (1 - targets) * lowered**options.gamma_negative * left)


def refuse_small(decoded: int, seen: int) -> None:
    """Refuse pictures that are decoded smaller than a network sees them.

    Raises:
        UsageFault: They are.
    """
    if seen > decoded:
        raise UsageFault(f"data.side: {decoded} pixels are decoded, but the network reads {seen}")


def frequent_labels(concepts: Cells, fewest: int) -> tuple[str, ...]:
    """Return the label order of a training split.

    Raises:
        RejectedInput: No concept is frequent enough.
    """
    labels = label_order(concepts, fewest)
    if not labels:
        raise RejectedInput(f"no concept has {fewest} or more training images")
    return labels


class Unlearnt(msgspec.Struct, frozen=True, kw_only=True):
    """Concepts of the validation split that are no label.

    Attributes:
        concepts: Number of these concepts.
        first: Those that most images have, ties by CUI.
        images: Number of validation images with one of them.
        of: Number of validation images.
        largest_f1: F1 of a network that finds every label of every image.
    """

    concepts: int
    first: tuple[str, ...]
    images: int
    of: int
    largest_f1: float

    def told(self) -> str:
        """Return what they are and what they cost, for people."""
        named = ", ".join(self.first) + (", …" if self.concepts > len(self.first) else "")
        return (
            f"{counted(self.concepts, 'concept')} cannot be learnt, because too few training images "
            f"have them ({named}): {self.images:,} of {counted(self.of, 'image')} have one, so F1 "
            f"cannot be above {self.largest_f1:.4f}"
        )


def unlearnt(concepts: Cells, labels: Sequence[str]) -> Unlearnt | None:
    """Return which concepts of a validation split are no label, None if all are.

    Args:
        concepts: Concepts of each validation image.
        labels: The label order.
    """
    strange = label_order([set(image).difference(labels) for image in concepts])
    if not strange:
        return None
    truth, outside = label_matrix(concepts, labels)
    return Unlearnt(
        concepts=len(strange),
        first=strange[:_NAMED],
        images=int((outside > 0).sum()),
        of=len(concepts),
        largest_f1=float(sample_f1([np.flatnonzero(row).tolist() for row in truth], truth, outside).mean()),
    )


def open_detector(folder: Path) -> Detector:
    """Return the trained network of a run folder.

    Raises:
        MissingResource: A file is missing.
        RejectedInput: A file is damaged.
    """
    labels = read_labels(folder)
    classifier = open_classifier(folder, len(labels))
    return Detector(classifier=classifier, labels=labels, decision=read_decision(folder))


def _cross_entropy(logits: Any, targets: Any, _options: LossOptions) -> Any:  # noqa: ANN401  torch is Any
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")


_LOSSES: Mapping[str, Callable[[Any, Any, LossOptions], Any]] = {
    "bce": _cross_entropy,
    "asymmetric": asymmetric_loss,
}
