"""A run folder into an ONNX file: of an image filter, or of concept detection."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from baselines import filters
from baselines.concepts import open_detector
from baselines.export import export_onnx
from baselines.training import runlog
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.onnx_contract import PREFIX


def export_run(folder: Path, out: Path, licence: str) -> float:
    """Write the best weights of a run as ONNX; return how far a logit is from torch, at most.

    Args:
        folder: The folder of a finished run.
        out: The ONNX file, replaced if it exists.
        licence: Licence of the weights; for people, no program reads it.

    Raises:
        UsageFault: The run is neither of concept detection nor of an image filter.
        MissingResource: The folder is none of a run, or onnx is not installed.
        RejectedInput: A file is damaged, or ONNX answers otherwise than torch.
    """
    if (folder / filters.FACTS).is_file():
        return filters.export_filter(filters.open_filter(folder), out, licence)
    record = runlog.read_run(folder)
    task = record["recipe"]["run"]["task"]
    if task != "concepts":
        raise UsageFault(f"{folder}: a run of {task}; expected one of concepts or of an image filter")
    detector = open_detector(folder)
    classifier = detector.classifier
    values = {
        "task": task,
        "mean": ",".join(map(repr, classifier.normalisation.mean)),
        "std": ",".join(map(repr, classifier.normalisation.std)),
        "classes": ",".join(detector.labels),
        "resize": record["recipe"]["data"]["fit"],
        "activation": "sigmoid",
        "decision": json.dumps(asdict(detector.decision)),
        "licence": licence,
    }
    metadata = {f"{PREFIX}{key}": value for key, value in values.items()}
    return export_onnx(classifier.model, out, side=classifier.size, metadata=metadata)
