"""A run folder into what others open: an ONNX file, or a folder of transformers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from baselines import filters
from baselines.concepts import open_detector
from baselines.hub import export_folder
from baselines.onnx_files import export_onnx
from baselines.training import runlog
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.onnx_contract import PREFIX

ONNX = ".onnx"
_OTHERS = (".pt", ".pth", ".bin", ".safetensors", ".h5", ".gguf")


def export_run(folder: Path, out: Path, licence: str) -> float:
    """Write the best weights of a run; return how far a logit is from the run, at most, over the largest.

    Args:
        folder: The folder of a finished run.
        out: A file that ends in .onnx, replaced if it exists; else a folder, see `hub`.
        licence: Licence of the weights; for people, no program reads it.

    Raises:
        UsageFault: The run has no such form.
        MissingResource: The folder is none of a run, or onnx is not installed.
        RejectedInput: A file is damaged, or ONNX answers otherwise than torch.
    """
    if out.suffix != ONNX:
        if out.suffix in _OTHERS:
            raise UsageFault(f"{out}: expected a file that ends in {ONNX}, or a new folder for transformers")
        return export_folder(folder, out, licence)
    if (folder / filters.FACTS).is_file():
        return filters.export_filter(filters.open_filter(folder), out, licence)
    record = runlog.read_run(folder)
    task = record["recipe"]["run"]["task"]
    if task != "concepts":
        raise UsageFault(
            f"{folder}: a run of {task}; ONNX is only for concepts and image filters, so name a folder "
            "with -o FOLDER"
        )
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
        "mirrors": str(classifier.mirrors).lower(),  # whether the decision is for the mean of both sides
    }
    metadata = {f"{PREFIX}{key}": value for key, value in values.items()}
    return export_onnx(classifier.model, out, side=classifier.size, metadata=metadata)
