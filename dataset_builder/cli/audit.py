"""Commands that audit a dataset: `audit sample`, `audit score`, `audit licences`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import click

from dataset_builder.cli.raters import RATER_HELP, BeforeFile, raters_of
from rocov2_eval.cli.options import answer, format_option, output_option, writing
from rocov2_eval.errors import RejectedInput

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_TOOLS = ("label-studio", "csv")  # MedCATtrainer shows no pictures


@click.group()
def audit() -> None:
    """Check a dataset: its automatic concepts by blinded radiologists, and its licences."""


@audit.command(
    epilog="Example: rocov2-build audit sample dataset/ --types mentions.csv --raters 2 --out audit/"
)
@click.argument("dataset", metavar="DIR", type=_FOLDER)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="New folder for tasks and key."
)
@click.option(
    "--types",
    type=_FILE,
    help="CSV with cui, types and optionally name, such as mentions.  [default: all untyped]",
)
@click.option(
    "-n",
    "--concepts",
    "n",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of automatic concepts.",
)
@click.option(
    "--missed",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Number of images that raters search for missed concepts.",
)
@click.option("--raters", type=click.IntRange(min=1), default=1, show_default=True, help="Number of raters.")
@click.option(
    "--for",
    "tool",
    type=click.Choice(_TOOLS),
    default=_TOOLS[0],
    show_default=True,
    help="Tool of the raters.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Seed of the draw.  [default: a secret one, kept in the key]",
)
def sample(dataset: Path, out: Path, **options: Any) -> None:
    """Draw automatic concepts, decoys and images for raters who do not know which is which.

    DIR is a dataset folder in the ROCOv2 layout, with its images or their archives. OUT/raters gets a folder
    for each rater, and OUT/secret the key, which no rater may see.
    """
    from dataset_builder.concepts.table import read_names
    from dataset_builder.packaging.reading import ImageFiles
    from dataset_builder.study.audit_sample import draw, read_images, read_types
    from dataset_builder.study.audit_tasks import write_audit
    from rocov2_eval.shelf.words import counted

    population = read_images(dataset)
    types, names = read_types(options["types"]) if options["types"] else ({}, {})
    used = {cui for image in population for cui in image.automatic}
    if types and used and not types.keys() & used:
        raise RejectedInput(
            f"{options['types']}: {counted(len(types), 'concept')}, but no automatic concept of {dataset}; "
            f"expected CUIs such as {min(used)}"
        )
    mapping = dataset / "cui_mapping.csv"
    names |= read_names(mapping) if mapping.is_file() else {}
    seed = secrets.randbits(53) if options["seed"] is None else options["seed"]
    key = draw(population, types, n=options["n"], missed=options["missed"], seed=seed)
    with ImageFiles(dataset) as pictures, writing(out):
        write_audit(
            out,
            key,
            images={image.image_id: image for image in population},
            names=names,
            pictures={image.image_id: image.read for image in pictures.files},
            raters=options["raters"],
            tool=options["tool"],
        )
    automatic, decoys, missed = (len(key.of_kind(kind)) for kind in ("automatic", "decoy", "missed"))
    concepts = f"{counted(automatic, 'automatic concept')}, {counted(decoys, 'decoy')}"
    click.echo(f"{out}: {concepts}, and {counted(missed, 'image')} for missed concepts")
    click.echo(f"{out}/secret contains the key: keep it from the raters until all answers are collected")


@audit.command(epilog="Example: rocov2-build audit score rater-*.json --key audit/secret/key.json")
@click.argument("answers", metavar="ANSWERS...", nargs=-1, required=True, type=_FILE)
@click.option(
    "--key", "path", type=_FILE, required=True, help="Key of the audit, secret/key.json of `audit sample`."
)
@click.option("--rater", "raters", cls=BeforeFile, help=RATER_HELP)
@format_option
@output_option
def score(
    answers: tuple[Path, ...],
    path: Path,
    raters: tuple[tuple[int, str], ...],
    style: str,
    output: Path | None,
) -> None:
    """Report false positive and false negative rates by semantic type, with 95 % intervals.

    ANSWERS are exports of the tool of the raters, one or more per rater.
    """
    from dataset_builder.study.audit_score import refuse_strangers, score_document
    from dataset_builder.study.audit_tasks import PARTS, facets_of, read_key
    from dataset_builder.study.collecting import refuse_contradictions, told_apart
    from dataset_builder.study.formats import read_exports

    key = read_key(path)
    facets = {name: facet for part in PARTS for name, facet in facets_of(key, part).items()}
    exports = read_exports(answers, facets, raters=raters_of(answers, raters))
    for file, export in zip(answers, exports, strict=True):
        refuse_strangers(key, export.annotations, str(file))
    annotations = told_apart(each for export in exports for each in export.annotations)
    refuse_contradictions(annotations)
    answer(score_document(key, annotations), style, output)


@audit.command(epilog="Example: rocov2-build audit licences dataset/ --articles PMC-ids.csv")
@click.argument("dataset", metavar="DIR", type=_FOLDER)
@click.option(
    "--articles",
    type=_FILE,
    help="CSV with PMCID, Journal Title and Year, such as PMC-ids.csv.  [default: no journals]",
)
@click.option(
    "--floor",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Lowest number of images of a concept in the dataset.",
)
@format_option
@output_option
def licences(dataset: Path, articles: Path | None, floor: int, style: str, output: Path | None) -> None:
    """Count images under CC BY and CC BY-NC by split, modality, year and journal, and the loss without NC.

    DIR is a dataset folder in the ROCOv2 layout.
    """
    from dataset_builder.study.licences import licences_document, read_images

    document = licences_document(str(dataset), read_images(dataset, articles), floor=floor)
    answer(document, style, output)
