from __future__ import annotations

import random

import pytest

from rocov2_eval.align import concept_sets
from rocov2_eval.concept_errors import ConceptCount, ConceptErrors, concept_errors


def errors_of(run: list[str | None], truth: list[str | None], **options: int) -> ConceptErrors:
    return concept_errors(*concept_sets(run, truth), {"C1": "Chest"}, **options)


def random_cells(seed: int, images: int = 60) -> list[str | None]:
    generator = random.Random(seed)
    names = [f"C{i}" for i in range(12)]
    return [";".join(generator.sample(names, generator.randint(1, 5))) for _ in range(images)]


def test_micro_f1_counts_pairs_of_image_and_concept() -> None:
    found = errors_of(["C1;C2", "C3"], ["C1", "C3;C4"])

    assert pytest.approx(2 * 2 / (3 + 3)) == found.micro_f1


def test_macro_f1_is_the_mean_over_the_concepts_of_run_and_truth() -> None:
    found = errors_of(["C1;C2", "C1"], ["C1", "C3"])

    assert pytest.approx((2 / 3 + 0 + 0) / 3) == found.macro_f1


def test_missed_concepts_are_counted_against_the_truth() -> None:
    expected = (
        ConceptCount(cui="C1", name="Chest", images=2, of=3),
        ConceptCount(cui="C2", name=None, images=1, of=1),
    )

    assert expected == errors_of(["C1", "C3", "C3"], ["C1;C2", "C1", "C1;C3"]).missed


def test_invented_concepts_are_counted_against_the_run() -> None:
    expected = (
        ConceptCount(cui="C9", name=None, images=2, of=2),
        ConceptCount(cui="C1", name="Chest", images=1, of=2),
    )

    assert expected == errors_of(["C1;C9", "C1;C9"], ["C1", "C2"]).invented


def test_equal_counts_are_ordered_by_concept() -> None:
    expected = ["C1", "C10", "C2"]

    assert expected == [count.cui for count in errors_of(["C3"], ["C2;C10;C1"]).missed]


def test_the_lists_are_bounded() -> None:
    expected = (2, 2)

    found = errors_of(["C1;C2;C3"], ["C4;C5;C6"], most=2)

    assert expected == (len(found.missed), len(found.invented))


def test_a_perfect_run_has_no_errors() -> None:
    expected = ConceptErrors(micro_f1=1.0, macro_f1=1.0, missed=(), invented=())

    assert expected == errors_of(["C1;C2", "C3"], ["C2;C1", "C3"])


def test_the_empty_string_is_no_label() -> None:
    expected = ConceptErrors(micro_f1=1.0, macro_f1=1.0, missed=(), invented=())

    assert expected == errors_of(["C1;", ""], ["C1", None])


@pytest.mark.parametrize("cells", [[""], [None], []])
def test_without_labels_there_is_no_f1(cells: list[str | None]) -> None:
    expected = ConceptErrors(micro_f1=None, macro_f1=None, missed=(), invented=())

    assert expected == errors_of(cells, cells)


@pytest.mark.parity
@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("seed", range(5))
def test_f1_is_that_of_scikit_learn_on_the_binarised_matrix(average: str, seed: int) -> None:
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    run, truth = random_cells(2 * seed), random_cells(2 * seed + 1)
    split = [[str(cell).split(";") for cell in cells] for cells in (truth, run)]
    binarizer = MultiLabelBinarizer().fit(split[0] + split[1])
    expected = f1_score(*map(binarizer.transform, split), average=average)

    assert pytest.approx(expected, abs=1e-12) == getattr(errors_of(run, truth), f"{average}_f1")
