from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rocov2_eval.rendering.svg import Bin, bar_mark, fitting_spacing, histogram, length_of

BINS = [Bin(label=str(i), words=f"{i} of two", number=number) for i, number in enumerate((3, 0, 6))]


def parse(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314  our own drawing


def labels(drawing: str) -> list[str | None]:
    return [element.text for element in parse(drawing).iter() if element.get("class") == "tick middle"]


def test_counts_far_apart_are_spaced_logarithmically() -> None:
    assert fitting_spacing([15_000_000, 35_705]) == "log"
    assert fitting_spacing([100, 2, 0]) == "linear"
    assert fitting_spacing([0]) == "linear"


@pytest.mark.parametrize("spacing", ["linear", "log"])
def test_the_longest_bar_is_whole_and_nothing_has_none(spacing: Any) -> None:
    assert [length_of(count, 1000, spacing) for count in (0, 1000)] == [0.0, 1.0]
    assert 0 < length_of(1, 1000, spacing) < length_of(500, 1000, spacing) < 1
    assert length_of(0, 0, spacing) == 0.0


def test_a_bar_that_is_not_nothing_can_be_seen() -> None:
    widths = [[rect.get("width") for rect in parse(bar_mark(length, 1.0))] for length in (0.0, 0.0001, 0.5)]
    assert widths == [["120", "0"], ["120", "1.5"], ["120", "60"]]


def test_the_bars_of_a_histogram_are_as_high_as_their_numbers_and_say_them() -> None:
    svg = parse(histogram(BINS, title="Words", key="k"))
    bars = [element for element in svg.iter() if element.get("class") == "bar"]
    assert [bar.get("height") for bar in bars] == ["65", "0", "130"]
    assert bars[2][0].text == "2 of two: 6 images"
    assert (svg[0].text, svg[1].text) == ("Words", "0 of two: 3; 1 of two: 0; 2 of two: 6")


def test_a_histogram_has_the_labels_of_its_bins_or_an_axis_of_numbers() -> None:
    assert labels(histogram(BINS, title="Words", key="k")) == ["0", "1", "2"]
    assert labels(histogram(BINS, title="F1", key="k", ends=(0.0, 1.0))) == [
        "0.0", "0.2", "0.4", "0.6", "0.8", "1.0"
    ]  # fmt: skip


@pytest.mark.parametrize("numbers", [(), (0, 0)])
def test_a_histogram_of_nothing_is_flat(numbers: tuple[int, ...]) -> None:
    bins = [Bin(label="", words="", number=number) for number in numbers]
    heights = [e.get("height") for e in parse(histogram(bins, title="F1", key="k")).iter("rect")]
    assert heights == ["0"] * len(numbers)
