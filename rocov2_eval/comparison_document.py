"""What a command says of a comparison of runs.

On a terminal and in Markdown runs have letters, so that `B - A` says which way a difference goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rocov2_eval import __version__
from rocov2_eval.records import Interval
from rocov2_eval.rendering.document import Column, Document, Fact, Note, Section, Table, Value
from rocov2_eval.report_document import (
    Claim,
    claim_data,
    claim_of,
    environment,
    file_data,
    reasons,
    remarks,
)
from rocov2_eval.shelf.words import counted
from rocov2_eval.truth import truth_name

if TYPE_CHECKING:  # which show themselves with these documents
    from rocov2_eval.comparison import Comparison, Pair

SCHEMA_VERSION = 1
_MOST_IN_DETAIL = 3  # runs of which every pair is shown by group and image


def comparison_document(comparison: Comparison, misses: Sequence[str] = ()) -> Document:
    """Return the document of a comparison; `misses` says which runs are worse than they may be."""
    first = comparison.reports[0]
    split = f"{first.split} split, " if first.split else ""
    images = counted(len(first.image_ids), "image")
    truth = Fact(name="truth", value=truth_name(first.truth))
    table, *tables = _tables(comparison)
    signatures = [first.metrics[metric].signature for metric in comparison.metrics]
    return Document(
        title=f"{len(comparison.names)} runs: {first.task}, {first.edition}, {split}{images}; "
        f"{_claim(comparison).text}",
        sections=[
            Section(facts=[truth], tables=[table]),
            *(Section(tables=[each]) for each in tables),
            Section(notes=list(_notes(comparison))),
            remarks(_official_notes(comparison), signatures),
        ],
        data=comparison_data(comparison),
        misses=misses,
    )


def comparison_data(comparison: Comparison) -> dict[str, Any]:
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
        "official": {
            "comparable": not official,
            **claim_data(_claim(comparison)),
            "notes": official,
        },
        "inputs": {
            "runs": [file_data(report.run) for report in comparison.reports],
            "truth": [file_data(item) for item in first.truth],
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


def _official_notes(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(note for report in comparison.reports for note in report.notes))


def _claim(comparison: Comparison) -> Claim:
    """Return the claim of the first run that is not official, else of the first: they share the truth."""
    reports = comparison.reports
    return claim_of(next((report for report in reports if report.notes), reports[0]))


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


def _tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the tables of an answer, in order."""
    interval = _interval_title(comparison)
    yield _runs(comparison, interval)
    for metric in comparison.metrics:
        pairs = [pair for pair in comparison.pairs if pair.metric == metric]
        yield _differences(f"{metric}, {counted(pairs[0].n, 'image')}", pairs, interval)
    for pair in _in_detail(comparison):
        title = f"{pair.metric}, {_between(pair)}"
        for facet in pair.effects:
            yield _effects(f"{title} by {facet}", pair, facet, interval)
        if pair.images:
            yield _images(f"{title}, images that differ most", pair)


def _runs(comparison: Comparison, interval: str) -> Table:
    columns = [Column(title="", key="label"), Column(title="run")]
    for metric in comparison.metrics:
        columns += [Column(title=metric, kind="score"), Column(title=interval, kind="interval", key=metric)]
    rows = []
    for i, (name, report) in enumerate(zip(comparison.names, comparison.reports, strict=True)):
        cells: list[Value] = [_label(i), name]
        for metric in comparison.metrics:
            cells += [report.metrics[metric].mean, report.metrics[metric].interval]
        rows.append(cells)
    return Table(title="Runs", columns=columns, rows=rows)


def _differences(title: str, pairs: Sequence[Pair], interval: str) -> Table:
    columns = [
        Column(title="", key="pair"),
        Column(title="difference", kind="difference"),
        Column(title=interval, kind="difference_interval", key="difference"),
        Column(title="p", kind="p"),
        Column(title="p (Holm)", kind="p", key="p_holm"),
        Column(title="", key="verdict"),
    ]
    rows = [
        [_between(pair), pair.difference, pair.interval, pair.p_value, pair.p_holm, _verdict(pair)]
        for pair in pairs
    ]
    return Table(title=title, columns=columns, rows=rows)


def _effects(title: str, pair: Pair, facet: str, interval: str) -> Table:
    columns = [
        Column(title="", key=facet),
        Column(title="images", kind="count"),
        Column(title="difference", kind="difference"),
        Column(title=interval, kind="difference_interval", key="difference"),
    ]
    rows = [
        [effect.group, effect.images, effect.difference, effect.interval] for effect in pair.effects[facet]
    ]
    return Table(title=title, columns=columns, rows=rows)


def _images(title: str, pair: Pair) -> Table:
    columns = [
        Column(title="", key="image_id"),
        Column(title=_label(pair.a), kind="score"),
        Column(title=_label(pair.b), kind="score"),
        Column(title="difference", kind="difference"),
    ]
    rows: list[list[Value]] = [[item.image_id, item.a, item.b, item.difference] for item in pair.images]
    return Table(title=title, columns=columns, rows=rows)


def _between(pair: Pair) -> str:
    return f"{_label(pair.b)} - {_label(pair.a)}"


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


def _notes(comparison: Comparison) -> Iterator[Note]:
    """Yield what a reader of the tables has to know."""
    pairs = comparison.options.pairs
    tested = len(comparison.names) * (len(comparison.names) - 1) // 2
    yield Note(
        text="The difference is B - A: it is positive if B is better. Paired randomisation test with "
        f"{pairs.trials:,} trials, Holm's correction for {counted(tested, 'pair')} per score, alpha "
        f"{pairs.alpha:g}; paired bootstrap with {pairs.bootstrap.resamples:,} resamples, seed "
        f"{pairs.bootstrap.seed}."
    )
    if len(comparison.names) > _MOST_IN_DETAIL:
        yield Note(
            text="Groups and images are those of the two best runs by each score; --format json contains "
            "those of every pair."
        )
    yield from (Note(text=note, label="Note") for note in comparison.notes)
    for text in reasons(comparison.reports[0].not_computed):
        yield Note(text=text, label="Not computed")


def _interval_title(comparison: Comparison) -> str:
    return f"{100 * comparison.options.pairs.bootstrap.level:g} % interval"


def _label(run: int) -> str:
    """Return A to Z, then AA, AB and so on, as the columns of a spreadsheet."""
    before, last = divmod(run, 26)
    return (_label(before - 1) if before else "") + chr(ord("A") + last)
