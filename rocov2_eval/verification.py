"""Score some images of a run again with the reference libraries themselves: `--verify N`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import numpy as np

from rocov2_eval.align import align
from rocov2_eval.concept_cells import Cell
from rocov2_eval.editions import ConceptRules, Edition
from rocov2_eval.errors import MissingResource
from rocov2_eval.formats import Table
from rocov2_eval.metrics import METRICS
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.models import require
from rocov2_eval.records import Task
from rocov2_eval.reference import (
    alignscore_reference,
    bertscore_reference,
    bleurt_reference,
    concept_f1_reference,
    rouge_reference,
)
from rocov2_eval.scoring import Report
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.progress import Notify, silent
from rocov2_eval.signature import parse
from rocov2_eval.textnorm import normalise
from rocov2_eval.truth import Truth

_LIBRARIES: Mapping[Task, tuple[str, ...]] = {
    "concepts": ("sklearn",),
    "captions": ("rouge_score", "bert_score"),
}


_LATE = ("bleurt", "alignscore")  # whose own libraries few can install: the reason is told where they fail
_UNVERIFIED: Mapping[str, str] = {
    "similarity": "the original library needs MPI and leaves its image encoder in training mode",
    "umls_f1": "MedCAT itself reads the model pack",
}


def require_libraries(task: Task) -> None:
    """Ask for the reference libraries before hours are spent on scores to compare with them.

    Raises:
        MissingResource: One of them is not installed.
    """
    for name in _LIBRARIES[task]:
        if find_spec(name) is None:
            raise MissingResource(f"--verify needs {name}: {install_command('verify')}")


def choose(report: Report, n: int, seed: int) -> list[int]:
    """Return the indices of n random images, of all if there are fewer, in truth order."""
    total = len(report.image_ids)
    chosen = np.random.default_rng(seed).choice(total, size=min(n, total), replace=False)
    return sorted(chosen.tolist())


def verify(
    report: Report,
    images: Sequence[int],
    *,
    run: Table,
    truth: Truth,
    settings: Settings,
    device: str,
    notify: Notify = silent,
) -> dict[str, float]:
    """Return, by score, the largest absolute difference from the reference library over some images.

    Concept F1 is compared with scikit-learn, ROUGE with rouge-score, BERTScore with bert-score, BLEURT with
    bleurt-pytorch and AlignScore with its own code where those are installed, each called one image at a time
    as the official evaluators do. Left out are images that are unscored, that the run
    lacks, or that are empty on both sides, where the libraries differ from what the evaluators mean; and
    scores of which no image is left.

    Args:
        report: What was scored.
        images: Indices of the images, in truth order.
        run: The rows of the run.
        truth: The truth.
        settings: What was asked for.
        device: Where bert-score runs.
        notify: Called with a sentence for each score that was not compared, and why.

    Raises:
        MissingResource: A reference library is not installed.
    """
    aligned = align(run.image_ids, run.cells, truth.table.image_ids)
    kept = [i for i in images if aligned.present[i]]
    if report.task == "concepts":
        expected = _concepts(report, kept, aligned.cells, truth, settings.edition)
    else:
        expected = _captions(report, kept, aligned.cells, truth, settings, device=device, notify=notify)
    for name in report.samples:
        if not expected.get(name) and name not in DERIVED and name not in _LATE:
            notify(
                f"{name} is not verified: {_UNVERIFIED.get(name, 'no reference library is called for it')}"
            )
    return {name: _largest_difference(report, name, values) for name, values in expected.items() if values}


def _concepts(
    report: Report, images: Sequence[int], cells: Sequence[Cell], truth: Truth, edition: Edition
) -> dict[str, dict[int, float]]:
    rules = edition.concepts
    sides = {"concept_f1": (truth.table.cells, None), "concept_f1_manual": (truth.manual, rules.manual_cuis)}
    expected = {}
    for name, (references, allowed) in sides.items():
        if name not in report.samples or references is None:
            continue
        scored = [i for i in images if report.samples[name].scored[i]]
        values = concept_f1_reference(
            [_set(cells[i], rules, allowed) for i in scored],
            [_set(references[i], rules, allowed) for i in scored],
        )
        expected[name] = dict(zip(scored, values, strict=True))
    return expected


def _set(cell: Cell, rules: ConceptRules, allowed: Sequence[str] | None) -> set[str]:
    concepts = [] if cell is None else cell.split(";")
    members = {(concept.strip() if rules.strip else concept).upper() for concept in concepts}
    return members if allowed is None else members & set(allowed)


def _captions(
    report: Report,
    images: Sequence[int],
    cells: Sequence[Cell],
    truth: Truth,
    settings: Settings,
    *,
    device: str,
    notify: Notify,
) -> dict[str, dict[int, float]]:
    rules = settings.edition.captions
    corpus = normalise([cell or "" for cell in truth.table.cells], rules.norm)
    candidates = dict(zip(images, normalise([cells[i] or "" for i in images], rules.norm), strict=True))
    images = [i for i in images if candidates[i] or corpus[i]]
    pairs = [candidates[i] for i in images], [corpus[i] for i in images]
    columns: dict[str, Sequence[float]] = {}
    if any(name in METRICS["rouge"].outputs for name in report.samples):
        columns |= rouge_reference(*pairs)
    bertscore = [name for name in METRICS["bertscore"].outputs if name in report.samples]
    if bertscore:
        folder = require("encoder", settings.encoder)
        layer = int(parse(report.metrics[bertscore[0]].signature)["layer"])
        scores = bertscore_reference(*pairs, corpus if rules.idf else None, folder.path, layer, device)
        columns |= zip(("bertscore_precision", "bertscore_recall", "bertscore_f1"), scores, strict=True)
    raw = [cells[i] or "" for i in images], [truth.table.cells[i] or "" for i in images]
    late: Mapping[str, Callable[[], Sequence[float]]] = {
        "bleurt": lambda: bleurt_reference(*pairs, require("bleurt", settings.weights_of("bleurt")).path),
        "alignscore": lambda: _alignscore(*raw, settings),
    }
    for name, reference in late.items():
        if name in report.samples:
            try:
                columns[name] = reference()
            except MissingResource as error:
                notify(f"{name} is not verified: {error}")
    return {
        name: {i: value for i, value in zip(images, column, strict=True) if not math.isnan(value)}
        for name, column in columns.items()
        if name in report.samples
    }


def _alignscore(candidates: Sequence[str], references: Sequence[str], settings: Settings) -> list[float]:
    """Return the original's scores, NaN for candidates of blanks, on which it fails."""
    folder = require("align", settings.weights_of("align"))
    checkpoints = [path for path in folder.tensor_files if path.suffix == ".ckpt"]
    if not checkpoints:
        raise MissingResource(
            f"{folder.path} contains no checkpoint, the only format that the original reads"
        )
    chosen = [i for i, candidate in enumerate(candidates) if candidate.strip()]
    scores = alignscore_reference(
        [candidates[i] for i in chosen], [references[i] for i in chosen], checkpoints[0], folder.path
    )
    by_position = dict(zip(chosen, scores, strict=True))
    return [by_position.get(i, math.nan) for i in range(len(candidates))]


def _largest_difference(report: Report, name: str, expected: Mapping[int, float]) -> float:
    ours = report.samples[name]
    return max(abs(float(ours.values[i]) - value) for i, value in expected.items())
