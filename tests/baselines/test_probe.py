"""A linear probe is the logistic regression that it says it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from baselines.frozen import probe
from baselines.frozen.neighbours import Features
from baselines.frozen.probe import Probe, fit_probe
from rocov2_eval.errors import RejectedInput
from rocov2_eval.records import BoolArray

PENALTY = 0.01


@pytest.fixture(scope="module")
def taught() -> tuple[Features, BoolArray]:
    """Return 300 vectors of width 6, one number of which is constant, and three labels."""
    generator = np.random.default_rng(5)
    vectors = generator.standard_normal((300, 6)).astype(np.float32) * [1, 5, 0.1, 1, 1, 0] + 3
    logits = (vectors - 3) @ generator.standard_normal((6, 3)) + [0, -2, 1]
    return vectors.astype(np.float32), generator.random((300, 3)) < 1 / (1 + np.exp(-logits))


def loss(found: Probe, vectors: Features, truth: BoolArray) -> float:
    logits = torch.from_numpy(vectors @ found.weights.T + found.bias)
    each = functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(truth).float(), reduction="sum"
    )
    return float(each / len(vectors)) + PENALTY / 2 * float(((found.weights * vectors.std(0)) ** 2).sum())


def exact(vectors: Features, truth: BoolArray) -> Probe:
    """Return the minimum, by a search of second order in float64."""
    scale = np.maximum(vectors.std(0), 1e-6)
    x = torch.from_numpy(((vectors - vectors.mean(0)) / scale).astype(np.float64))
    y = torch.from_numpy(truth.astype(np.float64))
    w = torch.zeros(truth.shape[1], vectors.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(truth.shape[1], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        search.zero_grad()
        each = functional.binary_cross_entropy_with_logits(x @ w.T + b, y, reduction="sum") / len(x)
        value = each + PENALTY / 2 * w.square().sum()
        value.backward()
        return value

    search.step(step)
    slopes = w.detach().numpy() / scale
    return Probe(weights=slopes, bias=b.detach().numpy() - slopes @ vectors.mean(0))


def test_a_probe_has_the_smallest_loss(taught: tuple[Features, BoolArray]) -> None:
    ours, best = fit_probe(*taught, PENALTY), exact(*taught)
    assert loss(best, *taught) == pytest.approx(loss(ours, *taught), abs=1e-4)
    given = taught[0]
    np.testing.assert_allclose(
        ours.probabilities(given, "cpu"), 1 / (1 + np.exp(-(given @ best.weights.T + best.bias))), atol=0.01
    )


def test_batches_end_near_the_same_loss(
    taught: tuple[Features, BoolArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_BATCH", 64)
    assert loss(exact(*taught), *taught) == pytest.approx(
        loss(fit_probe(*taught, PENALTY), *taught), abs=5e-3
    )


def test_the_same_seed_gives_the_same_probe(taught: tuple[Features, BoolArray]) -> None:
    one, other = (fit_probe(*taught, PENALTY, seed=1) for _ in range(2))
    np.testing.assert_array_equal(one.weights, other.weights)


def test_a_large_penalty_leaves_the_frequencies(taught: tuple[Features, BoolArray]) -> None:
    found = fit_probe(*taught, 1e4).probabilities(taught[0], "cpu")
    np.testing.assert_allclose(found, np.tile(taught[1].mean(0), (300, 1)), atol=0.02)


def test_without_training_images_there_is_no_probe() -> None:
    with pytest.raises(RejectedInput, match="no training image"):
        fit_probe(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.bool_), PENALTY)
