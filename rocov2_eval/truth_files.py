"""Which files of a folder are truth, told by the names that organisers and publishers chose."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rocov2_eval.arrow_files import PARQUET_ENDINGS, table_names
from rocov2_eval.column_names import VALUE_NAMES, bare, is_id_name
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS
from rocov2_eval.errors import RejectedInput
from rocov2_eval.intake import ENDINGS, PACKED, SHARD, read_source
from rocov2_eval.records import Task
from rocov2_eval.shelf.archives import is_clutter
from rocov2_eval.shelf.words import counted, shorten

SPLITS = ("test", "valid", "train")
FILE_NAME: Mapping[Task, str] = {"concepts": "concepts.csv", "captions": "captions.csv"}
_SPLIT_WORDS = {
    "test": "test",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "train": "train",
    "training": "train",
}
_TASK_WORDS: Mapping[str, Task] = {
    "concept": "concepts",
    "concepts": "concepts",
    "cui": "concepts",
    "cuis": "concepts",
    "caption": "captions",
    "captions": "captions",
}
_OTHER_WORDS = {"mapping", "license", "licence", "licenses", "information", "ids", "info", "state"}
_TRUTH_WORDS = {"gold", "truth", "gt", "reference", "references", "labels", "answers", *_SPLIT_WORDS}
_RUN_WORDS = {"run", "runs", "pred", "preds", "predictions", "predicted", "submission", "submissions"}
_CHALLENGE = re.compile(r"imageclef[a-z]*[_ -]?caption[_ -]?(?=\d)")  # begins names of the challenge's files
_MOST_LEVELS = 3  # of folders within a dataset folder
_MOST_ENTRIES = 300_000  # a dataset folder has a picture for each of 80,000 images


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A truth, to be read.

    Attributes:
        paths: Its file, or the shards of its table.
        split: `train`, `valid`, `test`, or None where no name says.
        name: How a message names it, within its folder.
    """

    paths: tuple[Path, ...]
    split: str | None
    name: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a place holds.

    Attributes:
        candidates: The truths of the task, test before valid before train before the rest.
        passed: Why each other file was not taken, by name.
        others: What else there is, in a few words; empty for nothing.
    """

    candidates: Sequence[Candidate] = ()
    passed: Mapping[str, str] = field(default_factory=dict)
    others: str = ""


def find_files(place: Path, task: Task, split: str | None) -> Found:
    """Return the truths of a task in a folder, or the file itself.

    The names of the ROCOv2 release at the top of the folder come first. Without them every table in it and
    in the folders below is looked at.
    """
    if place.is_file():
        held = _split_of(place, place.parent)
        return Found(candidates=[Candidate(paths=(place,), split=held, name=place.name)])
    name = FILE_NAME[task]
    names = {f"{known}_{name}": known for known in SPLITS if split in (None, known)}
    plain = {**names, **({} if split else {name: None})}
    known = [
        Candidate(paths=(place / name,), split=known, name=name)
        for name, known in plain.items()
        if (place / name).is_file()
    ]
    return Found(candidates=known) if known else _search(place, task, split)


def beside(path: Path) -> tuple[Path | None, Path]:
    """Return where concepts and manual concepts would lie that go with a truth file."""
    found = re.search(r"(concepts?|captions?)(?=\.[^/]*\Z)", path.name)
    if found is None:  # a name of the organisers' own: gold.tsv goes with gold_manual.tsv, captions with none
        return None, path.with_name(f"{path.stem}_manual{path.suffix}")
    number = "s" if found[1].endswith("s") else ""
    named = [
        path.with_name(f"{path.name[: found.start()]}concept{number}{end}{path.name[found.end() :]}")
        for end in ("", "_manual")
    ]
    return named[0], named[1]


def _search(place: Path, task: Task, split: str | None) -> Found:
    """Look through a folder and those below it."""
    tables: dict[tuple[Path, str], list[Path]] = {}
    others = 0
    for path in _files(place):
        if _is_table(path) and path.is_file():  # a pipe would have us wait
            tables.setdefault((path.parent, SHARD.sub("-*", path.name)), []).append(path)
        elif not is_clutter(path.name):
            others += 1
    candidates = []
    passed = {}
    for (folder, pattern), paths in tables.items():
        name = (folder / pattern).relative_to(place).as_posix()
        held = _split_of(paths[0], place)
        if split is not None and held != split:
            passed[name] = f"not of the split {split}"
        elif (why := _why_not(paths[0], place, task)) is not None:
            passed[name] = why
        else:
            candidates.append(Candidate(paths=tuple(sorted(paths)), split=held, name=name))
    order = {known: number for number, known in enumerate(SPLITS)}
    candidates.sort(key=lambda item: (order.get(item.split or "", len(SPLITS)), item.name))
    told = counted(others, "file") + " that cannot contain a truth, such as images" if others else ""
    return Found(candidates=candidates, passed=passed, others=told if tables or others else "it is empty")


def _files(place: Path) -> Iterator[Path]:
    """Yield the files of a folder and of three levels below it, but for hidden ones, in order."""
    entries = 0
    for parent, folders, names in os.walk(place):
        level = len(Path(parent).relative_to(place).parts)
        folders[:] = (
            sorted(name for name in folders if not name.startswith(".")) if level < _MOST_LEVELS else []
        )
        entries += len(names)
        if entries > _MOST_ENTRIES:
            return
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _is_table(path: Path) -> bool:
    name = path.name.lower()
    ends = tuple(ending + packed for ending in ENDINGS for packed in PACKED)
    return name.endswith((*ENDINGS, *ends)) or (name.endswith(".zip") and _task_word(path) is not None)


def _why_not(path: Path, place: Path, task: Task) -> str | None:
    """Return why a table is no truth of a task; None where it may be."""
    words = _words(path.name)
    named = _task_word(path)
    reason: str | None = None
    if "manual" in words:
        reason = "manual concepts are used beside concepts, not as a truth of their own"
    elif words & _RUN_WORDS:
        reason = "a run, according to its name"
    elif named is not None and named != task:
        reason = f"it contains {named}, according to its name"
    elif path.name.lower().endswith(PARQUET_ENDINGS):
        reason = _lacking_columns(path, task)
    elif named is None and words & _OTHER_WORDS:
        reason = "not a truth, according to its name"
    elif named is None:
        reason = _unread(path, place, task)
    return reason


def _lacking_columns(path: Path, task: Task) -> str | None:
    """Return which column a Parquet file lacks."""
    try:
        names = table_names(path)
    except RejectedInput as error:
        return str(error)
    wanted = "cui" if task == "concepts" else "caption"
    if not any(map(is_id_name, names)):
        return f"no column image_id, found {_listed(names)}"
    if not any(bare(name) in VALUE_NAMES[task] for name in names):
        return f"no column {wanted}, found {_listed(names)}"
    return None


def _unread(path: Path, place: Path, task: Task) -> str | None:
    """Return why a file whose name says nothing is no truth of the task, by what it holds."""
    try:
        _, held = read_source(path, EDITIONS[DEFAULT_EDITION])
    except RejectedInput as error:
        if not _has_column(path, task):
            return error.findings[0].message if error.findings else str(error)
        held = task
    if held != task:
        return f"it contains {held}"
    if _split_of(path, place) is None and not _words(path.name) & _TRUTH_WORDS:
        return "its name does not show that it is a truth: name the file itself"
    return None


def _has_column(path: Path, task: Task) -> bool:
    """Tell whether a file has a column that a name tells to be of the task, beside one of the other task."""
    try:
        source, _ = read_source(path, EDITIONS[DEFAULT_EDITION], task)
    except RejectedInput:
        return False
    return source.records is not None and source.records.task == task


def _task_word(path: Path) -> Task | None:
    """Return the task that the name of a file tells; `caption` in the challenge's own name does not."""
    words = re.findall("[a-z]+", _CHALLENGE.sub("", path.name.lower()))
    tasks = [_TASK_WORDS[word] for word in words if word in _TASK_WORDS]
    return tasks[0] if tasks else None


def _split_of(path: Path, place: Path) -> str | None:
    """Return the split that a file's name tells, else that of the nearest folder within the place."""
    inner = path.relative_to(place) if path.is_relative_to(place) else Path(path.name)
    for part in reversed(inner.parts):
        if held := [
            _SPLIT_WORDS[word] for word in re.findall("[a-z]+", part.lower()) if word in _SPLIT_WORDS
        ]:
            return held[0]
    return None


def _words(name: str) -> set[str]:
    return set(re.findall("[a-z]+", name.lower()))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shorten(name, 30) for name in names[:8]) or "none"
