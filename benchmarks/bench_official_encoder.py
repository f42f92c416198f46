"""BERTScore with layers of the official encoder, as whole processes of one thread: ours and bert-score's.

    python benchmarks/bench_official_encoder.py [--captions 600] [--layers 2] [--rounds 3]

The model is that of bench_bertscore_gpu.py: deberta-xlarge with random weights, as many layers as asked for.
A round is one process a side, in turn, so that their ratios hold on a machine with other work; all times
are CPU seconds. `process` counts from the start of Python, imports and loading included, `scoring` the call
alone. R is scoring over the limit: the operations of the encoder on distinct captions without padding, at the
rate of a matrix product that the same process measures before and after. Needs [captions] and [verify].
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np
from bench_bertscore import BATCH, Run, flops, references_of
from bench_bertscore_gpu import PER_SQUARE, WIDTH, make_model, transformers_forward

from rocov2_eval.encoders import open_encoder
from rocov2_eval.metrics.bertscore import OUTPUTS, BertScoreOptions, score
from rocov2_eval.models import ModelFolder
from rocov2_eval.reference import bert_scorer

ROWS = 2048  # of the matrix product: the tokens of a batch on a CPU
R_TARGET, PROCESS_TARGET = 1.25, 2.8
SIDES = ("bert-score, batches of 64", "rocov2-eval, transformers' forward", "rocov2-eval")
THEIRS, PLAIN, OURS = SIDES
T = TypeVar("T")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


def pairs_of(captions: int) -> Run:
    """Return pairs of unrelated captions, all of them different."""
    texts = references_of(captions)
    half = len(texts) // 2
    return texts[:half], texts[half : 2 * half]


def product_rates(repeats: int = 5) -> list[float]:
    """Return the operations a CPU second of products [2048, d] x [d, 4 d]."""
    import torch

    left, right = torch.randn(ROWS, WIDTH), torch.randn(4 * WIDTH, WIDTH)
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        torch.nn.functional.linear(left, right)
        rates.append(2 * ROWS * WIDTH * 4 * WIDTH / (time.process_time() - start))
    return rates[1:]  # the first one starts the library


def child(side: str, folder: ModelFolder, run: Run) -> None:
    """Score with one side and print what it took as JSON."""
    if side == THEIRS:
        with bert_scorer(None, folder.path, int(folder.layer or 0)) as scorer:
            result, (_, _, f1) = timed(lambda: scorer.score(*run, batch_size=BATCH))
            result["f1"] = f1.tolist()
    else:
        options = BertScoreOptions(encoder=str(folder.path), norm="none")
        forward = transformers_forward() if side == PLAIN else nullcontext()
        with forward, open_encoder(folder, device="cpu", notify=sys.exit) as encoder:
            result, scores = timed(lambda: score(*run, options, encoder))
            result["f1"] = scores[OUTPUTS[0]].values.tolist()
            result["lengths"] = np.diff(encoder.tokenise([*run[0], *run[1]]).offsets).tolist()
    print(json.dumps(result))


def timed(call: Callable[[], T]) -> tuple[dict[str, object], T]:
    """Run a call; the products before and after it do not count for the process."""
    loaded = time.process_time()
    rates = product_rates()
    start = time.process_time()
    value = call()
    scoring = time.process_time() - start
    rates += product_rates()
    return {"process": loaded + scoring, "scoring": scoring, "rate": statistics.median(rates)}, value


def measure(side: str, chosen: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Measure one side in a fresh process of one thread."""
    command = [sys.executable, __file__, "--captions", str(chosen.captions), "--layers", str(chosen.layers)]
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"HF_HUB_OFFLINE": "1"}
    command += ["--child", side, str(folder)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print the table; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--captions", type=int, default=600)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    run = pairs_of(chosen.captions)
    if chosen.child:
        side, path = chosen.child
        child(side, ModelFolder(name="deberta-xlarge-random", path=Path(path), layer=chosen.layers), run)
        return
    with tempfile.TemporaryDirectory() as path:
        make_model(Path(path), [*run[0], *run[1]], chosen.layers)
        rounds = [{side: measure(side, chosen, Path(path)) for side in SIDES} for _ in range(chosen.rounds)]
    lengths = np.array(rounds[0][OURS]["lengths"])
    needed = flops(lengths, WIDTH, chosen.layers, PER_SQUARE)
    rates = [one["rate"] / 1e9 for sides in rounds for one in sides.values()]
    print(
        f"{chosen.captions} captions, {lengths.sum()} tokens, {chosen.layers} layers of {WIDTH}, fp32, "
        f"one thread, {chosen.rounds} rounds, limit {needed / 1e9:.0f} GFLOP at {min(rates):.0f} to "
        f"{max(rates):.0f} GFLOP/s\n"
    )
    print(
        "| side | process | scoring | R | process, bert-score / side | scoring | largest difference of F1 |"
    )
    print("|---|---|---|---|---|---|---|")
    medians = {side: summary(side, rounds, needed) for side in SIDES}
    for side, (process, scoring, distance, whole, alone) in medians.items():
        difference = np.abs(np.array(rounds[0][side]["f1"]) - np.array(rounds[0][PLAIN]["f1"])).max()
        print(
            f"| {side} | {process:.1f} s | {scoring:.1f} s | {distance:.2f} | {whole:.2f}x | {alone:.2f}x "
            f"| {difference:.1e} |"
        )
    _, _, distance, whole, _ = medians[OURS]
    sys.exit(0 if distance <= R_TARGET and whole >= PROCESS_TARGET else 1)


def summary(
    side: str, rounds: list[dict[str, dict[str, object]]], needed: float
) -> tuple[float, float, float, float, float]:
    """Return medians over rounds: process, scoring, R, and bert-score's of both over this side's."""
    process, scoring = ([sides[side][key] for sides in rounds] for key in ("process", "scoring"))
    return (
        statistics.median(process),
        statistics.median(scoring),
        statistics.median(sides[side]["scoring"] * sides[side]["rate"] / needed for sides in rounds),
        statistics.median(sides[THEIRS]["process"] / sides[side]["process"] for sides in rounds),
        statistics.median(sides[THEIRS]["scoring"] / sides[side]["scoring"] for sides in rounds),
    )


if __name__ == "__main__":
    main()
