"""Commands about one run: score, validate, explain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import (
    FACETS,
    answer,
    column_options,
    decimals_option,
    edition_option,
    format_option,
    model_choices,
    model_options,
    note,
    opener_choices,
    output_option,
    quiet_option,
    seed_option,
    split_option,
    task_option,
    truth_option,
    writing,
)
from rocov2_eval.command import echo_verdict
from rocov2_eval.errors import ExitCode, RejectedInput, UsageFault
from rocov2_eval.shelf.progress import sign_of_life

if TYPE_CHECKING:
    from rocov2_eval.front_door import Scored
    from rocov2_eval.records import Finding
    from rocov2_eval.scoring import Report
    from rocov2_eval.settings import Settings
    from rocov2_eval.shelf.progress import Notify


# What is said of one run alone, by its option.
_OF_ONE_RUN = {
    "per_image": "--per-image",
    "page": "--page",
    "verify": "--verify",
    "subset": "--subset",
    "minimums": "--min",
    "baseline": "--baseline",
}


def _minimums(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    """Refuse at once a bar that no score could be held against after hours of BERTScore."""
    if not values:
        return ()
    from rocov2_eval.bars import minimum_of

    return tuple(map(minimum_of, values))


@click.command(epilog="Example: rocov2-eval score run.csv --truth data/ --by modality --per-image scores.csv")
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=click.Path(path_type=Path))
@truth_option
@edition_option
@split_option
@task_option
@column_options
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Metric or score to compute; may be repeated.  [default: all available ones]",
)
@click.option(
    "--per-image",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the scores of each image, .csv or .parquet.  [default: none]",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="HTML file for a page with all breakdowns and the worst images. It contains the truth.  "
    "[default: none]",
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(FACETS),
    help="Facet of a breakdown; may be repeated.  [default: none]",
)
@click.option("--ci/--no-ci", default=True, show_default=True, help="95 % percentile bootstrap intervals.")
@seed_option
@format_option
@output_option
@model_options
@click.option(
    "--min",
    "minimums",
    multiple=True,
    callback=_minimums,
    metavar="SCORE=NUMBER",
    help="Minimum of a score, such as concept_f1=0.33; exit code 4 below it. May be repeated.  "
    "[default: none]",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="RESULT.json",
    help="Earlier result of --format json; exit code 4 if the main score of a metric is lower.  "
    "[default: none]",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, max=1),
    help="Largest accepted decrease below --baseline.  [default: 0.001]",
)
@click.option(
    "--lenient", is_flag=True, help="Scores of a faulty run, with 0 for a missing image; not official."
)
@click.option("--subset", is_flag=True, help="Scores of only the images in the run; not official.")
@click.option(
    "--verify",
    type=click.IntRange(min=1),
    help="Number of random images to score with the reference libraries, too.  [default: none]",
)
@click.option(
    "--codabench",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="INPUT OUTPUT",
    help="Folders of the Codabench platform: INPUT/res is scored against INPUT/ref, and scores.json and "
    "detailed_results.html are written to OUTPUT. The programs of `bundle codabench` use it.  "
    "[default: none]",
)
@decimals_option
@quiet_option
def score(runs: Sequence[Path], **options: Any) -> None:
    """Score a run, a file with an answer for each image.

    RUN is CSV, also in a zip archive, JSON, JSON Lines or Parquet; - is the standard input. Several runs are
    reported in one table.

    Task, split and truth are detected from the run. Scores are written to stdout; findings, progress and
    notes to stderr.
    """
    if bool(runs) == (options["codabench"] is not None):
        raise UsageFault(
            "expected either a run, or the folders of the platform with --codabench INPUT OUTPUT"
        )
    if not runs:
        _score_for_codabench(options)
        return
    if options["decimals"] is not None:
        raise UsageFault("--decimals needs --codabench: other output has unrounded numbers")
    sign_of_life(quiet=options["quiet"])
    if len(runs) > 1:
        _score_together(runs, options)
        return
    from rocov2_eval.front_door import model_opener, scored
    from rocov2_eval.intake import Columns
    from rocov2_eval.per_image import check_per_image
    from rocov2_eval.report_document import report_document

    if options["per_image"]:
        check_per_image(options["per_image"])
    missed = _bar(options)
    try:
        result = scored(
            runs[0],
            options["truth"],
            _settings(options),
            model_opener(**opener_choices(options)),
            task=options["task"],
            split=options["split"],
            subset=options["subset"],
            columns=Columns(id=options["id_column"], value=options["value_column"]),
            every_facet=options["page"] is not None,
            verifiable=options["verify"] is not None,
        )
    except RejectedInput as error:
        if options["style"] == "github":
            _show_findings(error.findings, options)
        raise
    _show_findings(result.report.findings, options)
    differences = _differences(result, options) if options["verify"] else None
    _write_files(result, options)
    answer(
        report_document(result.report, differences, missed(result.report)),
        options["style"],
        options["output"],
    )


@click.command(epilog="Example: rocov2-eval validate run.csv --edition imageclef-2026 --strict")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@truth_option
@edition_option
@split_option
@task_option
@click.option(
    "--ids",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE|DIR",
    help="Expected image ids, from a file or a folder of images, instead of a truth.  [default: none]",
)
@column_options
@click.option("--strict", is_flag=True, help="Format check of the 2026 platform, too.")
@format_option
@output_option
def validate(files: Sequence[Path], **options: Any) -> int:
    """Report all faults of runs and of metadata files.

    FILES that end in .json are metadata, such as submission.json. The report ends with one SUMMARY line per
    file, on stderr unless the report is text on stdout. The exit code is 1 if any file is rejected.
    """
    sign_of_life()
    from rocov2_eval import front_door
    from rocov2_eval.findings import is_rejected
    from rocov2_eval.report_document import findings_document

    names = ("truth", "edition", "split", "task", "ids", "strict", "id_column", "value_column")
    choices = {name: options[name] for name in names}
    findings = {path: front_door.validate(path, **choices, notify=_noted(path)) for path in files}
    together = [item for items in findings.values() for item in items]
    answer(findings_document(together), options["style"], options["output"])
    for path, items in findings.items():
        echo_verdict(str(path), items, err=options["style"] != "text" or bool(options["output"]))
    return ExitCode.INPUT_REJECTED if is_rejected(together) else ExitCode.OK


@click.command(epilog="Example: rocov2-eval convert run.jsonl -o run.csv --edition imageclef-2026")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    "output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file, .csv, .tsv or .txt, or .zip for an archive of one file.",
)
@edition_option
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="Truth whose order the rows get; other or missing ids are refused.  [default: the order of the run]",
)
@split_option
@task_option
@column_options
@quiet_option
def convert(run: Path, output: Path, **options: Any) -> None:
    """Write a run in the format of an edition.

    RUN is CSV with any separator and encoding, JSON, JSON Lines or Parquet; - is the standard input. Ids,
    answers and scores do not change. A run that the edition would refuse is not written.
    """
    from rocov2_eval.conversion import converted, file_bytes
    from rocov2_eval.editions import AUTO, edition_of
    from rocov2_eval.intake import Columns
    from rocov2_eval.places import truth_places
    from rocov2_eval.shelf.files import write_bytes
    from rocov2_eval.shelf.words import counted

    file_bytes(output.name, "")  # a name that no platform takes is refused before anything is read
    text, rows, edition = converted(
        run,
        None if options["edition"] == AUTO else edition_of(options["edition"]),
        truth_places(options["truth"]) if options["truth"] else (),
        task=options["task"],
        split=options["split"],
        columns=Columns(id=options["id_column"], value=options["value_column"]),
    )
    with writing(output):
        write_bytes(output, file_bytes(output.name, text))
    if not options["quiet"]:
        note(f"{output}: {counted(rows, 'row')} in the format of {edition.name}")


@click.command(epilog="Example: rocov2-eval explain R301")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain one finding and its fix, or list all."""
    from rocov2_eval import findings

    if code is None:
        for name, rule in findings.RULES.items():
            click.echo(f"{name}  {rule.title}")
        return
    try:
        click.echo(findings.explain(code), nl=False)
    except KeyError:
        raise UsageFault(f"no rule {code!r}; `rocov2-eval explain` lists them") from None


def _noted(path: Path) -> Notify:
    return lambda text: note(f"{path}: {text}")


def _show_findings(findings: Sequence[Finding], options: dict[str, Any]) -> None:
    """Print findings beside the answer; GitHub reads annotations from stdout."""
    from rocov2_eval.rendering.render import findings_text
    from rocov2_eval.report_document import findings_document

    if options["style"] == "github":
        answer(findings_document(findings), "github")
    elif findings and not options["quiet"]:
        click.echo(findings_text(findings), err=True, nl=False)


def _bar(options: dict[str, Any]) -> Callable[[Report], tuple[str, ...]]:
    """Return what says where a report does not reach the bar that the options set."""
    if options["tolerance"] is not None and options["baseline"] is None:
        raise UsageFault("--tolerance needs --baseline: it is the largest accepted decrease below it")
    if not options["minimums"] and options["baseline"] is None:
        return lambda _: ()
    from rocov2_eval.bars import DEFAULT_TOLERANCE, below_baseline, below_minimums, read_baseline

    baseline = read_baseline(options["baseline"]) if options["baseline"] else None
    if options["tolerance"] is not None and math.isnan(options["tolerance"]):  # click lets it pass
        raise UsageFault("--tolerance nan: expected a number from 0 to 1")
    tolerance = DEFAULT_TOLERANCE if options["tolerance"] is None else options["tolerance"]

    def missed(report: Report) -> tuple[str, ...]:
        earlier = below_baseline(report, baseline, tolerance) if baseline else ()
        return (*below_minimums(report, options["minimums"]), *earlier)

    return missed


def _differences(result: Scored, options: dict[str, Any]) -> dict[str, float]:
    """Score some images again with the reference libraries: the largest difference by score."""
    from rocov2_eval.verification import choose, verify

    return verify(
        result.report,
        choose(result.report, options["verify"], options["seed"]),
        run=result.run,
        truth=result.truth,
        settings=result.settings,
        device="cpu" if options["device"] == "auto" else options["device"],
        notify=note,
    )


def _write_files(result: Scored, options: dict[str, Any]) -> None:
    """Write what the options name beside the answer: the score of each image, the page of the run."""
    from rocov2_eval.pages import report_page
    from rocov2_eval.per_image import write_per_image
    from rocov2_eval.shelf.files import short_path, write_text

    if options["per_image"]:
        with writing(options["per_image"]):
            write_per_image(options["per_image"], result.report)
    if options["page"]:
        page = report_page(
            result.report,
            result.run,
            result.truth,
            title=short_path(result.run.path),
            images=options["images"],
        )
        with writing(options["page"]):
            write_text(options["page"], page)


def _settings(options: dict[str, Any]) -> Settings:
    from rocov2_eval.front_door import settings_of

    return settings_of(
        **{name: options[name] for name in ("edition", "metrics", "by", "lenient", "seed")},
        intervals=options["ci"],
        **model_choices(options),
    )


def _score_together(runs: Sequence[Path], options: dict[str, Any]) -> None:
    """Score several runs of one truth, and answer with one table."""
    from rocov2_eval.front_door import model_opener, scores_of
    from rocov2_eval.intake import Columns
    from rocov2_eval.report_document import reports_document

    for name, option in _OF_ONE_RUN.items():
        if options[name]:
            raise UsageFault(f"{option} accepts one run, found {len(runs)}")
    try:
        reports = scores_of(
            runs,
            options["truth"],
            _settings(options),
            model_opener(**opener_choices(options)),
            task=options["task"],
            split=options["split"],
            columns=Columns(id=options["id_column"], value=options["value_column"]),
        )
    except RejectedInput as error:
        if options["style"] == "github":
            _show_findings(error.findings, options)
        raise
    _show_findings(list(dict.fromkeys(item for report in reports for item in report.findings)), options)
    answer(reports_document(reports), options["style"], options["output"])


def _score_for_codabench(options: dict[str, Any]) -> None:
    """Score what the platform hands over, and say what was scored."""
    from rocov2_eval.codabench import score_submission
    from rocov2_eval.front_door import model_opener
    from rocov2_eval.metrics import main_outputs
    from rocov2_eval.rendering.values import value_text

    refused = {
        "truth": "--truth",
        "per_image": "--per-image",
        "page": "--page",
        "verify": "--verify",
        "output": "--out",
        "by": "--by",
        "lenient": "--lenient",
        "subset": "--subset",
        "minimums": "--min",
        "baseline": "--baseline",
    }
    for name, option in refused.items():
        if options[name]:
            raise UsageFault(f"{option} cannot be used with --codabench INPUT OUTPUT")
    if options["style"] != "text":
        raise UsageFault("--format cannot be used with --codabench INPUT OUTPUT")
    source, target = options["codabench"]
    with writing(target):
        report = score_submission(
            source,
            target,
            _settings(options),
            model_opener(**opener_choices(options)),
            task=options["task"],
            split=options["split"],
            decimals=options["decimals"],
        )
    for name in main_outputs(report.metrics):
        result = report.metrics[name]
        click.echo(f"{name} {value_text(result.mean, 'score', result.decimals)}")
    for text in report.notes:
        note(text)
