"""Mean ROUGE of four runs over 6,834 real captions, as rouge-score gives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rocov2_eval.scoring import Report

GOLDEN = Path(__file__).parents[3] / "shared/golden/roco_captions.json"
if not GOLDEN.is_file():
    pytest.skip(f"no recorded reference outputs: {GOLDEN} does not exist", allow_module_level=True)
ROUGE: dict[str, dict[str, float]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["rouge"]


@pytest.mark.parametrize("run", sorted(ROUGE))
def test_mean_rouge_is_that_of_rouge_score(scored: Callable[..., Report], shared: Path, run: str) -> None:
    text = (shared / f"data/roco/runs/captions_{run}.csv").read_bytes()

    metrics = scored(text, shared / "data/roco", "captions").metrics

    assert pytest.approx(ROUGE[run], abs=1e-12) == {name: result.mean for name, result in metrics.items()}
