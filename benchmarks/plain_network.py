"""The row to beat: a plain network of four convolutions, trained as a first lesson would train it.

Usage: python benchmarks/plain_network.py DATA OUT.csv [--seed 0] [--epochs 12]

DATA is a dataset folder with the splits train, valid and test; OUT.csv is the run of the test split. Adam
at 1e-3 and binary cross-entropy; nothing is varied, warmed up or averaged. The decision rule is that of the
recipes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from baselines import decisions
from baselines.concepts import frequent_labels
from baselines.data.augment import levels
from baselines.data.cache import open_cache
from baselines.data.dataset import read_examples
from baselines.data.labels import label_matrix
from rocov2_eval.shelf.csv_files import write_csv

SIDE, BATCH, RATE = 64, 32, 1e-3


def answer(data: Path, out: Path, cache: Path, *, seed: int = 0, epochs: int = 12) -> None:
    """Train on a dataset folder, and write the run of its test split."""
    torch.manual_seed(seed)
    examples = {name: read_examples(data, name, ("concepts",)) for name in ("train", "valid", "test")}
    pictures = {
        name: open_cache(each.named_files, cache / f"{data.name}-{name}-plain", SIDE).images
        for name, each in examples.items()
    }
    labels = frequent_labels(examples["train"].concepts or (), 1)
    truth = {name: label_matrix(each.concepts or (), labels) for name, each in examples.items()}
    model = plain_network(len(labels))
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    targets = torch.from_numpy(truth["train"][0].astype(np.float32))
    for _ in range(epochs):
        for rows in torch.randperm(len(targets)).split(BATCH):
            shown = levels(torch.from_numpy(pictures["train"][rows.numpy()]))
            loss = nn.functional.binary_cross_entropy_with_logits(model(shown), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval()
    with torch.inference_mode():
        found = {
            name: model(levels(torch.from_numpy(np.array(pictures[name])))).sigmoid().double().numpy()
            for name in ("valid", "test")
        }
    decision = decisions.fit(found["valid"], truth["valid"][0], outside=truth["valid"][1])
    cells = decisions.concept_cells(decisions.decide(found["test"], decision), labels)
    write_csv(out, ("ID", "CUIs"), list(zip(examples["test"].ids, cells, strict=True)))


def plain_network(classes: int, widths: tuple[int, ...] = (32, 64, 128, 256)) -> nn.Sequential:
    """Return four convolutions, each with normalisation, ReLU and a halving, the mean, and a linear layer."""
    layers: list[nn.Module] = []
    for before, width in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    answer(given.data, given.out, given.out.parent / "cache", seed=given.seed, epochs=given.epochs)
