"""Text encoders: captions in, one flat array of token vectors out.

The vectors are those that bert-score 0.3.13 computes one caption at a time: batches hold sequences of
equal length only, so that there is neither padding nor an attention mask that could matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rocov2_eval.batching import Float32Array, run_batches
from rocov2_eval.cache import EmbeddingCache, entry_key
from rocov2_eval.devices import TOKEN_BUDGETS, choose_device, dtype_of, quiet_transformers
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.models import ModelFolder, weights_digest
from rocov2_eval.records import IntArray
from rocov2_eval.shelf.progress import Notify, Progress, silent
from rocov2_eval.shelf.words import counted

_TEXTS_AT_ONCE = 1024  # to the tokenizer, whose own records of a text are large
_ROWS_AT_ONCE = 4096  # normalised in place, so that the temporary stays small
_CACHE_CHUNK_BYTES = 4 * 2**20  # what a killed run may lose
_MOST_TOKENS = 16_384  # of a text: attention takes the square of it, some 17 GB in the official encoder
_NO_LIMIT = 10**18  # transformers writes int(1e30) where a tokenizer knows no largest length
# The classes for which bert-score puts a blank before the first word.
_PREFIX_SPACE = {"RobertaTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """Token sequences of n texts as one ragged array, each distinct sequence once.

    Attributes:
        ids: Shape (t,), the vocabulary indices of all distinct sequences, special tokens included.
        offsets: Shape (u + 1,), from 0; sequence s holds `ids[offsets[s]:offsets[s + 1]]`. Sequences are
            ordered by length, then by ids.
        index: Shape (n,), the sequence of each text.
        specials: Vocabulary indices of the tokens that open and close a sequence.
        bare_length: Number of tokens of the empty text.
    """

    ids: IntArray
    offsets: IntArray
    index: IntArray
    specials: tuple[int, ...]
    bare_length: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Arena:
    """Token vectors of n texts.

    Attributes:
        tokens: Tokens that the rows of the arena belong to.
        vectors: Shape (t, width), row i is the vector of `tokens.ids[i]`, of Euclidean length 1.
    """

    tokens: Tokens
    vectors: Float32Array


class Encoder(Protocol):
    """What a metric needs of an encoder; a test passes a fake."""

    def encode(self, texts: Sequence[str]) -> Arena:
        """Return the token vectors of texts."""
        ...


@contextmanager
def open_encoder(
    folder: ModelFolder,
    *,
    layer: int | None = None,
    precision: str = "fp32",
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> Iterator[TextEncoder]:
    """Load an encoder, and open its cache if there is to be one.

    Args:
        folder: Where the weights lie.
        layer: Hidden layer to return, from 1; None for the encoder's own (the last one of a user's folder).
        precision: `fp32` as the challenge computes, `bf16` for speed.
        device: One of `devices.DEVICES`; `auto` takes the first of cuda, mps and cpu that there is.
        cache: Folder of the embedding cache, None for no cache.
        progress: Called with the distinct captions encoded so far and in all.
        notify: Called with a sentence for the user.

    Raises:
        MissingResource: A library, the device or part of the weights is missing.
        UsageFault: The model has no such layer or is of a kind that cannot be used.
    """
    digest = weights_digest(folder, memo=cache)
    target = choose_device(device)
    with ExitStack() as stack:
        embeddings = stack.enter_context(EmbeddingCache(cache, notify=notify)) if cache is not None else None
        tokenizer, model, last = _load(folder.path, layer or folder.layer, precision)
        yield TextEncoder(
            identity=f"{folder.name}@{digest[:12]}",
            digest=digest,
            layer=last,
            precision=precision,
            tokenizer=tokenizer,
            model=model.to(target),
            token_budget=TOKEN_BUDGETS[target],
            cache=embeddings,
            progress=progress,
            notify=notify,
        )


class TextEncoder:
    """A loaded model and its tokenizer; `open_encoder` makes it.

    Attributes:
        identity: Name and the first 12 hexadecimal digits of the weights' digest.
        layer: Hidden layer that is returned.
        precision: Precision of weights and arithmetic; vectors are returned as float32.
    """

    def __init__(
        self,
        *,
        identity: str,
        digest: str,
        layer: int,
        precision: str,
        tokenizer: Any,  # noqa: ANN401 - of transformers
        model: Any,  # noqa: ANN401
        token_budget: int,
        cache: EmbeddingCache | None,
        progress: Progress,
        notify: Notify = silent,
    ) -> None:
        self.identity = identity
        self.layer = layer
        self.precision = precision
        self._tokenizer = tokenizer
        self._model = model
        self._width = int(model.config.hidden_size)
        self._token_budget = token_budget
        self._cache = cache
        self._progress = progress
        self._notify = notify
        self._key_parts = (digest.encode(), str(layer).encode(), precision.encode(), *_forward_mark(model))

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Return the token sequences of texts, without running the model."""
        return _ragged(_token_ids(self._tokenizer, texts), self._tokenizer)

    def encode(self, texts: Sequence[str]) -> Arena:
        """Return the token vectors of texts.

        The result is the same on every run on one machine, but batches differ with what the cache holds,
        which may move the last bit of a number.

        Raises:
            RejectedInput: A text is longer than the model can take; bert-score would fail on it as well.
        """
        tokens = self.tokenise(texts)
        _refuse_too_long(tokens, _most_positions(self._model))
        self._note_losses(texts, tokens)
        vectors = np.empty((len(tokens.ids), self._width), np.float32)
        missing = self._fill_from_cache(tokens, vectors)
        self._fill_from_model(tokens, vectors, missing)
        _normalise(vectors)
        return Arena(tokens=tokens, vectors=vectors)

    def _note_losses(self, texts: Sequence[str], tokens: Tokens) -> None:
        """Tell of texts of which the model sees nothing, or not the end; bert-score says nothing of them."""
        lengths = np.diff(tokens.offsets)[tokens.index]
        is_said = np.array([bool(text.strip()) for text in texts], np.bool_)
        if gone := int((is_said & (lengths <= tokens.bare_length)).sum()):
            self._notify(
                f"{counted(gone, 'caption')} without a token of {self.identity}: no match is possible"
            )
        limit = self._tokenizer.model_max_length
        if full := int((lengths >= limit).sum()):
            self._notify(
                f"{counted(full, 'caption')} with {limit} tokens or more: {self.identity} ignores the rest"
            )

    def _fill_from_cache(self, tokens: Tokens, vectors: Float32Array) -> IntArray:
        """Copy what the cache has into the array; return the sequences that it lacks."""
        sequences = np.flatnonzero(np.diff(tokens.offsets))
        if self._cache is None:
            return sequences
        is_missing = np.ones(len(sequences), np.bool_)
        keys = [self._key(tokens, sequence) for sequence in sequences]
        token_bytes = len(_pack(np.zeros(vectors.shape[1], np.float32), self.precision))
        sizes = np.diff(tokens.offsets)[sequences] * token_bytes
        for position, content in self._cache.read(keys, lambda i, content: len(content) == sizes[i]):
            sequence = sequences[position]
            rows = vectors[tokens.offsets[sequence] : tokens.offsets[sequence + 1]]
            rows[:] = _unpack(content, self.precision).reshape(rows.shape)
            is_missing[position] = False
        return sequences[is_missing]

    def _fill_from_model(self, tokens: Tokens, vectors: Float32Array, missing: IntArray) -> None:
        lengths = np.diff(tokens.offsets)
        done, total = 0, len(missing)
        unwritten: list[tuple[bytes, bytes]] = []
        self._progress(0, total)
        batches = run_batches(
            lengths, missing, lambda batch: self._forward(_ids_of(tokens, batch)), self._token_budget
        )
        for batch, states in batches:
            rows = tokens.offsets[batch][:, None] + np.arange(lengths[batch[0]])
            vectors[rows] = states
            done += len(batch)
            self._progress(done, total)
            if self._cache is not None:
                unwritten += [
                    (self._key(tokens, sequence), _pack(vectors[span], self.precision))
                    for sequence, span in zip(batch, rows, strict=True)
                ]
                unwritten = self._write_full_chunk(unwritten, is_last=done == total)

    def _write_full_chunk(
        self, unwritten: list[tuple[bytes, bytes]], *, is_last: bool
    ) -> list[tuple[bytes, bytes]]:
        if not is_last and sum(len(content) for _, content in unwritten) < _CACHE_CHUNK_BYTES:
            return unwritten
        assert self._cache is not None
        self._cache.write(unwritten)
        return []

    def _forward(self, ids: IntArray) -> Float32Array:
        """Return the hidden states of sequences of one length, shape (sequences, length, width)."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(ids).to(self._model.device)
            states = _hidden_states(self._model, batch).float().cpu()
        array: Float32Array = states.numpy()
        if not np.isfinite(array).all():
            raise MissingResource(
                f"{self.identity} computed values that are not finite: its weights are damaged, or "
                f"{self.precision} is too low for them"
            )
        return array

    def _key(self, tokens: Tokens, sequence: np.int64) -> bytes:
        ids = tokens.ids[tokens.offsets[sequence] : tokens.offsets[sequence + 1]]
        return entry_key(*self._key_parts, ids.astype("<i4").tobytes())


def _load(path: Path, layer: int | None, precision: str) -> tuple[Any, Any, int]:
    """Return tokenizer, model in evaluation mode with the layers above cut off, and the layer."""
    dtype = dtype_of(precision)
    with quiet_transformers() as transformers:
        config = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
        last = _checked_layer(path, config, layer)
        # Layers that are never run are not even built; their weights in the file are passed over.
        config.num_hidden_layers = last
        model, report = transformers.AutoModel.from_pretrained(
            path,
            config=config,
            local_files_only=True,
            output_loading_info=True,
            # Said outright: transformers 5 would keep half-precision weights as they are stored.
            **{_dtype_keyword(transformers): dtype},
        )
        tokenizer = _load_tokenizer(transformers, path)
    _refuse_incomplete(path, report)
    # DeBERTa makes some of its tensors in float32 whatever it is told.
    return tokenizer, _fastest(model.to(dtype).eval()), last


def _fastest(model: Any) -> Any:  # noqa: ANN401
    """Return our own forward pass over the weights of a model where there is one, else the model."""
    from rocov2_eval.deberta import Deberta, is_supported

    return Deberta(model) if is_supported(model.config) else model


def _forward_mark(model: Any) -> tuple[bytes, ...]:  # noqa: ANN401
    """Return what tells the vectors of our own forward pass from those of transformers in the cache."""
    from rocov2_eval.deberta import FORWARD, Deberta

    return (FORWARD.encode(),) if isinstance(model, Deberta) else ()


def _hidden_states(model: Any, ids: Any) -> Any:  # noqa: ANN401
    """Return the hidden states of sequences of one length, shape (sequences, length, width)."""
    import torch

    from rocov2_eval.deberta import Deberta

    if isinstance(model, Deberta):
        return model(ids)
    return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


def _checked_layer(path: Path, config: Any, layer: int | None) -> int:  # noqa: ANN401
    if config.is_encoder_decoder:
        raise UsageFault(f"{path}: {config.model_type} is an encoder-decoder, expected an encoder")
    there = int(config.num_hidden_layers)
    last = there if layer is None else layer
    if not 1 <= last <= there:
        raise UsageFault(f"{path}: no layer {last}; the model has layers 1 to {there}")
    return last


def _dtype_keyword(transformers: Any) -> str:  # noqa: ANN401
    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _load_tokenizer(transformers: Any, path: Path) -> Any:  # noqa: ANN401
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    if type(tokenizer).__name__ not in _PREFIX_SPACE:
        return tokenizer
    # bert-score asks for the blank at every call, which fast tokenizers ignore: they take it here only.
    return transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, add_prefix_space=True)


def _refuse_incomplete(path: Path, report: dict[str, Any]) -> None:
    """Refuse weights that would leave a layer at random; the pooler is not used and may be absent."""
    absent = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    absent += sorted(str(key) for key in report.get("mismatched_keys", ()))
    if absent:
        raise MissingResource(
            f"{path}: the weights lack {counted(len(absent), 'tensor')}, such as {absent[0]}"
        )


def _ids_of(tokens: Tokens, batch: IntArray) -> IntArray:
    """Return the vocabulary indices of sequences of one length, shape (sequences, length)."""
    starts, stops = tokens.offsets[batch], tokens.offsets[batch + 1]
    ids: IntArray = tokens.ids[starts[:, None] + np.arange(stops[0] - starts[0])]
    return ids


def _token_ids(tokenizer: Any, texts: Sequence[str]) -> list[tuple[int, ...]]:  # noqa: ANN401
    """Tokenise as bert-score does: outer blanks go, and the end goes where the tokenizer knows a limit."""
    stripped = [text.strip() for text in texts]
    limit = tokenizer.model_max_length
    cut = {"truncation": True, "max_length": limit} if limit < _NO_LIMIT else {}
    distinct = list(dict.fromkeys(stripped))
    ids: list[tuple[int, ...]] = []
    for start in range(0, len(distinct), _TEXTS_AT_ONCE):
        part = distinct[start : start + _TEXTS_AT_ONCE]
        encoded = tokenizer(part, return_attention_mask=False, return_token_type_ids=False, **cut)
        ids += [tuple(sequence) for sequence in encoded["input_ids"]]
    by_text = dict(zip(distinct, ids, strict=True))
    return [by_text[text] for text in stripped]


def _ragged(sequences: Sequence[tuple[int, ...]], tokenizer: Any) -> Tokens:  # noqa: ANN401
    distinct = sorted(set(sequences), key=lambda sequence: (len(sequence), sequence))
    place = {sequence: position for position, sequence in enumerate(distinct)}
    lengths = np.fromiter((len(sequence) for sequence in distinct), np.int64, len(distinct))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    flat = (token for sequence in distinct for token in sequence)
    ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    return Tokens(
        ids=np.fromiter(flat, np.int64, int(offsets[-1])),
        offsets=offsets,
        index=np.fromiter((place[sequence] for sequence in sequences), np.int64, len(sequences)),
        specials=tuple(token for token in ends if token is not None),
        bare_length=len(_token_ids(tokenizer, [""])[0]),
    )


def _most_positions(model: Any) -> int:  # noqa: ANN401
    """Return how many tokens a model has absolute positions for, or memory where it has no such table."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if table is None:
        return _MOST_TOKENS
    # The RoBERTa family counts positions from the index after the padding token's.
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    return int(table.num_embeddings) - first


def _refuse_too_long(tokens: Tokens, most: int) -> None:
    longest = int(np.diff(tokens.offsets).max(initial=0))
    if longest > most:
        raise RejectedInput(
            f"a caption has {longest} tokens, but the encoder accepts {most}, and its tokenizer "
            "defines no limit"
        )


def _normalise(vectors: Float32Array) -> None:
    """Scale every row to length 1, in place."""
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = vectors[start : start + _ROWS_AT_ONCE]
        rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]


def _pack(vectors: Float32Array, precision: str) -> bytes:
    """Return vectors as bytes, without loss: bfloat16 is the upper half of a float32."""
    if precision == "fp32":
        return vectors.astype("<f4").tobytes()
    return (vectors.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()


def _unpack(content: bytes, precision: str) -> Float32Array:
    if precision == "fp32":
        return np.frombuffer(content, "<f4")
    return (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4")
