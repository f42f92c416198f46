"""Commands that look at a finished dataset: `leaks` and `verify`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import answer, format_option
from rocov2_eval.errors import ExitCode, UsageFault
from rocov2_eval.shelf.progress import Progress, progress_line

if TYPE_CHECKING:
    from dataset_builder.dataset_tables import Role


@click.command(
    epilog="Example: rocov2-build leaks figures.csv --where kind=radiology --where split=test "
    "--where split=validation"
)
@click.argument("dataset", metavar="DIR|CSV", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=COLUMN",
    help="Column of a CSV for id, split, article, caption or image; may be repeated.  [default: known names]",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Archive of the held-out truth, for articles and captions.  [default: <DIR>-truth.zip beside DIR]",
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Value of the rows of a CSV to compare; may be repeated: values of one column are alternatives.  "
    "[default: all rows]",
)
@click.option(
    "--distance",
    type=click.IntRange(0, 12),
    help="Number of bits of 64 in which hashes of near duplicates may differ.  [default: 4]",
)
@click.option("--no-images", is_flag=True, help="No comparison of images.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of images read at once.  [default: one per processor]",
)
@format_option
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def leaks(dataset: Path, **options: Any) -> int:
    """Report articles, near-duplicate images and identical captions in more than one split of a dataset.

    Captions are identical if only case, punctuation and spaces differ. DIR is a dataset folder in the ROCOv2
    layout; CSV is a table of any dataset with columns of ids and splits, and of articles, captions or image
    files. Articles and captions of a held-out split need the archive of its truth.

    The exit code is 0 without leaks and 1 with leaks.
    """
    from dataset_builder.dataset_tables import read_dataset
    from dataset_builder.fingerprints import DEFAULT_DISTANCE
    from dataset_builder.leaks import find_leaks, leaks_document
    from dataset_builder.packaging.reading import read_truth, truth_beside

    columns = _columns(options["columns"])
    where = [_pair("--where", "COLUMN=VALUE", text) for text in options["where"]]
    truth = options["truth"] or truth_beside(dataset)
    report = find_leaks(
        read_dataset(dataset, columns, where, read_truth(truth) if truth else None),
        distance=DEFAULT_DISTANCE if options["distance"] is None else options["distance"],
        with_images=not options["no_images"],
        workers=options["workers"] or os.cpu_count() or 1,
        progress=_progress(quiet=options["quiet"]),
    )
    answer(leaks_document(report), options["style"])
    return ExitCode.INPUT_REJECTED if report.has_leaks else ExitCode.OK


@click.command(epilog="Example: rocov2-build verify dataset/ --truth dataset-truth.zip")
@click.argument("dataset", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    help="Archive of the held-out truth.  [default: <DIR>-truth.zip beside DIR, if it exists]",
)
@click.option(
    "--distance",
    type=click.IntRange(0, 12),
    help="Number of bits of 64 in which near duplicates may differ.  [default: as in the build]",
)
@format_option
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def verify(dataset: Path, truth: Path | None, distance: int | None, *, style: str, quiet: bool) -> int:
    """Check a finished dataset: sums, tables, images, splits, and that no file reveals the held-out truth.

    The exit code is 1 if a check fails.
    """
    from dataset_builder.checks import checks_document
    from dataset_builder.packaging.reading import truth_beside
    from dataset_builder.verification import verify as examine

    truth = truth or truth_beside(dataset)
    checks = list(examine(dataset, truth, distance=distance, progress=_progress(quiet=quiet)))
    answer(checks_document(checks), style)
    return ExitCode.OK if all(check.is_fine for check in checks) else ExitCode.INPUT_REJECTED


def _progress(*, quiet: bool) -> Progress:
    return progress_line("dataset", "images", quiet=quiet)


def _columns(texts: Sequence[str]) -> dict[Role, str]:
    """Return the columns that the user names, by role."""
    from dataset_builder.dataset_tables import GUESSES

    named = dict(_pair("--column", "ROLE=COLUMN", text) for text in texts)
    for role in named:
        if role not in GUESSES:
            raise UsageFault(f"--column {role}: expected one of {', '.join(GUESSES)}")
    return {role: named[role] for role in GUESSES if role in named}


def _pair(option: str, expected: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageFault(f"{option} {text}: expected {expected}")
    return name, value
