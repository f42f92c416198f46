"""What went wrong in a concept run, label by label: micro and macro F1, most missed, most invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rocov2_eval.align import common_concepts
from rocov2_eval.metrics.concept_f1 import f1
from rocov2_eval.records import ConceptSets, IntArray


@dataclass(frozen=True, kw_only=True)
class ConceptCount:
    """A concept and how often it went wrong.

    Attributes:
        cui: CUI of the concept.
        name: Canonical name, None where the dataset does not give one.
        images: Number of images where it was missed or invented.
        of: Number of images that have it in the truth (missed) or in the run (invented).
    """

    cui: str
    name: str | None
    images: int
    of: int


@dataclass(frozen=True, kw_only=True)
class ConceptErrors:
    """Label-wise figures of a run; labels are the concepts of truth or run, the empty string left out.

    Attributes:
        micro_f1: F1 over all pairs of image and concept; None where there is no label.
        macro_f1: Mean over labels of their F1; None where there is no label.
        missed: Concepts of the truth most often absent from the run.
        invented: Concepts of the run most often absent from the truth.
    """

    micro_f1: float | None
    macro_f1: float | None
    missed: tuple[ConceptCount, ...]
    invented: tuple[ConceptCount, ...]


def concept_errors(
    candidates: ConceptSets, references: ConceptSets, names: Mapping[str, str], most: int = 10
) -> ConceptErrors:
    """Return the label-wise figures of n aligned sets; `most` bounds both lists."""
    vocabulary = np.array(references.vocabulary, dtype=object)
    labels = np.array([bool(text.strip()) for text in references.vocabulary], np.bool_)
    width = max(len(vocabulary), 1)
    in_run = np.bincount(candidates.codes, minlength=width)[: len(vocabulary)]
    in_truth = np.bincount(references.codes, minlength=width)[: len(vocabulary)]
    _, common = common_concepts(candidates, references)
    in_both = np.bincount(common, minlength=width)[: len(vocabulary)]
    in_run, in_truth, in_both = in_run[labels], in_truth[labels], in_both[labels]
    cuis = [str(cui) for cui in vocabulary[labels]]
    micro = f1(in_both.sum(keepdims=True), in_run.sum(keepdims=True), in_truth.sum(keepdims=True))
    used = in_run + in_truth > 0
    macro = f1(in_both[used], in_run[used], in_truth[used])
    return ConceptErrors(
        micro_f1=float(micro[0]) if used.any() else None,
        macro_f1=float(macro.mean()) if used.any() else None,
        missed=_top(cuis, in_truth - in_both, in_truth, names, most),
        invented=_top(cuis, in_run - in_both, in_run, names, most),
    )


def _top(
    cuis: list[str], wrong: IntArray, of: IntArray, names: Mapping[str, str], most: int
) -> tuple[ConceptCount, ...]:
    order = sorted(np.flatnonzero(wrong).tolist(), key=lambda i: (-int(wrong[i]), cuis[i]))
    return tuple(
        ConceptCount(cui=cuis[i], name=names.get(cuis[i]), images=int(wrong[i]), of=int(of[i]))
        for i in order[:most]
    )
