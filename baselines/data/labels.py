"""The label order of a network, and concepts as a matrix over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from rocov2_eval.records import BoolArray, IntArray


def label_order(concepts: Iterable[Collection[str]], fewest: int = 1) -> tuple[str, ...]:
    """Return the concepts that at least `fewest` images have, the most frequent first, ties by CUI."""
    counts = Counter(cui for image in concepts for cui in image)
    kept = [cui for cui, count in counts.items() if count >= fewest]
    return tuple(sorted(kept, key=lambda cui: (-counts[cui], cui)))


def label_matrix(concepts: Sequence[Sequence[str]], labels: Sequence[str]) -> tuple[BoolArray, IntArray]:
    """Return which image has which label, and how many concepts of each image are no label.

    The second counts in every F1: a concept that no training image has is missed, not absent.

    Args:
        concepts: Concepts of each of n images.
        labels: The label order.

    Returns:
        Shapes (n, labels) and (n,).
    """
    place = {cui: i for i, cui in enumerate(labels)}
    matrix = np.zeros((len(concepts), len(labels)), np.bool_)
    outside = np.zeros(len(concepts), np.int64)
    for row, image in enumerate(concepts):
        known = [place[cui] for cui in image if cui in place]
        matrix[row, known] = True
        outside[row] = len(image) - len(known)
    return matrix, outside
