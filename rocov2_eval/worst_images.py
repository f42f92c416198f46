"""The images that a run does worst on, with its answer and the truth: never for participants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rocov2_eval.align import align
from rocov2_eval.formats import Table
from rocov2_eval.scoring import Report
from rocov2_eval.truth import Truth


@dataclass(frozen=True, kw_only=True)
class WorstImage:
    """One image and its score.

    Attributes:
        image_id: Id of the image in the truth.
        score: Score of the image.
        candidate: Cell of the run, empty where the run has no row for the image.
        reference: Cell of the truth.
    """

    image_id: str
    score: float
    candidate: str
    reference: str


def worst_images(
    report: Report, run: Table, truth: Truth, output: str, count: int = 12
) -> tuple[WorstImage, ...]:
    """Return the images of the lowest scores of an output, worst first, at equal scores in truth order."""
    scores = report.samples[output]
    order = np.argsort(np.where(scores.scored, scores.values, np.inf), kind="stable")
    chosen = [int(i) for i in order[: min(count, scores.n)]]
    ids = [truth.table.image_ids[i] for i in chosen]
    cells = align(run.image_ids, run.cells, ids).cells
    return tuple(
        WorstImage(
            image_id=image_id,
            score=float(scores.values[i]),
            candidate=cell or "",
            reference=truth.table.cells[i] or "",
        )
        for i, image_id, cell in zip(chosen, ids, cells, strict=True)
    )
