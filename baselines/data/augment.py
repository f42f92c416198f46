"""Decoded pictures into what a network takes: cropped, turned and lit anew, on the device, in plain torch.

Everything random comes from one generator, for the whole batch at once, so that processes which share a
batch see together exactly what one process sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch.nn import functional

from baselines.bounds import BelowOne, Probability

_DRAWS = 8  # random numbers a picture: area, turn, shift (2), brightness, contrast, flips (2)


class AugmentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How pictures are varied in training.

    Attributes:
        crop: Smallest share of the area that a square crop keeps; 1 keeps all of it.
        rotation: Largest turn in degrees, either way.
        brightness: Largest relative change of all levels, either way.
        contrast: Largest relative change of the distances from the mean level, either way.
        flip_horizontal: Probability of mirroring left and right. 0 because laterality and the direction of an
            X-ray are concepts and stand in captions: a mirrored picture would contradict its labels.
        flip_vertical: Probability of turning upside down; 0 because no radiology picture comes that way.
    """

    crop: Annotated[float, Meta(gt=0, le=1)] = 0.6
    rotation: Annotated[float, Meta(ge=0, le=180)] = 10.0
    brightness: BelowOne = 0.2
    contrast: BelowOne = 0.2
    flip_horizontal: Probability = 0.0
    flip_vertical: Probability = 0.0


def augment(  # noqa: PLR0917  pictures, size, how, and the normalisation as in `centre`
    batch: torch.Tensor,
    size: int,
    options: AugmentOptions,
    generator: torch.Generator,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    rank: int = 0,
    world: int = 1,
) -> torch.Tensor:
    """Return a batch varied at random and normalised.

    Args:
        batch: Pixels, uint8 of shape (b, side, side, 3).
        size: Height and width of the result in pixels; may differ from those of the batch.
        options: How much the pictures are varied.
        generator: Source of all random numbers, on any device; one on the CPU draws the same everywhere.
        mean: Mean of each channel, for levels from 0 to 1; it is subtracted.
        std: Standard deviation of each channel, which the levels are divided by.
        rank: This process draws for the whole batch and takes every world-th picture from here on, as
            `order.shard` does.
        world: Number of processes that share the batch.

    Returns:
        float32, shape (b, 3, size, size), channels last in memory.
    """
    count = len(batch) * world
    drawn = torch.rand(count, _DRAWS, generator=generator, device=generator.device)
    drawn = drawn[rank::world].to(batch.device)
    pictures = _shrunk(levels(batch), size / math.sqrt(options.crop))
    shape = [len(batch), pictures.shape[1], size, size]
    grid = functional.affine_grid(_affine(drawn, options), shape, align_corners=False)
    pictures = functional.grid_sample(pictures, grid, padding_mode="zeros", align_corners=False)
    return normalised(_relit(pictures, drawn, options), mean, std)


def centre(batch: torch.Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Return a batch at its whole extent and normalised, with nothing random; as `augment` otherwise."""
    pictures = levels(batch)
    if pictures.shape[-1] != size:
        pictures = functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)
    return normalised(pictures, mean, std)


def levels(batch: torch.Tensor) -> torch.Tensor:
    """Return levels from 0 to 1, shape (b, 3, side, side), channels last as the batch lies in memory."""
    return batch.permute(0, 3, 1, 2).to(torch.float32) / 255


def normalised(pictures: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Return levels from 0 to 1, shape (b, 3, s, s), as a network takes them, channels last in memory."""
    centres, spreads = (pictures.new_tensor(values).reshape(1, -1, 1, 1) for values in (mean, std))
    return ((pictures - centres) / spreads).contiguous(memory_format=torch.channels_last)


def _shrunk(pictures: torch.Tensor, wanted: float) -> torch.Tensor:
    """Return pictures averaged down to no less than the side wanted: sampling them at points would alias."""
    factor = int(pictures.shape[-1] // wanted)
    return functional.avg_pool2d(pictures, factor) if factor > 1 else pictures


def _affine(drawn: torch.Tensor, options: AugmentOptions) -> torch.Tensor:
    """Return the matrices that lead from the result to the picture, shape (b, 2, 3)."""
    scale = (options.crop + (1 - options.crop) * drawn[:, 0]).sqrt()
    angle = math.radians(options.rotation) * (2 * drawn[:, 1] - 1)
    shift = (1 - scale)[:, None] * (
        2 * drawn[:, 2:4] - 1
    )  # the crop stays inside, but for its turned corners
    right = torch.where(drawn[:, 4] < options.flip_horizontal, -scale, scale)
    down = torch.where(drawn[:, 5] < options.flip_vertical, -scale, scale)
    cosine, sine = angle.cos(), angle.sin()
    rows = (right * cosine, -down * sine, shift[:, 0], right * sine, down * cosine, shift[:, 1])
    return torch.stack(rows, 1).reshape(-1, 2, 3)


def _relit(pictures: torch.Tensor, drawn: torch.Tensor, options: AugmentOptions) -> torch.Tensor:
    brightness = 1 + options.brightness * (2 * drawn[:, 6] - 1)
    contrast = 1 + options.contrast * (2 * drawn[:, 7] - 1)
    middle = pictures.mean((1, 2, 3), keepdim=True)
    varied = (pictures - middle) * contrast[:, None, None, None] + middle
    return (varied * brightness[:, None, None, None]).clamp(0, 1)
