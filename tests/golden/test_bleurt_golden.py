"""BLEURT against what bleurt-pytorch 0.0.1 gave, on a small model with weights by a formula."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_weights

from rocov2_eval.metrics.bleurt import BleurtTokenizer, build_network
from rocov2_eval.models import ModelFolder
from rocov2_eval.pair_models import TokenPair

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

# Recorded on another processor. On ours bleurt-pytorch itself differs from the record by 2.5e-6, in float64
# by 2.3e-6, and agrees with this program to 1e-6.
TOLERANCE = 5e-6


def test_the_network_gives_the_recorded_logits(tmp_path: Path) -> None:
    recorded = tiny_weights.golden("bleurt_tiny.json")
    (tmp_path / "config.json").write_text(json.dumps(recorded["config"]), encoding="utf-8")
    (tmp_path / "spm.model").write_bytes((tiny_weights.GOLDEN / "bleurt_tiny_spm.model").read_bytes())
    state = tiny_weights.fill(recorded["parameters"], 0.5, tiny_weights.scales_by_name)
    torch.save(state, tmp_path / "pytorch_model.bin")

    network = build_network(ModelFolder(name="tiny", path=tmp_path, kind="bleurt")).eval()

    for row in recorded["single"]:
        with torch.inference_mode():
            logit = network(torch.tensor([row["input_ids"]]), torch.tensor([row["token_type_ids"]]))
        assert logit.item() == pytest.approx(row["logit"], abs=TOLERANCE)


@pytest.mark.parametrize("row", tiny_weights.golden("bleurt_tokens.json")["rows"])
def test_pairs_are_cut_into_the_recorded_tokens(row: dict[str, object]) -> None:
    path = tiny_weights.GOLDEN / "bleurt_tiny_spm.model"
    tokenizer = BleurtTokenizer(path, int(str(row.get("max_length", 512))))

    (pair,) = tokenizer.pairs([str(row["reference"])], [str(row["candidate"])])

    assert list(pair.ids) == row["input_ids"]
    assert types_of(pair) == row["token_type_ids"]


def types_of(pair: TokenPair) -> list[int]:
    return [int(position >= pair.first) for position in range(pair.length)]
