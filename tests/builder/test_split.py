from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.stages.split import Member, SplitOptions, divide
from rocov2_eval.errors import RejectedInput, UsageFault

SHARES = {"train": 0.75, "valid": 0.125, "test": 0.125}
OPTIONS = SplitOptions(shares=SHARES, seed=7)
SEVERAL = settings(max_examples=60, deadline=None)

articles = st.sampled_from([f"PMC{i}" for i in range(12)])
labels = st.lists(st.sampled_from(["CT", "MRI", "X-ray", "chest"]), max_size=3).map(tuple)
datasets = st.lists(st.tuples(articles, labels), min_size=1, max_size=60).map(
    lambda rows: [
        Member(image_id=f"image_{i:03d}", article=article, labels=held)
        for i, (article, held) in enumerate(rows)
    ]
)


def members(*articles: str, labels: tuple[str, ...] = ()) -> list[Member]:
    return [
        Member(image_id=f"image_{i:03d}", article=article, labels=labels)
        for i, article in enumerate(articles)
    ]


def splits_of_articles(splits: Mapping[str, str], images: Sequence[Member]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for member in images:
        if member.image_id in splits:
            found[member.article].add(splits[member.image_id])
    return found


def deviations(splits: Mapping[str, str], images: Sequence[Member]) -> dict[tuple[str, str], float]:
    """Return by label and split the images beyond what is in proportion, as a share of all with the label."""
    totals = Counter(label for member in images for label in set(member.labels))
    held = Counter((label, splits[each.image_id]) for each in images for label in set(each.labels))
    return {
        (label, name): held[label, name] / total - share
        for label, total in totals.items()
        for name, share in SHARES.items()
    }


@SEVERAL
@given(images=datasets)
def test_every_image_gets_one_split(images: list[Member]) -> None:
    assert [member.image_id for member in images] == list(divide(images, OPTIONS))


@SEVERAL
@given(images=datasets)
def test_no_article_is_in_two_splits(images: list[Member]) -> None:
    found = splits_of_articles(divide(images, OPTIONS), images)
    assert [article for article, splits in found.items() if len(splits) > 1] == []


@SEVERAL
@given(images=datasets, links=st.lists(st.tuples(articles, articles), max_size=4))
def test_no_linked_articles_are_in_two_splits(images: list[Member], links: list[tuple[str, str]]) -> None:
    found = splits_of_articles(divide(images, OPTIONS, linked_articles=links), images)
    torn = [
        link for link in links if all(found[article] for article in link) and found[link[0]] != found[link[1]]
    ]
    assert torn == []


def test_articles_that_a_chain_of_pictures_connects_stay_together() -> None:
    images = members(*(f"PMC{i}" for i in range(40)))
    chain = [(f"PMC{i}", f"PMC{i + 1}") for i in range(19)]
    splits = divide(images, SplitOptions(shares={"train": 0.5, "test": 0.5}), linked_articles=chain)
    assert len({splits[f"image_{i:03d}"] for i in range(20)}) == 1
    assert Counter(splits.values()) == {"train": 20, "test": 20}


@SEVERAL
@given(images=datasets)
def test_no_split_ends_more_than_one_group_above_its_size(images: list[Member]) -> None:
    sizes = Counter(divide(images, OPTIONS).values())
    largest = max(Counter(member.article for member in images).values())
    above = [name for name, share in SHARES.items() if sizes[name] >= share * len(images) + largest]
    assert above == []


@SEVERAL
@given(images=datasets)
def test_no_split_ends_further_below_its_size_than_the_others_can_take(images: list[Member]) -> None:
    sizes = Counter(divide(images, OPTIONS).values())
    largest = max(Counter(member.article for member in images).values())
    below = [name for name, share in SHARES.items() if sizes[name] < share * len(images) - 2 * largest]
    assert below == []


@SEVERAL
@given(images=datasets, seed=st.integers(0, 1 << 40))
def test_the_same_seed_gives_the_same_splits_in_any_order(images: list[Member], seed: int) -> None:
    options = SplitOptions(shares=SHARES, seed=seed)
    shuffled = random.Random(seed).sample(images, len(images))
    assert divide(images, options) == divide(shuffled, options)


def test_another_seed_gives_other_splits() -> None:
    images = members(*(f"PMC{i}" for i in range(200)), labels=("CT",))
    assert divide(images, OPTIONS) != divide(images, SplitOptions(shares=SHARES, seed=8))


@SEVERAL
@given(images=datasets, data=st.data())
def test_a_fixed_image_keeps_its_split(images: list[Member], data: st.DataObject) -> None:
    fixed = data.draw(
        st.dictionaries(
            st.sampled_from([member.image_id for member in images]), st.sampled_from(list(SHARES))
        )
    )
    splits = divide(images, OPTIONS, fixed=fixed)
    assert fixed == {image_id: splits[image_id] for image_id in fixed}


@SEVERAL
@given(images=datasets, data=st.data())
def test_only_new_images_of_articles_that_are_torn_already_have_no_split(
    images: list[Member], data: st.DataObject
) -> None:
    fixed = data.draw(
        st.dictionaries(
            st.sampled_from([member.image_id for member in images]), st.sampled_from(list(SHARES))
        )
    )
    splits = divide(images, OPTIONS, fixed=fixed)
    torn = {article for article, held in splits_of_articles(fixed, images).items() if len(held) > 1}
    left_out = {each.image_id for each in images if each.article in torn and each.image_id not in fixed}
    assert left_out == {each.image_id for each in images} - splits.keys()


@SEVERAL
@given(images=datasets, share=st.floats(0, 1))
def test_a_growing_dataset_never_moves_an_image(images: list[Member], share: float) -> None:
    early = images[: max(1, int(share * len(images)))]
    before = divide(early, OPTIONS)
    after = divide(images, OPTIONS, fixed=before)
    assert before == {image_id: after[image_id] for image_id in before}
    assert [held for held in splits_of_articles(after, images).values() if len(held) > 1] == []


def test_new_images_of_a_group_that_is_fixed_in_two_splits_have_none() -> None:
    images = members("PMC1", "PMC1", "PMC1", "PMC2")
    fixed = {"image_000": "train", "image_001": "test"}
    assert fixed | {"image_003": "train"} == divide(images, OPTIONS, fixed=fixed)


def test_a_new_near_duplicate_between_fixed_articles_moves_none_of_them() -> None:
    fixed = {"image_000": "train", "image_001": "valid"}
    links = [("PMC1", "PMC2")]
    assert fixed == divide(members("PMC1", "PMC2"), OPTIONS, fixed=fixed, linked_articles=links)


def test_linked_articles_stay_together_even_by_way_of_one_without_images() -> None:
    images = members("PMC1", "PMC2", "PMC3")
    options = SplitOptions(shares={"train": 1, "test": 2})
    splits = divide(images, options, linked_articles=[("PMC1", "gone"), ("gone", "PMC3")])
    assert splits == {"image_000": "test", "image_001": "train", "image_002": "test"}


def test_an_image_without_an_article_stands_for_itself() -> None:
    splits = divide(members(*[""] * 8), SplitOptions(shares={"train": 4, "test": 4}))
    assert Counter(splits.values()) == {"train": 4, "test": 4}


def test_the_fullest_group_of_the_rarest_label_goes_where_most_is_lacking() -> None:
    rare = [
        Member(image_id=f"rare_{i}", article=article, labels=("PET",)) for i, article in enumerate("aaabbc")
    ]
    common = [Member(image_id=f"x_{i:02d}", article=f"x{i}", labels=("CT",)) for i in range(24)]
    splits = divide([*common, *rare], SplitOptions(shares={"train": 0.5, "test": 0.5}))
    assert Counter(splits[member.image_id] for member in rare) == {"train": 3, "test": 3}
    assert Counter(splits[member.image_id] for member in common) == {"train": 12, "test": 12}


def test_images_without_a_label_are_kept_in_proportion_too() -> None:
    images = [
        Member(image_id=f"image_{i:03d}", article=f"PMC{i}", labels=("CT",) if i % 2 else ())
        for i in range(80)
    ]
    splits = divide(images, OPTIONS)
    bare = Counter(splits[member.image_id] for member in images if not member.labels)
    assert bare == {"train": 30, "valid": 5, "test": 5}


@pytest.mark.parametrize(
    ("shares", "sizes"),
    [
        ({"train": "rest", "test": 3}, {"train": 7, "test": 3}),
        ({"train": "rest", "test": 0.2}, {"train": 8, "test": 2}),
        ({"train": 6, "test": 4}, {"train": 6, "test": 4}),
        ({"train": 1.0}, {"train": 10}),
        ({"train": 10, "test": 0}, {"train": 10, "test": 0}),
    ],
)
def test_sizes_fractions_and_the_rest_are_met(shares: Mapping[str, float], sizes: dict[str, int]) -> None:
    images = members(*(f"PMC{i}" for i in range(10)))
    assert Counter(sizes) == Counter(divide(images, SplitOptions(shares=shares)).values())


@pytest.mark.parametrize(
    "shares",
    [
        {"train": 9, "test": 2},
        {"train": 4, "test": 4},
        {"train": 0.5, "test": 0.4},
        {"test": 11, "train": "rest"},
    ],
)
def test_shares_that_do_not_add_up_are_refused(shares: Mapping[str, float]) -> None:
    with pytest.raises(UsageFault, match="the dataset has 10; give one split 'rest'"):
        divide(members(*"abcdefghij"), SplitOptions(shares=shares))


def test_a_repeated_image_id_is_refused() -> None:
    with pytest.raises(RejectedInput, match="'image_000' occurs 2 times"):
        divide([*members("a"), *members("b")], OPTIONS)


def test_an_image_fixed_in_an_unknown_split_is_refused() -> None:
    with pytest.raises(RejectedInput, match="the split 'validation', expected one of train, valid, test"):
        divide(members("a"), OPTIONS, fixed={"image_000": "validation"})


@pytest.mark.slow
def test_eighty_thousand_images_keep_articles_whole_and_labels_in_proportion_in_seconds() -> None:
    chance = random.Random(3)
    modalities = {
        "CT": 28320,
        "XR": 21600,
        "US": 11840,
        "MR": 11280,
        "AG": 3300,
        "": 2700,
        "PET": 840,
        "OCT": 99,
    }
    kinds = chance.choices(list(modalities), list(modalities.values()), k=47_000)
    images = []
    for i in range(80_000):
        article = i if i < 47_000 else int(47_000 * chance.random() ** 2)
        held = [kinds[article]] if kinds[article] else []
        if held == ["XR"]:
            held += chance.choices([f"region {n}" for n in range(8)], [36, 16, 14, 10, 7, 6, 5, 1])
            held += chance.choices([f"view {n}" for n in range(5)], [46, 16, 10, 2, 0.5])
        images.append(Member(image_id=f"i{i}", article=f"PMC{article}", labels=tuple(held)))
    start = time.perf_counter()
    splits = divide(images, OPTIONS)
    took = time.perf_counter() - start
    assert [held for held in splits_of_articles(splits, images).values() if len(held) > 1] == []
    found = deviations(splits, images)
    assert len({label for label, _ in found}) == 20
    assert max(map(abs, found.values())) <= 0.02
    assert took < 5
