"""The metrics: one file each, listed here."""

from __future__ import annotations

from collections.abc import Mapping

from rocov2_eval.metric import Metric
from rocov2_eval.metrics import bertscore, concept_f1, concept_f1_manual, rouge

METRICS: Mapping[str, Metric] = {
    "concept_f1": concept_f1.METRIC,
    "concept_f1_manual": concept_f1_manual.METRIC,
    "bertscore": bertscore.METRIC,
    "rouge": rouge.METRIC,
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
