"""Score what the platform hands over: `INPUT/{ref,res}` in, `scores.json` and `detailed_results.html` out.

Page and log of a submission are shown to the participant who made it, so that neither may tell the truth.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.findings import RULES, finding, is_rejected
from rocov2_eval.formats import Source, load, sniff_task
from rocov2_eval.metrics import main_outputs
from rocov2_eval.pages import findings_page, run_page
from rocov2_eval.pages.disclosure import public_findings, public_report
from rocov2_eval.records import Finding, Task
from rocov2_eval.rendering.render import json_text
from rocov2_eval.scoring import Opener, Report, evaluate
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten
from rocov2_eval.truth import Place, Truth, read_truth
from rocov2_eval.validation import read_run

SCORES = "scores.json"
PAGE = "detailed_results.html"
_SUFFIXES = (".csv", ".tsv", ".txt", ".zip")
_METADATA = "submission.json"
_OF_PLATFORM = "metadata"  # what the platform says of how the submission came about
_MOST_METADATA_BYTES = 4096
# A command, or an exit code other than null, however its line is written.
_SIGN_OF_PROGRAM = re.compile(
    r"\b(exitCode|command)\b[^\w\n]*?:(?![^\w\n]*(?:null)?[^\w\n]*(?:\n|\Z))(.*)", re.IGNORECASE
)
# What a submission may hold before it is refused unread: a run for each task, each in folders of its own.
_MOST_ENTRIES = 50
_SHOWN_NAMES = 5
_TITLE = "Detailed results"
_UNFINISHED = "The evaluation did not finish. It probably exceeded the time limit of this competition."
_INVALID = "This submission is not valid. It has no score."
_BROKEN = "The truth of this competition has a fault that only the organisers can correct. There is no score."
_INCOMPLETE = "The set-up of this competition is incomplete. Only the organisers can correct it"


def score_submission(
    input_folder: Path,
    output_folder: Path,
    settings: Settings,
    open_resource: Opener,
    *,
    task: Task | None = None,
    split: str | None = None,
    decimals: int | None = None,
) -> Report:
    """Score a submission, write what the platform reads, and return what participants may know of it.

    `scores.json` is written last, and for a valid run alone: the platform takes its absence for a failure.

    Args:
        input_folder: With `ref`, the truth, and `res`, the submission unpacked.
        output_folder: Gets `detailed_results.html` in any case.
        settings: What to compute.
        open_resource: Opens the model of a metric that has one.
        task: Concepts or captions; None for the one that the truth is of.
        split: Split of the truth; None for the one that the truth is of.
        decimals: Decimals of every score; None for those that hide single images.

    Raises:
        RejectedInput: The run is not valid, or the truth is not; its findings do not tell the truth.
        MissingResource: There is no truth, or a model is missing.
        UsageFault: Settings and truth do not go together.
    """
    output_folder.mkdir(parents=True, exist_ok=True)
    (output_folder / SCORES).unlink(missing_ok=True)
    page = output_folder / PAGE
    write_text(page, findings_page(_TITLE, [], message=_UNFINISHED))  # until there is another
    try:
        truth = _read_truth(input_folder / "ref", settings, task, split)
        report = public_report(_evaluate(input_folder / "res", truth, settings, open_resource), decimals)
        scores = _scores(report, settings)
    except RejectedInput as error:
        visible = public_findings(error.findings)
        message = _INVALID if is_rejected(visible) else _BROKEN
        write_text(page, findings_page(_TITLE, error.findings, message=message))
        # Where the run has faults of its own, the rest would tell what the truth is like.
        shown = visible if is_rejected(visible) else [*visible, *_bare(error.findings, visible)]
        raise RejectedInput(message, shown) from None
    except (MissingResource, UsageFault) as error:
        write_text(page, findings_page(_TITLE, [], message=f"{_INCOMPLETE}: {error}"))
        raise
    write_text(page, run_page(report, title=_TITLE, private=False))
    write_text(output_folder / SCORES, json_text(scores))
    return report


def _read_truth(folder: Path, settings: Settings, task: Task | None, split: str | None) -> Truth:
    place = Place(path=folder, origin="reference data")
    return read_truth(place, task or _task_of(folder), settings.edition, split=split)


def _task_of(folder: Path) -> Task:
    """Return the one task that a folder has truth of."""
    tasks: tuple[Task, ...] = ("concepts", "captions")
    present = [task for task in tasks if any(folder.glob(f"*{task}.csv"))]
    if len(present) > 1:
        raise UsageFault(f"{folder} contains truth of {' and '.join(present)}: select one with --task")
    if not present:
        raise MissingResource(f"{folder} contains neither concepts.csv nor captions.csv")
    return present[0]


def _evaluate(folder: Path, truth: Truth, settings: Settings, open_resource: Opener) -> Report:
    source = _find_run(folder, truth)
    table = read_run(source, settings.edition, truth.task)
    return evaluate(table, truth, settings, open_resource)


def _scores(report: Report, settings: Settings) -> dict[str, float]:
    """Return what scores.json holds, under the keys of the organisers where the edition has them."""
    keys = settings.edition.keys
    named = ((keys.get(name, name), name) for name in main_outputs(report.metrics))
    return {key: _mean(report, name) for key, name in named if key is not None}


def _mean(report: Report, name: str) -> float:
    """Return a score; a column of the leaderboard without a number would be shown as n/a."""
    mean = report.metrics[name].mean
    if mean is None:
        raise MissingResource(f"the truth has no image for which {name} can be computed")
    return mean


def _bare(findings: Sequence[Finding], visible: Sequence[Finding]) -> list[Finding]:
    """Return the faults that are not visible, their messages replaced by what the rule says.

    A place in the truth tells its organisers where to look; a place in the run would tell its author where
    the truth is empty.
    """
    known = set(visible)
    bare = (
        replace(item, message=RULES[item.code].title)
        for item in findings
        if item not in known and item.severity != "note"
    )
    return list(
        dict.fromkeys(item if item.code.startswith("R5") else replace(item, line=None) for item in bare)
    )


def _find_run(folder: Path, truth: Truth) -> Source:
    """Return the one run of a submission that answers the task.

    Beside it there may be the run of the other task and what its author says of it, `submission.json`.

    Raises:
        RejectedInput: The submission is anything else, or a program made it.
    """
    _refuse_programs(folder)
    paths = {path: shorten(path.relative_to(folder).as_posix(), 100) for path in sorted(_files(folder))}
    strange = [name for path, name in paths.items() if path.suffix.lower() not in _SUFFIXES]
    if strange:
        raise _rejected("R004", f"expected only a CSV file, found {_listed(strange)}")
    runs: dict[Task, list[Source]] = {"concepts": [], "captions": []}
    for path, name in paths.items():
        source = load(path, shown=name)
        runs[sniff_task(source) or truth.task].append(source)
    for task, sources in runs.items():
        if len(sources) > 1:
            names = _listed([source.path for source in sources])
            raise _rejected("R004", f"expected one file of {task}, found {len(sources)}: {names}")
    if runs[truth.task]:
        return runs[truth.task][0]
    if not paths:
        raise _rejected("R004", "expected a CSV file, found none")
    other: Task = "captions" if truth.task == "concepts" else "concepts"
    held = f"{runs[other][0].path} contains {other}, but this task expects {truth.task}"
    raise _rejected("R605", f"{held}: select only the tasks that you answer")


def _refuse_programs(folder: Path) -> None:
    """Refuse what a program of the participant wrote.

    The platform runs a submission that brings a command, whatever the phase asks for, and leaves its exit
    code beside what it wrote; for a submission of results it leaves none.
    """
    path = folder / _OF_PLATFORM
    if path.is_symlink() or not path.is_file():
        return
    with path.open("rb") as file:
        content = file.read(_MOST_METADATA_BYTES + 1)
    if len(content) > _MOST_METADATA_BYTES:
        raise _rejected("R004", f"{_OF_PLATFORM} with more than {_MOST_METADATA_BYTES:,} bytes")
    for key, value in _SIGN_OF_PROGRAM.findall(content.decode("utf-8", "replace")):
        kind = "exit code" if key.lower() == "exitcode" else "command"
        told = f"{kind} {shorten(value.strip(), 40)}"
        ran = f"the submission contained a program, which ran ({told})"
        raise _rejected("R004", f"{ran}: expected a CSV file and no program")


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a submission that may be runs; follow and open no link."""
    entries = 0
    for parent, folders, names in os.walk(folder):
        is_top = Path(parent) == folder
        folders[:] = [name for name in folders if not _is_added(name)]
        own = _OF_PLATFORM if is_top and not (folder / _OF_PLATFORM).is_symlink() else None
        files = [name for name in names if not _is_added(name) and name != own]
        entries += len(folders) + len(files)
        if entries > _MOST_ENTRIES:
            raise _rejected("R004", f"more than {_MOST_ENTRIES} files and folders")
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                shown = shorten(path.relative_to(folder).as_posix(), 100)
                raise _rejected("R604", f"{shown!r} is a symbolic link or a device")
        yield from (Path(parent, name) for name in files if name != _METADATA)


def _is_added(name: str) -> bool:
    """Tell whether macOS or an editor added a file."""
    return name.startswith(".") or name == "__MACOSX"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")


def _rejected(code: str, message: str) -> RejectedInput:
    return RejectedInput(message, [finding(code, "submission", None, message)])
