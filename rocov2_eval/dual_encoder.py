"""Dual encoders: pictures and texts in, vectors of one space out, so that a cosine compares the two.

Texts run in batches of equal length only, without padding, and each distinct text or picture once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from rocov2_eval.batching import Float32Array, run_batches
from rocov2_eval.cache import EmbeddingCache, entry_key
from rocov2_eval.devices import TOKEN_BUDGETS, choose_device, dtype_of, quiet_transformers
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.images import ImageFile, read_image, rgb_pixels
from rocov2_eval.models import ModelFolder, weights_digest
from rocov2_eval.records import FloatArray, IntArray
from rocov2_eval.shelf.pictures import PixelArray, Unreadable
from rocov2_eval.shelf.progress import Notify, Progress, silent
from rocov2_eval.shelf.words import counted

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SCALE = 2.5  # of the cosine, in CLIPScore and in what is modelled on it
_NUMBER_BYTES = 4  # of a coordinate in the cache
_ROUNDING = 1e-3  # of the length of a vector, also in bfloat16
_TOKENS_OF_A_PICTURE = (
    512  # to the budget of a batch: what comes to 4 pictures on a CPU, 64 on an accelerator
)
_NAMED_AT_MOST = 5  # unreadable pictures in a message


@dataclass(frozen=True, kw_only=True, eq=False)
class DualModel:
    """A loaded model of pictures and texts.

    Attributes:
        modules: The modules of torch, in evaluation mode.
        embed_images: Takes pixels, shape (n, 3, side, side), and returns vectors, shape (n, width).
        embed_texts: Takes token ids, shape (n, length), and returns vectors, shape (n, width).
        tokenizer: Tokenizer of transformers that goes with the weights.
        most_tokens: Number of tokens that a text is cut off after, special ones included.
        resize: Brings an RGB picture to a square of `side` pixels.
        side: Width and height of a picture.
        mean: Subtracted from the red, green and blue of a pixel, which are from 0 to 1.
        std: What the difference is divided by.
    """

    modules: Any
    embed_images: Callable[[Any], Any]
    embed_texts: Callable[[Any], Any]
    tokenizer: Any
    most_tokens: int
    resize: Callable[[Picture], Picture]
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# Takes the folder of the weights and torch's type of number.
Loader = Callable[[ModelFolder, Any], DualModel]


class ImageTextEncoder(Protocol):
    """What a metric needs of a dual encoder; a test passes a fake."""

    identity: str

    def image_vectors(self, images: Sequence[ImageFile]) -> Float32Array:
        """Return the vectors of pictures, shape (n, width), of Euclidean length 1."""
        ...

    def text_vectors(self, texts: Sequence[str]) -> Float32Array:
        """Return the vectors of texts, shape (n, width), of Euclidean length 1."""
        ...


@contextmanager
def open_dual_encoder(
    folder: ModelFolder,
    load: Loader,
    *,
    precision: str = "fp32",
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> Iterator[DualEncoder]:
    """Load a dual encoder, and open its cache if there is to be one.

    Args:
        folder: Where the weights lie.
        load: Returns the modules and what feeds them, from the folder of the weights.
        precision: One of `devices.PRECISIONS`.
        device: One of `devices.DEVICES`.
        cache: Folder of the embedding cache, None for no cache.
        progress: Called with the pictures, or the texts, encoded so far and in all.
        notify: Called with a sentence for the user.

    Raises:
        MissingResource: A library, the device or part of the weights is missing.
    """
    digest = weights_digest(folder, memo=cache)
    target = choose_device(device)
    with ExitStack() as stack:
        embeddings = stack.enter_context(EmbeddingCache(cache, notify=notify)) if cache is not None else None
        with quiet_transformers():
            model = load(folder, dtype_of(precision))
        model.modules.to(target)
        yield DualEncoder(
            identity=f"{folder.name}@{digest[:12]}",
            key_parts=(digest.encode(), precision.encode()),
            token_budget=TOKEN_BUDGETS[target],
            model=model,
            cache=embeddings,
            progress=progress,
        )


class DualEncoder:
    """A loaded model with its cache; `open_dual_encoder` makes it.

    Attributes:
        identity: Name and the first 12 hexadecimal digits of the weights' digest.
    """

    def __init__(
        self,
        *,
        identity: str,
        key_parts: tuple[bytes, ...],
        token_budget: int,
        model: DualModel,
        cache: EmbeddingCache | None,
        progress: Progress,
    ) -> None:
        self.identity = identity
        self._key_parts = key_parts
        self._token_budget = token_budget
        self._model = model
        self._cache = cache
        self._progress = progress

    def image_vectors(self, images: Sequence[ImageFile]) -> Float32Array:
        """Return the vectors of pictures, shape (n, width), of Euclidean length 1.

        Raises:
            MissingResource: Pictures cannot be read. The others are encoded first, and kept in the cache.
        """
        keys = [self._key(b"image", hashlib.sha256(read_image(file)).digest()) for file in images]
        files = dict(zip(keys, images, strict=True))
        distinct = list(files)
        unreadable: dict[bytes, str] = {}
        with ThreadPoolExecutor() as pool:

            def forward(batch: IntArray) -> Float32Array:
                pictures = list(pool.map(self._pixels, [files[distinct[place]] for place in batch]))
                for place, picture in zip(batch, pictures, strict=True):
                    if isinstance(picture, Unreadable):
                        unreadable[distinct[place]] = picture.detail
                blank = np.zeros((self._model.side, self._model.side, 3), np.uint8)
                return self._embed_pixels(
                    [blank if isinstance(item, Unreadable) else item for item in pictures]
                )

            lengths = np.full(len(distinct), _TOKENS_OF_A_PICTURE, np.int64)
            vectors = self._through_cache(distinct, lengths, forward, unreadable)
        if unreadable:
            raise MissingResource(_unreadable_message({files[key]: text for key, text in unreadable.items()}))
        return _rows(vectors, keys)

    def text_vectors(self, texts: Sequence[str]) -> Float32Array:
        """Return the vectors of texts, shape (n, width), of Euclidean length 1; a long text is cut off."""
        distinct = list(dict.fromkeys(texts))
        sequences = dict(zip(distinct, map(self._token_ids, distinct), strict=True))
        key_of = {text: self._key(b"text", ids.tobytes()) for text, ids in sequences.items()}
        ids_of = {key_of[text]: ids for text, ids in sequences.items()}
        keys = sorted(ids_of, key=lambda key: (len(ids_of[key]), ids_of[key].tobytes()))
        lengths = np.array([len(ids_of[key]) for key in keys], np.int64)

        def forward(batch: IntArray) -> Float32Array:
            return self._run(self._model.embed_texts, np.stack([ids_of[keys[place]] for place in batch]))

        vectors = self._through_cache(keys, lengths, forward)
        return _rows(vectors, [key_of[text] for text in texts])

    def _through_cache(
        self,
        keys: Sequence[bytes],
        lengths: IntArray,
        forward: Callable[[IntArray], Float32Array],
        rejected: Container[bytes] = (),
    ) -> dict[bytes, Float32Array]:
        """Return the vector of each key: out of the cache, else of the model, and then into the cache.

        Args:
            keys: Shape (u,), all different.
            lengths: Shape (u,), what a text or picture counts in a batch, none decreasing.
            forward: Takes places in `keys`, those of one length; returns their vectors.
            rejected: Keys whose vectors are not to be kept, known after `forward`.

        Raises:
            MissingResource: The cache holds vectors of another model.
        """
        vectors: dict[bytes, Float32Array] = {}
        if self._cache is not None:
            for place, content in self._cache.read(keys, lambda _, content: _is_vector(content)):
                vectors[keys[place]] = np.frombuffer(content, "<f4")
        wanted = np.array([place for place, key in enumerate(keys) if key not in vectors], np.int64)
        done = 0
        self._progress(done, len(wanted))
        for batch, rows in run_batches(lengths, wanted, forward, self._token_budget):
            found = {keys[place]: row for place, row in zip(batch, rows, strict=True)}
            vectors |= found
            if self._cache is not None:
                entries = [(key, row.astype("<f4").tobytes()) for key, row in found.items()]
                self._cache.write([entry for entry in entries if entry[0] not in rejected])
            done += len(batch)
            self._progress(done, len(wanted))
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise MissingResource(
                "the cache contains vectors of another length: delete the cache, or add --no-cache"
            )
        return vectors

    def _token_ids(self, text: str) -> IntArray:
        ids = self._model.tokenizer(text, truncation=True, max_length=self._model.most_tokens)["input_ids"]
        return np.array(ids, np.int64)

    def _pixels(self, file: ImageFile) -> PixelArray | Unreadable:
        return rgb_pixels(file, self._model.resize)

    def _embed_pixels(self, pictures: Sequence[PixelArray]) -> Float32Array:
        """Return the vectors of pictures, each of shape (side, side, 3)."""
        mean, std = np.array(self._model.mean, np.float32), np.array(self._model.std, np.float32)
        scaled = (np.stack(pictures).astype(np.float32) / 255 - mean) / std
        return self._run(self._model.embed_images, np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))

    def _run(self, embed: Callable[[Any], Any], inputs: npt.NDArray[Any]) -> Float32Array:
        """Return what the model makes of a batch, each row scaled to Euclidean length 1."""
        import torch

        weight = next(self._model.modules.parameters())
        batch = torch.from_numpy(inputs).to(weight.device)
        with torch.inference_mode():
            rows = embed(batch.to(weight.dtype) if batch.is_floating_point() else batch).float().cpu().numpy()
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise MissingResource(
                f"{self.identity} computed values that are not finite: its weights are damaged, or the "
                "precision is too low for them"
            )
        unit: Float32Array = rows / norms
        return unit

    def _key(self, kind: bytes, content: bytes) -> bytes:
        return entry_key(*self._key_parts, kind, str(self._model.side).encode(), content)


def scaled_cosines(
    texts: Sequence[str], images: Sequence[ImageFile | Float32Array], encoder: ImageTextEncoder
) -> FloatArray:
    """Return 2.5 times the cosine of each text and its image, shape (n,), 0 where it is negative.

    Args:
        texts: Texts to embed, n of them.
        images: The file of each image, or, for all of them, its vector of Euclidean length 1.
        encoder: Makes the vectors of the texts, and of the files.

    Raises:
        UsageFault: The vectors of the images are of another width than those of the texts.
        MissingResource: An image cannot be read.
    """
    known = [image for image in images if isinstance(image, np.ndarray)]
    files = [image for image in images if not isinstance(image, np.ndarray)]
    vectors = np.stack(known) if known else encoder.image_vectors(files)
    others = encoder.text_vectors(texts)
    if vectors.shape[1] != others.shape[1]:
        raise UsageFault(
            f"--image-vectors: the vectors have {vectors.shape[1]} numbers, those of the captions "
            f"{others.shape[1]}: the file was made by another model than {encoder.identity}"
        )
    return SCALE * np.maximum(cosines(vectors, others), 0.0)


def cosines(first: Float32Array, second: Float32Array) -> FloatArray:
    """Return the cosine of each pair of rows of Euclidean length 1, shape (n,), within -1 and 1."""
    products: FloatArray = np.einsum("ij,ij->i", first, second, dtype=np.float64)
    return np.clip(products, -1.0, 1.0)


def require_tokenizer_of(source: Path, tokenizer: Any, words: int) -> None:  # noqa: ANN401
    """Refuse a tokenizer that is not of the model.

    Args:
        source: Where it comes from, for the message.
        tokenizer: Tokenizer of transformers that goes with the weights.
        words: Number of tokens that the model has vectors for.

    Raises:
        MissingResource: It has another number of tokens.
    """
    if len(tokenizer) != words:
        raise MissingResource(
            f"{source}: the tokenizer has {len(tokenizer):,} tokens, but the weights expect {words:,}: "
            "it belongs to another model"
        )


def _is_vector(content: bytes) -> bool:
    """Tell whether an entry of the cache is a vector of length 1."""
    if len(content) % _NUMBER_BYTES:
        return False
    return abs(float(np.linalg.norm(np.frombuffer(content, "<f4").astype(np.float64))) - 1) < _ROUNDING


def _rows(vectors: Mapping[bytes, Float32Array], keys: Sequence[bytes]) -> Float32Array:
    return np.stack([vectors[key] for key in keys]) if keys else np.zeros((0, 0), np.float32)


def _unreadable_message(details: Mapping[ImageFile, str]) -> str:
    named = [f"{file} ({detail})" for file, detail in details.items()]
    more = len(named) - _NAMED_AT_MOST
    rest = f", and {more:,} more" if more > 0 else ""
    return (
        f"{counted(len(named), 'image')} cannot be read: {', '.join(named[:_NAMED_AT_MOST])}{rest}. "
        "Replace them, and run the command again: the vectors of the other images are in the cache"
    )
