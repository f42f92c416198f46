"""The command that makes competitions for platforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rocov2_eval.cli.options import decimals_option, edition_option, note, writing
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
    help="ROCOv2 dataset folder or truth file. It goes into the archive.",
)
@edition_option
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive to upload. It holds the truth: keep it secret.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(["concepts", "captions"]),
    help="Only this task; may be repeated; else all that the truth has.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Take this split; else the only one, or test.",
)
@click.option(
    "--image",
    metavar="NAME",
    help="Docker image that holds rocov2-eval and weights for scores with models; else wheels travel along.",
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of wheels to send along; else they are fetched with pip.",
)
@click.option("--encoder", help="Text encoder of BERTScore in the image.  [default: deberta-xlarge-mnli]")
@click.option(
    "--concept-model", metavar="PATH", help="Path of a model pack of MedCAT in the image, for umls_f1."
)
@click.option(
    "--image-vectors",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Vectors of the images of the truth, for similarity: a file of `embed-images`. It is sent along.",
)
@decimals_option
def codabench(**options: Any) -> None:
    """Make a Codabench v2 competition with everything in it.

    Pages, phase, tasks, reference data, scoring programs, leaderboard, starting kit. Title, dates and limits
    are in its competition.yaml: edit them there. docs/codabench.md tells what to do with the archive.
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
    note(f"{out} holds the truth: keep it secret. Its README.md tells what to do next.")


def _check(options: dict[str, Any]) -> None:
    """Refuse options that exclude each other, or that the platform would refuse after the upload."""
    if options["image"] and options["wheels"]:
        raise UsageFault("--image and --wheels exclude each other: one of them holds the program")
    for name, score in _SCORES_OF_MODELS.items():
        if options[name] and not options["image"]:
            raise UsageFault(
                f"--{name.replace('_', '-')} needs --image: torch and weights cannot travel in wheels, "
                f"so that without an image there is no {score}"
            )
    for name in ("image", "encoder", "concept_model"):
        if any(character.isspace() for character in options[name] or ""):
            option = f"--{name.replace('_', '-')} {options[name]!r}"
            raise UsageFault(f"{option} holds a blank, at which the platform splits commands")
