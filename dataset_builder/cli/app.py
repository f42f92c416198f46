"""What `rocov2-build` is made of: its groups and commands.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

import click

from dataset_builder.cli import agreement, audit, build, concepts, curation, dataset, service
from rocov2_eval import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rocov2-build")
def app() -> None:
    """Build a dataset in the ROCOv2 layout from articles or your own images.

    \b
    rocov2-build sample articles/                        ten made-up articles
    rocov2-build init articles/                          a build.toml for these articles
    rocov2-build run build.toml                          a dataset; a repeated run continues
    rocov2-build drops build.toml PMC10009416            why a figure was dropped
    rocov2-build concepts model names.csv --out pack.zip a model pack for concepts in captions
    rocov2-build curate export --help                    tasks for raters
    rocov2-build agreement annotations.csv               agreement of raters
    rocov2-build agreement manual.csv --plan 500         expected precision with 500 images
    rocov2-build audit sample dataset/ --out audit/      a blinded check of automatic concepts
    rocov2-build verify dataset/                         checks of a finished dataset
    rocov2-build leaks dataset/                          what crosses its splits
    rocov2-build rehydrate list.csv --out images/        figures by PMCID and file name
    rocov2-build doctor                                  a check of PMC's service
    """  # noqa: D301  click wants the backspace itself


for command in (
    build.sample,
    build.init,
    build.run,
    build.status,
    build.drops,
    concepts.concepts,
    curation.curate,
    agreement.agreement,
    audit.audit,
    dataset.verify,
    dataset.leaks,
    service.rehydrate,
    service.doctor,
):
    app.add_command(command)
