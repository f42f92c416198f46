"""Put what a platform hands out, or a flat folder of runs, into the layout of submissions.

Codabench names the files of its `bulk_submissions.zip` after number, owner, phase and time of a submission.
Organisers can download a table of all submissions too. Sources, in codalab/codabench: `download_many` in
src/apps/api/views/submissions.py, `bulk_download` in the submission manager of the competition page, and pull
request 2126 for the table. The time in a name has minutes and seconds but no hour: the table alone has it.

Uploads are hostile until the board reads them. They are copied as bytes: nothing is linked, run, or unpacked
under a name of its own, and the board decides what is rejected.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.formats import (
    MOST_BYTES,
    is_archive,
    only_member,
    read_bytes,
    sniff_task,
    source_of,
)
from rocov2_eval.leaderboard.rules import FILE_NAME as RULES_FILE
from rocov2_eval.leaderboard.rules import Rules, rules_of
from rocov2_eval.leaderboard.submissions import METADATA, RUN_FILES, find_submissions, is_folder_name
from rocov2_eval.ranking import Status
from rocov2_eval.records import Task
from rocov2_eval.rendering.document import Column, Document, Section, Table, Value
from rocov2_eval.schemas import check_document, parse_json
from rocov2_eval.shelf.archives import UNREADABLE, is_clutter
from rocov2_eval.shelf.csv_files import read_text, rows_of
from rocov2_eval.shelf.files import write_bytes, write_text
from rocov2_eval.shelf.parsing import json_dumped
from rocov2_eval.shelf.words import counted, is_shown, look, path_text, shorten, suggestion

Platform = Literal["codabench", "flat"]
Outcome = Literal["added", "there already", "not imported"]

_CODABENCH = re.compile(
    r"(?P<id>[0-9]+)_(?P<owner>.+)_PhaseId[0-9]+_[0-9]{4}-[0-9]{2}-[0-9]{2}[:_][0-9]{2}-[0-9]{2}_.*",
    re.DOTALL,
)
_CODABENCH_EARLIER = re.compile(r"ID_(?P<id>[0-9]+)_.*", re.DOTALL)  # of 2024: codalab/codabench issue 1551
_TABLE = {"Submission ID": "submission_id", "Owner": "owner", "Created When": "submitted_at"}
_FAILED = "failed.txt"  # what the platform could not fetch
_RUNS = (".csv", ".tsv", ".txt", ".zip")
_COLUMNS = (
    "file", "owner", "team", "run", "display_name", "submitted_at", "submission_id", "status",
    "reason", "task",
)  # fmt: skip
_STATUSES: tuple[Status, ...] = ("ranked", "baseline", "out-of-competition", "withdrawn", "disqualified")
_TASKS: tuple[Task, ...] = ("concepts", "captions")
_OWN_WORDS = ("method", "external_data", "contact", "paper", "code")  # what a team says of a run itself
_NOT_STATED = {
    "method": "not stated",
    "external_data": ["not stated"],
    "contact": "not-stated@example.invalid",
}
_LATIN = str.maketrans(
    {"\u0142": "l", "\u00f8": "o", "\u0111": "d", "\u00e6": "ae", "\u0153": "oe", "\u0131": "i"}
)
_LONGEST_SLUG = 48
_LONGEST_NAME = 100  # as in the schema of submission.json


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file that somebody uploaded.

    Attributes:
        file: Its name in the download.
        read: Reads its bytes; raises RejectedInput.
        facts: What is known of it, by the names of `_COLUMNS`.
    """

    file: str
    read: Callable[[], bytes]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of a file.

    Attributes:
        file: Its name in the download.
        outcome: What became of it.
        team: Folder of the team; empty where there is none.
        run: Folder of the run; empty where there is none.
        display_name: How the team calls itself.
        task: Task of the run; empty where it is not known.
        note: What is worth to know.
    """

    file: str
    outcome: Outcome
    team: str = ""
    run: str = ""
    display_name: str = ""
    task: str = ""
    note: str = ""


def import_uploads(
    place: Path,
    out: Path,
    *,
    platform: Platform,
    mapping: Path | None,
    edition: str,
    task: Task | None,
    rules: Rules,
) -> tuple[list[Row], list[str]]:
    """Copy uploads into `<team>/<run>/` below a folder; what lies there already stays as it is.

    Args:
        place: A folder of uploads, or an archive of them.
        out: Folder of submissions.
        platform: What the names of the files mean.
        mapping: CSV file that says what the names do not; None for none.
        edition: Edition that the runs are for.
        task: Task of runs whose content does not tell; None for concepts.
        rules: The board.toml of the folder.

    Returns:
        A row for each file, and notes.

    Raises:
        UsageFault: A folder lies in the other, or board.toml cannot take a status of the mapping.
        RejectedInput: The mapping or the table of the platform is broken.
    """
    inside, outside = out.resolve(), place.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise UsageFault(f"{place} and --out {out} lie in each other: name a folder beside")
    uploads, rows = _uploads(place)
    notes: list[str] = []
    if platform == "codabench":
        uploads = _of_codabench(uploads, rows, notes)
    else:
        uploads = [_named(upload) for upload in uploads]
    if mapping is not None:
        uploads = _mapped(uploads, mapping, notes)
    shelf = _Shelf(out, edition, task)
    statuses: dict[tuple[str, str], tuple[Status, str]] = {}
    for upload in uploads:
        try:
            new = shelf.put(upload)
        except RejectedInput as error:
            message = error.findings[0].message if error.findings else str(error)
            new = [Row(file=upload.file, outcome="not imported", note=message)]
        rows += new
        if status := upload.facts.get("status"):
            reason = upload.facts.get("reason", "")
            statuses |= {(row.team, row.run): (_status(status), reason) for row in new if row.run}
    notes += _decide(out, statuses, rules)
    return sorted(rows, key=lambda row: row.file), notes


def import_document(rows: Sequence[Row], out: Path) -> Document:
    """Return a table of what became of each file."""
    number = {outcome: sum(row.outcome == outcome for row in rows) for outcome in ("added", "there already")}
    added, known = counted(number["added"], "run"), number["there already"]
    title = f"{path_text(out)}: {added} added, {known:,} there already"
    left = len(rows) - sum(number.values())
    title += f", {counted(left, 'file')} not imported" if left else ""
    names = ("file", "outcome", "team", "run", "display name", "task", "note")
    cells: list[list[Value]] = [
        [row.file, row.outcome, row.team, row.run, row.display_name, row.task, row.note] for row in rows
    ]
    columns = [Column(title=name) for name in names]
    return Document(title=title, sections=[Section(tables=[Table(columns=columns, rows=cells)])])


def folder_name(name: str, fallback: str) -> str:
    """Return a name of a folder for any text: itself where it is one, else its letters in ASCII.

    >>> folder_name("DS@BioMed", "team")
    'ds-biomed'

    Args:
        name: Any text.
        fallback: What begins the name where no letter is left; a digest of the text follows.
    """
    if is_folder_name(name):
        return name
    letters = unicodedata.normalize("NFKD", name).casefold().translate(_LATIN)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    slug = re.sub(r"[^a-z0-9]+", "-", bare).strip("-")[:_LONGEST_SLUG].strip("-")
    if not slug:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{fallback}-{digest[:8]}"
    return slug if is_folder_name(slug) else f"{fallback}-{slug}"


def _uploads(place: Path) -> tuple[list[Upload], list[Row]]:
    """Return the files of a folder or an archive, and a row for each entry that is no plain file."""
    if place.is_file():
        return _members(place)
    uploads, rows = [], []
    with os.scandir(place) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        name = path_text(entry.name)
        if entry.name.startswith(".") or is_clutter(entry.name):
            continue
        if not entry.is_file(follow_symlinks=False):
            kind = "a symbolic link" if entry.is_symlink() else "a folder, pipe or device"
            rows.append(Row(file=name, outcome="not imported", note=f"{kind}, expected a plain file"))
            continue
        path = Path(entry.path)
        uploads.append(Upload(file=name, read=lambda path=path, name=name: read_bytes(path, name)))  # type: ignore[misc]
    return uploads, rows


def _members(place: Path) -> tuple[list[Upload], list[Row]]:
    """Return the files of an archive."""
    uploads, rows = [], []
    try:
        archive = zipfile.ZipFile(place)
    except (OSError, *UNREADABLE) as error:
        raise RejectedInput(
            f"{place}: expected a folder or a zip archive: {shorten(str(error), 100)}"
        ) from None
    with archive:
        members = [item for item in archive.infolist() if not item.is_dir() and not is_clutter(item.filename)]
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            rows.append(Row(file=member.filename, outcome="not imported", note="a symbolic link"))
            continue
        uploads.append(
            Upload(file=member.filename, read=lambda member=member: _member(place, member))  # type: ignore[misc]
        )
    return uploads, rows


def _member(place: Path, member: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a file of an archive, never more than `MOST_BYTES`."""
    try:
        with zipfile.ZipFile(place) as archive, archive.open(member) as opened:
            content = opened.read(MOST_BYTES + 1)
    except (OSError, *UNREADABLE) as error:
        raise RejectedInput(f"cannot be unpacked: {shorten(str(error), 100)}") from None
    if len(content) > MOST_BYTES:
        raise RejectedInput(f"more than {MOST_BYTES:,} bytes")
    return content


def _named(upload: Upload) -> Upload:
    """Return an upload with team and run as `team__run.csv` or `team-run.csv` names them."""
    stem, dot, _ = upload.file.rpartition(".")
    stem = stem if dot else upload.file
    team, mark, run = stem.partition("__")
    if not mark:
        team, mark, run = stem.rpartition("-")
    return (
        replace(upload, facts={"display_name": team.strip(), "run": run.strip()}) if team and run else upload
    )


def _of_codabench(uploads: Sequence[Upload], rows: list[Row], notes: list[str]) -> list[Upload]:
    """Return the submissions of a download, with what names and the platform's table say of them."""
    table: dict[str, dict[str, str]] = {}
    held = []
    for upload in uploads:
        listed = _listing(upload)
        if listed is not None:
            table |= listed
            rows.append(Row(file=upload.file, outcome="not imported", note="the table of the platform: read"))
        elif upload.file == _FAILED:
            note = "the platform could not export all submissions: the file names them"
            rows.append(Row(file=upload.file, outcome="not imported", note=note))
        else:
            held.append(upload)
    found = []
    for upload in held:
        match = _codabench_name(upload.file)
        facts = {"submission_id": match["id"], "run": match["id"]} if match else {}
        if match and "owner" in match.groupdict():
            facts["owner"] = match["owner"]
        facts |= table.get(facts.get("submission_id", ""), {})
        if "owner" in facts:
            facts["display_name"] = facts["owner"]
        found.append(replace(upload, facts=facts))
    if found and not table:
        notes.append(
            "the files hold no table of the platform: the times of the uploads are not known; put the CSV "
            "file of the submissions of your competition beside them"
        )
    return found


def _codabench_name(file: str) -> re.Match[str] | None:
    name = file.rpartition("/")[2]
    return _CODABENCH.fullmatch(name) or _CODABENCH_EARLIER.fullmatch(name)


def _listing(upload: Upload) -> dict[str, dict[str, str]] | None:
    """Return what the platform's table says of each submission; None for a file that is none."""
    if not upload.file.lower().endswith(".csv") or _codabench_name(upload.file):  # else a team could write it
        return None
    try:
        text = source_of(upload.read(), upload.file).text
    except RejectedInput:
        return None
    header = text.partition("\n")[0]
    if not all(name in header for name in ("Submission ID", "Owner")):
        return None
    listed = {}
    for _, row in rows_of(text, upload.file, ("Submission ID", "Owner")):
        facts = {key: row[name].strip() for name, key in _TABLE.items() if row.get(name, "").strip()}
        if not _is_time(facts.get("submitted_at", "")):
            facts.pop("submitted_at", None)
        listed[row["Submission ID"].strip()] = facts
    return listed


def _mapped(uploads: Sequence[Upload], mapping: Path, notes: list[str]) -> list[Upload]:
    """Return uploads with what a mapping says of their files or of their owners.

    Raises:
        RejectedInput: A column, a status, a task or a time of the mapping is none.
    """
    of_file: dict[str, dict[str, str]] = {}
    of_owner: dict[str, dict[str, str]] = {}
    for line, facts in _mapping_rows(mapping):
        where = f"{mapping}:{line}"
        _check_facts(facts, where)
        kind, of_kind = ("file", of_file) if "file" in facts else ("owner", of_owner)
        key = facts.pop(kind)
        if key in of_kind:
            raise RejectedInput(f"{where}: a second row of the {kind} {shorten(key)!r}: remove one")
        of_kind[key] = facts
    names = {upload.file for upload in uploads}
    owners = {upload.facts.get("owner") for upload in uploads}
    absent = [name for name in of_file if name not in names] + [
        name for name in of_owner if name not in owners
    ]
    if absent:
        shown = ", ".join(shorten(name) for name in absent[:5])
        notes.append(
            f"{mapping} names {counted(len(absent), 'file or owner', 'files or owners')} not found: {shown}"
        )
    found = []
    for upload in uploads:
        facts = {
            **upload.facts,
            **of_owner.get(upload.facts.get("owner", ""), {}),
            **of_file.get(upload.file, {}),
        }
        found.append(replace(upload, facts=facts))
    decided = (*of_file.values(), *of_owner.values())
    given = {look(facts[key]) for facts in decided for key in ("display_name", "team") if key in facts}
    found = [_unless_taken(item, given, of_owner, of_file) for item in found]
    # The table itself may lie among the uploads.
    own = mapping.resolve()
    return [item for item in found if not (own.parent / item.file == own and item.file not in of_file)]


def _unless_taken(
    upload: Upload,
    given: Collection[str],
    of_owner: Mapping[str, Mapping[str, str]],
    of_file: Mapping[str, Mapping[str, str]],
) -> Upload:
    """Return an upload without a team if its owner chose a name that the mapping gives to somebody else."""
    owner = upload.facts.get("owner", "")
    is_mapped = owner in of_owner or bool({"display_name", "team"} & {*of_file.get(upload.file, ())})
    if not owner or is_mapped or look(owner) not in given:
        return upload
    return replace(upload, facts={key: value for key, value in upload.facts.items() if key != "display_name"})


def _mapping_rows(mapping: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the cells with content of each row of a mapping, by column.

    Spreadsheets write semicolons or tabs in some countries, empty rows and columns, and names of columns as
    people type them.

    Raises:
        RejectedInput: The file is not a CSV file, or a column is unknown or there twice.
    """
    head, end, rest = read_text(mapping).partition("\n")
    delimiter = max(",;\t", key=head.count)  # a comma where the header has one column
    names = ["_".join(name.strip(' \r"').casefold().split()) for name in head.split(delimiter)]
    for name in filter(None, names):
        if name not in _COLUMNS:
            hint = suggestion(name, _COLUMNS)
            raise RejectedInput(f"{mapping}:1: unknown column {shorten(name)!r}; {hint}")
        if names.count(name) > 1:
            raise RejectedInput(f"{mapping}:1: {names.count(name)} columns {name}, expected one: remove one")
    text = delimiter.join(names) + end + rest
    for line, row in rows_of(text, str(mapping), delimiter=delimiter):
        if row.get("", "").strip():
            raise RejectedInput(f"{mapping}:{line}: a cell in a column without a name: name the column")
        if facts := {name: cell.strip() for name, cell in row.items() if cell.strip()}:
            yield line, facts


def _check_facts(facts: Mapping[str, str], where: str) -> None:
    if ("file" in facts) == ("owner" in facts):
        raise RejectedInput(f"{where}: expected a file or an owner")
    offered: dict[str, tuple[str, ...]] = {"status": _STATUSES, "task": _TASKS}
    for name, words in offered.items():
        if name in facts and facts[name] not in words:
            raise RejectedInput(f"{where}: {name} {shorten(facts[name])!r}; {suggestion(facts[name], words)}")
    if facts.get("status") == "disqualified" and "reason" not in facts:
        raise RejectedInput(f"{where}: status disqualified needs a reason")
    if "submitted_at" in facts and not _is_time(facts["submitted_at"]):
        expected = "expected a time with its zone, such as 2026-05-07T12:00:00Z"
        raise RejectedInput(f"{where}: submitted_at {shorten(facts['submitted_at'])!r}, {expected}")
    if "team" in facts and not is_folder_name(facts["team"]):
        expected = "expected the name of a folder; any other name is a display_name"
        raise RejectedInput(f"{where}: team {shorten(facts['team'])!r}, {expected}")


def _is_time(text: str) -> bool:
    return not _faults({"submitted_at": text})


def _faults(part: Mapping[str, Any]) -> bool:
    """Tell whether a part of a submission.json would not follow its schema."""
    return bool(check_document("", _NOT_STATED | _KEYS | dict(part), "submission"))


_KEYS = {"schema_version": 1, "team": "a", "run": "a", "task": "concepts", "edition": "rocov2"}


class _Shelf:
    """A folder of submissions that is being filled."""

    def __init__(self, out: Path, edition: str, task: Task | None) -> None:
        self._out, self._edition, self._task = out, edition, task
        self._names: dict[str, str] = {}  # what pages call the team of a folder
        self._claims: dict[tuple[str, str], str] = {}  # the file of this import that has a run's folder
        for team in _folders(out):
            self._names[team] = team
        if out.is_dir():
            for known in find_submissions(out)[0]:
                self._names[known.team] = known.metadata.get("display_name", self._names[known.team])

    def put(self, upload: Upload) -> list[Row]:
        """Put an upload where it belongs, and return what became of it: two rows for a run of each task."""
        facts = upload.facts
        name = facts.get("display_name") or facts.get("team", "")
        shown = _shown(name)
        if not shown or not facts.get("run"):
            note = "the name does not contain team and run: add a line to the CSV file of --mapping"
            return [Row(file=upload.file, outcome="not imported", note=note)]
        if not upload.file.lower().endswith(_RUNS) and not facts.get("team"):
            note = f"expected a name that ends in {', '.join(_RUNS)}"
            return [Row(file=upload.file, outcome="not imported", note=note)]
        content = upload.read()
        named = facts.get("team", "")
        if shown != name and not named:
            # Without what cannot be shown it may be the name of another team, whose folder it shall not get.
            digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            shown = f"{folder_name(shown, 'team').removesuffix(f'-{digest}')}-{digest}"
        team, note = self._team(shown, named)
        runs, own = _parts(content, upload.file)
        rows = []
        for task, part in runs:
            run, renamed = self._run(team, facts["run"] + (f"-{task}" if len(runs) > 1 else ""), upload.file)
            of_task = facts.get("task") or task or self._task or "concepts"
            document = {
                "schema_version": 1,
                "team": team,
                "run": run,
                "task": of_task,
                "edition": self._edition,
                **_NOT_STATED,
                **own,
                **{
                    name: facts[name]
                    for name in ("submitted_at", "submission_id")
                    if name in facts and not _faults({name: facts[name]})
                },
            }
            if shown != team:
                document["display_name"] = shown
            outcome, why = self._write(team, run, part, document)
            notes = "; ".join(filter(None, (note, renamed, why)))
            rows.append(
                Row(
                    file=upload.file,
                    outcome=outcome,
                    team=team,
                    run=run if outcome != "not imported" else "",
                    display_name=shown,
                    task=str(of_task),
                    note=notes,
                )
            )
        return rows

    def _team(self, shown: str, named: str) -> tuple[str, str]:
        """Return the folder of a team, and a note where it is not the one that its name makes."""
        known = next((folder for folder, name in self._names.items() if name == shown), None)
        first = named or known or folder_name(shown, "team")
        taken = {look(folder): name for folder, name in self._names.items()}
        folder = first
        if not named:
            folder = _free(first, lambda name: taken.get(look(name), shown) == shown)
        self._names[folder] = shown
        return folder, f"{first} is the folder of another team" if folder != first else ""

    def _run(self, team: str, wanted: str, file: str) -> tuple[str, str]:
        """Return the folder of a run, and a note where another one has the name."""
        first = folder_name(wanted, "run")
        present = {look(name): name for name in _folders(self._out / team)}

        def is_free(name: str) -> bool:
            claim = self._claims.get((team, look(name)))
            return claim in (None, file) and present.get(look(name), name) == name

        run = _free(first, is_free)
        self._claims[team, look(run)] = file
        return run, f"another file is {first}" if run != first else ""

    def _write(self, team: str, run: str, content: bytes, document: Mapping[str, Any]) -> tuple[Outcome, str]:
        """Write the files of a submission; what lies there stays, and is made whole after an interrupt."""
        folder = self._out / team / run
        files = [folder / name for name in RUN_FILES]
        if any(path.is_symlink() for path in (folder.parent, folder, *files, folder / METADATA)):
            return "not imported", "a symbolic link lies in its place"
        before = next((path for path in files if path.is_file()), None)
        if before is not None and read_bytes(before, path_text(before)) != content:
            return "not imported", f"{team}/{run} holds another run, which stays"
        is_whole = (folder / METADATA).is_file()
        if before is None:
            write_bytes(files[is_archive(content)], content)
        if not is_whole:
            write_text(folder / METADATA, json_dumped(document, indent=2) + "\n")
        return ("there already", "") if before is not None and is_whole else ("added", "")


def _shown(name: str) -> str:
    """Return how pages may call a team: its name without what cannot be shown; empty for no name."""
    bare = "".join(letter for letter in name if letter.isprintable()).strip()[:_LONGEST_NAME].strip()
    return bare if not name or is_shown(bare) else folder_name(name, "team")


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _free(first: str, is_free: Callable[[str], bool]) -> str:
    """Return a name, or the first free one with a number."""
    return next(name for name in chain([first], (f"{first}-{i}" for i in count(2))) if is_free(name))


def _parts(content: bytes, name: str) -> tuple[list[tuple[Task | None, bytes]], dict[str, Any]]:
    """Return the runs of an upload, each with its task where it tells, and what its team says of them.

    A platform takes an archive with a run of each task, and with a submission.json. Any other archive stays
    as it is: the board finds what is wrong with it.
    """
    whole: list[tuple[Task | None, bytes]] = [(_task_of(content, name), content)]
    if not is_archive(content):
        return whole, {}
    members = _small_archive(content)
    metadata = [path for path in members if path.rpartition("/")[2] == METADATA]
    tables = [path for path in members if path not in metadata]
    if len(members) < 2 or len(metadata) > 1 or not all(path.lower().endswith(_RUNS[:-1]) for path in tables):  # noqa: PLR2004  one file is a run as it is
        return whole, {}
    tasks = [_task_of(members[path], path) for path in tables]
    if len(set(tasks)) < len(tasks) or (len(tasks) > 1 and None in tasks):
        return whole, {}
    own = _own_words(members[metadata[0]]) if metadata else {}
    return [(task, members[path]) for task, path in zip(tasks, tables, strict=True)], own


def _small_archive(content: bytes) -> dict[str, bytes]:
    """Return the files of an archive of at most three; empty where it holds more than a board reads."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [
                item for item in archive.infolist() if not item.is_dir() and not is_clutter(item.filename)
            ]
            if len(names) > len(_TASKS) + 1 or any(item.file_size > MOST_BYTES for item in names):
                return {}
            held = {}
            for item in names:
                with archive.open(item) as opened:
                    held[item.filename] = opened.read(MOST_BYTES + 1)
    except UNREADABLE:
        return {}
    return {} if any(len(part) > MOST_BYTES for part in held.values()) else held


def _task_of(content: bytes, name: str) -> Task | None:
    """Return the task that the content of a run tells; None where it is no run."""
    try:
        return sniff_task(source_of(only_member(content, name)[1] if is_archive(content) else content, name))
    except RejectedInput:
        return None


def _own_words(content: bytes) -> dict[str, Any]:
    """Return what a submission.json reports of the method; empty where it does not follow the schema."""
    try:
        document = parse_json(METADATA, source_of(content, METADATA).text)
    except RejectedInput:
        return {}
    held = document if isinstance(document, dict) else {}
    own = {name: held[name] for name in _OWN_WORDS if name in held}
    return {} if _faults(own) else own


def _status(word: str) -> Status:
    return next(status for status in _STATUSES if status == word)


def _decide(out: Path, statuses: Mapping[tuple[str, str], tuple[Status, str]], rules: Rules) -> list[str]:
    """Add the statuses of a mapping to board.toml, which a team cannot write; return notes."""
    notes, lines = [], []
    for (team, run), (status, reason) in sorted(statuses.items()):
        known = rules.run(team, run).status
        if known is None and status != "ranked":
            lines.append(f'\n[teams."{team}".runs."{run}"]\nstatus = "{status}"')
            lines += [f"reason = {json.dumps(reason, ensure_ascii=False)}"] if reason else []
        elif known not in (None, status):
            notes.append(
                f"{RULES_FILE} has the status {known} of {team}/{run}, the mapping {status}: the former stays"
            )
    if not lines:
        return notes
    path = out / RULES_FILE
    text = (path.read_text(encoding="utf-8") if path.is_file() else "") + "\n".join([*lines, ""])
    try:
        rules_of(text, str(path), out)
    except UsageFault as error:
        added = "\n".join(lines)
        raise UsageFault(
            f"{path} cannot take the statuses of the mapping ({error}): add them yourself\n{added}"
        ) from None
    write_text(path, text.lstrip("\n"))
    return [
        *notes,
        f"{path} has {counted(sum(line.startswith(chr(10)) for line in lines), 'status', 'statuses')} more",
    ]
