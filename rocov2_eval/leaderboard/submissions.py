"""Find the submissions of a folder, `<team>/<run>/{submission.json, run.csv|run.zip}`, and read them.

Hostile until read: names are checked before they are used, nothing but plain files is opened, links are never
followed, and what a submission says of itself has to agree with where it lies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import finding, is_rejected
from rocov2_eval.formats import Source, load, sniff_task
from rocov2_eval.ranking import Rejection
from rocov2_eval.schemas import check_document, parse_json, schema
from rocov2_eval.shelf.words import shorten

METADATA = "submission.json"
RUN_FILES = ("run.csv", "run.zip")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10))}
_MOST_METADATA_BYTES = 1 << 20  # the longest that its schema allows has some 60 kB


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A submission whose metadata was read and whose run was not yet.

    Attributes:
        team: Name of the team's folder, fit for any file name.
        run: Name of the run's folder, fit for any file name.
        metadata: The submission.json, checked against the schema.
        folder: Folder of the run.
        file_name: Name of the run's file in that folder.
    """

    team: str
    run: str
    metadata: Mapping[str, Any]
    folder: Path
    file_name: str

    @property
    def place(self) -> str:
        """Its run's file below the folder of submissions, as findings and pages name it."""
        return f"{self.team}/{self.run}/{self.file_name}"

    @property
    def metadata_place(self) -> str:
        """Its submission.json, as `place`."""
        return f"{self.team}/{self.run}/{METADATA}"


def find_submissions(root: Path) -> tuple[list[Submission], list[Rejection]]:
    """Return the submissions below a folder, ordered by name, and what cannot be one with the reason.

    Files beside the folders (a README, the board's own store) and hidden entries are passed over.
    """
    submissions: list[Submission] = []
    rejections = [_misplaced(name) for name in _loose_files(root)]
    for team in _entries(root):
        try:
            _require_folder(team, team.name)
            runs = list(_entries(Path(team.path), team.name))
            _require_runs(team, runs)
        except RejectedInput as error:
            rejections.append(Rejection(team=team.name, run="", findings=error.findings))
            continue
        for run in runs:
            place = f"{team.name}/{run.name}"
            try:
                _require_folder(run, place)
                _require_portable(place)
                submissions.append(_submission(team.name, run.name, Path(run.path)))
            except RejectedInput as error:
                rejections.append(Rejection(team=team.name, run=run.name, findings=error.findings))
    return submissions, rejections


def load_run(submission: Submission, *, split: str | None) -> Source:
    """Read the run of a submission.

    Args:
        submission: The submission whose run to read.
        split: Split that the board ranks; None where it is unknown.

    Raises:
        RejectedInput: The file cannot be read, or is not what its metadata says.
    """
    source = load(submission.folder / submission.file_name, shown=submission.place)
    task = sniff_task(source)
    if task is not None and task != submission.metadata["task"]:
        message = f"the file holds {task}, {METADATA} says {submission.metadata['task']}"
        raise _rejected("R605", submission.place, message)
    named = submission.metadata.get("split")
    if None not in (named, split) and named != split:
        raise _rejected("R605", submission.place, f"{METADATA} says split {named}, the board ranks {split}")
    return source


def _loose_files(root: Path) -> list[str]:
    """Return the files beside the teams' folders that look like runs: somebody misses them on the board."""
    files = (path.name for path in root.iterdir() if path.suffix.lower() in {".csv", ".zip"})
    return sorted(name for name in files if not name.startswith((".", "leaderboard.")))


def _misplaced(name: str) -> Rejection:
    fault = finding("R602", name, None, "a file where the folder of a team is expected")
    return Rejection(team=name, run="", findings=(fault,))


def _entries(folder: Path, place: str = "") -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds, by name; plain files and hidden entries are nobody's submission."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda item: item.name)
    except OSError as error:
        raise _rejected("R001", place or str(folder), error.strerror or str(error)) from None
    for entry in ordered:
        if not entry.name.startswith(".") and not entry.is_file(follow_symlinks=False):
            yield entry


def _require_runs(team: os.DirEntry[str], runs: Sequence[os.DirEntry[str]]) -> None:
    """Refuse a team's folder that is a run's, or holds none: nobody shall miss a run without a word."""
    loose = [name for name, is_plain in _kinds(Path(team.path), team.name).items() if is_plain]
    if loose:
        message = f"{' and '.join(loose)} in the folder of the team: put them into {team.name}/<run>/"
        raise _rejected("R602", team.name, message)
    if not runs:
        raise _rejected("R602", team.name, "the folder of the team holds no run")


def is_folder_name(name: str) -> bool:
    """Tell whether a team or a run may have this name."""
    rule = schema("submission")["$defs"]["name"]
    is_named = len(name) <= rule["maxLength"] and re.fullmatch(rule["pattern"], name) is not None
    return is_named and _is_portable(name)


def _is_portable(name: str) -> bool:
    """Tell whether Windows would take a name for a page."""
    return not name.endswith(".") and name.casefold().partition(".")[0] not in _RESERVED


def _require_portable(place: str) -> None:
    """Refuse a name that Windows would not take for a page."""
    if not all(map(_is_portable, place.split("/"))):
        raise _rejected("R602", place, "not every system can have a file of this name")


def _require_folder(entry: os.DirEntry[str], place: str) -> None:
    if not entry.is_dir(follow_symlinks=False):
        kind = "a symbolic link" if entry.is_symlink() else "a device, pipe or socket"
        raise _rejected("R604", place, f"{kind} where a folder is expected")


def _submission(team: str, run: str, folder: Path) -> Submission:
    place = f"{team}/{run}"
    _check_names(team, run, place)
    files = _kinds(folder, place)
    faults = [
        finding("R604", f"{place}/{name}", None, "a symbolic link, folder or device")
        for name, is_plain in files.items()
        if not is_plain
    ]
    runs = [name for name in RUN_FILES if name in files]
    if METADATA not in files:
        faults.append(finding("R602", place, None, f"no {METADATA}"))
    if len(runs) != 1:
        names = " and ".join(runs) or "neither"
        faults.append(finding("R602", place, None, f"expected run.csv or run.zip, found {names}"))
    if faults:
        raise RejectedInput(faults[0].message, faults)
    metadata = _metadata(folder / METADATA, f"{place}/{METADATA}", team, run)
    return Submission(team=team, run=run, metadata=metadata, folder=folder, file_name=runs[0])


def _kinds(folder: Path, place: str) -> dict[str, bool]:
    """Return which of a submission's files are there, and whether each is a plain file."""
    try:
        with os.scandir(folder) as entries:
            kinds = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    except OSError as error:
        raise _rejected("R001", place, error.strerror or str(error)) from None
    return {name: kinds[name] for name in (METADATA, *RUN_FILES) if name in kinds}


def _check_names(team: str, run: str, place: str) -> None:
    rule = schema("submission")["$defs"]["name"]
    for name in (team, run):
        if len(name) > rule["maxLength"] or not re.fullmatch(rule["pattern"], name):
            message = f"{shorten(name)!r} is no name for a team or a run"
            raise _rejected("R602", place, message)


def _metadata(path: Path, place: str, team: str, run: str) -> Mapping[str, Any]:
    if path.stat().st_size > _MOST_METADATA_BYTES:
        raise _rejected("R601", place, f"more than {_MOST_METADATA_BYTES:,} bytes")
    document = parse_json(place, load(path, shown=place).text)
    faults = check_document(place, document, "submission")
    if is_rejected(faults):
        raise RejectedInput(f"{place} does not follow its schema", faults)
    assert isinstance(document, dict)
    if (document["team"], document["run"]) != (team, run):
        message = f"it names {document['team']}/{document['run']}, its folders are {team}/{run}"
        raise _rejected("R603", place, message)
    return document


def _rejected(code: str, place: str, message: str) -> RejectedInput:
    return RejectedInput(message, [finding(code, place, None, message)])
