"""What `rocov2-eval` is made of: its groups and commands.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

import click

from rocov2_eval import __version__
from rocov2_eval.cli import bundle, compare, leaderboard, resources, score


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rocov2-eval")
def app() -> None:
    """Score radiology image-caption runs by the rules of ImageCLEFmedical Caption.

    \b
    rocov2-eval score run.csv                 scores, and whether they are official
    rocov2-eval validate run.csv --strict     all faults of the file
    rocov2-eval doctor                        what this machine can compute
    """  # noqa: D301  click wants the backspace itself


for command in (
    score.score,
    score.validate,
    score.convert,
    score.explain,
    bundle.bundle,
    compare.compare,
    leaderboard.leaderboard,
    resources.sample,
    resources.doctor,
    resources.models,
    resources.embed_images,
):
    app.add_command(command)
