"""Read a run together with the truth that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rocov2_eval.editions import ChosenBy, Edition
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.findings import finding, is_rejected
from rocov2_eval.formats import Source, Table
from rocov2_eval.intake import GUESSED, Columns, Handed, source_by_ids
from rocov2_eval.records import Finding, Task
from rocov2_eval.shelf.words import shorten
from rocov2_eval.truth import Place, Truth, find_truth, truth_of
from rocov2_eval.validation import guess_dialect, read_run


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
    source, task, edition, chosen_by = source_by_ids(handed, edition, task, columns)
    run = read_run(source, edition, task)
    try:
        if isinstance(truth, Mapping):
            answers = truth_of(truth, task, edition, split=split)
        else:
            answers = find_truth(run, task, edition, truth, split=split, facets=facets)
    except MissingResource:
        findings = _reading_faults(run, edition, task)
        if not is_rejected(findings):
            raise
        raise RejectedInput(f"{source.path} cannot be read", findings) from None
    first = source.records.first if source.records else None
    if first is not None and first in answers.table.image_ids[:1]:
        run = _with_header_as_image(source, edition, task)
    return Pair(run=run, truth=answers, edition=edition, chosen_by=chosen_by)


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
