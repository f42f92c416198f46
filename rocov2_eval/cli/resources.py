"""Commands about what is at hand: sample, doctor, models, embed-images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rocov2_eval.cli.options import (
    answer,
    device_option,
    format_option,
    note,
    opener_choices,
    output_option,
    precision_option,
    quiet_option,
    writing,
)
from rocov2_eval.errors import UsageFault


@click.command(epilog="Example: rocov2-eval sample ./sample")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def sample(folder: Path) -> None:
    """Copy the small bundled dataset to a new folder.

    The dataset has the ROCOv2 layout, which --truth expects. Use it to try the commands.
    """
    from rocov2_eval.shelf.files import write_bytes
    from rocov2_eval.shelf.folders import all_is_ours, publishing
    from rocov2_eval.truth import sample_folder

    if folder.exists():
        raise UsageFault(f"{folder} exists already: name a new folder")
    source = sample_folder()
    with writing(folder), publishing(folder, all_is_ours) as content:
        for path in source.rglob("*"):
            if path.is_file():
                write_bytes(content / path.relative_to(source), path.read_bytes())
    click.echo(f"{folder}: 3 splits; see {folder / 'README.md'}")


@click.command(epilog="Example: rocov2-eval doctor --format json")
@format_option
@output_option
def doctor(style: str, output: Path | None) -> None:
    """Report what this machine can compute, and what not.

    The report lists libraries, weights, device, places of the truth, config file and cache, and what each
    edition needs.
    """
    from rocov2_eval.doctor import examination, examine

    answer(examination(examine()), style, output)


@click.command("embed-images", epilog="Example: rocov2-eval embed-images data/test -o test_vectors.npz")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o",
    "--out",
    "output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file, .npz.",
)
@click.option(
    "--weights",
    metavar="NAME|FOLDER",
    help="Weights of the model.  [default: those of the challenge]",
)
@device_option
@precision_option
@quiet_option
def embed_images(folder: Path, output: Path, weights: str | None, **options: Any) -> None:
    """Write the image vectors of Similarity to one file.

    DIR contains <ID>.jpg, or such files in train, valid and test. The output has one array per image id. The
    cache stores each vector at once, so a repeated command continues an interrupted one.
    """
    from rocov2_eval.front_door import model_opener
    from rocov2_eval.image_vectors import write_vectors
    from rocov2_eval.images import all_images
    from rocov2_eval.metrics.similarity import METRIC, SimilarityOptions
    from rocov2_eval.shelf.words import counted

    images = all_images(folder)
    chosen = SimilarityOptions(weights=weights, precision=options["precision"])
    with model_opener(**opener_choices({**options, "cache": True}))(METRIC, chosen) as encoder:
        vectors = encoder.image_vectors(list(images.values()))
    with writing(output):
        write_vectors(output, dict(zip(images, vectors, strict=True)))
    if not options["quiet"]:
        note(f"{output}: {counted(len(images), 'vector')} by {encoder.identity}")


@click.group(epilog="Example: rocov2-eval models list")
def models() -> None:
    """List, download and import weights."""


@models.command("list", epilog="Example: rocov2-eval models list --format json")
@format_option
@output_option
def models_list(style: str, output: Path | None) -> None:
    """List weights with their folders, and missing ones."""
    from rocov2_eval.supply import weights_document

    answer(weights_document(), style, output)


@models.command("fetch", epilog="Example: rocov2-eval models fetch imageclef-2026")
@click.argument("name", metavar="NAME|EDITION")
def models_fetch(name: str) -> None:
    """Download weights and check them.

    NAME selects one set of weights, EDITION all that the edition needs. A repeated download continues an
    interrupted one. HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE apply.
    """
    from rocov2_eval.supply import fetch_all

    for folder in fetch_all(name, note):
        click.echo(folder.path)


@models.command("import", epilog="Example: rocov2-eval models import BLEURT-20-D12/")
@click.argument("source", metavar="FOLDER|FILE", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="Name of the weights in `models list`.  [default: detected from the files]",
)
def models_import(source: Path, name: str | None) -> None:
    """Check weights that you copied to this machine, and store them.

    The argument is a folder with one model, one file of it (others may follow), or the archive of
    punkt-english.
    """
    from rocov2_eval.models import store_folder
    from rocov2_eval.supply import import_weights

    with writing(store_folder(name or source.name).parent):
        folder = import_weights(source, name, note)
    if folder is not None:
        click.echo(folder.path)
