"""AlignScore and BLEURT in batches of one length beside the padded batches of the challenge's own code.

    python benchmarks/bench_pairs.py [--captions 16] [--threads 1]

Full-size networks with random weights, on the CPU. Both sides run the same network on the same tokens, by
turns; times are CPU seconds where the number of threads is 1, so that other work on the machine matters
little. The vocabularies are trained on the captions themselves, since none can be downloaded here.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rocov2_eval.metrics import alignscore, bleurt
from rocov2_eval.metrics.alignscore import RobertaPairs
from rocov2_eval.metrics.bleurt import BleurtTokenizer
from rocov2_eval.models import ModelFolder
from rocov2_eval.pair_models import PairModel, TokenPair
from rocov2_eval.shelf.progress import silent
from rocov2_eval.textnorm import normalise

ROCO = Path(__file__).parents[2] / "shared" / "data" / "roco" / "captions.csv"
VOCABULARY = 12_000
PADDED = 512  # of AlignScore: every pair, whatever its length
BLEURT_BATCH = 8  # of the evaluator of 2026, in the order of the file
REPEATS = 3
TARGETS = {"alignscore": 5.0, "bleurt": 1.0}
ROBERTA_BASE = {
    "vocab_size": 50_265,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
}
# A shape of the 167 million parameters that Google states for BLEURT-20-D12.
BLEURT_D12 = {
    "vocab_size": 250_112,
    "embedding_size": 256,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 4096,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def main() -> int:
    """Print a line a model; return 1 where a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--captions", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    captions = read_captions()
    chosen = random.Random(1).sample(captions, 2 * options.captions)
    references, candidates = chosen[: options.captions], chosen[options.captions :]
    is_met = True
    with tempfile.TemporaryDirectory() as folder:
        for name, (pairs, network, batches) in {
            "alignscore": align_side(Path(folder), captions, references, candidates),
            "bleurt": bleurt_side(Path(folder), captions, references, candidates),
        }.items():
            row = measure(pairs, network, batches, clock)
            is_met &= row["ratio"] >= TARGETS[name]
            print(json.dumps({"metric": name, "captions": options.captions, "pairs": len(pairs)} | row))
    return 0 if is_met else 1


def read_captions() -> list[str]:
    """Return the captions of ROCO, or texts of drawn words where they are not beside the project."""
    if ROCO.is_file():
        with ROCO.open(encoding="utf-8", newline="") as stream:
            return [row["Caption"] for row in csv.DictReader(stream)]
    source = random.Random(3)
    words = [f"word{number}" for number in range(5000)]
    return [" ".join(source.choices(words, k=source.randint(4, 40))) for _ in range(4000)]


def align_side(
    folder: Path, captions: Sequence[str], references: Sequence[str], candidates: Sequence[str]
) -> tuple[list[TokenPair], Any, list[list[TokenPair]]]:
    """Return the pairs of AlignScore, its network, and the batches of the original: those of one image."""
    from tokenizers import ByteLevelBPETokenizer

    target = folder / "align"
    target.mkdir()
    trained = ByteLevelBPETokenizer()
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(captions, vocab_size=VOCABULARY, special_tokens=marks, show_progress=False)
    trained.save_model(str(target))
    tokenizer = RobertaPairs(model_folder(target, ROBERTA_BASE, "align"), PADDED)
    sentences = [[part.strip() for part in text.split(". ") if part.strip()] for text in candidates]
    images = tokenizer.pairs([[text] for text in references], sentences)
    return [pair for image in images for pair in image], network_of(alignscore, target, "align"), images


def bleurt_side(
    folder: Path, captions: Sequence[str], references: Sequence[str], candidates: Sequence[str]
) -> tuple[list[TokenPair], Any, list[list[TokenPair]]]:
    """Return the pairs of BLEURT, its network, and the batches of the evaluator of 2026."""
    import sentencepiece

    target = folder / "bleurt"
    target.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(normalise(captions, "clef2023")),
        model_prefix=str(target / "spm"),
        vocab_size=VOCABULARY,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        control_symbols=["[CLS]", "[SEP]"],
        minloglevel=2,
        hard_vocab_limit=False,
    )
    model_folder(target, BLEURT_D12, "bleurt")
    tokenizer = BleurtTokenizer(target / "spm.model")
    pairs = tokenizer.pairs(normalise(references, "clef2023"), normalise(candidates, "clef2023"))
    batches = [pairs[start : start + BLEURT_BATCH] for start in range(0, len(pairs), BLEURT_BATCH)]
    return pairs, network_of(bleurt, target, "bleurt"), batches


def model_folder(path: Path, config: dict[str, object], kind: str) -> ModelFolder:
    """Write the configuration of a model and return its folder."""
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (path / "model.safetensors").touch()
    return ModelFolder(name=kind, path=path, kind=kind)


def network_of(metric: Any, path: Path, kind: str) -> Any:  # noqa: ANN401
    """Return the network of a metric with the weights that torch makes at random."""
    import torch

    torch.manual_seed(1)
    tensors, metric.read_tensors = metric.read_tensors, lambda _files: {}
    strict, metric.load_strictly = metric.load_strictly, lambda *_: None
    try:
        return metric.build_network(ModelFolder(name=kind, path=path, kind=kind)).eval()
    finally:
        metric.read_tensors, metric.load_strictly = tensors, strict


def measure(
    pairs: Sequence[TokenPair],
    network: Any,  # noqa: ANN401
    batches: Sequence[Sequence[TokenPair]],
    clock: Callable[[], float],
) -> dict[str, float]:
    """Return the best seconds of both sides, their ratio and the largest difference of a number."""
    model = PairModel(
        identity="random", key_parts=(), network=network, device="cpu", cache=None, progress=silent
    )
    length = PADDED if network.body.config.model_type == "roberta" else None
    ours, theirs = [], []
    for _ in range(REPEATS):
        start = clock()
        values = model.read(pairs)
        ours.append(clock() - start)
        start = clock()
        padded = np.concatenate([run_padded(network, batch, length) for batch in batches if batch])
        theirs.append(clock() - start)
    return {
        "tokens": float(np.mean([pair.length for pair in pairs])),
        "ours_seconds_a_pair": min(ours) / len(pairs),
        "theirs_seconds_a_pair": min(theirs) / len(pairs),
        "ratio": min(theirs) / min(ours),
        "largest_difference": float(np.abs(values - padded).max()),
    }


def run_padded(network: Any, batch: Sequence[TokenPair], length: int | None) -> np.ndarray:  # noqa: ANN401
    """Run a batch padded to a length, or to its longest pair, as the original does."""
    import torch

    width = length or max(pair.length for pair in batch)
    padding = network.body.config.pad_token_id
    ids = torch.tensor([[*pair.ids, *[padding] * (width - pair.length)] for pair in batch])
    mask = torch.tensor([[1] * pair.length + [0] * (width - pair.length) for pair in batch])
    types = torch.tensor(
        [[int(pair.first <= place < pair.length) for place in range(width)] for pair in batch]
    )
    if network.body.config.type_vocab_size == 1:
        types = torch.zeros_like(types)
    with torch.inference_mode():
        states = network.body(input_ids=ids, attention_mask=mask, token_type_ids=types)
        numbers: np.ndarray = network.activation(network.head(states.pooler_output)).numpy()
    return numbers


if __name__ == "__main__":
    raise SystemExit(main())
