"""The page of a dataset: what became of its articles, and what is in it.

Nothing of a public page is computed from held-out figures but their number: they are taken away before
anything is counted, so that no table can tell them by subtraction. No page names an article.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from jinja2 import Environment
from markupsafe import Markup

from dataset_builder.concepts.extraction import REASONS
from dataset_builder.gates import ANNOTATED_WITHOUT_CUI, Gate, share_text
from dataset_builder.records import Figure, StageCount
from dataset_builder.report import statistics
from dataset_builder.report.statistics import Count, Distribution
from rocov2_eval.breakdown import NOT_ANNOTATED
from rocov2_eval.rendering import html
from rocov2_eval.rendering.svg import bar_mark, fitting_spacing, histogram, length_of

_PACKAGE = "dataset_builder.report"
_CONCEPTS_SHOWN = 25


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """Stages in a row that count the same things, on one scale.

    Attributes:
        unit: What the stages count, such as `figures`.
        stages: What each stage took, kept and dropped, with a bar of what was kept before what was taken.
        is_log: Whether the bars are on a logarithmic scale.
    """

    unit: str
    stages: tuple[tuple[StageCount, Markup], ...]
    is_log: bool


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """A distribution with its picture.

    Attributes:
        title: Heading of the picture: what is drawn.
        unit: Unit of the values; empty for years.
        distribution: The values in bins.
        chart: The picture, None where there is nothing to draw.
        decimals: Digits of the mean after the point.
    """

    title: str
    unit: str
    distribution: Distribution
    chart: Markup | None
    decimals: int


def report_page(
    figures: Sequence[Figure],
    counts: Sequence[StageCount],
    gates: Sequence[Gate],
    *,
    title: str,
    names: Mapping[str, str],
    private: bool,
    held_out: str = "test",
    statements: Sequence[str] = (),
    is_own: bool = False,
) -> str:
    """Return the report of a dataset as one page of HTML that needs nothing but itself.

    Args:
        figures: All that are in the dataset, with their split.
        counts: What the stages took, kept and dropped, in their order.
        gates: What the quality gates came to.
        title: Heading of the page.
        names: Canonical name by CUI.
        private: Whether the page is for the organisers: the held-out figures are counted too.
        held_out: The split whose truth is kept apart; empty where there is none.
        statements: What the stages did, in sentences of theirs.
        is_own: Whether the images are of the makers' own, not from articles.
    """
    hidden = 0 if private or not held_out else sum(figure.assignment.split == held_out for figure in figures)
    shown = [figure for figure in figures if figure.assignment.split != held_out] if hidden else list(figures)
    modalities = statistics.modalities_by_split(shown)
    return html.page(
        _templates(),
        "report.html",
        title=title,
        private=private and bool(held_out),
        style=html.resource(_PACKAGE, "report.css"),
        picture_sources="data:",
        held_out=held_out,
        hidden=hidden,
        images=len(figures),
        shown=len(shown),
        gates=[(gate, bool(hidden) and gate.tells_figures) for gate in gates],
        funnels=_funnels(counts),
        has_drops=any(count.dropped for count in counts),
        splits=statistics.split_sizes(shown),
        articles=len({figure.pmcid for figure in shown}),
        concepts=len({cui for figure in shown for cui in figure.concepts.cuis}),
        licences=statistics.licences(shown),
        modalities=modalities,
        largest_share=max((cell.share for cells in modalities.rows.values() for cell in cells), default=1.0),
        frequent=statistics.frequent_concepts(shown, _CONCEPTS_SHOWN),
        concept_counts=statistics.concept_counts(shown),
        extraction=statistics.extraction(shown),
        reasons=REASONS,
        histograms=_histograms(shown),
        names=names,
        statements=statements,
        is_own=is_own,
        not_annotated=NOT_ANNOTATED,
        annotated_without_cui=ANNOTATED_WITHOUT_CUI,
        holders="Groups" if is_own else "Articles",
    )


def _funnels(counts: Sequence[StageCount]) -> tuple[Funnel, ...]:
    """Return the stages, those in a row that count the same things together."""
    return tuple(_funnel(unit, tuple(group)) for unit, group in groupby(counts, key=lambda each: each.unit))


def _funnel(unit: str, counts: Sequence[StageCount]) -> Funnel:
    most = max(count.taken for count in counts)
    spacing = fitting_spacing([number for count in counts for number in (count.taken, count.kept)])
    bars = (
        bar_mark(length_of(count.kept, most, spacing), length_of(count.taken, most, spacing))
        for count in counts
    )
    return Funnel(unit=unit, stages=tuple(zip(counts, bars, strict=True)), is_log=spacing == "log")


def _histograms(figures: Sequence[Figure]) -> tuple[Histogram, ...]:
    return (
        _histogram("Concepts per image", "concepts", statistics.concepts_per_image(figures), decimals=1),
        _histogram("Length of captions", "words", statistics.caption_words(figures), edges=True),
        _histogram("Size of images", "pixels", statistics.longer_sides(figures), edges=True),
        _histogram("Year of the article", "", statistics.years(figures)),
    )


def _histogram(
    title: str, unit: str, distribution: Distribution, *, edges: bool = False, decimals: int = 0
) -> Histogram:
    key = title.lower().replace(" ", "-")
    chart = histogram(distribution.bins, title=title, key=key, edges=edges) if distribution.bins else None
    return Histogram(title=title, unit=unit, distribution=distribution, chart=chart, decimals=decimals)


@cache
def _templates() -> Environment:
    templates = html.environment(_PACKAGE)
    templates.filters.update(
        thousands=lambda value: f"{value:,}",
        share=share_text,
        value=_value_text,
        mark=_share_mark,
    )
    return templates


def _value_text(gate: Gate) -> str:
    """Return what a gate measured in its unit, a dash where it measured nothing."""
    if gate.value is None:
        return "\N{EN DASH}"
    if gate.unit == "share":
        return share_text(gate.value)
    return f"{gate.value:.3f}" if gate.unit == "kappa" else f"{gate.value:,.0f}"


def _share_mark(count: Count, largest: float = 1.0) -> Markup:
    """Return the bar of a share, before a bar for the whole or beside others of which one is the largest."""
    return bar_mark(length_of(count.share, largest, "linear"), 1.0)
