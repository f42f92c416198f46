"""Mean ROUGE of four runs over 6,834 real captions, as rouge-score gives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.scoring import Report

RUNS = ("constant", "first8", "next", "shuffled")


@pytest.mark.parametrize("run", RUNS)
def test_mean_rouge_is_that_of_rouge_score(scored: Callable[..., Report], shared: Path, run: str) -> None:
    recorded = json.loads((shared / "golden/roco_captions.json").read_text(encoding="utf-8"))["rouge"]
    text = (shared / f"data/roco/runs/captions_{run}.csv").read_bytes()

    metrics = scored(text, shared / "data/roco", "captions").metrics

    assert pytest.approx(recorded[run], abs=1e-12) == {name: result.mean for name, result in metrics.items()}
