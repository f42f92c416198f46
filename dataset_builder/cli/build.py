"""Commands that make a dataset: `init`, `run`, `stage`, `status`, `drops`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval import command as border
from rocov2_eval.errors import UsageFault

if TYPE_CHECKING:
    from dataset_builder.running.config import Build
    from dataset_builder.running.executors import Executor
    from dataset_builder.running.runner import Report
    from dataset_builder.stages.stage import Stage

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


def _executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where stages run."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Neither progress nor the table at the end."),
        click.option(
            "--ray-address", metavar="ADDRESS", help="Of a Ray cluster; else one is started on this machine."
        ),
        click.option(
            "--executor",
            "where",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or a Ray cluster. It cannot change the result.",
        ),
        click.option(
            "--workers", type=click.IntRange(1, 4096), help="Shards worked on at once; else one a processor."
        ),
    ):
        command = option(command)
    return command


@click.command(epilog="Example: rocov2-build init build.toml")
@click.argument("file", metavar="BUILD.TOML", type=click.Path(path_type=Path), default=Path("build.toml"))
def init(file: Path) -> None:
    """Write a build.toml to begin with: every table, with the defaults and what they mean."""
    from rocov2_eval.shelf.files import write_text

    if file.exists():
        raise UsageFault(f"{file} is there already; name another file")
    write_text(file, resources.files("dataset_builder").joinpath("build.toml").read_text(encoding="utf-8"))
    click.echo(f"{file}: fill in [source] and [concepts], then rocov2-build run {file}")


@click.command(epilog="Example: rocov2-build run build.toml --workers 8")
@_FILE
@click.option(
    "--refresh",
    is_flag=True,
    help="Ask PMC's service anew which versions are the newest and which articles were retracted.",
)
@_executor_options
def run(file: Path, *, refresh: bool, **options: Any) -> None:
    """Make the dataset that BUILD.TOML asks for.

    Kill it at any time and run it again: it goes on from where it stopped, and the dataset is the same byte
    for byte. Only what a change of BUILD.TOML, of a folder of articles or of this program can move is run
    again. What PMC's service said of an article stands until --refresh asks anew.
    """
    from dataset_builder.running.config import read_build

    build = read_build(file)
    _run(build, options, last=None, refresh=refresh)
    if not options["quiet"]:
        click.echo(build.out)


@click.command(epilog="Example: rocov2-build stage licence build.toml")
@click.argument("name", metavar="NAME", type=click.Choice(_STAGES))
@_FILE
@click.option("--again", is_flag=True, help="Run the stage again even where it is done.")
@_executor_options
def stage(name: str, file: Path, **options: Any) -> None:
    """Run the stages up to NAME, those that are not done.

    \b
    NAME is one of: articles, figures, licence, captions, images, compound, radiology, concepts,
    duplicates, frequency, split, package.
    """  # noqa: D301  click wants the backspace itself
    from dataset_builder.running.config import read_build
    from dataset_builder.running.runner import forget

    build = read_build(file)
    if options["again"]:
        forget(build, name)
    _run(build, options, last=name)


@click.command(epilog="Example: rocov2-build status build.toml")
@_FILE
def status(file: Path) -> None:
    """Tell how far a build is, and how many articles and figures each stage took and dropped."""
    from dataset_builder.running.config import read_build

    _tell(read_build(file))


@click.command(
    epilog="Examples: rocov2-build drops build.toml PMC10009416 · "
    "rocov2-build drops build.toml --stage compound --format csv"
)
@click.argument("file", metavar="BUILD.TOML", type=click.Path(path_type=Path))
@click.argument("key", metavar="[PMCID[/FILE]]", default="")
@click.option("--stage", "stage_name", type=click.Choice(_STAGES), help="Only what this stage left out.")
@click.option("--reason", help="Only what was left out for this reason.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "csv"]),
    default="text",
    show_default=True,
    help="csv: one row for each thing left out, with the score that a filter gave it.",
)
def drops(file: Path, key: str, stage_name: str | None, reason: str | None, style: str) -> None:
    """Tell why a figure was left out; without PMCID, how many were for which reason."""
    from dataset_builder.running.build_reporters import counts_text, drops_csv, fate_text
    from dataset_builder.running.config import read_build
    from dataset_builder.running.runner import drops_of_build, figures_of_build

    build = read_build(file)
    found = [
        drop
        for drop in drops_of_build(build)
        if (not key or drop.key == key or drop.key.startswith(f"{key}/"))
        and stage_name in (None, drop.stage)
        and reason in (None, drop.reason)
    ]
    if style == "csv":
        click.echo(drops_csv(found), nl=False)
    elif not key:
        click.echo(counts_text(found), nl=False)
    else:
        kept = [
            (name, figure) for name, figure in figures_of_build(build) if key in (figure.key, figure.pmcid)
        ]
        click.echo(fate_text(key, found, kept), nl=False)


def _run(build: Build, options: dict[str, Any], last: str | None, *, refresh: bool = False) -> None:
    from dataset_builder.running.runner import run_build

    with _executor(options) as executor:
        report = border.silent if options["quiet"] else _report()
        run_build(build, executor, report, last=last, refresh=refresh)
    if not options["quiet"]:
        _tell(build)


def _tell(build: Build) -> None:
    """Print how far a build is, and what its quality gates said."""
    from dataset_builder.running.build_reporters import gates_text, status_text
    from dataset_builder.running.runner import gates_of_build, state_of_build

    click.echo(status_text(state_of_build(build)), nl=False)
    click.echo(gates_text(gates_of_build(build)), nl=False)


def _executor(options: dict[str, Any]) -> Executor:
    from dataset_builder.running.executors import LocalExecutor, RayExecutor

    workers = options["workers"] or os.cpu_count() or 1
    if options["where"] == "ray":
        return RayExecutor(workers, options["ray_address"])
    if options["ray_address"]:
        raise UsageFault("--ray-address goes with --executor ray")
    return LocalExecutor(workers)


def _report() -> Report:
    """Return what shows how far each stage is: a bar on a terminal, else a line when a stage begins."""
    bars: dict[str, Callable[[int, int], None]] = {}

    def show(stage: Stage, done: int, total: int) -> None:
        if stage.name not in bars:
            bars[stage.name] = border.progress_bar(stage.name) if sys.stderr.isatty() else border.silent
            if not sys.stderr.isatty():
                click.echo(f"{stage.name}: {stage.title}", err=True)
        bars[stage.name](done, total)

    return show
