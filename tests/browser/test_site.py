"""The site in Chromium, from file://, with nobody on the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.cli import invoke
from rocov2_eval.errors import ExitCode

from made_uploads import TEAMS, made_board

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}}
RIGHT_TO_LEFT = "\u0641\u0631\u064a\u0642 \u0627\u0644\u0623\u0634\u0639\u0629"

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


def open_all(page: Any) -> None:
    """Open what is folded, such as the table of all runs."""
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")


# Words of a picture that touch other words, or that lie outside of the picture, in boxes as they are drawn.
_COLLISIONS = """charts => charts.flatMap(chart => {
  const frame = chart.getBoundingClientRect();
  const words = [...chart.querySelectorAll("text")]
    .map(text => [text.textContent, text.getBoundingClientRect()]);
  const cut = words.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1);
  const touch = (a, b) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  const pairs = words.flatMap(([word, box], i) =>
    words.slice(i + 1).filter(([, other]) => touch(box, other)).map(([other]) => [word, other]));
  return [...cut.map(([word]) => [word]), ...pairs];
})"""


def collisions(page: Any) -> list[list[str]]:
    """Return the words of pictures that are cut off or touch each other."""
    found: list[list[str]] = page.locator("svg.chart:visible").evaluate_all(_COLLISIONS)
    return found


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_the_order(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    open_all(page)
    heading = page.locator("#board-1-table th", has_text="F1 manual")
    heading.get_by_role("button").click()
    falling = [float(text) for text in cells(page, 6)]
    assert (sorted(falling, reverse=True), "descending") == (falling, heading.get_attribute("aria-sort"))
    heading.get_by_role("button").click()
    assert (falling[::-1][0], "ascending") == (float(cells(page, 6)[0]), heading.get_attribute("aria-sort"))
    assert page.locator("#board-1-table th[aria-sort]").count() == 1


def test_ranks_sort_as_numbers(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    open_all(page)
    page.locator("#board-1-table").get_by_role("button", name="Rank", exact=True).click()
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
    region = page.get_by_role("region", name="Teams of concept detection")
    region.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(100):  # the scroll takes a while; wait_for_function needs the eval that our policy forbids
        if page.evaluate("document.activeElement.scrollLeft > 0"):
            break
        page.wait_for_timeout(20)
    assert page.evaluate("document.activeElement.scrollLeft > 0")


def test_the_best_run_of_each_team_is_seen_first_and_all_runs_unfold(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    teams = cells(page, 2, "#board-1-teams")
    assert len(set(teams)) == len(teams) < 50
    assert cells(page, 1, "#board-1-teams") == [str(i) for i in range(1, len(teams) + 1)]
    assert cells(page, 2) == []
    open_all(page)
    assert len(cells(page, 2)) == 50


def test_the_filter_leaves_the_team_asked_for_in_both_tables(large_site: Path, visit: Visit) -> None:
    page, _ = visit(large_site / "index.html")
    open_all(page)
    page.get_by_role("searchbox", name="Team").fill("TEAM-03")
    assert cells(page, 2, "#board-1-teams") == ["team-03"]
    assert {"team-03"} == set(cells(page, 2))
    n_runs = len(cells(page, 2))
    assert (n_runs > 1, page.get_by_role("status").inner_text()) == (True, f"{n_runs} of 50 runs")


def test_a_run_has_a_page_and_the_page_leads_back(small_site: Mapping[bool, Path], visit: Visit) -> None:
    page, seen = visit(small_site[False] / "index.html")
    page.locator("#board-1-table").get_by_role("link", name="concepts").nth(1).click()
    assert page.locator("h1").inner_text() == "beta / concepts"
    page.get_by_role("link", name="beta").click()
    assert page.locator("h1").inner_text() == "beta"
    page.get_by_role("link", name="All runs").click()
    assert page.locator("h1").inner_text() == "ROCOv2 leaderboard"
    assert seen.faults == []


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_of_the_network_and_nothing_of_a_team_runs(
    small_site: Mapping[bool, Path], visit: Visit, *, private: bool, scheme: str
) -> None:
    for name in ("index.html", "runs/gamma/captions.html", "runs/gamma/concepts.html", "teams/gamma.html"):
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


@pytest.mark.parametrize(
    "name", ["index.html", "runs/beta/concepts.html", "runs/gamma/captions.html", "teams/beta.html"]
)
def test_a_phone_shows_the_page_without_scrolling_sideways(
    small_site: Mapping[bool, Path], visit: Visit, name: str
) -> None:
    page, _ = visit(small_site[True] / name, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_shows_rank_names_and_score_without_scrolling_the_table(
    large_site: Path, visit: Visit
) -> None:
    page, _ = visit(large_site / "index.html", **PHONE)
    open_all(page)
    rows = page.locator(".standings tbody tr")
    ends = rows.evaluate_all("rows => rows.map(row => row.cells[3].getBoundingClientRect().right)")
    assert len(ends) > 50
    assert all(end <= 360 for end in ends)


@pytest.fixture(scope="session")
def made_sites(tmp_path_factory: pytest.TempPathFactory) -> Mapping[bool, Path]:
    """Return the folders of a board of forty uploads and two truths, by whether it is private.

    One team has a name of 64 wide letters, one a name of Chinese letters, one a name from right to left.
    """
    folder = tmp_path_factory.mktemp("made")
    made = made_board(folder / "made")
    text = made.mapping.read_text(encoding="utf-8")
    for team, name in ((TEAMS[0], "W" * 64), (TEAMS[3], TEAMS[3] * 9), (TEAMS[1], RIGHT_TO_LEFT)):
        text = text.replace(team, name)
    made.mapping.write_text(text, encoding="utf-8")
    submissions = folder / "submissions"
    submissions.mkdir()
    (submissions / "board.toml").write_bytes(made.rules.read_bytes())
    done(
        "leaderboard",
        "import",
        made.uploads,
        "--from",
        "flat",
        "--out",
        submissions,
        "--mapping",
        made.mapping,
    )
    truths = ("--truth", made.public, "--hidden-truth", made.hidden)
    sites = {private: folder / f"site-{private}" for private in (False, True)}
    for private, site in sites.items():
        done("leaderboard", submissions, *truths, "--out", site, "--private" if private else "--show-hidden")
    return sites


def done(*words: object) -> None:
    assert invoke([str(word) for word in words]) == ExitCode.OK


def pages_of(site: Path) -> list[Path]:
    """Return the front page, the pages of some teams, and the page of a run."""
    teams = sorted((site / "teams").iterdir())
    assert len(teams) == len(TEAMS)
    return [site / "index.html", *teams[::4], next((site / "runs").rglob("*.html"))]


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("private", [False, True])
def test_no_words_of_a_picture_touch_or_are_cut_and_no_page_scrolls_sideways(
    made_sites: Mapping[bool, Path], visit: Visit, width: int, *, private: bool
) -> None:
    for path in pages_of(made_sites[private]):
        page, _ = visit(path, viewport={"width": width, "height": 800})
        open_all(page)
        assert collisions(page) == [], path.name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path.name


def test_rank_and_team_stay_in_sight_while_the_table_scrolls(
    made_sites: Mapping[bool, Path], visit: Visit
) -> None:
    page, _ = visit(made_sites[True] / "index.html", viewport={"width": 390, "height": 800})
    region = page.get_by_role("region", name="Teams of concept detection, public truth")
    ends = "row => [...row.cells].slice(0, 3).map(cell => cell.getBoundingClientRect().left)"
    rows = region.locator("tr")
    before = [rows.nth(i).evaluate(ends) for i in (0, 1, 5)]
    region.evaluate("region => region.scrollLeft = 120")
    after = [rows.nth(i).evaluate(ends) for i in (0, 1, 5)]
    for (rank, team, run), (new_rank, new_team, new_run) in zip(before, after, strict=True):
        assert (new_rank, new_team) == pytest.approx((rank, team), abs=1)
        assert new_run == pytest.approx(run - 120, abs=1)
    seen = "({left, top}) => document.elementFromPoint(left + 5, top + 5)"
    team = rows.nth(1).locator("> :nth-child(2)")
    team.scroll_into_view_if_needed()
    assert team.evaluate(f"cell => cell.contains(({seen})(cell.getBoundingClientRect()))")


@pytest.mark.parametrize(("width", "is_told"), [(390, True), (1280, False)])
def test_a_table_that_scrolls_says_so(
    made_sites: Mapping[bool, Path], visit: Visit, width: int, *, is_told: bool
) -> None:
    page, _ = visit(made_sites[False] / "index.html", viewport={"width": width, "height": 800})
    region = page.get_by_role("region", name="Teams of concept detection, public truth")
    shown = region.evaluate("region => getComputedStyle(region, '::before').display")
    scrolls = region.evaluate("region => region.scrollWidth > region.clientWidth")
    assert (shown == "block", scrolls) == (is_told, is_told)


def test_no_head_of_a_table_breaks_inside_a_word(made_sites: Mapping[bool, Path], visit: Visit) -> None:
    broken = """heads => heads.flatMap(head => {
      const walker = document.createTreeWalker(head, NodeFilter.SHOW_TEXT);
      const found = [];
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (const match of node.data.matchAll(/\\S+/g)) {
          const range = document.createRange();
          range.setStart(node, match.index);
          range.setEnd(node, match.index + match[0].length);
          const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
          if (lines.size > 1 && match[0].length < 20) found.push(match[0]);
        }
      }
      return found;
    })"""
    for path in pages_of(made_sites[True]):
        page, _ = visit(path, viewport={"width": 390, "height": 800})
        open_all(page)
        assert page.locator("thead th").evaluate_all(broken) == [], path.name


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
