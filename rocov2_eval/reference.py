"""Score pairs with the reference libraries themselves, for `--verify` and for our own tests.

Slow on purpose: one pair at a time, as the official evaluators call them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command

_NO_LIMIT = 10**18  # transformers writes int(1e30) where a tokenizer knows no largest length
_PREFIX_SPACE = {"RobertaTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast"}


def bertscore_reference(  # noqa: PLR0917 - in the order of bert-score's own
    candidates: Sequence[str],
    references: Sequence[str],
    idf_corpus: Sequence[str] | None,
    model_folder: Path,
    layer: int,
    device: str = "cpu",
) -> tuple[list[float], list[float], list[float]]:
    """Return precision, recall and F1 of bert-score's own `BERTScorer`.

    Args:
        candidates: Captions of the run, normalised already.
        references: Captions of the truth, normalised already, one for each candidate.
        idf_corpus: Documents that the idf is counted over, None for equal weights.
        model_folder: Folder with weights and tokenizer.
        layer: Hidden layer, from 1.
        device: `cpu`, `cuda` or `mps`.

    Returns:
        Three lists, of one call a pair: beside padding, bert-score lifts negative similarities to 0, so
        that only this gives what the challenge computes. Precision or recall is NaN where all weights are 0.

    Raises:
        MissingResource: bert-score is not installed.
    """
    columns: tuple[list[float], list[float], list[float]] = ([], [], [])
    with bert_scorer(idf_corpus, model_folder, layer, device) as scorer:
        for candidate, reference in zip(candidates, references, strict=True):
            with contextlib.redirect_stderr(io.StringIO()):  # a line for every empty caption
                scores = scorer.score([candidate], [reference])
            for column, values in zip(columns, scores, strict=True):
                column.extend(values.tolist())
    return columns


@contextlib.contextmanager
def bert_scorer(
    idf_corpus: Sequence[str] | None, model_folder: Path, layer: int, device: str = "cpu"
) -> Iterator[Any]:
    """Open bert-score's `BERTScorer` on a local folder, with its faults under transformers 5 worked around.

    Under transformers 4 it runs untouched, with slow tokenizers. Arguments as for `bertscore_reference`.
    """
    bert_score, transformers = _import("bert_score"), _import("transformers")
    is_modern = int(transformers.__version__.split(".")[0]) >= 5  # noqa: PLR2004
    patches = _modern(bert_score.scorer, bert_score.utils, transformers)
    with patches if is_modern else contextlib.nullcontext():
        with contextlib.chdir(model_folder), contextlib.redirect_stderr(io.StringIO()):
            # A folder whose path contains "t5" would be taken for a T5 model: "." cannot be.
            scorer = bert_score.BERTScorer(model_type=os.curdir, num_layers=layer, device=device)
        if idf_corpus is not None:
            # Not through the constructor, which counts in four forked processes.
            tokenizer = scorer._tokenizer  # noqa: SLF001
            scorer._idf_dict = bert_score.utils.get_idf_dict(list(idf_corpus), tokenizer, nthreads=0)  # noqa: SLF001
            scorer._idf = True  # noqa: SLF001
        yield scorer


def rouge_reference(candidates: Sequence[str], references: Sequence[str]) -> dict[str, list[float]]:
    """Return rouge-score's F measures by name, without stemmer, of texts normalised already.

    Raises:
        MissingResource: rouge-score is not installed.
    """
    names = ("rouge1", "rouge2", "rougeL")
    scorer = _import("rouge_score.rouge_scorer").RougeScorer(list(names), use_stemmer=False)
    scores = [scorer.score(target, text) for text, target in zip(candidates, references, strict=True)]
    return {name: [float(score[name].fmeasure) for score in scores] for name in names}


def concept_f1_reference(
    candidate_sets: Sequence[set[str]], reference_sets: Sequence[set[str]]
) -> list[float]:
    """Return scikit-learn's binary F1 of each image over the concepts that occur on either side.

    Raises:
        MissingResource: scikit-learn is not installed.
    """
    f1_score = _import("sklearn.metrics").f1_score
    scores = []
    for ours, theirs in zip(candidate_sets, reference_sets, strict=True):
        labels = sorted(ours | theirs)
        marks = [[int(label in side) for label in labels] for side in (theirs, ours)]
        scores.append(float(f1_score(*marks, average="binary")) if labels else 1.0)
    return scores


def bleurt_reference(candidates: Sequence[str], references: Sequence[str], model_folder: Path) -> list[float]:
    """Return the logits of bleurt-pytorch's own model, one pair at a time, on the CPU.

    Args:
        candidates: Captions of the run, normalised already.
        references: Captions of the truth, normalised already, one for each candidate.
        model_folder: Folder with weights and tokenizer.

    Raises:
        MissingResource: bleurt-pytorch is not installed, or the installed transformers is too new for it.
    """
    library, torch = _import_old("bleurt_pytorch"), _import("torch")
    model = library.BleurtForSequenceClassification.from_pretrained(model_folder).eval()
    tokenizer = library.BleurtTokenizer.from_pretrained(model_folder)
    scores = []
    for candidate, reference in zip(candidates, references, strict=True):
        with torch.no_grad():
            inputs = tokenizer([reference], [candidate], truncation=True, max_length=512, return_tensors="pt")
            scores.append(float(model(**inputs).logits.item()))
    return scores


def alignscore_reference(
    candidates: Sequence[str], references: Sequence[str], checkpoint: Path, vocabulary: Path
) -> list[float]:
    """Return the scores of AlignScore's own code in the mode nli_sp, one pair at a time, on the CPU.

    Args:
        candidates: Captions of the run as they stand.
        references: Captions of the truth as they stand, one for each candidate.
        checkpoint: The checkpoint of Lightning.
        vocabulary: Folder with vocabulary and configuration of its RoBERTa.

    Raises:
        MissingResource: AlignScore is not installed, or cannot be imported beside the installed libraries.
    """
    library = _import_old("alignscore")
    scorer = library.AlignScore(
        model=str(vocabulary),
        batch_size=32,
        device="cpu",
        ckpt_path=str(checkpoint),
        evaluation_mode="nli_sp",
        verbose=False,
    )
    pairs = zip(references, candidates, strict=True)
    return [float(scorer.score(contexts=[context], claims=[claim])[0]) for context, claim in pairs]


def _import_old(name: str) -> ModuleType:
    """Import a library that was written for transformers 4, or say why that does not work here."""
    advice = (
        f"{name} needs transformers 4: install it with transformers 4 and rocov2-eval in a separate "
        "environment"
    )
    try:
        return _import(name)
    except MissingResource:
        raise MissingResource(f"{name} is not installed ({advice})") from None
    except ImportError as error:
        raise MissingResource(f"{advice} ({error})") from None


def _import(name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of libraries that these import
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingResource(f"{error.name} is not installed: {install_command('verify')}") from error


@contextlib.contextmanager
def _modern(scorer: Any, utils: Any, transformers: Any) -> Iterator[None]:  # noqa: ANN401
    """Exchange the three functions of bert-score that transformers 5 breaks, for as long as it runs.

    Both modules hold the names; `utils` looks `sent_encode` up when it encodes.
    """
    replacements = {
        "sent_encode": _sent_encode,
        "get_tokenizer": functools.partial(_get_tokenizer, transformers),
        "get_model": functools.partial(_get_model, utils.get_model, transformers),
    }
    originals = [(module, name, getattr(module, name)) for module in (scorer, utils) for name in replacements]
    for module, name, _ in originals:
        setattr(module, name, replacements[name])
    try:
        yield
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def _sent_encode(tokenizer: Any, sent: str) -> list[int]:  # noqa: ANN401
    """Encode one text where the original overflows (no length limit) or lacks a method (empty text)."""
    limit = tokenizer.model_max_length
    cut = {"truncation": True, "max_length": limit} if limit < _NO_LIMIT else {}
    ids: list[int] = tokenizer.encode(sent.strip(), add_special_tokens=True, **cut)
    return ids


def _get_tokenizer(transformers: Any, folder: str, _use_fast: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002
    """Load a tokenizer which, in the RoBERTa and GPT-2 families, puts a blank before the first word."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if type(tokenizer).__name__ in _PREFIX_SPACE:
        return transformers.AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    return tokenizer


def _get_model(original: Any, transformers: Any, *arguments: Any) -> Any:  # noqa: ANN401
    """Build the model in float32: transformers 5 would keep half-precision weights as they are stored."""
    load = transformers.AutoModel.from_pretrained
    with _attribute(transformers.AutoModel, "from_pretrained", functools.partial(load, dtype="float32")):
        return original(*arguments)


@contextlib.contextmanager
def _attribute(owner: Any, name: str, value: Any) -> Iterator[None]:  # noqa: ANN401
    had = name in vars(owner)
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
