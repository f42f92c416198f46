"""What a run leaves behind: lines that a killed session wrote too many are dropped, damage is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from baselines.training import runlog
from rocov2_eval.errors import MissingResource, RejectedInput


def test_lines_after_the_last_checkpoint_are_dropped(tmp_path: Path) -> None:
    for step in (3, 6, 9):
        runlog.add_metrics(tmp_path, {"step": step})
    runlog.begin_metrics(tmp_path, keep_to=6)

    assert runlog.read_metrics(tmp_path) == [{"step": 3}, {"step": 6}]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    runlog.add_metrics(tmp_path, {"step": 3})
    with (tmp_path / runlog.METRICS).open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    runlog.begin_metrics(tmp_path, keep_to=6)

    assert runlog.read_metrics(tmp_path) == [{"step": 3}]


def test_what_surrounds_a_run_names_versions_and_device() -> None:
    found = runlog.surroundings(torch.device("cpu"))

    assert found["versions"]["torch"] == torch.__version__
    assert found["device"] == "cpu"
    assert found["git"].keys() == {"commit", "is_changed"}


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="name the folder of a finished run"):
        runlog.read_run(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "changed or damaged"), ("[]", "changed or damaged"), ("{}", "a recipe")],
)
def test_a_damaged_record_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / runlog.RUN).write_text(text)

    with pytest.raises(RejectedInput, match=told):
        runlog.read_run(tmp_path)


def test_without_tensorboard_it_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    with pytest.raises(MissingResource, match="pip install tensorboard"), runlog.board(tmp_path):
        pass
