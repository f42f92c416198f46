from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rocov2_eval import resampling
from rocov2_eval.records import FloatArray, SampleScores
from rocov2_eval.resampling import Bootstrap, interval, resampled_columns, resampled_means, resampled_parts

Draw = Callable[[int], FloatArray]

# 2,000 resamples know the spread of the means to 1/sqrt(2·2000) = 1.6 %.
MANY = Bootstrap(resamples=2000)


def scores_of(values: FloatArray) -> SampleScores:
    return SampleScores(values=values, scored=np.ones(len(values), np.bool_))


def distinct(n: int, seed: int = 1) -> FloatArray:
    """Return values that are all different, which are drawn one by one."""
    return np.random.default_rng(seed).random(n)


def repeated(n: int, seed: int = 1) -> FloatArray:
    """Return values of which few differ, which are drawn as counts."""
    return np.random.default_rng(seed).integers(0, 5, n) / 4


def ends(values: FloatArray, options: Bootstrap = MANY) -> tuple[float, float]:
    result = interval(scores_of(values), options)
    assert result is not None
    return result.low, result.high


@pytest.mark.parametrize("draw", [distinct, repeated])
def test_the_spread_of_the_means_is_sigma_over_the_root_of_n(draw: Draw) -> None:
    values = draw(400)

    expected = values.std() / math.sqrt(400)
    assert pytest.approx(expected, rel=0.06) == resampled_means(values, MANY).std()


@pytest.mark.parametrize("draw", [distinct, repeated])
def test_the_middle_of_the_means_is_the_mean(draw: Draw) -> None:
    values = draw(400)

    tolerance = 4 * values.std() / math.sqrt(400 * MANY.resamples)
    assert pytest.approx(values.mean(), abs=tolerance) == resampled_means(values, MANY).mean()


@pytest.mark.parametrize("draw", [distinct, repeated])
def test_the_interval_is_about_two_standard_errors_either_side(draw: Draw) -> None:
    values = draw(400)
    margin = 1.96 * values.std() / math.sqrt(400)

    expected = (values.mean() - margin, values.mean() + margin)
    assert pytest.approx(expected, abs=0.1 * margin) == ends(values)


def test_both_ways_of_drawing_have_the_same_distribution() -> None:
    values = repeated(300)
    jittered = values + np.linspace(0, 1e-9, len(values))  # all different, hence drawn one by one
    quantiles = [0.025, 0.25, 0.5, 0.75, 0.975]
    options = Bootstrap(resamples=8000)

    counted = np.quantile(resampled_means(values, options), quantiles)
    one_by_one = np.quantile(resampled_means(jittered, options), quantiles)

    tolerance = 0.12 * values.std() / math.sqrt(len(values))
    assert pytest.approx(counted, abs=tolerance) == one_by_one


def test_the_two_ways_of_drawing_are_both_taken() -> None:
    values = repeated(300)
    jittered = values + np.linspace(0, 1e-9, len(values))

    assert not np.allclose(resampled_means(values, MANY), resampled_means(jittered, MANY), atol=1e-6)


def test_drawing_in_several_chunks_fills_every_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    values = distinct(50)
    monkeypatch.setattr(resampling, "_CHUNK", 350)
    means = resampled_means(values, Bootstrap(resamples=101))

    expected = values.mean(), 101
    assert pytest.approx(expected, abs=0.05) == (means.mean(), np.unique(means).size)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    options = Bootstrap(resamples=300, level=0.9)
    trials = 600

    found = [ends(generator.exponential(size=120), options) for _ in range(trials)]

    covered = sum(low <= 1 <= high for low, high in found) / trials
    assert pytest.approx(0.9, abs=0.04) == covered


def test_a_higher_level_gives_a_wider_interval() -> None:
    values = distinct(100)

    narrow, wide = ends(values, Bootstrap(level=0.5)), ends(values, Bootstrap(level=0.99))

    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("draw", [distinct, repeated])
def test_equal_seeds_give_equal_intervals(draw: Draw) -> None:
    assert ends(draw(100), Bootstrap(seed=3)) == ends(draw(100), Bootstrap(seed=3))


@pytest.mark.parametrize("draw", [distinct, repeated])
def test_other_seeds_give_other_intervals(draw: Draw) -> None:
    assert ends(draw(100), Bootstrap(seed=3)) != ends(draw(100), Bootstrap(seed=4))


def test_equal_scores_have_an_interval_of_no_width() -> None:
    expected = (0.25, 0.25)

    assert expected == ends(np.full(10, 0.25))


def test_unscored_images_are_not_drawn() -> None:
    scored = np.array([True] * 10 + [False] * 10)
    values = np.where(scored, 1.0, 0.0)

    result = interval(SampleScores(values=values, scored=scored), MANY)

    expected = (1.0, 1.0)
    assert result is not None
    assert expected == (result.low, result.high)


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_scored_images_have_no_interval(number: int) -> None:
    scored = np.arange(3) < number

    assert interval(SampleScores(values=np.zeros(3), scored=scored), MANY) is None


def test_columns_are_resampled_as_one_draw_after_the_other_would() -> None:
    scores = np.column_stack([distinct(30), repeated(30), distinct(30, seed=2)])
    generator = np.random.default_rng(5)
    expected = [scores[generator.integers(0, 30, 30)].mean(axis=0) for _ in range(40)]

    found = resampled_columns(scores, Bootstrap(resamples=40, seed=5))

    assert pytest.approx(np.array(expected), abs=1e-12) == found


def test_all_columns_see_the_same_resample() -> None:
    column = repeated(200)[:, None]
    means = resampled_means_of(np.hstack([column, 1 - column, column]))

    assert means[:, 0].tolist() == means[:, 2].tolist()
    assert pytest.approx(1, abs=1e-12) == means[:, 0] + means[:, 1]


@pytest.mark.parametrize("draw", [distinct, repeated])
def test_a_resampled_column_has_the_distribution_of_resampled_means(draw: Draw) -> None:
    values = draw(300)
    quantiles = [0.025, 0.25, 0.5, 0.75, 0.975]

    expected = np.quantile(resampled_means(values, Bootstrap(resamples=8000)), quantiles)
    found = np.quantile(resampled_columns(values[:, None], Bootstrap(resamples=8000)), quantiles)

    assert pytest.approx(expected, abs=0.12 * values.std() / math.sqrt(len(values))) == found


def test_columns_drawn_in_several_chunks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.round(np.column_stack([distinct(51), repeated(51)]) * 1024) / 1024  # sums are exact
    expected = resampled_means_of(scores)
    monkeypatch.setattr(resampling, "_CHUNK", 350)

    assert expected.tolist() == resampled_means_of(scores).tolist()


def test_equal_seeds_give_equal_columns_and_others_do_not() -> None:
    scores = distinct(50)[:, None]

    assert resampled_means_of(scores, 3).tolist() == resampled_means_of(scores, 3).tolist()
    assert resampled_means_of(scores, 3).tolist() != resampled_means_of(scores, 4).tolist()


def resampled_means_of(scores: FloatArray, seed: int = 1) -> FloatArray:
    return resampled_columns(scores, Bootstrap(resamples=100, seed=seed))


@pytest.mark.parametrize("options", [{"resamples": 0}, {"level": 0.0}, {"level": 1.0}, {"level": 95.0}])
def test_an_impossible_option_is_refused_by_its_name(options: dict[str, float]) -> None:
    (name,) = options

    with pytest.raises(ValueError, match=f"^{name} is "):
        Bootstrap(**options)


def test_images_of_one_article_that_score_alike_count_once() -> None:
    values = distinct(100)
    alike, articles = np.repeat(values, 4), np.repeat(np.arange(100), 4)

    by_article = interval(scores_of(alike), MANY, articles)
    assert by_article is not None
    low, high = ends(values)
    assert pytest.approx(high - low, rel=0.1) == by_article.high - by_article.low
    by_image = ends(alike)
    assert pytest.approx(2, rel=0.1) == (by_article.high - by_article.low) / (by_image[1] - by_image[0])


def test_a_single_article_has_no_interval() -> None:
    assert interval(scores_of(distinct(9)), MANY, np.zeros(9, np.int64)) is None


def test_a_mean_over_drawn_articles_is_that_of_their_images() -> None:
    values, articles = np.array([1.0, 1.0, 1.0, 0.0]), np.array([7, 7, 7, 3])
    everything = np.ones((4, 1), np.bool_)

    means = resampled_parts(values, everything, articles, Bootstrap(resamples=200))[:, 0]
    assert set(means.tolist()) == {0.0, 0.75, 1.0}


def test_a_part_without_a_drawn_image_has_no_mean() -> None:
    parts = np.array([[True, False], [False, True]])

    means = resampled_parts(np.array([0.2, 0.8]), parts, np.arange(2), Bootstrap(resamples=200))
    both = np.isfinite(means).all(axis=1)
    assert 0 < both.sum() < 200
    assert {(0.2, 0.8)} == set(map(tuple, means[both].tolist()))
