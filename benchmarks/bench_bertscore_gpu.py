"""BERTScore beside batched bert-score on a GPU, with a model of the official one's full size.

    python benchmarks/bench_bertscore_gpu.py [--pairs 2000] [--layers 40]
    python benchmarks/bench_bertscore_gpu.py --device cpu --pairs 20 --layers 1 --width 64  # a trial

The model is deberta-xlarge with random weights: 48 layers wide 1024, of which 40 are kept, as in
microsoft/deberta-xlarge-mnli, so that times are those of the real thing and no weights are needed.
Measured are bert-score in fp32, our batches with the forward pass of transformers, and with our own, both in
fp32 and bf16. R is time over the limit: the operations of the encoder on distinct captions without padding,
at the rate of a matrix product in that precision. Needs a CUDA device and the extras [captions] and [verify].
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from unittest import mock

import numpy as np
from bench_bertscore import BATCH, Run, five_runs, flops, gemm_roof, references_of

from rocov2_eval import encoders
from rocov2_eval.devices import PRECISIONS
from rocov2_eval.encoders import open_encoder
from rocov2_eval.metrics.bertscore import OUTPUTS, BertScoreOptions, score
from rocov2_eval.models import ModelFolder
from rocov2_eval.reference import bert_scorer, bertscore_reference

WIDTH = 1024
VOCABULARY = 50265
PER_SQUARE = 12  # of the attention of DeBERTa: content to content, content to position, position to content
HEAD = 64
CHECKED = 50
MOST = 1e-4  # fp32 on a GPU: kernels differ with the shape of a batch
GIBIBYTE = 2**30
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One side: seconds, the most bytes of the GPU at a time, and scores of shape (3, pairs)."""

    seconds: float
    memory: int
    values: np.ndarray


def make_model(folder: Path, captions: list[str], layers: int, width: int = WIDTH) -> ModelFolder:
    """Write a randomly initialised deberta-xlarge with the layers that are run, and a tokenizer."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import DebertaConfig, DebertaModel

    marks = {"cls_token": "[CLS]", "pad_token": "[PAD]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        captions, vocab_size=VOCABULARY, special_tokens=[*marks.values(), "[MASK]"], show_progress=False
    )
    tokenizer.save_model(str(folder))
    settings = {"tokenizer_class": "DebertaTokenizer", "mask_token": "[MASK]", **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.manual_seed(0)
    config = DebertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD,
        intermediate_size=4 * width,
        max_position_embeddings=512,
        type_vocab_size=0,
        relative_attention=True,
        max_relative_positions=-1,
        pos_att_type=["c2p", "p2c"],
        position_biased_input=False,
        pad_token_id=1,
    )
    DebertaModel(config).save_pretrained(folder)
    return ModelFolder(name="deberta-xlarge-random", path=folder, layer=layers)


@contextmanager
def transformers_forward() -> Iterator[None]:
    """Let encoders that are opened inside compute with the forward pass of transformers."""
    with mock.patch.object(encoders, "_fastest", lambda model: model):
        yield


def time_ours(folder: ModelFolder, run: Run, precision: str, device: str) -> Measured:
    """Score a run; the first call, on a few pairs, warms the device up."""
    options = BertScoreOptions(encoder=str(folder.path), norm="none", precision=precision)
    with open_encoder(folder, precision=precision, device=device, notify=sys.exit) as encoder:
        warm = [side[:BATCH] for side in run]
        scores, seconds, memory = timed(
            device, lambda: score(*warm, options, encoder), lambda: score(*run, options, encoder)
        )
    values = np.array([scores[name].values for name in OUTPUTS])
    return Measured(seconds=seconds, memory=memory, values=values)


def time_theirs(folder: ModelFolder, run: Run, device: str) -> Measured:
    """Score a run with bert-score in batches."""
    with bert_scorer(None, folder.path, int(folder.layer or 0), device) as scorer:
        warm = [side[:BATCH] for side in run]
        (p, r, f1), seconds, memory = timed(
            device,
            lambda: scorer.score(*warm, batch_size=BATCH),
            lambda: scorer.score(*run, batch_size=BATCH),
        )
    return Measured(
        seconds=seconds, memory=memory, values=np.array([column.tolist() for column in (f1, p, r)])
    )


def timed(device: str, warm_up: Callable[[], T], call: Callable[[], T]) -> tuple[T, float, int]:
    """Return what a call gives, its seconds, and the most bytes of the GPU that it held at a time."""
    import torch

    warm_up()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    result = call()  # ends on the CPU, so that nothing is left running
    seconds = time.perf_counter() - start
    return result, seconds, torch.cuda.max_memory_allocated() if device == "cuda" else 0


def work_of(folder: ModelFolder, run: Run, width: int, device: str) -> float:
    """Return the operations of the encoder on the distinct captions of a run."""
    with open_encoder(folder, device=device, notify=sys.exit) as encoder:
        lengths = np.diff(encoder.tokenise([*run[0], *run[1]]).offsets)
    return flops(lengths, width, int(folder.layer or 0), PER_SQUARE)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--width", type=int, default=WIDTH, help="a multiple of 64")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    chosen = parser.parse_args()
    import torch

    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("this benchmark needs a CUDA device, and torch finds none")
    references = references_of(chosen.pairs)
    run = five_runs(references)[0]
    with tempfile.TemporaryDirectory() as path:
        folder = make_model(Path(path), references, chosen.layers, chosen.width)
        theirs = time_theirs(folder, run, chosen.device)
        with transformers_forward():
            plain = {precision: time_ours(folder, run, precision, chosen.device) for precision in PRECISIONS}
        ours = {precision: time_ours(folder, run, precision, chosen.device) for precision in PRECISIONS}
        needed = work_of(folder, run, chosen.width, chosen.device)
        sample = [side[:CHECKED] for side in run]
        p, r, f1 = bertscore_reference(*sample, None, folder.path, chosen.layers, chosen.device)
    alone = np.array([f1, p, r])
    distance = float(np.abs(ours["fp32"].values[:, :CHECKED] - alone).max())
    assert distance <= MOST, f"scores differ by {distance}"
    dtypes = {"fp32": "float32", "bf16": "bfloat16"}
    roofs = {precision: gemm_roof(chosen.width, chosen.device, dtypes[precision]) for precision in PRECISIONS}
    print(
        f"{torch.cuda.get_device_name() if chosen.device == 'cuda' else 'CPU'}, torch {torch.__version__}, "
        f"{chosen.pairs} pairs, {chosen.layers} layers of {chosen.width}, F_limit {needed / 1e12:.3g} TFLOP, "
        + ", ".join(f"{precision} {roof / 1e12:.3g} TFLOP/s" for precision, roof in roofs.items())
        + f"\nfp32 within {distance:.1e} of bert-score one pair at a time\n"
    )
    print(
        "| side | time | faster | R | GPU memory | largest difference | of mean F |\n"
        "|---|---|---|---|---|---|---|"
    )
    rows = [("bert-score fp32, batches of 64", theirs, "fp32")]
    rows += [(f"our batches, transformers' forward, {name}", one, name) for name, one in plain.items()]
    rows += [(f"rocov2-eval, {name}", one, name) for name, one in ours.items()]
    for name, one, precision in rows:
        differences = np.abs(one.values - theirs.values)
        means = abs(one.values[0].mean() - theirs.values[0].mean())
        print(
            f"| {name} | {one.seconds:.2f} s | {theirs.seconds / one.seconds:.2f}x "
            f"| {one.seconds * roofs[precision] / needed:.2f} | {one.memory / GIBIBYTE:.1f} GiB "
            f"| {differences.max():.1e} | {means:.1e} |"
        )


if __name__ == "__main__":
    main()
