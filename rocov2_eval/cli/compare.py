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
    help="Score to compare by, or metric with its main score; may be repeated.  [default: the main score of "
    "each metric]",
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(FACETS),
    help="Facet whose groups are compared, too; may be repeated.  [default: modality and region, if the "
    "truth has manual concepts]",
)
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Number of images listed for each pair, those with the largest differences.",
)
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help="Exit code 4 if RUN_A is significantly better than another run by any score.",
)
@seed_option
@format_option
@output_option
@model_options
@quiet_option
def compare(runs: Sequence[Path], **options: Any) -> None:
    """Compare runs pair by pair, with a significance test.

    Each pair of runs is compared image by image. The report contains the difference with its interval, a
    paired randomisation test with Holm's correction over all pairs, the effects by group of images, and the
    images with the largest differences. A difference is B minus A: it is positive if the later run is better.
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
