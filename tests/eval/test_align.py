from __future__ import annotations

import numpy as np
import pytest

from rocov2_eval.align import align, common_concepts, concept_sets, ragged, renamed, select
from rocov2_eval.records import ConceptSets


def as_sets(sets: ConceptSets) -> list[set[str]]:
    return [
        {sets.vocabulary[code] for code in sets.codes[start:stop]}
        for start, stop in zip(sets.offsets[:-1], sets.offsets[1:], strict=True)
    ]


def test_cells_come_in_the_order_of_the_truth() -> None:
    expected = ["1", "2", "3"]

    assert expected == align(["c", "a", "b"], ["3", "1", "2"], ["a", "b", "c"]).cells


def test_an_image_without_a_row_has_no_cell_and_is_not_present() -> None:
    aligned = align(["b"], ["2"], ["a", "b"])

    expected = [None, "2"], [False, True]
    assert expected == (aligned.cells, aligned.present.tolist())


def test_an_image_with_an_id_alone_is_present() -> None:
    aligned = align(["b", "a"], ["2", None], ["a", "b"])

    expected = [None, "2"], [True, True]
    assert expected == (aligned.cells, aligned.present.tolist())


def test_the_first_of_two_rows_of_an_image_counts() -> None:
    expected = ["1", "2"]

    assert expected == align(["a", "b", "a"], ["1", "2", "9"], ["a", "b"]).cells


def test_rows_of_unknown_images_are_left_out() -> None:
    expected = ["1"]

    assert expected == align(["z", "a"], ["9", "1"], ["a"]).cells


def test_aligning_does_not_hand_out_the_list_it_was_given() -> None:
    cells: list[str | None] = ["1"]

    assert align(["a"], cells, ["a"]).cells is not cells


def test_ids_and_cells_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="2 ids, but 1 cells"):
        align(["a", "b"], ["1"], ["a", "c"])


def test_cells_split_at_semicolons_as_they_stand() -> None:
    split = ragged(["C1; C2", "", None, "C1;"])

    expected = [0, 0, 1, 3, 3], ["C1", " C2", "", "C1", ""], [2, 1, 0, 2]
    texts = [split.vocabulary[code] for code in split.codes]
    assert expected == (split.rows.tolist(), texts, split.counts.tolist())


def test_renaming_keeps_occurrences_that_become_equal() -> None:
    split = renamed(ragged(["C1;c1"]), str.upper)

    expected = ["C1", "C1"]
    assert expected == [split.vocabulary[code] for code in split.codes]


def test_concepts_become_upper_case_sets_without_blanks() -> None:
    (sets,) = concept_sets([" c1 ;C2;C1", "C2"])

    expected = [{"C1", "C2"}, {"C2"}]
    assert expected == as_sets(sets)


def test_blanks_stay_where_the_edition_keeps_them() -> None:
    (sets,) = concept_sets([" c1;C1"], strip=False)

    expected = [{" C1", "C1"}]
    assert expected == as_sets(sets)


def test_an_empty_cell_is_the_set_of_the_empty_string_and_no_cell_is_the_empty_set() -> None:
    (sets,) = concept_sets(["", None, "C1;"])

    expected = [{""}, set(), {"C1", ""}]
    assert expected == as_sets(sets)


def test_columns_share_one_vocabulary() -> None:
    first, second = concept_sets(["C1", "C2"], ["C3", "C1"])

    assert first.vocabulary == second.vocabulary


def test_codes_increase_within_an_image() -> None:
    (sets,) = concept_sets(["C3;C1;C2;C3", "C2;C1"])

    steps = [np.diff(sets.codes[i:j]) for i, j in zip(sets.offsets, sets.offsets[1:], strict=False)]
    assert all((step > 0).all() for step in steps)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        concept_sets(["C1"], ["C1", "C2"])


def test_columns_without_images_are_empty_sets() -> None:
    expected = [0, 0]

    assert expected == [len(sets) for sets in concept_sets([], [])]


def test_selecting_keeps_only_the_named_concepts() -> None:
    (sets,) = concept_sets(["C1;C2", "C3", "C2"])

    expected = [{"C2"}, set(), {"C2"}]
    assert expected == as_sets(select(sets, ["C2", "C9"]))


def test_common_concepts_name_image_and_concept() -> None:
    first, second = concept_sets(["C1;C2", "C3", ""], ["C2;C1", "C4", ""])

    images, codes = common_concepts(first, second)

    expected = {(0, "C1"), (0, "C2"), (2, "")}
    names = [first.vocabulary[code] for code in codes]
    assert expected == set(zip(images.tolist(), names, strict=True))


def test_sets_over_different_vocabularies_are_refused() -> None:
    (first,), (second,) = concept_sets(["C1"]), concept_sets(["C2"])

    with pytest.raises(ValueError, match="vocabular"):
        common_concepts(first, second)


def test_sets_of_different_number_are_refused() -> None:
    (first,), (second,) = concept_sets(["C1"]), concept_sets(["C1", "C1"])

    with pytest.raises(ValueError, match="1 candidates, but 2 references"):
        common_concepts(first, second)
