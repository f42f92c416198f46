"""Commands about what is at hand: sample, doctor, models."""

from __future__ import annotations

from pathlib import Path

import click

from rocov2_eval.cli.options import answer, format_option, note, output_option, writing
from rocov2_eval.errors import UsageFault


@click.command(epilog="Example: rocov2-eval sample ./sample")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def sample(folder: Path) -> None:
    """Copy the small bundled dataset to a new folder.

    It is in the ROCOv2 layout: see what --truth expects, and try commands on it.
    """
    import shutil

    from rocov2_eval.truth import sample_folder

    if folder.exists():
        raise UsageFault(f"{folder} exists already; name a new folder")
    with writing(folder):
        shutil.copytree(sample_folder(), folder)
    click.echo(f"{folder}: 3 splits; see {folder / 'README.md'}")


@click.command(epilog="Example: rocov2-eval doctor --format json")
@format_option
@output_option
def doctor(style: str, output: Path | None) -> None:
    """Say what this machine can score and what it lacks.

    Libraries, weights, device, where the truth is looked for, config file and cache, and what is missing for
    which edition.
    """
    from rocov2_eval.doctor import examination, examine
    from rocov2_eval.rendering.render import render

    answer(render(examination(examine()), style), output)


@click.group(epilog="Example: rocov2-eval models list")
def models() -> None:
    """Show, fetch and import weights."""


@models.command("list", epilog="Example: rocov2-eval models list --format json")
@format_option
@output_option
def models_list(style: str, output: Path | None) -> None:
    """List weights, their folders, what editions lack."""
    from rocov2_eval.rendering.render import render
    from rocov2_eval.supply import weights_document

    answer(render(weights_document(), style), output)


@models.command("fetch", epilog="Example: rocov2-eval models fetch imageclef-2026")
@click.argument("name", metavar="NAME|EDITION")
def models_fetch(name: str) -> None:
    """Download weights and check them: one by name, or all that an edition needs.

    Goes on where an earlier attempt stopped. Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
    """
    from rocov2_eval.supply import fetch_all

    for folder in fetch_all(name, note):
        click.echo(folder.path)


@models.command("import", epilog="Example: rocov2-eval models import /media/usb/BLEURT-20-D12")
@click.argument("source", metavar="FOLDER|FILE", type=click.Path(path_type=Path, exists=True))
@click.option("--as", "name", metavar="NAME", help="Which weights they are, a name of `models list`.")
def models_import(source: Path, name: str | None) -> None:
    """Check weights that were carried here by hand, and file a copy.

    A folder with one model, one file of it (the others may follow), or the archive of punkt-english.
    """
    from rocov2_eval.supply import import_weights

    with writing(source):
        folder = import_weights(source, name, note)
    if folder is not None:
        click.echo(folder.path)
