"""Commands of manual curation: `curate export`, `curate import`, `curate adjudicate`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from dataset_builder.cli.raters import RATER_HELP, BeforeFile, raters_of
from rocov2_eval.cli.options import answer, format_option, seed_option, writing
from rocov2_eval.errors import RejectedInput, UsageFault

if TYPE_CHECKING:
    from dataset_builder.study.annotations import RatingTask

_FORMATS = ("label-studio", "medcattrainer", "csv")
_NAMED = 10  # images in a message
_FACETS = ("modality", "region", "direction")
_READABLE = click.Path(path_type=Path, exists=True, dir_okay=False)
_WRITABLE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def curate() -> None:
    """Have people say modality, body region and direction, and bring their answers together.

    \b
    rocov2-build curate export dataset/ --for label-studio --out tasks/
    rocov2-build curate import export.json --out annotations.csv
    rocov2-build curate adjudicate annotations.csv --out manual.csv --open disagreements.csv
    """  # noqa: D301  click wants the backspace itself


@curate.command(
    epilog="Example: rocov2-build curate export dataset/ --for label-studio --out tasks/ --sample 1000 "
    "--raters 2 --overlap 0.5"
)
@click.argument("source", metavar="BUILD.TOML|DIR", type=click.Path(path_type=Path, exists=True))
@click.option("--for", "tool", type=click.Choice(_FORMATS), required=True, help="Tool that raters use.")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that gets the tasks and images; one folder in it for each of several raters.",
)
@click.option(
    "--facet",
    "facets",
    multiple=True,
    type=click.Choice(_FACETS),
    help="Ask this; may be repeated.  [default: all three]",
)
@click.option(
    "--sample", "size", type=click.IntRange(min=1), help="Ask about so many images, drawn at random."
)
@seed_option
@click.option(
    "--only",
    type=_READABLE,
    metavar="CSV",
    help="Ask about the images in its column `image` alone, such as disagreements.",
)
@click.option(
    "--raters", type=click.IntRange(1, 1000), default=1, show_default=True, help="Number of raters."
)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of the images that every rater sees.",
)
@click.option("--captions", is_flag=True, help="Show the caption beside the image.")
def export(source: Path, out: Path, **options: Any) -> None:
    """Write tasks for raters.

    BUILD.TOML is a build that has passed the stage radiology; DIR is a dataset in the ROCOv2 layout, or any
    folder of images.
    """
    from dataset_builder.study.tasks import deal, sample

    with TemporaryDirectory(prefix="rocov2-curation-") as pictures:
        tasks = _tasks(source, Path(pictures), options)
        if options["size"] is not None:
            tasks = sample(tasks, options["size"], options["seed"])
        if options["raters"] == 1:
            _export(tasks, out, out.name, options["tool"])
            return
        for rater, share in deal(tasks, options["raters"], options["overlap"], options["seed"]).items():
            _export(share, out / rater, f"{out.name}/{rater}", options["tool"])


@curate.command(
    "import",
    epilog="Examples: rocov2-build curate import project-1.json --rename raters.csv --out annotations.csv · "
    "rocov2-build curate import --rater anna a.json --rater ben b.json --out annotations.csv",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_READABLE)
@click.option(
    "--from", "tool", type=click.Choice(_FORMATS), help="Format of all files; else the content tells it."
)
@click.option("-o", "--out", required=True, type=_WRITABLE, help="CSV with a row an answer.")
@click.option("--rater", "raters", cls=BeforeFile, help=RATER_HELP)
@click.option(
    "--rename",
    "names",
    type=_READABLE,
    metavar="MAP.csv",
    help="New names of raters: CSV with the columns rater and name. Every rater needs one.",
)
@format_option
def import_(files: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Bring exports of annotation tools together in one table, with the raters kept apart.

    The same answer twice counts once. Where a rater answered one question in different ways, the later answer
    counts, and the report names the question; where the times do not tell, none counts. Two files that have
    different answers of one rater to one question are refused.

    A number, or a name such as admin, is another rater in each file.
    """
    from dataset_builder.study.answer_tables import write_annotations
    from dataset_builder.study.collecting import collect, collected_document, read_names
    from dataset_builder.study.formats import read_exports

    _refuse_overwriting([out], [*files, options["names"]])
    raters = raters_of(files, options["raters"])
    exports = read_exports(files, raters=raters, name=options["tool"] or "")
    collected = collect(exports, read_names(options["names"]) if options["names"] else None)
    with writing(out):
        write_annotations(out, collected.annotations)
    given = list(zip(map(str, files), exports, strict=True))
    answer(collected_document(collected, given), options["style"])


@curate.command(
    epilog="Example: rocov2-build curate adjudicate annotations.csv --policy majority --out manual.csv "
    "--open disagreements.csv"
)
@click.argument("annotations", metavar="ANNOTATIONS.csv", type=_READABLE)
@click.option(
    "--policy",
    type=click.Choice(["unanimous", "majority"]),
    default="majority",
    show_default=True,
    help="majority: more than half of those who could tell.",
)
@click.option(
    "--adjudicator",
    type=_READABLE,
    metavar="FILE",
    help="Answers that hold against all others: disagreements filled in, or an export.",
)
@click.option(
    "--least",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Least number of raters of a question.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=_WRITABLE,
    help="CSV with what is settled, image,facet,CUI: the manual table of a build.",
)
@click.option(
    "--open",
    "open_",
    type=_WRITABLE,
    help="CSV with what is not settled, and why: fill in its column CUI and give it to --adjudicator.",
)
@format_option
def adjudicate(annotations: Path, out: Path, **options: Any) -> None:
    """Settle one answer for each image and facet.

    Body region and direction are asked of X-rays alone: answers about other images are not settled.
    """
    from dataset_builder.study import adjudication as work
    from dataset_builder.study.answer_tables import NAME
    from dataset_builder.study.formats import read

    _refuse_overwriting([out, options["open_"]], [annotations, options["adjudicator"]])
    chosen = {"policy": options["policy"], "least": options["least"]}
    decisions = read(options["adjudicator"], rater="adjudicator") if options["adjudicator"] else []
    given = read(annotations, name=NAME)
    asked = {each.image for each in given}
    strangers = {each.image for each in decisions} - asked
    if asked and decisions and not asked & {each.image for each in decisions}:
        raise RejectedInput(
            f"{options['adjudicator']}: none of its images is in {annotations}: it names {_first(strangers)}"
        )
    if strangers:
        click.echo(
            f"{options['adjudicator']}: {len(strangers):,} images are not in {annotations}: "
            f"{_first(strangers)}",
            err=True,
        )
    result = work.adjudicate(given, decisions, **chosen)
    with writing(out):
        work.write_manual(out, result.settled)
    if options["open_"]:
        with writing(options["open_"]):
            work.write_open(options["open_"], result.open)
    answer(work.adjudication_document(result, **chosen), options["style"])


def _refuse_overwriting(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write where something is read, or twice to one place; None stands for an option not given."""
    taken = {path.resolve() for path in inputs if path}
    for path in filter(None, outputs):
        if path.resolve() in taken:
            raise UsageFault(f"{path}: this file is read or written already; name another for the output")
        taken.add(path.resolve())


def _tasks(source: Path, pictures: Path, options: dict[str, Any]) -> list[RatingTask]:
    """Return the tasks of a build or folder."""
    from dataset_builder.packaging.reading import figure_keys
    from dataset_builder.study.tasks import is_dataset, tasks_of
    from rocov2_eval.shelf.csv_files import read_rows

    facets = options["facets"] or _FACETS
    if source.is_dir():
        keys = figure_keys(source)
        tasks = tasks_of(source, facets, captions=options["captions"], keys=keys)
        if is_dataset(source) and not keys:
            click.echo(
                f"{source}: no assignments.csv in it, nor {source}-truth.zip beside it: the answers will "
                f"name images by their ids, and a build takes them with [concepts] assignments",
                err=True,
            )
    else:
        tasks = _tasks_of_build(source, pictures, facets, captions=options["captions"])
    if options["only"]:
        wanted = {row["image"].strip() for _, row in read_rows(options["only"], ("image",))}
        tasks = [task for task in tasks if task.image in wanted]
        if not tasks:
            raise UsageFault(
                f"{options['only']}: none of its images is in {source}: it names {_first(wanted)}"
            )
        strangers = wanted - {task.image for task in tasks}
        if strangers:
            click.echo(
                f"{options['only']}: {len(strangers):,} of {len(wanted):,} images are not in {source}: "
                f"{_first(strangers)}",
                err=True,
            )
    return tasks


def _first(images: Iterable[str]) -> str:
    """Return the first images by name, for a message."""
    from rocov2_eval.shelf.words import shorten

    listed = sorted(images)
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    return f"{', '.join(map(shorten, listed[:_NAMED]))}{more}"


def _tasks_of_build(
    file: Path, pictures: Path, facets: tuple[str, ...], *, captions: bool
) -> list[RatingTask]:
    """Return a task for each figure that is a radiology image, its picture written out."""
    from dataset_builder.running.config import read_build
    from dataset_builder.running.status import radiology_figures
    from dataset_builder.running.worker import source_of
    from dataset_builder.sources import read_figure
    from dataset_builder.study.annotations import RatingTask

    build = read_build(file)
    articles = source_of(build, workers=1)
    tasks = []
    for number, figure in enumerate(radiology_figures(build)):
        assert figure.media is not None, "the stage figures has looked it up"
        suffix = ".png" if figure.panel else Path(figure.media.name).suffix
        picture = pictures / f"{number}{suffix}"
        picture.write_bytes(read_figure(articles, figure))
        tasks.append(
            RatingTask(
                image=figure.key, picture=picture, facets=facets, text=figure.text.caption if captions else ""
            )
        )
    if not tasks:
        raise UsageFault(
            f"{file}: no figure has passed the stage radiology; rocov2-build run {file} --until radiology"
        )
    return tasks


def _export(tasks: list[RatingTask], out: Path, place: str, tool: str) -> None:
    """Write the tasks of one rater; `place` is their folder below the document root of Label Studio."""
    from dataset_builder.facets import FACETS
    from dataset_builder.study import formats

    with writing(out):
        formats.write(tasks, FACETS, out, name=tool, place=place)
    click.echo(f"{out}: {len(tasks):,} images")
