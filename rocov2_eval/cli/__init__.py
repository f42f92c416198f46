"""The command `rocov2-eval`: parse, call, print; nothing else.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import click

from rocov2_eval import __version__
from rocov2_eval import command as border
from rocov2_eval.cli import bundle, compare, leaderboard, resources, score

_NAME = "rocov2-eval"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=_NAME)
def app() -> None:
    """Score radiology image-caption runs exactly as ImageCLEFmedical Caption does.

    \b
    rocov2-eval score run.csv                 the number the organisers will publish
    rocov2-eval validate run.csv --strict     every fault of the file at once
    rocov2-eval doctor                        what this machine can score
    """  # noqa: D301  click wants the backspace itself


for command in (
    score.score,
    score.validate,
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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with the exit code that README.md lists."""
    border.main(app, _NAME, arguments)


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the command in this process and return its exit code."""
    return border.invoke(app, _NAME, arguments)
