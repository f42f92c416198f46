"""The site in Chromium, from file://, with nobody on the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}}
Visit = Callable[..., tuple[Any, Any]]

# Channels of the colours that an element is drawn with; the page itself has the background.
_COLOURS = """selector => {
  const channels = (element, name) => getComputedStyle(element)[name].match(/[0-9.]+/g).slice(0, 3);
  const found = document.querySelector(selector);
  return [channels(found, "color").map(Number), channels(document.body, "backgroundColor").map(Number)];
}"""


def cells(page: Any, column: int, table: str = "#board-1-table") -> list[str]:
    """Return the text of a column, rows in their present order, hidden ones left out."""
    rows = page.locator(f"{table} tbody tr:visible")
    return [text.strip() for text in rows.locator(f"> :nth-child({column})").all_inner_texts()]


def contrast(first: list[float], second: list[float]) -> float:
    """Return the contrast of two colours by WCAG 2."""

    def luminance(channels: list[float]) -> float:
        shares = [
            c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels
        ]
        return 0.2126 * shares[0] + 0.7152 * shares[1] + 0.0722 * shares[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_the_order(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    heading = page.locator("#board-1-table th", has_text="F1 manual")
    heading.get_by_role("button").click()
    falling = [float(text) for text in cells(page, 6)]
    assert (sorted(falling, reverse=True), "descending") == (falling, heading.get_attribute("aria-sort"))
    heading.get_by_role("button").click()
    assert (falling[::-1][0], "ascending") == (float(cells(page, 6)[0]), heading.get_attribute("aria-sort"))
    assert page.locator("#board-1-table th[aria-sort]").count() == 1


def test_ranks_sort_as_numbers(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    page.get_by_role("button", name="Rank", exact=True).click()
    assert cells(page, 1)[:3] == ["50", "49", "48"]


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_sorts_and_the_focus_is_seen(
    small_site: Mapping[bool, Path], visit: Visit, key: str
) -> None:
    page, _ = visit(small_site[False] / "index.html")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Team":
            break
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press(key)
    page.keyboard.press(key)
    assert cells(page, 2) == ["gamma", "beta", "alpha"]


def test_the_first_stop_of_the_keyboard_is_the_skip_link(
    small_site: Mapping[bool, Path], visit: Visit
) -> None:
    page, _ = visit(small_site[False] / "index.html")
    page.keyboard.press("Tab")
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_wide_tables_and_pictures_can_be_scrolled_by_keyboard(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html", **PHONE)
    region = page.get_by_role("region", name="Standings of concept detection")
    region.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(100):  # the scroll takes a while; wait_for_function needs the eval that our policy forbids
        if page.evaluate("document.activeElement.scrollLeft > 0"):
            break
        page.wait_for_timeout(20)
    assert page.evaluate("document.activeElement.scrollLeft > 0")


def test_filters_leave_the_best_run_of_each_team_and_the_team_asked_for(
    large_site: Path, visit: Visit
) -> None:
    page, _ = visit(large_site / "index.html")
    page.get_by_role("combobox", name="Show").select_option("best")
    teams = cells(page, 2)
    assert len(set(teams)) == len(teams) < 50
    page.get_by_role("searchbox", name="Team").fill("TEAM-03")
    assert (cells(page, 2), page.get_by_role("status").inner_text()) == (["team-03"], "1 of 50 runs")
    page.get_by_role("combobox", name="Show").select_option("all")
    assert {"team-03"} == set(cells(page, 2))
    assert len(cells(page, 2)) > 1


def test_a_run_has_a_page_and_the_page_leads_back(small_site: Mapping[bool, Path], visit: Visit) -> None:
    page, seen = visit(small_site[False] / "index.html")
    page.locator("#board-1-table").get_by_role("link").nth(1).click()
    assert page.locator("h1").inner_text() == "beta/concepts"
    page.get_by_role("link", name="All runs").click()
    assert page.locator("h1").inner_text() == "ROCOv2 leaderboard"
    assert seen.faults == []


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_of_the_network_and_nothing_of_a_team_runs(
    small_site: Mapping[bool, Path], visit: Visit, *, private: bool, scheme: str
) -> None:
    for name in ("index.html", "runs/gamma/captions.html", "runs/gamma/concepts.html"):
        page, seen = visit(small_site[private] / name, color_scheme=scheme)
        page.wait_for_load_state("networkidle")
        assert (seen.faults, [url for url in seen.requests if not re.match("file:|data:", url)]) == ([], [])
        assert page.evaluate("window.hacked === undefined")


def test_pictures_of_the_worst_images_are_seen_by_organisers_alone(
    small_site: Mapping[bool, Path], visit: Visit
) -> None:
    page, _ = visit(small_site[True] / "runs/beta/captions.html")
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert (len(widths), all(width > 0 for width in widths)) == (12, True)
    page, _ = visit(small_site[False] / "runs/beta/captions.html")
    assert page.evaluate("document.images.length") == 0


def test_dark_and_light_differ_and_both_can_be_read(small_site: Mapping[bool, Path], visit: Visit) -> None:
    papers = []
    for scheme in ("light", "dark"):
        page, _ = visit(small_site[False] / "index.html", color_scheme=scheme)
        for selector in ("h1", "p.muted", "th a", ".ends", ".error .tag", ".warning .tag", "summary"):
            ink, paper = page.evaluate(_COLOURS, selector)
            assert contrast(ink, paper) >= 4.5, (scheme, selector)
        papers.append(paper)
    assert papers[0] != papers[1]


@pytest.mark.parametrize("name", ["index.html", "runs/beta/concepts.html", "runs/gamma/captions.html"])
def test_a_phone_shows_the_page_without_scrolling_sideways(
    small_site: Mapping[bool, Path], visit: Visit, name: str
) -> None:
    page, _ = visit(small_site[True] / name, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_shows_rank_names_and_score_without_scrolling_the_table(
    large_site: Path, visit: Visit
) -> None:
    page, _ = visit(large_site / "index.html", **PHONE)
    rows = page.locator("#board-1-table tbody tr")
    ends = rows.evaluate_all("rows => rows.map(row => row.cells[3].getBoundingClientRect().right)")
    assert len(ends) == 50
    assert all(end <= 360 for end in ends)


def test_a_phone_shows_the_whole_of_a_histogram(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "runs/team-01/run-01.html", **PHONE)
    ends = page.locator(".distributions svg").evaluate_all(
        "charts => charts.map(chart => chart.getBoundingClientRect().right)"
    )
    assert (len(ends), all(end <= 360 - 16 for end in ends)) == (2, True)


@pytest.mark.parametrize("private", [False, True])
def test_rare_modalities_have_rows_of_their_own(
    small_site: Mapping[bool, Path], visit: Visit, *, private: bool
) -> None:
    for name in ("index.html", "runs/beta/concepts.html", "runs/gamma/captions.html"):
        page, _ = visit(small_site[private] / name)
        table = page.get_by_role("region", name=re.compile("by modality")).first
        assert {"PET", "not annotated"} <= set(table.locator("tbody th").all_inner_texts())


def test_fifty_runs_stay_legible(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    for key in ("board-1-intervals-title", "board-1-stability-title", "board-1-significance-title"):
        chart = page.locator(f"svg[aria-labelledby^={key}]:visible")
        boxes = chart.evaluate(
            "svg => [...svg.querySelectorAll('text.label')].map(text => text.getBoundingClientRect())"
            ".map(({x, y}) => ({x, y}))"
        )
        left = chart.bounding_box()["x"]
        assert len(boxes) == 50
        assert all(box["x"] >= left - 1 for box in boxes), "a name is cut off"
        tops = [box["y"] for box in boxes]
        assert all(below - above >= 14 for above, below in pairwise(tops))


def test_without_script_the_tables_are_there_and_the_controls_are_not(
    small_site: Mapping[bool, Path], visit: Visit
) -> None:
    page, seen = visit(small_site[False] / "index.html", java_script_enabled=False)
    assert (cells(page, 2), page.locator("button").count()) == (["alpha", "beta", "gamma"], 0)
    assert not page.locator(".controls").first.is_visible()
    assert seen.faults == []


def test_paper_gets_the_page_without_controls(small_site: Mapping[bool, Path], visit: Visit) -> None:
    page, _ = visit(small_site[False] / "index.html")
    page.emulate_media(media="print")
    assert not page.locator(".controls").first.is_visible()
