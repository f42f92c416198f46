"""The command that makes competitions for platforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rocov2_eval.cli.options import decimals_option, edition_name, note, writing
from rocov2_eval.editions import DEFAULT_EDITION
from rocov2_eval.errors import UsageFault

# Options that only an image makes use of, and the score that each brings.
_SCORES_OF_MODELS = {"encoder": "BERTScore", "concept_model": "umls_f1", "image_vectors": "similarity"}


@click.group(epilog="Example: rocov2-eval bundle codabench --truth data/ --out bundle.zip")
def bundle() -> None:
    """Make a competition for a platform."""


@bundle.command(epilog="Example: rocov2-eval bundle codabench --truth data/ --out bundle.zip --task concepts")
@click.option(
    "--truth",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="ROCOv2 dataset folder or truth file. The archive contains it.",
)
@click.option(
    "--edition",
    callback=edition_name,
    default=DEFAULT_EDITION,
    show_default=True,
    metavar="YEAR|NAME",
    help="Edition whose reader, limits and metrics apply, as in `score`.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Archive to upload. It contains the truth: keep it secret.",
)
@click.option("--force", is_flag=True, help="Replacement of an existing file.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(["concepts", "captions"]),
    help="Task of the competition; may be repeated.  [default: all tasks of the truth]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Split of the truth.  [default: test, or the only one]",
)
@click.option(
    "--image",
    metavar="NAME",
    help="Docker image with rocov2-eval, and with weights for scores of models.  [default: none, the archive "
    "contains wheels]",
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of wheels for the archive.  [default: downloaded with pip]",
)
@click.option("--encoder", help="Text encoder of BERTScore in the image.  [default: deberta-xlarge-mnli]")
@click.option(
    "--concept-model",
    metavar="PATH",
    help="Path of a model pack of MedCAT in the image, for umls_f1.  [default: none]",
)
@click.option(
    "--image-vectors",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Vectors of the images of the truth for similarity, a file of `embed-images`. The archive contains "
    "it.  [default: none]",
)
@decimals_option
def codabench(**options: Any) -> None:
    """Make a complete Codabench v2 competition as one archive.

    The archive contains pages, phase, tasks, reference data, scoring programs, leaderboard and starting kit.
    Edit title, dates and limits in its competition.yaml. docs/codabench.md explains how to use the archive.
    """
    from rocov2_eval.codabench import BundleOptions, make_bundle
    from rocov2_eval.shelf.files import write_bytes
    from rocov2_eval.truth import Place

    out: Path = options["out"]
    with writing(out):
        if out.exists() and not options["force"]:
            raise UsageFault(f"{out} exists already: add --force to replace it")
    _check(options)
    chosen = BundleOptions(
        edition=options["edition"],
        tasks=options["tasks"] or None,
        split=options["split"],
        image=options["image"],
        wheels=options["wheels"],
        encoder=options["encoder"] or BundleOptions.encoder,
        concept_model=options["concept_model"],
        image_vectors=options["image_vectors"],
        decimals=options["decimals"],
    )
    archive = make_bundle(Place(path=options["truth"], origin="--truth"), chosen, note)
    with writing(out):
        write_bytes(out, archive)
    click.echo(out)
    note(f"{out} contains the truth: keep it secret. Its README.md lists the next steps.")


def _check(options: dict[str, Any]) -> None:
    """Refuse options that exclude each other, or that the platform would refuse after the upload."""
    if options["image"] and options["wheels"]:
        raise UsageFault("--image and --wheels exclude each other: use the one that contains the program")
    for name, score in _SCORES_OF_MODELS.items():
        if options[name] and not options["image"]:
            raise UsageFault(
                f"--{name.replace('_', '-')} needs --image: {score} needs torch and weights, which are too "
                "large for the archive"
            )
    for name in ("image", "encoder", "concept_model"):
        if any(character.isspace() for character in options[name] or ""):
            option = f"--{name.replace('_', '-')} {options[name]!r}"
            raise UsageFault(
                f"{option} contains a space, where the platform splits commands: use a name without spaces"
            )
