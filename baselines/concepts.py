"""Concept detection: an EfficientNet with one logit a concept, trained by binary cross-entropy.

The concepts of an image are those with the largest probabilities; how many is a decision of its own, fitted
on the validation split (`baselines.decisions`).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional

from baselines import decisions
from baselines.data.augment import AugmentOptions, augment, centre
from baselines.data.labels import label_matrix, label_order
from baselines.data.pack import Packed
from baselines.decisions import Decision, RuleName
from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.models.weights import Normalisation, header_of, load_init
from baselines.training import checkpoint, runlog
from baselines.training.loop import BEST
from baselines.training.objective import Group, Share, split_by_decay
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.csv_files import write_csv

LABELS, DECISION, RULES_TABLE, NETWORK = "labels.csv", "decision.json", "decisions.csv", "network.json"
_VALIDATED_AT_ONCE = 256  # images

Cells = Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network.

    Attributes:
        spec: Key of `SPECS`.
        init: Weights to start from: a name of the Hub, a safetensors file, or nothing, see `load_init`.
        size: Pixels that the network sees; 0 for those that its weights were trained on.
        dropout: Share of the pooled features that training leaves out.
        drop_path: How often training skips the last block.
        head_rate: The learning rate of the classifier, times that of the rest, which starts from weights.
    """

    spec: str = "efficientnet_b0"
    init: str = ""
    size: int = 0
    dropout: float = 0.2
    drop_path: float = 0.2
    head_rate: float = 3.0

    def __post_init__(self) -> None:
        if self.spec not in SPECS:
            raise UsageFault(f"spec: {self.spec!r}, expected one of {', '.join(SPECS)}")
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageFault(f"{name}: {getattr(self, name)}, expected 0 or more and less than 1")
        if self.size < 0 or self.head_rate <= 0:
            raise UsageFault(f"size {self.size} and head_rate {self.head_rate}: expected 0 or more, above 0")


@dataclass(frozen=True, kw_only=True)
class DecisionOptions:
    """How probabilities become concepts.

    Attributes:
        rule: Key of `decisions.RULES`.
        fewest: Concepts that fewer training images have are no label.
        table: Which concepts are learnt: all, or those curated by hand.
    """

    rule: RuleName = "expected-f"
    fewest: int = 1
    table: Literal["concepts", "concepts_manual"] = "concepts"

    def __post_init__(self) -> None:
        if self.fewest < 1:
            raise UsageFault(f"fewest: {self.fewest}, expected 1 or more")


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Packed pictures of a split with their concepts.

    Attributes:
        packed: The pictures.
        concepts: Of each, in the same order.
    """

    packed: Packed
    concepts: Cells


class ConceptDetection:
    """The objective of concept detection."""

    main = "f1"

    def __init__(  # noqa: PLR0917  options by table
        self,
        network: NetworkOptions,
        augmenting: AugmentOptions,
        deciding: DecisionOptions,
        train: Labelled,
        valid: Labelled,
        names: Mapping[str, str],
    ) -> None:
        """Build the network.

        Args:
            network: Its options.
            augmenting: How pictures are varied.
            deciding: Which concepts, and how many of them an image gets.
            train: Pictures to learn from; broken ones are left out.
            valid: Pictures to decide by.
            names: Canonical name by CUI.

        Raises:
            RejectedInput: No concept is frequent enough.
        """
        self.labels = label_order(train.concepts, deciding.fewest)
        if not self.labels:
            raise RejectedInput(f"no concept has {deciding.fewest} or more training images")
        self.model, self._normalisation, self._size = build(network, len(self.labels))
        self._network = network
        self._augmenting = augmenting
        self._deciding = deciding
        self._names = names
        self._train = train
        self._valid = valid
        self._rows = train.packed.intact
        matrix, _ = label_matrix(train.concepts, self.labels)
        self._targets = matrix[self._rows].astype(np.float32)
        self._truth, self._outside = label_matrix(valid.concepts, self.labels)
        self._decision: Decision | None = None
        self._gains: tuple[decisions.Gain, ...] = ()
        self.n = len(self._rows)

    def groups(self) -> tuple[Group, ...]:
        """Return the classifier apart: it starts at random where the rest starts from weights."""
        named = list(self.model.named_parameters())
        head = [(name, each) for name, each in named if name.startswith("classifier.")]
        body = [(name, each) for name, each in named if not name.startswith("classifier.")]
        rate = self._network.head_rate if self._network.init else 1.0
        return (*split_by_decay(body), *split_by_decay(head, rate=rate))

    def fetch(self, indices: IntArray) -> tuple[Any, Any]:
        """Return pictures, uint8 of shape (b, side, side, 3), and targets, float32 of shape (b, labels)."""
        pictures = self._train.packed.images[self._rows[indices]]
        return torch.from_numpy(pictures), torch.from_numpy(self._targets[indices])

    def loss(self, model: Any, fetched: Any, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return binary cross-entropy, summed over labels and averaged over images.

        The mean over labels too would shrink with their number what each positive label can move.
        """
        pictures, targets = (each.to(device, non_blocking=True) for each in fetched)
        seen = augment(
            pictures,
            self._size,
            self._augmenting,
            generator,
            self._normalisation.mean,
            self._normalisation.std,
            rank=share.rank,
            world=share.world,
        )
        logits = model(seen)
        return (
            functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
            .sum(1)
            .mean()
        )

    def validate(self, model: Any, device: Any) -> dict[str, float]:  # noqa: ANN401  torch is Any
        """Return F1 of the rule, each half of the split decided by what the other taught, and of 0.5."""
        found = probabilities(model, self._valid.packed.images, self._size, self._normalisation, device)
        self._gains = decisions.table(found, self._truth, outside=self._outside)
        rows = {row.decision.rule: row for row in self._gains}
        chosen = rows[self._deciding.rule]
        self._decision = chosen.decision
        return {"f1": chosen.valid, "f1_at_half": rows["fixed"].valid, "f1_gain": chosen.gain}

    def header(self) -> dict[str, str]:
        """Return how images must look, as `load_init` reads it."""
        return header_of(self._normalisation)

    def save(self, folder: Path) -> None:
        """Write label order, decision, what every rule is worth, and the network's options."""
        assert self._decision is not None, "validated before it is saved"
        rows = [(cui, self._names.get(cui, "")) for cui in self.labels]
        write_csv(folder / LABELS, ("CUI", "Canonical name"), rows)
        runlog.write_document(folder / DECISION, decisions.decision_document(self._decision))
        write_csv(
            folder / RULES_TABLE,
            ("rule", "parameters", "valid_f1", "gain_over_half"),
            [
                (
                    gain.decision.rule,
                    json.dumps(dict(gain.decision.parameters)),
                    f"{gain.valid:.6f}",
                    f"{gain.gain:.6f}",
                )
                for gain in self._gains
            ],
        )
        seen = {"size": self._size, "normalisation": asdict(self._normalisation)}
        runlog.write_document(folder / NETWORK, {"spec": self._network.spec, **seen})


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """A trained network with what turns its answers into concepts.

    Attributes:
        model: In evaluation mode.
        labels: The label order.
        decision: Fitted on the validation split of its training.
        size: Pixels that it sees.
        normalisation: How images must look.
    """

    model: Any
    labels: tuple[str, ...]
    decision: Decision
    size: int
    normalisation: Normalisation

    def probabilities(self, images: Any, device: Any, progress: Any = None) -> FloatArray:  # noqa: ANN401
        """Return the probability of each label, shape (n, labels)."""
        return probabilities(self.model, images, self.size, self.normalisation, device, progress)


def open_detector(folder: Path) -> Detector:
    """Return the trained network of a run folder.

    Raises:
        MissingResource: A file is missing.
        RejectedInput: A file is damaged.
    """
    network = runlog.read_document(folder / NETWORK)
    labels = _read_labels(folder / LABELS)
    if network.get("spec") not in SPECS:
        raise RejectedInput(
            f"{folder / NETWORK}: spec {network.get('spec')!r}, expected one of {', '.join(SPECS)}"
        )
    model = EfficientNet(SPECS[network["spec"]], len(labels))
    tensors, _ = checkpoint.read(folder / BEST)
    checkpoint.fill(model, tensors, folder / BEST)
    said = network["normalisation"]
    return Detector(
        model=model.eval(),
        labels=labels,
        decision=decisions.read_decision(runlog.read_document(folder / DECISION), str(folder / DECISION)),
        size=network["size"],
        normalisation=Normalisation(**{**said, "mean": tuple(said["mean"]), "std": tuple(said["std"])}),
    )


def build(network: NetworkOptions, classes: int) -> tuple[Any, Normalisation, int]:
    """Return a network, how images must look, and how many pixels it sees."""
    model = EfficientNet(SPECS[network.spec], classes, dropout=network.dropout, drop_path=network.drop_path)
    normalisation = load_init(model, network.init or None)
    return model, normalisation, network.size or normalisation.size


def probabilities(  # noqa: PLR0917  a network and what it looks at
    model: Any,  # noqa: ANN401  torch is Any
    images: Any,  # noqa: ANN401  uint8, shape (n, side, side, 3)
    size: int,
    normalisation: Normalisation,
    device: Any,  # noqa: ANN401  torch is Any
    progress: Any = None,  # noqa: ANN401  as `progress_bar` returns
) -> FloatArray:
    """Return the probability of each label of each image, shape (n, labels)."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(images), _VALIDATED_AT_ONCE):
            part = torch.from_numpy(np.array(images[start : start + _VALIDATED_AT_ONCE])).to(device)
            logits = model(centre(part, size, normalisation.mean, normalisation.std))
            rows.append(logits.float().sigmoid().cpu().numpy())
            if progress:
                progress(min(start + _VALIDATED_AT_ONCE, len(images)), len(images))
    found: FloatArray = np.concatenate(rows).astype(np.float64)
    return found


def _read_labels(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise MissingResource(f"{path}: no such file; name the folder of a finished run")
    with path.open(encoding="utf-8", newline="") as file:
        labels = tuple(row["CUI"] for row in csv.DictReader(file) if row.get("CUI"))
    if not labels or len(set(labels)) < len(labels):
        raise RejectedInput(f"{path}: {len(labels)} labels, expected one or more, each once, in a column CUI")
    return labels
