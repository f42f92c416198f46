"""ROUGE-1, ROUGE-2 and ROUGE-L, F measure, equal to rouge-score 0.1.2 to the last bit.

All captions of a run are cut into words in one pass and coded as integers; overlaps are then array operations
and the longest common subsequence is rapidfuzz's, over strings with one character a word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cpdist

from rocov2_eval.editions import Edition
from rocov2_eval.metric import Metric, Options, require_pairs
from rocov2_eval.records import FloatArray, IntArray, SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.textnorm import NORMALISERS, normalise
from rocov2_eval.truth import Truth

# Lin (2004), "ROUGE: a package for automatic evaluation of summaries"; words as google-research's tokenizer
# cuts them: lower-cased, everything but a-z and 0-9 separates.
_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789"
_TO_BLANK = bytes(code if code in _WORD_BYTES or code == 0 else ord(" ") for code in range(256))
_LARGEST_CODE = 0x10FFFF  # of a character


@dataclass(frozen=True, kw_only=True)
class RougeOptions(Options):
    """Options of ROUGE.

    Attributes:
        norm: How captions are normalised first, a key of `textnorm.NORMALISERS`.
        both_empty: Score where nothing is left of both captions; rouge-score itself gives 0, the official
            evaluators mean 1.
        skip_id_rows: The reader skipped ids that hold the capitals `ID` (2023 and 2024); named here because
            it moves the number.
        stem: Always False: the official evaluators do not stem. Named since other tools do.
    """

    norm: str = "clef2023"
    both_empty: float = 1.0
    skip_id_rows: bool = False
    stem: bool = False

    def __post_init__(self) -> None:
        if self.norm not in NORMALISERS:
            raise ValueError(f"norm is {self.norm!r}, expected one of {', '.join(NORMALISERS)}")
        if self.stem:
            raise ValueError("stem must be false: no edition uses stemming")


DEFAULT = RougeOptions()


def options_of(settings: Settings, _: Truth) -> RougeOptions:
    """Return the options that the edition prescribes."""
    rules = settings.edition.captions
    return RougeOptions(norm=rules.norm, skip_id_rows=rules.dialect.skips_id_rows)


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition scores captions by ROUGE."""
    return edition.captions.publishes("rouge1")


def score(
    candidates: Sequence[str],
    references: Sequence[str],
    options: RougeOptions = DEFAULT,
    resource: None = None,  # noqa: ARG001  every metric is called alike
) -> Mapping[str, SampleScores]:
    """Return the F measure of ROUGE-1, -2 and -L of each pair of captions.

    Args:
        candidates: n captions.
        references: n captions.
        options: See `RougeOptions`.
        resource: Not used.

    Raises:
        ValueError: The two differ in length.
    """
    require_pairs(candidates, references)
    n = len(references)
    left, right = normalise(candidates, options.norm), normalise(references, options.norm)
    codes, lengths = _words([*left, *right])
    both_empty = np.fromiter((not c and not r for c, r in zip(left, right, strict=True)), np.bool_, n)
    scored = np.ones(n, np.bool_)
    values = {
        "rouge1": _f_measure(_clipped(codes, lengths, 1), lengths, 1),
        "rouge2": _f_measure(_clipped(codes, lengths, 2), lengths, 2),
        "rougeL": _f_measure(_longest_common(codes, lengths), lengths, 1),
    }
    return {
        name: SampleScores(values=np.where(both_empty, options.both_empty, value), scored=scored)
        for name, value in values.items()
    }


def _words(captions: list[str]) -> tuple[IntArray, IntArray]:
    """Return the words of all captions, one after the other, as codes, and the number of words of each.

    Lower-casing the captions joined equals lower-casing each: the one letter whose lower case depends on its
    neighbours (Greek sigma) is a separator either way.
    """
    if not captions:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    joined = "\0".join(caption.replace("\0", " ") for caption in captions).lower()
    plain = joined.encode("ascii", "replace").translate(_TO_BLANK)  # a letter beyond ASCII separates too
    words = list(map(bytes.split, plain.split(b"\0")))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    flat = list(chain.from_iterable(words))
    vocabulary: defaultdict[bytes, int] = defaultdict(count().__next__)  # the next number to a new word
    return np.fromiter(map(vocabulary.__getitem__, flat), np.int64, len(flat)), lengths


def _clipped(codes: IntArray, lengths: IntArray, order: int) -> IntArray:
    """Return for each pair the number of n-grams in common, each counted as often as in the poorer side."""
    n = len(lengths) // 2
    grams, owners = codes, np.repeat(np.arange(2 * n), lengths)
    if order == 2:  # noqa: PLR2004
        inside = owners[1:] == owners[:-1]
        width = int(codes.max(initial=0)) + 1
        grams, owners = (codes[:-1] * width + codes[1:])[inside], owners[1:][inside]
        grams = np.unique(grams, return_inverse=True)[1]
    pairs, sides = owners % max(n, 1), owners // max(n, 1)
    width = int(grams.max(initial=0)) + 1
    keys = np.sort((pairs * width + grams) * 2 + sides, kind="stable")
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))[: len(keys)])
    counts = np.diff(np.append(starts, len(keys)))
    found = keys[starts]
    on_both = np.flatnonzero(found[1:] // 2 == found[:-1] // 2)
    clipped = np.minimum(counts[on_both], counts[on_both + 1])
    return np.bincount(found[on_both] // (2 * width), weights=clipped, minlength=n).astype(np.int64)


def _longest_common(codes: IntArray, lengths: IntArray) -> IntArray:
    """Return for each pair the length of the longest common subsequence of words."""
    if codes.max(initial=0) > _LARGEST_CODE:
        raise ValueError(f"more than {_LARGEST_CODE:,} distinct words")
    ends = np.cumsum(lengths).tolist()
    text = "".join(map(chr, codes.tolist()))
    texts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    n = len(lengths) // 2
    common: IntArray = cpdist(texts[:n], texts[n:], scorer=LCSseq.similarity, dtype=np.int64)
    return common


def _f_measure(common: IntArray, lengths: IntArray, order: int) -> FloatArray:
    """Return 2PR/(P+R) in the order of operations of rouge-score, 0 where both are 0."""
    counts = np.maximum(lengths - (order - 1), 1)
    candidate, reference = np.split(counts, 2)
    precision, recall = common / candidate, common / reference
    total = precision + recall
    return np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1.0), 0.0)


METRIC = Metric(
    name="rouge",
    outputs=("rouge1", "rouge2", "rougeL"),
    meanings=(
        "F1 of the single words of both captions.",
        "F1 of the pairs of neighbouring words of both captions.",
        "F1 by the longest common sequence of words of both captions.",
    ),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=score,
    options=RougeOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 1.0),
    identity=None,  # ROUGE-2 of a one-word caption against itself is 0
    is_offered=is_offered,
    source="rouge-score 0.1.2, use_stemmer=False; Lin (2004)",
)
