"""The command that tells whether one run beats another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rocov2_eval.cli.options import (
    FACETS,
    answer,
    edition_option,
    format_option,
    model_choices,
    model_options,
    opener_choices,
    output_option,
    quiet_option,
    seed_option,
    split_option,
    task_option,
    truth_option,
)
from rocov2_eval.shelf.progress import sign_of_life


@click.command(epilog="Example: rocov2-eval compare baseline.csv mine.csv --truth data/ --by modality")
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN_A RUN_B [RUN_C]...", type=click.Path(path_type=Path)
)
@truth_option
@edition_option
@split_option
@task_option
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Compare by this score, or by the main one of this metric; may be repeated. Else by the main score "
    "of each metric.",
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(FACETS),
    help="Compare within these groups too; may be repeated. Else modality and region, where the truth has "
    "manual concepts.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Name so many images for each pair, those that differ most.",
)
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help="Exit with 4 if RUN_A is shown to be better than another run by any of the scores.",
)
@seed_option
@format_option
@output_option
@model_options
@quiet_option
def compare(runs: Sequence[Path], **options: Any) -> None:
    """Tell whether one run beats another.

    Every pair of runs is compared image by image: difference with its interval, paired randomisation test,
    Holm's correction over all pairs, effects by group of images, the images that differ most. A difference is
    B minus A: positive where the run named later is better.
    """
    sign_of_life(quiet=options["quiet"])
    from rocov2_eval import front_door
    from rocov2_eval.bars import worse_than_first
    from rocov2_eval.comparison_document import comparison_document
    from rocov2_eval.rendering.render import findings_text

    names = ("truth", "edition", "split", "task", "metrics", "by", "examples", "seed")
    comparison = front_door.compare(
        runs,
        **{name: options[name] for name in names},
        **model_choices(options),
        **opener_choices(options),
    )
    if not options["quiet"]:
        everything = (item for report in comparison.reports for item in report.findings)
        findings = dict.fromkeys(item for item in everything if item.severity != "note")
        click.echo(findings_text(findings), err=True, nl=False)
    misses = tuple(worse_than_first(comparison)) if options["fail_if_worse"] else ()
    answer(comparison_document(comparison, misses), options["style"], options["output"])
