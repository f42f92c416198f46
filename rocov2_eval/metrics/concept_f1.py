"""Sample-averaged F1 over concepts: the primary score of concept detection, 2018 to 2026."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rocov2_eval.align import common_concepts
from rocov2_eval.metric import Metric, Options
from rocov2_eval.records import BoolArray, ConceptSets, FloatArray, IntArray, SampleScores
from rocov2_eval.settings import Settings
from rocov2_eval.truth import Truth


@dataclass(frozen=True, kw_only=True)
class ConceptF1Options(Options):
    """Options of sample-averaged concept F1.

    Attributes:
        empty_reference: `scored` takes an image without concepts like any other: its set holds the empty
            string. `unscored` leaves it out of the mean (2018).
        strip: The reader removed blanks around concepts; named here because it moves the number.
        skip_id_rows: The reader skipped ids that hold the capitals `ID` (2023 to 2026); named here because it
            moves the number.
    """

    empty_reference: Literal["scored", "unscored"] = "scored"
    strip: bool = True
    skip_id_rows: bool = False

    def __post_init__(self) -> None:
        if self.empty_reference not in ("scored", "unscored"):
            raise ValueError(f"empty_reference is {self.empty_reference!r}, expected scored or unscored")


DEFAULT = ConceptF1Options()


def options_of(settings: Settings, _: Truth) -> ConceptF1Options:
    """Return the options that the edition prescribes."""
    rules = settings.edition.concepts
    return ConceptF1Options(
        empty_reference=rules.empty_reference,
        strip=rules.strip,
        skip_id_rows=rules.dialect.skips_id_rows,
    )


def score(
    candidates: ConceptSets,
    references: ConceptSets,
    options: ConceptF1Options = DEFAULT,
    resource: None = None,  # noqa: ARG001  every metric is called alike
) -> Mapping[str, SampleScores]:
    """Return F1, precision and recall of each image's set of concepts.

    F1 = 2·|C∩R| / (|C|+|R|), 0 where both sets are empty, as scikit-learn's `f1_score(average="binary")` over
    the union of both sets.

    Args:
        candidates: n sets.
        references: n sets over the same vocabulary.
        options: See `ConceptF1Options`.
        resource: Not used.

    Raises:
        ValueError: The two differ in length or vocabulary.
    """
    shared = overlap(candidates, references)
    sizes = np.diff(candidates.offsets), np.diff(references.offsets)
    scored = np.ones(len(references), np.bool_)
    if options.empty_reference == "unscored":
        scored = ~_is_blank(references)
    return {
        "concept_f1": masked(f1(shared, *sizes), scored),
        "concept_precision": masked(_ratio(shared, sizes[0]), scored),
        "concept_recall": masked(_ratio(shared, sizes[1]), scored),
    }


def overlap(candidates: ConceptSets, references: ConceptSets) -> IntArray:
    """Return the size of the intersection of each pair of sets, shape (n,)."""
    images, _ = common_concepts(candidates, references)
    return np.bincount(images, minlength=len(references)).astype(np.int64)


def f1(shared: IntArray, first: IntArray, second: IntArray) -> FloatArray:
    """Return 2·shared / (first + second), 0 where both sizes are 0; all of shape (n,)."""
    return _ratio(2 * shared, first + second)


def masked(values: FloatArray, scored: BoolArray) -> SampleScores:
    """Return scores with 0.0 in the place of unscored ones."""
    return SampleScores(values=np.where(scored, values, 0.0), scored=scored)


def _ratio(numerator: IntArray, denominator: IntArray) -> FloatArray:
    return numerator / np.maximum(denominator, 1)


def _is_blank(sets: ConceptSets) -> BoolArray:
    """Tell which sets hold nothing but blank strings."""
    blank = np.array([not text.strip() for text in sets.vocabulary], np.bool_)
    real = np.concatenate(([0], np.cumsum(~blank[sets.codes])))
    none: BoolArray = np.diff(real[sets.offsets]) == 0
    return none


METRIC = Metric(
    name="concept_f1",
    outputs=("concept_f1", "concept_precision", "concept_recall"),
    meanings=(
        "F1 of the run's concepts and the true concepts of an image.",
        "Share of the run's concepts that the truth has.",
        "Share of the true concepts that the run has.",
    ),
    needs="concepts",
    columns=lambda inputs: inputs.concepts[:2],
    score=score,
    options=ConceptF1Options,
    options_of=options_of,
    revision=1,
    bounds=(0.0, 1.0),
    identity=1.0,
    source="ImageCLEFmedical Caption evaluators 2018 to 2026, see docs/editions.md",
)
