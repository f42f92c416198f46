"""Find the truth of a run: a ROCOv2 dataset folder, one of its CSV files, or an edition's own file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from rocov2_eval.align import align
from rocov2_eval.arrow_files import PARQUET_ENDINGS
from rocov2_eval.causes import NEARLY_ALL, Answers, causes_of, other_year, slip_of
from rocov2_eval.concept_cells import Cell
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, Edition
from rocov2_eval.errors import MissingResource, RejectedInput, UnknownIds, UsageFault
from rocov2_eval.findings import finding, findings, is_rejected
from rocov2_eval.formats import ANY_NUMBER, LAYOUT, SECOND_CELL, Source, Table, is_layout, load, read_table
from rocov2_eval.intake import TRUTH, Handed, read_source, source_of_handed, source_of_tables
from rocov2_eval.records import Finding, Task
from rocov2_eval.shelf.words import counted, short_id
from rocov2_eval.truth_files import FILE_NAME, SPLITS, Candidate, Found, beside, find_files

SAMPLE = "bundled sample"  # who names the last place of all
_SPLIT_OF = {"val": "valid", "validation": "valid", "dev": "valid"}
_SPLIT_WORD = re.compile(r"(?<![a-z])(train|validation|valid|val|dev|test)(?![a-z])")
_OF_CONTENT = {"R003", "R005", "R007", "R011", "R012", "R102"}  # faults of what a file holds
_SHOWN_FILES = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The truth of one task and split.

    Attributes:
        task: The task, concepts or captions.
        split: `train`, `valid`, `test`, or None where the file's name does not say.
        table: The rows of the truth file; every array of scores has their order.
        manual: The cell of manual concepts of each image, None where there is no such file.
        concepts: The cell of concepts of each image, None where there is no such file.
        names: Canonical name by CUI, empty where there is no cui_mapping.csv.
        inputs: Path and SHA-256 of every file that was read.
        findings: What is wrong with the truth itself.
        whole: Number of images of the whole truth, where this is a part of it; else None.
    """

    task: Task
    split: str | None
    table: Table
    manual: list[Cell] | None
    concepts: list[Cell] | None
    names: Mapping[str, str]
    inputs: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    whole: int | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place to look for the truth.

    Attributes:
        path: A dataset folder or a truth file, whether or not it exists.
        origin: Who named the place: an option, a variable, the config file, or this package.
    """

    path: Path
    origin: str


def sample_folder() -> Path:
    """Return the dataset that comes with the package."""
    with as_file(files("rocov2_eval") / "sample") as folder:
        return folder


def truth_name(inputs: Sequence[tuple[str, str]]) -> str:
    """Return how an answer names the truth that it was made with: the path of its first file.

    Args:
        inputs: Path and SHA-256 of every truth file, as `Truth.inputs`.
    """
    path = Path(inputs[0][0])
    return f"{SAMPLE}, {path.name}" if path.parent == sample_folder() else str(path)


def find_truth(
    run: Table,
    task: Task,
    edition: Edition,
    places: Sequence[Place],
    *,
    split: str | None = None,
    facets: bool = False,
) -> Truth:
    """Return the truth at the first place that has it.

    Args:
        run: Run whose image ids tell the split.
        task: Concepts or captions.
        edition: Edition whose dialect cuts a file that is not in the ROCOv2 layout.
        places: Places to look for the truth, in this order.
        split: Take this split instead of the one that the ids tell.
        facets: Also read the concepts and manual concepts that only breakdowns need.

    Raises:
        MissingResource: A place that somebody named has no truth of the task.
        UnknownIds: No place has ids of the run, nor ids that differ from them in one way.
        RejectedInput: A truth file is broken.
    """
    wanted = set(run.image_ids)
    strangers: list[tuple[Candidate, Table]] = []
    first = run.source.records.first if run.source.records else None
    for place in places:
        candidates = find_files(place.path, task, split).candidates
        tables = [(item, _read_truth(item.paths, task, edition, first)) for item in candidates]
        if not tables:  # to pass it over would be to score against a truth that nobody named
            raise MissingResource(_not_found(run, task, [place], split))
        if len(places) == len(tables) == 1 and place.origin != SAMPLE:
            return _complete(*tables[0], task, edition, facets=facets)
        found, table = max(tables, key=lambda item: len(wanted.intersection(item[1].image_ids)))
        if wanted.intersection(table.image_ids):
            return _complete(found, table, task, edition, facets=facets)
        strangers += tables
    wanted_cells = set(run.cells)
    for found, table in strangers:  # for the cause that explains it
        is_told = len(places) == 1 and other_year(run.image_ids, table.image_ids, run.path)
        if is_told or slip_of(run.image_ids, table.image_ids) or not wanted_cells.isdisjoint(table.image_ids):
            return _complete(found, table, task, edition, facets=facets)
    raise UnknownIds(_not_found(run, task, places, split))


def read_truth(
    place: Place, task: Task, edition: Edition, *, split: str | None = None, facets: bool = False
) -> Truth:
    """Return the truth at a place without a run to tell the split.

    Args:
        place: A dataset folder or a truth file.
        task: Concepts or captions.
        edition: Edition whose dialect cuts a file that is not in the ROCOv2 layout.
        split: Take this split; needed where a folder has several.
        facets: Also read the concepts and manual concepts that only breakdowns need.

    Raises:
        MissingResource: The place has no truth of the task.
        UsageFault: It has several splits and none is asked for.
        RejectedInput: A truth file is broken.
    """
    found = find_files(place.path, task, split)
    if not found.candidates:
        wanted = f"{split}_{FILE_NAME[task]}" if split else FILE_NAME[task]
        raise MissingResource(f"no {wanted} in {place.path} ({place.origin}){_held(found)}")
    if len(found.candidates) > 1:
        names = ", ".join(item.name for item in found.candidates)
        raise UsageFault(f"{place.path} has {names}: name one with --split")
    (only,) = found.candidates
    return _complete(only, _read_truth(only.paths, task, edition), task, edition, facets=facets)


def truth_of(
    tables: Mapping[str, Handed], task: Task, edition: Edition, *, split: str | None = None
) -> Truth:
    """Return a truth that was handed in as objects.

    Args:
        tables: The tables by the names that the files of a dataset folder have, `concepts`, `captions`,
            `concepts_manual`; under no name, one for whatever task.
        task: Concepts or captions.
        edition: Edition by which the truth is read.
        split: How the split is called.

    Raises:
        MissingResource: There is no table of the task.
        RejectedInput: A table is broken.
    """
    kinds: dict[str, Task] = {name: "captions" if name == "captions" else "concepts" for name in tables}
    kinds |= {"": task} if "" in tables else {}
    if task not in kinds.values():
        raise MissingResource(f"the truth has no {task}, but {', '.join(tables)}")
    read = {
        name: _checked(source_of_handed(tables[name], edition, kind, TRUTH)[0], kind, edition)
        for name, kind in kinds.items()
    }
    return _truth(
        read.get(task) or read[""],
        task,
        edition,
        split=split,
        concepts=read.get("concepts"),
        manual=read.get("concepts_manual"),
    )


def subset_of(truth: Truth, image_ids: Collection[str]) -> Truth:
    """Return the part of a truth that some ids are of; the truth itself where that is all of it, or nothing.

    A run without any of its images has to be checked against the whole, to tell why.
    """
    wanted = set(image_ids)
    table = truth.table
    rows = [i for i, image_id in enumerate(table.image_ids) if image_id in wanted]
    if len(rows) in (0, len(table.image_ids)):
        return truth

    def part(cells: list[Cell] | None) -> list[Cell] | None:
        return None if cells is None else [cells[i] for i in rows]

    return replace(
        truth,
        table=replace(
            table,
            image_ids=[table.image_ids[i] for i in rows],
            cells=[table.cells[i] for i in rows],
            lines=table.lines[rows],
            surplus=np.flatnonzero(np.isin(rows, table.surplus)),
        ),
        manual=part(truth.manual),
        concepts=part(truth.concepts),
        whole=len(table.image_ids),
    )


def other_split(run: Table, truth: Truth, edition: Edition) -> str | None:
    """Return the split that has nearly all ids of a run, None where none beside the truth does."""
    path = Path(truth.table.path)
    wanted = set(run.image_ids)
    folder = path.parent.parent if path.parent.name in SPLITS else path.parent
    for item in find_files(folder, truth.task, None).candidates:
        if path in item.paths or item.split in (None, truth.split) or not wanted:
            continue
        try:
            ids = _read_truth(item.paths, truth.task, edition).image_ids
        except RejectedInput:  # what is wrong with it is told to those who use it
            continue
        if len(wanted.intersection(ids)) >= NEARLY_ALL * len(wanted):
            return item.split
    theirs, ours = _named_split(truth.table.image_ids), _named_split(run.image_ids)
    return ours if ours != theirs and None not in (ours, theirs) else None


def _named_split(image_ids: Sequence[str]) -> str | None:
    """Return the split that all ids name, as ImageCLEFmedical_Caption_2024_valid_000001 does."""
    named = {tuple(sorted(set(_SPLIT_WORD.findall(image_id.lower())))) for image_id in image_ids}
    words = next(iter(named)) if len(named) == 1 else ()
    return _SPLIT_OF.get(words[0], words[0]) if len(words) == 1 else None


def _read_truth(paths: Sequence[Path], task: Task, edition: Edition, first: str | None = None) -> Table:
    """Read a truth, of one file or of the shards of one table.

    Args:
        paths: The files.
        task: Concepts or captions.
        edition: Edition whose dialect cuts a file that is not in the ROCOv2 layout.
        first: First cell of the run's header, which this edition may take for an image of both.
    """
    try:
        source = _truth_source(paths, task, edition)
    except RejectedInput as error:
        if any(item.code in _OF_CONTENT for item in error.findings):
            faults = list(map(_of_truth, error.findings))
            raise RejectedInput(f"the truth {paths[0]} is not valid", faults) from None
        raise
    return _checked(source, task, edition, first)


def _checked(source: Source, task: Task, edition: Edition, first: str | None = None) -> Table:
    """Return the rows of a truth without fault; the arguments are those of `_read_truth`."""
    dialect = edition.rules(task).dialect
    records = source.records
    if records and records.first is not None and records.first == first and dialect.header == "id_anywhere":
        source, records = replace(source, records=None), None
    if records or is_layout(source):
        header = dialect.header if dialect.header == "id_anywhere" else LAYOUT.header
        dialect = replace(LAYOUT, header=header)
    elif dialect.header == "id_first":
        dialect = replace(dialect, header="optional")
    table = read_table(source, dialect, task, 2 if task == "concepts" else ANY_NUMBER)
    cut = (
        (int(table.lines[i]), f"a comma cuts the caption of {table.image_ids[i]!r}") for i in table.surplus
    )
    faults = [_of_truth(item) for item in table.findings]
    faults += findings("R501", table.path, cut, severity="warning")
    faults += _broken_ids(table)
    if records and records.what and not _is_known_form(records.what):
        message = f"the truth was converted from another format: {records.what}"
        faults.append(finding("R501", table.path, None, message, severity="warning"))
    content = SECOND_CELL.get(table.header[1].lower(), task) if table.header and table.header[1:] else task
    if content != task:
        hint = f"if the run contains {content}, too, add --task {content}"
        faults.append(
            finding("R501", table.path, 1, f"the file contains {content}, but the run {task}: {hint}")
        )
    if is_rejected(faults):
        raise RejectedInput(f"the truth {source.path} is not valid", faults)
    return replace(table, findings=tuple(faults))


def _truth_source(paths: Sequence[Path], task: Task, edition: Edition) -> Source:
    """Return the rows of a truth: in the ROCOv2 layout, else as the edition has them, else converted."""
    if paths[0].name.endswith(PARQUET_ENDINGS):
        return source_of_tables(paths, edition, task)
    layout, _ = read_source(paths[0], EDITIONS[DEFAULT_EDITION], task, TRUTH)
    if (layout.records is None and is_layout(layout)) or edition.name == DEFAULT_EDITION:
        return layout
    return read_source(paths[0], edition, task, TRUTH)[0]


def _is_known_form(what: str) -> bool:
    """Tell whether a truth is published in a form, so that nothing need be said."""
    return what.startswith(("a Parquet", "a gzip"))


def _of_truth(item: Finding) -> Finding:
    """Return a fault of a truth file under the rule whose fix speaks to organisers."""
    if item.severity == "warning":
        return item
    return finding("R501", item.path, item.line, item.message)


def _broken_ids(table: Table) -> Iterator[Finding]:
    if not table.image_ids:
        yield finding("R501", table.path, None, "no row with an image id")
    if len(set(table.image_ids)) == len(table.image_ids):
        return
    seen: set[str] = set()
    faults = []
    for image_id, line in zip(table.image_ids, table.lines, strict=True):
        if image_id in seen:
            faults.append((int(line), f"{short_id(image_id)!r} appears twice in the truth"))
        seen.add(image_id)
    yield from findings("R501", table.path, faults)


def _complete(found: Candidate, table: Table, task: Task, edition: Edition, *, facets: bool) -> Truth:
    """Add what lies beside a truth file: concepts, manual concepts, names."""
    path = found.paths[0]
    concepts_path, manual_path = beside(path)
    concepts = table if task == "concepts" else None
    if facets and concepts is None and path.name.endswith(PARQUET_ENDINGS):
        concepts = _column_beside(found, edition)
    elif facets and concepts is None:
        concepts = _beside(concepts_path, edition)
    scored = task == "concepts" and bool(edition.concepts.manual_cuis)
    manual = _beside(manual_path, edition) if scored or facets else None
    folders = (path.parent, path.parent.parent)  # the second where each split has a folder of its own
    names_path = next((near for near in map(_mapping_in, folders) if near.is_file()), None)
    return _truth(
        table,
        task,
        edition,
        split=found.split,
        concepts=concepts,
        manual=manual,
        names=_names(names_path) if names_path else None,
    )


def _truth(
    table: Table,
    task: Task,
    edition: Edition,
    *,
    split: str | None,
    concepts: Table | None,
    manual: Table | None,
    names: Mapping[str, str] | None = None,
) -> Truth:
    """Put a truth together out of its tables, and look for what it lacks."""
    faults = [*table.findings, *_hollow(table, task, edition)]
    if manual and task == "concepts" and edition.concepts.manual_cuis:
        faults += _lacking(manual, table)
    tables = [item for item in (table, concepts, manual) if item is not None]
    return Truth(
        task=task,
        split=split,
        table=table,
        manual=_cells(manual, table),
        concepts=_cells(concepts, table),
        names=names or {},
        inputs=tuple(dict.fromkeys((item.path, item.sha256) for item in tables)),
        findings=tuple(faults),
    )


def _mapping_in(folder: Path) -> Path:
    return folder / "cui_mapping.csv"


def _beside(path: Path | None, edition: Edition) -> Table | None:
    return _read_truth([path], "concepts", edition) if path and path.is_file() else None


def _column_beside(found: Candidate, edition: Edition) -> Table | None:
    """Return the concepts that a table of captions has in a column of its own; None where it has none."""
    try:
        return _read_truth(found.paths, "concepts", edition)
    except RejectedInput:
        return None


def _cells(other: Table | None, table: Table) -> list[Cell] | None:
    return align(other.image_ids, other.cells, table.image_ids).cells if other else None


def _lacking(manual: Table, table: Table) -> list[Finding]:
    ids = set(manual.image_ids)
    absent = [image_id for image_id in table.image_ids if image_id not in ids]
    message = f"no row for {counted(len(absent), 'image')}, such as {short_id(absent[0])!r}" if absent else ""
    return [finding("R503", manual.path, None, message)] if absent else []


def _hollow(table: Table, task: Task, edition: Edition) -> list[Finding]:
    """Return what keeps a truth from being right, in part or as a whole."""
    is_ours = edition.name == DEFAULT_EDITION
    empty = len([cell for cell in table.cells if not cell or cell.isspace()])
    if table.cells and empty >= NEARLY_ALL * len(table.cells):
        message = f"{empty:,} of {len(table.cells):,} images have an empty cell"
        return [finding("R504", table.path, None, message, severity="error" if is_ours else "warning")]
    answers = Answers(image_ids=table.image_ids, cells=table.cells)
    found = [
        cause
        for cause, _ in causes_of(answers, task, table.path, table.lines, is_ours=is_ours, of_truth=True)
    ]
    if empty and task == "concepts":
        message = f"{empty:,} of {len(table.cells):,} images have no concept"
        found.append(finding("R502", table.path, None, message))
    return found


def _names(path: Path) -> dict[str, str]:
    source = load(path)
    header = "CUI,Canonical name"
    text = source.text if not source.text.startswith(header) else source.text.partition("\n")[2]
    table = read_table(replace(source, text=text), replace(LAYOUT, header="none"), "concepts", ANY_NUMBER)
    return {cui: name or "" for cui, name in zip(table.image_ids, table.cells, strict=True)}


def _not_found(run: Table, task: Task, places: Sequence[Place], split: str | None) -> str:
    name = FILE_NAME[task]
    files_looked_for = f"{split}_{name}" if split else f"{{{','.join(SPLITS)}}}_{name} or {name}"
    looked = "\n".join(f"  {place.path}  ({place.origin}{_state(place, task, split)}" for place in places)
    example = short_id(run.image_ids[0]) if run.image_ids else "none"
    return (
        f"no truth found for the {task} run {run.path}, whose ids look like {example!r}.\n"
        f"Looked for {files_looked_for} with those ids in\n{looked}\n"
        f"Name the dataset folder: rocov2-eval score {run.path} --truth DIR\n"
        f"or once for all:         export ROCOV2_DATA=DIR"
    )


def _state(place: Place, task: Task, split: str | None) -> str:
    """Return what a place holds, and why none of it was taken."""
    if place.origin == SAMPLE:
        return ")"
    if not place.path.exists():
        return "; does not exist)"
    found = find_files(place.path, task, split)
    others = {item.name: "no id of the run is in it" for item in found.candidates}
    return f"){_held(replace(found, passed={**others, **found.passed}))}"


def _held(found: Found) -> str:
    lines = [f"\n    {name}: {why}" for name, why in list(found.passed.items())[:_SHOWN_FILES]]
    rest = len(found.passed) - _SHOWN_FILES
    lines += [f"\n    {counted(rest, 'more file')} of these kinds"] if rest > 0 else []
    lines += [f"\n    {found.others}"] if found.others else []
    return "".join(lines)
