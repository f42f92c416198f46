"""BERTScore as bert-score 0.3.13 computes it for one pair at a time, which is how the challenge calls it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rocov2_eval import models
from rocov2_eval.batching import Float32Array
from rocov2_eval.devices import PRECISIONS
from rocov2_eval.editions import Edition
from rocov2_eval.encoders import Arena, Encoder, TextEncoder, Tokens, open_encoder
from rocov2_eval.errors import UsageFault
from rocov2_eval.metric import Metric, Options, require_pairs
from rocov2_eval.records import BoolArray, FloatArray, IntArray, SampleScores
from rocov2_eval.settings import OFFICIAL_ENCODER, Settings
from rocov2_eval.shelf.progress import Notify, Progress, silent
from rocov2_eval.textnorm import NORMALISERS, normalise
from rocov2_eval.truth import Truth

OUTPUTS = ("bertscore_f1", "bertscore_precision", "bertscore_recall")


@dataclass(frozen=True, kw_only=True)
class BertScoreOptions(Options):
    """Options of BERTScore.

    Attributes:
        encoder: Key of `models.WEIGHTS` or a model's folder; `identified` puts `name@digest` in its place.
        layer: Hidden layer to compare, from 1; None, before `identified`, for the encoder's own.
        idf: Tokens weigh by their inverse document frequency over all normalised references.
        idf_corpus: Digest of those references, None without idf: scores weighed by other references are not
            comparable.
        norm: How captions are normalised first, a key of `textnorm.NORMALISERS`.
        precision: Arithmetic of the encoder; the challenge computes in `fp32`.
        skip_id_rows: The reader skipped ids that hold the capitals `ID` (2023 and 2024); named here because
            it moves the number.
        both_empty: Score where both captions are empty after normalisation.
    """

    encoder: str = OFFICIAL_ENCODER
    layer: int | None = None
    idf: bool = False
    idf_corpus: str | None = None
    norm: str = "clef2023"
    precision: str = "fp32"
    skip_id_rows: bool = False
    both_empty: float = 1.0

    def __post_init__(self) -> None:
        if self.norm not in NORMALISERS:
            raise UsageFault(f"norm is {self.norm!r}, expected one of {', '.join(NORMALISERS)}")
        if self.precision not in PRECISIONS:
            raise UsageFault(f"precision is {self.precision!r}, expected one of {', '.join(PRECISIONS)}")


DEFAULT = BertScoreOptions()


def options_of(settings: Settings, truth: Truth) -> BertScoreOptions:
    """Return the options that edition and user prescribe."""
    rules = settings.edition.captions
    return BertScoreOptions(
        encoder=settings.encoder,
        idf=rules.idf,
        idf_corpus=_corpus_digest(truth, rules.norm) if rules.idf else None,
        norm=rules.norm,
        precision=settings.precision,
        skip_id_rows=rules.dialect.skips_id_rows,
    )


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition scores captions by BERTScore."""
    return edition.captions.publishes(OUTPUTS[0])


def lacks(settings: Settings, _: Truth) -> str | None:
    """Say what the encoder lacks, and the command that brings it."""
    return models.absence("encoder", None if settings.encoder == OFFICIAL_ENCODER else settings.encoder)


def notes(options: BertScoreOptions) -> Iterator[str]:
    """Say what differs from the official encoder; the options are those before `identified`."""
    row = models.WEIGHTS.get(options.encoder)
    if row is None or not row.official:
        yield f"BERTScore with encoder {options.encoder} is not comparable with official scores"
    if options.precision != "fp32":
        yield f"BERTScore in {options.precision} is not official: the official precision is fp32"


def load(
    options: BertScoreOptions,
    *,
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> AbstractContextManager[TextEncoder]:
    """Open the encoder that the options name, before `identified` was applied to them.

    Args:
        options: Encoder, layer and precision; the rest does not count.
        device: One of `devices.DEVICES`.
        cache: Folder of the embedding cache, None for no cache.
        progress: Called with the distinct captions encoded so far and in all.
        notify: Called with a sentence for the user.
    """
    return open_encoder(
        models.require("encoder", options.encoder),
        layer=options.layer,
        precision=options.precision,
        device=device,
        cache=cache,
        progress=progress,
        notify=notify,
    )


def identified(options: BertScoreOptions, encoder: TextEncoder) -> BertScoreOptions:
    """Return the options as the signature shows them: with the identity and layer of what was loaded."""
    return replace(options, encoder=encoder.identity, layer=encoder.layer)


def digest(options: BertScoreOptions) -> str:
    """Name by content the weights that `load` would open."""
    return f"weights:{models.weights_digest(models.require('encoder', options.encoder))}"


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: BertScoreOptions = DEFAULT,
    resource: Encoder | None = None,
) -> dict[str, SampleScores]:
    """Return F1, precision and recall of every candidate.

    Raises:
        ValueError: Candidates and references differ in number, or there is no encoder.
    """
    require_pairs(candidates, references)
    if resource is None:
        raise ValueError("bertscore needs an encoder: pass the result of load() as resource")
    ours, theirs = normalise(candidates, options.norm), normalise(references, options.norm)
    arena = resource.encode([*ours, *theirs])
    count = len(ours)
    corpus = arena.tokens.index[count:]
    weights = idf_weights(arena.tokens, corpus) if options.idf else flat_weights(arena.tokens)
    is_both_empty = np.array([not a and not b for a, b in zip(ours, theirs, strict=True)], np.bool_)
    precision, recall = match(arena, weights, arena.tokens.index[:count], corpus)
    return _outputs(precision, recall, is_both_empty, options.both_empty)


def flat_weights(tokens: Tokens) -> FloatArray:
    """Return the weight of each token, shape (t,): 1, and 0 for those that open and close a sequence."""
    return (~np.isin(tokens.ids, tokens.specials)).astype(np.float64)


def idf_weights(tokens: Tokens, corpus: IntArray) -> FloatArray:
    """Return the inverse document frequency of each token, shape (t,): log((N + 1) / (df + 1)).

    A document counts as often as it occurs. The tokens that open and close every document come to 0 by
    themselves, and so does every token of a corpus of one.

    Args:
        tokens: All sequences.
        corpus: Shape (N,), the sequence of each document.
    """
    times = np.bincount(corpus, minlength=len(tokens.offsets) - 1)
    sequence_of = np.repeat(np.arange(len(times)), np.diff(tokens.offsets))
    vocabulary = int(tokens.ids.max(initial=0)) + 1
    once = np.unique(sequence_of * vocabulary + tokens.ids)  # a document holds a token or not
    frequency = np.bincount(once % vocabulary, weights=times[once // vocabulary], minlength=vocabulary)
    weight: FloatArray = np.log((len(corpus) + 1) / (frequency + 1))
    return weight[tokens.ids]


def match(
    arena: Arena, weights: FloatArray, candidates: IntArray, references: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Match every token with its most similar one on the other side.

    Precision is the weighted mean of the best cosines of the candidate's tokens, recall that of the
    reference's. Tokens that weigh nothing may still be matched. A pair with a side without words gets 0.

    Args:
        arena: Vectors of all sequences.
        weights: Shape (t,), of each token of the arena.
        candidates: Shape (n,), sequences.
        references: Shape (n,), sequences.

    Returns:
        Precision and recall, shape (n,) each; NaN where all weights of that side are 0.
    """
    results = np.zeros((2, len(candidates)))
    offsets = arena.tokens.offsets
    has_words = np.diff(offsets) > arena.tokens.bare_length
    for pair in np.flatnonzero(has_words[candidates] & has_words[references]):
        ours = slice(offsets[candidates[pair]], offsets[candidates[pair] + 1])
        theirs = slice(offsets[references[pair]], offsets[references[pair] + 1])
        cosines = arena.vectors[ours] @ arena.vectors[theirs].T
        results[0, pair] = _weighted_mean(cosines.max(axis=1), weights[ours])
        results[1, pair] = _weighted_mean(cosines.max(axis=0), weights[theirs])
    return results[0], results[1]


def f1(precision: FloatArray, recall: FloatArray) -> FloatArray:
    """Return the harmonic means, 0 where one of the two is NaN or both are 0."""
    total = precision + recall
    is_divisor: BoolArray = np.isfinite(total) & (total != 0)
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=is_divisor)


def _corpus_digest(truth: Truth, norm: str) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of the normalised references."""
    corpus = "\0".join(normalise([cell or "" for cell in truth.table.cells], norm))
    return hashlib.sha256(corpus.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _outputs(
    precision: FloatArray, recall: FloatArray, is_both_empty: BoolArray, both_empty: float
) -> dict[str, SampleScores]:
    columns = (f1(precision, recall), precision, recall)
    filled = [np.where(is_both_empty, both_empty, column) for column in columns]
    return {
        name: SampleScores(values=np.nan_to_num(column, nan=0.0), scored=~np.isnan(column))
        for name, column in zip(OUTPUTS, filled, strict=True)
    }


def _weighted_mean(best: Float32Array, weights: FloatArray) -> float:
    total = weights.sum()
    # A cosine of 1.0000001 is rounding; without the bound a perfect caption would score above 1.
    return min(1.0, float(best @ weights) / float(total)) if total > 0 else float("nan")


METRIC = Metric(
    name="bertscore",
    outputs=OUTPUTS,
    meanings=(
        "F1 of the similarity of the words of both captions, by the vectors of a language model.",
        "Mean similarity of each word of the run's caption to the nearest word of the reference.",
        "Mean similarity of each word of the reference to the nearest word of the run's caption.",
    ),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=BertScoreOptions,
    options_of=options_of,
    revision=1,
    # Of precision and recall; 2PR/(P+R) of opposite signs has none, in bert-score as here. An encoder whose
    # vectors of captions share a direction does not come near.
    bounds=(-1.0, 1.0),
    identity=1.0,
    is_offered=is_offered,
    lacks=lacks,
    notes=notes,
    counted="captions",
    load=load,
    identify=identified,
    digest=digest,
    source="Tiiiger/bert_score 0.3.13; Zhang et al. 2020, BERTScore: Evaluating Text Generation with BERT",
    weighs_by_idf=lambda options: options.idf,
)
