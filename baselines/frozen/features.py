"""What a frozen network sees of pictures, as one vector a picture; computed once.

Beside the decoded pictures of a split lie the vectors that a network has made of them:

cache/<split>/features/<digest>/
  00000.safetensors   vectors of 1,024 pictures; the header has SHA-256 sums of pixels and vectors

The digest is of the weights, the size and the precision. A shard counts while both of its sums hold, any
other one is computed again: so a kill, a damaged file and a changed picture all end in the same vectors, and
recipes with the same network and the same pictures share them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from baselines.bounds import Count
from baselines.classifiers import named_network
from baselines.data.augment import centre
from baselines.data.cache import BLOCK, PictureCache
from baselines.frozen.neighbours import Features
from baselines.models.pretrained import lasting
from baselines.models.vision import VisionEncoder, open_vision
from baselines.models.weights import HEAD, Normalisation
from baselines.training import checkpoint
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.parsing import json_bytes
from rocov2_eval.shelf.pictures import PixelArray
from rocov2_eval.shelf.progress import Progress, silent

FROZEN = "frozen.json"  # of a run folder: what sees the pictures, and how they are answered for
NOTHING, PIXELS = "nothing", "pixels"
_REVISION = 1  # raised whenever the same pictures and weights give other vectors
_SHARD = 8 * BLOCK  # pictures
_AT_ONCE = 32  # pictures that a network sees together: more are slower on a CPU
_SIDE = 16  # of a thumbnail
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class FeatureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What sees the pictures.

    Attributes:
        encoder: A vision encoder of transformers by its name on the Hub or its folder; the folder of a run of
            concept detection; an EfficientNet of timm such as `timm/efficientnet_b0.ra_in1k`; `pixels` for
            thumbnails; `nothing` for the same answer to every picture.
        size: Height and width in pixels of what a network sees; 0 for what it was trained on.
    """

    encoder: str = "facebook/dinov2-base"
    size: Count = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What turns pictures into vectors.

    Attributes:
        options: What sees the pictures, a folder by its full path.
        network: Normalised pixels, shape (b, 3, size, size), to vectors, shape (b, width); None if no
            network sees them.
        look: How pictures must look for the network.
        digest: SHA-256 of its weights.
    """

    options: FeatureOptions
    network: Any = None
    look: Normalisation | None = None
    digest: str = ""

    @property
    def licences(self) -> dict[str, str]:
        """The licence of the network, by its name."""
        return {self.options.encoder: self.look.licence} if self.look else {}

    def vectors(
        self,
        pictures: PictureCache,
        device: Any,  # noqa: ANN401  torch is Any
        progress: Progress = silent,
    ) -> Features:
        """Return the vectors of all pictures of a split, shape (n, width).

        Args:
            pictures: Decoded pictures; the vectors are kept beside them.
            device: Where the network sees them.
            progress: Called with the number of pictures seen and of all.

        Raises:
            RejectedInput: A vector is not finite.
        """
        if self.network is None:
            return thumbnails(pictures.images) if self.options.encoder == PIXELS else _nothing(pictures)
        is_half = torch.is_autocast_enabled(torch.device(device).type)
        facts = [self.digest, self.options.size, "bf16" if is_half else "fp32", _REVISION]
        total = len(pictures)
        folder = pictures.folder / "features" / hashlib.sha256(json_bytes(facts)).hexdigest()[:16]
        self.network.to(device)
        parts = []
        for number, start in enumerate(range(0, total, _SHARD)):
            path = folder / f"{number:05}.safetensors"
            sums = pictures.sums[number * _SHARD // BLOCK : (number + 1) * _SHARD // BLOCK]
            pixels = hashlib.sha256("\n".join(sums).encode()).hexdigest()
            part = _kept(path, pixels)
            if part is None:
                part = self._seen(pictures, start, device, progress)
                header = {"pixels": pixels, "vectors": _sum(part)}
                checkpoint.write(path, {"vectors": torch.from_numpy(part)}, header)
            parts.append(part)
        progress(total, total)
        return np.concatenate(parts)

    def _seen(self, pictures: PictureCache, first: int, device: Any, progress: Progress) -> Features:  # noqa: ANN401
        """Return the vectors of the shard that begins with a row."""
        assert self.look is not None, "a network has one"
        end, rows = min(first + _SHARD, len(pictures)), []
        with torch.inference_mode():
            for start in range(first, end, _AT_ONCE):
                part = torch.from_numpy(np.array(pictures.images[start : min(start + _AT_ONCE, end)])).to(
                    device
                )
                seen = self.network(centre(part, self.options.size, self.look.mean, self.look.std))
                rows.append(seen.float().cpu().numpy())
                progress(start + len(part), len(pictures))
        found: Features = np.concatenate(rows)
        if not np.isfinite(found).all():
            raise RejectedInput(
                f"{self.options.encoder}: the vector of a picture is not finite; use other weights, or "
                "--device cpu"
            )
        return found


def open_sight(options: FeatureOptions) -> Sight:
    """Return what sees the pictures.

    Raises:
        UsageFault: There is no such network.
        MissingResource: Weights or transformers are not on this disk.
        RejectedInput: The weights do not fit.
    """
    if options.encoder in (NOTHING, PIXELS):
        return Sight(options=options)
    network, look, encoder = _opened(options)
    size = options.size or look.size
    return Sight(
        options=FeatureOptions(encoder=encoder, size=size),
        network=network,
        look=look,
        digest=_digest(network),
    )


def reopened(options: FeatureOptions, digest: str, folder: Path) -> Sight:
    """Return what saw the pictures of a run.

    Args:
        options: `Sight.options` of then.
        digest: `Sight.digest` of then.
        folder: The run folder, for messages.

    Raises:
        MissingResource: Weights are not on this disk.
        RejectedInput: They are others than they were: their vectors would be compared with vectors of others.
    """
    sight = open_sight(options)
    if sight.digest != digest:
        raise RejectedInput(
            f"{folder}: made with other weights of {options.encoder}: their SHA-256 is {digest[:12]}, "
            f"found {sight.digest[:12]}; restore those weights, or train the run again"
        )
    return sight


def thumbnails(images: PixelArray) -> Features:
    """Return pictures as small grey ones about their mean, so that it does not count how light they are.

    Args:
        images: Decoded pictures, shape (n, height, width, 3); 16 pixels or more high and wide.

    Returns:
        Shape (n, 256).

    Raises:
        RejectedInput: The pictures are smaller.
    """
    height, width = images.shape[1:3]
    if min(height, width) < _SIDE:
        raise RejectedInput(f"pictures of {height}x{width} pixels, expected {_SIDE} or more")
    rows, columns = (np.arange(_SIDE) * length // _SIDE for length in (height, width))
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width)) * np.float32(255)
    small = np.empty((len(images), _SIDE * _SIDE), np.float32)
    for i in range(0, len(images), _AT_ONCE):
        grey = images[i : i + _AT_ONCE].astype(np.float32) @ _LUMA
        sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
        small[i : i + _AT_ONCE] = (sums / areas).reshape(len(grey), -1)
    about: Features = small - small.mean(axis=1, keepdims=True)
    return about


class _Whole(torch.nn.Module):
    """A vision encoder that gives the vector of the whole picture alone."""

    def __init__(self, encoder: VisionEncoder) -> None:
        super().__init__()
        self.encoder = encoder.eval()

    def forward(self, pixels: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return one vector a picture."""
        return self.encoder(pixels)[0]


class _Headless(torch.nn.Module):
    """A network that classifies pictures and gives what its last layer sees."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401  torch is Any
        super().__init__()
        self.network = network.eval()
        self._seen: Any = None
        *_, last = (layer for layer in network.modules() if isinstance(layer, torch.nn.Linear))
        last.register_forward_pre_hook(self._see)

    def forward(self, pixels: Any) -> Any:  # noqa: ANN401  torch is Any
        """Return one vector a picture."""
        self.network(pixels)
        return self._seen

    def _see(self, _layer: Any, given: tuple[Any, ...]) -> None:  # noqa: ANN401  torch is Any
        (self._seen,) = given


def _opened(options: FeatureOptions) -> tuple[torch.nn.Module, Normalisation, str]:
    """Return a network without its head, how pictures must look for it, and its name for good."""
    name = options.encoder
    if classifies := named_network(name):
        network, look = classifies
        return _Headless(network), look, lasting(name)
    if find_spec("transformers") is None:
        raise MissingResource(f"transformers is not installed: {install_command('baselines')}")
    encoder, look = open_vision(name, options.size)
    return _Whole(encoder), look, lasting(name)


def _digest(network: torch.nn.Module) -> str:
    """Return the SHA-256 of all weights but those of the head, which no vector depends on."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if HEAD not in name:
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(checkpoint.raw(tensor))
    return found.hexdigest()


def _kept(path: Path, pixels: str) -> Features | None:
    """Return the vectors of a shard; None if they are absent, damaged or of other pictures."""
    try:
        tensors, header = checkpoint.read(path)
    except (MissingResource, RejectedInput):
        return None
    if "vectors" not in tensors or header.get("pixels") != pixels:
        return None
    vectors: Features = tensors["vectors"].numpy()
    return vectors if header.get("vectors") == _sum(vectors) else None


def _sum(vectors: Features) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()


def _nothing(pictures: PictureCache) -> Features:
    return np.zeros((len(pictures), 0), np.float32)
