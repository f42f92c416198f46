"""The metrics: one file each, listed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rocov2_eval.metric import Metric
from rocov2_eval.metrics import (
    alignscore,
    bertscore,
    bleu,
    bleu1,
    bleurt,
    cider,
    clipscore,
    concept_f1,
    concept_f1_manual,
    rouge,
    similarity,
    umls_f1,
)
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.records import Task

METRICS: Mapping[str, Metric] = {
    "concept_f1": concept_f1.METRIC,
    "concept_f1_manual": concept_f1_manual.METRIC,
    "bertscore": bertscore.METRIC,
    "bleu": bleu.METRIC,
    "rouge": rouge.METRIC,
    "similarity": similarity.METRIC,
    "bleurt": bleurt.METRIC,
    "umls_f1": umls_f1.METRIC,
    "alignscore": alignscore.METRIC,
    "bleu1": bleu1.METRIC,
    "cider": cider.METRIC,
    "clipscore": clipscore.METRIC,
}


def metric_of(name: str) -> Metric:
    """Return the metric that has this name or yields this output.

    Raises:
        KeyError: There is none.
    """
    for metric in METRICS.values():
        if name == metric.name or name in metric.outputs:
            return metric
    raise KeyError(name)


def task_of_score(name: str) -> Task | None:
    """Return the task of a metric or of a score, None for an unknown name."""
    if name in DERIVED:
        return "captions"
    try:
        return metric_of(name).needs
    except KeyError:
        return None


def main_output(name: str) -> str:
    """Return the main score of a metric, or a score as it is."""
    return METRICS[name].outputs[0] if name in METRICS else name


def main_outputs(computed: Iterable[str]) -> tuple[str, ...]:
    """Return the main score of each metric among outputs, or all of them where only others were computed."""
    main = {metric.outputs[0] for metric in METRICS.values()} | set(DERIVED)
    names = tuple(computed)
    return tuple(name for name in names if name in main) or names
