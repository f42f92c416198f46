"""Concept F1 against the per-image scikit-learn loop of the official evaluators, at equal numbers."""

from __future__ import annotations

import argparse
import random
import warnings

from measure import machine, paired, table
from sklearn.metrics import f1_score

from rocov2_eval.align import concept_sets
from rocov2_eval.metrics.concept_f1 import score


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    images = parser.parse_args().images
    runs, truths = cells(images, seed=1), cells(images, seed=2)
    warnings.simplefilter("ignore")  # of scikit-learn, where an image shares no concept
    difference = abs(ours(runs, truths) - theirs(runs, truths))
    timed = paired(lambda: ours(runs, truths), lambda: theirs(runs, truths), repeats=3)
    print(machine())
    row = [
        f"{images:,}",
        f"{timed.ours * 1000:.1f} ms",
        f"{timed.theirs:.1f} s",
        f"{timed.ratio:,.0f}x",
        f"{difference:.0e}",
    ]
    print(
        table(
            ["images", "rocov2-eval", "scikit-learn, one image at a time", "ratio", "difference of the mean"],
            [row],
        )
    )


def cells(images: int, seed: int) -> list[str]:
    """Return cells like ROCOv2's: 1 to 6 of 1,947 concepts, frequent ones far more often."""
    chance = random.Random(seed)
    vocabulary = [f"C{code:07d}" for code in random.Random(0).sample(range(10**7), 1947)]
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    return [
        ";".join(dict.fromkeys(chance.choices(vocabulary, weights, k=chance.randint(1, 6))))
        for _ in range(images)
    ]


def ours(runs: list[str], truths: list[str]) -> float:
    """Score from cells, as rocov2-eval does."""
    return score(*concept_sets(runs, truths))["concept_f1"].mean or 0.0


def theirs(runs: list[str], truths: list[str]) -> float:
    """Score from cells with one call of scikit-learn an image, as the official evaluators do."""
    total = 0.0
    for run, truth in zip(runs, truths, strict=True):
        given, wanted = run.upper().split(";"), truth.upper().split(";")
        labels = sorted({*given, *wanted})
        total += f1_score(
            [int(label in wanted) for label in labels],
            [int(label in given) for label in labels],
            average="binary",
        )
    return total / len(truths)


if __name__ == "__main__":
    main()
