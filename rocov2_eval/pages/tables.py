"""What several pages show: groups of images with their scores, findings by rule, titles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from rocov2_eval.findings import RULES
from rocov2_eval.pages.charts import Range, interval_mark, span
from rocov2_eval.pages.disclosure import withheld_groups
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.scoring import Group, Report

_PLACES_SHOWN = 20  # findings listed of one rule
_TITLES: Mapping[str, str] = {
    "concept_f1": "F1",
    "concept_precision": "Precision",
    "concept_recall": "Recall",
    "concept_f1_manual": "F1 manual",
    "bertscore_f1": "BERTScore F1",
    "bertscore_precision": "BERTScore precision",
    "bertscore_recall": "BERTScore recall",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "umls_f1": "UMLS F1",
    "umls_precision": "UMLS precision",
    "umls_recall": "UMLS recall",
}
FACET_TITLES: Mapping[str, str] = {
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
        result: None where it is withheld or there is none.
        is_withheld: The mean is over too few images for a public page.
        mark: Picture of its interval, None where there is none.
    """

    result: MetricResult | None
    is_withheld: bool
    mark: Markup | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """A group of images in a breakdown, with one cell for each run or each score."""

    name: str
    images: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A breakdown."""

    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def withholds(self) -> bool:
        """Tell whether any mean is withheld."""
        return any(cell.is_withheld for row in self.rows for cell in row.cells)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The findings of one rule.

    Attributes:
        code, severity, title, fix: Of the rule.
        places: Where and what, at most `_PLACES_SHOWN`.
        more: How many are not listed.
    """

    code: str
    severity: str
    title: str
    fix: str
    places: tuple[tuple[str, str], ...]
    more: int


def cells_of(groups: Sequence[Group], output: str, private: bool) -> dict[str, Cell]:  # noqa: FBT001  passed on
    """Return the score of each group by name, without those that may not be shown."""
    hidden = withheld_groups(groups, output, private=private)
    return {
        group.name: Cell(
            result=None if group.name in hidden else group.metrics[output], is_withheld=group.name in hidden
        )
        for group in groups
    }


def marked(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Add the pictures of the intervals, on an axis that only the scores shown have a say in."""
    ranges = {name: range_of(name, cell.result) for name, cell in cells.items() if cell.result}
    ends = span(ranges.values())
    return {
        name: replace(cell, mark=interval_mark(ranges[name], ends)) if name in ranges else cell
        for name, cell in cells.items()
    }


def range_of(label: str, result: MetricResult) -> Range:
    """Return a score with its interval as a picture takes it."""
    ends = result.interval
    return Range(
        label=label, mean=result.mean, low=ends.low if ends else None, high=ends.high if ends else None
    )


def signatures_of(report: Report) -> tuple[str, ...]:
    """Return the signatures of a report, each once."""
    return tuple(dict.fromkeys(result.signature for result in report.metrics.values()))


def faults_of(found: Sequence[Finding], *, private: bool) -> tuple[Fault, ...]:
    """Return findings by rule, in the order in which the rules first occur."""
    by_rule: dict[tuple[str, str], list[Finding]] = {}
    for item in found:
        by_rule.setdefault((item.code, item.severity), []).append(item)
    return tuple(
        Fault(
            code=code,
            severity=severity,
            title=RULES[code].title,
            fix=RULES[code].fix,
            places=tuple(_place(item, private=private) for item in items[:_PLACES_SHOWN]),
            more=max(len(items) - _PLACES_SHOWN, 0),
        )
        for (code, severity), items in by_rule.items()
    )


def file_name(path: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]", path)[-1]


def title_of(output: str) -> str:
    """Return a score's name as people write it."""
    return _TITLES.get(output, output)


def _place(item: Finding, *, private: bool) -> tuple[str, str]:
    """Return where and what; a public page names files without their folders, which are the organisers'."""
    path = item.path if private else file_name(item.path)
    line = "" if item.line is None else f":{item.line}"
    return f"{path}{line}", item.message.replace(item.path, path) if item.path else item.message
