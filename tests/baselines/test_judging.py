"""The arithmetic of experiments, on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.experiments.arms import modality_of
from baselines.experiments.judging import (
    DIFFERENCES,
    against_others,
    classified,
    first_answers,
    mean_of,
    single_classes,
)
from rocov2_eval.breakdown import NOT_ANNOTATED, SEVERAL_MODALITIES

CT, XRAY, MRI, PET = "C0040405", "C1306645", "C0024485", "C0032743"
CLASSES = (CT, XRAY, MRI)


def test_the_spread_of_seeds_widens_an_interval() -> None:
    image = np.random.default_rng(1).normal(0, 0.1, 200)
    alike = mean_of(np.stack([image] * 3), None, DIFFERENCES)
    apart = mean_of(np.stack([image - 0.1, image, image + 0.1]), None, DIFFERENCES)

    assert alike.interval is not None
    assert apart.interval is not None
    assert pytest.approx(apart.mean) == alike.mean
    student = 4.303 * 0.1 / np.sqrt(3)  # 3 seeds, standard deviation 0.1
    assert (
        pytest.approx(np.hypot(alike.mean - alike.interval.low, student)) == apart.mean - apart.interval.low
    )
    assert pytest.approx((-0.1, 0, 0.1), abs=0.02) == apart.seeds


@pytest.mark.parametrize("chance_of_training", [0.0, 0.03])
def test_a_difference_that_is_none_is_found_no_more_often_than_the_level_says(
    chance_of_training: float,
) -> None:
    generator = np.random.default_rng(1)
    articles = np.repeat(np.arange(60), 2)
    found = 0
    for _ in range(200):
        shared = np.repeat(generator.normal(0, 0.2, 60), 2) + generator.normal(0, 0.2, 120)
        seeds = generator.normal(0, chance_of_training, (3, 1))
        found += mean_of(shared + seeds, articles, DIFFERENCES).is_found

    assert found / 200 < 0.08  # 5 % and what 200 trials leave open


def test_an_interval_ends_where_scores_end() -> None:
    scores = np.array([[1.0, 0.9], [0.2, 0.4], [0.9, 0.8]])
    ends = mean_of(scores, None).interval

    assert ends is not None
    assert (ends.low, ends.high) == (0.0, 1.0)


def test_a_group_that_is_worse_is_found_beside_groups_that_are_not() -> None:
    generator = np.random.default_rng(3)
    groups = ["CT", "MRI", "PET", "X-ray"] * 50
    scores = generator.uniform(0.4, 0.6, (1, 200)) - 0.2 * np.array([group == "PET" for group in groups])
    found = against_others(scores, groups, None)

    assert pytest.approx(-0.2, abs=0.02) == found["PET"].mean
    assert found["PET"].is_found
    assert against_others(scores, ["CT"] * 200, None) == {}


def test_a_group_of_one_article_has_no_interval() -> None:
    scores = np.array([[0.1, 0.2, 0.6, 0.7, 0.8]])
    found = against_others(scores, ["PET", "PET", "CT", "CT", "CT"], np.array([0, 0, 1, 2, 3]))

    assert found["PET"].interval is None
    assert not found["PET"].is_found


def test_the_first_answer_is_the_modality_and_the_confusion_counts_it() -> None:
    truth = single_classes([(CT,), (XRAY,), (MRI,), (CT, XRAY), ()], CLASSES)
    answers = first_answers([[f"{CT};{XRAY}", CT, "", CT, CT]], CLASSES)
    assert (truth.tolist(), answers.tolist()) == ([0, 1, 2, -1, -1], [[0, 0, -1, 0, 0]])

    judged = truth >= 0
    hits = (answers[:, judged] == truth[judged]).astype(float)
    result = classified(answers[:, judged], truth[judged], CLASSES, mean_of(hits, None))
    assert result.confusion.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert result.accuracy.mean == pytest.approx(1 / 3)
    assert result.macro_f1 == pytest.approx((2 / 3 + 0 + 0) / 3)


@pytest.mark.parametrize(
    ("manual", "concepts", "expected"),
    [
        ((CT,), (CT, "C1"), "CT"),
        ((CT,), (CT, XRAY), "CT"),
        ((CT, PET), (CT, PET), SEVERAL_MODALITIES),
        ((), (CT, PET, "C1"), SEVERAL_MODALITIES),
        ((), (CT, "C1"), NOT_ANNOTATED),
        ((), (), NOT_ANNOTATED),
    ],
)
def test_several_modalities_are_told_from_none(
    manual: tuple[str, ...], concepts: tuple[str, ...], expected: str
) -> None:
    assert modality_of(manual, concepts) == expected
