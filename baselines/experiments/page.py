"""What an experiment found, as a document and as a page: question, answer, tables, charts, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from baselines.experiments.arms import ArmResult, Difference, Outcome
from baselines.experiments.judging import Classified, Mean
from baselines.experiments.questions import EXPERIMENTS
from rocov2_eval.editions import LABELS
from rocov2_eval.pages.charts import interval_plot, narrow_interval_plot
from rocov2_eval.records import MetricResult
from rocov2_eval.rendering import html
from rocov2_eval.rendering.document import Column, Document, Kind, Note, Section, Table, Value
from rocov2_eval.rendering.render import render
from rocov2_eval.rendering.values import is_number, value_text
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import counted

_STYLE = ("rocov2_eval.rendering", "style.css")
PAGE = "page"  # page.html, page.md, page.json
_FACETS: Mapping[str, str] = {"modality": "modality", "concepts": "number of concepts"}


def experiment_document(outcome: Outcome) -> Document:
    """Return what an experiment found."""
    experiment = EXPERIMENTS[outcome.name]
    on_common = " on the common vocabulary" if experiment.commons else ""
    sections = [
        Section(notes=[Note(text=text, label=label) for label, text in answers(outcome)]),
        Section(title=f"F1 of each arm{on_common}", tables=[_arm_table(outcome)]),
        *([Section(title="Differences", tables=[_difference_table(outcome)])] if outcome.differences else []),
        *([Section(title="Each arm on its own truth", tables=[_own_table(outcome)])] if on_common else []),
        *(
            Section(title=f"F1 by {_FACETS[facet]}", tables=[_group_table(outcome, facet)])
            for facet in experiment.facets
        ),
        *_modality_sections(outcome),
        Section(title="How it was measured", notes=[Note(text=text) for text in _done(outcome)]),
        Section(title="Limits of this experiment", notes=[Note(text=text) for text in _limits(outcome)]),
    ]
    return Document(title=experiment.question, sections=sections, data=_data(outcome))


def answers(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the answer in a sentence with its label, and a sentence for each further difference."""
    if EXPERIMENTS[outcome.name].contrasts:
        first, *others = map(_sentence, outcome.differences)
        return [("ANSWER", first), *(("", text) for text in others)]
    return [("ANSWER", _group_sentence(outcome))]


def write_page(outcome: Outcome, folder: Path) -> None:
    """Write the page as HTML and Markdown, with its charts and its data beside it."""
    document = experiment_document(outcome)
    charts = dict(_charts(outcome))
    for name, (_, wide, _) in charts.items():
        write_text(folder / f"{name}.svg", _standalone(wide))
    write_text(folder / f"{PAGE}.html", _html(document, list(charts.values())))
    head = render(replace(document, sections=document.sections[:1]), "markdown")
    pictures = "".join(f"\n![{title}]({name}.svg)\n" for name, (title, _, _) in charts.items())
    rest = render(replace(document, title="", sections=document.sections[1:]), "markdown")
    write_text(folder / f"{PAGE}.md", f"{head}{pictures}\n{rest}")
    write_text(folder / f"{PAGE}.json", render(document, "json"))


def _sentence(difference: Difference) -> str:
    """Return what a contrast says: a difference with its interval, none found, or nothing to say."""
    says, mean = difference.says.rstrip(","), difference.mean
    if mean is None:
        return (
            f"This dataset cannot show what changes {says}: both arms learn from the same images and labels."
        )
    if mean.interval is None:
        return f"This dataset cannot show what changes {says}: one article or image is too few."
    if not mean.is_found:
        return f"No difference was found: {difference.says} {difference.score} changes by {_change(mean)}."
    begin = difference.says[0].upper() + difference.says[1:]
    return f"{begin} {difference.score} is {_by_how_much(mean)}."


def _change(mean: Mean) -> str:
    assert mean.interval is not None, "else nothing can be said"
    return f"{mean.mean:+.4f} (95 % {mean.interval.low:+.4f} to {mean.interval.high:+.4f})"


def _by_how_much(mean: Mean) -> str:
    assert mean.interval is not None, "a difference that is found has one"
    near, far = sorted((abs(mean.interval.low), abs(mean.interval.high)))
    word = "higher" if mean.mean > 0 else "lower"
    return f"{word} by {abs(mean.mean):.4f} (95 % {near:.4f} to {far:.4f})"


def _group_sentence(outcome: Outcome) -> str:
    """Return which group of images differs most from all others, if any is told from them."""
    known = [(row.name, row.mean) for row in outcome.differences if row.mean and row.mean.interval]
    if not known:
        return "No difference can be computed: no two modalities have images of two articles."
    found = [row for row in known if row[1].is_found]
    name, mean = max(found or known, key=lambda row: abs(row[1].mean))
    if not found:
        return f"No difference between modalities was found: F1 of {name} differs most, by {_change(mean)}."
    return f"F1 of {name} differs most: it is {_by_how_much(mean)} than that of all other images."


def _arm_table(outcome: Outcome) -> Table:
    columns = [
        Column(title="arm"),
        Column(title="trained on", kind="count"),
        Column(title="steps", kind="count"),
        Column(title="images", kind="count"),
        *_score_columns(outcome, "F1"),
    ]
    rows = [
        (row.arm.name, row.images, row.steps, row.f1.images, *_cells(outcome, row.f1)) for row in outcome.arms
    ]
    return Table(columns=columns, rows=rows)


def _difference_table(outcome: Outcome) -> Table:
    is_of_arms = bool(EXPERIMENTS[outcome.name].contrasts)
    columns = [
        Column(title="difference of" if is_of_arms else "modality, against all others"),
        Column(title="score"),
        *_score_columns(outcome, "difference", is_difference=True),
        Column(title="found"),
    ]
    rows = [
        (row.name, row.score, *_cells(outcome, row.mean), _finding(row.mean)) for row in outcome.differences
    ]
    return Table(columns=columns, rows=rows)


def _finding(mean: Mean | None) -> str:
    if mean is None or mean.interval is None:
        return "not computable"
    return "yes" if mean.is_found else "no"


def _own_table(outcome: Outcome) -> Table:
    columns = [
        Column(title="arm"),
        Column(title="concepts of its table", kind="count"),
        Column(title="of these common", kind="count"),
        *_score_columns(outcome, "F1"),
    ]
    sizes = outcome.vocabulary
    rows = [
        (row.arm.name, sizes[row.arm.name], sizes["common"], *_cells(outcome, row.own_f1))
        for row in outcome.arms
    ]
    return Table(columns=columns, rows=rows)


def _group_table(outcome: Outcome, facet: str) -> Table:
    pairs = [
        (Column(title=row.arm.name, kind="score"), Column(title="95 %", kind="interval", key=row.arm.name))
        for row in outcome.arms
    ]
    columns = [
        Column(title=_FACETS[facet]),
        Column(title="images", kind="count"),
        *(column for pair in pairs for column in pair),
    ]
    rows = [
        (name, mean.images, *(end for row in outcome.arms for end in _ends(row.groups[facet][name])))
        for name, mean in outcome.arms[0].groups[facet].items()
    ]
    return Table(columns=columns, rows=rows)


def _modality_sections(outcome: Outcome) -> Iterator[Section]:
    """Yield accuracy, macro F1 and a confusion matrix of each arm, where the modality is asked."""
    known = [(row.arm.name, row.modality) for row in outcome.arms if row.modality]
    if not known:
        return
    columns = [
        Column(title="arm"),
        Column(title="images", kind="count"),
        *_score_columns(outcome, "accuracy"),
        Column(title="macro F1", kind="score"),
    ]
    rows = [
        (name, each.accuracy.images, *_cells(outcome, each.accuracy), each.macro_f1) for name, each in known
    ]
    yield Section(
        title="Images of exactly one modality; the first answer counts",
        tables=[Table(columns=columns, rows=rows), *(_confusion_table(name, each) for name, each in known)],
    )


def _confusion_table(name: str, each: Classified) -> Table:
    names = [LABELS[cui] for cui in each.classes]
    columns = [
        Column(title="modality"),
        *(Column(title=label, kind="count") for label in (*names, "no answer")),
    ]
    rows = [(label, *row) for label, row in zip(names, each.confusion.tolist(), strict=True) if any(row)]
    sums = f", sums of {len(each.accuracy.seeds)} seeds" if len(each.accuracy.seeds) > 1 else ""
    return Table(columns=columns, rows=rows, title=f"{name}: images by modality and answer{sums}")


def _done(outcome: Outcome) -> Iterator[str]:
    """Yield what a reader needs to repeat the experiment."""
    seeds = ", ".join(map(str, outcome.seeds))
    yield (
        f"Recipe {outcome.recipe}, {'seeds' if len(outcome.seeds) > 1 else 'seed'} {seeds}; judged on the "
        f"{outcome.split} split of {outcome.data}."
    )
    yield "The run.json of each arm and seed contains its recipe and the digests of tables and pictures."


def _limits(outcome: Outcome) -> Iterator[str]:
    yield from EXPERIMENTS[outcome.name].limits
    if outcome.unlike:
        yield (
            "The tables also differ within the common vocabulary, for "
            f"{counted(outcome.unlike, 'image')} of training or validation. The filter does not cause "
            "this part of the difference."
        )
    if outcome.has_articles:
        yield f"Intervals are bootstraps over the {counted(outcome.units, 'article')} of the images."
    else:
        yield (
            f"Intervals are bootstraps over {counted(outcome.units, 'image')}, because no table "
            "contains the articles. Images of one article are similar, so the intervals are too "
            "narrow."
        )
    if len(outcome.seeds) == 1:
        yield (
            "There is one seed, so the intervals do not contain the variation of training. Repeat the "
            "experiment with --seeds 3."
        )
    else:
        yield (
            f"Means and intervals are over {len(outcome.seeds)} seeds; the variation between seeds widens "
            "them."
        )
        if all(len(set(row.f1.seeds)) == 1 for row in outcome.arms):
            yield "All seeds gave the same F1, so nothing in this recipe seems to be random."
    yield "An interval that contains 0 does not show that there is no difference."


def _score_columns(outcome: Outcome, title: str, *, is_difference: bool = False) -> list[Column]:
    kind: Kind = "difference" if is_difference else "score"
    ends: Kind = "difference_interval" if is_difference else "interval"
    columns = [Column(title=title, kind=kind), Column(title="95 %", kind=ends, key=title)]
    if len(outcome.seeds) > 1:
        columns += [Column(title=f"{which} seed", kind=kind) for which in ("lowest", "highest")]
    return columns


def _cells(outcome: Outcome, mean: Mean | None) -> tuple[Value, ...]:
    """Return the values of `_score_columns`."""
    if len(outcome.seeds) == 1:
        return _ends(mean)
    return (*_ends(mean), *((min(mean.seeds), max(mean.seeds)) if mean else (None, None)))


def _ends(mean: Mean | None) -> tuple[Value, Value]:
    return (mean.mean, mean.interval) if mean else (None, None)


def _charts(outcome: Outcome) -> Iterator[tuple[str, tuple[str, Markup, Markup]]]:
    """Yield name, title, and the chart for a wide and a narrow screen."""
    if EXPERIMENTS[outcome.name].contrasts:
        scores = {row.arm.name: row.f1 for row in outcome.arms}
        yield "scores", _chart("F1 of each arm with its 95 % interval", scores, "scores")
    else:
        yield (
            "scores",
            _chart("F1 by modality with its 95 % interval", outcome.arms[0].groups["modality"], "scores"),
        )
    has_several = len({row.score for row in outcome.differences}) > 1
    known = {
        f"{row.name}, {row.score}" if has_several else row.name: row.mean
        for row in outcome.differences
        if row.mean
    }
    if known:
        yield (
            "differences",
            _chart("Differences with their 95 % intervals, and 0", known, "differences", zero=True),
        )


def _chart(
    title: str, means: Mapping[str, Mean], key: str, *, zero: bool = False
) -> tuple[str, Markup, Markup]:
    results = {
        name: MetricResult(mean=mean.mean, interval=mean.interval, n=mean.images, unscored=0, signature="")
        for name, mean in means.items()
    }
    wide = interval_plot(results, title=title, key=key, zero=zero)
    return title, wide, narrow_interval_plot(results, title=title, key=f"{key}-narrow", zero=zero)


def _standalone(chart: Markup) -> str:
    """Return a chart as a file of its own, with the style that a page has for it."""
    style = Markup("<style><![CDATA[{}]]></style>").format(Markup(html.resource(*_STYLE)))  # noqa: S704  our own
    head, rest = str(chart).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).split(">", 1)
    return f"{head}>{style}{rest}\n"


def _html(document: Document, charts: Sequence[tuple[str, Markup, Markup]]) -> str:
    templates = html.environment("baselines.experiments")
    templates.globals.update(text=value_text, is_number=is_number)
    return html.page(
        templates, "experiment.html", title=document.title, private=False, document=document, charts=charts
    )


def _data(outcome: Outcome) -> dict[str, Any]:
    """Return what JSON has."""
    return {
        "experiment": outcome.name,
        "question": EXPERIMENTS[outcome.name].question,
        "answer": answers(outcome)[0][1],
        "recipe": outcome.recipe,
        "data": outcome.data,
        "split": outcome.split,
        "intervals_over": "articles" if outcome.has_articles else "images",
        "units": outcome.units,
        "seeds": list(outcome.seeds),
        "vocabulary": dict(outcome.vocabulary),
        "unlike": outcome.unlike,
        "differences": [
            {
                "name": row.name,
                "says": row.says.rstrip(","),
                "score": row.score,
                "difference": row.mean.data() if row.mean else None,
            }
            for row in outcome.differences
        ],
        "arms": [_arm_data(row) for row in outcome.arms],
    }


def _arm_data(row: ArmResult) -> dict[str, Any]:
    groups = {
        facet: {name: mean.data() for name, mean in found.items()} for facet, found in row.groups.items()
    }
    modality = row.modality and {
        "accuracy": row.modality.accuracy.data(),
        "macro_f1": row.modality.macro_f1,
        "classes": [LABELS[cui] for cui in row.modality.classes],
        "confusion": row.modality.confusion.tolist(),
    }
    return {
        "name": row.arm.name,
        "trained_on": row.images,
        "steps": row.steps,
        "f1": row.f1.data(),
        "own_f1": row.own_f1.data() if row.own_f1 else None,
        "groups": groups,
        "modality": modality,
    }
