"""The command that tells whether one run beats another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from rocov2_eval.cli.options import (
    FACETS,
    answer,
    edition_option,
    format_option,
    model_opener,
    model_options,
    model_settings,
    output_option,
    read_with_options,
    split_option,
    task_option,
    truth_option,
)
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import ExitCode, RejectedInput, UsageFault

if TYPE_CHECKING:
    from rocov2_eval.formats import Source, Table
    from rocov2_eval.records import Finding
    from rocov2_eval.scoring import Opener, Report, Settings
    from rocov2_eval.truth import Truth

_FEWEST = 2
_Run: TypeAlias = "tuple[Source, Table, Truth]"


def _share(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse what is no share; click's own range lets NaN pass."""
    if not 0 < value < 1:
        raise click.BadParameter(f"{value:g} is not between 0 and 1")
    return value


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
    "--images",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Name so many images for each pair, those that differ most.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 10_000_000),
    default=10_000,
    show_default=True,
    help="Of the randomisation test: random exchanges of the scores of two runs.",
)
@click.option(
    "--resamples",
    type=click.IntRange(1, 100_000),
    default=1000,
    show_default=True,
    help="Of the bootstrap: sets of images drawn for the intervals.",
)
@click.option(
    "--level",
    type=float,
    callback=_share,
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@click.option(
    "--alpha",
    type=float,
    callback=_share,
    default=0.05,
    show_default=True,
    help="A run is better where the corrected p-value is below.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=20260101,
    show_default=True,
    help="Of exchanges and resamples.",
)
@format_option
@output_option
@model_options
@click.option("-q", "--quiet", is_flag=True, help="No progress, and no warnings about the files.")
def compare(runs: Sequence[Path], **options: Any) -> int:
    """Tell whether one run beats another.

    Every pair of runs is compared image by image: difference with its interval, paired randomisation test,
    Holm's correction over all pairs, effects by group of images, the images that differ most. A difference is
    B minus A: positive where the run named later is better.
    """
    from rocov2_eval.comparison import ComparisonOptions, compare, groups_of, require_one_truth
    from rocov2_eval.comparison_document import comparison_document
    from rocov2_eval.rendering.render import render
    from rocov2_eval.resampling import Bootstrap
    from rocov2_eval.scoring import Settings
    from rocov2_eval.significance import PairOptions

    if len(runs) < _FEWEST:
        raise UsageFault("compare needs two runs or more: rocov2-eval compare RUN_A RUN_B")
    bootstrap = Bootstrap(resamples=options["resamples"], level=options["level"], seed=options["seed"])
    settings = Settings(
        edition=EDITIONS[options["edition"]],
        metrics=options["metrics"],
        bootstrap=bootstrap,
        **model_settings(options),
    )
    opener = model_opener(options["device"], use_cache=options["use_cache"], quiet=options["quiet"])
    read = _read(runs, options)
    if read is None:
        return ExitCode.INPUT_REJECTED
    truths = [truth for _, _, truth in read]
    require_one_truth([str(run) for run in runs], truths)
    groups = groups_of(truths[0], options["by"])
    comparison = compare(
        [_scored(run, settings, opener) for run in read],
        groups,
        ComparisonOptions(
            pairs=PairOptions(trials=options["trials"], bootstrap=bootstrap, alpha=options["alpha"]),
            metrics=options["metrics"],
            images=options["images"],
        ),
    )
    answer(render(comparison_document(comparison), options["style"]), options["output"])
    return ExitCode.OK


def _read(runs: Sequence[Path], options: Mapping[str, Any]) -> list[_Run] | None:
    """Read and check every run before any is scored; None, after their findings, where some are rejected."""
    from rocov2_eval.findings import is_rejected
    from rocov2_eval.rendering.render import findings_text, summary
    from rocov2_eval.scoring import check

    read = []
    found: dict[Path, Sequence[Finding]] = {}
    rejected: dict[Path, Sequence[Finding]] = {}
    for run in runs:
        try:
            source, table, truth = read_with_options(run, {**options, "by": True})
        except RejectedInput as error:
            rejected[run] = error.findings
            continue
        found[run] = check(source, table, truth, EDITIONS[options["edition"]])
        if is_rejected(found[run]):
            rejected[run] = found[run]
        read.append((source, table, truth))
    shown = [item for items in (rejected or found).values() for item in items]
    if rejected or not options["quiet"]:
        click.echo(findings_text(dict.fromkeys(shown)), err=True, nl=False)
    for run, items in rejected.items():
        click.echo(summary(str(run), items), err=True)
    return None if rejected else read


def _scored(run: _Run, settings: Settings, opener: Opener) -> Report:
    """Score a run; what only the model refuses is told with the name of the run."""
    from rocov2_eval.scoring import evaluate

    source, table, truth = run
    try:
        return evaluate(source, table, truth, settings, opener)
    except RejectedInput as error:
        if error.findings:
            raise
        raise RejectedInput(f"{table.path}: {error}") from None
