"""The command that hands a trained network on: `export`."""

from __future__ import annotations

from pathlib import Path

import click

from baselines.cli.session import FOLDER, NETWORKS, NEW_FILE, require


@click.command(
    epilog="Example: rocov2-baselines export runs/radiology -o radiology.onnx --licence 'CC BY 4.0'"
)
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("-o", "--out", required=True, type=NEW_FILE, help="The file, replaced if it exists.")
@click.option(
    "--licence",
    default="not stated; those of the training images hold",
    show_default=True,
    help="Licence of the weights: what the licences of their images leave open.",
)
def export(run: Path, out: Path, licence: str) -> None:
    """Write the best weights of a run folder as ONNX: an image filter, or a network that detects concepts.

    The file says itself how pictures must look and what each output means. It is compared with torch before
    it takes its name.
    """
    require(*NETWORKS)
    from baselines.exporting import export_run

    difference = export_run(run, out, licence)
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB; of the largest logit, {difference:.2g} differs from torch"
    )
