"""The loop on a problem small enough to be known: a line through points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from baselines.training import checkpoint
from baselines.training.loop import BEST, LAST, TrainingOptions, train
from baselines.training.objective import ParameterGroup, Share, split_by_decay
from baselines.training.runtime import Runtime
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.records import IntArray

pytestmark = pytest.mark.slow

CPU = Runtime(device=torch.device("cpu"), bf16=False, share=Share())
OPTIONS = TrainingOptions(epochs=4, batch=8, rate=0.05, average=0.0)


class Line:
    """An objective: y = 2 x + 1 over 24 points."""

    main = "fit"
    n = 24

    def __init__(self, outlier: float = 0.0) -> None:
        torch.manual_seed(0)
        self.model: Any = torch.nn.Linear(1, 1)
        self.validations = 0
        self._x = torch.linspace(-1, 1, self.n)[:, None]
        self._y = 2 * self._x + 1 + outlier

    def groups(self) -> tuple[ParameterGroup, ...]:
        return split_by_decay(list(self.model.named_parameters()))

    def fetch(self, indices: IntArray) -> Any:
        return self._x[indices], self._y[indices]

    def loss(self, model: Any, fetched: Any, generator: Any, device: Any, share: Share) -> Any:
        del generator, device, share
        x, y = fetched
        return (model(x) - y).square().mean()

    def validate(self, device: Any) -> Mapping[str, float]:
        del device
        self.validations += 1
        return {"fit": -float((self.model(self._x) - self._y).square().mean())}

    def header(self) -> Mapping[str, str]:
        return {}

    def save(self, folder: Path) -> None:
        (folder / "said.txt").write_text("a line", encoding="utf-8")


def fit(folder: Path, options: TrainingOptions = OPTIONS, *, outlier: float = 0.0) -> list[Mapping[str, Any]]:
    """Train a line and return the facts of its epochs."""
    rows: list[Mapping[str, Any]] = []
    train(Line(outlier), options, CPU, folder, 0, rows.append)
    return rows


def with_options(**changed: Any) -> TrainingOptions:
    return msgspec.structs.replace(OPTIONS, **changed)


def best(folder: Path) -> dict[str, Any]:
    return checkpoint.read(folder / BEST)[0]


def test_it_finds_the_line(tmp_path: Path) -> None:
    fit(tmp_path, with_options(epochs=60))

    found = best(tmp_path)
    assert (float(found["weight"]), float(found["bias"])) == pytest.approx((2, 1), abs=0.05)


@pytest.mark.parametrize("parts", [3, 4])
def test_parts_of_a_batch_add_up_to_the_whole(tmp_path: Path, parts: int) -> None:
    fit(tmp_path / "whole")
    fit(tmp_path / "parts", with_options(accumulate=parts))

    for name, tensor in best(tmp_path / "whole").items():
        assert torch.allclose(best(tmp_path / "parts")[name], tensor, rtol=1e-5)


def test_it_stops_when_patience_is_out(tmp_path: Path) -> None:
    rows = fit(tmp_path, with_options(epochs=20, rate=0.0, patience=3))

    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_it_stops_in_time_with_what_there_is(tmp_path: Path) -> None:
    rows = fit(tmp_path, with_options(epochs=1000, minutes=1e-9))

    assert [row["step"] for row in rows] == [1]
    assert (tmp_path / "said.txt").is_file()


def test_without_an_average_the_weights_themselves_are_kept(tmp_path: Path) -> None:
    fit(tmp_path)

    last, header = checkpoint.read(tmp_path / LAST)
    assert header["state"]["finished"] is True
    assert not checkpoint.part(last, "average.")
    for name, tensor in best(tmp_path).items():
        assert tensor.equal(last[f"model.{name}"])


def test_an_average_is_kept_beside_the_weights_that_training_goes_on_with(tmp_path: Path) -> None:
    fit(tmp_path / "plain")
    fit(tmp_path / "averaged", with_options(average=0.9))

    plain, averaged = (checkpoint.read(tmp_path / name / LAST)[0] for name in ("plain", "averaged"))
    assert plain["model.weight"].equal(averaged["model.weight"])
    assert best(tmp_path / "averaged")["weight"].equal(averaged["average.weight"])
    assert not averaged["average.weight"].equal(averaged["model.weight"])


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="the loss is nan at step 3; take a lower rate"):
        fit(tmp_path, outlier=float("nan"))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    fit(tmp_path)
    objective = Line()
    state = train(objective, OPTIONS, CPU, tmp_path, 0, lambda _: None, resume=True)

    assert (state.step, objective.validations) == (12, 0)


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    fit(tmp_path)
    objective = Line()
    objective.n = 23

    with pytest.raises(RejectedInput, match="n was 24, and is 23 now"):
        train(objective, OPTIONS, CPU, tmp_path, 0, lambda _: None, resume=True)


def test_more_parts_than_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="accumulate: 9 parts of 8 images"):
        fit(tmp_path, with_options(accumulate=9))


def test_every_parameter_of_a_checkpoint_has_its_moments(tmp_path: Path) -> None:
    fit(tmp_path)

    moments = checkpoint.part(checkpoint.read(tmp_path / LAST)[0], "optimiser.")
    assert sorted(moments) == [
        f"{name}.{key}" for name in ("bias", "weight") for key in ("exp_avg", "exp_avg_sq", "step")
    ]
    assert np.isfinite(sum(float(each.sum()) for each in moments.values()))


def test_a_failed_write_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    path = tmp_path / LAST
    checkpoint.write(path, {"a": torch.ones(2)}, {"step": 1})
    with pytest.raises(TypeError):
        checkpoint.write(path, {"a": torch.zeros(2)}, {"step": object()})

    assert checkpoint.read(path)[1] == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [LAST]


def test_tensors_that_share_their_numbers_are_written_apart(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    checkpoint.write(tmp_path / LAST, {"a": shared, "b": shared}, {})
    shared.zero_()

    read, _ = checkpoint.read(tmp_path / LAST)
    assert (read["a"].tolist(), read["b"].tolist()) == ([0, 1, 2, 3], [0, 1, 2, 3])
