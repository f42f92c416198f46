"""The report of a dataset in Chromium, from file://, with nobody on the network."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.gates import GateOptions, judge
from dataset_builder.records import Figure, ImageFacts, StageCount
from dataset_builder.report import report_page

from made_figures import made_figure

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}}
HOSTILE = '"><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\u202e'
Visit = Callable[..., tuple[Any, Any]]

# Colours of what an element is drawn with and of the page, as a canvas resolves them: red, green, blue.
_COLOURS = """selector => {
  const channels = (element, name) => getComputedStyle(element)[name].match(/[0-9.]+/g).slice(0, 3);
  const found = document.querySelector(selector);
  const name = found instanceof SVGElement ? "fill" : "color";
  return [channels(found, name).map(Number), channels(document.body, "backgroundColor").map(Number)];
}"""


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Mapping[bool, Path]:
    """Return the pages of a dataset of 600 figures, by whether they are private."""
    folder = tmp_path_factory.mktemp("reports")
    figures, counts, names = a_dataset()
    warnings, failures = (
        judge(figures, counts, GateOptions(on_failure=outcome)) for outcome in ("warn", "fail")
    )
    gates = [*warnings[:3], *failures[3:]]  # no build has both, and the page shows each
    assert {"pass", "warn", "fail", "not measured"} == {gate.outcome for gate in gates}
    pages = {}
    for private in (False, True):
        pages[private] = folder / f"report-{private}.html"
        text = report_page(figures, counts, gates, title=f"ROCOv2 {HOSTILE}", names=names, private=private)
        pages[private].write_text(text, encoding="utf-8")
    return pages


def a_dataset() -> tuple[list[Figure], list[StageCount], dict[str, str]]:
    """Return figures, counts and names with the largest numbers and longest words that occur."""
    chance = random.Random(4)
    manual = [("C0040405",), ("C1306645", "C0817096"), ("C0024485",), ("C0041618",), ("C0002978",), ()]
    names = {f"C{i:07}": f"Structure of the {i}th part of the body" for i in range(40)}
    names["C0000003"] = HOSTILE
    figures = []
    for i in range(600):
        modality = chance.choices(manual, (35, 27, 15, 15, 4, 4))[0]
        concepts = tuple(chance.sample(sorted(names), chance.randrange(5)))
        image = ImageFacts(sha256="", pixels="", perceptual=None, width=chance.randrange(90, 4000), height=80)
        figures.append(
            made_figure(
                f"PMC{i // 2}",
                f"{i}.jpg",
                caption="word " * chance.randrange(1, 130),
                licence=chance.choice(("CC BY", "CC BY-NC")),
                year=chance.randrange(1999, 2027),
                english=chance.random() ** 0.2,
                image=image,
                manual=modality,
                automatic=concepts,
                split=chance.choices(("train", "valid", "test"), (75, 13, 12))[0],
            )
        )
    reason = "belongs to two splits of the earlier edition"
    counts = [
        StageCount(
            stage="compound",
            title="figures of one picture alone",
            unit="figures",
            taken=15_430_169,
            kept=660,
            dropped=(("compound figure", 15_429_509),),
        ),
        StageCount(
            stage="split", title="with a split", unit="figures", taken=660, kept=600, dropped=((reason, 60),)
        ),
    ]
    return figures, counts, names


def contrast(first: list[float], second: list[float]) -> float:
    """Return the contrast of two colours by WCAG 2."""

    def luminance(channels: list[float]) -> float:
        shares = [
            c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels
        ]
        return 0.2126 * shares[0] + 0.7152 * shares[1] + 0.0722 * shares[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_of_the_network_and_nothing_runs(
    reports: Mapping[bool, Path], visit: Visit, *, private: bool, scheme: str
) -> None:
    page, seen = visit(reports[private], color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    assert (seen.faults, [url for url in seen.requests if not re.match("file:|data:", url)]) == ([], [])
    assert page.evaluate("window.hacked === undefined")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_outcomes_can_be_read_by_colour_and_word(
    reports: Mapping[bool, Path], visit: Visit, scheme: str
) -> None:
    page, _ = visit(reports[True], color_scheme=scheme)
    colours = set()
    for look, word in (("pass", "pass"), ("warn", "warn"), ("fail", "fail"), ("unmeasured", "not measured")):
        ink, paper = page.evaluate(_COLOURS, f".outcome.{look}")
        assert contrast(ink, paper) >= 4.5, (scheme, look)
        assert word in page.locator(f".outcome.{look}").first.inner_text()
        colours.add(tuple(ink))
    assert len(colours) == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_stand_out_from_the_page(reports: Mapping[bool, Path], visit: Visit, scheme: str) -> None:
    page, _ = visit(reports[True], color_scheme=scheme)
    for selector in (".funnel .bar", ".chart .bar", ".cross .bar"):
        ink, paper = page.evaluate(_COLOURS, selector)
        assert contrast(ink, paper) >= 3, (scheme, selector)


@pytest.mark.parametrize("private", [False, True])
def test_a_phone_shows_the_page_without_scrolling_sideways(
    reports: Mapping[bool, Path], visit: Visit, *, private: bool
) -> None:
    page, _ = visit(reports[private], **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("selector", [".funnel", ".reasons", "table:has(.outcome)", ".histograms svg"])
def test_a_phone_shows_the_whole_of_what_matters(
    reports: Mapping[bool, Path], visit: Visit, selector: str
) -> None:
    page, _ = visit(reports[True], **PHONE)
    ends = page.locator(selector).evaluate_all(
        "found => found.map(element => element.getBoundingClientRect().right)"
    )
    assert ends
    assert all(end <= 360 - 16 for end in ends)


def test_a_phone_keeps_the_rows_of_the_funnel_a_table(reports: Mapping[bool, Path], visit: Visit) -> None:
    page, _ = visit(reports[True], **PHONE)
    row = page.get_by_role("table").filter(has_text="Share kept").get_by_role("row").nth(1)
    assert row.get_by_role("cell").all_inner_texts() == ["15,430,169", "15,429,509", "660", "< 0.1 %"]


def test_a_bar_is_as_long_as_its_share_of_the_longest(reports: Mapping[bool, Path], visit: Visit) -> None:
    page, _ = visit(reports[True])
    marks = page.locator("section:has(#licences) tbody .mark")
    widths = marks.evaluate_all(
        "marks => marks.map(mark => mark.querySelector('.bar').getBoundingClientRect().width"
        " / mark.getBoundingClientRect().width)"
    )
    shares = page.locator("section:has(#licences) tbody td:last-child").all_inner_texts()
    assert widths == pytest.approx([float(text.removesuffix(" %")) / 100 for text in shares], abs=0.01)


def test_numbers_above_neighbouring_columns_do_not_touch(reports: Mapping[bool, Path], visit: Visit) -> None:
    page, _ = visit(reports[True])
    for kind in ("text.value", "text.tick.middle"):
        overlaps = page.locator(".histograms svg").evaluate_all(
            """(charts, kind) => charts.map(chart => {
              const boxes = [...chart.querySelectorAll(kind)].map(text => text.getBoundingClientRect());
              return boxes.filter((box, i) => i > 0 && boxes[i - 1].right > box.left
                && boxes[i - 1].bottom > box.top && box.bottom > boxes[i - 1].top).length;
            })""",
            kind,
        )
        assert overlaps == [0, 0, 0, 0], kind


def test_paper_gets_every_table_and_picture_whole(reports: Mapping[bool, Path], visit: Visit) -> None:
    page, _ = visit(reports[True], viewport={"width": 680, "height": 960})
    page.emulate_media(media="print")
    assert page.locator(".skip").is_hidden()
    cut_off = page.locator("table, .chart").evaluate_all(
        "found => found.filter(element => element.getBoundingClientRect().right > innerWidth)"
        ".map(element => element.textContent.slice(0, 60))"
    )
    assert cut_off == []
