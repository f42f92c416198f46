"""Run folders into a run file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from baselines import captions, decisions
from baselines.concepts import DecisionOptions, open_detector
from baselines.config import DataOptions
from baselines.data.cache import PictureCache
from baselines.data.dataset import PICTURES, Examples, is_dataset, read_examples, read_pictures
from baselines.data.labels import label_matrix
from baselines.decisions import Decision
from baselines.frozen.captions import open_captions
from baselines.frozen.concepts import open_frozen
from baselines.generation import write_captions
from baselines.preparation import concepts_of, restricted
from baselines.session import Session, cached_split
from baselines.training import runlog
from baselines.training.loop import BEST
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import FloatArray
from rocov2_eval.shelf.csv_files import write_csv
from rocov2_eval.shelf.options import read_options
from rocov2_eval.shelf.words import counted, shorten

Combination = Literal["mean", "union"]
_Kind = TypeVar("_Kind")


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
_NAMED = 5  # entries left out that a message lists
_AS_BLACK = "Each is answered as a black picture, because a run needs a row for every image."


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ensemble:
    """Runs of concept detection that answer together; one alone too.

    Attributes:
        detectors: What answers, by run.
        records: Content of `run.json`, by run.
        examples: The images to answer.
        pictures: The pictures of these images as each run sees them.
        session: The data and the device.
        within: Concepts that alone are answered; all if empty.
    """

    detectors: Sequence[_Detector]
    records: Sequence[Mapping[str, Any]]
    examples: Examples
    pictures: Sequence[PictureCache]
    session: Session
    within: Collection[str]

    def within_first(self, cells: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Return the concepts of each image that the first run answers and that are asked for."""
        only = _options(self.records[0], DataOptions, "data").only
        return restricted(restricted(cells, only), self.within)

    def found(self, pictures: Sequence[PictureCache]) -> Iterator[tuple[_Detector, FloatArray]]:
        """Yield each member with the probability of each of its labels, shape (n, labels)."""
        for detector, seen in zip(self.detectors, pictures, strict=True):
            yield (
                detector,
                detector.probabilities(seen, self.session.runtime.device, self.session.display.steps),
            )


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a run file holds.

    Attributes:
        images: Number of images.
        unread: What is wrong with each picture that could not be read, by id; it was answered as black.
    """

    images: int
    unread: Mapping[str, str]


def predict(
    folders: Sequence[Path],
    session: Session,
    split: str | None,
    out: Path,
    combine: Combination = "mean",
    *,
    within: Collection[str] = (),
) -> Answered:
    """Write the run file of one or several runs.

    Args:
        folders: Finished runs; several of concept detection answer together.
        session: The data and the device; it is warned of pictures that cannot be read. The data may be a
            folder of pictures too.
        split: The split whose images are answered; None for `test`, or for all of a folder of pictures.
        out: The run file, replaced if it exists.
        combine: How several runs answer together: by the mean of their probabilities, or by the union of the
            concepts that each decides on.
        within: Concepts that alone are answered; all if empty. The rule of a mean, be it of one run, is
            fitted anew for them.

    Raises:
        UsageFault: A run answers no images, or the runs make no ensemble.
    """
    records = [runlog.read_run(folder) for folder in folders]
    tasks = [record["recipe"]["run"]["task"] for record in records]
    for folder, task in zip(folders, tasks, strict=True):
        if task == "filter":
            raise UsageFault(f"{folder}: an image filter has no run file; use rocov2-baselines export")
        if len(folders) > 1 and task not in _OPENERS:
            raise UsageFault(
                f"{folder}: a run of {task}, but --ensemble is only for runs of concept detection"
            )
    examples = _asked(session, split)
    pictures = _pictures(records, examples, session, _AS_BLACK)
    with session.runtime.autocast():
        if tasks[0] in _OPENERS:
            ensemble = _Ensemble(
                detectors=[_OPENERS[task](folder) for folder, task in zip(folders, tasks, strict=True)],
                records=records,
                examples=examples,
                pictures=pictures,
                session=session,
                within=within,
            )
            write_csv(out, ("ID", "CUIs"), _COMBINATIONS[combine](ensemble))
        else:
            write_captions(
                out, examples.ids, _generated(folders[0], tasks[0], pictures[0], examples, session)
            )
    unread = {image_id: fault for each in pictures for image_id, fault in each.broken.items()}
    return Answered(images=len(examples), unread=unread)


def _asked(session: Session, split: str | None) -> Examples:
    """Return the images to answer."""
    if split is not None or is_dataset(session.data):
        return read_examples(session.data, split or "test")
    examples, others = read_pictures(session.data)
    if others:
        named = ", ".join(map(shorten, others[:_NAMED]))
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        ignored = counted(len(others), "entry", "entries")
        session.display.warn(f"{session.data}: {ignored} without a picture, ignored: {named}{more}")
    return examples


def _pictures(
    records: Sequence[Mapping[str, Any]], examples: Examples, session: Session, then: str
) -> list[PictureCache]:
    """Return the pictures of a split as each run sees them; `then` says what becomes of unreadable ones."""
    return [
        cached_split(session, examples, _options(record, DataOptions, "data"), allow_broken=True, then=then)
        for record in records
    ]


def _generated(
    folder: Path, task: str, cache: PictureCache, examples: Examples, session: Session
) -> Sequence[str]:
    """Return a caption for each image of a split, for one that is black because it is broken too."""
    if task == "frozen-captions":
        return open_captions(folder).tell(cache, session.runtime.device, session.display.steps)
    ready = captions.open_ready(folder, folder / BEST)
    ready.captioner.to(session.runtime.device)
    pictures = captions.Captioned(
        ids=examples.ids, images=cache.images, captions=("",) * len(examples), rows=np.arange(len(examples))
    )
    return captions.predict(ready, pictures, session.runtime.device, progress=session.display.steps)


def _united(ensemble: _Ensemble) -> list[tuple[str, str]]:
    """Return id and concepts of each image: those that any member decides on, each by its own rule."""
    cells: list[dict[str, None]] = [{} for _ in ensemble.examples.ids]
    for detector, found in ensemble.found(ensemble.pictures):
        for cell, chosen in zip(cells, decisions.decide(found, detector.decision), strict=True):
            cell.update(dict.fromkeys(detector.labels[place] for place in chosen))
    kept = ensemble.within_first([tuple(cell) for cell in cells])
    return [(image_id, ";".join(cell)) for image_id, cell in zip(ensemble.examples.ids, kept, strict=True)]


def _averaged(ensemble: _Ensemble) -> list[tuple[str, str]]:
    """Return id and concepts of each image of a split.

    Several members answer what the first was asked: over the union of their labels, but for those that the
    first was told to leave out. Its rule is fitted anew on the validation split of its own training, since a
    mean is calibrated otherwise than its parts. So it is for a part of the labels: how many to answer follows
    from what can be right.
    """
    detectors, session, within = ensemble.detectors, ensemble.session, ensemble.within
    known = dict.fromkeys(label for detector in detectors for label in detector.labels)
    labels = tuple(ensemble.within_first([tuple(known)])[0])
    if not labels:
        raise RejectedInput(f"none of the {len(within):,} requested concepts was learnt")
    decision = detectors[0].decision
    if len(detectors) > 1 or within:
        if ensemble.examples.split == PICTURES:
            raise UsageFault(
                f"{session.data}: a folder of pictures, but the mean of several runs needs a rule that "
                "is fitted on the validation split of a dataset; use --combine union, where each run "
                "decides"
            )
        data = _options(ensemble.records[0], DataOptions, "data")
        table = _options(ensemble.records[0], DecisionOptions, "decision").table
        valid = read_examples(session.data, data.valid, (table,))
        truth, outside = label_matrix(restricted(concepts_of(valid, table, data), within), labels)
        seen = _pictures(
            ensemble.records, valid, session, "Each is used as a black picture when the decision is fitted."
        )
        decision = decisions.fit(
            _mean(ensemble.found(seen), labels, len(valid)), truth, decision.rule, outside
        )
    mean = _mean(ensemble.found(ensemble.pictures), labels, len(ensemble.examples))
    chosen = decisions.decide(mean, decision)
    return list(zip(ensemble.examples.ids, decisions.concept_cells(chosen, labels), strict=True))


def _mean(answers: Iterable[tuple[_Detector, FloatArray]], labels: Sequence[str], n: int) -> FloatArray:
    """Return the probability of each label of each of n images, shape (n, labels).

    It is the mean over the members that know the label: one that was never taught it has no vote.
    """
    place = {label: i for i, label in enumerate(labels)}
    sums, votes = np.zeros((n, len(labels))), np.zeros(len(labels))
    for detector, found in answers:
        own = [i for i, label in enumerate(detector.labels) if label in place]
        at = [place[detector.labels[i]] for i in own]
        sums[:, at] += found[:, own]
        votes[at] += 1
    mean: FloatArray = sums / votes
    return mean


def _options(record: Mapping[str, Any], kind: type[_Kind], table: str) -> _Kind:
    """Return what a run was told in a table of its recipe."""
    return read_options(kind, record["recipe"][table], f"{runlog.RUN} [{table}]", Path())


_COMBINATIONS: Mapping[Combination, Callable[[_Ensemble], list[tuple[str, str]]]] = {
    "mean": _averaged,
    "union": _united,
}
