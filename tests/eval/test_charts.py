from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from rocov2_eval.pages.charts import (
    interval_mark,
    interval_plot,
    narrow_interval_plot,
    p_text,
    rank_stability,
    score_text,
    significance_matrix,
    span,
)
from rocov2_eval.records import Interval, MetricResult

HOSTILE = "<script>alert(1)</script>\u202e&\x07"


def result(mean: float | None, low: float = 0.0, high: float = 0.0) -> MetricResult:
    ends = Interval(low=low, high=high) if high else None
    return MetricResult(mean=mean, interval=ends, n=9, unscored=0, signature="f1")


RESULTS = {HOSTILE: result(0.75, 0.7, 0.8), "team/b": result(0.5, 0.4, 0.6), "team/c": result(None)}
LABELS = list(RESULTS)
SHARES = np.array([[0.9, 0.1, 0.0], [0.1, 0.85, 0.05], [0.0, 0.05, 0.95]])
DIFFERENCE = np.array([[0.0, -0.25, -0.5], [0.25, 0.0, -0.25], [0.5, 0.25, 0.0]])
P_VALUES = np.array([[1.0, 0.2, 0.001], [0.2, 1.0, 0.03], [0.001, 0.03, 1.0]])

DRAWINGS: dict[str, Callable[[], str]] = {
    "intervals": lambda: interval_plot(RESULTS, title="F1", key="k"),
    "narrow": lambda: narrow_interval_plot(RESULTS, title="F1", key="k"),
    "stability": lambda: rank_stability(LABELS, SHARES, [(1, 2), (1, 3), (2, 3)], title="F1", key="k"),
    "significance": lambda: significance_matrix(LABELS, DIFFERENCE, P_VALUES, 0.05, title="F1", key="k"),
}


def parse(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314  our own drawing


def classes(drawing: str, name: str) -> int:
    return sum(name in element.get("class", "").split() for element in parse(drawing).iter())


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_chart_is_well_formed_and_names_itself(name: str) -> None:
    svg = parse(DRAWINGS[name]())
    assert (svg.get("role"), svg.get("aria-labelledby"), svg.get("aria-describedby")) == (
        "img",
        "k-title",
        "k-desc",
    )
    assert [element.tag for element in svg][:2] == ["title", "desc"]
    assert svg[0].text
    assert svg[1].text


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_chart_is_the_same_each_time(name: str) -> None:
    assert DRAWINGS[name]() == DRAWINGS[name]()


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_hostile_name_is_text(name: str) -> None:
    drawing = DRAWINGS[name]()
    assert not {"<script", "\u202e", "\x07", "style=", "href"} & {
        text for text in ("<script", "\u202e", "\x07", "style=", "href") if text in drawing
    }


def test_a_run_without_a_score_has_no_dot() -> None:
    assert classes(interval_plot(RESULTS, title="F1", key="k"), "dot") == 2
    assert "<svg" in interval_mark(RESULTS["team/c"], (0.0, 1.0))
    assert classes(interval_mark(RESULTS["team/c"], (0.0, 1.0)), "dot") == 0


def test_a_better_score_stands_further_right() -> None:
    dots = [e for e in parse(interval_plot(RESULTS, title="F1", key="k")).iter() if e.get("class") == "dot"]
    assert float(dots[0].get("cx", "")) > float(dots[1].get("cx", ""))


def test_the_axis_has_room_for_every_interval_and_for_a_single_point() -> None:
    low, high = span(RESULTS.values())
    assert low < 0.4
    assert high > 0.8
    low, high = span([result(1.0, 1.0, 1.0)])
    assert low < 1.0 < high
    assert span([]) == (0.0, 1.0)


def test_the_area_of_a_disc_is_the_share_and_a_rank_never_taken_has_none() -> None:
    discs = [e for e in parse(DRAWINGS["stability"]()).iter() if e.get("class") == "share"]
    assert len(discs) == 7
    first, second = (float(disc.get("r", "")) ** 2 for disc in discs[:2])
    assert second / first == pytest.approx(0.1 / 0.9, abs=0.01)


def test_a_significant_pair_has_a_triangle_either_way_and_another_a_dot() -> None:
    drawing = DRAWINGS["significance"]()
    assert tuple(classes(drawing, kind) for kind in ("better", "worse", "tie")) == (2, 2, 2)
    words = [e[0].text for e in parse(drawing).iter() if e.get("class") == "better"]
    assert words[1] == "team/b against team/c: +0.2500, p = 0.03"


def test_fifty_runs_have_fifty_rows_apart() -> None:
    k = 50
    labels = [f"team-{i}/run" for i in range(k)]
    drawing = rank_stability(labels, np.eye(k), [(i + 1, i + 1) for i in range(k)], title="F1", key="k")
    rows = [float(e.get("y", "")) for e in parse(drawing).iter() if e.get("class") == "label end"]
    assert k == len(rows)
    assert min(np.diff(rows)) >= 14


def test_a_long_name_keeps_the_end_that_tells_runs_apart() -> None:
    results = {"a-very-very-long-team-name-indeed/run-17": result(0.5)}
    assert "…eed/run-17<" in interval_plot(results, title="F1", key="k")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, "p = 1"), (0.0312, "p = 0.031"), (0.0012, "p = 0.0012"), (0.00001, "p < 0.0001")],
)
def test_a_p_value_has_two_digits_or_a_bound(value: float, expected: str) -> None:
    assert expected == p_text(value)


def test_a_score_has_four_digits() -> None:
    assert (score_text(0.123456), score_text(None)) == ("0.1235", "\N{EN DASH}")


@pytest.mark.parametrize("draw", [interval_plot, narrow_interval_plot])
def test_differences_are_drawn_with_0_even_where_all_lie_beyond(draw: Callable[..., str]) -> None:
    differences = {"a": result(0.5, 0.4, 0.6), "b": result(0.3, 0.2, 0.4)}

    lines = classes(draw(differences, title="d", key="k", zero=True), "axis")
    assert lines > classes(draw(differences, title="d", key="k"), "axis")
    assert ">0.0<" in draw(differences, title="d", key="k", zero=True)
