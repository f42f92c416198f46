"""Commands about agreement between raters: `agreement` and `agreement-size`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import answer, output_option, writing
from rocov2_eval.errors import ExitCode, RejectedInput, UsageFault

if TYPE_CHECKING:
    from dataset_builder.study.annotations import Annotation

_STYLES = ("text", "json", "markdown", "csv")
_BY_SUFFIX = {".json": "json", ".md": "markdown", ".csv": "csv"}
_level_option = click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
_seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=20260101, show_default=True, help="Of what is drawn."
)


@click.command(epilog="Example: rocov2-build agreement annotations.csv --floor 0.6 --out agreement.json")
@click.argument("annotations", metavar="CSV", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--facet", "facets", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--rater", "raters", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--unsure",
    type=click.Choice(["class", "exclude"]),
    default="class",
    show_default=True,
    help="Whether `cannot tell` is a class of its own or no answer.",
)
@click.option(
    "--floor",
    type=click.FloatRange(-1, 1),
    help="Exit with 1 unless kappa of every facet reaches this; else 0.6 is only told.",
)
@click.option("--lower", "by_lower", is_flag=True, help="Hold the lower end of the interval to the floor.")
@_level_option
@click.option(
    "--resamples",
    type=click.IntRange(100, 100_000),
    default=2000,
    show_default=True,
    help="Of the bootstrap intervals.",
)
@_seed_option
@click.option(
    "--format",
    "style",
    type=click.Choice(_STYLES),
    help="How the answer is written; else the ending of --out tells, or text.",
)
@output_option
@click.pass_context
def agreement(context: click.Context, /, annotations: Path, output: Path | None, **options: Any) -> None:
    """Tell how far raters agree on each facet and class.

    CSV has one answer a row, with the columns image, facet, CUI and rater, as `curate import` writes it. Two
    raters are compared by Cohen's kappa, more by Fleiss' kappa, or by Krippendorff's alpha where not all
    images have as many answers. What is written as json or csv can be the `agreement` of the gates of
    build.toml.

    The exit code is 1 if --floor is given and a facet does not reach it, or has no kappa or no interval.
    """
    from dataset_builder.agreement.report import FLOOR, AgreementOptions, measure
    from dataset_builder.agreement.reporters import REPORTERS
    from rocov2_eval.resampling import Bootstrap

    wanted = list(_chosen(annotations, options["facets"], options["raters"]))
    report = measure(
        wanted,
        str(annotations),
        AgreementOptions(
            unsure=options["unsure"],
            floor=FLOOR if options["floor"] is None else options["floor"],
            by_lower=options["by_lower"],
            bootstrap=Bootstrap(resamples=options["resamples"], level=options["level"], seed=options["seed"]),
        ),
    )
    answer(REPORTERS[options["style"] or _style_of(output)](report), output)
    if options["floor"] is not None and not report.meets_floor:
        context.exit(ExitCode.INPUT_REJECTED)


@click.command(
    "agreement-size",
    epilog="Example: rocov2-build agreement-size --strata images.csv --kappa 0.8 --width 0.1 --per-class 50 "
    "--draw study.csv",
)
@click.option(
    "--share",
    "shares",
    multiple=True,
    metavar="CLASS=NUMBER",
    help="How frequent a class is, in any unit; repeat for each class.",
)
@click.option(
    "--strata",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="CSV",
    help="Images to draw from, with the columns image and class; instead of --share.",
)
@click.option(
    "--kappa",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.8,
    show_default=True,
    help="Expected.",
)
@click.option(
    "--width",
    type=click.FloatRange(0, 2, min_open=True),
    default=0.1,
    show_default=True,
    help="Of the interval of kappa, from end to end.",
)
@_level_option
@click.option(
    "--floor",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.6,
    show_default=True,
    help="That the interval shall lie above.",
)
@click.option(
    "--power",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Chance that it does.",
)
@click.option(
    "--images",
    type=click.IntRange(1, 100_000_000),
    help="Draw so many in proportion; else as many as width and power need.",
)
@click.option(
    "--per-class",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Images of each class at least; rare ones are topped up.",
)
@click.option(
    "--draw",
    "drawn",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="CSV",
    help="Write the images to show to this file; with --strata.",
)
@_seed_option
@click.option(
    "--format",
    "style",
    type=click.Choice(_STYLES[:-1]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
def agreement_size(shares: tuple[str, ...], strata: Path | None, drawn: Path | None, **options: Any) -> None:
    """Tell how many images two raters must answer.

    So many that the interval of kappa is as narrow as wanted and lies above the floor; with --images, what
    that many would tell. --draw chooses the images: in proportion, rare classes topped up to --per-class.
    """
    from dataset_builder.agreement.plan_reporters import REPORTERS
    from dataset_builder.agreement.planning import PlanOptions, draw, frequencies, plan
    from rocov2_eval.shelf.csv_files import write_csv

    if bool(shares) == bool(strata):
        raise UsageFault("expected either --share for each class or --strata")
    if drawn and not strata:
        raise UsageFault("--draw needs --strata: the images to draw from")
    class_of = dict(_strata(strata)) if strata else {}
    planned = plan(
        frequencies(class_of) if strata else _numbers(shares),
        PlanOptions(
            kappa=options["kappa"],
            width=options["width"],
            level=options["level"],
            floor=options["floor"],
            power=options["power"],
            images=options["images"],
            per_class=options["per_class"],
        ),
        are_counts=strata is not None,
    )
    if drawn:
        with writing(drawn):
            write_csv(drawn, ("image", "class"), draw(class_of, planned, options["seed"]))
    click.echo(REPORTERS[options["style"]](planned), nl=False)


def _chosen(path: Path, facets: tuple[str, ...], raters: tuple[str, ...]) -> Iterator[Annotation]:
    """Yield the annotations of these facets and raters, of all where none is named."""
    found = list(_annotations(path))
    for wanted, present in (
        (facets, {item.facet for item in found}),
        (raters, {item.rater for item in found}),
    ):
        for name in wanted:
            if name not in present:
                raise UsageFault(f"{path}: no answer of {name}, expected {', '.join(sorted(present))}")
    for item in found:
        if (not facets or item.facet in facets) and (not raters or item.rater in raters):
            yield item


def _annotations(path: Path) -> Iterator[Annotation]:
    """Yield the answers of a table; a facet of one's own takes any."""
    from dataset_builder.facets import FACETS, value_of
    from dataset_builder.study.annotations import Annotation, named_image, utc_time
    from rocov2_eval.shelf.csv_files import read_rows

    is_empty = True
    for line, row in read_rows(path, ("image", "facet", "CUI", "rater")):
        place = f"{path}:{line}"
        facet, said, rater = (row[name].strip() for name in ("facet", "CUI", "rater"))
        if not (facet and said and rater):
            raise RejectedInput(f"{place}: expected facet, CUI and rater, found an empty cell")
        is_empty = False
        yield Annotation(
            image=named_image(row["image"], place),
            facet=facet,
            cui=value_of(FACETS[facet], said, place) if facet in FACETS else said,
            rater=rater,
            time=utc_time(row.get("time"), place),
            tool=row.get("tool", "").strip(),
        )
    if is_empty:
        raise RejectedInput(f"{path}: no answer, expected one a row below the header")


def _strata(path: Path) -> Iterator[tuple[str, str]]:
    from rocov2_eval.shelf.csv_files import read_rows
    from rocov2_eval.shelf.words import shorten

    lines: dict[str, int] = {}
    for line, row in read_rows(path, ("image", "class")):
        image, value = row["image"].strip(), row["class"].strip()
        if not image or not value:
            raise RejectedInput(f"{path}:{line}: expected an image and its class, found an empty cell")
        if image in lines:
            raise RejectedInput(f"{path}:{line}: image {shorten(image)} is also on line {lines[image]}")
        lines[image] = line
        yield image, value


def _numbers(shares: tuple[str, ...]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for text in shares:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            name = ""
        if not name or name in numbers:
            raise UsageFault(f"--share {text}: expected CLASS=NUMBER, each class once, such as CT=0.4")
        numbers[name] = value
    return numbers


def _style_of(output: Path | None) -> str:
    return _BY_SUFFIX.get(output.suffix.lower(), "text") if output else "text"
