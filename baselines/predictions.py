"""Run folders into a run file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from baselines import captions, decisions
from baselines.concepts import open_detector
from baselines.config import DataOptions
from baselines.data.cache import PictureCache
from baselines.data.dataset import Examples, read_examples
from baselines.data.labels import label_matrix
from baselines.decisions import Decision
from baselines.frozen_captions import open_captions
from baselines.frozen_concepts import open_frozen
from baselines.generation import write_captions
from baselines.session import Session, cached_split
from baselines.training import runlog
from baselines.training.loop import BEST
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.options import read_options


class _Detector(Protocol):
    """What answers with the probability of each label, trained or not."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def decision(self) -> Decision: ...

    def probabilities(self, pictures: PictureCache, device: Any, progress: Any) -> FloatArray: ...  # noqa: ANN401


_OPENERS: Mapping[str, Callable[[Path], _Detector]] = {
    "concepts": open_detector,
    "frozen-concepts": open_frozen,
}


def predict(folders: Sequence[Path], session: Session, split: str, out: Path) -> int:
    """Write the run file of one or several runs; return how many images it answers.

    Args:
        folders: Finished runs; several of concept detection answer with their mean probability.
        session: The data and the device.
        split: The split whose images are answered.
        out: The run file, replaced if it exists.

    Raises:
        UsageFault: A run answers no images, or the runs make no ensemble.
    """
    records = [runlog.read_run(folder) for folder in folders]
    tasks = {record["recipe"]["run"]["task"] for record in records}
    if "filter" in tasks:
        raise UsageFault(
            f"{folders[0]}: an image filter has no run file; rocov2-baselines export hands it on"
        )
    if len(folders) > 1 and not tasks <= _OPENERS.keys():
        raise UsageFault("--ensemble goes with runs of concept detection alone")
    examples = read_examples(session.data, split)
    with session.runtime.autocast():
        if tasks <= _OPENERS.keys():
            _predict_concepts(folders, records, examples, session, out)
        else:
            write_captions(out, examples.ids, _generated(folders[0], records[0], examples, session))
    return len(examples)


def _generated(
    folder: Path, record: Mapping[str, Any], examples: Examples, session: Session
) -> Sequence[str]:
    """Return a caption for each image of a split, for one that is black because it is broken too."""
    cache = cached_split(session, examples, _data_options(record), allow_broken=True)
    if record["recipe"]["run"]["task"] == "frozen-captions":
        return open_captions(folder).tell(cache, session.runtime.device, session.display.steps)
    ready = captions.open_ready(folder, folder / BEST)
    ready.captioner.to(session.runtime.device)
    pictures = captions.Captioned(
        ids=examples.ids, images=cache.images, captions=("",) * len(examples), rows=np.arange(len(examples))
    )
    return captions.predict(ready, pictures, session.runtime.device, progress=session.display.steps)


def _predict_concepts(
    folders: Sequence[Path],
    records: Sequence[Mapping[str, Any]],
    examples: Examples,
    session: Session,
    out: Path,
) -> None:
    """Write the concepts of each image of a split.

    Several networks answer with their mean probability, decided by the rule of the first, fitted anew on the
    validation split of its own training, since an average is calibrated otherwise than its parts.
    """
    detectors = [
        _OPENERS[record["recipe"]["run"]["task"]](folder)
        for folder, record in zip(folders, records, strict=True)
    ]
    labels, decision = detectors[0].labels, detectors[0].decision
    for folder, detector in zip(folders, detectors, strict=True):
        if detector.labels != labels:
            raise UsageFault(f"{folder}: other labels than {folders[0]}; an ensemble needs the same")
    if len(detectors) > 1:
        table = records[0]["recipe"]["decision"]["table"]
        valid = read_examples(session.data, _data_options(records[0]).valid, (table,))
        truth, outside = label_matrix(getattr(valid, table), labels)
        decision = decisions.fit(_mean(detectors, records, valid, session), truth, decision.rule, outside)
    chosen = decisions.decide(_mean(detectors, records, examples, session), decision)
    cells = decisions.concept_cells(chosen, labels)
    write_csv(out, ("ID", "CUIs"), list(zip(examples.ids, cells, strict=True)))


def _mean(
    detectors: Sequence[_Detector],
    records: Sequence[Mapping[str, Any]],
    examples: Examples,
    session: Session,
) -> FloatArray:
    """Return the mean probability of each label of each image."""
    members = []
    for detector, record in zip(detectors, records, strict=True):
        cache = cached_split(session, examples, _data_options(record), allow_broken=True)
        members.append(detector.probabilities(cache, session.runtime.device, session.display.steps))
    mean: FloatArray = np.mean(members, axis=0)
    return mean


def _data_options(record: Mapping[str, Any]) -> DataOptions:
    return read_options(DataOptions, record["recipe"]["data"], f"{runlog.RUN} [data]", Path())
