"""A run folder into an ONNX file: of an image filter, or of concept detection."""

from __future__ import annotations

import json
from pathlib import Path

from baselines import decisions, filters
from baselines.concepts import NETWORK, open_detector
from baselines.export import PREFIX, export_onnx
from baselines.training import runlog
from rocov2_eval.errors import UsageFault


def export_run(folder: Path, out: Path, licence: str) -> float:
    """Write the best weights of a run as ONNX; return how far a logit is from torch, at most.

    Args:
        folder: Of a finished run.
        out: Replaced if it exists.
        licence: Of the weights, for people.

    Raises:
        UsageFault: The run is of captions.
        MissingResource: The folder is none of a run, or onnx is not installed.
        RejectedInput: A file is damaged, or ONNX answers otherwise than torch.
    """
    if (folder / filters.FACTS).is_file():
        return filters.export_filter(filters.open_filter(folder), out, licence)
    record = runlog.read_run(folder)
    task = record["recipe"]["run"]["task"]
    if task != "concepts":
        raise UsageFault(
            f"{folder}: a run of {task}; expected one of concepts ({NETWORK}) or of an image filter"
        )
    detector = open_detector(folder)
    how = detector.normalisation
    said = {
        "task": "concepts",
        "mean": ",".join(map(repr, how.mean)),
        "std": ",".join(map(repr, how.std)),
        "classes": ",".join(detector.labels),
        "resize": record["recipe"]["data"]["fit"],
        "activation": "sigmoid",
        "decision": json.dumps(decisions.decision_document(detector.decision)),
        "licence": licence,
    }
    metadata = {f"{PREFIX}{key}": value for key, value in said.items()}
    return export_onnx(detector.model, out, side=detector.size, metadata=metadata)
