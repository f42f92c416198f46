"""Score radiology image-caption runs by the rules of ImageCLEFmedical Caption.

    import rocov2_eval

    report = rocov2_eval.score("run.csv", "rocov2/")
    print(report.metrics["concept_f1"].mean)

`score`, `validate` and `compare` do what the commands of these names do. Runs and truths are files, frames,
mappings or records; `docs/tour.ipynb` shows them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded when first used: the import of the package costs nothing
    from rocov2_eval.comparison import Comparison, Effect, ImageDifference, Pair
    from rocov2_eval.errors import MissingResource, RejectedInput, RocoError, UsageFault
    from rocov2_eval.front_door import compare, score, validate
    from rocov2_eval.records import Finding, Interval, MetricResult, SampleScores
    from rocov2_eval.scoring import Group, Report

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Effect",
    "Finding",
    "Group",
    "ImageDifference",
    "Interval",
    "MetricResult",
    "MissingResource",
    "Pair",
    "RejectedInput",
    "Report",
    "RocoError",
    "SampleScores",
    "UsageFault",
    "compare",
    "score",
    "validate",
]
_HOMES = {
    "comparison": ("Comparison", "Effect", "ImageDifference", "Pair"),
    "errors": ("MissingResource", "RejectedInput", "RocoError", "UsageFault"),
    "front_door": ("compare", "score", "validate"),
    "records": ("Finding", "Interval", "MetricResult", "SampleScores"),
    "scoring": ("Group", "Report"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
