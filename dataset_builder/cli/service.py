"""Commands that ask PMC's service: `rehydrate` and `doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import answer, format_option, writing
from rocov2_eval.errors import ExitCode, UsageFault
from rocov2_eval.shelf.progress import progress_line

if TYPE_CHECKING:
    from dataset_builder.pmc.client import PmcClient


def _service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that ask PMC's service."""
    for option in (
        click.option(
            "--base-url", metavar="URL", help="Address of a mirror of the service.  [default: PMC's own]"
        ),
        click.option(
            "--per-second",
            type=click.FloatRange(0, 50, min_open=True),
            default=5.0,
            show_default=True,
            help="Highest number of requests per second.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    epilog="Example: rocov2-build rehydrate figures.csv --pmcid pmcid --file graphic --out images/"
)
@click.argument("list_file", metavar="LIST.csv", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    "target",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for <PMCID>/<file> and rehydrated.csv.",
)
@click.option("--pmcid", default="pmcid", show_default=True, metavar="COLUMN", help="Column of the PMCIDs.")
@click.option("--file", default="file", show_default=True, metavar="COLUMN", help="Column of the file names.")
@click.option(
    "--workers",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="Number of articles fetched at once.",
)
@_service_options
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def rehydrate(list_file: Path, target: Path, **options: Any) -> int:
    """Fetch the figures of a list of PMCIDs and file names.

    Existing files are not fetched again. rehydrated.csv contains the outcome of each row. The exit code is 3
    if something failed that may succeed later.
    """
    from dataset_builder import rehydrate as work

    figures = work.read_list(list_file, options["pmcid"], options["file"])
    with _client(options) as client, writing(target):
        target.mkdir(parents=True, exist_ok=True)  # before anything is asked for
        progress = progress_line("rehydrate", "articles", quiet=options["quiet"])
        fetches = work.rehydrate(figures, target, client, progress, workers=options["workers"])
    counts = Counter(fetch.outcome.partition(":")[0] for fetch in fetches)
    for name, count in counts.most_common():
        click.echo(f"{name}: {count:,}")
    click.echo(target / work.REPORT)
    return ExitCode.MISSING_RESOURCE if counts["failed"] else ExitCode.OK


@click.command(epilog="Example: rocov2-build doctor --article PMC10009416")
@click.option("--article", metavar="PMCID", help="Article to check.  [default: an example of PMC's README]")
@_service_options
@format_option
def doctor(article: str | None, **options: Any) -> int:
    """Check that PMC's service has the layout that this program expects.

    The exit code is 1 if a check fails.
    """
    from dataset_builder.checks import checks_document
    from dataset_builder.doctor import KNOWN_ARTICLE, examine
    from dataset_builder.pmc.layout import normal_pmcid

    try:
        pmcid = normal_pmcid(article or KNOWN_ARTICLE)
    except ValueError as error:
        raise UsageFault(f"--article: {error}") from None
    with _client(options) as client:
        checks = list(examine(client, pmcid))
    answer(checks_document(checks), options["style"])
    return ExitCode.OK if all(check.is_fine for check in checks) else ExitCode.INPUT_REJECTED


def _client(options: dict[str, Any]) -> PmcClient:
    from dataset_builder.pmc.client import ClientOptions, PmcClient
    from dataset_builder.pmc.layout import BASE_URL

    base_url = (options["base_url"] or BASE_URL).rstrip("/")
    if not base_url.startswith(("http://", "https://")):
        raise UsageFault(f"--base-url {base_url}: expected an address that starts with https://")
    return PmcClient(ClientOptions(base_url=base_url, per_second=options["per_second"]))
