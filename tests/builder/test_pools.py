from __future__ import annotations

import math
import signal

import pytest

from dataset_builder.running.ray_pool import RayPool
from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.processes import Pool


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_task_is_done_once(workers: int) -> None:
    with Pool(workers) as pool:
        found = sorted(pool.map(math.factorial, range(20)))

    assert [math.factorial(number) for number in range(20)] == found


@pytest.mark.slow
def test_a_killed_worker_is_told() -> None:
    with (
        Pool(2) as pool,
        pytest.raises(MissingResource, match=r"killed.*fewer workers"),
    ):
        list(pool.map(signal.raise_signal, [signal.SIGKILL] * 4))


@pytest.mark.slow
def test_ray_does_every_task_once() -> None:
    pytest.importorskip("ray")

    with RayPool(1) as pool:
        found = sorted(pool.map(math.factorial, range(5)))

    assert found == [1, 1, 2, 6, 24]
