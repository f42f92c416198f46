from __future__ import annotations

import numpy as np
import pytest

from dataset_builder.study.annotations import Annotation
from dataset_builder.study.coefficients import Z, cohen_kappa
from dataset_builder.study.planning import images_for_floor, plan_document, power_of, standard_error
from rocov2_eval.errors import UsageFault
from rocov2_eval.records import FloatArray

SHARES = np.array([0.40, 0.27, 0.17, 0.13, 0.02, 0.01])  # of the modalities of ROCOv2, about


def known(**numbers: int) -> list[Annotation]:
    return [
        Annotation(image=f"{value}-{i}", facet="a facet", cui=value, rater="")
        for value, number in numbers.items()
        for i in range(number)
    ]


def studies(kappa: float, images: int, number: int) -> list[tuple[float, float]]:
    """Return kappa and its error of simulated studies."""
    table = (1 - kappa) * np.outer(SHARES, SHARES) + kappa * np.diag(SHARES)
    drawn = np.random.default_rng(6).multinomial(images, table.ravel(), size=number)
    return [cohen_kappa(each.reshape(table.shape)) for each in drawn]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.8])
def test_the_error_of_two_classes_is_that_of_bloch_and_kraemer(share: float, kappa: float) -> None:
    spread = share * (1 - share)
    variance = (1 - kappa) * ((1 - kappa) * (1 - 2 * kappa) + kappa * (2 - kappa) / (2 * spread))
    error = standard_error(kappa, np.array([share, 1 - share]), 100)
    assert error == pytest.approx((variance / 100) ** 0.5)


@pytest.mark.parametrize("shares", [SHARES, np.array([0.5, 0.5])], ids=["six classes", "two classes"])
def test_images_for_the_floor_are_the_fewest_that_have_the_power(shares: FloatArray) -> None:
    n = images_for_floor(0.7, shares, 0.6)
    assert power_of(0.7, shares, 0.6, n) >= 0.9 > power_of(0.7, shares, 0.6, n - 1)


@pytest.mark.parametrize("kappa", [0.65, 0.7])
def test_simulated_studies_lie_above_the_floor_as_often_as_planned_and_cover_kappa(kappa: float) -> None:
    found = np.array(studies(kappa, images_for_floor(kappa, SHARES, 0.6), 400))
    low, high = found[:, 0] - Z * found[:, 1], found[:, 0] + Z * found[:, 1]
    assert 0.88 <= (low > 0.6).mean() <= 0.96
    assert ((low <= kappa) & (kappa <= high)).mean() > 0.91


def test_classes_are_as_frequent_as_among_the_known_answers() -> None:
    data = plan_document(known(a=75, b=25), "made", images=200, kappa=0.8, floor=0.6).data
    facet = data["facets"]["a facet"]
    assert facet["shares"] == {"a": 0.75, "b": 0.25}
    assert facet["classes"]["a"] == facet["interval"]
    assert facet["interval"].keys() == {"low", "high"}


def test_where_kappa_is_not_expected_above_the_floor_no_number_of_images_is_enough() -> None:
    data = plan_document(known(a=5, b=5), "made", images=100, kappa=0.6, floor=0.6).data
    assert data["facets"]["a facet"]["images_for_floor"] is None
    assert data["facets"]["a facet"]["power"] == pytest.approx(0.025, abs=1e-6)


@pytest.mark.parametrize(
    ("numbers", "options", "message"),
    [
        ({"a": 9}, {}, "every answer to a facet is a: kappa needs two classes"),
        ({"a": 1, "b": 1}, {"kappa": 1.0}, "kappa: 1, expected a number from 0 to below 1"),
        ({"a": 1, "b": 1}, {"floor": -0.5}, "floor: -0.5, expected a number from 0 to below 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    numbers: dict[str, int], options: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageFault, match=message):
        plan_document(known(**numbers), "made", **{"images": 100, "kappa": 0.8, "floor": 0.6, **options})  # type: ignore[arg-type]
