"""Read a run together with the truth that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rocov2_eval.editions import Edition
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.findings import finding, is_rejected
from rocov2_eval.formats import Source, Table
from rocov2_eval.intake import GUESSED, Columns, read_source
from rocov2_eval.records import Finding, Task
from rocov2_eval.shelf.words import shorten
from rocov2_eval.truth import Place, Truth, find_truth
from rocov2_eval.validation import guess_dialect, read_run


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
    source, task = read_source(path, edition, task, columns)
    run = read_run(source, edition, task)
    try:
        truth = find_truth(run, task, edition, places, split=split, facets=facets)
    except MissingResource:
        findings = _reading_faults(run, edition, task)
        if not is_rejected(findings):
            raise
        raise RejectedInput(f"{path} cannot be read", findings) from None
    first = source.records.first if source.records else None
    if first is not None and first in truth.table.image_ids[:1]:
        return _with_header_as_image(source, edition, task), truth
    return run, truth


def _with_header_as_image(source: Source, edition: Edition, task: Task) -> Table:
    """Return the rows as an evaluator cuts them that takes the same header for an image of run and truth."""
    run = read_run(replace(source, records=None), edition, task)
    message = f"the header {shorten(run.image_ids[0])!r} is scored as an image, as in the truth"
    return replace(run, findings=(*run.findings, finding("R108", run.path, 1, message)))


def _reading_faults(run: Table, edition: Edition, task: Task) -> list[Finding]:
    """Return what may be the reason that no truth has the ids of a run."""
    dialect = edition.rules(task).dialect
    findings = [*(guess_dialect(run.source, dialect) if run.converted is None else ()), *run.findings]
    if not run.image_ids:
        findings.append(finding("R003", run.path, None, "no row with an image id"))
    return findings
