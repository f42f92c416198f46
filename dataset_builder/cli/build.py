"""Commands that make a dataset: `sample`, `init`, `run`, `status`, `drops`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import answer, format_option, writing
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.progress import progress_line, silent

if TYPE_CHECKING:
    from dataset_builder.running.config import Build
    from dataset_builder.running.ray_pool import RayPool
    from dataset_builder.running.runner import StageProgress
    from dataset_builder.stages.stage import Stage
    from rocov2_eval.shelf.processes import Pool
    from rocov2_eval.shelf.progress import Progress

_STAGES = (
    "articles",
    "figures",
    "licence",
    "captions",
    "images",
    "compound",
    "radiology",
    "concepts",
    "duplicates",
    "frequency",
    "split",
    "package",
)
_FILE = click.argument(
    "file", metavar="BUILD.TOML", type=click.Path(path_type=Path), default=Path("build.toml")
)


@click.command(epilog="Examples: rocov2-build init articles/ · rocov2-build init images.csv own.toml")
@click.argument("source", metavar="[SOURCE]", type=click.Path(path_type=Path), required=False)
@click.argument("file", metavar="[BUILD.TOML]", type=click.Path(path_type=Path), required=False)
def init(source: Path | None, file: Path | None) -> None:
    """Write a build.toml for a SOURCE: every table, with its defaults and their meaning.

    \b
    SOURCE is one of
      a folder of articles: JATS XML with pictures, PMC*.tar.gz, or the layout of PMC's service
      a list of PMCIDs of PMC's service
      a table of images of your own: CSV, JSON lines or Parquet with image, caption, group, licence
      a folder of pictures or DICOM files, with such a table, or init begins one
    """  # noqa: D301  click wants the backspace itself
    from dataset_builder.recognition import build_text, recognise
    from rocov2_eval.shelf.files import write_text

    if source is not None and file is None and source.suffix == ".toml":
        source, file = None, source
    file = file or Path("build.toml")
    if file.exists():
        advice = f"run it with rocov2-build run {file}, or name another file"
        raise UsageFault(f"{file} exists already; {advice}")
    found = recognise(source) if source else None
    write_text(file, build_text(found, file.resolve().parent, datetime.now(UTC).date()))
    if found is None:
        click.echo(f"{file}: name your articles in [source], then rocov2-build run {file}")
        return
    click.echo(f"{found.path}: {found.found}")
    click.echo(f"{file}: {f'{found.lacking}, then' if found.lacking else 'next:'} rocov2-build run {file}")


@click.command(epilog="Example: rocov2-build sample articles/")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def sample(folder: Path) -> None:
    """Write ten made-up articles with pictures to a new folder.

    Each filter of the build drops something of them.
    """
    from dataset_builder.sample_articles import write_sample
    from rocov2_eval.shelf.words import counted

    if folder.exists():
        raise UsageFault(f"{folder} exists already; name a new folder")
    with writing(folder):
        number = write_sample(folder)
    click.echo(f"{folder}: {counted(number, 'article')}; next: rocov2-build init {folder}")


@click.command(
    epilog="Examples: rocov2-build run build.toml --workers 8 · "
    "rocov2-build run build.toml --until radiology --again"
)
@_FILE
@click.option(
    "--until", type=click.Choice(_STAGES), metavar="STAGE", help="Last stage to run.  [default: package]"
)
@click.option("--again", is_flag=True, help="Repetition of the --until stage, even if it is done.")
@click.option(
    "--refresh",
    is_flag=True,
    help="New requests to PMC's service for versions and retractions.",
)
@click.option(
    "--rehash",
    is_flag=True,
    help="Comparison of all files on disk by content.  [default: by name, size and time]",
)
@click.option(
    "--workers", type=click.IntRange(1, 4096), help="Number of processes.  [default: one per processor]"
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Address of a Ray cluster to run on; `local` starts one. The result does not change.  "
    "[default: processes of this machine]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no table at the end.")
def run(file: Path, *, until: str | None, again: bool, quiet: bool, **options: Any) -> None:
    """Make the dataset of BUILD.TOML, or run the stages up to STAGE.

    You can stop it at any time and run it again: it continues, and the dataset is the same byte for byte. A
    repeated run does only what a change of BUILD.TOML, of the articles or of an earlier stage affects.
    Answers of PMC's service are kept until --refresh.

    \b
    STAGE is one of: articles, figures, licence, captions, images, compound, radiology, concepts,
    duplicates, frequency, split, package.
    """  # noqa: D301  click wants the backspace itself
    from dataset_builder.running.config import read_build
    from dataset_builder.running.runner import run_build

    if again and not until:
        raise UsageFault("--again needs --until, the stage to repeat")
    build = read_build(file)
    progress = silent if quiet else _progress(build)
    anew = {name: options.pop(name) for name in ("refresh", "rehash")}
    with _pool(**options) as pool:
        tell = (lambda _line: None) if quiet else partial(click.echo, err=True)
        run_build(build, pool, progress, until=until, again=again, tell=tell, **anew)
    if not quiet:
        _print_status(build, "text")
        if until:
            click.echo(f"next: rocov2-build run {file}, or rocov2-build drops {file}", err=True)
        else:
            click.echo(f"next: rocov2-build verify {build.out}, rocov2-build drops {file}", err=True)
    if not (quiet or until):
        click.echo(build.out)


@click.command(epilog="Example: rocov2-build status build.toml")
@_FILE
@format_option
def status(file: Path, style: str) -> None:
    """Report how far a build is, and how many articles and figures each stage took and dropped."""
    from dataset_builder.running.config import read_build

    _print_status(read_build(file), style)


@click.command(
    epilog="Examples: rocov2-build drops build.toml PMC10009416 · "
    "rocov2-build drops build.toml --stage compound --format csv"
)
@click.argument("file", metavar="BUILD.TOML", type=click.Path(path_type=Path))
@click.argument("key", metavar="[PMCID[/FILE]]", default="")
@click.option("--stage", type=click.Choice(_STAGES), help="Stage whose drops are reported.  [default: all]")
@format_option
def drops(file: Path, key: str, stage: str | None, style: str) -> None:
    """Report why a figure was dropped; without PMCID, the number of drops for each reason.

    --format csv and json list every drop with the score of the filter.
    """
    from dataset_builder.running.config import read_build
    from dataset_builder.running.status import drops_document, drops_of_build, figures_of_build

    build = read_build(file)
    left_out = [
        drop
        for drop in drops_of_build(build)
        if (not key or drop.key == key or drop.key.startswith(f"{key}/")) and stage in (None, drop.stage)
    ]
    kept = (
        [place for place in figures_of_build(build) if key in (place[1].key, place[1].whole, place[1].pmcid)]
        if key
        else []
    )
    answer(drops_document(key, left_out, kept), style)


def _print_status(build: Build, style: str) -> None:
    """Print how far a build is, and what its quality gates said."""
    from dataset_builder.running.status import status_document

    answer(status_document(build), style)


def _pool(*, workers: int | None, ray: str | None) -> Pool | RayPool:
    from dataset_builder.running.ray_pool import RayPool
    from rocov2_eval.shelf.processes import Pool

    workers = workers or os.cpu_count() or 1
    return Pool(workers) if ray is None else RayPool(workers, ray)


def _progress(build: Build) -> StageProgress:
    """Return what shows how far each stage is; without a terminal, a line when a stage begins too."""
    bars: dict[str, Progress] = {}

    def show(stage: Stage, done: int, total: int) -> None:
        if stage.name not in bars:
            bars[stage.name] = progress_line(stage.name)
            if not sys.stderr.isatty():
                click.echo(f"{stage.name}: {stage.title_of(is_own=build.is_own)}", err=True)
        bars[stage.name](done, total)

    return show
