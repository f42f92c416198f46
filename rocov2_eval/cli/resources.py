"""Commands about what is at hand: sample, doctor, models."""

from __future__ import annotations

from pathlib import Path

import click

from rocov2_eval.cli.options import note, writing
from rocov2_eval.errors import MissingResource, UsageFault


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
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
def doctor(style: str) -> None:
    """Say what this machine can score and what it lacks.

    Libraries, weights, device, where the truth is looked for, config file and cache, and what is missing for
    which edition.
    """
    from rocov2_eval import doctor as examination
    from rocov2_eval.places import cache_folder, config_file, truth_places
    from rocov2_eval.reporters import to_json

    looked_at = [(place.origin, place.path) for place in truth_places(None)]
    checks = examination.examine(cache_folder(), config_file(), looked_at)
    click.echo(
        to_json(examination.document(checks)) if style == "json" else examination.text(checks), nl=False
    )


@click.group(epilog="Example: rocov2-eval models list")
def models() -> None:
    """Show and fetch the weights of the text encoders."""


@models.command("list", epilog="Example: rocov2-eval models list")
def models_list() -> None:
    """List the encoders and where their weights are."""
    from rocov2_eval.models import ENCODERS, locate

    for name, row in ENCODERS.items():
        try:
            folder = locate(name)
            where = str(folder.path) if folder else f"not here; {row.get_command}"
        except MissingResource as error:
            where = f"not here; {error}"
        official = "official" if row.official else "stand-in: scores are not comparable with official ones"
        click.echo(f"{name}: {row.origin}, layer {row.layer}, {row.size}, {row.licence}")
        click.echo(f"  {official}\n  {where}")


@models.command("path", epilog="Example: rocov2-eval models path minilm")
@click.argument("name")
def models_path(name: str) -> None:
    """Print the folder that holds the weights of an encoder."""
    from rocov2_eval.models import require

    click.echo(require(name).path)


@models.command("fetch", epilog="Example: rocov2-eval models fetch deberta-xlarge-mnli")
@click.argument("name")
def models_fetch(name: str) -> None:
    """Download the weights of an encoder and check them.

    Goes on where an earlier attempt stopped. Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
    """
    from rocov2_eval.models import fetch

    folder = fetch(name, note)
    click.echo(folder.path)
