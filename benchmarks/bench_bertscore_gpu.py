"""BERTScore beside batched bert-score on a GPU, with a model of the official one's full size.

    python benchmarks/bench_bertscore_gpu.py [--pairs 2000] [--layers 40]

The model is deberta-xlarge with random weights: 48 layers wide 1024, of which 40 are kept, as in
microsoft/deberta-xlarge-mnli, so that times are those of the real thing and no weights are needed. Both
sides in fp32, then ours in bf16. Needs a CUDA device and the extras [captions] and [verify].
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_bertscore import BATCH, five_runs, flops, gemm_roof, references_of

from rocov2_eval.encoders import open_encoder
from rocov2_eval.metrics.bertscore import OUTPUTS, BertScoreOptions, score
from rocov2_eval.models import ModelFolder
from rocov2_eval.reference import bert_scorer, bertscore_reference

WIDTH = 1024
VOCABULARY = 50265
PER_SQUARE = 12  # of the attention of DeBERTa: content to content, content to position, position to content
CHECKED = 50
MOST = 1e-4  # fp32 on a GPU: kernels differ with the shape of a batch
GIBIBYTE = 2**30


def make_model(folder: Path, captions: list[str], layers: int) -> ModelFolder:
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
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=16,
        intermediate_size=4 * WIDTH,
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


def time_ours(folder: ModelFolder, run: tuple[list[str], list[str]], precision: str) -> dict[str, object]:
    """Score a run; the first call, on a few pairs, warms the device up."""
    import torch

    options = BertScoreOptions(encoder=str(folder.path), norm="none", precision=precision)
    with open_encoder(folder, precision=precision, device="cuda", notify=sys.exit) as encoder:
        score(run[0][:BATCH], run[1][:BATCH], options, encoder)
        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        scores = score(*run, options, encoder)
        seconds = time.perf_counter() - start
        memory = torch.cuda.max_memory_allocated()
        lengths = np.diff(encoder.tokenise([*run[0], *run[1]]).offsets)
    values = np.array([scores[name].values for name in OUTPUTS])
    return {"seconds": seconds, "memory": memory, "values": values, "lengths": lengths}


def time_theirs(folder: ModelFolder, run: tuple[list[str], list[str]]) -> dict[str, object]:
    """Score a run with bert-score in batches."""
    import torch

    with bert_scorer(None, folder.path, int(folder.layer or 0), "cuda") as scorer:
        scorer.score(run[0][:BATCH], run[1][:BATCH], batch_size=BATCH)
        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        p, r, f1 = scorer.score(*run, batch_size=BATCH)
        seconds = time.perf_counter() - start
    values = np.array([column.tolist() for column in (f1, p, r)])
    return {"seconds": seconds, "memory": torch.cuda.max_memory_allocated(), "values": values}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--layers", type=int, default=40)
    chosen = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit("this benchmark needs a CUDA device, and torch finds none")
    references = references_of(chosen.pairs)
    run = five_runs(references)[0]
    with tempfile.TemporaryDirectory() as path:
        folder = make_model(Path(path), references, chosen.layers)
        theirs = time_theirs(folder, run)
        torch.cuda.empty_cache()
        ours = {precision: time_ours(folder, run, precision) for precision in ("fp32", "bf16")}
        sample = [side[:CHECKED] for side in run]
        p, r, f1 = bertscore_reference(*sample, None, folder.path, chosen.layers, "cuda")
    alone = np.array([f1, p, r])
    distance = float(np.abs(ours["fp32"]["values"][:, :CHECKED] - alone).max())
    assert distance <= MOST, f"scores differ by {distance}"
    roofs = {"fp32": gemm_roof(WIDTH, "cuda", "float32"), "bf16": gemm_roof(WIDTH, "cuda", "bfloat16")}
    needed = flops(ours["fp32"]["lengths"], WIDTH, chosen.layers, PER_SQUARE)
    print(
        f"{torch.cuda.get_device_name()}, {chosen.pairs} pairs, {chosen.layers} layers of {WIDTH}, F_limit "
        f"{needed / 1e12:.1f} TFLOP\nfp32 within {distance:.1e} of bert-score one pair at a time\n"
    )
    print(
        "| side | time | faster | R | GPU memory | largest difference | of mean F |\n"
        "|---|---|---|---|---|---|---|"
    )
    rows = [("bert-score fp32, batches of 64", theirs, "fp32")]
    rows += [(f"rocov2-eval {precision}", one, precision) for precision, one in ours.items()]
    for name, one, precision in rows:
        differences = np.abs(one["values"] - theirs["values"])
        means = abs(one["values"][0].mean() - theirs["values"][0].mean())
        print(
            f"| {name} | {one['seconds']:.2f} s | {theirs['seconds'] / one['seconds']:.2f}x "
            f"| {one['seconds'] * roofs[precision] / needed:.2f} | {one['memory'] / GIBIBYTE:.1f} GiB "
            f"| {differences.max():.1e} | {means:.1e} |"
        )


if __name__ == "__main__":
    main()
