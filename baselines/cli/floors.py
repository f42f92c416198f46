"""The command that writes the baseline rows of a board: `floors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from baselines.cli.session import CACHE, FOLDER, NETWORKS, NEW_FOLDER, QUIET, opened_session, require
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS


@click.command(epilog="Example: rocov2-baselines floors rocov2/ --split test --out submissions/baselines/")
@click.argument("data", metavar="DATA", type=FOLDER)
@click.option("--split", default="test", show_default=True, help="Split to answer.")
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
    help="Edition of the board.",
)
@CACHE
@QUIET
def floors(data: Path, split: str, out: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Write simple baselines as submissions to a board.

    A network should score higher than these; they take seconds on a CPU. For concepts: the most frequent
    concepts, and the concepts of the most similar training pictures. For captions: the caption that is most
    similar to all others, and the captions of the most similar pictures. A dataset with only one of the two
    tasks gets the floors of that task.
    """
    require(*NETWORKS)
    from baselines.floors import write_floors

    cache, speaks = options["cache"] or Path("runs/cache"), not options["quiet"]
    with opened_session(data, cache, "cpu", "fp32", "images", speaks=speaks) as session:
        runs = write_floors(session, split, out, options["edition"])
    if speaks:
        board = f"rocov2-eval leaderboard {out.parent} --truth {data} --out site/"
        click.echo(f"{out}: {', '.join(runs)}; {board}")
