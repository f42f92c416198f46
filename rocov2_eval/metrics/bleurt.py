"""BLEURT-20-D12: what a RemBERT, trained on ratings of people, says of a candidate beside its reference.

The port to PyTorch that the challenge runs (bleurt-pytorch 0.0.1) does not load under transformers 5. This is
`RemBertModel` with a linear layer of our own, and SentencePiece itself: the tokenizers of transformers 5 cut
some texts otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rocov2_eval import models
from rocov2_eval.devices import PRECISIONS, import_library, quiet_transformers
from rocov2_eval.editions import Edition
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.metric import Metric, Options, require_pairs
from rocov2_eval.models import ModelFolder
from rocov2_eval.pair_models import (
    SHAPE_FIELDS,
    PairModel,
    TokenPair,
    cut_longest_first,
    open_pair_model,
    pooled_network,
    token_pair,
)
from rocov2_eval.records import FloatArray, SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.progress import Notify, Progress, silent
from rocov2_eval.tensor_files import load_strictly, read_config, read_tensors, refusing_other_shapes
from rocov2_eval.textnorm import NORMALISERS, normalise
from rocov2_eval.truth import Truth

OUTPUTS = ("bleurt",)
MOST_TOKENS = 512
# What the original and transformers call the same layers.
_RENAMES = (("bleurt.", ""), ("encoder.embedding_projection.", "encoder.embedding_hidden_mapping_in."))


@dataclass(frozen=True, kw_only=True)
class BleurtOptions(Options):
    """Options of BLEURT.

    Attributes:
        weights: Key of `models.WEIGHTS` or a model's folder; `identified` puts `name@digest` in its place.
            None for those of the challenge.
        norm: How captions are normalised first, a key of `textnorm.NORMALISERS`.
        precision: Arithmetic of the model; the challenge computes in `fp32`.
    """

    weights: str | None = None
    norm: str = "clef2023"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if self.norm not in NORMALISERS:
            raise UsageFault(f"norm is {self.norm!r}, expected one of {', '.join(NORMALISERS)}")
        if self.precision not in PRECISIONS:
            raise UsageFault(f"precision is {self.precision!r}, expected one of {', '.join(PRECISIONS)}")


DEFAULT = BleurtOptions()


class Rater(Protocol):
    """What the metric needs of a model; a test passes a fake."""

    def rate(self, references: Sequence[str], candidates: Sequence[str]) -> FloatArray:
        """Return a rating of every candidate, shape (n,)."""
        ...


class Bleurt:
    """A loaded BLEURT; `load` makes it.

    Attributes:
        identity: Name and the first 12 hexadecimal digits of the weights' digest.
    """

    def __init__(self, tokenizer: BleurtTokenizer, model: PairModel) -> None:
        self.identity = model.identity
        self._tokenizer = tokenizer
        self._model = model

    def rate(self, references: Sequence[str], candidates: Sequence[str]) -> FloatArray:
        """Return a rating of every candidate, shape (n,), about -0.2 to 1.1 for real weights."""
        ratings = self._model.read(self._tokenizer.pairs(references, candidates))
        return ratings.astype(np.float64)


class BleurtTokenizer:
    """SentencePiece as BLEURT uses it.

    Args:
        path: The SentencePiece model.
        most: Largest number of tokens of a pair.

    Raises:
        MissingResource: The file is no SentencePiece model or lacks the tokens that open and close a text.
    """

    def __init__(self, path: Path, most: int = MOST_TOKENS) -> None:
        library = import_library("sentencepiece", "official")
        self._processor = library.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(path.read_bytes())
        except RuntimeError as error:
            raise MissingResource(f"{path}: not a SentencePiece model, or damaged: {error}") from None
        self._most = most
        self.size = int(self._processor.get_piece_size())
        self._opening, self._closing = (self._special(path, piece) for piece in ("[CLS]", "[SEP]"))

    def pairs(self, references: Sequence[str], candidates: Sequence[str]) -> list[TokenPair]:
        """Return `[CLS] reference [SEP] candidate [SEP]` of each pair.

        While it is too long, the longer side loses its last token, the candidate where both are equal.
        """
        texts = list(dict.fromkeys([*references, *candidates]))
        pieces: Mapping[str, list[int]] = dict(zip(texts, self._processor.encode(texts), strict=True))
        return [self._pair(pieces[r], pieces[c]) for r, c in zip(references, candidates, strict=True)]

    def _pair(self, reference: list[int], candidate: list[int]) -> TokenPair:
        ours, theirs = cut_longest_first(len(reference), len(candidate), self._most - 3)
        return token_pair(
            (self._opening, *reference[:ours], self._closing), (*candidate[:theirs], self._closing)
        )

    def _special(self, path: Path, piece: str) -> int:
        number = int(self._processor.piece_to_id(piece))
        if self._processor.id_to_piece(number) != piece:
            raise MissingResource(f"{path}: no piece {piece}: the tokenizer belongs to another model")
        return number


def options_of(settings: Settings, _: Truth) -> BleurtOptions:
    """Return the options that edition and user prescribe."""
    return BleurtOptions(
        weights=settings.weights_of("bleurt"),
        norm=settings.edition.captions.norm,
        precision=settings.precision,
    )


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition publishes a BLEURT, with public code or without."""
    return edition.captions.publishes(OUTPUTS[0])


def lacks(settings: Settings, _: Truth) -> str | None:
    """Say which libraries or weights are missing, and what brings them."""
    return models.absence("bleurt", settings.weights_of("bleurt"))


def notes(options: BleurtOptions) -> Iterator[str]:
    """Say what differs from the official model; the options are those before `identified`."""
    name = options.weights or models.default_name("bleurt")
    if name != models.default_name("bleurt"):
        yield f"BLEURT with the weights {name} is not comparable with official scores"
    if options.precision != "fp32":
        yield f"BLEURT in {options.precision} is not official: the official precision is fp32"


def load(
    options: BleurtOptions,
    *,
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> AbstractContextManager[Bleurt]:
    """Open the model that the options name, before `identified` was applied to them.

    Args:
        options: Weights and precision; the rest does not count.
        device: One of `devices.DEVICES`.
        cache: Folder of the cache, None for no cache.
        progress: Called with the pairs read so far and in all.
        notify: Called with a sentence for the user.

    Raises:
        MissingResource: Weights or libraries are missing, or the weights are not those of a BLEURT.
    """
    return _opened(options, device, cache, progress, notify)


def identified(options: BleurtOptions, model: Bleurt) -> BleurtOptions:
    """Return the options as the signature shows them: with the identity of what was loaded."""
    return replace(options, weights=model.identity)


def digest(options: BleurtOptions) -> str:
    """Name by content the weights that `load` would open."""
    return f"weights:{models.weights_digest(models.require('bleurt', options.weights))}"


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: BleurtOptions = DEFAULT,
    resource: Rater | None = None,
) -> dict[str, SampleScores]:
    """Return the rating of every candidate; empty captions are rated like any other.

    Raises:
        ValueError: Candidates and references differ in number, or there is no model.
    """
    require_pairs(candidates, references)
    if resource is None:
        raise ValueError("bleurt needs a model: pass the result of load() as resource")
    ratings = resource.rate(normalise(references, options.norm), normalise(candidates, options.norm))
    return {OUTPUTS[0]: SampleScores(values=ratings, scored=np.ones(len(candidates), np.bool_))}


def build_network(folder: ModelFolder) -> Any:  # noqa: ANN401
    """Return the network of a folder as a module of torch.

    Raises:
        MissingResource: Configuration or weights are damaged, or not those of a BLEURT.
    """
    path = folder.file(models.CONFIG_FILE)
    config = read_config(path, (*SHAPE_FIELDS, "embedding_size"))
    with quiet_transformers() as transformers, refusing_other_shapes(path):
        shape = {name: config[name] for name in SHAPE_FIELDS} | {
            "input_embedding_size": config["embedding_size"]
        }
        # transformers' RemBERT has an output embedding too, which is not built here.
        body = transformers.RemBertModel(transformers.RemBertConfig(**shape))
    network = pooled_network(body, config["hidden_size"], 1, lambda logits: logits[:, 0])
    tensors = read_tensors(folder.tensor_files)
    load_strictly(network, _renamed(tensors), folder.path)
    return network


@contextmanager
def _opened(
    options: BleurtOptions, device: str, cache: Path | None, progress: Progress, notify: Notify
) -> Iterator[Bleurt]:
    folder = models.require("bleurt", options.weights)
    path = folder.file(models.CONFIG_FILE)
    config = read_config(path, ("max_position_embeddings", "vocab_size"))
    with refusing_other_shapes(path):
        most, tokens = min(MOST_TOKENS, config["max_position_embeddings"]), int(config["vocab_size"])
    tokenizer = BleurtTokenizer(folder.file("spm.model", "spiece.model"), most)
    if tokenizer.size > tokens:
        raise MissingResource(
            f"{folder.path}: the tokenizer has {tokenizer.size} pieces, but the model has {tokens}: "
            "they belong to different models"
        )
    with open_pair_model(
        folder,
        build_network,
        precision=options.precision,
        device=device,
        cache=cache,
        progress=progress,
        notify=notify,
    ) as model:
        yield Bleurt(tokenizer, model)


def _renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {}
    for key, tensor in tensors.items():
        name = key
        if name.startswith("classifier."):
            name = f"head.{name.removeprefix('classifier.')}"
        elif name.endswith("embeddings.position_ids"):
            continue  # counts from 0
        else:
            for old, new in _RENAMES:
                name = name.replace(old, new)
            name = f"body.{name}"
        renamed[name] = tensor
    return renamed


METRIC = Metric(
    name="bleurt",
    outputs=OUTPUTS,
    meanings=("Agreement of both captions in meaning, predicted by a model trained on human ratings.",),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=BleurtOptions,
    options_of=options_of,
    revision=1,
    bounds=(-np.inf, np.inf),
    identity=None,  # about 0.96, but what the model says of the caption
    is_offered=is_offered,
    lacks=lacks,
    notes=notes,
    counted="pairs",
    load=load,
    identify=identified,
    digest=digest,
    source="bleurt-pytorch 0.0.1, BLEURT-20-D12; Sellam et al. 2020, BLEURT: Learning Robust Metrics",
)
