"""A run as the platform takes it: in the format of an edition, in the order of its truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rocov2_eval.editions import Edition
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.findings import is_rejected
from rocov2_eval.formats import Source, Table, run_text
from rocov2_eval.intake import GUESSED, Columns, opened, plain, source_by_ids
from rocov2_eval.precheck import precheck
from rocov2_eval.records import Finding, Task
from rocov2_eval.shelf.archives import zip_bytes
from rocov2_eval.truth import Place, find_truth
from rocov2_eval.validation import check_run, read_run

_MEMBER = "submission.csv"  # what the platform looks for in an archive
_ENDINGS = (".csv", ".tsv", ".txt", ".zip")


def converted(
    path: Path,
    edition: Edition | None,
    places: Sequence[Place] = (),
    *,
    task: Task | None = None,
    split: str | None = None,
    columns: Columns = GUESSED,
) -> tuple[str, int, Edition]:
    """Return the text of a run in the format of an edition, its number of rows, and the edition.

    Ids, answers and scores stay as they are: cells come on one line, without blanks around them, and concepts
    in capitals.

    Args:
        path: Any file that `intake` reads; `-` is the standard input.
        edition: The edition to write for; None for the one that the ids name.
        places: Where the truth lies, whose order the rows get; none to leave them in theirs.
        task: Concepts or captions; None for what names or cells tell.
        split: Split of the truth; None for what the ids tell.
        columns: The columns of ids and answers, where their names do not tell.

    Raises:
        RejectedInput: The run breaks a rule that no other form of it would keep; its `findings` say where.
        MissingResource: No place has ids of the run.
    """
    source, task, edition, _ = source_by_ids(opened(path), edition, task, columns)
    run = read_run(source, edition, task)
    dialect = edition.rules(task).dialect
    cells = [plain(cell or "", dialect).strip() for cell in run.cells]
    if task == "concepts":
        cells = [";".join(map(str.strip, cell.upper().split(";"))) for cell in cells]
    answers = dict(zip(run.image_ids, cells, strict=True))
    order = list(answers)
    if places:
        order = find_truth(run, task, edition, places, split=split).table.image_ids
    findings = _lasting(run, edition, task, order)
    rows = [(image_id, answers[image_id]) for image_id in order if image_id in answers]
    text = run_text(rows, dialect, task)
    if not is_rejected(findings) and edition.precheck:
        findings = precheck(Source(path=source.path, sha256="", text=text), task, order)
    if is_rejected(findings):
        raise RejectedInput(f"{source.path} was not converted", findings)
    return text, len(rows), edition


def file_bytes(name: str, text: str) -> bytes:
    """Return what a file of this name holds: the text, or an archive of it.

    Raises:
        UsageFault: The name ends in nothing that the platform takes.
    """
    if not name.lower().endswith(_ENDINGS):
        raise UsageFault(f"--out {name}: expected a file name that ends in {', '.join(_ENDINGS)}")
    content = text.encode()
    return zip_bytes({_MEMBER: content}) if name.lower().endswith(".zip") else content


def _lasting(run: Table, edition: Edition, task: Task, ids: Sequence[str]) -> list[Finding]:
    """Return the findings of a run but for those of its form, whatever the truth's answers are."""
    return check_run(run, edition, task, ids, ["x"] * len(ids))
