"""Read a run together with the truth that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, ChosenBy, Edition
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.findings import finding, is_rejected
from rocov2_eval.formats import ANY_NUMBER, LAYOUT, Table, read_table
from rocov2_eval.images import all_images
from rocov2_eval.intake import GUESSED, Columns, Handed, read_source, source_by_ids
from rocov2_eval.records import Task
from rocov2_eval.truth import Place, Truth, find_truth, truth_of
from rocov2_eval.validation import check_run, read_run


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A run, its truth, and the edition that both were read by.

    Attributes:
        run: The rows of the run.
        truth: The truth that goes with it.
        edition: The edition.
        chosen_by: Who chose it; see `editions.ChosenBy`.
    """

    run: Table
    truth: Truth
    edition: Edition
    chosen_by: ChosenBy


def read(
    handed: Handed,
    edition: Edition | None,
    truth: Sequence[Place] | Mapping[str, Handed],
    *,
    task: Task | None = None,
    split: str | None = None,
    facets: bool = False,
    columns: Columns = GUESSED,
) -> Pair:
    """Read a run and the truth that goes with it.

    Args:
        handed: A run of any form that `intake` reads.
        edition: The edition whose reader cuts the run into rows; None for the one that the ids name.
        truth: Where to look for the truth, in order; or the truth itself, under the names of its tables.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        facets: Also read what only breakdowns need.
        columns: The columns of ids and answers, where their names do not tell.

    Raises:
        RejectedInput: Run or truth cannot be read, or neither header nor cells tell the task.
        MissingResource: No place has ids of the run, or pyarrow is missing for a Parquet file.
        UsageFault: The run has no column of a name that the user gives.
    """
    run, task, edition, chosen_by = read_alone(handed, edition, task=task, columns=columns)
    try:
        if isinstance(truth, Mapping):
            answers = truth_of(truth, task, edition, split=split)
        else:
            answers = find_truth(run, task, edition, truth, split=split, facets=facets)
    except MissingResource:
        findings = check_run(run, edition, task, None)
        if not is_rejected(findings):
            raise
        raise RejectedInput(f"{run.path} cannot be read", findings) from None
    first = run.source.records.first if run.source.records else None
    if first is not None and first in answers.table.image_ids[:1]:
        # The evaluator takes the same header for an image of run and truth.
        run = read_run(replace(run.source, records=None), edition, task)
    return Pair(run=run, truth=answers, edition=edition, chosen_by=chosen_by)


def read_alone(
    handed: Handed, edition: Edition | None, *, task: Task | None = None, columns: Columns = GUESSED
) -> tuple[Table, Task, Edition, ChosenBy]:
    """Read a run without a truth, and tell its task, its edition and who chose that.

    Args:
        handed: A run of any form that `intake` reads.
        edition: The edition whose reader cuts the run into rows; None for the one that the ids name.
        task: Concepts or captions; None for what the header or the cells tell.
        columns: The columns of ids and answers, where their names do not tell.

    Raises:
        RejectedInput: The run cannot be read, or neither header nor cells tell the task.
    """
    source, task, edition, chosen_by = source_by_ids(handed, edition, task, columns)
    return read_run(source, edition, task), task, edition, chosen_by


def read_ids(path: Path, run: Table) -> list[str]:
    """Return the ids that a run should have.

    Args:
        path: A file with an id at the start of each row; or a folder of images, which has no order of its own
            and gets that of the run.
        run: The run.

    Raises:
        RejectedInput: The file cannot be read or has no ids.
        MissingResource: The folder has no image.
    """
    if path.is_dir():
        images = all_images(path)
        return list(dict.fromkeys([*(name for name in run.image_ids if name in images), *images]))
    table = read_table(
        read_source(path, EDITIONS[DEFAULT_EDITION], "concepts")[0], LAYOUT, "concepts", ANY_NUMBER
    )
    if not table.image_ids:
        message = "no row with an image id"
        raise RejectedInput(f"{path}: {message}", [finding("R003", str(path), None, message)])
    return table.image_ids
