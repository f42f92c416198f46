"""Models that read two texts as one sequence and give a number: BLEURT and AlignScore.

Batches hold sequences of one length, each distinct sequence is read once, and what was read stays in the
cache, so that a run that was killed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rocov2_eval.batching import Float32Array, run_batches
from rocov2_eval.cache import EmbeddingCache, entry_key
from rocov2_eval.devices import TOKEN_BUDGETS, choose_device, dtype_of, import_library
from rocov2_eval.errors import MissingResource
from rocov2_eval.models import ModelFolder, weights_digest
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.progress import Notify, Progress, silent

_NUMBER_BYTES = 4  # of a score in the cache
_PAIRS_AT_ONCE = 4096  # whose keys are in memory
# What a configuration says of the shape of a BERT and its kin.
SHAPE_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "pad_token_id",
)


@dataclass(frozen=True, kw_only=True, order=True)
class TokenPair:
    """Two texts as one sequence of tokens.

    Attributes:
        length: Number of tokens.
        ids: Vocabulary indices, those that open, part and close included.
        first: How many of them belong to the first text.
    """

    length: int
    ids: tuple[int, ...]
    first: int


def token_pair(first: Sequence[int], second: Sequence[int]) -> TokenPair:
    """Return two sequences of tokens as one."""
    return TokenPair(length=len(first) + len(second), ids=(*first, *second), first=len(first))


def cut_longest_first(first: int, second: int, most: int) -> tuple[int, int]:
    """Return how many tokens of two texts are kept so that both together have at most so many.

    The longer text loses tokens until both are equal, then each in turn, the second one first.
    """
    excess = max(0, first + second - most)
    uneven = min(excess, abs(first - second))
    if first > second:
        first -= uneven
    else:
        second -= uneven
    rest = excess - uneven
    return first - rest // 2, second - (rest + 1) // 2


@contextmanager
def open_pair_model(
    folder: ModelFolder,
    build: Callable[[ModelFolder], Any],
    *,
    precision: str = "fp32",
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> Iterator[PairModel]:
    """Load a model of pairs, and open its cache if there is to be one.

    Args:
        folder: Where the weights lie.
        build: Makes the network of the folder, a module of torch in float32 which takes vocabulary indices
            and token types, shape (batch, length) each, and returns a number for each sequence, shape
            (batch,).
        precision: `fp32` as the challenge computes, `bf16` for speed.
        device: One of `devices.DEVICES`; `auto` takes the first of cuda, mps and cpu that there is.
        cache: Folder of the cache, None for no cache.
        progress: Called with the sequences read so far and in all.
        notify: Called with a sentence for the user.

    Raises:
        MissingResource: A library, the device or part of the weights is missing.
        UsageFault: The precision is not known.
    """
    dtype = dtype_of(precision)
    digest = weights_digest(folder, memo=cache)
    target = choose_device(device)
    with ExitStack() as stack:
        values = stack.enter_context(EmbeddingCache(cache, notify=notify)) if cache is not None else None
        yield PairModel(
            identity=f"{folder.name}@{digest[:12]}",
            key_parts=(folder.kind.encode(), digest.encode(), precision.encode()),
            network=build(folder).to(dtype).eval().to(target),
            device=target,
            cache=values,
            progress=progress,
        )


class PairModel:
    """A loaded model of pairs; `open_pair_model` makes it.

    Attributes:
        identity: Name and the first 12 hexadecimal digits of the weights' digest.
    """

    def __init__(
        self,
        *,
        identity: str,
        key_parts: tuple[bytes, ...],
        network: Any,  # noqa: ANN401 - of torch
        device: str,
        cache: EmbeddingCache | None,
        progress: Progress,
    ) -> None:
        self.identity = identity
        self._key_parts = key_parts
        self._network = network
        self._device = device
        self._cache = cache
        self._progress = progress

    def read(self, pairs: Sequence[TokenPair]) -> Float32Array:
        """Return the number that the model gives for each pair, shape (n,).

        Raises:
            MissingResource: The accelerator has too little memory, or a number is none.
        """
        distinct = sorted(set(pairs))
        lengths = np.fromiter((pair.length for pair in distinct), np.int64, len(distinct))
        values = np.zeros(len(distinct), np.float32)
        missing = self._fill_from_cache(distinct, values)
        done = 0
        self._progress(0, len(missing))
        forward = lambda batch: self._forward([distinct[i] for i in batch])  # noqa: E731
        for batch, outputs in run_batches(lengths, missing, forward, TOKEN_BUDGETS[self._device]):
            values[batch] = outputs
            done += len(batch)
            self._progress(done, len(missing))
            if self._cache is not None:
                numbers = zip((self._key(distinct[i]) for i in batch), outputs, strict=True)
                self._cache.write([(key, np.float32(value).tobytes()) for key, value in numbers])
        by_pair = dict(zip(distinct, values, strict=True))
        return np.fromiter((by_pair[pair] for pair in pairs), np.float32, len(pairs))

    def _fill_from_cache(self, distinct: Sequence[TokenPair], values: Float32Array) -> IntArray:
        """Copy what the cache has into the array; return the pairs that it lacks."""
        is_missing = np.ones(len(distinct), np.bool_)
        if self._cache is not None:
            for start in range(0, len(distinct), _PAIRS_AT_ONCE):
                keys = [self._key(pair) for pair in distinct[start : start + _PAIRS_AT_ONCE]]
                for position, content in self._cache.read(keys, _is_number):
                    values[start + position] = np.frombuffer(content, "<f4")[0]
                    is_missing[start + position] = False
        missing: IntArray = np.flatnonzero(is_missing)
        return missing

    def _forward(self, pairs: Sequence[TokenPair]) -> Float32Array:
        """Return the numbers of pairs of one length, shape (pairs,)."""
        import torch

        types = np.array([[position >= pair.first for position in range(pair.length)] for pair in pairs])
        with torch.inference_mode():
            ids = torch.tensor([pair.ids for pair in pairs], device=self._device)
            outputs = self._network(ids, torch.from_numpy(types).long().to(self._device)).float().cpu()
        numbers: Float32Array = outputs.numpy()
        if not np.isfinite(numbers).all():
            raise MissingResource(
                f"{self.identity} computed values that are not finite: its weights are damaged, or the "
                "precision is too low for them"
            )
        return numbers

    def _key(self, pair: TokenPair) -> bytes:
        ids = np.array(pair.ids, "<i4").tobytes()
        return entry_key(*self._key_parts, str(pair.first).encode(), ids)


def pooled_network(body: Any, width: int, outputs: int, activation: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Return an encoder of transformers with a linear layer on its pooled output.

    Args:
        body: A model whose output has a `pooler_output`, shape (batch, width).
        width: Width of the pooled output.
        outputs: Width of the linear layer.
        activation: Makes one number a sequence, shape (batch,), of the linear layer's output.
    """
    torch = import_library("torch")

    class PooledNetwork(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Body and head; called with indices and token types."""

        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.head = torch.nn.Linear(width, outputs)
            self.activation = activation

        def forward(self, ids: Any, types: Any) -> Any:  # noqa: ANN401
            mask = torch.ones_like(ids)
            types = types if body.config.type_vocab_size > 1 else torch.zeros_like(ids)
            states = body(input_ids=ids, attention_mask=mask, token_type_ids=types)
            return self.activation(self.head(states.pooler_output))

    return PooledNetwork()


def _is_number(_position: int, content: bytes) -> bool:
    """Tell whether an entry of the cache is a score."""
    return len(content) == _NUMBER_BYTES
