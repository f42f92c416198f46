"""The command that decodes pictures beforehand: `cache`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from baselines.cli.session import CACHE, DATA, NETWORKS, QUIET, SET, opened_session, require
from rocov2_eval.errors import UsageFault


@click.command(epilog="Example: rocov2-baselines cache concepts_b0 --data rocov2/ --set data.workers=16")
@click.argument("recipe", metavar="RECIPE")
@DATA
@click.option(
    "--split",
    "splits",
    multiple=True,
    default=("train", "valid", "test"),
    show_default=True,
    help="Which images; may be repeated.",
)
@SET
@CACHE
@QUIET
def cache(recipe: str, data: Path, splits: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Decode the pictures of a dataset as RECIPE asks, into the cache that `train` and `predict` read.

    Both do so themselves where it is not done yet. This command does it beforehand, such as on a machine
    with many processors and no GPU. Stopped, it goes on where it was.
    """
    require(*NETWORKS)
    from baselines.config import read_recipe
    from baselines.data.dataset import read_examples
    from baselines.session import cached_split

    chosen = read_recipe(recipe, options["overrides"])
    if "data" not in chosen.tables:
        raise UsageFault(f"{recipe}: a recipe of {chosen.run.task} has no splits; it decodes when it trains")
    wanted = chosen.tables["data"]
    folder = options["cache"] or Path("runs/cache")
    with opened_session(data, folder, "cpu", "fp32", "steps", speaks=not options["quiet"]) as session:
        for split in splits:
            pictures = cached_split(
                session, read_examples(data, split), wanted, allow_broken=wanted.allow_broken
            )
            broken = f"{len(pictures.broken):,} broken"
            click.echo(f"{pictures.folder}: {len(pictures):,} pictures, {broken}, {pictures.digest}")
