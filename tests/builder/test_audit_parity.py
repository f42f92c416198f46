from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from dataset_builder.audit.intervals import Judged, proportion, simple_proportion, wilson

pytestmark = pytest.mark.parity


@given(st.integers(1, 400), st.data())
@settings(max_examples=200, deadline=None)
def test_wilson_is_that_of_statsmodels(n: int, data: st.DataObject) -> None:
    yes = data.draw(st.integers(0, n))
    expected = proportion_confint(yes, n, method="wilson")
    seen = simple_proportion([True] * yes + [False] * (n - yes), "")
    assert wilson(yes / n, n) == pytest.approx(expected, abs=1e-12)
    assert (seen.low, seen.high) == pytest.approx(expected, abs=1e-12)


def test_one_stratum_of_a_large_population_has_the_interval_of_statsmodels() -> None:
    seen = proportion([Judged(values=(1.0,) * 43 + (0.0,) * 7, population=10**9)], "")
    assert (seen.low, seen.high) == pytest.approx(proportion_confint(43, 50, method="wilson"), abs=1e-6)
