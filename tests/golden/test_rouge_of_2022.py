"""ROUGE-1 of the 2022 evaluator, its secondary score, on the words that its preprocessing leaves."""

from __future__ import annotations

import json
from pathlib import Path

from rocov2_eval.metrics.rouge import RougeOptions, score

GOLDEN = Path(__file__).with_name("bleu_nltk322.json")
ON_WORDS = RougeOptions(norm="none", both_empty=1.0)


def test_the_rouge1_of_each_pair_is_the_recorded_one() -> None:
    pairs = [pair["2022_no_lemma"] for pair in json.loads(GOLDEN.read_text(encoding="utf-8"))["pairs"]]
    candidates = [" ".join(pair["candidate_tokens"]) for pair in pairs]
    references = [" ".join(pair["reference_tokens"]) for pair in pairs]

    expected = [pair["rouge1"] for pair in pairs]
    assert expected == score(candidates, references, ON_WORDS)["rouge1"].values.tolist()
