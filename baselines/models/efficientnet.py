"""EfficientNet in one file: B0, Lite0, V2-S and V2-M as published, and two small networks of our own.

An image becomes one logit for each class. Names and shapes of all parameters are those of timm 1.0.31, so
that its weights load strictly; given the same weights, the outputs are equal to the last bit.

    conv_stem, bn1        3x3, stride 2
    blocks.S.B            stage S, block B; only the first block of a stage has a stride
    conv_head, bn2        1x1
    classifier            linear, on the mean over the image

Sources: Tan and Le, EfficientNet, arXiv 1905.11946, table 1; EfficientNetV2, arXiv 2104.00298, table 4 (S);
the sizes of M are those of timm. Lite0 is B0 without squeezes and with ReLU6. The `tf_` networks keep two
habits of TensorFlow, because their weights were trained with them: padding on the right and bottom first, and
a larger epsilon in the normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

SpecName = Literal[
    "nano",
    "plain",
    "efficientnet_b0",
    "tf_efficientnet_b0",
    "tf_efficientnet_lite0",
    "tf_efficientnetv2_s",
    "tf_efficientnetv2_m",
]

SQUEEZE = 4  # input channels of a block per channel of its squeeze-and-excitation


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Blocks of one kind, one after another.

    Attributes:
        block: Key of `BLOCKS`.
        repeats: Number of blocks.
        kernel: Side of the spatial convolution.
        stride: Stride of the first block.
        expansion: Inner channels per input channel.
        channels: Channels of the output.
        squeezes: Whether the blocks weight their channels by squeeze-and-excitation.
    """

    block: Literal["plain", "depthwise", "fused", "inverted"]
    repeats: int
    kernel: int = 3
    stride: int
    expansion: int = 1
    channels: int
    squeezes: bool = False


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The shape of one network.

    Attributes:
        name: Name of the network in timm, where timm has it.
        stem: Channels of the first convolution.
        stages: Stages from the image to the top.
        head: Channels that the classifier sees.
        side: Pixels of the square images it was made for.
        pads_late: Whether convolutions with a stride pad as TensorFlow does, the odd pixel right and below.
        epsilon: Added to the variance by the batch normalisation.
        activation: Key of `ACTIVATIONS`.
    """

    name: str
    stem: int
    stages: tuple[Stage, ...]
    head: int
    side: int
    pads_late: bool = False
    epsilon: float = 1e-5
    activation: Literal["silu", "relu6"] = "silu"


class EfficientNet(nn.Module):
    """Images, float32 of shape (batch, 3, height, width), into logits of shape (batch, classes)."""

    def __init__(self, spec: Spec, classes: int, *, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        """Build a network with random weights.

        Args:
            spec: Shape of the network.
            classes: Columns of the output.
            dropout: Share of the pooled features that training leaves out.
            drop_path: How often training skips the last block; it grows linearly from 0 at the first.
        """
        super().__init__()
        self.spec = spec
        self.dropout = dropout
        self.activate = ACTIVATIONS[spec.activation]
        self.conv_stem = _convolution(spec, 3, spec.stem, 3, stride=2)
        self.bn1 = _norm(spec, spec.stem)
        self.blocks = nn.Sequential()
        n_blocks, built, width = sum(stage.repeats for stage in spec.stages), 0, spec.stem
        for stage in spec.stages:
            blocks = nn.Sequential()
            for index in range(stage.repeats):
                stride = stage.stride if index == 0 else 1
                blocks.append(BLOCKS[stage.block](spec, stage, width, stride, drop_path * built / n_blocks))
                built, width = built + 1, stage.channels
            self.blocks.append(blocks)
        self.conv_head = _convolution(spec, width, spec.head, 1)
        self.bn2 = _norm(spec, spec.head)
        self.classifier = nn.Linear(spec.head, classes)
        self.apply(_initialise)

    def places(self, images: torch.Tensor) -> torch.Tensor:
        """Return what is seen at each place, shape (batch, head, rows, columns)."""
        x = self.activate(self.bn1(self.conv_stem(images)))
        x = self.blocks(x)
        return self.activate(self.bn2(self.conv_head(x)))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the classifier sees, shape (batch, head)."""
        return self.places(images).mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        pooled = functional.dropout(self.features(images), self.dropout, self.training)
        return self.classifier(pooled)


class Plain(nn.Module):
    """One convolution. The first stage of V2."""

    def __init__(self, spec: Spec, stage: Stage, width: int, stride: int, drop_path: float) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[spec.activation]
        self.conv = _convolution(spec, width, stage.channels, stage.kernel, stride=stride)
        self.bn1 = _norm(spec, stage.channels)
        self.shortcut = Shortcut(stage, width, stride, drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep or halve height and width."""
        return self.shortcut(x, self.activate(self.bn1(self.conv(x))))


class Depthwise(nn.Module):
    """A convolution of each channel by itself, then of all at each pixel. The first stage of B0."""

    def __init__(self, spec: Spec, stage: Stage, width: int, stride: int, drop_path: float) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[spec.activation]
        self.conv_dw = _convolution(spec, width, width, stage.kernel, stride=stride, groups=width)
        self.bn1 = _norm(spec, width)
        self.se = Squeeze(width, width) if stage.squeezes else nn.Identity()
        self.conv_pw = _convolution(spec, width, stage.channels, 1)
        self.bn2 = _norm(spec, stage.channels)
        self.shortcut = Shortcut(stage, width, stride, drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep or halve height and width."""
        y = self.se(self.activate(self.bn1(self.conv_dw(x))))
        return self.shortcut(x, self.bn2(self.conv_pw(y)))


class Fused(nn.Module):
    """A full convolution that widens, and one that narrows. Early in V2, where depthwise ones are slow."""

    def __init__(self, spec: Spec, stage: Stage, width: int, stride: int, drop_path: float) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[spec.activation]
        inner = width * stage.expansion
        self.conv_exp = _convolution(spec, width, inner, stage.kernel, stride=stride)
        self.bn1 = _norm(spec, inner)
        self.se = Squeeze(width, inner) if stage.squeezes else nn.Identity()
        self.conv_pwl = _convolution(spec, inner, stage.channels, 1)
        self.bn2 = _norm(spec, stage.channels)
        self.shortcut = Shortcut(stage, width, stride, drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep or halve height and width."""
        y = self.se(self.activate(self.bn1(self.conv_exp(x))))
        return self.shortcut(x, self.bn2(self.conv_pwl(y)))


class Inverted(nn.Module):
    """Widen, convolve each channel by itself, narrow: the block of MobileNetV2."""

    def __init__(self, spec: Spec, stage: Stage, width: int, stride: int, drop_path: float) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[spec.activation]
        inner = width * stage.expansion
        self.conv_pw = _convolution(spec, width, inner, 1)
        self.bn1 = _norm(spec, inner)
        self.conv_dw = _convolution(spec, inner, inner, stage.kernel, stride=stride, groups=inner)
        self.bn2 = _norm(spec, inner)
        self.se = Squeeze(width, inner) if stage.squeezes else nn.Identity()
        self.conv_pwl = _convolution(spec, inner, stage.channels, 1)
        self.bn3 = _norm(spec, stage.channels)
        self.shortcut = Shortcut(stage, width, stride, drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep or halve height and width."""
        y = self.activate(self.bn1(self.conv_pw(x)))
        y = self.se(self.activate(self.bn2(self.conv_dw(y))))
        return self.shortcut(x, self.bn3(self.conv_pwl(y)))


class Squeeze(nn.Module):
    """Squeeze-and-excitation: weight each channel by what is in all of them. arXiv 1709.01507."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(inner, width // SQUEEZE, 1)
        self.conv_expand = nn.Conv2d(width // SQUEEZE, inner, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the shape."""
        narrow = functional.silu(self.conv_reduce(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.conv_expand(narrow))


class Shortcut(nn.Module):
    """Add the input of a block to its output, where both have one shape; has no weights of its own."""

    def __init__(self, stage: Stage, width: int, stride: int, drop_path: float) -> None:
        super().__init__()
        self.is_open = stride == 1 and width == stage.channels
        self.drop_path = drop_path

    def forward(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Return the sum; in training some images of the batch skip the block. arXiv 1603.09382."""
        if not self.is_open:
            return after
        if self.training and self.drop_path:
            keeps = 1 - self.drop_path
            drawn = after.new_empty((len(after), 1, 1, 1)).bernoulli_(keeps)
            after = after * drawn / keeps
        return before + after


class LatePadding(nn.Conv2d):
    """A convolution whose output is the input over the stride, rounded up: TensorFlow's SAME padding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        rows, columns = (
            max((math.ceil(length / step) - 1) * step + side - length, 0)
            for length, step, side in zip(x.shape[2:], self.stride, self.kernel_size, strict=True)
        )
        edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return functional.conv2d(functional.pad(x, edges), self.weight, None, self.stride, 0, 1, self.groups)


def _convolution(
    spec: Spec, width: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution without bias, as a normalisation follows each."""
    if spec.pads_late and stride > 1:
        return LatePadding(width, channels, kernel, stride, groups=groups, bias=False)
    return nn.Conv2d(width, channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def _norm(spec: Spec, channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=spec.epsilon)


def _initialise(module: nn.Module) -> None:
    """Draw weights as the authors do: convolutions by fan-out, the classifier within 1 / sqrt(classes)."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = 1 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)


def _inverted(
    repeats: int, kernel: int, stride: int, expansion: int, channels: int, *, squeezes: bool = True
) -> Stage:
    return Stage(
        block="inverted",
        repeats=repeats,
        kernel=kernel,
        stride=stride,
        expansion=expansion,
        channels=channels,
        squeezes=squeezes,
    )


def _fused(repeats: int, channels: int) -> Stage:
    return Stage(block="fused", repeats=repeats, stride=2, expansion=4, channels=channels)


ACTIVATIONS: Mapping[str, Any] = {"silu": functional.silu, "relu6": functional.relu6}
BLOCKS: Mapping[str, Any] = {
    "plain": Plain,
    "depthwise": Depthwise,
    "fused": Fused,
    "inverted": Inverted,
}

_B0 = (
    Stage(block="depthwise", repeats=1, stride=1, channels=16, squeezes=True),
    _inverted(2, 3, 2, 6, 24),
    _inverted(2, 5, 2, 6, 40),
    _inverted(3, 3, 2, 6, 80),
    _inverted(3, 5, 1, 6, 112),
    _inverted(4, 5, 2, 6, 192),
    _inverted(1, 3, 1, 6, 320),
)
_LITE0 = (
    Stage(block="depthwise", repeats=1, stride=1, channels=16),
    _inverted(2, 3, 2, 6, 24, squeezes=False),
    _inverted(2, 5, 2, 6, 40, squeezes=False),
    _inverted(3, 3, 2, 6, 80, squeezes=False),
    _inverted(3, 5, 1, 6, 112, squeezes=False),
    _inverted(4, 5, 2, 6, 192, squeezes=False),
    _inverted(1, 3, 1, 6, 320, squeezes=False),
)
_V2_S = (
    Stage(block="plain", repeats=2, stride=1, channels=24),
    _fused(4, 48),
    _fused(4, 64),
    _inverted(6, 3, 2, 4, 128),
    _inverted(9, 3, 1, 6, 160),
    _inverted(15, 3, 2, 6, 256),
)
_V2_M = (
    Stage(block="plain", repeats=3, stride=1, channels=24),
    _fused(5, 48),
    _fused(5, 80),
    _inverted(7, 3, 2, 4, 160),
    _inverted(14, 3, 1, 6, 176),
    _inverted(18, 3, 2, 6, 304),
    _inverted(5, 3, 1, 6, 512),
)
# For images of 64 to 128 pixels: four halvings instead of five, and no wide top.
_NANO = (
    Stage(block="plain", repeats=1, stride=1, channels=16),
    _fused(2, 32),
    _fused(2, 48),
    _inverted(3, 3, 2, 4, 80),
    _inverted(3, 3, 1, 4, 96),
)

# The same halvings with one full convolution each: as good on sources never seen, in half the time.
_PLAIN = (
    Stage(block="plain", repeats=1, stride=2, channels=64),
    Stage(block="plain", repeats=1, stride=2, channels=128),
    Stage(block="plain", repeats=1, stride=2, channels=256),
)

SPECS: Mapping[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(name="nano", stem=16, stages=_NANO, head=384, side=96),
        Spec(name="plain", stem=32, stages=_PLAIN, head=256, side=64),
        Spec(name="efficientnet_b0", stem=32, stages=_B0, head=1280, side=224),
        Spec(
            name="tf_efficientnet_b0",
            stem=32,
            stages=_B0,
            head=1280,
            side=224,
            pads_late=True,
            epsilon=1e-3,
        ),
        Spec(
            name="tf_efficientnet_lite0",
            stem=32,
            stages=_LITE0,
            head=1280,
            side=224,
            pads_late=True,
            epsilon=1e-3,
            activation="relu6",
        ),
        Spec(
            name="tf_efficientnetv2_s",
            stem=24,
            stages=_V2_S,
            head=1280,
            side=300,
            pads_late=True,
            epsilon=1e-3,
        ),
        Spec(
            name="tf_efficientnetv2_m",
            stem=24,
            stages=_V2_M,
            head=1280,
            side=384,
            pads_late=True,
            epsilon=1e-3,
        ),
    )
}
