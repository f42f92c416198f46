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
    help="A file that ends in .onnx, replaced if it exists; else a folder for transformers.",
)
@click.option(
    "--licence",
    default="not stated; those of the training images hold",
    show_default=True,
    help="Licence of the weights: what the licences of their images leave open.",
)
def export(run: Path, out: Path, licence: str) -> None:
    """Hand the best weights of a run folder on, as ONNX or as a folder that transformers opens by itself.

    An .onnx file holds an image filter or a network that detects concepts, and says itself how pictures must
    look and what each output means. A folder holds a network of transformers that detects concepts, or a
    captioner with cross-attention, and a model card for the Hub. Either is compared with the run before it
    takes its name.
    """
    require(*NETWORKS)
    from baselines.exports import export_run

    if out.suffix != ".onnx":
        require(*LIBRARIES["captions"])
    difference = export_run(run, out, licence)
    click.echo(
        f"{out}: {_size(out) / 1e6:.1f} MB; of the largest logit, {difference:.2g} differs from the run"
    )


def _size(out: Path) -> int:
    files = [path for path in out.iterdir() if path.is_file()] if out.is_dir() else [out]
    return sum(path.stat().st_size for path in files)
