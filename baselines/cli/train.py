"""Commands that train: `recipes` and `train`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from rocov2_eval import command as border
from rocov2_eval.errors import MissingResource

NETWORKS = ("torch", "safetensors", "PIL")
_TEXT = ("transformers", "tokenizers")
# What has to be installed, by task.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "concepts": NETWORKS,
    "captions": (*NETWORKS, *_TEXT),
    "self-critical": (*NETWORKS, *_TEXT),
    "filter": NETWORKS,
}
_EXTRA = "pip install 'rocov2-eval[baselines]'"


@click.command(epilog="Example: rocov2-baselines recipes")
def recipes() -> None:
    """List the recipes that come with the program, and what each is for."""
    require(*NETWORKS)
    from baselines.config import read_recipe, recipe_names

    names = recipe_names()
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:<{width}}  {read_recipe(name).run.about}")


@click.command(epilog="Example: rocov2-baselines train concepts_b0 --data rocov2/ --set training.epochs=5")
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Dataset folder in the ROCOv2 layout; for a filter, a folder of classes.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Run folder.  [default: runs/RECIPE]"
)
@click.option("--resume", is_flag=True, help="Go on with the run in the folder.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Overrule a key of the recipe; may be repeated.",
)
@click.option(
    "--init", metavar="WEIGHTS", help="Of concepts: a name of the Hub or a safetensors file to start from."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--packs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where packed pictures are kept between runs.  [default: packs beside the run]",
)
@click.option(
    "--tensorboard", is_flag=True, help="Write what TensorBoard shows as well, into the run folder."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no epochs.")
def train(recipe: str, data: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Train what RECIPE says: the path of a TOML file, or a name that `recipes` lists.

    Ctrl-C stops after the step at hand and leaves a checkpoint; --resume goes on from it, on the CPU to the
    same weights bit for bit. Under torchrun (`torchrun --nproc-per-node 2 -m baselines.cli train …`) every
    process takes its part of each batch.
    """
    require(*NETWORKS)
    from baselines.config import read_recipe
    from baselines.runs import Reporting, train_run
    from baselines.training.runlog import board
    from baselines.training.runtime import opened

    start = [f"network.init={options['init']}"] if options["init"] else []
    chosen = read_recipe(recipe, [*options["overrides"], *start])
    require(*LIBRARIES[chosen.run.task])
    out = options["out"] or Path("runs") / chosen.name
    leads = os.environ.get("RANK", "0") == "0"
    speaks = leads and not options["quiet"]
    bars = speaks and sys.stderr.isatty()
    with ExitStack() as stack:
        show = stack.enter_context(board(out)) if leads and options["tensorboard"] else border.silent

        def epoch(facts: Mapping[str, Any]) -> None:
            if speaks:
                _tell(facts)
            show(facts)

        runtime = stack.enter_context(opened(options["device"], chosen.tables["training"].precision))
        reporting = Reporting(
            packing=border.progress_bar("pictures packed", every=50) if bars else border.silent,
            steps=border.progress_bar("steps") if bars else border.silent,
            epoch=epoch,
        )
        packs = options["packs"] or out.parent / "packs"
        train_run(chosen, data, out, runtime, reporting, packs, resume=options["resume"])
    if not speaks:
        return
    if chosen.run.task == "filter":
        click.echo(f"{out}: hand it on with rocov2-baselines export {out} --out {chosen.name}.onnx")
        return
    click.echo(f"{out}: predict with rocov2-baselines predict {out} --data {data} --split test --out run.csv")


def require(*names: str) -> None:
    """Say which library is missing before anything else is done.

    Raises:
        MissingResource: One is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            raise MissingResource(f"{name} is not installed: {_EXTRA}")


def _tell(facts: Mapping[str, Any]) -> None:
    """Print an epoch on one line."""
    known = {name: value for name, value in facts.items() if isinstance(value, float | int)}
    parts = [f"epoch {known.pop('epoch'):.3g}", f"loss {known.pop('loss'):.4f}"]
    for name in ("step", "rate", "seconds"):
        known.pop(name, None)
    parts += [f"{name} {value:.4g}" for name, value in known.items()]
    click.echo("  ".join(parts), err=True)
