from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.audit.population import AuditedImage
from dataset_builder.audit.questions import assign
from dataset_builder.audit.sampling import Item, SampleOptions, draw_sample
from dataset_builder.audit.strata import Stratum, allocate
from rocov2_eval.errors import UsageFault

sys.path.insert(0, str(Path(__file__).parent))
from made_audit import population

FEW = SampleOptions(concepts=200, least=5, images=40, seed=7)


IMAGES, CONCEPTS = population()
BY_ID = {image.image_id: image for image in IMAGES}


def held(item: Item) -> tuple[str, ...]:
    return BY_ID[item.image].automatic


def test_the_same_seed_draws_the_same_sample_in_whatever_order_the_images_come() -> None:
    assert draw_sample(IMAGES, CONCEPTS, FEW) == draw_sample(IMAGES[::-1], CONCEPTS, FEW)


def test_another_seed_draws_another_sample() -> None:
    assert draw_sample(IMAGES, CONCEPTS, FEW) != draw_sample(IMAGES, CONCEPTS, replace(FEW, seed=8))


def test_automatic_concepts_are_those_of_their_image_and_stand_once() -> None:
    automatic = draw_sample(IMAGES, CONCEPTS, FEW).of_kind("automatic")
    assert len(automatic) == 200
    assert len({(item.image, item.cui) for item in automatic}) == 200
    assert all(item.cui in held(item) for item in automatic)


def test_decoys_are_a_share_of_what_raters_see_and_no_concept_of_their_image() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, FEW)
    decoys = sample.of_kind("decoy")
    assert len(decoys) == 50
    assert sample.decoys_short == 0
    assert not any(item.cui in held(item) for item in decoys)


def test_decoys_are_of_the_types_of_the_automatic_concepts_in_proportion() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, FEW)
    automatic = Counter(item.stratum for item in sample.of_kind("automatic"))
    decoys = Counter(item.stratum for item in sample.of_kind("decoy"))
    assert all(abs(decoys[stratum] - number / 4) < 1 for stratum, number in automatic.items())


def test_a_decoy_that_cannot_be_had_is_told() -> None:
    images = [AuditedImage(image_id=f"i{n}", automatic=("C0000001",)) for n in range(30)]
    sample = draw_sample(images, {}, SampleOptions(concepts=10, images=0, least=1))
    assert (len(sample.of_kind("decoy")), sample.decoys_short) == (0, 2)


def test_where_all_images_of_a_stratum_have_the_concept_the_decoy_is_on_another_image() -> None:
    images = [AuditedImage(image_id=f"i{n}", automatic=(("C0000001",) if n < 9 else ())) for n in range(10)]
    (decoy,) = draw_sample(images, {}, SampleOptions(concepts=4, images=0, least=1)).of_kind("decoy")
    assert (decoy.image, decoy.cui) == ("i9", "C0000001")


def test_images_for_missed_concepts_have_no_concept_among_the_others() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, FEW)
    missed = {item.image for item in sample.of_kind("missed")}
    assert len(missed) == 40
    assert not missed & {item.image for item in sample.items if item.kind in ("automatic", "decoy")}


def test_the_population_of_a_stratum_counts_images_for_missed_concepts_too() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, FEW)
    of = Counter(CONCEPTS[cui].type for image in IMAGES for cui in image.automatic)
    assert {item.types[0]: item.population for item in sample.of_kind("automatic")} == dict(of)


def test_a_stratum_of_which_nothing_can_be_drawn_is_named() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, replace(FEW, concepts=3, least=0))
    drawn = {item.types[0] for item in sample.of_kind("automatic")}
    assert {item.types[0] for item in sample.of_kind("unseen")} == {"T023", "T047", "T037", "T074"} - drawn


def test_strata_by_modality_hold_one_modality_each() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, replace(FEW, by_modality=True))
    assert all(BY_ID[item.image].modality == item.modality for item in sample.items if item.image)
    assert {item.modality for item in sample.items} == {"CT", "X-ray"}


def with_rare_modality(n: int) -> list[AuditedImage]:
    """Return the images with `n` more of a modality of their own."""
    rare = [replace(image, image_id=f"rare_{i}", manual=("C0032743",)) for i, image in enumerate(IMAGES[:n])]
    return [*IMAGES, *rare]


@pytest.mark.parametrize(("n", "expected"), [(30, 6), (6, 3), (1, 1)])
def test_a_rare_modality_gives_images_for_missed_concepts_and_keeps_half_of_them(
    n: int, expected: int
) -> None:
    sample = draw_sample(with_rare_modality(n), CONCEPTS, replace(FEW, least=0, by_modality=True))
    drawn = Counter(item.modality for item in sample.of_kind("missed"))
    assert (drawn["PET"], drawn.total()) == (expected, 40)


def test_a_modality_of_which_no_image_is_drawn_is_named_with_its_size() -> None:
    options = replace(FEW, least=0, by_modality=True, least_images=0)
    sample = draw_sample(with_rare_modality(3), CONCEPTS, options)
    assert [(item.modality, item.population) for item in sample.of_kind("unseen-images")] == [("PET", 3)]


def test_the_most_frequent_types_are_asked_about() -> None:
    sample = draw_sample(IMAGES, CONCEPTS, replace(FEW, asked=2))
    assert {item.types for item in sample.of_kind("missed")} == {("T023", "T047")}


def test_ids_tell_neither_kind_nor_image() -> None:
    # Ids in order of the key: if they told anything, kinds would stand together more than chance has them.
    items = draw_sample(IMAGES, CONCEPTS, FEW).items
    kinds = [item.kind == "decoy" for item in items if item.kind != "unseen"]
    together = sum(first == second for first, second in pairwise(kinds))
    share = sum(kinds) / len(kinds)
    expected = len(kinds) * (share**2 + (1 - share) ** 2)
    assert abs(together - expected) < 4 * np.sqrt(len(kinds) * 0.25)


def test_concepts_of_decoys_are_as_frequent_as_those_of_automatic_ones() -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(20):
        for item in draw_sample(IMAGES, CONCEPTS, replace(FEW, seed=seed, decoys=0.5)).items:
            if item.types[0] == "T023" and item.cui:
                counts[item.kind][item.cui] += 1
    shares = {
        kind: np.array([counts[kind][cui] / counts[kind].total() for cui in sorted(CONCEPTS)])
        for kind in ("automatic", "decoy")
    }
    assert np.abs(shares["automatic"] - shares["decoy"]).sum() / 2 < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"concepts": 10},
            "10 are too few for 5 of each of 4 strata, .* ask for 20 or more in all, or for 2 of each",
        ),
        ({"images": 600}, "leave none of 600 for the concepts"),
        ({"ask": ("T999",)}, "no automatic concept is of the type T999; there are T023, T037, T047, T074"),
    ],
)
def test_what_cannot_be_drawn_is_said(options: Mapping[str, object], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        draw_sample(IMAGES, CONCEPTS, replace(FEW, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoys": 0.6}, "decoys is 0.6, expected a share from 0 to 0.5"),
        ({"decoys": float("nan")}, "decoys is nan"),
        ({"most": 3}, "most is 3, expected at least 20"),
        ({"images": -1}, "images is -1"),
        ({"images": 0, "concepts": 0}, "neither concepts nor images"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: Mapping[str, object], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        SampleOptions(**options)  # type: ignore[arg-type]


def test_without_types_nobody_can_be_asked_for_missed_ones() -> None:
    with pytest.raises(UsageFault, match="name a table of types with --types"):
        draw_sample(IMAGES, {}, FEW)


SIZES = st.dictionaries(
    st.integers(0, 30).map(lambda number: Stratum(type=f"T{number:03d}")), st.integers(0, 500), min_size=1
)


@given(SIZES, st.integers(0, 3000), st.integers(0, 40), st.none() | st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_an_allocation_keeps_its_bounds(
    sizes: dict[Stratum, int], total: int, least: int, more: int | None
) -> None:
    most = None if more is None else least + more
    caps = {stratum: size if most is None else min(size, most) for stratum, size in sizes.items()}
    lowest = {stratum: min(cap, least) for stratum, cap in caps.items()}
    if sum(lowest.values()) > total:
        with pytest.raises(UsageFault, match="are too few"):
            allocate(sizes, total, least=least, most=most)
        return
    given_ = allocate(sizes, total, least=least, most=most)
    assert sum(given_.values()) == min(total, sum(caps.values()))
    assert all(lowest[stratum] <= given_[stratum] <= caps[stratum] for stratum in sizes)


def test_an_allocation_without_bounds_is_in_proportion() -> None:
    sizes = {Stratum(type="a"): 100, Stratum(type="b"): 300, Stratum(type="c"): 600}
    assert list(allocate(sizes, 50).values()) == [5, 15, 30]


@given(st.integers(1, 5), st.floats(0, 1), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_item_reaches_one_rater_and_the_shared_ones_all(raters: int, overlap: float, seed: int) -> None:
    items = [item for item in SAMPLE.items if item.kind in ("automatic", "decoy")]
    shares = assign(items, raters, overlap, [seed])
    seen = Counter(item.item for share in shares for item in share)
    shared = sum(number == raters for number in seen.values())
    assert seen.keys() == {item.item for item in items}
    assert set(seen.values()) <= {1, raters}
    assert raters == 1 or shared == int(np.ceil(overlap * len(items)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_raters_have_orders_of_their_own_and_decoys_alike() -> None:
    items = [item for item in SAMPLE.items if item.kind in ("automatic", "decoy")]
    first, second = assign(items, 2, 1.0, [0])
    assert set(first) == set(second)
    assert first != second
    alone = [Counter(item.kind for item in share)["decoy"] for share in assign(items, 5, 0.2, [0])]
    assert max(alone) - min(alone) <= 4  # one for each type at most


SAMPLE = draw_sample(IMAGES, CONCEPTS, FEW)
