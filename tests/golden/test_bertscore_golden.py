"""BERTScore means recorded with bert-score 0.3.13 and the stand-in encoder on real captions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.encoders import Arena, TextEncoder
from rocov2_eval.metrics.bertscore import BertScoreOptions, f1, flat_weights, idf_weights, load, match
from rocov2_eval.textnorm import normalise

FIRST = 400
BATCH = 64  # pairs in one call of the matching, bert-score's default
RUNS = ("next", "first8", "shuffled", "constant")

pytestmark = [pytest.mark.encoder, pytest.mark.slow]


@pytest.fixture(scope="module")
def encoder() -> Iterator[TextEncoder]:
    with load(BertScoreOptions(encoder="minilm"), device="cpu", notify=pytest.fail) as held:
        yield held


@pytest.fixture(scope="module")
def references(shared: Path) -> list[str]:
    return captions(shared / "data/roco/captions.csv")


def captions(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return normalise([row["Caption"] for row in csv.DictReader(stream)], "clef2023")


def weights_of(arena: Arena, encoder: TextEncoder, references: list[str], *, idf: bool) -> np.ndarray:
    """Weigh the tokens of the first images by all references of the file."""
    if not idf:
        return flat_weights(arena.tokens)
    corpus = encoder.tokenise(references)
    known = dict(zip(corpus.ids.tolist(), idf_weights(corpus, corpus.index).tolist(), strict=True))
    unseen = np.log(len(corpus.index) + 1)
    return np.array([known.get(token, unseen) for token in arena.tokens.ids.tolist()])


def match_in_batches(arena: Arena, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match as bert-score does 64 pairs at a time: beside padding, negative similarities become 0.

    The recorded means were computed like that. The challenge calls it with one pair, without padding.
    """
    ours, theirs = arena.tokens.index[:FIRST], arena.tokens.index[FIRST:]
    lengths = np.diff(arena.tokens.offsets)
    found = np.zeros((2, FIRST))
    for pair in range(FIRST):
        batch = slice(pair - pair % BATCH, pair - pair % BATCH + BATCH)
        sides = [slice(*arena.tokens.offsets[[s, s + 1]]) for s in (ours[pair], theirs[pair])]
        cosines = arena.vectors[sides[0]] @ arena.vectors[sides[1]].T
        for other, row in ((theirs, 0), (ours, 1)):
            best = cosines.max(axis=1 - row)
            if lengths[other[pair]] < lengths[other[batch]].max():
                best = np.maximum(best, 0)
            weight = weights[sides[row]]
            found[row, pair] = best @ weight / weight.sum()
    return found[0], found[1]


@pytest.mark.parametrize("idf", [False, True])
@pytest.mark.parametrize("run", RUNS)
def test_means_over_real_captions_equal_the_recorded_ones(
    encoder: TextEncoder, references: list[str], shared: Path, run: str, *, idf: bool
) -> None:
    golden = json.loads((shared / "golden/roco_captions.json").read_text(encoding="utf-8"))
    recorded = golden["bertscore"][f"{run}|idf={idf}"]
    candidates = captions(shared / f"data/roco/runs/captions_{run}.csv")[:FIRST]
    arena = encoder.encode([*candidates, *references[:FIRST]])
    weights = weights_of(arena, encoder, references, idf=idf)
    precision, recall = match_in_batches(arena, weights)
    means = [column.mean() for column in (precision, recall, f1(precision, recall))]
    assert means == pytest.approx([recorded[name] for name in "PRF"], abs=1e-6)
    # What padding does to negative similarities is all that separates the score from the record.
    alone = match(arena, weights, arena.tokens.index[:FIRST], arena.tokens.index[FIRST:])
    means = [column.mean() for column in (*alone, f1(*alone))]
    assert means == pytest.approx([recorded[name] for name in "PRF"], abs=5e-5 if run == "next" else 1e-5)
