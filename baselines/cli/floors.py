"""The command that writes the baseline rows of a board: `floors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from baselines.cli.session import CACHE, FOLDER, NETWORKS, NEW_FOLDER, QUIET, opened_session, require
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS


@click.command(epilog="Example: rocov2-baselines floors rocov2/ --split test --out submissions/baselines/")
@click.argument("data", metavar="DATA", type=FOLDER)
@click.option("--split", default="test", show_default=True, help="Which images to answer.")
@click.option(
    "-o",
    "--out",
    required=True,
    type=NEW_FOLDER,
    help="Folder of a team among the submissions of `rocov2-eval leaderboard`.",
)
@click.option(
    "--edition",
    type=click.Choice(tuple(EDITIONS)),
    default=DEFAULT_EDITION,
    show_default=True,
    help="What the board ranks.",
)
@CACHE
@QUIET
def floors(data: Path, split: str, out: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Write what no submission may fall below, as submissions to a board, in seconds on a CPU.

    Of concepts: the most frequent ones, and those of the training pictures nearest by their pixels. Of
    captions: the one most like all others, and those of the nearest pictures. A dataset that has one of the
    two gets the floors of that one.
    """
    require(*NETWORKS)
    from baselines.floors import write_floors

    cache, speaks = options["cache"] or Path("runs/cache"), not options["quiet"]
    with opened_session(data, cache, "cpu", "fp32", "images", speaks=speaks) as session:
        runs = write_floors(session, split, out, options["edition"])
    if speaks:
        board = f"rocov2-eval leaderboard {out.parent} --truth {data} --out site/"
        click.echo(f"{out}: {', '.join(runs)}; {board}")
