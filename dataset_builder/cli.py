"""The command `rocov2-build`: parse, call, print; nothing else.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rocov2_eval import __version__
from rocov2_eval.errors import ExitCode, RejectedInput, RocoError, UsageFault, is_disk_full

if TYPE_CHECKING:
    from dataset_builder.dataset_tables import Role
    from dataset_builder.pmc.client import PmcClient

_BUG = "This is a bug of rocov2-build. Please report it with the lines above and, if you may, the file."
_ROLES: tuple[Role, ...] = ("id", "split", "article", "caption", "image")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rocov2-build")
def app() -> None:
    """Build a dataset in the ROCOv2 layout from PMC Open Access.

    \b
    rocov2-build leaks dataset/                          what crosses its splits
    rocov2-build rehydrate list.csv --out images/        figures by PMCID and file name
    rocov2-build doctor                                  whether PMC's service is as expected
    """  # noqa: D301  click wants the backspace itself


@app.command(
    epilog="Example: rocov2-build leaks figures.csv --where kind=radiology --where split=test "
    "--where split=validation"
)
@click.argument("dataset", metavar="DIR|CSV", type=click.Path(path_type=Path, exists=True))
@click.option("--id", "id", metavar="COLUMN", help="Column of image ids; else id, image_id and the like.")
@click.option("--split", metavar="COLUMN", help="Column of splits; else split, subset and the like.")
@click.option(
    "--article", metavar="COLUMN", help="Column of articles; else pmcid, article, doi and the like."
)
@click.option("--caption", metavar="COLUMN", help="Column of captions; else caption, text and the like.")
@click.option(
    "--image",
    metavar="COLUMN",
    help="Column of image files, from the CSV's folder; else file_name and the like.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows of a CSV with this value; may be repeated: values of one column are alternatives.",
)
@click.option(
    "--distance",
    type=click.IntRange(0, 12),
    help="Most of the 64 bits in which the hashes of near duplicates differ.  [default: 4]",
)
@click.option("--images/--no-images", "with_images", default=True, show_default=True, help="Read the images.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes that read images; else one a processor.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How the answer is written; json has every leak.",
)
@click.option(
    "--examples", type=click.IntRange(min=0), default=5, show_default=True, help="Shown of each kind."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@click.pass_context
def leaks(
    context: click.Context,
    /,
    dataset: Path,
    **options: Any,  # noqa: ANN401  click hands over options by name
) -> None:
    """Report what crosses the splits of a dataset.

    Articles, near-duplicate images (where images are there) and identical captions (but for case, punctuation
    and blanks) that stand in more than one split. DIR is a dataset folder in the ROCOv2 layout; CSV is a
    table of any dataset with columns of ids and splits, and of articles, captions or image files.

    The exit code is 0 without leaks and 1 with leaks.
    """
    from dataset_builder.dataset_tables import read_dataset
    from dataset_builder.duplicates import DEFAULT_DISTANCE
    from dataset_builder.leak_reporters import REPORTERS
    from dataset_builder.leaks import find_leaks

    columns = {role: options[role] for role in _ROLES if options[role] is not None}
    report = find_leaks(
        read_dataset(dataset, columns, [_condition(text) for text in options["where"]]),
        distance=DEFAULT_DISTANCE if options["distance"] is None else options["distance"],
        with_images=options["with_images"],
        jobs=options["jobs"] or os.cpu_count() or 1,
        progress=_bar("images") if sys.stderr.isatty() and not options["quiet"] else None,
    )
    click.echo(REPORTERS[options["style"]](report, options["examples"]), nl=False)
    if report.has_leaks:
        context.exit(ExitCode.INPUT_REJECTED)


def _service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that ask PMC's service."""
    for option in (
        click.option("--base-url", metavar="URL", help="A mirror of the service; else PMC's own."),
        click.option(
            "--per-second",
            type=click.FloatRange(0, 50, min_open=True),
            default=5.0,
            show_default=True,
            help="Most requests a second: be polite.",
        ),
    ):
        command = option(command)
    return command


@app.command(epilog="Example: rocov2-build rehydrate figures.csv --pmcid pmcid --file graphic --out images/")
@click.argument("figures", metavar="LIST.csv", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "--output",
    "target",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that gets <PMCID>/<file> and rehydrated.csv.",
)
@click.option("--pmcid", default="pmcid", show_default=True, metavar="COLUMN", help="Column of PMCIDs.")
@click.option("--file", default="file", show_default=True, metavar="COLUMN", help="Column of file names.")
@click.option(
    "--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Articles fetched at once."
)
@_service_options
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def rehydrate(figures: Path, target: Path, **options: Any) -> int:  # noqa: ANN401  click hands over by name
    """Fetch the figures of a list of PMCID and file name.

    What is there already is not fetched again. The exit code is 3 if something failed that may succeed
    later; rehydrated.csv says what became of each row.
    """
    from dataset_builder import rehydrate as work

    wanted = work.read_list(figures, options["pmcid"], options["file"])
    shown = sys.stderr.isatty() and not options["quiet"]
    with _client(options) as client:
        progress = _bar("articles") if shown else _silent
        outcomes = work.rehydrate(wanted, target, client, progress, workers=options["jobs"])
    counts = Counter(outcome.outcome.partition(":")[0] for outcome in outcomes)
    for name, count in counts.most_common():
        click.echo(f"{name}: {count:,}")
    click.echo(target / work.REPORT)
    return ExitCode.MISSING_RESOURCE if counts["failed"] else ExitCode.OK


@app.command(epilog="Example: rocov2-build doctor --article PMC10009416")
@click.option("--article", metavar="PMCID", help="Article to look at; else one that PMC's own README names.")
@_service_options
def doctor(article: str | None, **options: Any) -> int:  # noqa: ANN401  click hands over by name
    """Check that PMC's service still looks as this program expects.

    The exit code is 1 if anything does not.
    """
    from dataset_builder.doctor import KNOWN_ARTICLE, checks_text, examine
    from dataset_builder.pmc.layout import normal_pmcid

    try:
        pmcid = normal_pmcid(article or KNOWN_ARTICLE)
    except ValueError as error:
        raise UsageFault(f"--article: {error}") from None
    with _client(options) as client:
        checks = list(examine(client, pmcid))
    click.echo(checks_text(checks), nl=False)
    return ExitCode.OK if all(check.is_fine for check in checks) else ExitCode.INPUT_REJECTED


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with one of the codes of `rocov2_eval.errors.ExitCode`."""
    code = run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:  # a full disk: unless the rest is dropped, Python tries again and ends with 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _report_unexpected(error)
    sys.exit(code)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command and return its exit code."""
    stdout = sys.stdout
    try:
        return app.main(arguments, prog_name="rocov2-build", standalone_mode=False) or ExitCode.OK
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except SystemExit:
        if sys.stdout is stdout:
            raise
        # click has wrapped it: its reader left, as `head` does, and nobody is there to be told
        return ExitCode.OK
    except RocoError as error:
        _report_error(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the border of the program: whatever comes here is our bug
        return _report_unexpected(error)


def _client(options: dict[str, Any]) -> PmcClient:
    from dataset_builder.pmc.client import ClientOptions, PmcClient
    from dataset_builder.pmc.layout import BASE_URL

    base_url = (options["base_url"] or BASE_URL).rstrip("/")
    if not base_url.startswith(("http://", "https://")):
        raise UsageFault(f"--base-url {base_url}: expected an address that starts with https://")
    return PmcClient(ClientOptions(base_url=base_url, per_second=options["per_second"]))


def _silent(*_: object) -> None:
    """Say nothing."""


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise UsageFault(f"--where {text}: expected COLUMN=VALUE, such as kind=radiology")
    return column, value


def _bar(name: str) -> Callable[[int, int], None]:
    """Return what draws a bar on stderr when told how many of how many are done."""

    def show(done: int, total: int) -> None:
        end = "\n" if done >= total else ""
        if end or done % 50 == 0:
            filled = 30 * done // max(total, 1)
            bar = f"[{'#' * filled}{'.' * (30 - filled)}]"
            click.echo(f"\r{name} {bar} {done:,}/{total:,}{end}", err=True, nl=False)

    return show


def _report_error(error: RocoError) -> None:
    findings = error.findings if isinstance(error, RejectedInput) else ()
    for item in findings:
        place = item.path if item.line is None else f"{item.path}:{item.line}"
        click.echo(f"{place}: {item.code} {item.message}", err=True)
    if not findings:
        click.echo(f"Error: {error}", err=True)


def _report_unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and is_disk_full(error):
        click.echo(f"Error: {error.strerror}: make room and run the command again", err=True)
        return ExitCode.MISSING_RESOURCE
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(_BUG, err=True)
    return ExitCode.BUG


if __name__ == "__main__":
    main()
