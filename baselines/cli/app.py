"""What `rocov2-baselines` is made of: its groups and commands.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

import click

from baselines.cli import cache, experiment, export, floors, predict, train
from rocov2_eval import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rocov2-baselines")
def app() -> None:
    """Train baselines on a dataset in the ROCOv2 layout, and write their run files.

    \b
    rocov2-baselines recipes                                        all recipes
    rocov2-baselines floors rocov2/ --out submissions/baselines/    simple baselines, in seconds
    rocov2-baselines cache concepts_b0 --data rocov2/               decode the pictures in advance
    rocov2-baselines train concepts_b0 --data rocov2/ -o runs/b0    train; --resume continues a stopped run
    rocov2-baselines predict runs/b0 --data rocov2/ --split test -o run.csv
    rocov2-baselines experiment licences --data rocov2/             the effect of CC BY-NC images
    rocov2-baselines export runs/radiology -o radiology.onnx        an image filter for rocov2-build
    """  # noqa: D301  click wants the backspace itself


for command in (
    train.recipes,
    cache.cache,
    train.train,
    floors.floors,
    predict.predict,
    export.export,
    experiment.experiment,
):
    app.add_command(command)
