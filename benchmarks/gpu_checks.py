"""Every check of the project that wants a GPU, in order of value.

    benchmarks/gpu.sh [--small] [CHECK ...]

Each check is a process of its own with its own limit of time, so that what fails, hangs or takes too much
memory costs one row of the table. Networks have their full size and random weights; pictures and captions
are drawn. With `--small` everything runs on the CPU with the smallest sizes: its rows say that the checks
work, and nothing of a GPU.

    resume        training that was stopped and resumed, beside training that was not: channels last, the
                  fused optimiser of a GPU, and a running average; fails where weights differ
    optimiser     some steps with the fused optimiser beside the same steps with the plain one
    b0, v2s       images a second of concept training, and the share of the time spent waiting for data
    llm           samples a second of `captions_llm`, in training and with 4 beams
    lora          the same of `captions_biomedlm_lora`
    biomedlm      the same of `captions_biomedlm`, which wants 80 GB
    bertscore     pairs a second of BERTScore with the shape of the official encoder, in bf16
    alignscore    the same of AlignScore with the shape of RoBERTa-base
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import bench_captioner
import bench_training
import steps
import torch
from measure import machine, table
from msgspec import structs

from baselines.captions import CaptionObjective, CaptionOptions, predict
from baselines.config import read_recipe
from baselines.data.augment import AugmentOptions
from baselines.data.cache import open_cache
from baselines.training import checkpoint
from baselines.training.loop import LAST, TrainingOptions, train
from baselines.training.runtime import Runtime, opened

MOST = 0.005  # of the way that weights have gone: a GPU adds up in another order each time
LABELS = 1947
SHOWN = 200  # characters of what failed
TINY_ROBERTA = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a check runs, and how large.

    Attributes:
        runtime: The device.
        folder: An empty folder.
        is_small: Whether the sizes are the smallest.
    """

    runtime: Runtime
    folder: Path
    is_small: bool

    @property
    def kind(self) -> str:
        """What torch calls the device."""
        return str(self.runtime.device.type)


def resume(place: Place) -> str:
    """Return how far a run with a break ends from one without."""
    whole, start = trained(place, "whole")
    trained(place, "cut", stop=5)
    return distance(whole, trained(place, "cut", is_resumed=True)[0], start)


def optimiser(place: Place) -> str:
    """Return how far a run with the fused optimiser ends from one with the plain one."""
    fused, start = trained(place, "fused")
    return distance(fused, trained(place, "plain", is_fused=False)[0], start)


def concepts(network: str, size: int, side: int) -> Callable[[Place], str]:
    """Return the check of a network for concepts."""

    def measured(place: Place) -> str:
        spec, sees, decoded = ("nano", 32, 40) if place.is_small else (network, size, side)
        objective = detection(place, spec, sees, decoded, 64 if place.is_small else 1024)
        options = TrainingOptions(batch=16 if place.is_small else 256)
        return told(steps.ours(objective, options, place.runtime, 4 if place.is_small else 40), "images")

    return measured


def captions(recipe: str, encoder: str, decoder: str, vocabulary: int) -> Callable[[Place], str]:
    """Return the check of a recipe for captions, with random weights of that shape."""

    def measured(place: Place) -> str:
        tables, nano = read_recipe(recipe).tables, "random/nano"
        halves = {"encoder": nano, "decoder": nano, "size": 32, "vocabulary": 300}
        chosen = halves if place.is_small else {"encoder": encoder, "decoder": decoder}
        options = structs.replace(tables["captioner"], **chosen)
        batch = 4 if place.is_small else tables["training"].batch
        examples = bench_captioner.drawn(2 * batch, options.size)
        ready = bench_captioner.begun(options, examples, place.runtime, 300 if place.is_small else vocabulary)
        objective = CaptionObjective(
            ready,
            examples,
            examples,
            options=CaptionOptions(most_tokens=bench_captioner.MOST),
            augmentation=AugmentOptions(),
        )
        training = structs.replace(tables["training"], batch=batch, minutes=0.0)
        rate = steps.ours(objective, training, place.runtime, 2 if place.is_small else 20)
        started = time.perf_counter()
        with torch.inference_mode(), place.runtime.autocast():
            predict(ready, examples, place.runtime.device)
        said = len(examples) / (time.perf_counter() - started)
        return f"{told(rate, 'samples')}; {said:,.1f} captions/s with 4 beams"

    return measured


def bertscore(place: Place) -> str:
    """Return pairs a second of BERTScore."""
    import bench_bertscore_gpu as bench

    pairs, layers, width = (8, 1, 64) if place.is_small else (2000, 40, bench.WIDTH)
    references = bench.references_of(pairs)
    model = bench.make_model(place.folder, references, layers, width)
    found = bench.time_ours(model, bench.five_runs(references)[0], precision(place), place.kind)
    return f"{pairs / found.seconds:,.1f} pairs/s in {precision(place)}"


def alignscore(place: Place) -> str:
    """Return pairs a second of AlignScore."""
    import bench_pairs as bench

    from rocov2_eval.devices import dtype_of
    from rocov2_eval.pair_models import PairModel
    from rocov2_eval.shelf.progress import silent

    texts = bench.read_captions()[: 16 if place.is_small else 4000]
    half = len(texts) // 2
    with mock.patch.dict(bench.ROBERTA_BASE, TINY_ROBERTA if place.is_small else {}):
        pairs, network, _ = bench.align_side(place.folder, texts, texts[:half], texts[half:])
    model = PairModel(
        identity="random",
        key_parts=(),
        network=network.to(dtype_of(precision(place))).to(place.kind),
        device=place.kind,
        cache=None,
        progress=silent,
    )
    model.read(pairs[:64])
    started = time.perf_counter()
    model.read(pairs)
    return f"{len(pairs) / (time.perf_counter() - started):,.1f} pairs/s in {precision(place)}"


# Name, what it is in the table, the check, and the seconds that it may take: ten minutes in all.
CHECKS: Mapping[str, tuple[str, Callable[[Place], str], int]] = {
    "resume": ("a run with a break beside one without", resume, 60),
    "optimiser": ("fused optimiser beside the plain one", optimiser, 40),
    "b0": ("EfficientNet-B0 at 224", concepts("efficientnet_b0", 224, 256), 70),
    "v2s": ("EfficientNet-V2-S at 300", concepts("tf_efficientnetv2_s", 300, 320), 80),
    "llm": (
        "captions_llm: SigLIP-B, Qwen2.5-0.5B",
        captions("captions_llm", "random/siglip-base", "random/qwen2.5-0.5b", 151_936),
        70,
    ),
    "lora": (
        "captions_biomedlm_lora: ViT-B, BioMedLM",
        captions("captions_biomedlm_lora", "random/vit-base", "random/biomedlm", 28_896),
        80,
    ),
    "biomedlm": (
        "captions_biomedlm: ViT-B, BioMedLM",
        captions("captions_biomedlm", "random/vit-base", "random/biomedlm", 28_896),
        80,
    ),
    "bertscore": ("BERTScore, deberta-xlarge", bertscore, 60),
    "alignscore": ("AlignScore, RoBERTa-base", alignscore, 60),
}


def main() -> int:
    """Print the table; return 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"all, or some of {', '.join(CHECKS)}")
    parser.add_argument("--small", action="store_true", help="the smallest sizes, on the CPU")
    parser.add_argument(
        "--alone", action="store_true", help="print the result of one check: for this program"
    )
    chosen = parser.parse_args()
    unknown = [name for name in chosen.checks if name not in CHECKS]
    if unknown:
        parser.error(f"{unknown[0]} is no check; there are {', '.join(CHECKS)}")
    if not chosen.small and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --small runs the checks with the smallest sizes on the CPU")
    if chosen.alone:
        with place_of(is_small=chosen.small) as place:
            print(CHECKS[chosen.checks[0]][1](place))
        return 0
    rows = []
    for name in chosen.checks or CHECKS:
        what, _, limit = CHECKS[name]
        started = time.perf_counter()
        result = answered(name, limit, is_small=chosen.small)
        rows.append([name, what, result, f"{time.perf_counter() - started:.0f} s of {limit}"])
        print(f"{name}: {result}", file=sys.stderr, flush=True)
    device = "CPU, smallest sizes" if chosen.small else torch.cuda.get_device_name()
    libraries = ("rocov2-eval", "torch", "transformers", "peft", "numpy")
    versions = ", ".join(f"{each} {importlib.metadata.version(each)}" for each in libraries)
    print(f"{device}; {machine()}; {versions}\n")
    print(table(["check", "what", "result", "time"], rows))
    return int(any(row[2].startswith("FAILED") for row in rows))


def answered(name: str, limit: int, *, is_small: bool) -> str:
    """Return the result of a check in a process of its own, or how it failed."""
    command = [sys.executable, __file__, name, "--alone", *(["--small"] if is_small else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"FAILED: not done in {limit} s"
    if done.returncode == 0:
        return done.stdout.splitlines()[-1]
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return f"FAILED: {last[:SHOWN].replace('|', '/')}"


@contextmanager
def place_of(*, is_small: bool) -> Iterator[Place]:
    """Yield where a check runs."""
    with opened("cpu" if is_small else "cuda", "auto") as runtime, tempfile.TemporaryDirectory() as path:
        yield Place(runtime=runtime, folder=Path(path), is_small=is_small)


def detection(place: Place, network: str, size: int, side: int, n: int) -> Any:  # noqa: ANN401  to be trained
    """Return what trains a network on drawn pictures with drawn concepts, the same each time."""
    pictures = place.folder / "pictures"
    if pictures.is_dir():
        files = sorted((path.stem, path) for path in pictures.iterdir())
    else:
        pictures.mkdir()
        files = bench_training.draw(pictures, n)
    cache = open_cache(sorted(files), place.folder / f"cache{side}", side, workers=os.cpu_count() or 1)
    torch.manual_seed(0)
    return bench_training.concept_objective(network, size, cache, 20 if place.is_small else LABELS)


def trained(
    place: Place, name: str, *, stop: int = 0, is_resumed: bool = False, is_fused: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train in eight steps, or until one of them; return the weights at the end, and at the start."""
    torch.backends.cudnn.benchmark = False  # it may choose another algorithm each time
    network, size, side = ("nano", 32, 40) if place.is_small else ("efficientnet_b0", 224, 256)
    objective = detection(place, network, size, side, 64)
    start = {key: each.detach().clone() for key, each in objective.model.state_dict().items()}
    kind = torch.optim.AdamW

    def chosen(*given: Any, **more: Any) -> Any:  # noqa: ANN401  the fused one on a CPU too
        return kind(*given, **{**more, "fused": is_fused})

    def stopped(done: int, _total: int) -> None:
        if done == stop:
            raise InterruptedError

    options = TrainingOptions(epochs=4, batch=32, save_every=1)
    folder = place.folder / name
    try:
        with mock.patch.object(torch.optim, "AdamW", chosen):
            train(objective, options, place.runtime, folder, 0, ignored, resume=is_resumed, progress=stopped)
    except InterruptedError:
        pass
    return checkpoint.part(checkpoint.read(folder / LAST)[0], "model."), start


def ignored(_facts: Mapping[str, Any]) -> None:
    """Take the facts of an epoch, and do nothing."""


def distance(first: Mapping[str, Any], second: Mapping[str, Any], start: Mapping[str, Any]) -> str:
    """Return how far two ends are from each other, as a share of the way from the start.

    Raises:
        SystemExit: It is more than `MOST`.
    """
    names = [name for name, each in start.items() if each.is_floating_point()]
    apart = sum(float((first[name] - second[name]).double().square().sum()) for name in names) ** 0.5
    gone = sum(float((first[name] - start[name].cpu()).double().square().sum()) for name in names) ** 0.5
    share = apart / gone
    if not share <= MOST:
        raise SystemExit(f"weights are {share:.2g} of their way apart, expected {MOST:g} at most")
    return f"weights {share:.1g} of their way apart" if share else "the same weights, bit for bit"


def told(rate: steps.Rate, things: str) -> str:
    """Return a rate in words."""
    memory = f", {rate.memory:.1f} GiB" if rate.memory else ""
    return f"{rate.images:,.1f} {things}/s, {100 * rate.waiting:.1f} % waiting for data{memory}"


def precision(place: Place) -> str:
    """Return the arithmetic of the scorer's models: the fast one on a GPU."""
    return "bf16" if place.kind == "cuda" else "fp32"


if __name__ == "__main__":
    raise SystemExit(main())
