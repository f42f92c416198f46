"""What a command says of one run: its scores, its findings, and the machine that computed them."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from rocov2_eval import __version__
from rocov2_eval.concept_errors import ConceptCount
from rocov2_eval.editions import EDITIONS, ChosenBy, years_of
from rocov2_eval.metrics import main_outputs
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table, Value
from rocov2_eval.shelf.files import short_path, short_paths
from rocov2_eval.shelf.words import counted
from rocov2_eval.truth import truth_name

if TYPE_CHECKING:  # which show themselves with these documents
    from rocov2_eval.scoring import Group, Report

RESULT_SCHEMA_VERSION = 1
_LIBRARIES = ("numpy", "rapidfuzz", "torch", "transformers", "tokenizers", "medcat")


def report_document(
    report: Report, verification: Mapping[str, float] | None = None, misses: Sequence[str] = ()
) -> Document:
    """Return the document of a report.

    Args:
        report: The scores of a run.
        verification: Largest difference from the reference library by output, None where none was asked for.
        misses: Where the scores do not reach the bar that the user set.
    """
    path, split = report.run[0], f"{report.split} split, " if report.split else ""
    return Document(
        title=f"{short_path(path)}: {report.task}, {report.edition}, {split}{_images(report)}; "
        f"{claim_of(report).text}",
        sections=tuple(_sections(report, verification)),
        data=result_data(report, verification),
        path=path,
        misses=misses,
        summary="; ".join(
            [
                ", ".join(f"{name} {_rounded(result.mean)}" for name, result in report.metrics.items()),
                f"truth: {truth_name(report.truth)}",
                *report.notes,
                *(f"{name} differs by {value:.1e}" for name, value in (verification or {}).items()),
            ]
        ),
    )


def reports_document(reports: Sequence[Report]) -> Document:
    """Return the document of several runs, at least one, that were scored in one way on one truth."""
    first = reports[0]
    split = f"{first.split} split, " if first.split else ""
    images = counted(len(first.image_ids), "image")
    claim = claim_of(next((report for report in reports if report.notes), first))
    missing = [Note(text=text, label="Not computed") for text in reasons(first.not_computed)]
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    signatures = [result.signature for report in reports for result in report.metrics.values()]
    truth = Fact(name="truth", value=truth_name(first.truth))
    return Document(
        title=f"{counted(len(reports), 'run')}: {first.task}, {first.edition}, {split}{images}; {claim.text}",
        sections=[
            Section(facts=[truth], tables=[_runs(reports)], notes=missing),
            *(
                Section(tables=[_breakdown(facet, groups, name)])
                for report, name in zip(reports, _names(reports), strict=True)
                for facet, groups in report.breakdowns.items()
            ),
            remarks(list(notes), signatures),
        ],
        data={
            "schema_version": RESULT_SCHEMA_VERSION,
            "tool": {"name": "rocov2-eval", "version": __version__},
            "results": [result_data(report) for report in reports],
        },
    )


def result_data(report: Report, verification: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return a report as the object that `schema/result.json` describes; nothing is rounded."""
    data: dict[str, Any] = {
        "schema_version": RESULT_SCHEMA_VERSION,
        "tool": {"name": "rocov2-eval", "version": __version__},
        "edition": report.edition,
        "task": report.task,
        "split": report.split,
        "official": {
            "comparable": not report.notes,
            **claim_data(claim_of(report)),
            "notes": list(report.notes),
            "extras": list(extras_of(report)),
        },
        "inputs": {"run": file_data(report.run), "truth": [file_data(item) for item in report.truth]},
        "metrics": {
            name: _result(result) | {"unscored": result.unscored, "signature": result.signature}
            for name, result in report.metrics.items()
        },
        "not_computed": dict(report.not_computed),
        "concept_errors": asdict(report.concept_errors) if report.concept_errors else None,
        "breakdowns": {
            facet: [
                {
                    "group": group.name,
                    "images": group.images,
                    "metrics": {name: _result(result) for name, result in group.metrics.items()},
                }
                for group in groups
            ]
            for facet, groups in report.breakdowns.items()
        },
        "findings": findings_data(report.findings),
        "environment": environment(),
    }
    if verification is not None:
        data["verification"] = dict(verification)
    return data


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a score claims to be beside the figures of the organisers.

    Attributes:
        is_published: It is the number that they publish, where the truth is theirs.
        chosen_by: Who chose the rules; see `editions.ChosenBy`.
        text: The same as a sentence, which begins with who chose the rules.
    """

    is_published: bool
    chosen_by: ChosenBy
    text: str


def claim_of(report: Report) -> Claim:
    """Return whether the scores of a report are the number that the organisers publish, and why not."""
    edition = EDITIONS[report.edition]
    years = years_of(report.image_ids)
    is_test = report.split == "test" or all("_test_" in image_id for image_id in report.image_ids)
    is_published = False
    if not edition.year or report.notes:
        text = "not the number that the organisers publish"
    elif not edition.has_evaluator:
        text = f"the organisers' own numbers of {edition.year} are not public"
    elif not years:
        text = "the ids do not show whether the images are those of the organisers"
    elif list(years) != [edition.year]:
        text = "the images are of another year, for which the organisers publish no such number"
    elif not is_test:
        text = "computed like the number that the organisers publish for the test set"
    else:
        is_published, text = True, "the number that the organisers publish, if the truth is theirs"
    return Claim(
        is_published=is_published, chosen_by=report.chosen_by, text=f"{_chosen(report, years)}: {text}"
    )


def _chosen(report: Report, years: Mapping[str, int]) -> str:
    """Return whose rules were taken, and why."""
    year = EDITIONS[report.edition].year
    rules = f"rules of {year}" if year else "our own rules"
    if report.chosen_by == "ids":
        return f"{rules}, the year in the ids"
    if report.chosen_by == "user":
        return f"{rules}, as selected"
    if len(years) > 1:
        return f"{rules}, because the ids name several years"
    unknown = f"{next(iter(years))}, whose rules are not available" if years else "no year"
    return f"{rules}, because the ids name {unknown}"


def claim_data(claim: Claim) -> dict[str, Any]:
    """Return a claim as JSON documents have it, within `official`."""
    return {
        "published": claim.is_published,
        "chosen_by": claim.chosen_by,
        "statement": claim.text,
    }


def extras_of(report: Report) -> tuple[str, ...]:
    """Return the outputs of a report for scores that the edition publishes without public code."""
    extras = EDITIONS[report.edition].captions.extras.values() if report.task == "captions" else ()
    return tuple(name for name in report.metrics if name in extras)


def findings_document(findings: Sequence[Finding]) -> Document:
    """Return the document of findings, without a title: each is a line of its own."""
    return Document(findings=findings, data=findings_data(findings))


def findings_data(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as an object: counts and the list, notes included."""
    number = Counter(item.severity for item in findings)
    return {
        "errors": number["error"],
        "warnings": number["warning"],
        "list": [asdict(item) for item in findings],
    }


def environment() -> dict[str, str | None]:
    """Return the versions that can move a last digit; a library that was not loaded is None."""
    versions = {name: metadata.version(name) if name in sys.modules else None for name in _LIBRARIES}
    return {"python": platform.python_version(), "platform": platform.platform(), **versions}


def file_data(item: tuple[str, str]) -> dict[str, str]:
    """Return an input file as JSON documents name it: path and digest."""
    return {"path": item[0], "sha256": item[1]}


def reasons(not_computed: Mapping[str, str]) -> list[str]:
    """Return what was not computed and why, a text a reason, in which that of a member is not repeated."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        short = reason
        for other, repeated in not_computed.items():
            short = short.replace(f"{other} ({repeated})", other)
        by_reason.setdefault(short, []).append(name)
    return [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]


def remarks(notes: Sequence[str], signatures: Sequence[str]) -> Section:
    """Return the end of a document: why it is not official, and the signature of each score."""
    labelled = [Note(text=text, label="NOT OFFICIAL") for text in notes]
    return Section(notes=[*labelled, *(Note(text=text, is_code=True) for text in dict.fromkeys(signatures))])


def _sections(report: Report, verification: Mapping[str, float] | None) -> Iterator[Section]:
    missing = [Note(text=text, label="Not computed") for text in reasons(report.not_computed)]
    facts = [Fact(name="truth", value=truth_name(report.truth))]
    if report.whole is not None:
        facts.append(Fact(name="subset", value=_images(report)))
    yield Section(facts=facts, tables=[_scores(report)], notes=missing)
    if errors := report.concept_errors:
        pairs = (("micro F1", errors.micro_f1), ("macro F1", errors.macro_f1))
        yield Section(
            title="Over labels", facts=[Fact(name=name, value=value, kind="score") for name, value in pairs]
        )
        yield from _concepts(
            "Most frequent false negatives (images with the concept in the truth)", errors.missed
        )
        yield from _concepts(
            "Most frequent false positives (images with the concept in the run)", errors.invented
        )
    for facet, groups in report.breakdowns.items():
        yield Section(tables=[_breakdown(facet, groups)])
    if verification is not None:
        yield Section(tables=[_verification(verification)])
    if extras := extras_of(report):
        text = f"{', '.join(extras)} (the organisers' code is not public: their numbers may differ)"
        yield Section(notes=[Note(text=text, label="Not official")])
    yield remarks(report.notes, [result.signature for result in report.metrics.values()])


def _images(report: Report) -> str:
    """Return how many images were scored, and of how many where they are a part of the truth."""
    number = len(report.image_ids)
    return counted(number, "image") if report.whole is None else f"{number:,} of {report.whole:,} images"


def _scores(report: Report) -> Table:
    """Return for captions the row that the organisers publish, in their order; then the other scores."""
    row = EDITIONS[report.edition].captions.columns if report.task == "captions" else {}
    published = [
        output for name, output in row.items() if output in report.metrics or name in report.not_computed
    ]
    return Table(
        columns=[
            Column(title="", key="metric"),
            Column(title="mean", kind="score"),
            Column(title="95 % interval", kind="interval", key="interval"),
            Column(title="images", kind="count"),
            Column(title="", key="unscored"),
        ],
        rows=[
            [output, *_score_cells(report.metrics.get(output))]
            for output in dict.fromkeys([*published, *report.metrics])
        ],
    )


def _runs(reports: Sequence[Report]) -> Table:
    """Return a table of the main scores of some runs, a run a row; JSON has all scores."""
    columns = [Column(title="run")]
    names = main_outputs(reports[0].metrics)
    for name in names:
        columns += [Column(title=name, kind="score"), Column(title="", kind="interval", key=name)]
    rows: list[list[Value]] = []
    for report, run in zip(reports, _names(reports), strict=True):
        cells: list[Value] = [run]
        for name in names:
            cells += [report.metrics[name].mean, report.metrics[name].interval]
        rows.append(cells)
    return Table(columns=columns, rows=rows, best=True)


def _names(reports: Sequence[Report]) -> list[str]:
    return short_paths([report.run[0] for report in reports])


def _score_cells(result: MetricResult | None) -> list[Value]:
    if result is None:
        return [None, None, None, "not computed"]
    unscored = f"{result.unscored:,} unscored" * bool(result.unscored)
    return [result.mean, result.interval, result.n, unscored]


def _concepts(title: str, counts: Sequence[ConceptCount]) -> Iterator[Section]:
    if counts:
        columns = [
            Column(title="concept"),
            Column(title="name"),
            Column(title="images", kind="count"),
            Column(title="of", kind="count"),
        ]
        rows = [[count.cui, count.name, count.images, count.of] for count in counts]
        yield Section(tables=[Table(title=title, columns=columns, rows=rows)])


def _breakdown(facet: str, groups: Sequence[Group], run: str = "") -> Table:
    """Return a table of the main score of each metric; JSON has all scores."""
    names = main_outputs(groups[0].metrics)
    columns = [Column(title="", key=facet), Column(title="images", kind="count")]
    for name in names:
        columns += [Column(title=name, kind="score"), Column(title="", kind="interval", key=name)]
    rows = []
    for group in groups:
        cells: list[Value] = [group.name, group.images]
        for name in names:
            cells += [group.metrics[name].mean, group.metrics[name].interval]
        rows.append(cells)
    return Table(title=f"{run} by {facet}" if run else f"By {facet}", columns=columns, rows=rows)


def _verification(verification: Mapping[str, float]) -> Table:
    columns = [Column(title="", key="metric"), Column(title="difference", kind="tiny")]
    rows: list[list[Value]] = [[name, value] for name, value in verification.items()]
    title = "Largest difference from the reference libraries"
    return Table(
        title=title, columns=columns, rows=rows or [["none of the selected images can be compared", None]]
    )


def _result(result: MetricResult) -> dict[str, Any]:
    low, high = (result.interval.low, result.interval.high) if result.interval else (None, None)
    return {"mean": result.mean, "low": low, "high": high, "n": result.n}


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
