"""What participants start from: for each task a valid run that tells nothing of the truth."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence

from rocov2_eval.codabench.tasks import CompetitionTask
from rocov2_eval.editions import Dialect, Edition, caption_rules
from rocov2_eval.records import Task

RUN, METADATA = "run.csv", "submission.json"
# One answer for every image, chosen without looking at the truth: computed tomography, words of any caption.
ANSWERS: Mapping[Task, str] = {"concepts": "C0040405", "captions": "Image of the patient"}
_HEADERS: Mapping[Task, tuple[str, str]] = {"concepts": ("ID", "CUIs"), "captions": ("ID", "Caption")}


def example_run(task: CompetitionTask, most: int | None = None) -> str:
    """Return a run with the same answer for every image, in the dialect of the edition.

    Args:
        task: Whose images.
        most: Rows to return, None for one an image.
    """
    dialect = dialect_of(task.settings.edition, task.name)
    header = [] if dialect.header == "none" else [_HEADERS[task.name]]
    rows = [(image_id, ANSWERS[task.name]) for image_id in task.truth.table.image_ids[:most]]
    delimiter = "|" if dialect.delimiter == "auto" else dialect.delimiter
    if not dialect.quoted:
        return "".join(f"{delimiter.join(row)}\n" for row in [*header, *rows])
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows([*header, *rows])
    return buffer.getvalue()


def kit_files(tasks: Sequence[CompetitionTask]) -> dict[str, bytes]:
    """Return the runs and the metadata to fill in, by name; each task has a folder."""
    return dict(_files(tasks))


def dialect_of(edition: Edition, task: Task) -> Dialect:
    """Return how an edition cuts the runs of a task."""
    return caption_rules(edition).dialect if task == "captions" else edition.concepts.dialect


def _files(tasks: Sequence[CompetitionTask]) -> Iterator[tuple[str, bytes]]:
    for task in tasks:
        yield f"{task.name}/{RUN}", example_run(task).encode()
        metadata: dict[str, object] = {
            "schema_version": 1,
            "team": "your-team",
            "run": "your-run",
            "task": task.name,
            "edition": task.settings.edition.name,
            **({"split": task.truth.split} if task.truth.split else {}),
            "method": "How the run was made, in a few sentences.",
            "external_data": [],
            "contact": "you@example.org",
        }
        yield f"{task.name}/{METADATA}", (json.dumps(metadata, indent=2) + "\n").encode()
