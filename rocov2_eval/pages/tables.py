"""What several pages show: breakdowns, findings by rule, titles; and how a template is filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from rocov2_eval.findings import RULES, is_rejected
from rocov2_eval.metrics import metric_of
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.pages.charts import interval_mark, score_text, span
from rocov2_eval.pages.disclosure import public_findings
from rocov2_eval.ranking import Board, Standing, TruthName
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.rendering import html
from rocov2_eval.scoring import Group, Report
from rocov2_eval.shelf.files import short_path
from rocov2_eval.shelf.words import file_name

_MOST_PLACES = 20  # findings listed of one rule
_TITLES: Mapping[str, str] = {
    "concept_f1": "F1",
    "concept_precision": "Precision",
    "concept_recall": "Recall",
    "concept_f1_manual": "F1 manual",
    "bertscore_f1": "BERTScore F1",
    "bertscore_precision": "BERTScore precision",
    "bertscore_recall": "BERTScore recall",
    "bleu": "BLEU",
    "bleu1": "BLEU-1 (not official)",
    "bleu1_corpus": "BLEU-1 of the corpus (not official)",
    "cider": "CIDEr-D (not official)",
    "clipscore": "CLIPScore (not official)",
    "refclipscore": "RefCLIPScore (not official)",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "umls_f1": "UMLS F1",
    "umls_precision": "UMLS precision",
    "umls_recall": "UMLS recall",
    "overall": "Overall",
    "relevance": "Relevance",
    "relevance_as_code": "Relevance by the public code",
    "factuality": "Factuality",
    "similarity": "Similarity",
    "bleurt": "BLEURT",
    "alignscore": "AlignScore",
}
_FACET_TITLES: Mapping[str, str] = {
    "modality": "modality",
    "region": "body region",
    "direction": "X-ray direction",
    "concepts": "number of concepts",
}
TASK_TITLES: Mapping[str, str] = {"concepts": "Concept detection", "captions": "Caption prediction"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """A score in a table of groups.

    Attributes:
        result: The score; None where there is none.
        mark: Picture of the interval; None where there is none.
    """

    result: MetricResult | None = None
    mark: Markup | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Breakdown:
    """The scores of groups of images.

    Attributes:
        title: What the images are grouped by.
        header: A run or a score for each column of cells.
        rows: Each group with one cell a column.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Group, tuple[Cell, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The findings of one rule.

    Attributes:
        code: Code of the rule.
        severity: `error`, `warning` or `note`.
        title: What the rule says.
        fix: How to mend the file.
        places: Where and what of each finding, at most `_MOST_PLACES`.
        more: Number of findings that are not listed.
    """

    code: str
    severity: str
    title: str
    fix: str
    places: tuple[tuple[str, str], ...]
    more: int


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The findings that a page shows.

    Attributes:
        rules: The findings by rule, in the order in which the rules first occur.
        has_secrets: Findings that a public page does not show are the reason why there is no score. Beside
            another reason nothing is said of them: whether there are any, and how many, may tell the truth.
    """

    rules: tuple[Fault, ...]
    has_secrets: bool


def page(template: str, *, title: str, private: bool, **values: Any) -> str:  # noqa: ANN401  of any type
    """Return a page about scores; `values` are what its template shows and what `html.page` takes."""
    return html.page(_templates(), template, title=title, private=private, **values)


def breakdown(
    facet: str, columns: Mapping[str, Sequence[Group]], outputs: Sequence[str], *, marks: bool
) -> Breakdown:
    """Return a table of groups by runs or by scores.

    Args:
        facet: What the images are grouped by.
        columns: The groups of each column by its heading; the first column names the rows.
        outputs: The score that each column shows.
        marks: Add a picture to each interval.
    """
    cells = [
        _cells(groups, output, marks=marks) for groups, output in zip(columns.values(), outputs, strict=True)
    ]
    return Breakdown(
        title=_FACET_TITLES.get(facet, facet),
        header=tuple(columns),
        rows=tuple(
            (group, tuple(column.get(group.name, Cell()) for column in cells))
            for group in next(iter(columns.values()))
        ),
    )


def faults_of(findings: Sequence[Finding], truth: Sequence[tuple[str, str]] = (), *, private: bool) -> Faults:
    """Return the findings that a page may show.

    Args:
        findings: Any findings.
        truth: Path and SHA-256 of the truth files.
        private: Show the findings about the truth too.
    """
    visible = list(findings) if private else public_findings(findings, truth)
    by_rule: dict[tuple[str, str], list[Finding]] = {}
    for item in visible:
        by_rule.setdefault((item.code, item.severity), []).append(item)
    rules = tuple(
        Fault(
            code=code,
            severity=severity,
            title=RULES[code].title,
            fix=RULES[code].fix,
            places=tuple(_place(item, private=private) for item in items[:_MOST_PLACES]),
            more=max(len(items) - _MOST_PLACES, 0),
        )
        for (code, severity), items in by_rule.items()
    )
    return Faults(rules=rules, has_secrets=len(visible) < len(findings) and not is_rejected(visible))


def signatures_of(report: Report) -> tuple[str, ...]:
    """Return the signatures of a report, each once."""
    return tuple(dict.fromkeys(result.signature for result in report.metrics.values()))


def board_title(board: Board) -> str:
    """Return the name of the task of a board, with its truth where there are two."""
    task = TASK_TITLES[board.task]
    return f"{task}, {board.truth} truth" if board.truth else task


def title_of(output: str) -> str:
    """Return a score's name as people write it."""
    return _TITLES.get(output, output)


def time_text(time: datetime | None) -> str:
    """Return a time to the minute in UTC, a dash where it is not known."""
    return "\N{EN DASH}" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def meaning_of(output: str) -> str:
    """Return what a score is, in one plain sentence."""
    if output in DERIVED:
        return f"Mean of {' and '.join(map(title_of, DERIVED[output].members))} of each image."
    metric = metric_of(output)
    return dict(zip(metric.outputs, metric.meanings, strict=True))[output]


def _cells(groups: Sequence[Group], output: str, *, marks: bool) -> dict[str, Cell]:
    """Return the score of each group by name."""
    cells = {group.name: Cell(result=group.metrics[output]) for group in groups}
    if not marks:
        return cells
    ends = span(cell.result for cell in cells.values() if cell.result)
    return {
        name: replace(cell, mark=interval_mark(cell.result, ends)) if cell.result else cell
        for name, cell in cells.items()
    }


def _place(item: Finding, *, private: bool) -> tuple[str, str]:
    """Return where and what; a public page names files without their folders, which are the organisers'."""
    path = short_path(item.path) if private else file_name(item.path)
    line = "" if item.line is None else f":{item.line}"
    return f"{path}{line}", item.message.replace(item.path, path) if item.path else item.message


@cache
def _templates() -> Environment:
    templates = html.environment("rocov2_eval.pages")
    templates.filters.update(
        number=score_text,
        score_title=title_of,
        score_meaning=meaning_of,
        time=time_text,
        run_address=_run_address,
        team_address=_team_address,
    )
    return templates


def run_page_path(standing: Standing, truth: TruthName = "") -> str:
    """Return the path of the page of a run within a site; by a hidden truth a run has a page of its own."""
    folder = "hidden" if truth == "hidden" else "runs"
    return f"{folder}/{standing.entry.team}/{standing.entry.run}.html"


def team_page_path(team: str) -> str:
    """Return the path of the page of a team within a site."""
    return f"teams/{team}.html"


def _run_address(standing: Standing, truth: TruthName) -> str:
    return quote(run_page_path(standing, truth))


def _team_address(team: str) -> str:
    return quote(team_page_path(team))
