"""AlignScore (nli_sp): how far the sentences of a candidate follow from the reference, says a RoBERTa.

The reference is cut into chunks of about 350 words, the candidate into sentences. Each sentence counts by the
chunk that supports it best, the caption by the mean of its sentences. Captions are taken as they stand.
"""

from __future__ import annotations

from collections import defaultdict
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
from rocov2_eval.tensor_files import (
    check_merges,
    load_strictly,
    read_config,
    read_tensors,
    refusing_other_shapes,
)
from rocov2_eval.truth import Truth

OUTPUTS = ("alignscore",)
_MOST_TOKENS = 512
_MARKS = 4  # <s> chunk </s></s> sentence </s>
_WORDS_OF_A_CHUNK = 350
_PAIRS_OF_A_BATCH = 32  # of the original, which truncates all pairs of a batch in one way
_ALIGNED, _CLASSES = 0, 3
_OTHER_HEADS = ("bin_layer.", "reg_layer.", "mlm_head.")


@dataclass(frozen=True, kw_only=True)
class AlignScoreOptions(Options):
    """Options of AlignScore.

    Attributes:
        weights: Key of `models.WEIGHTS` or a model's folder; `identified` puts `name@digest` in its place.
            None for those of the challenge.
        sentences: Name or folder of the data of the sentence splitter.
        precision: Arithmetic of the model; the challenge computes in `fp32`.
        both_empty: Score where both captions are the empty text.
        no_sentence: Score where the candidate alone has no sentence. The official evaluation ends there with
            an exception.
    """

    weights: str | None = None
    sentences: str | None = None
    precision: str = "fp32"
    both_empty: float = 1.0
    no_sentence: float = 0.0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageFault(f"precision is {self.precision!r}, expected one of {', '.join(PRECISIONS)}")


DEFAULT = AlignScoreOptions()


class Aligner(Protocol):
    """What the metric needs of a model; a test passes a fake."""

    def align(self, contexts: Sequence[str], claims: Sequence[str]) -> list[float | None]:
        """Return how far each claim follows from its context, None for a claim without a sentence."""
        ...


class AlignModel:
    """A loaded AlignScore; `load` makes it.

    Attributes:
        identity: Name and the first 12 hexadecimal digits of the weights' digest.
        sentences: Identity of the data of the sentence splitter, in the same form.
    """

    def __init__(
        self, splitter: SentenceSplitter, tokenizer: RobertaPairs, model: PairModel, sentences: str
    ) -> None:
        self.identity = model.identity
        self.sentences = sentences
        self._splitter = splitter
        self._tokenizer = tokenizer
        self._model = model

    def align(self, contexts: Sequence[str], claims: Sequence[str]) -> list[float | None]:
        """Return how far each claim follows from its context, None for a claim without a sentence.

        Args:
            contexts: n reference captions.
            claims: n candidate captions.
        """
        split = {text: self._splitter.sentences(text) for text in {*contexts, *claims}}
        chunks = [chunks_of(context, split[context]) for context in contexts]
        sentences = [split[claim] for claim in claims]
        pairs = self._tokenizer.pairs(chunks, sentences)
        values = iter(self._model.read([pair for group in pairs for pair in group]).tolist())
        return [
            _score(np.array([next(values) for _ in group], np.float32), len(claim)) if group else None
            for group, claim in zip(pairs, sentences, strict=True)
        ]


class SentenceSplitter:
    """Punkt for English, as NLTK's `sent_tokenize` runs it.

    Args:
        folder: Folder with the four files of Punkt's data.

    Raises:
        MissingResource: NLTK is not installed, or a file is damaged.
    """

    def __init__(self, folder: ModelFolder) -> None:
        punkt = import_library("nltk.tokenize.punkt", "official")
        # Read here: NLTK refuses data outside of its own folders since 3.10.
        parameters = punkt.PunktParameters()
        try:
            lines = {path.name: _lines(path) for path in folder.files}
            parameters.abbrev_types = set(lines["abbrev_types.txt"])
            parameters.sent_starters = set(lines["sent_starters.txt"])
            parameters.collocations = {_two(line) for line in lines["collocations.tab"]}
            contexts = (_two(line) for line in lines["ortho_context.tab"])
            parameters.ortho_context = defaultdict(int, {word: int(flags) for word, flags in contexts})
        except (ValueError, UnicodeDecodeError) as error:
            raise MissingResource(
                f"{folder.path}: the data of Punkt are damaged ({error}): import them again"
            ) from None
        self._tokenizer = punkt.PunktSentenceTokenizer()
        self._tokenizer._params = parameters  # noqa: SLF001 - as PunktTokenizer sets them

    def sentences(self, text: str) -> tuple[str, ...]:
        """Return the sentences of a text, none of a text of blanks."""
        return tuple(self._tokenizer.tokenize(text))


class RobertaPairs:
    """The byte-level vocabulary of RoBERTa, and its pairs cut as the original cuts them.

    Args:
        folder: Folder with vocabulary and merges.
        most: Largest number of tokens of a pair.

    Raises:
        MissingResource: Vocabulary or merges are damaged.
    """

    def __init__(self, folder: ModelFolder, most: int) -> None:
        self._most = most
        # Checked first: the tokenizers library has no exception of its own for what is damaged.
        check_merges(folder.file("vocab.json"), folder.file("merges.txt"), ("<s>", "</s>"))
        with quiet_transformers() as transformers:
            self._tokenizer = transformers.RobertaTokenizerFast.from_pretrained(
                folder.path, local_files_only=True
            )
        self.size = len(self._tokenizer)

    def pairs(
        self, chunks: Sequence[Sequence[str]], sentences: Sequence[Sequence[str]]
    ) -> list[list[TokenPair]]:
        """Return, for each image, `<s> chunk </s></s> sentence </s>` of every chunk with every sentence.

        Args:
            chunks: For each of n images, the chunks of the reference.
            sentences: For each, the sentences of the candidate.
        """
        texts = list(dict.fromkeys(text for side in (*chunks, *sentences) for text in side))
        encoded = self._tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        ids = dict(zip(texts, encoded, strict=True))
        return [
            self._of_image([(ids[chunk], ids[sentence]) for chunk in ours for sentence in theirs])
            for ours, theirs in zip(chunks, sentences, strict=True)
        ]

    def _of_image(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[TokenPair]:
        """Cut the pairs of one image: the chunk alone, or both where that does not suffice in a batch."""
        room = self._most - _MARKS
        cut = []
        for start in range(0, len(pairs), _PAIRS_OF_A_BATCH):
            batch = pairs[start : start + _PAIRS_OF_A_BATCH]
            excesses = [max(0, len(chunk) + len(sentence) - room) for chunk, sentence in batch]
            chunk_suffices = all(
                excess == 0 or len(chunk) > excess for (chunk, _), excess in zip(batch, excesses, strict=True)
            )
            for (chunk, sentence), excess in zip(batch, excesses, strict=True):
                ours, theirs = (
                    (len(chunk) - excess, len(sentence))
                    if chunk_suffices
                    else cut_longest_first(len(chunk), len(sentence), room)
                )
                cut.append(self._pair(chunk[:ours], sentence[:theirs]))
        return cut

    def _pair(self, chunk: list[int], sentence: list[int]) -> TokenPair:
        opening, closing = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        return token_pair((opening, *chunk, closing), (closing, *sentence, closing))


def chunks_of(text: str, sentences: Sequence[str]) -> list[str]:
    """Return runs of sentences, about 350 words each, the remainder as a further one.

    Args:
        text: The reference.
        sentences: Sentences of the reference; none count as one empty sentence.
    """
    sentences = sentences or ("",)
    wanted = len(text.strip().split()) // _WORDS_OF_A_CHUNK + 1
    step = max(len(sentences) // wanted, 1)
    return [" ".join(sentences[start : start + step]) for start in range(0, len(sentences), step)]


def options_of(settings: Settings, _: Truth) -> AlignScoreOptions:
    """Return the options that the user asks for."""
    return AlignScoreOptions(
        weights=settings.weights_of("align"),
        sentences=settings.weights_of("sentences"),
        precision=settings.precision,
    )


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition publishes AlignScore."""
    return edition.captions.publishes(OUTPUTS[0])


def lacks(settings: Settings, _: Truth) -> str | None:
    """Say which libraries, weights or data are missing, and what brings them."""
    reasons = (models.absence(kind, settings.weights_of(kind)) for kind in ("align", "sentences"))
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or None


def notes(options: AlignScoreOptions) -> Iterator[str]:
    """Say what differs from the official model; the options are those before `identified`."""
    for kind, name in (("align", options.weights), ("sentences", options.sentences)):
        if name is not None and name != models.default_name(kind):
            yield f"AlignScore with {models.KINDS[kind].title} {name} is not comparable with official scores"
    if options.precision != "fp32":
        yield f"AlignScore in {options.precision} is not official: the official precision is fp32"


def load(
    options: AlignScoreOptions,
    *,
    device: str = "auto",
    cache: Path | None = None,
    progress: Progress = silent,
    notify: Notify = silent,
) -> AbstractContextManager[AlignModel]:
    """Open the model and the sentence splitter that the options name, before `identified` was applied.

    Args:
        options: Weights, sentence splitter and precision; the rest does not count.
        device: One of `devices.DEVICES`.
        cache: Folder of the cache, None for no cache.
        progress: Called with the pairs of chunk and sentence read so far and in all.
        notify: Called with a sentence for the user.

    Raises:
        MissingResource: Weights, data or libraries are missing, or the weights are not those of an
            AlignScore.
    """
    return _opened(options, device, cache, progress, notify)


def identified(options: AlignScoreOptions, model: AlignModel) -> AlignScoreOptions:
    """Return the options as the signature shows them: with the identities of what was loaded."""
    return replace(options, weights=model.identity, sentences=model.sentences)


def digest(options: AlignScoreOptions) -> str:
    """Name by content the weights and data that `load` would open."""
    weights = models.weights_digest(models.require("align", options.weights))
    sentences = models.weights_digest(models.require("sentences", options.sentences))
    return f"weights:{weights}|sentences:{sentences}"


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: AlignScoreOptions = DEFAULT,
    resource: Aligner | None = None,
) -> dict[str, SampleScores]:
    """Return how far each candidate follows from its reference.

    Raises:
        ValueError: Candidates and references differ in number, or there is no model.
    """
    require_pairs(candidates, references)
    if resource is None:
        raise ValueError("alignscore needs a model: pass the result of load() as resource")
    aligned = resource.align(references, candidates)
    values: FloatArray = np.array(
        [
            options.both_empty
            if not candidate and not reference
            else (options.no_sentence if value is None else value)
            for value, candidate, reference in zip(aligned, candidates, references, strict=True)
        ],
        np.float64,
    )
    return {OUTPUTS[0]: SampleScores(values=values, scored=np.ones(len(candidates), np.bool_))}


def build_network(folder: ModelFolder) -> Any:  # noqa: ANN401
    """Return the network of a folder as a module of torch; it gives the probability of entailment.

    Raises:
        MissingResource: Configuration or weights are damaged, or not those of an AlignScore.
    """
    path = folder.file(models.CONFIG_FILE)
    config = read_config(path, SHAPE_FIELDS)
    with quiet_transformers() as transformers, refusing_other_shapes(path):
        shape = {name: config[name] for name in SHAPE_FIELDS}
        body = transformers.RobertaModel(transformers.RobertaConfig(**shape), add_pooling_layer=True)
    network = pooled_network(
        body, config["hidden_size"], _CLASSES, lambda logits: logits.float().softmax(-1)[:, _ALIGNED]
    )
    load_strictly(network, _renamed(read_tensors(folder.tensor_files)), folder.path)
    return network


@contextmanager
def _opened(
    options: AlignScoreOptions, device: str, cache: Path | None, progress: Progress, notify: Notify
) -> Iterator[AlignModel]:
    folder = models.require("align", options.weights)
    data = models.require("sentences", options.sentences)
    splitter = SentenceSplitter(data)
    path = folder.file(models.CONFIG_FILE)
    config = read_config(path, SHAPE_FIELDS)
    with refusing_other_shapes(path):
        # RoBERTa counts positions from the index after the padding token's.
        most = min(_MOST_TOKENS, config["max_position_embeddings"] - config["pad_token_id"] - 1)
        tokens = int(config["vocab_size"])
    tokenizer = RobertaPairs(folder, most)
    if tokenizer.size > tokens:
        raise MissingResource(
            f"{folder.path}: the vocabulary has {tokenizer.size} tokens, but the model has {tokens}: "
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
        yield AlignModel(splitter, tokenizer, model, f"{data.name}@{models.weights_digest(data)[:12]}")


def _score(entailments: Any, sentences: int) -> float:  # noqa: ANN401
    """Return the mean over sentences of the best chunk's probability, in float32 as the original.

    Args:
        entailments: Float32, shape (chunks * sentences,), the sentences of the first chunk first.
        sentences: Number of sentences.
    """
    return float(entailments.reshape(-1, sentences).max(axis=0).mean(dtype=np.float32))


def _renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {}
    for key, tensor in tensors.items():
        if key.startswith(_OTHER_HEADS) or key.endswith("embeddings.position_ids"):
            continue
        renamed[key.replace("base_model.", "body.", 1).replace("tri_layer.", "head.", 1)] = tensor
    return renamed


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _two(line: str) -> tuple[str, str]:
    first, second = line.split("\t")
    return first, second


METRIC = Metric(
    name="alignscore",
    outputs=OUTPUTS,
    meanings=("Support of each sentence of the caption by the reference, predicted by a trained model.",),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=AlignScoreOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 1.0),
    identity=None,  # what the model says of the caption
    is_offered=is_offered,
    lacks=lacks,
    notes=notes,
    counted="pairs",
    load=load,
    identify=identified,
    digest=digest,
    source="yuh-zha/AlignScore@a0936d5, AlignScore-base, nli_sp; Zha et al. 2023, AlignScore",
)
