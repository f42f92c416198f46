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
    help="Split to decode; may be repeated.",
)
@SET
@CACHE
@QUIET
def cache(recipe: str, data: Path, splits: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Decode the pictures of a dataset in advance.

    They are decoded for RECIPE, into the cache of `train` and `predict`. Both commands decode missing
    pictures themselves. Use this command, for example, on a machine with many processors and no GPU. A
    repeated command continues an interrupted one.
    """
    require(*NETWORKS)
    from baselines.config import read_recipe
    from baselines.data.dataset import read_examples
    from baselines.session import cached_split

    chosen = read_recipe(recipe, options["overrides"])
    if "data" not in chosen.tables:
        raise UsageFault(
            f"{recipe}: a recipe of {chosen.run.task} has no splits; `train` decodes its pictures"
        )
    wanted = chosen.tables["data"]
    folder = options["cache"] or Path("runs/cache")
    with opened_session(data, folder, "cpu", "fp32", "steps", speaks=not options["quiet"]) as session:
        for split in splits:
            pictures = cached_split(
                session, read_examples(data, split), wanted, allow_broken=wanted.allow_broken
            )
            broken = f"{len(pictures.broken):,} broken"
            click.echo(f"{pictures.folder}: {len(pictures):,} pictures, {broken}, {pictures.digest}")
