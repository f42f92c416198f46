"""The command `agreement`: how far raters agree, and how precise a study of so many images would be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import answer, format_option, output_option
from rocov2_eval.errors import UsageFault

if TYPE_CHECKING:
    from dataset_builder.study.annotations import Annotation
    from rocov2_eval.rendering.document import Document


@click.command(
    epilog="Examples: rocov2-build agreement annotations.csv --format json --out agreement.json · "
    "rocov2-build agreement manual.csv --plan 500"
)
@click.argument("table", metavar="CSV", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--facet",
    "facets",
    multiple=True,
    metavar="NAME",
    help="Facet to compare; may be repeated.  [default: all]",
)
@click.option(
    "--rater",
    "raters",
    multiple=True,
    metavar="NAME",
    help="Rater to compare; may be repeated.  [default: all]",
)
@click.option(
    "--floor",
    type=click.FloatRange(-1, 1),
    help="Lowest kappa of each facet; a lower one ends with exit code 4.  [default: 0.6, report only]",
)
@click.option(
    "--plan",
    "images",
    type=click.IntRange(1, 100_000_000),
    metavar="N",
    help="Number of images of a planned study, with the classes of CSV; its precision is reported.",
)
@click.option(
    "--kappa",
    type=click.FloatRange(0, 1, max_open=True),
    help="Expected kappa of --plan.  [default: 0.8]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the bootstrap.  [default: 20260101]")
@format_option
@output_option
def agreement(table: Path, output: Path | None, **options: Any) -> None:
    """Report how far raters agree on each facet and class, or plan the number of images.

    CSV has one answer per row, with the columns image, facet, CUI and rater, as of `curate import`. Two
    raters are compared by Cohen's kappa, more by Fleiss' kappa, or by Krippendorff's alpha if answers are
    missing. [gates] agreement of a build reads the report as json or csv. --plan does not need the column
    rater.

    The exit code is 4 if a facet does not reach --floor, or has no kappa or no interval.
    """
    style = options["style"]
    if options["images"] is not None:
        answer(_plan(table, options), style, output)
        return
    if options["kappa"] is not None:
        raise UsageFault("--kappa needs --plan: it is the expected kappa of a plan")
    from dataset_builder.study.agreement import FLOOR, SEED, agreement_document, measure

    report = measure(
        _answers(table, options),
        str(table),
        floor=FLOOR if options["floor"] is None else options["floor"],
        seed=SEED if options["seed"] is None else options["seed"],
    )
    answer(agreement_document(report, is_bar=options["floor"] is not None), style, output)


def _plan(table: Path, options: dict[str, Any]) -> Document:
    from dataset_builder.study.agreement import FLOOR
    from dataset_builder.study.planning import EXPECTED, plan_document

    return plan_document(
        _answers(table, options, need_raters=bool(options["raters"])),
        str(table),
        images=options["images"],
        kappa=EXPECTED if options["kappa"] is None else options["kappa"],
        floor=FLOOR if options["floor"] is None else options["floor"],
    )


def _answers(table: Path, options: dict[str, Any], *, need_raters: bool = True) -> list[Annotation]:
    """Return the answers to the facets and of the raters that are named, all where none is."""
    from dataset_builder.study.ratings import read_answers

    answers = read_answers(table, need_raters=need_raters)
    for field, names in (("facet", options["facets"]), ("rater", options["raters"])):
        present = sorted({getattr(each, field) for each in answers})
        for name in names:
            if name not in present:
                raise UsageFault(f"{table}: no answer of {name}, expected {', '.join(present)}")
        answers = [each for each in answers if not names or getattr(each, field) in names]
    return answers
