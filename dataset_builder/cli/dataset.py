"""Commands that look at a finished dataset: `leaks` and `verify`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval import command as border
from rocov2_eval.errors import ExitCode, UsageFault

if TYPE_CHECKING:
    from dataset_builder.dataset_tables import Role

_DRAWN_EVERY = 50  # images; a bar for each costs more than to read it
_ROLES: tuple[Role, ...] = ("id", "split", "article", "caption", "image")


@click.command(
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
    "--truth",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The archive of the held-out truth, for its articles and captions; else <DIR>-truth.zip beside DIR.",
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
    **options: Any,
) -> None:
    """Report what crosses the splits of a dataset.

    Articles, near-duplicate images (where images are there) and identical captions (but for case, punctuation
    and blanks) that stand in more than one split. DIR is a dataset folder in the ROCOv2 layout; CSV is a
    table of any dataset with columns of ids and splits, and of articles, captions or image files. Of a
    held-out split, articles and captions are known from the archive of its truth alone.

    The exit code is 0 without leaks and 1 with leaks.
    """
    from dataset_builder.dataset_tables import read_dataset
    from dataset_builder.fingerprints import DEFAULT_DISTANCE
    from dataset_builder.leak_reporters import REPORTERS
    from dataset_builder.leaks import find_leaks
    from dataset_builder.packaging.reading import read_truth

    columns = {role: options[role] for role in _ROLES if options[role] is not None}
    where = [_condition(text) for text in options["where"]]
    truth = options["truth"] or _truth_beside(dataset)
    report = find_leaks(
        read_dataset(dataset, columns, where, read_truth(truth) if truth else None),
        distance=DEFAULT_DISTANCE if options["distance"] is None else options["distance"],
        with_images=options["with_images"],
        jobs=options["jobs"] or os.cpu_count() or 1,
        progress=border.progress_bar("images", every=_DRAWN_EVERY)
        if sys.stderr.isatty() and not options["quiet"]
        else None,
    )
    click.echo(REPORTERS[options["style"]](report, options["examples"]), nl=False)
    if report.has_leaks:
        context.exit(ExitCode.INPUT_REJECTED)


@click.command(epilog="Example: rocov2-build verify dataset/ --truth dataset-truth.zip")
@click.argument("dataset", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    help="The archive of the held-out truth; else <DIR>-truth.zip where it lies beside DIR.",
)
@click.option(
    "--distance",
    type=click.IntRange(0, 12),
    help="Most of the 64 bits in which near duplicates differ.  [default: as in the build]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def verify(dataset: Path, truth: Path | None, distance: int | None, *, quiet: bool) -> int:
    """Check a finished dataset: sums, tables, images, splits, and that nothing tells the held-out truth.

    The exit code is 1 if anything is not as it should be.
    """
    from dataset_builder.doctor import checks_text
    from dataset_builder.verification import verify as examine

    shown = sys.stderr.isatty() and not quiet
    checks = list(
        examine(
            dataset,
            truth or _truth_beside(dataset),
            distance=distance,
            progress=border.progress_bar("images", every=_DRAWN_EVERY) if shown else None,
        )
    )
    click.echo(checks_text(checks), nl=False)
    return ExitCode.OK if all(check.is_fine for check in checks) else ExitCode.INPUT_REJECTED


def _truth_beside(dataset: Path) -> Path | None:
    """Return the archive of the truth that a build leaves beside a dataset, None where there is none."""
    path = Path(f"{dataset.resolve()}-truth.zip")
    return path if dataset.is_dir() and path.is_file() else None


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise UsageFault(f"--where {text}: expected COLUMN=VALUE, such as kind=radiology")
    return column, value
