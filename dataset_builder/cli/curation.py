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
from rocov2_eval.shelf.words import counted, shorten

if TYPE_CHECKING:
    from dataset_builder.study.annotations import RatingTask

_FORMATS = ("label-studio", "medcattrainer", "csv")
_NAMED = 10  # images in a message
_FACETS = ("modality", "region", "direction")
_READABLE = click.Path(path_type=Path, exists=True, dir_okay=False)
_WRITABLE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def curate() -> None:
    """Let raters annotate modality, body region and direction, and combine their answers.

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
@click.option("--for", "tool", type=click.Choice(_FORMATS), required=True, help="Tool of the raters.")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for tasks and images, with one folder per rater if there are several.",
)
@click.option(
    "--facet",
    "facets",
    multiple=True,
    type=click.Choice(_FACETS),
    help="Facet to ask about; may be repeated.  [default: all three]",
)
@click.option(
    "--sample", "size", type=click.IntRange(min=1), help="Number of images, drawn at random.  [default: all]"
)
@seed_option
@click.option(
    "--only",
    type=_READABLE,
    metavar="CSV",
    help="CSV whose column `image` names the images, such as disagreements.  [default: all images]",
)
@click.option(
    "--raters", type=click.IntRange(1, 1000), default=1, show_default=True, help="Number of raters."
)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of the images that all raters see.",
)
@click.option("--captions", is_flag=True, help="Captions beside the images.")
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
@click.option("--from", "tool", type=click.Choice(_FORMATS), help="Format of all files.  [default: detected]")
@click.option("-o", "--out", required=True, type=_WRITABLE, help="CSV to write, with one row per answer.")
@click.option("--rater", "raters", cls=BeforeFile, help=RATER_HELP)
@click.option(
    "--rename",
    "names",
    type=_READABLE,
    metavar="MAP.csv",
    help="CSV with the columns rater and name: new names for all raters.  [default: names as in the files]",
)
@format_option
def import_(files: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Combine exports of annotation tools in one table.

    A repeated answer counts once. Of different answers of a rater to one question the latest counts, and the
    report names the question; without times none counts. Two files with different answers of one rater to
    one question are refused.

    A number, or a name such as admin, is a different rater in each file.
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
    help="Votes that settle an answer: of more than half, or of all raters; `unsure` is no vote.",
)
@click.option(
    "--adjudicator",
    type=_READABLE,
    metavar="FILE",
    help="Answers that overrule all others: completed disagreements, or an export.",
)
@click.option(
    "--least",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Lowest number of raters of a settled answer.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=_WRITABLE,
    help="CSV to write with the settled answers, image,facet,CUI: the manual table of a build.",
)
@click.option(
    "--open",
    "open_",
    type=_WRITABLE,
    help="CSV to write with open questions and reasons; with CUI filled in, input of --adjudicator.",
)
@format_option
def adjudicate(annotations: Path, out: Path, **options: Any) -> None:
    """Settle one answer for each image and facet.

    Body region and direction are settled for X-rays only.
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
            f"{options['adjudicator']}: no image of {annotations}; it contains {_first(strangers)}"
        )
    if strangers:
        click.echo(
            f"{options['adjudicator']}: {counted(len(strangers), 'image')} not in {annotations}: "
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
            raise UsageFault(f"{path}: this file is already an input or output; name another output")
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
                f"{source}: neither its assignments.csv nor {source}-truth.zip exists: the answers will have "
                f"image ids, which a build reads with [concepts] assignments",
                err=True,
            )
    else:
        tasks = _tasks_of_build(source, pictures, facets, captions=options["captions"])
    if options["only"]:
        wanted = {row["image"].strip() for _, row in read_rows(options["only"], ("image",))}
        tasks = [task for task in tasks if task.image in wanted]
        if not tasks:
            raise UsageFault(f"{options['only']}: no image of {source}; it contains {_first(wanted)}")
        strangers = wanted - {task.image for task in tasks}
        if strangers:
            click.echo(
                f"{options['only']}: {len(strangers):,} of {counted(len(wanted), 'image')} not in {source}: "
                f"{_first(strangers)}",
                err=True,
            )
    return tasks


def _first(images: Iterable[str]) -> str:
    """Return the first images by name, for a message."""
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
            f"{file}: no figure has passed the stage radiology; run rocov2-build run {file} --until radiology"
        )
    return tasks


def _export(tasks: list[RatingTask], out: Path, place: str, tool: str) -> None:
    """Write the tasks of one rater; `place` is their folder below the document root of Label Studio."""
    from dataset_builder.facets import FACETS
    from dataset_builder.study import formats

    with writing(out):
        formats.write(tasks, FACETS, out, name=tool, place=place)
    click.echo(f"{out}: {counted(len(tasks), 'image')}")
