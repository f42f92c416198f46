"""Turn a report into text: for a terminal, as JSON, as Markdown, as annotations of a GitHub pull request."""

from __future__ import annotations

import csv
import io
import json
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rocov2_eval import __version__
from rocov2_eval.concept_errors import ConceptCount
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.findings import RULES
from rocov2_eval.metrics import main_outputs
from rocov2_eval.records import Finding, MetricResult
from rocov2_eval.scoring import Group, Report
from rocov2_eval.shelf.files import write_bytes, write_text
from rocov2_eval.shelf.words import shorten

RESULT_SCHEMA_VERSION = 1
_NOT_COMPARED = "none of the chosen images can be compared"
_LIBRARIES = ("numpy", "rapidfuzz", "torch", "transformers", "tokenizers", "medcat")


def result_document(report: Report, verification: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return a report as the object that `schema/result.json` describes; nothing is rounded."""
    document: dict[str, Any] = {
        "schema_version": RESULT_SCHEMA_VERSION,
        "tool": {"name": "rocov2-eval", "version": __version__},
        "edition": report.edition,
        "task": report.task,
        "split": report.split,
        "official": {"comparable": not report.notes, "notes": list(report.notes)},
        "inputs": {"run": _file(report.run), "truth": [_file(item) for item in report.truth]},
        "metrics": {
            name: _aggregate(result) | {"unscored": result.unscored, "signature": result.signature}
            for name, result in report.metrics.items()
        },
        "not_computed": dict(report.not_computed),
        "concept_errors": asdict(report.concept_errors) if report.concept_errors else None,
        "breakdowns": {
            facet: [
                {
                    "group": group.name,
                    "images": group.images,
                    "metrics": {name: _aggregate(result) for name, result in group.metrics.items()},
                }
                for group in groups
            ]
            for facet, groups in report.breakdowns.items()
        },
        "findings": findings_document(report.findings),
        "environment": environment(),
    }
    if verification is not None:
        document["verification"] = dict(verification)
    return document


def findings_document(found: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as an object: counts and the list."""
    errors = sum(item.severity == "error" for item in found)
    return {"errors": errors, "warnings": len(found) - errors, "list": [asdict(item) for item in found]}


def environment() -> dict[str, str | None]:
    """Return the versions that can move a last digit; a library that was not loaded is None."""
    versions = {name: metadata.version(name) if name in sys.modules else None for name in _LIBRARIES}
    return {"python": platform.python_version(), "platform": platform.platform(), **versions}


def to_json(document: object) -> str:
    """Return JSON with two blanks of indent; NaN and infinities are refused."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def report_text(report: Report, verification: Mapping[str, float] | None = None) -> str:
    """Return a report for a terminal."""
    split = f"{report.split} split, " if report.split else ""
    path = _path(report.run[0])
    lines = [f"{path}: {report.task}, {report.edition}, {split}{len(report.image_ids):,} images", ""]
    lines += columns([["", "mean", "95 % interval", "images", ""], *_metric_rows(report.metrics)], indent=2)
    if report.concept_errors:
        micro, macro = (number(v) for v in (report.concept_errors.micro_f1, report.concept_errors.macro_f1))
        lines += ["", f"  label-wise: micro F1 {micro}, macro F1 {macro}"]
        lines += _worst("Most often missed (images, of those that have it)", report.concept_errors.missed)
        lines += _worst("Most often invented (images, of those given it)", report.concept_errors.invented)
    for facet, groups in report.breakdowns.items():
        lines += ["", f"By {facet}", *columns(_breakdown_rows(groups), indent=2)]
    if verification is not None:
        lines += ["", "Largest difference from the reference libraries"]
        rows = [[name, f"{value:.1e}"] for name, value in verification.items()]
        lines += columns(rows or [[_NOT_COMPARED]], indent=2)
    if report.not_computed:
        lines += ["", f"Not computed: {'; '.join(reasons(report.not_computed))}"]
    lines += ["", *(f"NOT OFFICIAL: {note}" for note in report.notes)] if report.notes else []
    lines += ["", *dict.fromkeys(result.signature for result in report.metrics.values())]
    return "\n".join(lines) + "\n"


def report_markdown(report: Report, verification: Mapping[str, float] | None = None) -> str:
    """Return a report as Markdown tables."""
    path = markdown_cell(report.run[0])
    parts = [f"**{path}**: {report.task}, {report.edition}, {len(report.image_ids):,} images"]
    parts.append(
        markdown_table(["metric", "mean", "95 % interval", "images", ""], _metric_rows(report.metrics))
    )
    if report.concept_errors:
        errors = report.concept_errors
        parts.append(f"Micro F1 {number(errors.micro_f1)}, macro F1 {number(errors.macro_f1)}.")
        for title, counts in (("missed", errors.missed), ("invented", errors.invented)):
            rows = [[shorten(c.cui), c.name or "", str(c.images), str(c.of)] for c in counts]
            parts.append(markdown_table([f"most {title}", "name", "images", "of"], rows))
    for facet, groups in report.breakdowns.items():
        header, *rows = _breakdown_rows(groups)
        parts.append(markdown_table([facet, *header[1:]], rows))
    if verification is not None:
        rows = [[name, f"{value:.1e}"] for name, value in verification.items()] or [[_NOT_COMPARED, ""]]
        parts.append(markdown_table(["metric", "largest difference from the reference library"], rows))
    if report.not_computed:
        parts.append(f"Not computed: {'; '.join(reasons(report.not_computed))}.")
    parts += [f"**Not official**: {markdown_cell(note)}." for note in report.notes]
    signatures = dict.fromkeys(result.signature for result in report.metrics.values())
    parts.append("\n".join(f"- `{text}`" for text in signatures))
    return "\n\n".join(parts) + "\n"


def report_github(report: Report, verification: Mapping[str, float] | None = None) -> str:
    """Return a report as one GitHub notice, warnings of the run as annotations."""
    scores = ", ".join(f"{name} {number(result.mean)}" for name, result in report.metrics.items())
    message = "; ".join(
        [scores, *report.notes, *(f"{k} differs {v:.1e}" for k, v in (verification or {}).items())]
    )
    notice = (
        f"::notice file={_property(report.run[0])},title={report.edition} {report.task}::{_data(message)}\n"
    )
    return findings_github(report.findings) + notice


def findings_text(found: Iterable[Finding]) -> str:
    """Return one line a finding, `path:line: CODE message`, each rule's fix after its first finding."""
    lines = []
    explained = set()
    for item in found:
        place = _path(item.path) if item.line is None else f"{_path(item.path)}:{item.line}"
        word = "" if item.severity == "error" else "warning: "
        lines.append(f"{place}: {item.code} {word}{item.message}")
        if item.code not in explained:
            lines.append(f"    fix: {RULES[item.code].fix}")
            explained.add(item.code)
    return "".join(f"{line}\n" for line in lines)


def findings_github(found: Iterable[Finding]) -> str:
    """Return workflow commands that annotate the files of a pull request."""
    return "".join(
        f"::{item.severity} file={_property(item.path)}"
        + (f",line={item.line}" if item.line else "")
        + f",title={item.code} {_property(RULES[item.code].title)}::{_data(item.message)}\n"
        for item in found
    )


def findings_markdown(found: Iterable[Finding]) -> str:
    """Return findings as a Markdown table."""
    rows = [
        [item.path, str(item.line or ""), item.code, item.severity, item.message, RULES[item.code].fix]
        for item in found
    ]
    return markdown_table(["file", "line", "code", "severity", "found", "fix"], rows) + "\n" if rows else ""


def summary(path: str, found: Sequence[Finding]) -> str:
    """Return the one line that closes a validation."""
    errors = sum(item.severity == "error" for item in found)
    verdict = "REJECTED" if errors else "PASSED"
    counts = f"{_count(errors, 'error')}, {_count(len(found) - errors, 'warning')}"
    return f"SUMMARY {_path(path)}: {verdict}, {counts}"


def check_per_image(path: Path) -> None:
    """Refuse a file that `write_per_image` could not write, before hours are spent on its scores.

    Raises:
        UsageFault: The suffix is neither .csv nor .parquet.
        MissingResource: Parquet without pyarrow.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise UsageFault(f"--per-image {path}: the name must end in .csv or .parquet")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        message = 'Parquet needs pyarrow: pip install "rocov2-eval[parquet]", or name a .csv file'
        raise MissingResource(message)


def write_per_image(path: Path, report: Report) -> None:
    """Write the score of each image, CSV or Parquet by suffix; an unscored image has an empty cell.

    Raises:
        UsageFault: Another suffix.
        MissingResource: Parquet without pyarrow.
    """
    check_per_image(path)
    columns: dict[str, list[Any]] = {"image_id": list(report.image_ids)}
    for name, scores in report.samples.items():
        pairs = zip(scores.values.tolist(), scores.scored.tolist(), strict=True)
        columns[name] = [value if scored else None for value, scored in pairs]
    if path.suffix == ".csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        write_text(path, buffer.getvalue())
    else:
        write_bytes(path, _parquet(columns))


def columns(rows: Sequence[Sequence[str]], indent: int) -> list[str]:
    """Return rows with their cells padded to columns, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [" " * indent + "  ".join(map(_pad, row, widths)).rstrip() for row in rows]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table in which no cell can break out of its place."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(markdown_cell, line)) + " |" for line in lines)


def markdown_cell(text: str) -> str:
    """Return text that cannot break out of its cell or paragraph."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def number(value: float | None) -> str:
    """Return a score with four decimals."""
    return "-" if value is None else f"{value:.4f}"


def reasons(not_computed: Mapping[str, str]) -> list[str]:
    """Return the names with a common reason joined."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]


REPORTERS: Mapping[str, Callable[[Report, Mapping[str, float] | None], str]] = {
    "text": report_text,
    "json": lambda report, verification: to_json(result_document(report, verification)),
    "markdown": report_markdown,
    "github": report_github,
}
FINDING_REPORTERS: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    "text": findings_text,
    "json": lambda found: to_json(findings_document(found)),
    "markdown": findings_markdown,
    "github": findings_github,
}


def _parquet(columns: Mapping[str, list[Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.table(dict(columns)), buffer)
    return buffer.getvalue()


def _path(text: str) -> str:
    """Return a path that stays on its line whatever its name is made of."""
    return shorten(text, 4096)


def _file(item: tuple[str, str]) -> dict[str, str]:
    return {"path": item[0], "sha256": item[1]}


def _aggregate(result: MetricResult) -> dict[str, Any]:
    low, high = (result.interval.low, result.interval.high) if result.interval else (None, None)
    return {"mean": result.mean, "low": low, "high": high, "n": result.n}


def _metric_rows(metrics: Mapping[str, MetricResult]) -> list[list[str]]:
    return [
        [name, number(result.mean), _interval(result), f"{result.n:,}", _unscored(result)]
        for name, result in metrics.items()
    ]


def _breakdown_rows(groups: Sequence[Group]) -> list[list[str]]:
    """Return a table of the main score of each metric; JSON has them all."""
    names = main_outputs(groups[0].metrics)
    rows = [["", "images", *(cell for name in names for cell in (name, ""))]]
    for group in groups:
        results = [group.metrics[name] for name in names]
        cells = [cell for result in results for cell in (number(result.mean), _interval(result))]
        rows.append([group.name, f"{group.images:,}", *cells])
    return rows


def _worst(title: str, counts: Sequence[ConceptCount]) -> list[str]:
    if not counts:
        return []
    rows = [[shorten(c.cui), c.name or "", f"{c.images:,}", f"of {c.of:,}"] for c in counts]
    return ["", title, *columns(rows, indent=2)]


def _interval(result: MetricResult) -> str:
    return f"[{result.interval.low:.4f}, {result.interval.high:.4f}]" if result.interval else ""


def _unscored(result: MetricResult) -> str:
    return f"{result.unscored:,} unscored" if result.unscored else ""


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _pad(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() or cell == "mean" else cell.ljust(width)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
