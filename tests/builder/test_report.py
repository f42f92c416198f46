from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from dataset_builder.gates import GateOptions, judge
from dataset_builder.records import Figure, ImageFacts, StageCount
from dataset_builder.report import report_page
from dataset_builder.report.statistics import (
    ConceptCounts,
    Count,
    caption_words,
    concept_counts,
    concepts_per_image,
    frequent_concepts,
    licences,
    longer_sides,
    modalities_by_split,
    split_sizes,
    splits_of,
    years,
)

from made_figures import made_figure

CT, XRAY, PET, CHEST = "C0040405", "C1306645", "C0032743", "C0817096"
NAMES = {"C0000001": "Cyst", "C0000002": "Stent", "C0000666": "Secret finding"}


def figure(pmcid: str = "PMC1", split: str = "train", **values: Any) -> Figure:
    return made_figure(pmcid, split=split, **values)


def sized(width: int, height: int) -> Figure:
    return figure(image=ImageFacts(sha256="", pixels="", perceptual=None, width=width, height=height))


def full(distribution: Any) -> dict[str, int]:
    return {item.words: item.number for item in distribution.bins if item.number}


def dataset() -> list[Figure]:
    """Return figures of three splits; what the held-out ones hold stands nowhere else."""
    image = ImageFacts(sha256="", pixels="", perceptual=None, width=640, height=480)
    shared = {"image": image, "english": 1.0, "licence": "CC BY", "year": 2019, "caption": "A chest image"}
    train = [figure(f"PMC10{i}", automatic=("C0000001",), manual=(CT,), **shared) for i in range(60)]
    valid = [figure(f"PMC20{i}", "valid", manual=(CT,), **shared) for i in range(60)]
    secret = {**shared, "licence": "CC BY-NC", "year": 2003, "caption": "Word " * 70}
    secret["image"] = replace(image, width=5000)
    test = [
        figure(f"PMC77{i}", "test", automatic=("C0000666",), manual=(PET,), doi="10.1/s", **secret)
        for i in range(57)
    ]
    return [*train, *valid, *test]


COUNTS = [
    StageCount(
        stage="figures",
        title="figures read",
        unit="articles",
        taken=90,
        kept=80,
        dropped=(("no figure", 10),),
    ),
    StageCount(
        stage="licence",
        title="freely licensed",
        unit="figures",
        taken=1_000_000,
        kept=177,
        dropped=(("licence not allowed", 999_000), ("third-party content", 823)),
    ),
]


def page(figures: Sequence[Figure], **options: Any) -> str:
    gates = judge(figures, COUNTS, GateOptions())
    options = {"title": "A dataset", "names": NAMES, "private": False, **options}
    return report_page(figures, COUNTS, gates, **options)


def test_licences_are_counted_the_most_frequent_first() -> None:
    of = [figure(licence="CC BY-NC"), *3 * [figure(licence="CC BY")]]
    assert licences(of) == (
        Count(name="CC BY", number=3, share=0.75),
        Count(name="CC BY-NC", number=1, share=0.25),
    )


def test_splits_come_in_their_usual_order() -> None:
    of = [figure(split=split) for split in ("extra", "test", "train", "valid", "dev")]
    assert splits_of(of) == ("train", "valid", "test", "dev", "extra")


def test_the_share_of_a_modality_is_of_its_split() -> None:
    of = [
        *3 * [figure(manual=(CT,))],
        figure(manual=(XRAY, CHEST)),
        *2 * [figure(split="test", manual=(XRAY,))],
    ]
    crossed = modalities_by_split(of)
    assert crossed.splits == ("train", "test")
    assert crossed.rows == {
        "CT": (Count(name="train", number=3, share=0.75), Count(name="test", number=0, share=0.0)),
        "X-ray": (Count(name="train", number=1, share=0.25), Count(name="test", number=2, share=1.0)),
    }
    assert crossed.totals["CT"] == Count(name="CT", number=3, share=0.5)


def test_a_split_tells_its_images_articles_concepts_and_largest_deviation() -> None:
    of = [
        figure("PMC1", manual=(CT,), automatic=("C0000001",)),
        figure("PMC1", manual=(CT,)),
        figure("PMC2", manual=(XRAY,)),
        figure("PMC3", "test", manual=(CT,)),
    ]
    train, test = split_sizes(of)
    assert (train.images, train.articles, train.concepts) == (3, 2, 3)
    # Three of four images are train: of the one X-ray 0.75 would be in proportion, of the three CT 2.25.
    assert (train.label, train.deviation, train.holders) == (XRAY, 0.25, 1)
    assert (test.label, test.deviation) == (XRAY, -0.25)


def test_different_concepts_are_counted_and_an_image_without_any_has_none() -> None:
    of = [figure(), figure(automatic=(CT,)), figure(automatic=tuple(f"C{i}" for i in range(20)))]
    seen = concepts_per_image(of)
    assert full(seen) == {"0": 1, "1": 1, "15 or more": 1}
    assert (seen.mean, seen.median, seen.low, seen.high) == (7.0, 1, 0, 20)


def test_words_are_counted_in_fives() -> None:
    of = [figure(caption=text) for text in ("CT.", "a b c d", "a b c d e", "a - b", "w " * 250)]
    seen = caption_words(of)
    assert full(seen) == {"0 to 4": 3, "5 to 9": 1, "100 or more": 1}
    assert (seen.low, seen.high, seen.known) == (1, 250, 5)


def test_the_longer_side_counts_and_undecoded_images_are_unknown() -> None:
    seen = longer_sides([sized(255, 100), sized(100, 256), sized(9000, 4096), figure()])
    assert full(seen) == {"0 to 255": 1, "256 to 511": 1, "4,096 or more": 1}
    assert (seen.known, seen.unknown) == (3, 1)


def test_years_have_no_gaps_and_early_ones_share_a_bar() -> None:
    of = [figure(year=year) for year in (1990, 2001, 2020, None)]
    seen = years(of)
    assert full(seen) == {"2001 or earlier": 2, "2020": 1}
    assert [item.label for item in seen.bins] == ["≤2001", *map(str, range(2002, 2021))]
    assert (seen.low, seen.unknown) == (1990, 1)


def test_concepts_of_equal_frequency_come_by_cui() -> None:
    of = [figure(automatic=("C2", "C1")), figure(automatic=("C3",)), figure(automatic=("C3", "C2"))]
    assert [(item.name, item.number) for item in frequent_concepts(of, 2)] == [("C2", 2), ("C3", 2)]


def test_concepts_are_counted_by_modality_with_all_images_first() -> None:
    of = [
        figure(manual=(XRAY,)),
        figure(manual=(CT,), automatic=("C0000001",)),
        figure(manual=(CT,), automatic=("C0000001", "C0000002")),
        figure(automatic=("C0000001",)),
        figure(),
    ]
    rows = concept_counts(of)
    assert [row.name for row in rows] == ["all", "CT", "X-ray", "not annotated"]
    assert rows[0] == ConceptCounts(
        name="all", images=5, assignments=7, distinct=4, single=2, manual_alone=1, without=1
    )
    assert rows[1] == ConceptCounts(
        name="CT", images=2, assignments=5, distinct=3, single=0, manual_alone=0, without=0
    )
    assert [row.mean for row in rows] == [1.4, 2.5, 1.0, 0.5]


def test_a_public_page_tells_nothing_of_held_out_figures_but_their_number() -> None:
    public = page(dataset())
    assert "This page contains only their number, 57 images" in public
    for secret in ("Secret finding", "C0000666", "Positron", "PET<", "CC BY-NC", "2003", "5,000", "70 words"):
        assert secret not in public, secret


def test_a_public_page_changes_with_nothing_of_the_held_out_figures_but_their_number() -> None:
    of = dataset()
    others = [
        figure(each.pmcid, "test", manual=(XRAY,), caption="x", english=0.0, licence="CC0", year=1999)
        if each.assignment.split == "test"
        else each
        for each in of
    ]
    assert page(of) == page(others)
    assert page(of) != page(of[:-1])


def test_gates_over_held_out_figures_are_withheld_in_public_alone() -> None:
    of = dataset()
    assert page(of).count(">withheld</td><td") == 3 + 2
    assert page(of, private=True).count("withheld") == 0
    assert page(of, held_out="").count("withheld") == 0


def test_a_private_page_tells_all_splits_and_says_that_it_holds_the_truth() -> None:
    private = page(dataset(), private=True)
    assert "Holds the truth" in private
    assert "Secret finding" in private
    assert "CC BY-NC" in private


def test_a_dataset_without_a_held_out_split_is_told_whole_and_holds_no_secret() -> None:
    whole = page(dataset(), held_out="")
    assert "Secret finding" in whole
    assert "Holds the truth" not in whole
    assert "held out" not in whole


@pytest.mark.parametrize("private", [False, True])
def test_no_page_names_an_article(*, private: bool) -> None:
    text = page(dataset(), private=private)
    assert re.findall(r"PMC\d+|10\.1/s", text) == []


def test_names_and_titles_are_text() -> None:
    hostile = '<script>alert(1)</script>"&\u202e'
    text = page(dataset(), title=hostile, names={**NAMES, "C0000001": hostile})
    assert "<script" not in text
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3  # title, heading, concept


def test_the_policy_allows_the_pages_own_style_and_nothing_to_run() -> None:
    text = page(dataset())
    assert "default-src 'none'; style-src &#39;sha256-" in text.replace("&#39;none&#39;", "'none'")
    assert re.findall(r"<script|style=|https?://", text) == []


def test_stages_show_what_they_took_dropped_and_kept_with_reasons() -> None:
    text = page(dataset())
    row = (
        '<td class="num">1,000,000</td><td class="num">999,823</td><td class="num strong">177</td>'
        '<td class="num">&lt; 0.1 %</td>'
    )
    assert row in text
    assert '<bdi>third-party content</bdi></th><td class="num">823</td>' in text
    assert text.count("on a logarithmic scale") == 1


def test_an_empty_dataset_has_a_page() -> None:
    text = report_page([], [], (), title="Empty", names={}, private=False)
    assert "No stage was counted." in text
    assert "No gate was judged." in text
    assert "nan" not in text.lower()
