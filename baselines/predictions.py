"""A run folder into a run file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines import captions, concepts, decisions
from baselines.concepts import open_detector
from baselines.config import DataOptions
from baselines.data.dataset import Examples, read_examples
from baselines.data.labels import label_matrix
from baselines.data.pack import Packed
from baselines.generation import write_captions
from baselines.runs import Progress, Reporting, pack
from baselines.training import runlog
from baselines.training.loop import BEST
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.options import read_options


def predict_captions(  # noqa: PLR0917  run, data, where to
    folder: Path,
    data: Path,
    split: str,
    out: Path,
    packs: Path,
    device: Any,  # noqa: ANN401  torch is Any
    reporting: Reporting,
) -> int:
    """Write a run file of a trained captioner; return how many images it answers."""
    record = runlog.read_run(folder)
    examples = read_examples(data, split)
    packed = pack(examples, _data_options(record), packs, reporting.packing, allow_broken=True)
    found = _said(folder, examples, packed, device, reporting.steps)
    write_captions(out, examples.ids, found)
    return len(found)


def predict_concepts(  # noqa: PLR0917  runs, data, where to
    folders: Sequence[Path],
    data: Path,
    split: str,
    out: Path,
    packs: Path,
    device: Any,  # noqa: ANN401  torch is Any
    reporting: Reporting,
) -> int:
    """Write a run file of one or several trained networks; return how many images it answers.

    Several networks answer with their mean probability, decided by the rule of the first, fitted anew on the
    validation split of its own training, since an average is calibrated otherwise than its parts.

    Raises:
        UsageFault: The networks have other labels or splits.
    """
    records = [runlog.read_run(folder) for folder in folders]
    detectors = [open_detector(folder) for folder in folders]
    labels = detectors[0].labels
    for folder, detector in zip(folders, detectors, strict=True):
        if detector.labels != labels:
            raise UsageFault(f"{folder}: other labels than {folders[0]}; an ensemble needs the same")
    examples = read_examples(data, split)
    found = _together(detectors, records, examples, packs, device, reporting)
    decision = detectors[0].decision
    if len(folders) > 1:
        decision = _refitted(detectors, records, data, packs, device, reporting)
    cells = decisions.concept_cells(decisions.decide(found, decision), labels)
    write_csv(out, ("ID", "CUIs"), list(zip(examples.ids, cells, strict=True)))
    return len(cells)


def _said(folder: Path, examples: Examples, packed: Packed, device: Any, progress: Progress) -> list[str]:  # noqa: ANN401
    """Return a caption for each image of a split, for one that is black because it is broken too."""
    ready = captions.open_ready(folder, folder / BEST)
    ready.captioner.to(device)
    pictures = captions.Captioned(
        ids=examples.ids,
        images=packed.images,
        captions=("",) * len(examples),
        rows=np.arange(len(examples)),
    )
    return captions.predict(ready, pictures, device, progress=progress)


def _together(  # noqa: PLR0917  what predict_concepts has
    detectors: Sequence[concepts.Detector],
    records: Sequence[Mapping[str, Any]],
    examples: Examples,
    packs: Path,
    device: Any,  # noqa: ANN401  torch is Any
    reporting: Reporting,
) -> Any:  # noqa: ANN401  probabilities
    """Return the mean probability of each label of each image."""
    members = []
    for detector, record in zip(detectors, records, strict=True):
        options = _data_options(record)
        packed = pack(examples, options, packs, reporting.packing, allow_broken=True)
        detector.model.to(device)
        members.append(detector.probabilities(packed.images, device, reporting.steps))
    return decisions.ensemble(members, [detector.labels for detector in detectors], "mean")


def _refitted(  # noqa: PLR0917  what predict_concepts has
    detectors: Sequence[concepts.Detector],
    records: Sequence[Mapping[str, Any]],
    data: Path,
    packs: Path,
    device: Any,  # noqa: ANN401  torch is Any
    reporting: Reporting,
) -> decisions.Decision:
    table = records[0]["recipe"]["decision"]["table"]
    valid = read_examples(data, _data_options(records[0]).valid, (table,))
    truth, outside = label_matrix(getattr(valid, table), detectors[0].labels)
    found = _together(detectors, records, valid, packs, device, reporting)
    return decisions.fit(found, truth, detectors[0].decision.rule, outside)


def _data_options(record: Mapping[str, Any]) -> DataOptions:
    options: DataOptions = read_options(DataOptions, record["recipe"]["data"], f"{runlog.RUN} [data]", Path())
    return options
