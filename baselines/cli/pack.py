"""The command that decodes pictures once: `pack`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from baselines.cli.train import NETWORKS, require
from rocov2_eval import command as border

_SPLITS = ("train", "valid", "test")


@click.command(epilog="Example: rocov2-baselines pack rocov2/ --side 320 --workers 16")
@click.argument("data", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--split",
    "splits",
    multiple=True,
    default=_SPLITS,
    show_default=True,
    help="Which images; may be repeated.",
)
@click.option(
    "--side", type=click.IntRange(min=8), default=256, show_default=True, help="Pixels of the squares."
)
@click.option(
    "--fit",
    type=click.Choice(["letterbox", "squash"]),
    default="letterbox",
    show_default=True,
    help="Keep proportions and fill up with black, or do not.",
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option("--allow-broken", is_flag=True, help="Keep a picture that cannot be decoded as a black one.")
@click.option(
    "--packs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/packs"),
    show_default=True,
    help="Where packed pictures are kept: the folder that `train --packs` names.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def pack(data: Path, splits: tuple[str, ...], packs: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Decode the pictures of a dataset into squares that training reads without decoding.

    `train` does so itself where it is not done yet. This command does it beforehand, such as on a machine
    with many processors and no GPU. Stopped, it goes on where it was.
    """
    require(*NETWORKS)
    from baselines.config import DataOptions
    from baselines.data.dataset import read_examples
    from baselines.runs import pack as pack_split

    chosen = DataOptions(side=options["side"], fit=options["fit"], workers=options["workers"])
    is_seen = sys.stderr.isatty() and not options["quiet"]
    for split in splits:
        show = border.progress_bar(f"{split} pictures packed", every=50) if is_seen else border.silent
        examples = read_examples(data, split)
        packed = pack_split(examples, chosen, packs, show, allow_broken=options["allow_broken"])
        for image_id, fault in packed.broken.items():
            click.echo(f"{image_id}: {fault}", err=True)
        click.echo(
            f"{packed.folder}: {len(packed):,} pictures, {len(packed.broken):,} broken, {packed.digest}"
        )
