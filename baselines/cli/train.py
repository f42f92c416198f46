"""Commands that train: `recipes` and `train`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from baselines.cli.session import (
    CACHE,
    DEVICE,
    FOLDER,
    LIBRARIES,
    NETWORKS,
    NEW_FOLDER,
    QUIET,
    SET,
    opened_session,
    require,
    warn,
)
from rocov2_eval.shelf.progress import silent
from rocov2_eval.shelf.surroundings import variable_number


@click.command(epilog="Example: rocov2-baselines recipes")
def recipes() -> None:
    """List the bundled recipes, and what each is for."""
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
    type=FOLDER,
    help="Dataset folder in the ROCOv2 layout; for a filter, a folder of classes.",
)
@click.option("-o", "--out", type=NEW_FOLDER, help="Run folder.  [default: runs/RECIPE]")
@click.option("--resume", is_flag=True, help="Continuation of the run in the folder.")
@SET
@DEVICE
@CACHE
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard, too, in the run folder.")
@QUIET
def train(recipe: str, data: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Train RECIPE, the path of a TOML file or a name of `recipes`.

    Ctrl-C stops after the current step and writes a checkpoint. --resume continues from it; on the CPU the
    weights are the same bit for bit. With torchrun (`torchrun --nproc-per-node 2 -m baselines.cli train …`)
    each process trains on its part of each batch.
    """
    require(*NETWORKS)
    from baselines.config import read_recipe
    from baselines.runs import doubts_of, train_run
    from baselines.training.runlog import board
    from baselines.training.runtime import Precision

    chosen = read_recipe(recipe, options["overrides"])
    require(*LIBRARIES[chosen.run.task])
    out = options["out"] or Path("runs") / chosen.name
    leads = variable_number("RANK", 0) == 0
    speaks = leads and not options["quiet"]
    with ExitStack() as stack:
        show = stack.enter_context(board(out)) if leads and options["tensorboard"] else silent

        def epoch(facts: Mapping[str, Any]) -> None:
            if speaks:
                click.echo(_epoch_line(facts), err=True)
            show(facts)

        precision: Precision = getattr(chosen.tables.get("training"), "precision", "auto")
        cache = options["cache"] or out.parent / "cache"
        session = stack.enter_context(
            opened_session(data, cache, options["device"], precision, "steps", epoch, speaks=speaks)
        )
        train_run(chosen, session, out, resume=options["resume"])
    if leads:
        warn(doubts_of(out))
    if speaks and chosen.run.task == "filter":
        click.echo(f"{out}: export it with rocov2-baselines export {out} -o {chosen.name}.onnx")
    elif speaks:
        click.echo(
            f"{out}: predict with rocov2-baselines predict {out} --data {data} --split test -o run.csv"
        )


def _epoch_line(facts: Mapping[str, Any]) -> str:
    known = {name: value for name, value in facts.items() if isinstance(value, float | int)}
    parts = [f"epoch {known.pop('epoch'):.3g}", f"loss {known.pop('loss'):.4f}"]
    for name in ("step", "rate", "seconds"):
        known.pop(name, None)
    return "  ".join([*parts, *(f"{name} {value:.4g}" for name, value in known.items())])
