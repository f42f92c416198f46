"""What an edition's evaluator would say of a run, all of it at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from rocov2_eval.align import align
from rocov2_eval.concept_cells import Cell, Ragged, renamed
from rocov2_eval.editions import CaptionRules, Dialect, Edition, years_of
from rocov2_eval.findings import finding, findings
from rocov2_eval.formats import ANY_NUMBER, Source, Table, read_table
from rocov2_eval.records import Finding, Severity, Task
from rocov2_eval.schemas import row_schema
from rocov2_eval.shelf.words import shorten
from rocov2_eval.textnorm import normalise

_SHOWN_IDS = 3
# A sign begins a formula where a function or an exchange of data (cmd|'…'!A0) follows, else maybe a sentence.
_FORMULA = re.compile(r"\s*(?:[=@]|[+-](?:\s*[A-Za-z_]+\s*\(|[^|]*\|[^!]*!))")
_TAG = re.compile(r"<[A-Za-z/!][^<>]*>")
_DELIMITERS = {",": "commas", "\t": "tabs", "|": "vertical bars"}


def read_run(source: Source, edition: Edition, task: Task) -> Table:
    """Cut a run into rows as the edition's evaluator does."""
    dialect = edition.rules(task).dialect
    if task == "concepts" or edition.captions.extra_cells == "error":
        return read_table(source, dialect, task)
    return read_table(source, dialect, task, most_cells=ANY_NUMBER)


def check_run(
    run: Table, edition: Edition, task: Task, truth_ids: Sequence[str], truth_cells: Sequence[Cell]
) -> list[Finding]:
    """Return every finding of a run against the truth of an edition, those of its reading first."""
    faults = list(run.findings)
    if not run.image_ids:
        faults.append(finding("R003", run.path, None, "no row with an image id"))
    damaged = [i for i, cell in enumerate(run.cells) if cell and "\0" in cell]
    faults += _at(run, "R112", damaged, lambda i: f"NUL in {_shown(run, i)}")
    faults += check_years(run, edition, truth_ids)
    faults += _check_ids(run, truth_ids)
    if task == "concepts":
        faults += _check_concepts(run, edition)
    else:
        faults += _check_captions(run, edition.captions, truth_ids, truth_cells)
    return faults


def check_years(run: Table, edition: Edition, truth_ids: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding where the years that ids of the challenge name contradict each other or the edition."""
    of_run, of_truth = years_of(run.image_ids), years_of(truth_ids)
    if of_run and of_truth and not of_run.keys() & of_truth.keys():
        message = f"the run has ids of {_tally(of_run)}, the truth of {_tally(of_truth)}"
        yield finding("R114", run.path, None, message)
    elif len(of_run) > 1:
        message = f"ids of several years: {_tally(of_run)}; a run answers for the images of one"
        yield finding("R114", run.path, None, message, severity="warning")
    if of_run and edition.year and edition.year not in of_run:
        message = f"ids of {_tally(of_run)}, rules of {edition.year}: no score that the organisers publish"
        yield finding("R114", run.path, None, message, severity="warning")


def _tally(years: Counter[str]) -> str:
    return " and ".join(f"{year} ({count:,})" for year, count in sorted(years.items()))


def guess_dialect(source: Source, dialect: Dialect) -> list[Finding]:
    """Return a finding if the first line has no separator of the edition but one of another edition."""
    first = source.text.partition("\n")[0]
    expected = ("|", "\t") if dialect.delimiter == "auto" else (dialect.delimiter,)
    if any(delimiter in first for delimiter in expected):
        return []
    present = [name for delimiter, name in _DELIMITERS.items() if delimiter in first]
    if not present:
        return []
    message = f"expected {_DELIMITERS[expected[0]]} between cells, the first line has {present[0]}"
    return [finding("R008", source.path, 1, message)]


def _check_ids(run: Table, truth_ids: Sequence[str]) -> Iterator[Finding]:
    if run.image_ids == truth_ids:  # the common case; the truth holds each id once
        return
    known = set(truth_ids)
    ids = set(run.image_ids)
    if not ids <= known:
        faults = (
            (int(line), f"{shorten(image_id)!r} is not an image of the truth{_nearest(image_id, known)}")
            for image_id, line in zip(run.image_ids, run.lines, strict=True)
            if image_id not in known
        )
        yield from findings("R104", run.path, faults)
    if len(ids) < len(run.image_ids):
        yield from findings("R103", run.path, _repeated(run))
    if not known <= ids:
        absent = [image_id for image_id in truth_ids if image_id not in ids]
        examples = ", ".join(shorten(image_id, 40) for image_id in absent[:_SHOWN_IDS])
        dots = ", …" if len(absent) > _SHOWN_IDS else ""
        message = f"{len(absent):,} of {len(truth_ids):,} images have no row: {examples}{dots}"
        yield finding("R105", run.path, None, message)


def _nearest(image_id: str, known: set[str]) -> str:
    """Return a hint where an obvious slip explains an unknown id."""
    stripped = image_id.strip()
    for candidate, slip in ((stripped, "blanks"), (stripped.rpartition(".")[0], "a file ending")):
        if candidate in known:
            return f": without {slip} it is {shorten(candidate)!r}"
    return ""


def _repeated(run: Table) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    place = "in row" if run.source.records and not run.converted else "on line"
    for image_id, line in zip(run.image_ids, run.lines, strict=True):
        if image_id in first:
            yield int(line), f"{shorten(image_id)!r} stands {place} {first[image_id]} already"
        else:
            first[image_id] = int(line)


def _check_concepts(run: Table, edition: Edition) -> Iterator[Finding]:
    rules = edition.concepts
    seen = renamed(run.concepts, str.strip) if rules.strip else run.concepts
    alone = [i for i, cell in enumerate(run.cells) if cell is None]
    crashing = 1 if edition.name == "imageclef-2018" and alone[:1] == [0] else 0
    yield from _at(run, "R206", alone[:crashing], lambda _: "an id alone in the first row", "error")
    yield from _at(run, "R206", alone[crashing:], lambda _: "an id alone")
    if rules.most is not None:
        most = f"concepts, at most {rules.most} are allowed"
        many = np.flatnonzero(seen.counts > rules.most)
        yield from _at(run, "R201", many, lambda i: f"{seen.counts[i]} {most}")
    repeated = _repeats(seen)
    yield from _at(run, "R202", repeated, lambda i: f"{shorten(seen.vocabulary[repeated[i]])!r} twice")
    in_case = _repeats(renamed(seen, str.upper))
    in_case = {i: code for i, code in in_case.items() if i not in repeated}
    yield from _at(run, "R205", in_case, lambda i: f"concepts that differ only in case: {_shown(run, i)}")
    empty = _holding(seen, lambda text: not text.strip())
    beside_others = [i for i in empty if seen.counts[i] > 1]
    yield from _at(run, "R203", beside_others, lambda i: f"an empty concept in {_shown(run, i)}")
    if not rules.strip:
        blanks = _holding(seen, lambda text: text != text.strip())
        yield from _at(run, "R207", blanks, lambda i: f"blanks around a concept in {_shown(run, i)}")
    is_cui = re.compile(row_schema("concepts")["properties"]["cuis"]["items"]["pattern"]).search
    strange = _holding(seen, lambda text: bool(text.strip()) and not is_cui(text.strip().upper()))
    formulas = _holding(seen, lambda text: bool(_FORMULA.match(text)))
    yield from _at(
        run, "R110", formulas, lambda i: f"{shorten(seen.vocabulary[formulas[i]])!r} is like a formula"
    )
    tags = [i for i in strange if _TAG.search(run.cells[i] or "")]
    yield from _at(run, "R111", tags, lambda i: f"HTML in {_shown(run, i)}")
    yield from _at(run, "R204", strange, lambda i: f"{shorten(seen.vocabulary[strange[i]])!r} is no CUI")


def _check_captions(
    run: Table, rules: CaptionRules, truth_ids: Sequence[str], truth_cells: Sequence[Cell]
) -> Iterator[Finding]:
    end = "a comma" if rules.dialect.delimiter == "," else "a separator"
    yield from _at(run, "R302", run.surplus, lambda i: f"the caption ends at {end}: {_shown(run, i)}")
    formulas = [i for i, cell in enumerate(run.cells) if cell and _FORMULA.match(cell)]
    yield from _at(run, "R110", formulas, lambda i: f"{_shown(run, i)} is like a formula")
    tags = [i for i, cell in enumerate(run.cells) if cell and "<" in cell and _TAG.search(cell)]
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
        yield from _at(run, "R303", sorted(both), lambda i: f"{_shown(run, i)} against an empty caption")
    empty = [i for i, caption in enumerate(kept) if not caption.strip() and i not in both]
    if rules.empty_crashes:
        crashing = [i for i in empty if not (run.cells[i] or "").strip()]
        yield from _at(run, "R301", crashing, lambda _: "empty caption: AlignScore ends the evaluation")
        empty = [i for i in empty if (run.cells[i] or "").strip()]
    yield from _at(run, "R304", empty, lambda i: f"nothing is left of {_shown(run, i)}: no word can match")


def _at(
    run: Table,
    code: str,
    rows: Iterable[int],
    message: Callable[[int], str],
    severity: Severity | None = None,
) -> Iterator[Finding]:
    """Yield a finding for each row of the run."""
    named = ((int(run.lines[i]), f"{shorten(run.image_ids[i], 40)}: {message(i)}") for i in rows)
    yield from findings(code, run.path, named, severity=severity)


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
