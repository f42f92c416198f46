from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.study.audit_sample import AuditedImage, Key, allocate, draw, read_images, read_types
from rocov2_eval.errors import RejectedInput, UsageFault

from made_audit import population

IMAGES, TYPES = population()
BY_ID = {image.image_id: image for image in IMAGES}


def sample(*, n: int = 200, missed: int = 40, seed: int = 7) -> Key:
    return draw(IMAGES, TYPES, n=n, missed=missed, seed=seed)


KEY = sample()


def test_the_same_seed_draws_the_same_sample_in_whatever_order_the_images_come() -> None:
    assert draw(IMAGES[::-1], TYPES, n=200, missed=40, seed=7) == KEY != sample(seed=8)


def test_automatic_concepts_are_those_of_their_image_and_stand_once() -> None:
    pairs = {(item.image, item.cui) for item in KEY.of_kind("automatic")}
    assert len(pairs) == len(KEY.of_kind("automatic")) == 200
    assert all(cui in BY_ID[image].automatic for image, cui in pairs)


def test_decoys_are_a_fifth_of_what_raters_see_and_no_concept_of_their_image() -> None:
    pairs = {(item.image, item.cui) for item in KEY.of_kind("decoy")}
    assert len(pairs) == len(KEY.of_kind("decoy")) == 50
    assert not any(cui in BY_ID[image].automatic for image, cui in pairs)


def test_decoys_are_of_the_types_of_the_automatic_concepts_in_proportion() -> None:
    automatic, decoys = (Counter(item.type for item in KEY.of_kind(kind)) for kind in ("automatic", "decoy"))
    assert all(abs(decoys[name] - number / 4) < 1 for name, number in automatic.items())


def test_where_every_image_has_the_concept_there_are_no_decoys() -> None:
    images = [AuditedImage(image_id=f"i{n}", automatic=("C0000001",)) for n in range(30)]
    assert not draw(images, {}, n=10, missed=0, seed=0).of_kind("decoy")


def test_images_that_are_searched_have_no_concept_among_the_others() -> None:
    missed = {item.image for item in KEY.of_kind("missed")}
    assert len(missed) == 40
    assert not missed & {item.image for item in KEY.items if item.kind != "missed"}


def test_the_key_has_the_numbers_of_the_whole_dataset_and_of_each_searched_image() -> None:
    assert KEY.population == Counter(TYPES[cui] for image in IMAGES for cui in image.automatic)
    for item in KEY.of_kind("missed"):
        assert item.automatic == Counter(TYPES[cui] for cui in BY_ID[item.image].automatic)


def test_ids_tell_no_kind() -> None:
    # Items in order of their ids: if these told anything, kinds would stand together more than by chance.
    kinds = [item.kind == "decoy" for item in KEY.items]
    together = sum(first == second for first, second in pairwise(kinds))
    share = sum(kinds) / len(kinds)
    assert abs(together - len(kinds) * (share**2 + (1 - share) ** 2)) < 4 * np.sqrt(len(kinds) * 0.25)


def test_concepts_of_decoys_are_as_frequent_as_those_of_automatic_ones() -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(30):
        for item in sample(seed=seed).items:
            if item.type == "T023":
                counts[item.kind][item.cui] += 1
    shares = {
        kind: np.array([counts[kind][cui] / counts[kind].total() for cui in sorted(TYPES)])
        for kind in ("automatic", "decoy")
    }
    assert np.abs(shares["automatic"] - shares["decoy"]).sum() / 2 < 0.12


@pytest.mark.parametrize(
    ("types", "missed", "message"),
    [(TYPES, 600, "leave none of 600 for the concepts"), ({}, 40, "name a table of types with --types")],
)
def test_what_cannot_be_drawn_is_refused(types: dict[str, str], missed: int, message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        draw(IMAGES, types, n=200, missed=missed, seed=0)


SIZES = st.dictionaries(
    st.sampled_from([f"T{number:03d}" for number in range(30)]), st.integers(0, 500), min_size=1
)


@given(SIZES, st.integers(0, 3000), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_an_allocation_keeps_its_bounds(sizes: dict[str, int], total: int, least: int) -> None:
    drawn = allocate(sizes, total, least)
    assert sum(drawn.values()) == min(total, sum(sizes.values()))
    lowest = min(least, total // len(sizes))
    assert all(min(size, lowest) <= drawn[name] <= size for name, size in sizes.items())


def test_a_concept_of_several_types_counts_under_the_first(tmp_path: Path) -> None:
    path = tmp_path / "mentions.csv"
    row = "0,4,cyst,C0010709,Cyst,T190;T047,1,\n"
    path.write_text(f"ID,start,end,text,cui,name,types,accuracy,removed\na,{row}b,{row}", encoding="utf-8")
    assert read_types(path) == ({"C0010709": "T047"}, {"C0010709": "Cyst"})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("cui,types\nC0000001,T047\nC0000001,T023\n", "types.csv:3: C0000001 is of type T023, above of T047"),
        ("cui,types\nheart,T047\n", "types.csv:2: 'heart' is no CUI"),
        ("cui,types\nC0000001,organ\n", "types.csv:2: 'organ' is no semantic type"),
        ("cui,name\nC0000001,x\n", "types.csv:1: no column types"),
    ],
)
def test_broken_tables_of_types_are_rejected_with_their_line(
    tmp_path: Path, lines: str, message: str
) -> None:
    path = tmp_path / "types.csv"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(RejectedInput, match=message):
        read_types(path)


@pytest.mark.parametrize(
    ("concepts", "manual", "message"),
    [
        ("a,C0000001\nb,C0000001\n", "a,\n", r"train_concepts_manual\.csv: no row of 1 image .*, such as b"),
        ("a,C0000001\na,C0000001\n", "a,\n", r"train_concepts\.csv:3: a occurs twice"),
        ("a,heart\n", "a,\n", r"train_concepts\.csv:2: 'heart' is no CUI"),
        (",C0000001\n", "a,\n", r"train_concepts\.csv:2: a row without an image id"),
    ],
)
def test_broken_tables_of_concepts_are_rejected(
    tmp_path: Path, concepts: str, manual: str, message: str
) -> None:
    (tmp_path / "train_concepts.csv").write_text(f"ID,CUIs\n{concepts}", encoding="utf-8")
    (tmp_path / "train_concepts_manual.csv").write_text(f"ID,CUIs\n{manual}", encoding="utf-8")
    with pytest.raises(RejectedInput, match=message):
        read_images(tmp_path)
