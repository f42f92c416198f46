"""A linear probe: one logistic regression a label, on the vectors that a frozen network makes of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from baselines.frozen.neighbours import Features
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray, FloatArray
from rocov2_eval.shelf.progress import Progress, silent

STEPS = 600
_BATCH = 1024  # pictures a step
_RATE = 0.05  # of Adam at the first step; it falls to nothing by half a cosine
_SMALLEST = 1e-6  # standard deviation of a component that is not constant
_AT_ONCE = 1024  # pictures that are answered together


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """Logistic regressions, one a label.

    Attributes:
        weights: Shape (labels, width).
        bias: Shape (labels,).
    """

    weights: Features
    bias: Features

    def probabilities(self, vectors: Features, device: Any, progress: Progress = silent) -> FloatArray:  # noqa: ANN401
        """Return the probability of each label, shape (n, labels)."""
        weights, bias = (torch.from_numpy(each).to(device) for each in (self.weights, self.bias))
        rows = []
        with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
            for start in range(0, len(vectors), _AT_ONCE):
                part = torch.from_numpy(vectors[start : start + _AT_ONCE]).to(device)
                rows.append(torch.addmm(bias, part, weights.T).sigmoid().cpu().numpy())
                progress(start + len(part), len(vectors))
        return np.concatenate(rows).astype(np.float64)


def fit_probe(
    vectors: Features,
    truth: BoolArray,
    penalty: float,
    *,
    seed: int = 0,
    device: Any = "cpu",  # noqa: ANN401  torch is Any
    progress: Progress = silent,
) -> Probe:
    """Return the probe of the smallest loss.

    The loss is binary cross-entropy, summed over labels and averaged over pictures, and half the squared
    weights of standardised vectors times the penalty. Adam goes down it by batches in a number of steps that
    does not depend on that of the pictures; a label begins with its frequency.

    Args:
        vectors: Shape (n, width).
        truth: Which picture has which label, shape (n, labels).
        penalty: Weight of half the squared weights.
        seed: Of the order of the pictures.
        device: Where it is computed.
        progress: Called with the number of steps done and of all.

    Raises:
        RejectedInput: There is no picture.
    """
    if not len(vectors):
        raise RejectedInput("no training image to learn from")
    centre, scale = vectors.mean(axis=0), vectors.std(axis=0)
    scale[scale < _SMALLEST] = 1.0  # what is the same in all pictures stays small
    x = torch.from_numpy((vectors - centre) / scale).to(device)
    y = torch.from_numpy(truth).to(device)
    frequencies = ((y.sum(0) + 0.5) / (len(y) + 1)).float()  # finite logits where all have a label, or none
    weights = torch.zeros(truth.shape[1], vectors.shape[1], device=device, requires_grad=True)
    bias = frequencies.logit().requires_grad_()
    optimiser = torch.optim.Adam([weights, bias], lr=_RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.long)
    for step in range(STEPS):
        while len(order) < min(_BATCH, len(x)):
            order = torch.cat([order, torch.randperm(len(x), generator=generator)])
        rows, order = order[:_BATCH].to(device), order[_BATCH:]
        logits = torch.addmm(bias, x[rows], weights.T)
        loss = functional.binary_cross_entropy_with_logits(logits, y[rows].float(), reduction="sum")
        optimiser.zero_grad()
        (loss / len(rows) + penalty / 2 * weights.square().sum()).backward()
        optimiser.step()
        falling.step()
        progress(step + 1, STEPS)
    slopes = weights.detach().cpu().numpy() / scale
    return Probe(weights=slopes, bias=bias.detach().cpu().numpy() - slopes @ centre)
