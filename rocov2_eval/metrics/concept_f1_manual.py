"""Secondary concept F1, 2024 to 2026: over manually curated concepts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rocov2_eval.align import select
from rocov2_eval.editions import SCORED_MANUAL_CUIS, Edition
from rocov2_eval.metric import Inputs, Metric, Options
from rocov2_eval.metrics.concept_f1 import f1, masked, overlap
from rocov2_eval.records import ConceptSets, SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Truth


@dataclass(frozen=True, kw_only=True)
class ConceptF1ManualOptions(Options):
    """Options of the secondary concept F1.

    Attributes:
        cuis: The concepts that count: 14 in 2024, with optical coherence tomography 15 since 2025.
        skip_id_rows: The reader skipped ids that hold the capitals `ID`; named here because it moves the
            number.
    """

    cuis: tuple[str, ...] = SCORED_MANUAL_CUIS
    skip_id_rows: bool = False


DEFAULT = ConceptF1ManualOptions()


def options_of(settings: Settings, _: Truth) -> ConceptF1ManualOptions:
    """Return the options that the edition prescribes."""
    rules = settings.edition.concepts
    return ConceptF1ManualOptions(cuis=rules.manual_cuis, skip_id_rows=rules.dialect.skips_id_rows)


def is_offered(edition: Edition) -> bool:
    """Tell whether an edition has a secondary score."""
    return bool(edition.concepts.manual_cuis)


def lacks(_: Settings, truth: Truth) -> str | None:
    """Say where the manual concepts would have to lie."""
    return None if truth.manual is not None else f"there is no concepts_manual.csv beside {truth.table.path}"


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


def _columns(inputs: Inputs) -> tuple[ConceptSets, ConceptSets]:
    run, _, manual = inputs.concepts
    return run, manual


METRIC = Metric(
    name="concept_f1_manual",
    outputs=("concept_f1_manual",),
    meanings=("F1 over the manually curated concepts alone.",),
    needs="concepts",
    columns=_columns,
    score=score,
    options=ConceptF1ManualOptions,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 1.0),
    identity=1.0,
    is_offered=is_offered,
    lacks=lacks,
    source="taubsity/clef-caption-evaluation@3a2a5ec (2024), @ce13086 (2025), -2026@9966c13",
)
