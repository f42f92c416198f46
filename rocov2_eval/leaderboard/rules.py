"""What the organisers decide: `board.toml` beside the submissions, and how it changes what teams say.

A team says of its own runs what it likes. What its words may bring about is bounded here: its own name, its
own runs out of the competition or off the board, nothing of others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rocov2_eval.editions import edition_of
from rocov2_eval.errors import UsageFault
from rocov2_eval.findings import finding
from rocov2_eval.leaderboard.likeness import alike_names
from rocov2_eval.leaderboard.submissions import METADATA, Submission
from rocov2_eval.ranking import Entry, Rejection, SetAside, Status, time_of
from rocov2_eval.records import Task
from rocov2_eval.shelf.options import read_options
from rocov2_eval.shelf.parsing import Malformed, read_plain, toml_of
from rocov2_eval.shelf.words import counted, is_shown, shorten, suggestion

FILE_NAME = "board.toml"
_MOST_BYTES = 1 << 20
_WITHOUT_SCORES: tuple[Status, ...] = ("withdrawn", "disqualified")
_LONGEST_NAME = 100  # as in the schema of submission.json
_YEARS = range(2000, 2100)  # as in that schema; elsewhere a zone could lead out of the calendar
_LAST = datetime(_YEARS.stop, 1, 1, tzinfo=UTC)

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, kw_only=True)
class RunRule:
    """What organisers decide of one run.

    Attributes:
        status: What the run is on the board; None for what the team says.
        reason: Why, for everybody to read.
        submitted_at: Time of the upload; None for what the team says.
    """

    status: Status | None = None
    reason: str = ""
    submitted_at: Time | None = None


@dataclass(frozen=True, kw_only=True)
class TeamRule:
    """What organisers decide of one team.

    Attributes:
        display_name: How pages call the team; empty for what the team says.
        status: What all its runs are on the board; None for what the team says.
        reason: Why, for everybody to read.
        runs: What is decided of single runs, by the names of their folders.
    """

    display_name: str = ""
    status: Status | None = None
    reason: str = ""
    runs: Mapping[str, RunRule] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A board.toml.

    Attributes:
        title: Heading of the board; empty for the default.
        edition: Name or year of the edition; empty for what most teams name.
        tasks: Tasks to rank; empty for both.
        split: Split of the truth; None for what truth or teams name.
        hidden_split: Split of the hidden truth; None as above.
        metrics: Metrics to compute; empty for all of the edition.
        rank_by: Score to rank by; empty for that of the edition.
        deadline: Last time of an upload that counts; None for no deadline.
        most_runs: Runs that count of a team in each task; None for any number.
        teams: What is decided of teams, by the names of their folders.
    """

    title: str = ""
    edition: str = ""
    tasks: tuple[Task, ...] = ()
    split: Split | None = None
    hidden_split: Split | None = None
    metrics: tuple[str, ...] = ()
    rank_by: str = ""
    deadline: Time | None = None
    most_runs: Annotated[int, msgspec.Meta(ge=1)] | None = None
    teams: Mapping[str, TeamRule] = field(default_factory=dict)

    def team(self, team: str) -> TeamRule:
        """Return what is decided of a team."""
        return self.teams.get(team, TeamRule())

    def run(self, team: str, run: str) -> RunRule:
        """Return what is decided of a run."""
        return self.team(team).runs.get(run, RunRule())

    def decision(self, team: str, run: str, own: Status | None) -> tuple[Status, str]:
        """Return the status of a run, and the reason where the organisers give one.

        A decision on the run counts before one on the team, and both before the word of the team; but a team
        may withdraw a run whatever the team as a whole is.

        Args:
            team: Name of the team's folder.
            run: Name of the run's folder.
            own: What the team says of the run; None for nothing.
        """
        for rule in (self.run(team, run), self.team(team)):
            if rule.status is None:
                continue
            if isinstance(rule, TeamRule) and own == "withdrawn" and rule.status != "disqualified":
                continue
            return rule.status, rule.reason
        return own or "ranked", ""


def read_rules(root: Path) -> Rules:
    """Return the board.toml of a folder of submissions, an empty one where there is none.

    Raises:
        UsageFault: It is no TOML, or a key or value of it is not known.
    """
    path = root / FILE_NAME
    if path.is_dir() or not os.path.lexists(path):  # a folder of this name is that of a team
        return Rules()
    try:
        return rules_of(read_plain(path, _MOST_BYTES), str(path), root)
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {error.strerror or error}") from None


def rules_of(content: bytes | str, path: str, folder: Path) -> Rules:
    """Return the rules that a text holds; see `read_rules`.

    Args:
        content: The text of a board.toml.
        path: How messages name the file.
        folder: The folder that it lies in.
    """
    try:
        tables = toml_of(content)
    except Malformed as error:
        raise UsageFault(f"{path}: {error}") from None
    teams = {
        name: _team(table, f"{path} [teams.{shorten(name)}]", folder)
        for name, table in _table(tables.pop("teams", {}), f"{path} [teams]").items()
    }
    rules = read_options(Rules, tables, path, folder)
    if rules.edition:
        try:
            edition_of(rules.edition)
        except UsageFault as error:
            raise UsageFault(f"{path} edition: {error}") from None
    return replace(rules, teams=teams)


def _team(held: object, where: str, folder: Path) -> TeamRule:
    table, runs = _table(held, where), {}
    for name, decided in _table(table.pop("runs", {}), f"{where} runs").items():
        place = f"{where[:-1]}.runs.{shorten(name)}]"
        runs[name] = read_options(RunRule, _table(decided, place), place, folder)
        _require_reason(runs[name], place)
        time = runs[name].submitted_at
        if time is not None and time.year not in _YEARS:
            raise UsageFault(f"{place} submitted_at: the year {time.year}, expected 2000 to 2099")
    rule = read_options(TeamRule, table, where, folder)
    _require_reason(rule, where)
    name = rule.display_name
    if name and not (is_shown(name) and len(name) <= _LONGEST_NAME):
        message = f"expected printable text of at most {_LONGEST_NAME} characters"
        raise UsageFault(f"{where} display_name: {shorten(repr(name))}, {message}")
    return replace(rule, runs=runs)


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageFault(f"{where}: {shorten(repr(value))}, expected a table")
    return dict(value)


def _require_reason(rule: RunRule | TeamRule, where: str) -> None:
    if rule.status == "disqualified" and not rule.reason.strip():
        raise UsageFault(f"{where}: status disqualified needs a reason")


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A folder of submissions by the rules of its board.

    Attributes:
        submissions: What may be scored, its metadata with what the organisers decided in their place.
        rejections: What cannot, late runs among them.
        set_aside: What is withdrawn or disqualified.
        notes: What the organisers shall look at.
    """

    submissions: tuple[Submission, ...]
    rejections: tuple[Rejection, ...]
    set_aside: tuple[SetAside, ...]
    notes: tuple[str, ...]


def admitted(submissions: Sequence[Submission], rejections: Sequence[Rejection], rules: Rules) -> Admitted:
    """Apply the rules of a board to what lies in its folder."""
    names, notes = _display_names(submissions, rules)
    kept: list[Submission] = []
    late: list[Rejection] = []
    set_aside: list[SetAside] = []

    def aside(
        item: Submission | Rejection, status: Status, reason: str, metadata: Mapping[str, Any]
    ) -> SetAside:
        return SetAside(
            team=item.team,
            run=item.run,
            status=status,
            reason=reason,
            metadata=metadata,
            display_name=names.get(item.team, item.team),
        )

    for item in submissions:
        status, reason = rules.decision(item.team, item.run, item.metadata.get("status"))
        metadata = dict(item.metadata) | {"status": status}
        metadata["display_name"] = names.get(item.team, item.team)
        if (time := rules.run(item.team, item.run).submitted_at) is not None:
            metadata["submitted_at"] = time.isoformat()
        if status in _WITHOUT_SCORES:
            set_aside.append(aside(item, status, reason, metadata))
        elif fault := _lateness(metadata, rules):
            found = finding("R608", f"{item.team}/{item.run}/{METADATA}", None, fault)
            late.append(Rejection(team=item.team, run=item.run, findings=(found,)))
        else:
            kept.append(replace(item, metadata=metadata))
    for rejection in rejections:
        status, reason = rules.decision(rejection.team, rejection.run, None)
        if status in _WITHOUT_SCORES:
            set_aside.append(aside(rejection, status, reason, {}))
        else:
            late.append(rejection)
    known = [(item.team, item.run) for item in submissions]
    notes += _strangers(rules, [*known, *((item.team, item.run) for item in rejections)])
    return Admitted(
        submissions=tuple(kept),
        rejections=tuple(replace(item, display_name=names.get(item.team, "")) for item in late),
        set_aside=tuple(sorted(set_aside, key=lambda item: (item.team, item.run))),
        notes=tuple(notes),
    )


def over_limit(
    entries: Sequence[Entry], set_aside: Sequence[SetAside], rules: Rules
) -> dict[tuple[str, str], Rejection]:
    """Return a rejection of each run beyond the number that counts, by team and run.

    The first ones by time of upload count, those without one last. Withdrawn and disqualified runs count too,
    and baselines never do.
    """
    if rules.most_runs is None:
        return {}
    uploads: dict[tuple[str, Task], list[tuple[datetime, str]]] = {}
    runs: list[Entry | SetAside] = [*entries, *set_aside]
    for item in runs:
        if item.status != "baseline" and "task" in item.metadata:
            time = time_of(item.metadata) or _LAST
            uploads.setdefault((item.team, item.metadata["task"]), []).append((time, item.run))
    rejected = {}
    for (team, task), times in uploads.items():
        beyond = {run for _, run in sorted(set(times))[rules.most_runs :]}
        for entry in entries:
            if (entry.team, entry.metadata["task"]) == (team, task) and entry.run in beyond:
                message = f"the board counts {counted(rules.most_runs, 'run')} of a team in {task}"
                message += f", this team has {len(set(times)):,}"
                fault = finding("R609", f"{entry.name}/{METADATA}", None, message)
                name = entry.display_name
                rejected[team, entry.run] = Rejection(
                    team=team, run=entry.run, findings=(fault,), display_name=name
                )
    return rejected


def _lateness(metadata: Mapping[str, Any], rules: Rules) -> str:
    """Return why a run does not meet the deadline; empty where it does. Baselines have none."""
    if rules.deadline is None or metadata["status"] == "baseline":
        return ""
    limit = rules.deadline.isoformat()
    time = time_of(metadata)
    if time is None:
        return f"no submitted_at, and the board has a deadline, {limit}"
    return f"submitted at {time.isoformat()}, the deadline was {limit}" if time > rules.deadline else ""


def _display_names(submissions: Sequence[Submission], rules: Rules) -> tuple[dict[str, str], list[str]]:
    """Return how pages call each team, and notes.

    The organisers' name counts; else that of the latest upload of the team, unless it looks like the name of
    another team: then the name of its folder is shown, so that nobody is taken for somebody else.
    """
    latest: dict[str, str] = {}
    for item in sorted(submissions, key=lambda item: (time_of(item.metadata) or _LAST, item.run)):
        if name := item.metadata.get("display_name"):
            latest[item.team] = name
    decided = {team: rule.display_name for team, rule in rules.teams.items() if rule.display_name}
    teams = {item.team for item in submissions} | set(decided)
    shown = {team: [decided.get(team, latest.get(team, team)), team] for team in teams}
    names, notes = dict(decided), []
    for team, others in alike_names(shown).items():
        own = latest.get(team)
        if team in decided or own is None:
            continue
        if others:
            notes.append(
                f"{team} calls itself {shorten(own)!r}, which looks like a name of {' and '.join(others)}: "
                f"the name of its folder is shown; if the name is right, write display_name into {FILE_NAME}"
            )
        else:
            names[team] = own
    return names, notes


def _strangers(rules: Rules, known: Iterable[tuple[str, str]]) -> list[str]:
    """Return a note for each team or run that the rules name and that is not there."""
    runs: dict[str, list[str]] = {}
    for team, run in known:
        runs.setdefault(team, []).append(run)
    notes = []
    for team, rule in rules.teams.items():
        if team not in runs:
            hint = suggestion(team, map(shorten, runs)) if runs else "there is none"
            notes.append(f"{FILE_NAME} names the team {shorten(team)!r}, which has no folder; {hint}")
            continue
        notes += [
            f"{FILE_NAME} names the run {shorten(f'{team}/{run}')!r}, which has no folder"
            for run in rule.runs
            if run not in runs[team]
        ]
    return notes
