"""AlignScore against what its own code gave, on a small model with weights by a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_weights

from rocov2_eval import models
from rocov2_eval.metrics import alignscore
from rocov2_eval.metrics.alignscore import AlignScoreOptions, SentenceSplitter

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("nltk")

ROWS: Sequence[Mapping[str, Any]] = tiny_weights.golden("alignscore_tiny.json")["rows"]
SCORED = [row for row in ROWS if "chunks" in row]
needs_punkt = pytest.mark.skipif(
    models.locate("sentences") is None,
    reason="Punkt's data are not here: rocov2-eval models fetch punkt-english",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights.make_alignscore(tmp_path_factory.mktemp("weights") / "tiny-align")


@pytest.fixture(scope="module")
def splitter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights.make_splitter(tmp_path_factory.mktemp("splitter") / "punkt")


@pytest.fixture(scope="module")
def punkt() -> SentenceSplitter:
    return SentenceSplitter(models.require("sentences"))


def test_recorded_sentences_give_the_recorded_scores(
    weights: Path, splitter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = {row["claim"]: tuple(row["claim_sentences"]) for row in SCORED}
    chunks = {row["context"]: row["chunks"] for row in SCORED}
    monkeypatch.setattr(SentenceSplitter, "sentences", lambda _self, text: sentences.get(text, (text,)))
    monkeypatch.setattr(alignscore, "chunks_of", lambda text, _sentences: chunks[text])

    assert scores_of(weights, str(splitter)) == pytest.approx([row["score"] for row in SCORED], abs=1e-6)


@needs_punkt
def test_raw_texts_give_the_recorded_scores(weights: Path) -> None:
    assert scores_of(weights, None) == pytest.approx([row["score"] for row in SCORED], abs=1e-6)


@needs_punkt
@pytest.mark.parametrize("row", SCORED)
def test_texts_are_cut_into_the_recorded_chunks_and_sentences(
    row: Mapping[str, Any], punkt: SentenceSplitter
) -> None:
    assert alignscore.chunks_of(row["context"], punkt.sentences(row["context"])) == row["chunks"]
    assert list(punkt.sentences(row["claim"])) == row["claim_sentences"]


def scores_of(weights: Path, splitter: str | None) -> list[float | None]:
    options = AlignScoreOptions(weights=str(weights), sentences=splitter)
    with alignscore.load(options, device="cpu", notify=pytest.fail) as model:
        return model.align([row["context"] for row in SCORED], [row["claim"] for row in SCORED])
