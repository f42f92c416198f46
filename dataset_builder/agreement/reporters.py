"""Turn a report of agreement into text: for a terminal, as JSON, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dataset_builder.agreement.ratings import label_of
from dataset_builder.agreement.report import Agreement, AgreementReport, FacetAgreement
from dataset_builder.agreement.text_tables import aligned, escaped, markdown_table
from dataset_builder.facets import FACETS
from rocov2_eval import __version__
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_PAIR = 2
_SHOWN_PAIRS = 20
_COLUMNS = (
    "facet", "kappa", "coefficient", "words", "low", "high", "method", "standard_error", "raw", "adjusted",
    "greatest", "images", "alone", "raters", "reason",
)  # fmt: skip


def agreement_document(report: AgreementReport) -> dict[str, Any]:
    """Return a report for JSON; the gate of a build reads `facets`."""
    options = report.options
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "source": report.source,
        "unsure": options.unsure,
        "floor": {"kappa": options.floor, "of": _held(report), "met": report.meets_floor},
        "bootstrap": {
            "resamples": options.bootstrap.resamples,
            "level": options.bootstrap.level,
            "seed": options.bootstrap.seed,
        },
        "facets": {facet.facet: _facet_document(facet) for facet in report.facets},
    }


def agreement_json(report: AgreementReport) -> str:
    """Return the document as text."""
    return json.dumps(agreement_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def agreement_csv(report: AgreementReport) -> str:
    """Return one row a facet, without classes and tables; the gate of a build reads `facet` and `kappa`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for facet in report.facets:
        document = _facet_document(facet) | {"facet": facet.facet, "raters": "; ".join(facet.raters)}
        ends = document["interval"] or {"low": None, "high": None}
        document |= ends
        writer.writerow("" if document[name] is None else document[name] for name in _COLUMNS)
    return buffer.getvalue()


def agreement_text(report: AgreementReport) -> str:
    """Return a report for a terminal."""
    lines = [f"{report.source}: {len(report.facets)} {'facet' if len(report.facets) == 1 else 'facets'}"]
    for facet in report.facets:
        lines += ["", _headline(facet), *(f"  {line}" for line in _facts(facet, report))]
        lines += [f"  note: {note}" for note in facet.agreement.notes]
        for rows in _tables(facet, report):
            lines += ["", *(f"  {line}" for line in aligned(rows))]
        lines += [f"  {note}" for note in _class_notes(facet)]
    return "\n".join([*lines, "", _verdict(report)]) + "\n"


def agreement_markdown(report: AgreementReport) -> str:
    """Return a report as Markdown."""
    lines = [f"# Agreement: {escaped(report.source)}"]
    for facet in report.facets:
        lines += ["", f"## {escaped(facet.facet)}", "", f"**{escaped(_headline(facet))}**", ""]
        lines += [f"- {escaped(line)}" for line in _facts(facet, report)]
        lines += [f"- {escaped(note)}" for note in facet.agreement.notes]
        for rows in _tables(facet, report):
            lines += ["", *markdown_table(rows)]
        noted = [f"- {escaped(note)}" for note in _class_notes(facet)]
        lines += ["", *noted] if noted else []
    return "\n".join([*lines, "", _verdict(report)]) + "\n"


REPORTERS: Mapping[str, Callable[[AgreementReport], str]] = {
    "text": agreement_text,
    "json": agreement_json,
    "markdown": agreement_markdown,
    "csv": agreement_csv,
}


def _facet_document(facet: FacetAgreement) -> dict[str, Any]:
    return {
        **_agreement_document(facet.agreement),
        "coefficient": facet.coefficient,
        "meets_floor": facet.meets_floor,
        "images": facet.images,
        "alone": facet.alone,
        "unsure": facet.unsure,
        "replaced": facet.replaced,
        "undecided": facet.undecided,
        "raters": list(facet.raters),
        "classes": [
            {
                "class": each.value,
                "label": each.label,
                "answers": each.answers,
                "share": each.share,
                **_agreement_document(each.agreement),
            }
            for each in facet.classes
        ],
        "table": {
            "counts": "images" if len(facet.raters) == _PAIR else "pairs of answers",
            "classes": [each.value for each in facet.classes],
            "rows": [list(row) for row in facet.table],
        },
        "pairs": [vars(pair) for pair in facet.pairs],
    }


def _agreement_document(agreement: Agreement) -> dict[str, Any]:
    ends = agreement.interval
    return {
        "kappa": agreement.kappa,
        "words": agreement.words,
        "reason": agreement.reason,
        "raw": agreement.raw,
        "adjusted": agreement.adjusted,
        "greatest": agreement.greatest,
        "standard_error": agreement.standard_error,
        "interval": {"low": ends.low, "high": ends.high} if ends else None,
        "method": agreement.method,
        "notes": list(agreement.notes),
    }


def _headline(facet: FacetAgreement) -> str:
    agreement = facet.agreement
    title = f"{FACETS[facet.facet].title} ({facet.facet})" if facet.facet in FACETS else shorten(facet.facet)
    if agreement.kappa is None:
        return f"{title}: {facet.coefficient} is undefined: {agreement.reason}"
    return f"{title}: {facet.coefficient} {agreement.kappa:.3f}{_ends(agreement)}, {agreement.words}"


def _facts(facet: FacetAgreement, report: AgreementReport) -> list[str]:
    agreement = facet.agreement
    raters = " and ".join(shorten(rater, 30) for rater in facet.raters)
    by = raters if len(facet.raters) == _PAIR else f"at least two of {len(facet.raters)} raters"
    left = {
        "answered by one rater alone": facet.alone,
        "answers left out as unsure": facet.unsure,
        "answers replaced by later ones": facet.replaced,
        "answers left out, for a rater gives different ones and no time tells the latest": facet.undecided,
    }
    counted = [f"{facet.images:,} images answered by {by}"] if facet.images else []
    facts = ["; ".join([*counted, *(f"{number:,} {words}" for words, number in left.items() if number)])]
    figures = {
        "raw agreement": agreement.raw,
        "standard error": agreement.standard_error,
        "greatest kappa at these frequencies": agreement.greatest,
        "kappa if classes were equally frequent": agreement.adjusted,
    }
    facts.append(", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None))
    is_open = agreement.kappa is None or agreement.interval is None
    below = f"{_held(report)} is not shown to reach" if is_open else f"{_held(report)} is below"
    facts.append(f"{_held(report) + ' reaches' if facet.meets_floor else below} {report.options.floor:g}")
    return [fact for fact in facts if fact]


def _tables(facet: FacetAgreement, report: AgreementReport) -> Iterable[list[list[str]]]:
    """Yield the tables of a facet: classes, confusion, pairs of raters."""
    if not facet.classes:
        return
    level = f"{100 * report.options.bootstrap.level:g} % interval"
    yield [["class", "answers", "share", "raw", "kappa", level, "Landis & Koch"]] + [
        [
            _label(facet, each.value),
            f"{each.answers:,}",
            f"{each.share:.3f}",
            _figure(each.agreement.raw),
            _figure(each.agreement.kappa),
            _ends(each.agreement).strip(),
            each.agreement.words,
        ]
        for each in facet.classes
    ]
    labels = [_label(facet, each.value) for each in facet.classes]
    corner = (
        f"{shorten(facet.raters[0], 20)} \\ {shorten(facet.raters[1], 20)}"
        if len(facet.raters) == _PAIR
        else "pairs of answers"
    )
    yield [[corner, *labels]] + [
        [label, *(f"{count:,}" for count in row)] for label, row in zip(labels, facet.table, strict=True)
    ]
    if facet.pairs:
        yield (
            [["raters", "images", "raw", "Cohen's kappa", "standard error"]]
            + [
                [
                    f"{shorten(pair.first, 20)}, {shorten(pair.second, 20)}",
                    f"{pair.images:,}",
                    _figure(pair.raw),
                    _figure(pair.kappa),
                    _figure(pair.standard_error),
                ]
                for pair in facet.pairs[:_SHOWN_PAIRS]
            ]
            + _rest(len(facet.pairs))
        )


def _class_notes(facet: FacetAgreement) -> list[str]:
    """Return what is to be said of single classes; of two classes it is what is said of the facet."""
    return [
        f"{_label(facet, each.value)}: {note}"
        for each in facet.classes
        for note in each.agreement.notes
        if note not in facet.agreement.notes
    ]


def _rest(pairs: int) -> list[list[str]]:
    if pairs <= _SHOWN_PAIRS:
        return []
    return [[f"… and {pairs - _SHOWN_PAIRS:,} more; --format json has all", "", "", "", ""]]


def _verdict(report: AgreementReport) -> str:
    missed = [facet for facet in report.facets if not facet.meets_floor]
    floor = f"{report.options.floor:g}"
    if not missed:
        return f"{_held(report).capitalize()} reaches {floor} in every facet."
    return f"{_held(report).capitalize()} does not reach {floor}: " + ", ".join(
        f"{shorten(facet.facet)} ({_shown(facet, report)})" for facet in missed
    )


def _shown(facet: FacetAgreement, report: AgreementReport) -> str:
    agreement = facet.agreement
    if agreement.kappa is None:
        return "undefined"
    if agreement.interval is None:
        return f"{agreement.kappa:.3f} without an interval"
    return f"{agreement.interval.low if report.options.by_lower else agreement.kappa:.3f}"


def _held(report: AgreementReport) -> str:
    """Return what is held against the floor."""
    return "the lower end of the interval" if report.options.by_lower else "kappa"


def _ends(agreement: Agreement) -> str:
    ends = agreement.interval
    return f" [{ends.low:.3f}, {ends.high:.3f}]" if ends else ""


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"  # noqa: RUF001  an en dash stands for nothing


def _label(facet: FacetAgreement, value: str) -> str:
    return shorten(label_of(facet.facet, value), 30)
