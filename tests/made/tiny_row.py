"""The whole row of 2026 in small: a tiny model of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dual_models
import tiny_weights

import concept_pack
import small_models


def make_models(folder: Path) -> dict[str, Any]:
    """Return the arguments of `score` that name a tiny model of every kind."""
    return {
        "encoder": str(small_models.make("deberta", folder / "encoder")),
        "concept_model": str(concept_pack.make_pack(folder / "pack")),
        "weights": {
            "bleurt": str(tiny_weights.make_bleurt(folder / "bleurt")),
            "align": str(tiny_weights.make_alignscore(folder / "align")),
            "sentences": str(tiny_weights.make_splitter(folder / "sentences")),
            "similarity": str(dual_models.medimageinsight_folder(folder / "similarity")),
        },
    }
