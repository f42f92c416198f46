"""What is too like something else: names that readers or file systems take for one, runs handed in twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from rocov2_eval.concept_cells import Cell
from rocov2_eval.findings import finding
from rocov2_eval.formats import Table
from rocov2_eval.leaderboard.submissions import METADATA
from rocov2_eval.ranking import Entry, Rejection
from rocov2_eval.records import Task
from rocov2_eval.shelf.words import look

Item = TypeVar("Item")


def too_like(
    entries: Sequence[Entry], known: Collection[tuple[str, str]]
) -> tuple[list[Rejection], list[str]]:
    """Return a rejection of each run whose team, or whose name in its team, looks like another's, and notes.

    The name that was on the board before stays. Where none was, or the organiser would have to guess, no run
    of either is ranked until one of them has another name; where all were, all stay and a note says so.

    Args:
        entries: Runs of all tasks, all of them scored: nothing else takes a name.
        known: Team and run of everything that was ranked before.
    """
    stay, rejections, notes = _judged(entries, lambda entry: entry.team, {team for team, _ in known})
    by_team = _groups(stay, lambda entry: entry.team)
    for own in by_team:
        before = {run for team, run in known if team == own[0].team}
        _, more, further = _judged(own, lambda entry: entry.run, before)
        rejections += more
        notes += further
    return rejections, notes


def _judged(
    entries: Sequence[Entry], name: Callable[[Entry], str], known: Collection[str]
) -> tuple[list[Entry], list[Rejection], list[str]]:
    """Return the entries that stay, a rejection of each other, and notes of known names that look alike."""
    groups = _groups(sorted({*map(name, entries)}), look)
    alike = {one: group for group in groups for one in group}
    goes = [entry for entry in entries if len(alike[name(entry)]) > 1 and name(entry) not in known]
    rejections = []
    for entry in goes:
        others = [one for one in alike[name(entry)] if one != name(entry)]
        why = "was on the board before" if {*others} & {*known} else "came with it: one must be renamed"
        message = f"{name(entry)!r} looks like {' and '.join(map(repr, others))}, which {why}"
        fault = finding("R607", f"{entry.name}/{METADATA}", None, message)
        rejections.append(Rejection(team=entry.team, run=entry.run, findings=(fault,)))
    kept = ([one for one in group if one in known] for group in groups)
    notes = [
        f"{' and '.join(names)} look alike; all were on the board before" for names in kept if len(names) > 1
    ]
    return [entry for entry in entries if entry not in goes], rejections, notes


def twins(entries: Iterable[Entry], read: Callable[[Entry], Table]) -> Iterator[str]:
    """Yield a note for each set of runs of several teams that hold the same answers.

    Args:
        entries: Runs of one task.
        read: Reads a run; called for those alone that have the same scores on every image.
    """

    def answers(entry: Entry) -> str:
        return _answers_digest(read(entry), entry.report.task)

    for suspects in _of_several_teams(entries, _scores_digest):
        for group in _of_several_teams(suspects, answers):
            is_copy = len({entry.report.run[1] for entry in group}) == 1
            how = "byte for byte" if is_copy else "answer by answer"
            yield f"{' and '.join(entry.name for entry in group)} hold the same run, {how}"


def alike_names(names: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return for each team the other teams that have a name which looks like one of its own.

    Args:
        names: All names of each team, such as that of its folder and the one that pages show.
    """
    owners: dict[str, set[str]] = {}
    for team, own in names.items():
        for name in own:
            owners.setdefault(look(name), set()).add(team)
    return {
        team: sorted({other for name in own for other in owners[look(name)]} - {team})
        for team, own in sorted(names.items())
    }


def _of_several_teams(entries: Iterable[Entry], key: Callable[[Entry], str]) -> list[list[Entry]]:
    return [group for group in _groups(entries, key) if len({entry.team for entry in group}) > 1]


def _groups(items: Iterable[Item], key: Callable[[Item], str]) -> list[list[Item]]:
    """Return items by equal keys, in the order of their first."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _scores_digest(entry: Entry) -> str:
    digest = hashlib.sha256()
    for name, scores in sorted(entry.report.samples.items()):
        digest.update(name.encode() + scores.values.tobytes() + scores.scored.tobytes())
    return digest.hexdigest()


def _answers_digest(run: Table, task: Task) -> str:
    """Return a digest of the answers that does not know the order of rows or how concepts are written.

    What has one digest has the same scores against any truth: else it would depend on the truth whether
    `twins` finds it, and a note would tell of words in it.
    """

    def bare(cell: Cell) -> list[str]:
        text = cell or ""
        return sorted({part.strip().upper() for part in text.split(";")}) if task == "concepts" else [text]

    answers = sorted((key.strip(), bare(cell)) for key, cell in zip(run.image_ids, run.cells, strict=True))
    return hashlib.sha256(repr(answers).encode("utf-8", "surrogatepass")).hexdigest()
