"""Images a second of concept training, beside a plain loop over the same JPEGs in the same call.

    python benchmarks/bench_training.py [--steps 60] [--batch 256] [--labels 1947] [--compile]

Ours is the loop of `rocov2-baselines train`: a uint8 memory map, augmentation on the device, channels
last, bfloat16 where the device has it. The plain loop has the same network and loss, a DataLoader whose
workers decode each JPEG with Pillow and cut it at random, and reads the loss at every step. Networks have
random weights: on a GPU EfficientNet-B0 at 224 and V2-S at 300 pixels, on a CPU the nano one at 64.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import steps
import torch
from measure import machine, table
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from baselines.concepts import ConceptDetection, DecisionOptions, Labelled, LossOptions, NetworkOptions
from baselines.data.augment import AugmentOptions
from baselines.data.cache import PictureCache, open_cache
from baselines.models.efficientnet import SPECS, EfficientNet
from baselines.training.loop import TrainingOptions
from baselines.training.runtime import Runtime, opened

CASES: Mapping[str, tuple[tuple[str, int, int], ...]] = {  # network, pixels it sees, pixels decoded
    "cuda": (("efficientnet_b0", 224, 256), ("tf_efficientnetv2_s", 300, 320)),
    "cpu": (("nano", 64, 72),),
}
PICTURES: Mapping[str, int] = {"cuda": 4096, "cpu": 256}
CONCEPTS = 4  # an image, about the mean of ROCOv2
SOURCE = (600, 500)  # pixels of a JPEG, about the median of ROCOv2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, help="256 on a GPU, 16 on a CPU")
    parser.add_argument("--labels", type=int, default=1947)
    parser.add_argument("--compile", action="store_true")
    chosen = parser.parse_args()
    rows = []
    with opened("auto", "auto") as runtime, tempfile.TemporaryDirectory() as path:
        kind = runtime.device.type
        batch = chosen.batch or (256 if kind == "cuda" else 16)
        files = draw(Path(path), PICTURES[kind])
        print(f"{steps.device_name(runtime.device)}; {machine()}\n{len(files)} JPEGs, batches of {batch}\n")
        for network, size, side in CASES[kind]:
            cache = open_cache(files, Path(path) / f"cache{side}", side, workers=os.cpu_count() or 1)
            objective = concept_objective(network, size, cache, chosen.labels)
            options = TrainingOptions(batch=batch, compile=chosen.compile)
            ours = steps.ours(objective, options, runtime, chosen.steps)
            theirs = plain_loop(network, size, files, chosen.labels, batch, chosen.steps, runtime)
            name = f"{network} at {size}"
            rows += [steps.row(name, "plain loop", theirs, theirs), steps.row(name, "ours", ours, theirs)]
    print(table(["network", "loop", "images/s", "waiting for data", "GPU memory", "faster"], rows))


def draw(folder: Path, n: int) -> list[tuple[str, Path]]:
    """Write n grey JPEGs of smooth noise; return ids and files."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(n):
        coarse = rng.integers(0, 256, (SOURCE[1] // 20, SOURCE[0] // 20), dtype=np.uint8)
        path = folder / f"image_{number}.jpg"
        Image.fromarray(coarse).resize(SOURCE, Image.Resampling.BICUBIC).save(path, quality=90)
        files.append((path.stem, path))
    return files


def concept_objective(network: str, size: int, cache: PictureCache, labels: int) -> ConceptDetection:
    """Return the objective of concept detection on concepts drawn at random."""
    names = [f"C{number:07}" for number in range(labels)]
    drawn = np.random.default_rng(0).integers(0, labels, (len(cache), CONCEPTS))
    concepts = [[names[label] for label in sorted(set(image))] for image in drawn.tolist()]
    concepts[0] = names  # so that there are as many labels as asked for
    labelled = Labelled(pictures=cache, concepts=concepts)
    options = NetworkOptions(spec=network, size=size)
    return ConceptDetection(
        options, LossOptions(), AugmentOptions(), DecisionOptions(), labelled, labelled, {}
    )


class Jpegs(Dataset):  # type: ignore[misc]
    """JPEGs decoded one by one and cut at random, with targets drawn at random."""

    def __init__(self, files: list[tuple[str, Path]], size: int, labels: int) -> None:
        self._files, self._size, self._labels = files, size, labels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        left, up, right, down = *np.random.default_rng(index).integers(0, 60, 2), *SOURCE
        with Image.open(self._files[index][1]) as image:
            cut = image.convert("RGB").resize((self._size, self._size), box=(left, up, right, down))
        pixels = torch.from_numpy(np.array(cut)).permute(2, 0, 1).float() / 127.5 - 1
        targets = torch.zeros(self._labels)
        targets[index % self._labels] = 1
        return pixels, targets


def plain_loop(  # noqa: PLR0917  what main has
    network: str,
    size: int,
    files: list[tuple[str, Path]],
    labels: int,
    batch: int,
    count: int,
    runtime: Runtime,
) -> steps.Rate:
    """Train the same network as a first draft would."""
    device = runtime.device
    model = EfficientNet(SPECS[network], labels).to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(
        Jpegs(files, size, labels),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        pin_memory=device.type == "cuda",
        persistent_workers=True,
    )
    endless = itertools.chain.from_iterable(itertools.repeat(loader))

    def step(fetched: Any) -> None:  # noqa: ANN401  torch is Any
        pixels, targets = (each.to(device, non_blocking=True) for each in fetched)
        with runtime.autocast():
            logits = model(pixels)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
        optimiser.zero_grad()
        mean = loss.sum(1).mean()
        mean.backward()
        optimiser.step()
        mean.item()

    return steps.plain(lambda: next(endless), step, batch, count, device)


if __name__ == "__main__":
    main()
