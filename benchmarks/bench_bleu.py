"""BLEU of 10,000 pairs of captions, cold; there is no living library to compare it with.

NLTK 3.2.2 does not run on this Python, and later versions compute another score.
"""

from __future__ import annotations

import argparse
import time

from bench_rouge import captions
from measure import machine, table

from rocov2_eval.metrics.bleu import BleuOptions, score
from rocov2_eval.shelf.porter2 import stem

EDITIONS = {"2017 to 2021, stems": BleuOptions(), "2022, words": BleuOptions(stem=False)}


def main() -> None:
    """Print the seconds of each kind of BLEU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    pairs = parser.parse_args().pairs
    candidates, references, origin = captions(pairs)
    repeats = -(-pairs // len(references))  # captions that come again keep no stem that others lack
    candidates, references = ((side * repeats)[:pairs] for side in (candidates, references))
    rows = []
    for name, options in EDITIONS.items():
        stem.cache_clear()
        start = time.perf_counter()
        mean = score(candidates, references, options)["bleu"].mean
        rows.append(
            [name, f"{pairs:,} {origin}", f"{time.perf_counter() - start:.2f} s (target 3 s)", f"{mean:.4f}"]
        )
    print(machine())
    print(table(["edition", "pairs", "rocov2-eval", "mean BLEU"], rows))


if __name__ == "__main__":
    main()
