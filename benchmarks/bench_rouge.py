"""ROUGE-1, -2 and -L against rouge-score, cold (nothing cached between calls), at equal numbers."""

from __future__ import annotations

import argparse
import csv
import random

from measure import SHARED, machine, paired, table
from rouge_score.rouge_scorer import RougeScorer

from rocov2_eval.metrics.rouge import RougeOptions, score

NAMES = ["rouge1", "rouge2", "rougeL"]
RAW = RougeOptions(norm="none", both_empty=0.0)  # what rouge-score itself does with its input


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2_000)
    pairs = parser.parse_args().pairs
    candidates, references, origin = captions(pairs)
    mine, other = ours(candidates, references), theirs(candidates, references)
    differing = sum(a != b for name in NAMES for a, b in zip(mine[name], other[name], strict=True))
    timed = paired(lambda: ours(candidates, references), lambda: theirs(candidates, references), repeats=5)
    print(machine())
    row = [f"{len(references):,} {origin}", f"{timed.ours * 1000:.0f} ms", f"{timed.theirs * 1000:.0f} ms"]
    row += [f"{timed.ratio:.0f}x", f"{differing} of {3 * len(references):,}"]
    print(
        table(["pairs", "rocov2-eval", "rouge-score 0.1.2", "ratio", "scores that differ in any bit"], [row])
    )


def captions(pairs: int) -> tuple[list[str], list[str], str]:
    """Return real captions and the next image's beside them, or drawn words where the data are absent."""
    path = SHARED / "roco" / "captions.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            texts = [row[1] for row in csv.reader(file)][1 : pairs + 2]
        return texts[1:], texts[:-1], "real captions"
    chance = random.Random(0)
    texts = [
        " ".join(f"word{chance.randrange(3000)}" for _ in range(chance.randint(3, 40)))
        for _ in range(pairs + 1)
    ]
    return texts[1:], texts[:-1], "drawn captions"


def ours(candidates: list[str], references: list[str]) -> dict[str, list[float]]:
    """Score all pairs at once."""
    return {name: scores.values.tolist() for name, scores in score(candidates, references, RAW).items()}


def theirs(candidates: list[str], references: list[str]) -> dict[str, list[float]]:
    """Score pair by pair, as rouge-score offers."""
    scorer = RougeScorer(NAMES, use_stemmer=False)
    scores = [scorer.score(reference, text) for text, reference in zip(candidates, references, strict=True)]
    return {name: [pair[name].fmeasure for pair in scores] for name in NAMES}


if __name__ == "__main__":
    main()
