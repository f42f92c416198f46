"""Read a run together with the truth that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, Edition
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.findings import finding, is_rejected
from rocov2_eval.formats import ANY_NUMBER, LAYOUT, Table, read_table
from rocov2_eval.images import all_images
from rocov2_eval.intake import GUESSED, Columns, read_source
from rocov2_eval.records import Task
from rocov2_eval.truth import Place, Truth, find_truth
from rocov2_eval.validation import check_run, read_run


def read(
    path: Path,
    edition: Edition,
    places: Sequence[Place],
    *,
    task: Task | None = None,
    split: str | None = None,
    facets: bool = False,
    columns: Columns = GUESSED,
) -> tuple[Table, Truth]:
    """Read a run and the truth that goes with it.

    Args:
        path: Any file that `intake` reads; `-` is the standard input.
        edition: The edition whose reader cuts the run into rows.
        places: Where to look for the truth, in order.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        facets: Also read what only breakdowns need.
        columns: The columns of ids and answers, where their names do not tell.

    Raises:
        RejectedInput: Run or truth cannot be read, or neither header nor cells tell the task.
        MissingResource: No place has ids of the run, or pyarrow is missing for a Parquet file.
        UsageFault: The run has no column of a name that the user gives.
    """
    run, task = read_alone(path, edition, task=task, columns=columns)
    try:
        truth = find_truth(run, task, edition, places, split=split, facets=facets)
    except MissingResource:
        findings = check_run(run, edition, task, None)
        if not is_rejected(findings):
            raise
        raise RejectedInput(f"{path} cannot be read", findings) from None
    first = run.source.records.first if run.source.records else None
    if first is not None and first in truth.table.image_ids[:1]:
        # The evaluator takes the same header for an image of run and truth.
        return read_run(replace(run.source, records=None), edition, task), truth
    return run, truth


def read_alone(
    path: Path, edition: Edition, *, task: Task | None = None, columns: Columns = GUESSED
) -> tuple[Table, Task]:
    """Read a run without a truth, and tell its task.

    Args:
        path: Any file that `intake` reads; `-` is the standard input.
        edition: The edition whose reader cuts the run into rows.
        task: Concepts or captions; None for what the header or the cells tell.
        columns: The columns of ids and answers, where their names do not tell.

    Raises:
        RejectedInput: The run cannot be read, or neither header nor cells tell the task.
    """
    source, task = read_source(path, edition, task, columns)
    return read_run(source, edition, task), task


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
