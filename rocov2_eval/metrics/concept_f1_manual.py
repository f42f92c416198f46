"""Secondary concept F1, 2024 to 2026: over manually curated concepts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rocov2_eval.align import select
from rocov2_eval.editions import SCORED_MANUAL_CUIS
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics.concept_f1 import f1, masked, overlap
from rocov2_eval.records import ConceptSets, SampleScores


@dataclass(frozen=True, kw_only=True)
class ConceptF1ManualOptions(Options):
    """Options of the secondary concept F1.

    Attributes:
        cuis: The concepts that count: 14 in 2024, with optical coherence tomography 15 since 2025.
        skip_id_rows: The reader skipped ids that hold the capitals `ID`; named since it moves the number.
    """

    cuis: tuple[str, ...] = SCORED_MANUAL_CUIS
    skip_id_rows: bool = False


DEFAULT = ConceptF1ManualOptions()


def score(
    candidates: ConceptSets,
    references: ConceptSets,
    options: ConceptF1ManualOptions = DEFAULT,
    resource: None = None,  # noqa: ARG001  every metric is called alike
) -> Mapping[str, SampleScores]:
    """Return F1 of each image over the concepts that count.

    Args:
        candidates: n sets of the run, all its concepts.
        references: n sets of the manual truth, over the same vocabulary.
        options: See `ConceptF1ManualOptions`.
        resource: Not used.

    Returns:
        Images whose truth has none of the concepts that count are unscored.

    Raises:
        ValueError: The two differ in length or vocabulary.
    """
    kept = select(candidates, options.cuis), select(references, options.cuis)
    sizes = np.diff(kept[0].offsets), np.diff(kept[1].offsets)
    values = f1(overlap(*kept), *sizes)
    return {"concept_f1_manual": masked(values, sizes[1] > 0)}


METRIC = Metric(
    name="concept_f1_manual",
    outputs=("concept_f1_manual",),
    score=score,
    options=ConceptF1ManualOptions,
    revision=1,
    bounds=(0.0, 1.0),
    identity=1.0,
    needs="concepts",
    source="taubsity/clef-caption-evaluation@3a2a5ec (2024), @ce13086 (2025), -2026@9966c13",
)
