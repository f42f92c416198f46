"""The command that hands a trained network on: `export`."""

from __future__ import annotations

from pathlib import Path

import click

from baselines.cli.session import FOLDER, LIBRARIES, NETWORKS, require


@click.command(
    epilog="Example: rocov2-baselines export runs/concepts_convnext -o concepts/ --licence 'CC BY-NC 4.0'"
)
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="File that ends in .onnx, replaced if it exists, or a new folder for transformers.",
)
@click.option(
    "--licence",
    default="not stated; those of the training images apply",
    show_default=True,
    help="Licence of the weights, within the licences of their images.",
)
def export(run: Path, out: Path, licence: str) -> None:
    """Write weights as ONNX, or for transformers.

    The weights are the best ones of the run folder. An .onnx file contains an image filter or a network that
    detects concepts, and describes its input and outputs. A folder contains a network of transformers that
    detects concepts, or a captioner with cross-attention, and a model card for the Hub. Each export is
    compared with the run before it is written.
    """
    require(*NETWORKS)
    from baselines.exports import export_run

    if out.suffix != ".onnx":
        require(*LIBRARIES["captions"])
    difference = export_run(run, out, licence)
    click.echo(
        f"{out}: {_size(out) / 1000000.0:.1f} MB; it differs from the run by {difference:.2g} of the "
        "largest logit"
    )


def _size(out: Path) -> int:
    files = [path for path in out.iterdir() if path.is_file()] if out.is_dir() else [out]
    return sum(path.stat().st_size for path in files)
