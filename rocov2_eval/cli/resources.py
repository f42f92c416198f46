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
    """Show and fetch the weights of the text encoders."""


@models.command("list", epilog="Example: rocov2-eval models list --format json")
@format_option
@output_option
def models_list(style: str, output: Path | None) -> None:
    """List the encoders, and the folders that hold their weights."""
    from rocov2_eval.models import encoder_list
    from rocov2_eval.rendering.render import render

    answer(render(encoder_list(), style), output)


@models.command("fetch", epilog="Example: rocov2-eval models fetch deberta-xlarge-mnli")
@click.argument("name")
def models_fetch(name: str) -> None:
    """Download the weights of an encoder and check them.

    Goes on where an earlier attempt stopped. Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
    """
    from rocov2_eval.models import fetch

    folder = fetch(name, note)
    click.echo(folder.path)
