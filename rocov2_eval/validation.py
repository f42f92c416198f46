"""What an edition's evaluator would say of a run, all of it at once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from rocov2_eval.align import align
from rocov2_eval.causes import (
    NEARLY_ALL,
    NO_VALUE,
    OF_IDS,
    Answers,
    causes_of,
    equal_answers,
    looks_like_header,
    nearest,
    other_year,
    scored_header,
    slip_of,
    tally,
    whole_lines,
)
from rocov2_eval.concept_cells import Cell, Ragged, renamed
from rocov2_eval.editions import DEFAULT_EDITION, CaptionRules, Dialect, Edition, years_of
from rocov2_eval.findings import MOST_PER_RULE, finding, findings, is_rejected
from rocov2_eval.formats import ANY_NUMBER, Source, Table, read_table
from rocov2_eval.records import Finding, Severity, Task
from rocov2_eval.schemas import row_schema
from rocov2_eval.shelf.csv_files import would_run
from rocov2_eval.shelf.words import short_id, shorten
from rocov2_eval.textnorm import normalise

_SHOWN_IDS = 3
_TAG = re.compile(r"<[A-Za-z/!][^<>]*>")
_DELIMITERS = {",": "commas", "\t": "tabs", "|": "vertical bars", ";": "semicolons"}
_LOOKED_AT, _LOOKED_AT_LINES = 1 << 16, 50  # characters and lines from the start of a file
# What follows for single rows where the lines are cut in the wrong places.
OF_SEPARATOR = frozenset(
    {"R003", "R102", "R104", "R105", "R107", "R108", "R109", "R114", "R201", "R202", "R203", "R204", "R206"}
    | {"R301", "R302", "R304", "R402", "R403", "R405", "R406"}
)


def read_run(source: Source, edition: Edition, task: Task) -> Table:
    """Cut a run into rows as the edition's evaluator does."""
    dialect = edition.rules(task).dialect
    if task == "concepts" or edition.captions.extra_cells == "error":
        return read_table(source, dialect, task)
    return read_table(source, dialect, task, most_cells=ANY_NUMBER)


def check_run(
    run: Table,
    edition: Edition,
    task: Task,
    truth_ids: Sequence[str] | None,
    truth_cells: Sequence[Cell] = (),
    *,
    further: Iterable[Finding] = (),
) -> list[Finding]:
    """Return every finding of a run against the truth of an edition, those of its reading first.

    What holds for all rows is one finding, and what follows from it is left out.

    Args:
        run: The run.
        edition: The edition whose evaluator is asked.
        task: Concepts or captions.
        truth_ids: The ids that the run should have; None where they are not known.
        truth_cells: The answers of the truth in the same order; empty where they are not known.
        further: What other checks found in the run.
    """
    faults = [*run.findings, *further]
    if not run.image_ids:
        faults.append(finding("R003", run.path, None, "no row with an image id"))
    damaged = [i for i, cell in enumerate(run.cells) if cell and "\0" in cell]
    faults += _at(run, "R112", damaged, lambda i: f"NUL in {_shown(run, i)}")
    faults += _check_years(run, edition)
    if truth_ids is not None:
        faults += _check_ids(run, truth_ids)
    if len(set(run.image_ids)) < len(run.image_ids):
        faults += findings("R103", run.path, _repeated(run))
    if task == "concepts":
        faults += _check_concepts(run, edition)
    else:
        faults += _check_captions(run, edition.captions, truth_ids or (), truth_cells)
    causes = _causes(run, edition, task, truth_ids, truth_cells)
    if year := other_year(run.image_ids, truth_ids or (), run.path):
        faults = without(faults, year, OF_IDS)
    for cause, explained in causes:
        faults = without(faults, cause, explained)
    return faults


def _check_years(run: Table, edition: Edition) -> Iterator[Finding]:
    """Yield a finding where the years that ids of the challenge name contradict each other or the edition."""
    of_run = years_of(run.image_ids)
    if len(of_run) > 1:
        message = f"ids of several years: {tally(of_run)}; a run contains the images of one year"
        yield finding("R118", run.path, None, message, severity="warning")
    if of_run and edition.year and edition.year not in of_run:
        message = f"ids of {tally(of_run)}, but rules of {edition.year}: the organisers publish no such score"
        yield finding("R118", run.path, None, message, severity="warning")


def without(found: Sequence[Finding], cause: Finding, explained: frozenset[str]) -> list[Finding]:
    """Return findings with a cause before them and without what it explains, an error if one of these was."""
    follows = [item for item in found if item.code in explained]
    severity = "error" if is_rejected(follows) else cause.severity
    return [replace(cause, severity=severity), *(item for item in found if item.code not in explained)]


def guess_dialect(source: Source, dialect: Dialect) -> list[Finding]:
    """Return a finding if nearly all lines have no separator of the edition but one of another."""
    lines = [line for line in source.text[:_LOOKED_AT].splitlines()[:_LOOKED_AT_LINES] if line.strip()]
    expected = ("|", "\t") if dialect.delimiter == "auto" else (dialect.delimiter,)
    lacking = [line for line in lines if not any(delimiter in line for delimiter in expected)]
    if not lacking or len(lacking) < NEARLY_ALL * len(lines):
        return []
    for delimiter, name in _DELIMITERS.items():
        if sum(delimiter in line for line in lacking) >= NEARLY_ALL * len(lacking):
            where = "the first line has" if lines[0] in lacking else "the lines have"
            message = f"expected {_DELIMITERS[expected[0]]} between cells, {where} {name}"
            return [finding("R008", source.path, 1, message)]
    return []


def _causes(
    run: Table, edition: Edition, task: Task, truth_ids: Sequence[str] | None, truth_cells: Sequence[Cell]
) -> Iterator[tuple[Finding, frozenset[str]]]:
    """Yield what holds for all rows, with the codes of what follows from it."""
    dialect = edition.rules(task).dialect
    is_ours = edition.name == DEFAULT_EDITION
    if run.converted is None and (any(item.code == "R102" for item in run.findings) or None in run.cells):
        delimiter = next((d for d in _DELIMITERS if d in run.source.text[:_LOOKED_AT]), ",")
        if dialect.delimiter != "auto":
            delimiter = dialect.delimiter
        if of_lines := whole_lines(run.source.text, delimiter, task):
            yield finding(of_lines[0], run.path, None, of_lines[1]), OF_SEPARATOR
            return
    if run.converted is None and (separator := guess_dialect(run.source, dialect)):
        yield separator[0], OF_SEPARATOR
        return
    answers = Answers(image_ids=run.image_ids, cells=run.cells, truth_ids=truth_ids, truth_cells=truth_cells)
    explained: set[str] = set()
    for cause, follows in causes_of(answers, task, run.path, run.lines, is_ours=is_ours):
        explained |= follows
        yield cause, follows
    for note in equal_answers(answers, run.path):
        if note.code not in explained:
            yield note, frozenset()
    if run.image_ids:
        for header in scored_header(answers, run.path, int(run.lines[0]), is_ours=is_ours):
            yield header, frozenset()


def _check_ids(run: Table, truth_ids: Sequence[str]) -> Iterator[Finding]:
    if run.image_ids == truth_ids:  # the common case; the truth holds each id once
        return
    known = set(truth_ids)
    ids = set(run.image_ids)
    unknown = [i for i, image_id in enumerate(run.image_ids) if image_id not in known]
    slip = slip_of([run.image_ids[i] for i in unknown], known) if unknown else None
    if slip:
        way, right = slip
        wrong = next(iter(right))
        number = f"{len(right):,} of {len(run.image_ids):,} ids differ from those of the truth in one way"
        message = f"{number}, {way}: {short_id(wrong)!r} should be {short_id(right[wrong])!r}"
        yield finding("R114", run.path, None, message)
        unknown = [i for i in unknown if run.image_ids[i] not in right]
        ids |= set(right.values())
    if unknown:
        faults = ((int(run.lines[i]), _stranger(run, i, known)) for i in unknown[:MOST_PER_RULE])
        yield from findings("R104", run.path, faults, more=max(len(unknown) - MOST_PER_RULE, 0))
    if not known <= ids:
        absent = [image_id for image_id in truth_ids if image_id not in ids]
        examples = ", ".join(map(short_id, absent[:_SHOWN_IDS]))
        dots = ", …" if len(absent) > _SHOWN_IDS else ""
        message = f"{len(absent):,} of {len(truth_ids):,} images have no row: {examples}{dots}"
        yield finding("R105", run.path, None, message)


def _stranger(run: Table, i: int, known: set[str]) -> str:
    image_id = run.image_ids[i]
    hint = nearest(image_id, known)
    if i == 0 and image_id and not hint and looks_like_header(run.image_ids):
        name = shlex.quote(short_id(image_id))
        hint = f"; it looks like a header: name its columns, --id-column {name} …"
    return f"{short_id(image_id)!r} is not an image of the truth{hint}"


def _repeated(run: Table) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    place = "in row" if run.source.records and not run.converted else "on line"
    for image_id, line in zip(run.image_ids, run.lines, strict=True):
        if image_id in first:
            yield int(line), f"{short_id(image_id)!r} appeared {place} {first[image_id]} already"
        else:
            first[image_id] = int(line)


def _check_concepts(run: Table, edition: Edition) -> Iterator[Finding]:
    rules = edition.concepts
    seen = renamed(run.concepts, str.strip) if rules.strip else run.concepts
    alone = [i for i, cell in enumerate(run.cells) if cell is None]
    crashing = 1 if edition.name == "imageclef-2018" and alone[:1] == [0] else 0
    yield from _at(run, "R206", alone[:crashing], lambda _: "only an id in the first row", "error")
    yield from _at(run, "R206", alone[crashing:], lambda _: "only an id")
    if rules.most is not None:
        most = f"concepts, but at most {rules.most} are allowed"
        many = np.flatnonzero(seen.counts > rules.most)
        yield from _at(run, "R201", many, lambda i: f"{seen.counts[i]} {most}")
    repeated = _repeats(seen)
    yield from _at(
        run, "R202", repeated, lambda i: f"{shorten(seen.vocabulary[repeated[i]])!r} appears twice"
    )
    in_case = _repeats(renamed(seen, str.upper))
    in_case = {i: code for i, code in in_case.items() if i not in repeated}
    yield from _at(run, "R205", in_case, lambda i: f"concepts that differ only in case: {_shown(run, i)}")
    empty = _holding(seen, lambda text: not text.strip())
    beside_others = [i for i in empty if seen.counts[i] > 1]
    yield from _at(run, "R203", beside_others, lambda i: f"an empty concept in {_shown(run, i)}")
    if not rules.strip:
        blanks = _holding(seen, lambda text: text != text.strip())
        yield from _at(run, "R207", blanks, lambda i: f"spaces around a concept in {_shown(run, i)}")
    is_cui = re.compile(row_schema("concepts")["properties"]["cuis"]["items"]["pattern"]).search
    strange = _holding(seen, lambda text: _is_strange(text.strip(), is_cui))
    formulas = _holding(seen, would_run)
    yield from _at(
        run, "R110", formulas, lambda i: f"{shorten(seen.vocabulary[formulas[i]])!r} looks like a formula"
    )
    tags = [i for i in strange if _TAG.search(run.cells[i] or "")]
    yield from _at(run, "R111", tags, lambda i: f"HTML in {_shown(run, i)}")
    yield from _at(run, "R204", strange, lambda i: f"{shorten(seen.vocabulary[strange[i]])!r} is not a CUI")


def _check_captions(
    run: Table, rules: CaptionRules, truth_ids: Sequence[str], truth_cells: Sequence[Cell]
) -> Iterator[Finding]:
    end = "a comma" if rules.dialect.delimiter == "," else "a separator"
    yield from _at(run, "R302", run.surplus, lambda i: f"the caption ends at {end}: {_shown(run, i)}")
    formulas = [i for i, cell in enumerate(run.cells) if cell and would_run(cell)]
    yield from _at(run, "R110", formulas, lambda i: f"{_shown(run, i)} looks like a formula")
    tagged = (i for i, cell in enumerate(run.cells) if cell and "<" in cell and _TAG.search(cell))
    tags = [i for i in tagged if (run.cells[i] or "").lower() not in NO_VALUE]
    yield from _at(run, "R111", tags, lambda i: f"HTML in {_shown(run, i)}")
    kept = normalise([cell or "" for cell in run.cells], rules.norm)
    truth = align(truth_ids, truth_cells, run.image_ids)
    present = truth.present
    both = {
        i
        for i, reference in enumerate(truth.cells)
        if present[i] and not kept[i] and not normalise([reference or ""], rules.norm)[0]
    }
    if rules.both_empty_crashes:
        yield from _at(
            run, "R303", sorted(both), lambda i: f"{_shown(run, i)}, and an empty caption in the truth"
        )
    empty = [i for i, caption in enumerate(kept) if not caption.strip() and i not in both]
    if rules.empty_crashes:
        crashing = [i for i in empty if not (run.cells[i] or "").strip()]
        yield from _at(run, "R301", crashing, lambda _: "empty caption: AlignScore fails on it")
        empty = [i for i in empty if (run.cells[i] or "").strip()]
    yield from _at(run, "R304", empty, lambda i: f"no word of {_shown(run, i)} remains, so nothing can match")


def _is_strange(text: str, is_cui: Callable[[str], object]) -> bool:
    """Tell whether a concept is none; a word for no value has a rule of its own."""
    return bool(text) and not is_cui(text.upper()) and text.lower() not in NO_VALUE


def _at(
    run: Table,
    code: str,
    rows: Iterable[int],
    message: Callable[[int], str],
    severity: Severity | None = None,
) -> Iterator[Finding]:
    """Yield a finding for each row of the run."""
    rows = list(rows)
    shown = rows[:MOST_PER_RULE]
    named = ((int(run.lines[i]), f"{short_id(run.image_ids[i])}: {message(i)}") for i in shown)
    yield from findings(code, run.path, named, severity=severity, more=len(rows) - len(shown))


def _shown(run: Table, i: int) -> str:
    return repr(shorten(run.cells[i] or ""))


def _repeats(concepts: Ragged) -> dict[int, int]:
    """Return, by row, the code of a concept that stands in it more than once."""
    width = max(len(concepts.vocabulary), 1)
    keys = np.sort(concepts.rows * width + concepts.codes, kind="stable")
    twice = keys[1:][keys[1:] == keys[:-1]]
    return {int(key // width): int(key % width) for key in twice}


def _holding(concepts: Ragged, test: Callable[[str], bool]) -> dict[int, int]:
    """Return, by row in order, the code of a concept for which the test holds."""
    holds = np.array([test(text) for text in concepts.vocabulary], np.bool_)
    if not holds.any():
        return {}
    return {int(concepts.rows[i]): int(concepts.codes[i]) for i in np.flatnonzero(holds[concepts.codes])}
