"""Captions a second in training and generation, beside the plain loop of transformers in the same call.

    python benchmarks/bench_captioner.py [--steps 20] [--batch 32] [--set frozen=encoder] [--compile]

Random weights of the full size on a GPU (ViT-B and the shape of BioMedLM, 3.5 billion parameters: about
66 GiB with the moments of AdamW and the running average, and activations beside them: an H200, or a smaller
`--decoder`), nano ones on a CPU; captions of up to 64 tokens. The plain loop has VisionEncoderDecoderModel
with the same parts, pads every caption to the longest there can be, reads the loss at every step, and
generates in the order of the pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import steps
import torch
from measure import machine, table

from baselines.captions import Captioned, CaptionObjective, CaptionOptions, Ready, look_of, predict
from baselines.data.augment import AugmentOptions
from baselines.generation import GenerationOptions
from baselines.models.captioner import CaptionerOptions, compose
from baselines.models.text import encode, train_text
from baselines.training.loop import TrainingOptions
from baselines.training.runtime import Runtime, opened

MOST = 64  # tokens
VOCABULARY = 28_896  # of BioMedLM
WORDS = (
    "axial",
    "chest",
    "CT",
    "MRI",
    "shows",
    "lesion",
    "left",
    "right",
    "lobe",
    "of",
    "the",
    "with",
    "and",
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, help="32 on a GPU, 8 on a CPU")
    parser.add_argument("--decoder", help="random/biomedlm on a GPU, random/nano on a CPU")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=TEXT", help="of CaptionerOptions")
    parser.add_argument("--compile", action="store_true")
    chosen = parser.parse_args()
    with opened("auto", "auto") as runtime:
        is_gpu = runtime.device.type == "cuda"
        options = captioner_options(is_gpu, chosen.decoder, dict(each.split("=") for each in chosen.set))
        batch = chosen.batch or (32 if is_gpu else 8)
        print(f"{steps.device_name(runtime.device)}; {machine()}\n{options}\n")
        examples = drawn(8 * batch, options.size)
        ready = begun(options, examples, runtime, VOCABULARY if is_gpu else options.vocabulary)
        objective = CaptionObjective(
            ready,
            examples,
            examples,
            options=CaptionOptions(most_tokens=MOST),
            augmentation=AugmentOptions(),
        )
        said = [speed_of_generation(call, len(examples)) for call in generators(ready, examples, runtime)]
        training = TrainingOptions(batch=batch, compile=chosen.compile, rate=1e-5)
        ours = steps.ours(objective, training, runtime, chosen.steps)
        # The composed model of transformers has neither a prefix nor weights of two precisions.
        has_plain = options.conditioning == "cross" and options.base == "fp32"
        theirs = plain_loop(ready, examples, batch, chosen.steps, runtime) if has_plain else None
    rows = [
        *([steps.row("training", "plain loop", theirs, theirs)] if theirs else []),
        steps.row("training", "ours", ours, theirs),
        ["4 beams", "plain loop", f"{said[0]:,.1f}", "", "", "1.00x"],
        ["4 beams", "ours", f"{said[1]:,.1f}", "", "", f"{said[1] / said[0]:.2f}x"],
    ]
    print(table(["what", "loop", "captions/s", "waiting for data", "GPU memory", "faster"], rows))


def captioner_options(is_gpu: bool, decoder: str | None, said: dict[str, str]) -> CaptionerOptions:  # noqa: FBT001
    """Return a captioner of the full size on a GPU, a nano one elsewhere."""
    shape: dict[str, Any] = {
        "encoder": "random/vit-base" if is_gpu else "random/nano",
        "decoder": decoder or ("random/biomedlm" if is_gpu else "random/nano"),
        "size": 224 if is_gpu else 64,
        "vocabulary": 300,
    }
    kinds = {"lora_rank": int, "visual_grid": int, "checkpointing": lambda text: text == "true"}
    return CaptionerOptions(**shape, **{key: kinds.get(key, str)(value) for key, value in said.items()})


def drawn(n: int, side: int) -> Captioned:
    """Return pictures of noise with captions of 5 to 40 words."""
    rng = np.random.default_rng(0)
    captions = [" ".join(rng.choice(WORDS, rng.integers(5, 40))) for _ in range(n)]
    return Captioned(
        ids=tuple(map(str, range(n))),
        images=rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8),
        captions=tuple(captions),
        rows=np.arange(n),
    )


def begun(options: CaptionerOptions, examples: Captioned, runtime: Runtime, vocabulary: int) -> Ready:
    """Return a captioner made on the device, which knows more tokens than the few of its tokenizer."""
    text = train_text(examples.captions, options.vocabulary)
    with torch.device(runtime.device):
        captioner = compose(options, vocabulary=max(vocabulary, len(text)), end=text.end)
    return Ready(
        captioner=captioner,
        text=text,
        normalisation=look_of(options),
        generation=GenerationOptions(most_tokens=MOST, batch=64),
        licences={},
    )


def generators(ready: Ready, examples: Captioned, runtime: Runtime) -> tuple[Callable[[], object], ...]:
    """Return what generates all captions: in the order of the pictures, and sorted by expected length."""
    ready.captioner.to(runtime.device)
    lengths = [len(ids) for ids in encode(ready.text, examples.captions, MOST)]

    def run(**given: Any) -> object:  # noqa: ANN401  as `predict` takes it
        with torch.inference_mode(), runtime.autocast():
            return predict(ready, examples, runtime.device, **given)

    return (run, lambda: run(lengths=lengths))


def speed_of_generation(call: Callable[[], object], n: int) -> float:
    """Return captions a second."""
    started = time.perf_counter()
    call()
    return n / (time.perf_counter() - started)


def plain_loop(ready: Ready, examples: Captioned, batch: int, count: int, runtime: Runtime) -> steps.Rate:
    """Train the same parts with VisionEncoderDecoderModel, captions padded to the longest there can be."""
    from transformers import VisionEncoderDecoderModel

    device = runtime.device
    captioner, end = ready.captioner, ready.text.end
    model = (
        VisionEncoderDecoderModel(encoder=captioner.encoder.model, decoder=captioner.decoder)
        .to(device)
        .train()
    )
    model.config.decoder_start_token_id = model.config.pad_token_id = end
    trained = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5)
    rows = encode(ready.text, examples.captions, MOST)
    rng = np.random.default_rng(0)

    def fetch() -> Any:  # noqa: ANN401  torch is Any
        chosen = rng.integers(0, len(rows), batch)
        labels = np.full((batch, MOST), -100)
        for place, row in enumerate(chosen):
            labels[place, : len(rows[row])] = rows[row]
        pixels = torch.from_numpy(examples.images[chosen]).permute(0, 3, 1, 2).float() / 127.5 - 1
        return pixels.to(device), torch.from_numpy(labels).to(device)

    def step(fetched: Any) -> None:  # noqa: ANN401  torch is Any
        pixels, labels = fetched
        with runtime.autocast():
            loss = model(pixel_values=pixels, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        loss.item()

    return steps.plain(fetch, step, batch, count, device)


if __name__ == "__main__":
    main()
