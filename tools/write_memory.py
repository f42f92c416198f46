"""Write what the shipped captioners need of memory and disk into docs/captioner.md.

Usage: python tools/write_memory.py [--check]

Networks are built on torch's `meta` device, where numbers take no room, by the shipped recipes; and
those of the Hub by their published configurations, which the captioner knows under `random/`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from baselines.config import Recipe, read_recipe, recipe_names
from baselines.models.captioner import bases_of, compose
from baselines.training.changed import Sizes, sizes

PAGE = Path(__file__).resolve().parent.parent / "docs/captioner.md"
START = "<!-- Written by tools/write_memory.py from the shipped recipes: run it after a change. -->"
END = "<!-- End of what tools/write_memory.py wrote. -->"
GIB = 2**30
# Weights of the Hub: their configuration here, and for decoders the tokens that they know.
PUBLISHED: Mapping[str, tuple[str, int]] = {
    "google/vit-base-patch16-224-in21k": ("random/vit-base", 0),
    "google/siglip-base-patch16-224": ("random/siglip-base", 0),
    "stanford-crfm/BioMedLM": ("random/biomedlm", 28_896),
    "openai-community/gpt2": ("random/gpt2", 50_257),
    "distilbert/distilgpt2": ("random/distilgpt2", 50_257),
    "Qwen/Qwen2.5-0.5B": ("random/qwen2.5-0.5b", 151_936),
}
COLUMNS = (
    "recipe",
    "trained",
    "frozen",
    "weights, gradients, moments",
    "running average",
    "`last.safetensors`",
    "`best.safetensors`",
)


def main(arguments: list[str] | None = None) -> int:
    """Write the table into the page, or tell whether the page has it; 1 if not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(START)
    current = f"{head}{START}\n\n{table()}\n{END}{rest.partition(END)[2]}"
    if options.check and text != current:
        print(f"{PAGE}: stale; run python tools/write_memory.py", file=sys.stderr)
        return 1
    if text != current:
        PAGE.write_text(current, encoding="utf-8")
    return 0


def table() -> str:
    """Return a row for each recipe that trains a captioner of published parts."""
    recipes = [read_recipe(name) for name in recipe_names()]
    rows = [
        _cells(recipe.name, size_of(recipe))
        for recipe in recipes
        if recipe.run.task == "captions" and recipe.tables["captioner"].decoder in PUBLISHED
    ]
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def size_of(recipe: Recipe) -> Sizes:
    """Return how large the training of a recipe is."""
    options = recipe.tables["captioner"]
    (encoder, _), (decoder, words) = PUBLISHED[options.encoder], PUBLISHED[options.decoder]
    shape = msgspec.structs.replace(options, encoder=encoder, decoder=decoder)
    with torch.device("meta"):
        captioner = compose(shape, vocabulary=words, end=0)
    return sizes(captioner, bases_of(options), averages=recipe.tables["training"].average > 0)


def _cells(name: str, size: Sizes) -> tuple[str, ...]:
    numbers = (size.trained, size.frozen)
    amounts = (size.memory, size.average, size.last, size.best)
    return (
        f"`{name}`",
        *(f"{number / 1e6:,.1f} M" if number else "" for number in numbers),
        *(f"{amount / GIB:.1f} GiB" if amount else "" for amount in amounts),
    )


if __name__ == "__main__":
    sys.exit(main())
