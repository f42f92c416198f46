from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from dataset_builder.agreement import coefficients
from dataset_builder.agreement.planning import (
    PlanOptions,
    draw,
    frequencies,
    images_for_power,
    images_for_width,
    model_variance,
    plan,
    power_of,
)
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray

MODALITIES = {"CT": 40.0, "X-ray": 27.0, "MRI": 17.0, "ultrasound": 13.0, "angiography": 2.0, "PET": 1.0}


def studies(kappa: float, classes: dict[str, float], images: int, number: int) -> FloatArray:
    """Return simulated tables of two raters, shape (number, k, k)."""
    shares = np.array(list(classes.values())) / sum(classes.values())
    table = (1 - kappa) * np.outer(shares, shares) + kappa * np.diag(shares)
    drawn = np.random.default_rng(6).multinomial(images, table.ravel(), size=number)
    return drawn.reshape(number, len(shares), len(shares))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.8])
def test_variance_of_two_classes_is_that_of_bloch_and_kraemer(share: float, kappa: float) -> None:
    spread = share * (1 - share)
    published = (1 - kappa) * ((1 - kappa) * (1 - 2 * kappa) + kappa * (2 - kappa) / (2 * spread))
    assert model_variance(kappa, np.array([share, 1 - share])) == pytest.approx(published)


def test_images_for_a_width_are_the_fewest_that_give_it() -> None:
    n = images_for_width(0.9, 0.1, 0.95)
    assert 2 * 1.959964 * (0.9 / n) ** 0.5 <= 0.1 < 2 * 1.959964 * (0.9 / (n - 1)) ** 0.5


def test_half_the_width_needs_four_times_the_images() -> None:
    assert images_for_width(1.0, 0.05, 0.95) == pytest.approx(4 * images_for_width(1.0, 0.1, 0.95), abs=4)


def test_images_for_power_are_the_fewest_that_have_it() -> None:
    options = PlanOptions(kappa=0.7, power=0.9)
    shares = np.array([0.5, 0.3, 0.2])
    n = images_for_power(options, shares)
    assert power_of(options, shares, n) >= 0.9 > power_of(options, shares, n - 1)


def test_power_is_a_half_where_the_expected_interval_ends_at_the_floor() -> None:
    options, shares = PlanOptions(kappa=0.7), np.array([0.5, 0.3, 0.2])
    n = round(model_variance(0.7, shares) * (1.959964 / 0.1) ** 2)
    assert power_of(options, shares, n) == pytest.approx(0.5, abs=0.01)


def test_power_is_not_planned_for_where_kappa_is_not_expected_above_the_floor() -> None:
    assert plan(MODALITIES, PlanOptions(kappa=0.6)).images_for_power is None


def test_as_many_images_are_drawn_as_width_and_power_need() -> None:
    planned = plan(MODALITIES, PlanOptions(kappa=0.65, width=0.2, power=0.9))
    assert planned.images_for_power is not None
    assert planned.images == max(planned.images_for_width, planned.images_for_power)


def test_a_plan_reaches_what_it_was_made_for() -> None:
    planned = plan(MODALITIES, PlanOptions(kappa=0.7, width=0.1, power=0.8))
    assert planned.width == pytest.approx(0.1, abs=1e-3)
    assert planned.power >= 0.8


def test_a_thousand_images_are_drawn_in_proportion() -> None:
    planned = plan(MODALITIES, PlanOptions(images=1000))
    assert [each.images for each in planned.classes] == [400, 270, 170, 130, 20, 10]


def test_rare_classes_are_topped_up_and_others_left_as_they_are() -> None:
    planned = plan(MODALITIES, PlanOptions(images=1000, per_class=50))
    assert [each.images for each in planned.classes] == [400, 270, 170, 130, 50, 50]


def test_what_is_left_over_by_proportion_goes_to_the_largest_remainders() -> None:
    planned = plan({"a": 1, "b": 1, "c": 1}, PlanOptions(images=11))
    assert [each.images for each in planned.classes] == [4, 4, 3]


def test_no_more_images_are_drawn_than_there_are() -> None:
    planned = plan({"a": 90, "b": 10}, PlanOptions(images=200, per_class=50), are_counts=True)
    assert [each.images for each in planned.classes] == [90, 10]


def test_topping_up_narrows_the_interval_of_a_rare_class() -> None:
    bare, topped = (plan(MODALITIES, PlanOptions(images=1000, per_class=least)) for least in (0, 100))
    assert bare.classes[-1].width is not None
    assert topped.classes[-1].width is not None
    assert topped.classes[-1].width < bare.classes[-1].width / 2


def test_a_class_of_which_no_image_is_drawn_has_no_width() -> None:
    planned = plan({"a": 600, "b": 399, "c": 1}, PlanOptions(images=10))
    assert planned.classes[2].width is None


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        ({"a": 1.0}, {}, "1 class, expected at least two"),
        ({"a": 1.0, "b": 0.0}, {}, "share of b: 0, expected a number above 0"),
        ({"a": 1.0, "b": float("nan")}, {}, "share of b: nan, expected a number above 0"),
        (MODALITIES, {"width": 1e-5}, "needs more than 100,000,000 images"),
        ({"a": 1.0, "b": 1e-6}, {"images": 10, "width": 2.0}, "the images drawn are of one class"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    classes: dict[str, float], options: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageFault, match=message):
        plan(classes, PlanOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"kappa": 1.0}, {"width": 0.0}, {"level": 1.0}, {"floor": 2.0}, {"power": 0.0}]
)
def test_options_out_of_bounds_are_refused_by_name(options: dict[str, float]) -> None:
    with pytest.raises(UsageFault, match=f"^{next(iter(options))}: "):
        PlanOptions(**options)  # type: ignore[arg-type]


def test_the_images_drawn_are_as_many_of_each_class_as_planned() -> None:
    strata = {f"image-{i}": "abc"[(i % 10 > 5) + (i % 10 > 8)] for i in range(1000)}
    planned = plan(frequencies(strata), PlanOptions(images=100, per_class=30), are_counts=True)
    drawn = draw(strata, planned, seed=1)
    assert Counter(value for _, value in drawn) == {"a": 60, "b": 30, "c": 30}
    assert len(dict(drawn)) == 120
    assert all(strata[image] == value for image, value in drawn)


def test_equal_seeds_draw_equal_images_whatever_their_order_in_the_file() -> None:
    strata = {f"image-{i}": "ab"[i % 2] for i in range(100)}
    backwards = dict(reversed(strata.items()))
    planned = plan(frequencies(strata), PlanOptions(images=20), are_counts=True)
    assert draw(strata, planned, seed=1) == draw(backwards, planned, seed=1) != draw(strata, planned, seed=2)


def test_the_order_of_the_images_does_not_tell_their_class() -> None:
    strata = {f"image-{i}": "ab"[i % 2] for i in range(400)}
    planned = plan(frequencies(strata), PlanOptions(images=200), are_counts=True)
    values = [value for _, value in draw(strata, planned, seed=1)]
    changes = sum(left != right for left, right in pairwise(values))
    assert 70 < changes < 130


@pytest.mark.parametrize("kappa", [0.5, 0.7, 0.85])
def test_simulated_studies_have_the_planned_width_and_cover_kappa(kappa: float) -> None:
    planned = plan(MODALITIES, PlanOptions(kappa=kappa, width=0.12, floor=0.99))
    tables = studies(kappa, MODALITIES, planned.images, 3000)
    errors = np.array([coefficients.standard_error(table) for table in tables])
    assert float(2 * 1.959964 * errors.mean()) == pytest.approx(0.12, rel=0.03)
    is_covered = abs(coefficients.cohen_kappa(tables) - kappa) <= 1.959964 * errors
    assert 0.93 < is_covered.mean() < 0.97


@pytest.mark.parametrize("kappa", [0.68, 0.75])
def test_simulated_studies_lie_above_the_floor_as_often_as_planned(kappa: float) -> None:
    planned = plan(MODALITIES, PlanOptions(kappa=kappa, width=2, power=0.9))
    tables = studies(kappa, MODALITIES, planned.images, 3000)
    errors = np.array([coefficients.standard_error(table) for table in tables])
    is_shown = coefficients.cohen_kappa(tables) - 1.959964 * errors > 0.6
    assert float(is_shown.mean()) == pytest.approx(0.9, abs=0.02)
