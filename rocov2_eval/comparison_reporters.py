"""Turn a comparison into text: for a terminal, as JSON, as Markdown.

On a terminal and in Markdown runs have letters, so that `B - A` says which way a difference goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocov2_eval import __version__
from rocov2_eval.comparison import Comparison, Pair
from rocov2_eval.records import Interval
from rocov2_eval.reporters import (
    columns,
    environment,
    markdown_cell,
    markdown_table,
    number,
    reasons,
    to_json,
)
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_MOST_IN_DETAIL = 3  # runs of which every pair is shown by group and image
_SMALLEST_P = 0.0001


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as the object that `schema/comparison.json` describes; nothing is rounded."""
    first = comparison.reports[0]
    official = _official_notes(comparison)
    pairs = comparison.options.pairs
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-eval", "version": __version__},
        "edition": first.edition,
        "task": first.task,
        "split": first.split,
        "official": {"comparable": not official, "notes": official},
        "inputs": {
            "runs": [_file(report.run) for report in comparison.reports],
            "truth": [_file(item) for item in first.truth],
        },
        "options": {
            "trials": pairs.trials,
            "resamples": pairs.bootstrap.resamples,
            "level": pairs.bootstrap.level,
            "alpha": pairs.alpha,
            "seed": pairs.bootstrap.seed,
        },
        "notes": list(comparison.notes),
        "not_computed": dict(first.not_computed),
        "signatures": {metric: first.metrics[metric].signature for metric in comparison.metrics},
        "runs": [
            {"name": name, "metrics": {metric: _mean(comparison, i, metric) for metric in comparison.metrics}}
            for i, name in enumerate(comparison.names)
        ],
        "pairs": [_pair(pair, comparison.names) for pair in comparison.pairs],
        "environment": environment(),
    }


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison for a terminal."""
    lines = [_headline(comparison)]
    for table in _tables(comparison):
        lines += ["", table.title, *columns(table.rows, indent=2)]
    lines += ["", *_remarks(comparison)]
    lines += [f"NOT OFFICIAL: {note}" for note in _official_notes(comparison)]
    lines += ["", *_signatures(comparison)]
    return "\n".join(lines) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown tables."""
    parts = [f"**{_headline(comparison)}**"]
    for table in _tables(comparison):
        header, *rows = table.rows
        parts += [f"**{table.title}**", markdown_table(header, rows)]
    parts += [markdown_cell(remark) for remark in _remarks(comparison)]
    parts += [f"**Not official**: {markdown_cell(note)}." for note in _official_notes(comparison)]
    parts.append("\n".join(f"- `{text}`" for text in _signatures(comparison)))
    return "\n\n".join(parts) + "\n"


COMPARISON_REPORTERS: Mapping[str, Callable[[Comparison], str]] = {
    "text": comparison_text,
    "json": lambda comparison: to_json(comparison_document(comparison)),
    "markdown": comparison_markdown,
}


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Rows of cells under a title, the header first."""

    title: str
    rows: Sequence[Sequence[str]]


def _official_notes(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(note for report in comparison.reports for note in report.notes))


def _file(item: tuple[str, str]) -> dict[str, str]:
    return {"path": item[0], "sha256": item[1]}


def _mean(comparison: Comparison, run: int, metric: str) -> dict[str, Any]:
    result = comparison.reports[run].metrics[metric]
    return {"mean": result.mean, **_ends(result.interval), "n": result.n, "unscored": result.unscored}


def _pair(pair: Pair, names: Sequence[str]) -> dict[str, Any]:
    return {
        "a": names[pair.a],
        "b": names[pair.b],
        "metric": pair.metric,
        "difference": pair.difference,
        **_ends(pair.interval),
        "p_value": pair.p_value,
        "p_holm": pair.p_holm,
        "p_bootstrap": pair.p_bootstrap,
        "better": pair.better,
        "n": pair.n,
        "effects": {
            facet: [
                {
                    "group": effect.group,
                    "images": effect.images,
                    "difference": effect.difference,
                    **_ends(effect.interval),
                }
                for effect in effects
            ]
            for facet, effects in pair.effects.items()
        },
        "images": [
            {"image_id": image.image_id, "a": image.a, "b": image.b, "difference": image.difference}
            for image in pair.images
        ],
    }


def _ends(interval: Interval | None) -> dict[str, float | None]:
    return {"low": interval.low, "high": interval.high} if interval else {"low": None, "high": None}


def _headline(comparison: Comparison) -> str:
    first = comparison.reports[0]
    split = f"{first.split} split, " if first.split else ""
    return (
        f"{len(comparison.names)} runs: {first.task}, {first.edition}, {split}{len(first.image_ids):,} images"
    )


def _tables(comparison: Comparison) -> Iterator[_Table]:
    """Yield the tables of an answer, in order."""
    yield _Table(title="Runs", rows=_run_rows(comparison))
    for metric in comparison.metrics:
        pairs = [pair for pair in comparison.pairs if pair.metric == metric]
        yield _Table(title=f"{metric}, {pairs[0].n:,} images", rows=_pair_rows(pairs, comparison))
    for pair in _in_detail(comparison):
        title = f"{pair.metric}, {_label(pair.b)} - {_label(pair.a)}"
        for facet in pair.effects:
            yield _Table(title=f"{title} by {facet}", rows=_effect_rows(pair, facet, comparison))
        if pair.images:
            yield _Table(title=f"{title}, images that differ most", rows=_image_rows(pair))


def _run_rows(comparison: Comparison) -> list[list[str]]:
    between = _interval_title(comparison)
    rows = [["", "run", *(cell for metric in comparison.metrics for cell in (metric, between))]]
    for i, (name, report) in enumerate(zip(comparison.names, comparison.reports, strict=True)):
        results = [report.metrics[metric] for metric in comparison.metrics]
        cells = [cell for result in results for cell in (number(result.mean), _span(result.interval, number))]
        rows.append([_label(i), shorten(name, 4096), *cells])
    return rows


def _pair_rows(pairs: Sequence[Pair], comparison: Comparison) -> list[list[str]]:
    rows = [["", "difference", _interval_title(comparison), "p", "p (Holm)", ""]]
    for pair in pairs:
        between = f"{_label(pair.b)} - {_label(pair.a)}"
        cells = [_signed(pair.difference), _span(pair.interval, _signed), _p(pair.p_value), _p(pair.p_holm)]
        rows.append([between, *cells, _verdict(pair)])
    return rows


def _verdict(pair: Pair) -> str:
    if pair.better is None:
        return "not shown to differ"
    return f"{_label(pair.a if pair.better == 'a' else pair.b)} better"


def _in_detail(comparison: Comparison) -> list[Pair]:
    """Return the pairs that are shown by group and image: of many runs the two best by each score."""
    if len(comparison.names) <= _MOST_IN_DETAIL:
        return list(comparison.pairs)
    best = {metric: _two_best(comparison, metric) for metric in comparison.metrics}
    return [pair for pair in comparison.pairs if {pair.a, pair.b} == best[pair.metric]]


def _two_best(comparison: Comparison, metric: str) -> set[int]:
    means = [report.metrics[metric].mean or 0.0 for report in comparison.reports]
    return set(sorted(range(len(means)), key=lambda i: -means[i])[:2])


def _effect_rows(pair: Pair, facet: str, comparison: Comparison) -> list[list[str]]:
    rows = [["", "images", "difference", _interval_title(comparison)]]
    for effect in pair.effects[facet]:
        cells = [_signed(effect.difference), _span(effect.interval, _signed)]
        rows.append([effect.group, f"{effect.images:,}", *cells])
    return rows


def _image_rows(pair: Pair) -> list[list[str]]:
    rows = [["", _label(pair.a), _label(pair.b), "difference"]]
    for image in pair.images:
        cells = [number(image.a), number(image.b), _signed(image.difference)]
        rows.append([shorten(image.image_id), *cells])
    return rows


def _remarks(comparison: Comparison) -> Iterator[str]:
    """Yield what a reader of the tables has to know."""
    pairs = comparison.options.pairs
    tested = len(comparison.names) * (len(comparison.names) - 1) // 2
    corrected = "1 pair" if tested == 1 else f"{tested:,} pairs"
    yield (
        f"B - A: positive where B is better. Paired randomisation test, {pairs.trials:,} trials, Holm's "
        f"correction for {corrected} a score, alpha {pairs.alpha:g}; paired bootstrap, "
        f"{pairs.bootstrap.resamples:,} resamples, seed {pairs.bootstrap.seed}."
    )
    if len(comparison.names) > _MOST_IN_DETAIL:
        yield "Groups and images: of the two best runs by each score; --format json has those of every pair."
    yield from (f"Note: {note}" for note in comparison.notes)
    not_computed = comparison.reports[0].not_computed
    if not_computed:
        yield f"Not computed: {'; '.join(reasons(not_computed))}"


def _signatures(comparison: Comparison) -> list[str]:
    first = comparison.reports[0]
    return list(dict.fromkeys(first.metrics[metric].signature for metric in comparison.metrics))


def _interval_title(comparison: Comparison) -> str:
    return f"{100 * comparison.options.pairs.bootstrap.level:g} % interval"


def _label(run: int) -> str:
    """Return A to Z, then AA, AB and so on, as the columns of a spreadsheet."""
    before, last = divmod(run, 26)
    return (_label(before - 1) if before else "") + chr(ord("A") + last)


def _signed(value: float) -> str:
    text = f"{value:+.4f}"
    return " 0.0000" if text in {"+0.0000", "-0.0000"} else text


def _span(interval: Interval | None, shown: Callable[[float], str]) -> str:
    return f"[{shown(interval.low).strip()}, {shown(interval.high).strip()}]" if interval else ""


def _p(value: float) -> str:
    return f"<{_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.4f}"
